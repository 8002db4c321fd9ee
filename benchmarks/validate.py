"""How many times what PyYAML's C loader needs to read experiments.yml does it take to check everything?"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from timing import print_ratio, process, taking_turns
from workspaces import PROJECT, TAORUNNER, many

EXPERIMENTS = 1000
BOUND = 6
READ = "import sys, yaml; yaml.load(open(sys.argv[1], encoding='utf-8'), Loader=yaml.CSafeLoader)"


def measure(times: int) -> None:
    for kind, kind_text in {
        "same": "each with spec files of the same text",
        "different": "each with spec files with other numbers and comments",
        "unlike": "each with spec files unlike any other",
        "extends": "all extending the first one",
    }.items():
        with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
            file = many(Path(folder) / "w", EXPERIMENTS, kind)
            root = file.parent.parent.parent
            print(f"validate: {EXPERIMENTS:,} experiments, {kind_text} ({file.stat().st_size // 1024} KiB)")
            ours, read = taking_turns(
                {
                    "taorunner validate": process([*TAORUNNER, "validate"], cwd=str(root)),
                    "PyYAML's C loader, a process": process([sys.executable, "-c", READ, str(file)]),
                },
                times,
            )
            bound = None if kind == "unlike" else BOUND
            print_ratio("taorunner validate ÷ PyYAML, whole processes", ours, read, bound)
            _measure_inside(root, file, times)


def _measure_inside(root: Path, file: Path, times: int) -> None:
    import yaml

    from taorunner.planning.validate import validate_projects
    from taorunner.project.workspace import find_workspace

    workspace = find_workspace(root, None, os.environ)

    def validate() -> None:
        found = validate_projects(workspace, [PROJECT], os.environ)
        if wrong := [finding for finding in found if finding.is_error]:
            raise RuntimeError(f"{wrong[0].place}: {wrong[0].message}")

    def read() -> None:
        with file.open(encoding="utf-8") as stream:
            yaml.load(stream, Loader=yaml.CSafeLoader)

    ours, theirs = taking_turns(
        {"validate_projects, inside": validate, "PyYAML's C loader, inside": read}, times
    )
    print_ratio("validate ÷ PyYAML, inside one process", ours, theirs)
