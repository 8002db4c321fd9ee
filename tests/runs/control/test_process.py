"""What a supervisor imports before its first run can start."""

from __future__ import annotations

import subprocess
import sys


def test_a_supervisor_is_ready_without_what_few_runs_need() -> None:
    """Every run waits for these imports; the ones below took a sixth of the time of taorunner's own modules."""
    code = """import sys
from taorunner.runs.control.process import _get_ready
_get_ready()
print(*sorted(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = done.stdout.split()
    assert {"docker", "taorunner.runs.supervisor.batch_runner"} <= set(imported)
    unwanted = (
        "taorunner.specs",
        "taorunner.console",
        "taorunner.cli",
        "rich",
        "typer",
        "pydantic",
        "ruamel",
    )
    assert [name for name in imported if name.startswith(unwanted)] == []
