"""The view of results on a far side: a folder here that has the same names, sizes and times.

Files that are read while a run goes on (status.json, event files, results of an evaluation) are copied piece by piece.
Of weights and models the start and the end are copied, which show whether a file was cut off; between them is a hole.
Of all other files only name, size and time are known. Nothing here is taken for results: those stay on the far side.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from taorunner.atomic_files import write_bytes
from taorunner.backends.far.files import MOST_ENTRIES, FarFile
from taorunner.state_files import read_json_state
from taorunner.values.value import Value

ENDS_BYTES = 1 << 20
"""How much of the start and of the end of a file of weights is copied."""
MOST_WHOLE_BYTES = 64 << 20
"""Of a larger file that is copied whole, no more is read."""
_PIECE_BYTES = 4 << 20
INDEX = ".index.json"
_CANNOT_BE_HERE = frozenset({
    errno.ENAMETOOLONG, errno.EFBIG, errno.EINVAL, errno.EILSEQ, errno.EOVERFLOW, errno.ENOTDIR, errno.EISDIR,
    errno.EEXIST, errno.ENOENT, errno.ELOOP,
})  # fmt: skip
"""A name, a size or a place that the disk here does not take: a run makes what the disk there takes, and must end."""
_LATEST_NS = 2**63 - 1
_SIZE, _ENDS, _WHOLE = range(3)
"""How much of a file is shown."""

Reader = Callable[[Sequence[tuple[str, int, int]]], list[bytes]]
"""``(path, offset, length)`` of the far side, each as bytes."""


class Shown(Value):
    """A folder of the far side that is shown: ``there`` its path, ``seen`` that of the view.

    ``whole`` and ``ends`` are patterns of names below it: what is copied whole, and of what the start and the end are.
    """

    there: str
    seen: Path
    whole: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


def show(shown: Shown, files: Sequence[FarFile], read: Reader, skew_s: float = 0.0) -> None:
    """Makes the view like the far side. ``skew_s``: by how much the clock there is ahead. Raises what ``read`` raises.

    Two processes may do it at the same time: both write the same bytes into the same places.
    """
    top = shown.there.rstrip("/") + "/"
    found: dict[str, FarFile] = {}
    for one in files:
        name = one.path.removeprefix(top)
        if one.path.startswith(top) and name and not {"", ".", "..", INDEX} & set(name.split("/")):
            found[name] = one
    shown.seen.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = _index(shown.seen)
    if len(files) < MOST_ENTRIES:
        for name in sorted(set(known) - set(found), key=len, reverse=True):
            _remove(shown.seen / name)
    now: dict[str, list[int | str]] = {}
    for name in sorted(found):
        one = found[name]
        before = known.get(name)
        is_same = before is not None and before[:2] == [one.kind, one.inode]
        depth = _WHOLE if _fits(name, shown.whole) else _ENDS if _fits(name, shown.ends) else _SIZE
        if is_same and before is not None:  # another run of the experiment may want more of it
            depth = max(depth, int(before[4]))
        facts: list[int | str] = [one.kind, one.inode, one.size, one.modified_ns, depth]
        if before != facts:
            has_more = is_same and before is not None and before[4] == depth
            try:
                is_shown = _take(shown.seen / name, one, depth, read, skew_s, is_same=is_same, grows=has_more)
            except OSError as error:
                if error.errno not in _CANNOT_BE_HERE:
                    raise
                is_shown = False
            if not is_shown:
                continue
        now[name] = facts
    if now != known:
        write_bytes(shown.seen / INDEX, json.dumps(now).encode())


def forget(view: Path) -> None:
    """Removes what is shown there: the far side has moved it."""
    _remove(view)


def _take(
    path: Path, one: FarFile, depth: int, read: Reader, skew_s: float, *, is_same: bool, grows: bool
) -> bool:
    """Brings one entry up to date; with ``grows`` what is there is its beginning. False for one that is not shown."""
    if not is_same:
        _remove(path)
    if one.kind == "d":
        path.mkdir(parents=True, exist_ok=True)
        return True
    if one.kind == "l":  # such as model_latest.pth beside the checkpoint that it names
        if "/" in one.target or one.target in ("", ".", ".."):
            return False
        _remove(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(one.target)
        return True
    if one.kind != "f":
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    if depth == _WHOLE:
        _grow(path, one, read, is_same=grows)
    else:
        _sketch(path, one, read if depth == _ENDS else None)
    time_ns = max(-_LATEST_NS, min(_LATEST_NS, one.modified_ns - int(skew_s * 10**9)))
    os.utime(path, ns=(time_ns, time_ns))
    return True


def _grow(path: Path, one: FarFile, read: Reader, *, is_same: bool) -> None:
    """Reads what is new of a file that is written to at its end; one that became shorter is read from its beginning."""
    size = min(one.size, MOST_WHOLE_BYTES)
    have = path.stat().st_size if is_same and path.exists() else 0
    at = have if have < size else 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if at == 0:
            os.ftruncate(descriptor, 0)
        while at < size:
            (data,) = read([(one.path, at, min(_PIECE_BYTES, size - at))])
            os.pwrite(descriptor, data, at)
            at += len(data)
    finally:
        os.close(descriptor)


def _sketch(path: Path, one: FarFile, read: Reader | None) -> None:
    pieces = []
    if read is not None:
        pieces = [(one.path, 0, min(one.size, ENDS_BYTES))]
        end = max(ENDS_BYTES, one.size - ENDS_BYTES)
        pieces += [(one.path, end, one.size - end)] if one.size > end else []
        pieces = [piece for piece in pieces if piece[2]]
    data = read(pieces) if read is not None else []
    beside = path.with_name(f".{os.getpid()}.new")  # the name of the file may be as long as one can be
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, one.size)
        for (_, at, _length), piece in zip(pieces, data, strict=True):
            os.pwrite(descriptor, piece, at)
    finally:
        os.close(descriptor)
    beside.replace(path)


def _fits(name: str, patterns: Sequence[str]) -> bool:
    """As ``Path.glob`` without ``**``: a star does not match a slash. What lies below a folder that fits does, too."""
    parts = name.split("/")
    return any(
        len(wanted) <= len(parts) and all(map(fnmatchcase, parts, wanted))
        for wanted in (pattern.strip("/").split("/") for pattern in patterns)
    )


def _index(folder: Path) -> Mapping[str, list[int | str]]:
    with suppress(OSError, ValueError):
        body = read_json_state(folder / INDEX)
        if isinstance(body, dict):
            return {
                name: facts for name, facts in body.items() if isinstance(facts, list) and len(facts) == 5
            }
    return {}


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
