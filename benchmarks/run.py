#!/usr/bin/env python3
"""Measures what the project promises about speed: ``python benchmarks/run.py [FIGURE…]``, all of them by default.

Nothing here passes or fails. Run it on a quiet machine, with the Python that taorunner is installed in.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

FIGURES = {
    "help": ("startup", "measure_help", 21),
    "completion": ("startup", "measure_completion", 21),
    "validate": ("validate", "measure", 7),
    "specs": ("validate_specs", "measure", 7),
    "launch": ("launch", "measure", 11),
    "follow": ("follow", "measure", 3),
    "lists": ("tables.lists", "measure", 7),
    "comparison": ("tables.comparison", "measure", 3),
    "idle": ("idle", "measure", 1),
    "viewer": ("terminal.viewer", "measure", 1),
    "handover": ("handover", "measure", 7),
    "pull": ("pull", "measure", 3),
    "image-pull": ("image_pull", "measure", 5),
    "conversion": ("datasets.conversion", "measure", 5),
    "labels": ("datasets.conversion", "measure_labels", 5),
    "check": ("datasets.check", "measure", 5),
    "check-large": ("datasets.size", "measure_check", 3),
    "memory-per-box": ("datasets.size", "measure_memory", 1),
    "slurm": ("clusters.slurm", "measure", 7),
    "tracking": ("tracking", "measure", 3),
    "evaluation": ("datasets.evaluation", "measure", 1),
    "sweep-seeds": ("sweeps.against_random", "measure", 10),
    "sweep-overhead": ("sweeps.overhead", "measure", 3),
    "resize": ("datasets.resize", "measure", 3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)}; all by default"
    )
    parser.add_argument("--times", type=int, help="repetitions of each side of a ratio")
    options = parser.parse_args()
    unknown = [name for name in options.figures if name not in FIGURES]
    if unknown:
        parser.error(f'no figure "{unknown[0]}" (known: {", ".join(FIGURES)})')
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Python {version}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n", flush=True)
    for name in options.figures or FIGURES:
        module, function, times = FIGURES[name]
        getattr(importlib.import_module(module), function)(options.times or times)


if __name__ == "__main__":
    main()
