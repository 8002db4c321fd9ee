"""Each kind of damage to each state file is shown by every reading command, and ends none. CI tries a fixed part."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "damaged_state.py"


def test_no_damage_ends_or_hangs_a_reading_command() -> None:
    command = [sys.executable, str(TOOL), "--every", "1501"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.match(r"(\d+) files, (\d+) of (\d+) damages, (\d+) commands, 0 kinds of faults", done.stdout)
    assert counts is not None, done.stdout
    files, tried, known, commands = map(int, counts.groups())
    assert (files > 25, tried > 12, known > 15_000, commands >= 5 * tried) == (True, True, True, True)


def test_what_was_put_in_the_place_of_a_file_is_removed_for_the_next_damage() -> None:
    command = [sys.executable, str(TOOL), "--only", "taorunner.lock", "--what", "file: is a"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "1 files, 5 of 301 damages" in done.stdout) == (0, True), (
        done.stdout + done.stderr
    )


def test_damaged_sweeps_are_named() -> None:
    command = [sys.executable, str(TOOL), "--only", "sweeps/", "--what", "file: ", "--every", "16"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.startswith("3 files, ")) == (0, True), done.stdout + done.stderr


def test_an_internal_error_is_found(tmp_path: Path) -> None:
    """As of a reader that has no answer for a record that is no object."""
    planted = tmp_path / "planted.py"
    planted.write_text(f"""\
import runpy, sys
from taorunner.runs.state.record import RunRecord
read = RunRecord.from_json
def broken(body):
    assert isinstance(body, dict), "planted"
    return read(body)
RunRecord.from_json = staticmethod(broken)
sys.argv = ["tool", "--only", "928b4e/record.json", "--what", "is 2 "]
runpy.run_path({str(TOOL)!r}, run_name="__main__")
""")
    done = subprocess.run([sys.executable, str(planted)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "record.json: file: is " in done.stdout
    assert "internal error: AssertionError: planted" in done.stdout
