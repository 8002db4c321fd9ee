"""Sections, one line for what is well, the repair below what is not: on a terminal, in a pipe, in ASCII."""

from __future__ import annotations

import io
from pathlib import Path

from pretended_terminal import Terminal
from rich.console import Console

from taorunner.console.base.theme import make_console
from taorunner.console.pages.doctor_view import DoctorView
from taorunner.errors import Finding, Severity

FINDINGS = [
    Finding(Severity.OK, "engine", "docker engine 24.0.7"),
    Finding(Severity.INFO, "toolkit", "no toolkit on PATH", "see here"),
    Finding(Severity.WARNING, "login-missing", 'not logged in at "nvcr.io"', "docker login nvcr.io"),
    Finding(Severity.ERROR, "runtime-missing", "no runtime", "first line\nsecond line"),
]


def shown(*findings: Finding, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    view = DoctorView(make_console(stream, {}))
    with view.waiting():
        view.show("container engine", findings)
    view.verdict()
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode(encoding)


def on_terminal(width: int, *findings: Finding) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, color_system=None, highlight=False)
    DoctorView(console).show("section", findings)
    return stream.getvalue().splitlines()


def test_in_a_pipe() -> None:
    assert shown(*FINDINGS) == (
        "container engine\n"
        "  ✓ docker engine 24.0.7\n"
        "  · no toolkit on PATH\n"
        "    → see here\n"
        '  ! warning: not logged in at "nvcr.io" [login-missing]\n'
        "    → docker login nvcr.io\n"
        "  ✗ error: no runtime [runtime-missing]\n"
        "    → first line\n"
        "      second line\n"
        "\n"
        "not fit: 1 error, 1 warning\n"
    )


def test_infos_are_counted_unless_they_are_wanted() -> None:
    for is_quiet, last in ((False, "2 infos: taorunner doctor -v\n"), (True, "")):
        stream = io.StringIO()
        view = DoctorView(make_console(stream, {}), with_infos=False)
        view.show("a", [FINDINGS[1]])
        view.show("b", [FINDINGS[0], Finding(Severity.INFO, "x", "y")])
        view.verdict(is_quiet=is_quiet)
        assert stream.getvalue() == f"b\n  ✓ docker engine 24.0.7\n\nfit\n{last}"


def test_in_ascii() -> None:
    assert shown(FINDINGS[0], FINDINGS[2], encoding="ascii") == (
        "container engine\n"
        "  + docker engine 24.0.7\n"
        '  ! warning: not logged in at "nvcr.io" [login-missing]\n'
        "    > docker login nvcr.io\n"
        "\n"
        "fit, with 1 warning\n"
    )


def test_verdicts() -> None:
    assert shown(FINDINGS[0]).endswith("\nfit\n")
    assert shown() == "fit\n"
    assert shown(FINDINGS[3], FINDINGS[3]).endswith("\nnot fit: 2 errors\n")


def test_a_section_has_one_head_and_an_empty_answer_none() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    view = DoctorView(make_console(stream, {}))
    for section, findings in (("a", FINDINGS[:1]), ("a", FINDINGS[:1]), ("b", []), ("c", FINDINGS[:1])):
        view.show(section, findings)
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    well = "  ✓ docker engine 24.0.7\n"
    assert raw.getvalue().decode() == f"a\n{well}{well}\nc\n{well}"


def test_on_a_terminal_words_stay_whole_and_the_rest_wraps() -> None:
    message = "this is a message that is longer than the fifty columns of that terminal"
    lines = on_terminal(50, Finding(Severity.ERROR, "a-code", message, "one --very-long command " * 4))
    assert lines[:3] == [
        "section",
        "  ✗ error: this is a message that is longer than",
        "    the fifty columns of that terminal [a-code]",
    ]
    assert "".join(lines[3:]).strip() == "→ " + ("one --very-long command " * 4).strip()


def test_a_terminal_that_is_too_narrow_does_not_wrap() -> None:
    message = "this is a message that is longer than the columns of that terminal"
    lines = on_terminal(14, Finding(Severity.ERROR, "a-code", message))
    assert lines == ["section", f"  ✗ error: {message} [a-code]"]


def test_a_spinner_is_drawn_on_a_terminal_only_and_not_when_quiet() -> None:
    for stream, is_quiet, is_drawn in (
        (Terminal(), False, True),
        (Terminal(), True, False),
        (io.StringIO(), False, False),
    ):
        with DoctorView(make_console(stream, {"TERM": "xterm", "COLUMNS": "80"})).waiting(is_quiet=is_quiet):
            pass
        assert ("checking" in stream.getvalue()) == is_drawn


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = shown(Finding(Severity.WARNING, "x", "bad \x1b[31mname\x07", "rm \x1b]0;evil\x07x"))
    assert "\x1b" not in text and "\x07" not in text


def test_a_file_is_named_where_it_is(tmp_path: Path) -> None:
    file = Path.cwd() / "here.json"
    finding = Finding(Severity.ERROR, "x", "wrong", None, file, 3, 7)
    assert shown(finding).splitlines()[1] == "  ✗ error: here.json:3:7: wrong [x]"
