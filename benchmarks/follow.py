"""Does following a container keep up with ``docker logs -f > file``, with parsing and recording, in flat memory?

Ours is the whole way: a container that ``taorunner train --detach`` starts, attach, frames, console.log, tracker.
Its wall time is that between the events RunStarted and RunFinished, so that starting and judging are in it, and
importing is not. The baseline is ``docker logs -f`` of the same container, started with it, until it ends.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

from engines import docker_run, engine, image_that_only, rig
from timing import Measured, print_ratio
from workspaces import PROJECT, TAORUNNER, small

LINES = 1_000_000
LINE_BYTES = 88
SHARES = (0.1, 0.5, 1.0)


def measure(times: int) -> None:
    found = engine()
    image = image_that_only(found, f"emit-{LINES}", ["/usr/bin/emit", str(LINES)])
    ours: list[float] = []
    logs: list[float] = []
    memories: list[dict[float, int]] = []
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        workspace = small(Path(folder) / "w", image=image)
        run = docker_run(workspace)
        for _ in range(times):
            seconds, memory = _train(workspace)
            ours.append(seconds)
            memories.append(memory)
            logs.append(_docker_logs(found, run, Path(folder) / "log"))
    print(f"following {LINES:,} lines of {LINE_BYTES} bytes from a container")
    followed = Measured("taorunner train, RunStarted to RunFinished", tuple(ours))
    print_ratio("taorunner ÷ docker logs -f", followed, Measured("docker logs -f > file", tuple(logs)), 1)
    for share in SHARES:
        sizes = [memory[share] / 1024 for memory in memories if share in memory]
        if sizes:
            print(f"  memory of the supervisor at {share:.0%} of the log: {max(sizes):.1f} MiB at most")
    print()


def _train(workspace: Path) -> tuple[float, dict[float, int]]:
    """Seconds from start to end, and the supervisor's resident KiB when so much of the log was written."""
    started = subprocess.run(
        [*TAORUNNER, "-p", PROJECT, "train", "noop", "--detach", "--json"],
        cwd=workspace, check=True, capture_output=True,
    )  # fmt: skip
    run_dir = workspace / ".taorunner" / "runs" / json.loads(started.stdout)[0]["run"]
    log, events = run_dir / "console.log", run_dir / "events.jsonl"
    lock = workspace / ".taorunner/batches" / json.loads((run_dir / "record.json").read_text())["batch"]
    supervisor = _holder(lock / "supervisor.lock")
    memory: dict[float, int] = {}
    while True:
        size = log.stat().st_size if log.exists() else 0
        for share in SHARES:
            if share not in memory and size >= share * LINES * LINE_BYTES:
                memory[share] = _resident_kib(supervisor)
        times = {
            event["event"]: datetime.fromisoformat(event["at"]).timestamp()
            for event in map(json.loads, events.read_text(encoding="utf-8").splitlines())
        }
        if "RunFinished" in times:
            break
        time.sleep(0.05)
    if log.stat().st_size != LINES * LINE_BYTES:
        raise RuntimeError(f"console.log has {log.stat().st_size} bytes, not {LINES * LINE_BYTES}")
    log.unlink()
    return times["RunFinished"] - times["RunStarted"], memory


def _holder(lock: Path) -> int:
    """The process that has the lock file open."""
    for _ in range(200):
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                try:
                    if any(link.readlink() == lock for link in (process / "fd").iterdir()):
                        return int(process.name)
                except OSError:
                    continue
        time.sleep(0.01)
    raise RuntimeError(f"nobody has {lock} open")


def _resident_kib(process: int) -> int:
    for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def _docker_logs(found: rig.Engine, run: list[str], file: Path) -> float:
    """Seconds from the start of a container of the same image to the end of its ``docker logs -f``."""
    created = subprocess.run(
        ["docker", "create", *run[2:]], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        subprocess.run(["docker", "start", created], check=True, capture_output=True)
        began = time.perf_counter()
        with file.open("wb") as stream:
            subprocess.run(["docker", "logs", "-f", created], check=True, stdout=stream)
        seconds = time.perf_counter() - began
        if file.stat().st_size != LINES * LINE_BYTES:
            raise RuntimeError(f"docker logs gave {file.stat().st_size} bytes, not {LINES * LINE_BYTES}")
    finally:
        found.docker("rm", "-f", created)
    return seconds
