"""Findings and the exit codes that scripts rely on."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.errors import (
    EngineRefusedError,
    ExitCode,
    Finding,
    MachineError,
    RunStateError,
    Severity,
    TaorunnerError,
    UnknownNameError,
    UsageError,
    UserFilesError,
    has_errors,
)


def test_exit_codes_are_part_of_the_interface() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "RUN_FAILED": 1,
        "USAGE": 2,
        "USER_FILES": 3,
        "MACHINE": 4,
        "ENGINE_REFUSED": 5,
        "NO_SUCH_RUN": 6,
        "BUG": 70,
        "INTERRUPTED": 130,
    }


def test_each_kind_of_error_has_its_exit_code() -> None:
    kinds = (TaorunnerError, UsageError, UserFilesError, MachineError, EngineRefusedError, RunStateError)
    assert [kind.exit_code for kind in kinds] == [70, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("file", "line", "column", "place"),
    [
        (None, 3, 4, ""),
        (Path("a.yml"), None, None, "a.yml"),
        (Path("a.yml"), 3, None, "a.yml:3"),
        (Path("a.yml"), 3, 4, "a.yml:3:4"),
        (Path("a.yml"), None, 4, "a.yml"),
    ],
)
def test_a_place_as_far_as_it_is_known(
    file: Path | None, line: int | None, column: int | None, place: str
) -> None:
    assert Finding(Severity.ERROR, "code", "text", None, file, line, column).place == place


def test_the_shape_of_a_finding_in_json() -> None:
    assert Finding(Severity.WARNING, "code", "text", "hint", Path("a.yml"), 3, 4).to_json() == {
        "severity": "warning",
        "code": "code",
        "message": "text",
        "hint": "hint",
        "file": "a.yml",
        "line": 3,
        "column": 4,
    }
    assert Finding(Severity.OK, "code", "text").to_json()["file"] is None


def test_findings_are_values() -> None:
    one = Finding(Severity.ERROR, "code", "text")
    assert len({one, Finding(Severity.ERROR, "code", "text")}) == 1
    with pytest.raises(AttributeError):
        one.message = "other"  # type: ignore[misc]


def test_only_errors_prevent_an_action() -> None:
    mild = [Finding(severity, "code", "text") for severity in Severity if severity is not Severity.ERROR]
    assert not has_errors(mild)
    assert has_errors([*mild, Finding(Severity.ERROR, "code", "text")])


def test_an_error_keeps_its_hint_and_findings() -> None:
    finding = Finding(Severity.ERROR, "code", "text")
    error = UserFilesError("wrong", hint="correct it", findings=[finding])
    assert (str(error), error.message, error.hint, error.findings) == (
        "wrong", "wrong", "correct it", (finding,),
    )  # fmt: skip


def test_an_error_as_findings_is_itself_unless_its_findings_explain_it() -> None:
    warning, wrong = Finding(Severity.WARNING, "old", "text"), Finding(Severity.ERROR, "bad", "text")
    whole = Finding(Severity.ERROR, "machine", "no engine", "start it")
    assert MachineError("no engine", hint="start it").as_findings() == (whole,)
    assert MachineError("no engine", hint="start it", findings=[warning]).as_findings() == (warning, whole)
    assert UserFilesError("nothing was started", findings=[warning, wrong]).as_findings() == (warning, wrong)


def test_each_kind_of_error_has_a_code_of_its_own() -> None:
    kinds = (
        TaorunnerError, UsageError, UserFilesError, UnknownNameError, MachineError, EngineRefusedError, RunStateError,
    )  # fmt: skip
    assert len({kind.code for kind in kinds}) == len(kinds)
