"""``tools/check_failures.py`` on a small file of cases: right, vague and wrong cases are counted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CASES = ROOT / "tests" / "progress" / "data" / "failure_cases.json"
TABLE = """
engine              1  right   0  vague   0  wrong   1
files               2  right   1  vague   1  wrong   0
gpu                 1  right   1  vague   0  wrong   0
all                 4  right   2  vague   1  wrong   1
"""


def _run(*options: str, file: Path = CASES) -> str:
    command = [sys.executable, str(ROOT / "tools" / "check_failures.py"), str(file), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def _names(printed: str) -> list[tuple[str, str]]:
    """``(verdict, id)`` of each case that was printed."""
    heads = [line.split(":", 1)[0].split() for line in printed.splitlines() if " | " in line]
    return [(verdict, name) for verdict, name in heads]


def test_wrong_cases_are_printed_and_all_are_counted_by_area() -> None:
    printed = _run()
    assert _names(printed) == [("wrong", "engine-off")]
    assert "      must not say: ['docker.sock']\n" in printed
    assert printed.endswith(TABLE)


def test_verbose_prints_every_case_and_write_keeps_todays_answer(tmp_path: Path) -> None:
    written = tmp_path / "today.json"
    printed = _run("-v", "--write", str(written))
    verdicts = ["right", "vague", "right", "wrong"]
    before, after = json.loads(CASES.read_text()), json.loads(written.read_text())
    assert _names(printed) == list(zip(verdicts, [case["id"] for case in before], strict=True))
    assert "      says none of: [['words that are not said', 'nor these']]\n" in printed
    assert printed.endswith(TABLE)
    assert [case.pop("verdict_today") for case in after] == verdicts
    assert [case.pop("today")["reason"] for case in after][2] == "the words of status.json"
    assert after == before


def test_only_restricts_what_is_printed_not_what_is_counted() -> None:
    printed = _run("-v", "--only", "vague")
    assert _names(printed) == [("vague", "unknown-network")]
    assert printed.endswith(TABLE)
