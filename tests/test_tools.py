"""Every tool can still be loaded: what it takes from the program is there."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOREIGN = {"omegaconf_truth": "omegaconf"}
"""Tools that need a package which the project does not bring."""
TOOLS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tools").rglob("*.py"))
LOAD = """\
import runpy, sys
sys.path[:0] = ["tools", "tools/schemas", "tools/reference"]
for name in sys.argv[1:]:
    runpy.run_path(name, run_name="loaded")
    print(name)
"""


def test_every_tool_can_be_loaded() -> None:
    names = [name for name in TOOLS if not _needs_another_package(Path(name).stem)]
    assert len(names) >= len(TOOLS) - len(FOREIGN) > 10
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *names], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == names, done.stderr


def _needs_another_package(stem: str) -> bool:
    return stem in FOREIGN and importlib.util.find_spec(FOREIGN[stem]) is None


@pytest.mark.parametrize("name", ["tools/schemas/check_omegaconf.py", "tools/schemas/check_protobuf.py"])
def test_a_folder_without_wheels_is_said(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, name, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, f"no wheels in {tmp_path}\n")
