"""Processes to kill: which ones a run has, and killing them so that it is known whether there was something to kill."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

from command_line import wait_for

from taorunner.state_files import is_locked


def kill(pid: int | None) -> bool:
    """Whether there was a process to kill; one that has ended and only waits to be collected does not count."""
    if pid is None or is_ended(pid):
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def is_ended(pid: int) -> bool:
    """Whether it has ended with all its threads. The first one may wait to be collected while another one still ends:
    until that is over, the process has its files open and holds its locks."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state in ("Z", "X") and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except OSError:
        return True


def is_free(lock: Path) -> bool:
    return not is_locked(lock)


def kill_supervisors(workspace: Path) -> int:
    """Kills the supervisors of a workspace and waits until each has let go of its batch: a command that comes before
    that finds it supervised. How many there were."""
    killed = 0
    for lock in sorted(workspace.glob(".taorunner/batches/*/supervisor.lock")):
        pid = lock.read_text().strip()
        if pid and is_locked(lock):
            killed += kill(int(pid))
            wait_for(partial(is_free, lock))
    return killed


def child_of(pid: int) -> int | None:
    """The supervisor that a viewer started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def processes_with(text: str) -> list[int]:
    """Live processes that have ``text`` in their command line or in their environment."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid() or is_ended(int(name)):
            continue
        try:
            words = Path("/proc", name, "cmdline").read_bytes() + Path("/proc", name, "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in words:
            found.append(int(name))
    return found
