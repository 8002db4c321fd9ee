import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.console.base.findings_text import (
    count_text,
    finding_lines,
    findings_json,
    print_error,
    print_findings,
    print_validation,
)
from taorunner.console.base.theme import ASCII, UNICODE, make_console
from taorunner.errors import Finding, Severity, UserFilesError


def printed(findings, here, symbols=UNICODE):
    return [line.plain for line in finding_lines(findings, symbols, here=here)]


def finding(file=None, line=None, column=None, **more):
    values = {"severity": Severity.ERROR, "code": "unknown-key", "message": 'unknown key "backbome"', **more}
    return Finding(**values, file=file, line=line, column=column)


def test_findings_are_sorted_by_place_with_line_and_caret(tmp_path):
    file = tmp_path / "experiments.yml"
    file.write_text("experiments:\n  e1:\n    backbome: resnet18\n\tx: 1\n", encoding="utf-8")
    findings = [
        finding(file, 4, 2, severity=Severity.WARNING, code="tab", message="[red]tab[/red]"),
        finding(file, 3, 5, hint='did you mean "backbone"?'),
        finding(
            Path("/elsewhere/data"), code="missing", message="no such folder", hint="mkdir it\nthen go on"
        ),
        finding(message="Docker is not here", code="no-docker"),
        finding(file, 3, 5, hint='did you mean "backbone"?'),
    ]
    assert printed(findings, tmp_path) == [
        "error: Docker is not here [no-docker]",
        "/elsewhere/data: error: no such folder [missing]",
        "  hint: mkdir it",
        "        then go on",
        'experiments.yml:3:5: error: unknown key "backbome" [unknown-key]',
        "     3 │     backbome: resnet18",
        "       │     ^",
        '  hint: did you mean "backbone"?',
        "experiments.yml:4:2: warning: [red]tab[/red] [tab]",
        "     4 │     x: 1",
        "       │     ^",
    ]
    assert count_text(findings) == "3 errors, 1 warning"
    assert [item["code"] for item in findings_json(findings)] == [
        "no-docker",
        "missing",
        "unknown-key",
        "tab",
    ]


def test_of_a_long_line_the_part_around_the_column_is_shown(tmp_path):
    file = tmp_path / "x.yml"
    file.write_text("k: [" + "a, " * 3000 + "警, here]\n", encoding="utf-8")
    column = file.read_text(encoding="utf-8").index("here") + 1
    _, line, caret = printed([finding(file, 1, column)], tmp_path)
    assert len(line) < 120
    assert line.endswith("警, here]")
    width_before_here = len(line.partition("here")[0]) + 1  # 警 takes two cells
    assert caret.index("^") == width_before_here


@pytest.mark.parametrize("line", [None, 0, -1, 99])
def test_a_place_that_is_not_there_is_reported_without_source(tmp_path, line):
    file = tmp_path / "x.yml"
    file.write_text("a: 1\n", encoding="utf-8")
    assert len(printed([finding(file, line, 1)], tmp_path)) == 1


def test_what_cannot_be_read_is_reported_without_source(tmp_path):
    big = tmp_path / "big.yml"
    big.write_bytes(b"x" * 4_000_001)
    for file in (tmp_path, tmp_path / "gone.yml", big, Path("/dev/zero"), Path("nul\0byte")):
        assert len(printed([finding(file, 1, 1)], tmp_path)) == 1


def test_a_file_of_rubbish_cannot_drive_the_terminal(tmp_path):
    file = tmp_path / "x\x1b[2J.yml"
    file.write_bytes(b"\x1b[31m\xff\x00rubbish\x07\r\n")
    lines = printed([finding(file, 1, 1, message="odd\x1b[2J", hint="\x1b[1mhint")], tmp_path, ASCII)
    assert all(line.isprintable() for line in lines)
    assert lines[0] == "x.yml:1:1: error: odd [unknown-key]"


def test_an_error_is_reported_after_its_findings():
    stream = io.StringIO()
    error = UserFilesError("experiments.yml has an error", hint="see above", findings=[finding()])
    print_error(make_console(stream, {"COLUMNS": "20"}), error)
    assert stream.getvalue() == (
        'error: unknown key "backbome" [unknown-key]\nerror: experiments.yml has an error\nhint: see above\n'
    )


@pytest.mark.parametrize(
    ("with_infos", "is_quiet", "text"),
    [
        (False, False, "error: wrong [unknown-key]\n1 error\n1 note: taorunner validate p -v\n"),
        (False, True, "error: wrong [unknown-key]\n1 error\n"),
        (True, False, "error: wrong [unknown-key]\ninfo: known [unknown-key]\n1 error\n"),
    ],
)
def test_infos_are_counted_unless_they_are_wanted(with_infos, is_quiet, text):
    info = finding(severity=Severity.INFO, message="known")
    stream = io.StringIO()
    print_validation(
        make_console(stream, {}), [info, info, finding(message="wrong")], ["p"],
        with_infos=with_infos, is_quiet=is_quiet,
    )  # fmt: skip
    assert stream.getvalue() == text


def test_the_counts_come_last_and_nothing_is_wrapped_in_a_pipe():
    stream = io.StringIO()
    print_findings(
        make_console(stream, {"COLUMNS": "10"}), [finding(severity=Severity.INFO, message="m " * 40)]
    )
    assert stream.getvalue() == f"info: {'m ' * 40} [unknown-key]\nno problems\n"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(-2, 12), st.integers(-2, 400), st.text(max_size=30))
def test_any_file_and_any_place_can_be_reported(tmp_path_factory, data, line, column, message):
    file = tmp_path_factory.getbasetemp() / "any.yml"
    file.write_bytes(data)
    lines = printed([finding(file, line, column, message=message, hint=message)], file.parent)
    assert all(text.isprintable() for text in lines)
    assert all(len(text) < 150 for text in lines[1:])
