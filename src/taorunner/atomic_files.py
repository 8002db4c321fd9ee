"""Replaces files atomically: writes beside the target, then renames over it, so that no reader sees a partial file.

All replacing of files happens here. Files that are appended to or created once are written by ``state_files``.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from taorunner.disk_room import naming

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_ONCE = 8


def write_bytes(path: Path, data: bytes, *, mode: int | None = None, durable: bool = False) -> None:
    """Replaces ``path``. The old file is not modified; a symbolic link is replaced, not followed.

    ``mode``: permission bits, independent of the umask; by default 0644 less the umask. ``durable``: flushed to disk on
    return, so it survives a power failure. Raises OSError, naming ``path`` when the
    disk is full; no partial file is left.
    """
    from threading import get_native_id  # not needed by what only reads

    beside = path.with_name(f".{path.name}.{os.getpid()}-{get_native_id()}.tmp")
    with suppress(FileNotFoundError):
        os.unlink(beside)  # noqa: PTH108 - called many times a second
    descriptor = os.open(beside, _NEW, 0o644)
    try:
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)
            with naming(path):
                _write_all(descriptor, data)
                if durable:
                    os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(beside, path)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)  # noqa: PTH108
        raise
    if durable:
        flush(path.parent)


def write_text(path: Path, text: str, *, mode: int | None = None) -> None:
    """``write_bytes`` in UTF-8."""
    write_bytes(path, text.encode("utf-8"), mode=mode)


def write_json(
    path: Path, value: Any, *, indent: int | None = 1, sort_keys: bool = False, durable: bool = False
) -> None:
    """``write_bytes`` of the value as UTF-8 JSON with a line feed; non-ASCII letters are not escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=sort_keys)
    write_bytes(path, f"{text}\n".encode(), durable=durable)


def flush_all(paths: Iterable[Path]) -> None:
    """Flushes files and folders to disk, so that they survive a power failure.

    Several at once, because a file system writes together what waits together: 400 files one by one take a second, so
    they take a tenth. Links are not followed. Raises OSError, naming the path.
    """
    from threading import Thread

    all_of_them = list(paths)
    waiting = iter(all_of_them)
    failed: list[OSError] = []

    def work() -> None:
        for path in waiting:  # an iterator of a list gives each item to one thread
            try:
                flush(path)
            except OSError as error:
                failed.append(error)

    workers = [Thread(target=work, name="flush") for _ in range(min(_AT_ONCE, len(all_of_them)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed:
        raise failed[0]


def flush(path: Path) -> None:
    """Flushes a file or a folder to disk. Links are not followed. Raises OSError, naming the path."""
    with naming(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # folders of some network file systems
                raise
        finally:
            os.close(descriptor)


def write_fields(path: Path, body: Mapping[str, Any], *, durable: bool = False) -> None:
    """``write_bytes`` of an object as UTF-8 JSON, with a line for each key.

    Python's encoder in C writes no indents, and the other one takes ten times as long: most of recording a run.
    """
    encode = json.JSONEncoder(ensure_ascii=False).encode
    lines = ",\n ".join(f"{encode(key)}: {encode(value)}" for key, value in body.items())
    write_bytes(path, f"{{\n {lines}\n}}\n".encode(), durable=durable)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
