"""The traceback of an internal error: a new file each time, in a place and with a mode that keep it from others."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CALLER, PROGRAM, Cli

CRASHING = """
import os, sys
os.umask(0)
import taorunner.cli.app as app
def broken(words):
    raise KeyError("a fault of ours")
app.app_for = broken
sys.exit(app.run(sys.argv[1:]))
"""
Crash = Callable[[Path], Path]


@pytest.fixture
def crash(cli: Cli, tmp_path: Path) -> Crash:
    """A command that hits a fault in this folder; gives the file that it names, the only one it made."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    temporary.chmod(0o1777)

    def run(cwd: Path) -> Path:
        before = {*tmp_path.rglob("*.log")}
        program = (PROGRAM[0], "-c", CRASHING)
        done = cli("projects", cwd=cwd, env={"TMPDIR": str(temporary)}, program=program)
        first, second, third = done.err.splitlines()
        assert (done.code, done.out) == (70, ""), done
        assert first == "internal error: KeyError: 'a fault of ours' [internal]"
        assert third == "  runs are not affected; send that file with the bug report"
        (made,) = {*tmp_path.rglob("*.log")} - before
        assert second.startswith("  traceback: ") and second.endswith(made.name)
        text = made.read_text()
        assert text.startswith("taorunner ") and "KeyError: 'a fault of ours'" in text
        assert stat.S_IMODE(made.stat().st_mode) == 0o600
        assert re.fullmatch(r"(taorunner-)?crash-\d{8}-\d{6}-\w{8}\.log", made.name)
        return made

    return run


def test_it_lies_in_the_state_folder_of_the_workspace(crash: Crash, tmp_path: Path) -> None:
    state = tmp_path / "workspace/.taorunner"
    below = tmp_path / "workspace/projects/p"
    state.mkdir(parents=True)
    below.mkdir(parents=True)
    first, second = crash(below), crash(below)
    assert first.parent == second.parent == state and first != second


def test_without_a_workspace_it_lies_in_the_temporary_folder(crash: Crash, tmp_path: Path) -> None:
    assert crash(tmp_path).parent == tmp_path / "temporary"


def test_a_state_folder_that_is_a_link_gets_nothing(crash: Crash, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace/.taorunner").symlink_to(tmp_path / "elsewhere")
    assert crash(tmp_path / "workspace").parent == tmp_path / "temporary"
    assert [*(tmp_path / "elsewhere").iterdir()] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")
def test_a_state_folder_of_another_user_gets_nothing(crash: Crash, tmp_path: Path) -> None:
    state = tmp_path / "workspace/.taorunner"
    state.mkdir(parents=True)
    state.chmod(0o777)
    os.chown(state, CALLER + 1, -1)
    assert crash(tmp_path / "workspace").parent == tmp_path / "temporary"
    assert [*state.iterdir()] == []
