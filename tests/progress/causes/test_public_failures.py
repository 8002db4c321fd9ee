"""Failures that people and NVIDIA's own pages reported, with the truth that was judged before any of them was read here.

``data/public_failures.json`` has the form of ``tools/check_failures.py``: the error lines are those of the programs, the
lines around them are composed. ``source`` says where each text was found.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
CASES = json.loads(
    (ROOT / "tests" / "progress" / "data" / "public_failures.json").read_text(encoding="utf-8")
)
judge_case = runpy.run_path(str(ROOT / "tools" / "check_failures.py"))["judge_case"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_cause_and_next_step_of_a_public_failure_are_said(case: dict[str, Any]) -> None:
    judged = judge_case(case)
    assert (judged.forbidden, judged.missing) == ([], []), judged.said


def test_cases_are_complete_and_differ() -> None:
    assert len({case["id"] for case in CASES}) == len(CASES)
    assert all(case["source"] and case["cause"] and case["next_step"] and case["must_say"] for case in CASES)
