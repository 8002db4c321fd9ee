"""Programs under test start with the signals of a terminal, also when the tests themselves run in the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

NUMBERS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def test_a_program_under_test_ignores_no_signal() -> None:
    shown = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    (mask,) = (int(line.split()[1], 16) for line in shown.splitlines() if line.startswith("SigIgn:"))
    assert [number.name for number in NUMBERS if mask & 1 << (number - 1)] == []


@pytest.mark.parametrize("workers", ["0", "1"])
def test_nor_where_the_tests_run_in_the_background(workers: str, tmp_path: Path) -> None:
    """As a script starts them with ``&``, and as nohup does."""
    inner = f"{__file__}::{test_a_program_under_test_ignores_no_signal.__name__}"
    words = [sys.executable, "-m", "pytest", "-q", "-n", workers, "-p", "no:cacheprovider", inner]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        ["sh", "-c", "trap '' HUP TERM; \"$@\" & wait $!", "sh", *words, f"--basetemp={tmp_path / 'inner'}"],
        cwd=Path(__file__).parent.parent, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
