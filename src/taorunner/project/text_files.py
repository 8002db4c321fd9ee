"""Reads text files of the user safely: never hangs on a pipe, never loads a huge file.

Problems are returned as findings. The meaning of the text is left to the caller.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from taorunner.errors import Finding, Severity
from taorunner.text import printable, size
from taorunner.values.value import Value

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class TextFile(Value):
    """``text`` is None exactly when ``findings`` has the reason."""

    text: str | None
    findings: tuple[Finding, ...] = ()


def read_text_file(path: Path, *, max_bytes: int) -> TextFile:
    """The text of a UTF-8 file, with or without byte order mark. Never raises or blocks."""
    try:
        return _read(path, max_bytes)
    except FileNotFoundError:
        return _missing(path)
    except IsADirectoryError:
        return _bad(
            path,
            "is-a-directory",
            f'"{path.name}" is a folder, not a file',
            "move the folder away",
        )
    except OSError as error:
        if error.errno == errno.ELOOP:
            return _bad(
                path, "link-loop", f'"{path.name}" is a link that leads back to itself', "remove the link"
            )
        if isinstance(error, PermissionError):
            hint = f'make it readable: chmod u+r "{path}"'
            return _bad(path, "unreadable", f'"{path.name}" cannot be read: permission denied', hint)
        return _bad(
            path, "unreadable", f'"{path.name}" cannot be read: {(error.strerror or "unknown").lower()}'
        )


def _read(path: Path, max_bytes: int) -> TextFile:
    problem = _kind_problem(path, path.stat())
    if problem is not None:
        return problem
    # Without O_NONBLOCK this would block if the file was replaced by a pipe after the check above.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
        status = os.fstat(descriptor)
        problem = _kind_problem(path, status)
        if problem is not None:
            return problem
        if status.st_size > max_bytes:
            return _too_large(path, status.st_size, max_bytes)
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        return _too_large(path, len(data), max_bytes)
    return _decoded(path, data)


def _kind_problem(path: Path, status: os.stat_result) -> TextFile | None:
    if stat.S_ISREG(status.st_mode):
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError
    return _bad(path, "not-a-file", f'"{path.name}" is not a regular file', "replace it by a text file")


def _decoded(path: Path, data: bytes) -> TextFile:
    if data.startswith(_UTF16_MARKS):
        return _bad(path, "not-utf8", f'"{path.name}" is UTF-16 text', "save it as UTF-8", 1, 1)
    try:
        return TextFile(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        mark = 3 if data.startswith(b"\xef\xbb\xbf") else 0
        position = error.start + mark
        line = data.count(b"\n", 0, position) + 1
        column = len(data[data.rfind(b"\n", 0, position) + 1 : position].decode("utf-8", "replace")) + 1
        message = f'"{path.name}" is not UTF-8 text: byte {position} is 0x{data[position]:02X}'
        return _bad(path, "not-utf8", message, "save it as UTF-8", line, column)


def _missing(path: Path) -> TextFile:
    if os.path.lexists(path):
        try:
            target = printable(str(path.readlink()))
        except OSError:
            target = "?"
        message = f'"{path.name}" is a link to "{target}", which does not exist'
        return _bad(path, "dangling-link", message, "create the target, or remove the link")
    twin = path.with_suffix(".yaml" if path.suffix == ".yml" else ".yml")
    hint = (
        f'rename "{twin.name}" to "{path.name}"'
        if os.path.lexists(twin)
        else "create it, or move the folder away"
    )
    return _bad(path, "missing-file", f'no file "{path.name}" in "{path.parent}"', hint)


def _too_large(path: Path, count_bytes: int, max_bytes: int) -> TextFile:
    message = f'"{path.name}" has {size(count_bytes)}, more than {size(max_bytes)}'
    return _bad(path, "too-large", message, "is this the right file?")


def _bad(
    path: Path,
    code: str,
    message: str,
    hint: str | None = None,
    line: int | None = None,
    column: int | None = None,
) -> TextFile:
    return TextFile(None, (Finding(Severity.ERROR, code, message, hint, path, line, column),))
