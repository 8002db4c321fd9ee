"""``--on-finish``: which command, what it is given, and that nothing it does touches a run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.errors import UsageError
from taorunner.runs.supervisor.event_sinks.hooks import Hooks, parse_hook

Program = Callable[[str], str]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    def write(body: str) -> str:
        path = tmp_path / "hook"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return str(path)

    return write


def test_words_are_split_without_a_shell(program: Program) -> None:
    path = program("true")
    assert parse_hook(f"{path} --room 'a b' $HOME;x") == (path, "--room", "a b", "$HOME;x")


def test_a_program_is_found_on_path_and_called_by_its_whole_name(program: Program) -> None:
    path = program("true")
    assert parse_hook("hook -x", path=str(Path(path).parent)) == (path, "-x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--on-finish names no command"),
        ("tell 'me", "--on-finish cannot be read: no closing quotation"),
        ("no-such-program-here x", '--on-finish: there is no command "no-such-program-here"'),
    ],
)
def test_what_cannot_be_started_is_said_before_anything_starts(text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_hook(text)
    assert refused.value.message == message and refused.value.hint


def run(argv: list[str], timeout_s: float = 20) -> list[tuple[str, str]]:
    problems: list[tuple[str, str]] = []
    hooks = Hooks(os.environ, lambda run_id, text: problems.append((run_id, text)), timeout_s)
    hooks.start("r1", argv, {"id": "r1", "reason": "grün"}, Path("/"))
    hooks.wait()
    return problems


def test_the_run_comes_as_json_on_standard_input(program: Program, tmp_path: Path) -> None:
    assert run([program(f'cat > "{tmp_path}/$1"'), "sent it"]) == []
    assert json.loads((tmp_path / "sent it").read_text()) == {"id": "r1", "reason": "grün"}


def test_a_failure_is_reported_in_its_last_words(program: Program) -> None:
    assert run([program("echo room closed >&2; exit 3")]) == [
        ("r1", "--on-finish hook ended with code 3: room closed")
    ]


def test_one_that_never_ends_is_ended(program: Program) -> None:
    ((run_id, text),) = run([program("sleep 60")], timeout_s=0.3)
    assert run_id == "r1" and "took longer than 0.3 s" in text


def test_one_that_is_gone_or_does_not_read_is_no_trouble(program: Program, tmp_path: Path) -> None:
    assert run([program("exec <&-; exit 0")]) == []
    assert "there is no command" in run([str(tmp_path / "gone")])[0][1]
