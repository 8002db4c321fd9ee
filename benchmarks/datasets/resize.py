"""How long does it take to bring 5,000 images of 640x480 to 320x240, boxes included?

The other side is datumaro, in an environment of its own: ``DATUMARO_PYTHON=…/bin/python`` names its interpreter.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from datasets.conversion import IMAGES, make_coco
from timing import print_ratio, process, taking_turns
from workspaces import TAORUNNER

_DATUMARO = """
import sys, shutil
import datumaro as dm
shutil.rmtree(sys.argv[2], ignore_errors=True)
data = dm.Dataset.import_from(sys.argv[1], "coco")
data.transform("resize", width=320, height=240)
data.export(sys.argv[2], "coco", save_media=True)
"""


def measure(times: int) -> None:
    python = os.environ.get("DATUMARO_PYTHON")
    if not python:
        print("resize: left out, DATUMARO_PYTHON names no interpreter with datumaro\n")
        return
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        source, made, theirs = (Path(folder) / name for name in ("source", "made", "theirs"))
        make_coco(source)
        ours = [
            *TAORUNNER,
            "dataset",
            "resize",
            str(source),
            "-o",
            str(made),
            "--size",
            "320x240",
            "--overwrite",
        ]
        measured, baseline = taking_turns(
            {
                "dataset resize": process(ours, cwd=folder),
                "datumaro": process([python, "-c", _DATUMARO, str(source), str(theirs)], cwd=folder),
            },
            times,
        )
        counts = [sum(1 for _ in root.rglob("*.jpg")) for root in (made, theirs)]
        sizes = [sum(path.stat().st_size for path in root.rglob("*.jpg")) // 1024 for root in (made, theirs)]
        print(f"{IMAGES:,} of 640x480 to 320x240 (images made: {counts}; KiB: {sizes})")
        print_ratio("dataset resize ÷ datumaro", measured, baseline, 0.4)
