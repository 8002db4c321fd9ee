"""The start of the program: what is answered before slow imports, the streams, the exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import taorunner
from taorunner import __main__ as entry
from taorunner.version import __version__

SLOW = ("typer", "rich", "pydantic")


def shell(command: str, tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of sh in which ``$T`` is the program."""
    line = command.replace("$T", f"{sys.executable} -m taorunner")
    environ = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), **env}
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, check=False, cwd=tmp_path, env=environ
    )


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("--version", f"taorunner {__version__}"),
        ("-V", f"taorunner {__version__}"),
        ("-h", "Train computer-vision models with NVIDIA TAO Toolkit."),
        ("--help", "Train computer-vision models with NVIDIA TAO Toolkit."),
    ],
)
def test_version_and_first_help_page_without_slow_imports(tmp_path: Path, words: str, first: str) -> None:
    line = f"{sys.executable} -X importtime -m taorunner {words}"
    done = subprocess.run(line.split(), capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, first)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint(SLOW)


def test_an_output_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    done = shell("$T --version >/dev/full", tmp_path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (4, "error: no space left on device [disk]")


def test_other_words_are_answered_by_the_full_command_line(tmp_path: Path) -> None:
    done = shell("$T nosuchcommand", tmp_path)
    assert done.returncode == 2
    assert "nosuchcommand" in done.stderr


@pytest.mark.parametrize("variable", ["_TAORUNNER_COMPLETE", "_TAO_RUNNER_COMPLETE"])
def test_a_key_press_is_answered_with_candidates(tmp_path: Path, variable: str) -> None:
    words = {"COMP_WORDS": "taorunner evalu", "COMP_CWORD": "1"}
    done = shell("$T", tmp_path, **{variable: "complete_bash"}, **words)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["evaluate"], "")


def test_closed_streams_are_opened_again(tmp_path: Path) -> None:
    """Otherwise the first file that is opened would be standard output."""
    code = (
        "import os, sys; from taorunner.__main__ import _open_closed_streams as opened; opened();"
        "print([os.readlink(f'/proc/self/fd/{n}') == '/dev/null' for n in (0, 1, 2)],"
        "      sys.stdin.read(), file=open('seen', 'w'));"
        "print('lost'); print('lost', file=sys.stderr); sys.stdout.flush()"
    )
    for closed, was_closed in (
        ("<&-", [True, False, False]),
        (">&-", [False, True, False]),
        ("<&- >&- 2>&-", [True, True, True]),
    ):
        line = f'echo | {sys.executable} -c "$CODE" {closed}'
        done = shell(line, tmp_path, CODE=code)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "seen").read_text().split("]")[0] == str(was_closed)[:-1]


def test_the_last_flush_decides_the_exit_code() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for code, expected in ((0, 1), (3, 3)):
        program = f"import sys; from taorunner.__main__ import _leave; print('x'); _leave({code})"
        with Path("/dev/full").open("w", encoding="utf-8") as full:
            done = subprocess.run([sys.executable, "-c", program], stdout=full, env=environ, check=False)
        assert done.returncode == expected
    program = "import sys; from taorunner.__main__ import _leave; sys.stdout = None; _leave(5)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 5


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["parts"],
        ["parts", "train", "--dry-run"],
        ["networks", "train"],
        ["logs", "run"],
        ["dataset", "convert", "parts"],
        ["specs", "show", "parts", "train"],
    ],
)
def test_no_supervisor_starts_for_words_without_a_run(words: list[str]) -> None:
    assert entry._early_supervisor(words) is None


def test_a_supervisor_starts_for_an_action_and_ends_when_it_is_not_needed() -> None:
    """It has nothing to do once its pipe is closed."""
    program = (
        "from taorunner.__main__ import _early_supervisor as early; found = early(['parts', 'train', 'e1']);"
        "print(type(found).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "Supervisor\n")


def test_the_public_names_are_loaded_and_others_are_not() -> None:
    assert {getattr(taorunner, name).__name__ for name in taorunner.__all__ if name[0] != "_"} == {
        name for name in taorunner.__all__ if name[0] != "_"
    }
    assert set(taorunner.__all__) <= set(dir(taorunner))
    with pytest.raises(AttributeError, match="module 'taorunner' has no attribute 'nothing'"):
        taorunner.nothing  # noqa: B018
