"""How long does the fast check of 5,000 images take, and how much memory?"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from datasets.conversion import IMAGES, make_coco
from timing import process, taking_turns
from workspaces import TAORUNNER


def measure(times: int) -> None:
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        source, data = Path(folder) / "source", Path(folder) / "data"
        make_coco(source)
        subprocess.run(
            [*TAORUNNER, "dataset", "convert", str(source), "-o", str(data)], check=True, capture_output=True
        )
        shutil.rmtree(source)
        check = [*TAORUNNER, "dataset", "check", str(data), "--json"]
        (measured,) = taking_turns({"dataset check": process(check, cwd=folder, codes=(0, 3))}, times)
        print(f"fast check of {IMAGES:,} images of 640x480 with their labels")
        print(
            f"  {measured.name:<44} {measured.median_s:9.2f} s    (least {measured.least_s:.2f} s; wanted ≤ 3 s; "
            f"load {os.getloadavg()[0]:.1f})"
        )
        print(f"  {'most memory':<44} {_peak_mib(check):9.1f} MiB  (wanted < 150 MB)\n")


def _peak_mib(argv: list[str]) -> float:
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(child.pid, 0)
    return usage.ru_maxrss / 1024
