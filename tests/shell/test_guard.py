"""The guard ends the container of a shell that was killed, and does nothing after one that has cleaned up."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from scripted_engine import Container, ScriptedEngine

from taorunner.shell.guard import ShellGuard


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "shells" / "r1"
    folder.mkdir(parents=True)
    (folder / "secret").write_text("x")
    return folder


@contextmanager
def guard_of(run_dir: Path) -> Iterator[ShellGuard]:
    guard = ShellGuard("taorunner-r1", run_dir)
    process = guard._process
    assert process.stdout is not None
    with process.stdout:
        yield guard
        assert process.wait(120) == 0


def test_a_guard_that_is_dismissed_does_nothing(scripted: ScriptedEngine, run_dir: Path) -> None:
    scripted.containers["taorunner-r1"] = Container(status="running")
    with guard_of(run_dir) as guard:
        guard.wait_until_ready()
        guard.dismiss()
        guard.dismiss()
    assert (run_dir / "secret").exists()
    assert scripted.calls == []


@pytest.mark.parametrize("has_another", [False, True])
def test_a_guard_that_is_left_alone_ends_the_container_and_removes_the_files(
    scripted: ScriptedEngine, run_dir: Path, has_another: bool
) -> None:
    scripted.containers["taorunner-r1"] = Container(status="running")
    if has_another:
        (run_dir.parent / "r2").mkdir()
    with guard_of(run_dir) as guard:
        guard.wait_until_ready()
        guard.leave_the_rest()
    assert scripted.changes == ["POST /containers/taorunner-r1/kill", "DELETE /containers/taorunner-r1"]
    assert not run_dir.exists()
    assert run_dir.parent.exists() is has_another


def test_a_container_that_appears_a_moment_later_is_ended(scripted: ScriptedEngine, run_dir: Path) -> None:
    def create() -> None:
        scripted.containers["taorunner-r1"] = Container()

    timer = threading.Timer(1.5, create)
    with guard_of(run_dir) as guard:
        timer.start()
        guard.leave_the_rest()
    timer.join()
    assert scripted.containers == {}


def test_a_killed_shell_leaves_its_terminal_as_it_was(scripted: ScriptedEngine, run_dir: Path) -> None:
    code = (
        "import os, signal, sys, tty\n"
        "from pathlib import Path\n"
        "from taorunner.shell.guard import ShellGuard\n"
        "guard = ShellGuard('taorunner-r1', Path(sys.argv[1]))\n"
        "guard.wait_until_ready()\n"
        "tty.setraw(0)\n"
        "print(guard._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    scripted.containers["taorunner-r1"] = Container()
    end, inside = pty.openpty()
    before = termios.tcgetattr(inside)
    try:
        with subprocess.Popen(
            [sys.executable, "-c", code, str(run_dir)], stdin=inside, stdout=subprocess.PIPE
        ) as shell:
            assert shell.stdout is not None
            guard = int(shell.stdout.readline())
            assert termios.tcgetattr(inside) != before
            shell.wait(120)
        until_s = time.monotonic() + 100
        while Path(f"/proc/{guard}/exe").exists() and time.monotonic() < until_s:
            time.sleep(0.02)
        assert termios.tcgetattr(inside) == before
    finally:
        os.close(end)
        os.close(inside)
