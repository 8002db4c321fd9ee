"""What does ``taorunner attach`` cost on a terminal while 8 and 40 runs train, and does it end with a run that has
reported 100,000 metrics?

No engine is needed: this process holds the lock of the supervisor and writes what a supervisor writes. Each run prints
a line a second, reports its step once a second and an epoch with six metrics every twenty seconds.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from workspaces import TAORUNNER, record_failed_run, small

SECONDS = 40
WARM_UP_S = 8
SIZES = ((80, 24), (120, 40), (200, 60))
RUNS = {8: 3.0, 40: 5.0}
"""The bound in percent of one core, by the number of runs."""
METRICS = 100_000
_EPOCH_S = 20
_NAMES = ("train_loss", "val_loss", "val_mAP", "val_mAP50", "lr", "grad_norm")


def measure(times: int) -> None:
    print("taorunner attach on a terminal, CPU in percent of one core")
    for count, bound in RUNS.items():
        for size in SIZES:
            shares = [_share_of_core(count, size) for _ in range(times)]
            shown = ", ".join(f"{share:.2f} %" for share in shares)
            load = os.getloadavg()[0]
            name = f"{count} runs, {size[0]}x{size[1]}"
            print(f"  {name:<20} {shown}, wanted <= {bound:g} %   (load {load:.1f})", flush=True)
    for words in (("attach",), ("attach", "--plain"), ("attach", "--json")):
        late, cpu = _end_of_many_metrics(words)
        print(
            f"  {METRICS:,} metrics, {' '.join(words)}: ends {late:.2f} s after the run; {cpu:.1f} s of CPU",
            flush=True,
        )
    print()


def _share_of_core(count: int, size: tuple[int, int]) -> float:
    with (
        tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder,
        _Training(Path(folder) / "w", count) as training,
        _viewer(training.workspace, ("attach",), size) as viewer,
    ):
        training.go_on(WARM_UP_S)
        before_s, began_s = _cpu_s(viewer.pid), time.monotonic()
        training.go_on(SECONDS)
        return 100 * (_cpu_s(viewer.pid) - before_s) / (time.monotonic() - began_s)


def _end_of_many_metrics(words: Sequence[str]) -> tuple[float, float]:
    """Seconds from the end of a run to that of its viewer, and the viewer's CPU seconds. The run reports as fast as it
    is written down, and ends with its last metric."""
    with (
        tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder,
        _Training(Path(folder) / "w", 1) as training,
        _viewer(training.workspace, words, (120, 40)) as viewer,
    ):
        time.sleep(2)
        for epoch in range(1, METRICS // 100 + 1):
            training.metrics(training.ids[0], epoch, [f"metric_{number:02d}" for number in range(100)])
            time.sleep(0.01)
        cpu_s = _cpu_s(viewer.pid)
        training.end()
        ended_s = time.monotonic()
        viewer.wait(timeout=120)
        return time.monotonic() - ended_s, cpu_s


@contextmanager
def _viewer(
    workspace: Path, words: Sequence[str], size: tuple[int, int]
) -> Iterator[subprocess.Popen[bytes]]:
    """A viewer on a terminal whose output somebody reads."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [*TAORUNNER, *words], cwd=workspace, stdin=follower, stdout=follower, stderr=follower,
        env={**environ, "TERM": "xterm-256color"}, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    reader = threading.Thread(target=_drain, args=(leader,), daemon=True)
    reader.start()
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        reader.join(5)
        os.close(leader)


def _drain(leader: int) -> None:
    while True:
        try:
            if select.select([leader], [], [], 1)[0] and not os.read(leader, 65536):
                return
        except OSError:
            return


def _cpu_s(pid: int) -> float:
    fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Training:
    """``count`` runs under way, written down by this process."""

    def __init__(self, root: Path, count: int) -> None:
        self.workspace = small(root, image="taorunner-test/none:1")
        state = self.workspace / ".taorunner"
        record_failed_run(self.workspace)
        (first,) = (state / "runs").iterdir()
        (self._batch,) = (state / "batches").iterdir()
        self._runs = state / "runs"
        self.ids = [f"{first.name[:-6]}{number:06x}" for number in range(count)]
        record = json.loads((first / "record.json").read_text(encoding="utf-8"))
        queued = (first / "events.jsonl").read_text(encoding="utf-8").partition("\n")[0]
        for number, run_id in enumerate(self.ids):
            folder = self._runs / run_id
            shutil.copytree(first, folder)
            changed = {"id": run_id, "experiment": f"experiment_{number:02d}", "state": "RUNNING", "reason": None,
                       "hint": None, "error_code": None, "started_at": _now(), "finished_at": None}  # fmt: skip
            (folder / "record.json").write_text(json.dumps({**record, **changed}), encoding="utf-8")
            line = json.loads(queued) | {"run": run_id, "experiment": f"experiment_{number:02d}"}
            (folder / "events.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
            (folder / "console.log").write_bytes(b"")
            self._write(
                run_id, [{"event": "RunStarted", "image": "none:1", "gpus": [str(number % 8)], "handle": "n"}]
            )
        shutil.rmtree(first)
        body = json.loads((self._batch / "batch.json").read_text(encoding="utf-8"))
        (self._batch / "batch.json").write_text(json.dumps({**body, "runs": self.ids}), encoding="utf-8")
        (state / "open" / self._batch.name).write_text(json.dumps(self.ids), encoding="utf-8")
        self._second = 0

    def __enter__(self) -> _Training:
        self._lock = (self._batch / "supervisor.lock").open("ab")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def go_on(self, seconds: int) -> None:
        """Trains for so many seconds."""
        began_s = time.monotonic()
        for second in range(seconds):
            self._second += 1
            epoch, step = self._second // _EPOCH_S + 1, self._second % _EPOCH_S
            for run_id in self.ids:
                if step == 0:
                    self.metrics(run_id, epoch - 1, _NAMES)
                progress = {
                    "event": "EpochProgress",
                    "epoch": epoch,
                    "epochs": 80,
                    "step": 24 * step + 1,
                    "steps": 480,
                }
                self._write(run_id, [progress])
                with (self._runs / run_id / "console.log").open("a", encoding="utf-8") as log:
                    log.write(
                        f"2026-03-01 12:00:{self._second:02d},123 [INFO] trainer: step {step}, loss 0.4312\n"
                    )
            time.sleep(max(0.0, began_s + second + 1 - time.monotonic()))

    def metrics(self, run_id: str, epoch: int, names: Sequence[str]) -> None:
        """Reports the values of one epoch, and its end."""
        ended = {"event": "EpochProgress", "epoch": epoch, "epochs": 80, "completed": True}
        values = [
            {"event": "MetricReported", "name": name, "value": 1 / (epoch + index), "epoch": epoch}
            for index, name in enumerate(names)
        ]
        self._write(run_id, [ended, *values])

    def end(self) -> None:
        """Every run succeeds."""
        for run_id in self.ids:
            file = self._runs / run_id / "record.json"
            record = json.loads(file.read_text(encoding="utf-8"))
            done = {"state": "SUCCEEDED", "reason": "finished", "exit_code": 0, "finished_at": _now()}
            file.write_text(json.dumps({**record, **done}), encoding="utf-8")
            self._write(
                run_id, [{"event": "RunFinished", "state": "SUCCEEDED", "reason": "finished", "exit_code": 0}]
            )

    def _write(self, run_id: str, events: Sequence[dict[str, Any]]) -> None:
        text = "".join(json.dumps({"run": run_id, "at": _now(), **event}) + "\n" for event in events)
        with (self._runs / run_id / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(text)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()
