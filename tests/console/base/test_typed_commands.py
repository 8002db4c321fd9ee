"""How often it is asked which command means which project."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from taorunner.console.base.findings_text import findings_json, print_findings
from taorunner.console.base.theme import make_console
from taorunner.console.base.typed_commands import below_data, hints_as_typed, project_option
from taorunner.errors import Finding, Severity


def searches(action: Callable[[], object]) -> int:
    """How often ``action`` looked for the workspace and the project around the current folder."""
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code is project_option.__code__

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


def test_one_search_answers_for_all_findings_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "projects/p/data/d").mkdir(parents=True)
    (tmp_path / "projects/q").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    hint = "taorunner specs refresh e mends it"
    findings = [
        Finding(Severity.ERROR, "bad", f"line {line}", hint, tmp_path / f"projects/{name}/a.yml", line)
        for name in ("p", "q")
        for line in range(1, 200)
    ]
    typed = hints_as_typed(findings)
    assert {one.hint for one in typed} == {f"taorunner -p {name} specs refresh e mends it" for name in "pq"}
    assert searches(lambda: findings_json(hints_as_typed(findings))) == 2
    stream = io.StringIO()
    assert searches(lambda: print_findings(make_console(stream, {}), findings)) == 1  # q is cut off
    assert "398 errors" in stream.getvalue()
    assert print_findings(make_console(stream, {}), findings, most=100) == 298


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/w/projects/p/data", ()),
        ("/w/projects/p/data/d/train/a.json", ("d", "train", "a.json")),
        ("/home/projects/projects/p/data/d", ("d",)),
        ("/w/projects/p/specs/data/d", None),
        ("/w/projects/p", None),
        ("/w/data/d", None),
        ("/", None),
    ],
)
def test_what_is_below_the_data_of_a_project(path: str, parts: tuple[str, ...] | None) -> None:
    assert below_data(Path(path)) == parts
