"""The reaper: starts one process in a new session, waits for it, and records how it ended.

``process.backend`` runs it as a script (``python -I -S reaper.py PROCESS_DIR WORKDIR COMMAND…``), so it imports
the standard library only. It survives its caller, and the process survives the reaper. Files in PROCESS_DIR:

    lock          held (flock) while the reaper lives
    started.json  pid, start time and boot id, which together identify one process
    exit.json     exit code (128 + n for signal n), time, and whether memory ran out; written atomically
    stdout, stderr

It prints one line on its own standard output, which reports whether the process was started.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

RUN_VARIABLE = "TAORUNNER_RUN"
"""Holds PROCESS_DIR in the environment of the process: identifies children that left its session. A run id would not
do, as two workspaces may use the same one."""

_FULL_DISK_S = 0.5
_FULL_BYTES = 64 * 1024
_RESERVED_BYTES = 4096
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGTSTP)


def main(argv: list[str]) -> None:
    directory, workdir, *command = argv
    if os.fork():
        os._exit(0)  # the caller must not have to reap it
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    lock = os.open(f"{directory}/lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _answer({"busy": True})
        return
    if os.path.exists(f"{directory}/started.json"):  # noqa: PTH110 - pathlib takes longer to load than all of this
        _answer({"busy": True})
        return
    try:
        _reserve(f"{directory}/exit.json.new")
    except OSError as full:
        _answer({"unrecordable": full.errno})
        return
    kills_before = memory_kills()
    pid, go, failure = _fork(directory, workdir, command)
    write_json(
        f"{directory}/started.json",
        {"pid": pid, "start": start_time(pid), "boot": boot_id(), "at": time.time()},
    )
    with suppress(OSError):  # it may have failed already
        os.write(go, b"g")
    os.close(go)
    error = os.read(failure, 64)
    if error:
        os.waitpid(pid, 0)
        os.unlink(f"{directory}/started.json")  # noqa: PTH108
        _answer({"errno": int(error)})
        return
    _answer({"pid": pid})
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)  # remaining children, while the group id is still in use
    kill_marked(directory, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    body: dict[str, Any] = {
        "full": full_disk([directory, workdir, os.environ.get("TMPDIR") or "/tmp"]),
        "exit_code": code if code >= 0 else 128 - code,
        "oom_killed": code != 0 and memory_kills() > kills_before,
        "at": time.time(),
    }
    while not _is_written(lambda: write_json(f"{directory}/exit.json", body)):
        time.sleep(_FULL_DISK_S)  # the exit code is known only here


def full_disk(places: list[str]) -> str | None:
    """The first of the folders whose disk has no room for a file, or no inode."""
    for place in places:
        with suppress(OSError):
            found = os.statvfs(place)
            if found.f_bavail * found.f_frsize < _FULL_BYTES or (found.f_files and not found.f_favail):
                return place
    return None


def _is_written(write: Callable[[], None]) -> bool:
    """Calls ``write``. False when the disk takes nothing now: it is full, or became read-only after a fault."""
    try:
        write()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
            raise
        return False
    return True


def _reserve(path: str) -> None:
    """Takes the space and the inode of the file, so that it can be written when the disk is full. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.posix_fallocate(handle, 0, _RESERVED_BYTES)
    finally:
        os.close(handle)


def write_json(path: str, body: dict[str, Any]) -> None:
    """Writes a JSON file atomically and durably, into the space that was reserved for it."""
    handle = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        data = json.dumps(body).encode()
        at = 0
        while at < len(data):  # a write to a full disk may be short
            at += os.pwrite(handle, data[at:], at)
        os.ftruncate(handle, len(data))
        os.fsync(handle)
    finally:
        os.close(handle)
    os.rename(f"{path}.new", path)  # noqa: PTH104
    with suppress(OSError):
        folder = os.open(os.path.dirname(path), os.O_RDONLY)  # noqa: PTH120
        os.fsync(folder)
        os.close(folder)


def start_time(pid: int) -> int | None:
    """The start time of the process in clock ticks since boot; None when it does not exist or is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""


def kill_marked(directory: str, number: int) -> int:
    """Signals every process whose environment names this PROCESS_DIR. Returns their number."""
    mark = os.fsencode(f"{RUN_VARIABLE}={os.path.realpath(directory)}\0")
    found = 0
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123
                environ = file.read()
            if environ.startswith(mark) or b"\0" + mark in environ:
                if start_time(int(name)) is None:
                    continue
                os.kill(int(name), number)
                found += 1
        except OSError:
            continue  # not ours, or gone meanwhile
    return found


def memory_kills() -> int:
    """The number of out-of-memory kills in this control group."""
    total = 0
    try:
        with open("/proc/self/cgroup") as file:  # noqa: PTH123
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return 0
    for number, controllers, path in groups:
        if number == "0" and not controllers:
            files = [f"/sys/fs/cgroup{path}/memory.events", "/sys/fs/cgroup/memory.events"]
        elif "memory" in controllers.split(","):
            files = [
                f"/sys/fs/cgroup/memory{path}/memory.oom_control",
                "/sys/fs/cgroup/memory/memory.oom_control",
            ]
        else:
            continue
        for name in files:
            with suppress(OSError), open(name) as file:  # noqa: PTH123
                total += sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
                break
    return total


def _fork(directory: str, workdir: str, command: list[str]) -> tuple[int, int, int]:
    """Forks a child that waits for one byte and then executes the command.

    Returns its pid, the descriptor to write that byte to, and the descriptor to read an errno from (end of file when
    the command was executed).
    """
    go_read, go_write = os.pipe()
    failure_read, failure_write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(go_read)
        os.close(failure_write)
        return pid, go_write, failure_read
    try:
        os.setsid()
        os.close(go_write)
        for number in (*_IGNORED, signal.SIGPIPE, signal.SIGXFSZ):  # the last two by Python
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        os.dup2(os.open(f"{directory}/stdout", flags, 0o600), 1)
        os.dup2(os.open(f"{directory}/stderr", flags, 0o600), 2)
        os.chdir(workdir)
        if os.read(go_read, 1) != b"g":
            os._exit(127)  # the reaper died before it recorded the process: do not run it
        os.environ[RUN_VARIABLE] = os.path.realpath(directory)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(failure_write, str(error.errno or errno.EINVAL).encode())
    finally:
        os._exit(127)


def _answer(body: dict[str, Any]) -> None:
    with suppress(OSError):  # the caller may have exited: continue
        os.write(1, json.dumps(body).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
