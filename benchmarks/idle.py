"""What does a supervisor cost while its containers train: eight of them, each printing a line a second?

CPU is what the kernel counted for the supervisor in a minute. Memory is looked at while the lines of an hour come in a
hundred times as fast.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from engines import engine, image_that_only
from workspaces import PROJECT, TAORUNNER, small

RUNS = 8
SECONDS = 60
HOUR_LINES = 3600
AT_ONCE, EVERY_S = 10, 0.1
SHARES = (0.1, 0.5, 1.0)
_SLOW = "while :; do echo 'INFO: step 120 of 800, loss 0.4312, 12.3 images a second'; sleep 1; done"
_FAST = (
    f"n=0; while [ $n -lt {HOUR_LINES // AT_ONCE} ]; do n=$((n+1)); for i in 0 1 2 3 4 5 6 7 8 9; do "
    f'echo "INFO: step $n$i of 800, loss 0.4312, 12.3 images a second"; done; sleep {EVERY_S}; done; sleep 600'
)


def measure(times: int) -> None:
    found = engine()
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        slow = image_that_only(found, "a-line-a-second", ["/bin/sh", "-c", _SLOW])
        with _Batch(Path(folder) / "slow", slow) as batch:
            time.sleep(5)
            shares = []
            for _ in range(times):
                before_s, began_s = batch.cpu_s(), time.monotonic()
                time.sleep(SECONDS)
                shares.append((batch.cpu_s() - before_s) / (time.monotonic() - began_s))
            lines = batch.lines()
        fast = image_that_only(found, "an-hour", ["/bin/sh", "-c", _FAST])
        with _Batch(Path(folder) / "fast", fast) as batch:
            memory = []
            for share in SHARES:
                while batch.lines() < share * RUNS * HOUR_LINES:
                    time.sleep(0.05)
                memory.append(batch.resident_mib())
    print(f"a supervisor of {RUNS} containers that print a line a second")
    shown = ", ".join(f"{share:.2%}" for share in shares)
    load = os.getloadavg()[0]
    print(f"  of one core, over {SECONDS} s each: {shown}, wanted < 1 %   ({lines} lines; load {load:.1f})")
    shown = ", ".join(f"{one:.1f}" for one in memory)
    print(
        f"  resident MiB at 10, 50, 100 % of an hour's {RUNS * HOUR_LINES:,} lines: {shown}, wanted flat\n",
        flush=True,
    )


class _Batch:
    """Runs that go on until the end of the block."""

    def __init__(self, root: Path, image: str) -> None:
        self._workspace = small(root, image=image)
        file = self._workspace / "projects" / PROJECT / "experiments.yml"
        names = [f"noop{number}" for number in range(1, RUNS)]
        more = "".join(f"  {name}: {{extends: noop}}\n" for name in names)
        file.write_text(file.read_text(encoding="utf-8") + more, encoding="utf-8")
        self._words = ["train", "noop", *names, "--parallel", str(RUNS), "--detach", "--json"]

    def __enter__(self) -> _Batch:
        started = subprocess.run(
            [*TAORUNNER, "-p", PROJECT, *self._words], cwd=self._workspace, check=True, capture_output=True
        )
        self._runs = [self._workspace / ".taorunner/runs" / one["run"] for one in json.loads(started.stdout)]
        batch = json.loads((self._runs[0] / "record.json").read_text(encoding="utf-8"))["batch"]
        lock = self._workspace / ".taorunner/batches" / batch / "supervisor.lock"
        self._supervisor = int(lock.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([*TAORUNNER, "stop", "--all"], cwd=self._workspace, check=True, capture_output=True)

    def cpu_s(self) -> float:
        fields = Path("/proc", str(self._supervisor), "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        pages = int(Path("/proc", str(self._supervisor), "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def lines(self) -> int:
        return sum((run / "console.log").read_bytes().count(b"\n") for run in self._runs)
