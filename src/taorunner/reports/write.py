"""Writes a report to its place, and replaces there nothing but an earlier report."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from pathlib import Path

from taorunner.atomic_files import write_bytes
from taorunner.disk_room import is_no_room
from taorunner.errors import MachineError, UsageError
from taorunner.reports.page import GENERATOR
from taorunner.text import printable

_MARK = f'<meta name="generator" content="{GENERATOR}">'.encode()
_HEAD = 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def check_place(path: Path, *, overwrite: bool, makes_folder: bool = False) -> None:
    """Raises UsageError where a report cannot be written to ``path``: a folder, a file that is no report and is not to
    be replaced, a folder that is not there, but with ``makes_folder``: that of a path which nobody typed."""
    shown = printable(str(path))
    if path.is_dir():
        raise UsageError(
            f'"{shown}" is a folder', hint=f"name a file: -o {printable(str(path / 'report.html'))}"
        )
    if path.parent.exists() and not path.parent.is_dir():
        raise UsageError(
            f'"{printable(str(path.parent))}" is not a folder', hint="write it elsewhere: -o FILE"
        )
    if not makes_folder and not path.parent.exists():
        folder = printable(str(path.parent))
        raise UsageError(
            f'there is no folder "{folder}"',
            hint=f"make it: mkdir -p {shlex.quote(folder)}; or write the report elsewhere: -o FILE",
        )
    if not overwrite and os.path.lexists(path) and not _is_report(path):
        raise UsageError(
            f'"{shown}" exists and is not a report of taorunner',
            hint="choose another file with -o, or replace it with --overwrite",
        )


def write_report(path: Path, html: str, *, overwrite: bool = False, makes_folder: bool = False) -> int:
    """Atomically; returns the size in bytes.

    Raises as ``check_place``, MachineError where it cannot be written, and OSError for a full disk.
    """
    check_place(path, overwrite=overwrite, makes_folder=makes_folder)
    data = html.encode("utf-8", "replace")
    try:
        if makes_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
    except OSError as error:
        if is_no_room(error):
            raise
        shown, reason = printable(str(path)), (error.strerror or "").lower()
        raise MachineError(
            f'"{shown}" cannot be written: {reason}',
            hint="write it elsewhere: -o FILE",
        ) from error
    return len(data)


def _is_report(path: Path) -> bool:
    """A link is none."""
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise
    with os.fdopen(descriptor, "rb") as file:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and _MARK in file.read(_HEAD)
