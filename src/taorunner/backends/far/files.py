"""Files of a login host, looked at, read in pieces and written by few calls, with what every Linux has there.

What it prints is framed by lengths and by zero bytes, which no name has, so no name and no content can pose as an
answer. An answer that is not whole is as none.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence

from taorunner.backends.login_host import LoginHost
from taorunner.errors import MachineError
from taorunner.text import printable
from taorunner.values.value import Value

MOST_ENTRIES = 20_000
"""Entries of a folder that are listed at most."""
_MOST_LEVELS = 16
"""Folders below a folder that are listed: a container can nest them without end."""
_FIELDS = 9
_FORMAT = r"%y\0%i\0%s\0%T@\0%U\0%m\0%n\0%l\0%p\0"
_LOOK = rf"""export LC_ALL=C
printf '%s\0' "$(id -u)" "$(date +%s.%N)"
xargs -0 -r sh -c 'find "$@" -maxdepth 0 -printf "{_FORMAT}"' sh 2>/dev/null
for folder; do
    find -H "$folder" -mindepth 1 -maxdepth {_MOST_LEVELS} -printf '{_FORMAT}' 2>/dev/null |
        head -zn {MOST_ENTRIES * _FIELDS}
done
printf 'end\0'"""
PIECES = """xargs -0 -r -n 3 sh -c 'if [ -f "$1" ] && [ ! -r "$1" ]; then head -c "$3" /dev/zero
    else dd if="$1" iflag=nofollow,nonblock,fullblock,skip_bytes,count_bytes skip="$2" count="$3" bs=1M status=none
    fi' sh"""
_TIMEOUT_S = 60.0


class FarFile(Value):
    """``kind`` is ``f``, ``d``, ``l`` or another letter of find. ``target`` is that of a link."""

    path: str
    kind: str
    inode: int
    size: int
    modified_ns: int
    owner: int
    mode: int
    names: int
    target: str


class Look(Value):
    """``by_path`` are those that are there. ``user`` is the id of the caller there, ``clock_s`` the time there."""

    user: int
    clock_s: float
    by_path: Mapping[str, FarFile]

    @property
    def files(self) -> Sequence[FarFile]:
        return [*self.by_path.values()]

    def trusted(self, path: str) -> FarFile | None:
        """A regular file with one name that belongs to the caller, and that nobody else may write."""
        found = self.by_path.get(path)
        if found is None or found.kind != "f" or found.names != 1 or found.owner != self.user:
            return None
        return None if found.mode & 0o022 else found


def look(login: LoginHost, paths: Iterable[str], folders: Sequence[str] = ()) -> Look:
    """Facts of ``paths`` and of everything below ``folders``, in one call. Links are not followed.

    Raises MachineError.
    """
    names = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
    done = login.run_raw(["sh", "-c", _LOOK, "sh", *folders], timeout_s=_TIMEOUT_S, stdin=names)
    parts = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    if parts[-2:] != ["end", ""] or (len(parts) - 4) % _FIELDS:
        raise MachineError(f'"{login.host}" gave no whole answer: {done.as_text.last_words}')
    rows = (parts[at : at + _FIELDS] for at in range(2, len(parts) - 2, _FIELDS))
    try:
        return Look(int(parts[0]), float(parts[1]), {one.path: one for one in map(_file, rows)})
    except ValueError as error:
        raise MachineError(f'"{login.host}" gave no whole answer: {printable(str(error))}') from None


def read_pieces(login: LoginHost, pieces: Sequence[tuple[str, int, int]]) -> list[bytes]:
    """``(path, offset, length)`` each, in one call; zeros of a file that the caller there may not read. A link or a
    pipe that has taken the place of a file is not read. Raises MachineError, also where one is shorter by now."""
    if not pieces:
        return []
    words = "".join(f"{path}\0{offset}\0{length}\0" for path, offset, length in pieces)
    asked = words.encode("utf-8", "surrogateescape")
    done = login.run_raw(["sh", "-c", PIECES], timeout_s=_TIMEOUT_S, stdin=asked)
    if len(done.stdout) != sum(length for _, _, length in pieces):
        raise MachineError(f'"{login.host}" gave no whole answer: {done.as_text.last_words}')
    found, at = [], 0
    for _, _, length in pieces:
        found.append(done.stdout[at : at + length])
        at += length
    return found


def packed(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """An archive of files with content and mode, by their names without a leading slash."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, (data, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def _file(row: Sequence[str]) -> FarFile:
    kind, inode, size, time, owner, mode, names, target, path = row
    seconds, _, rest = time.partition(".")
    modified_ns = int(seconds) * 10**9 + int(rest[:9].ljust(9, "0") or "0")
    return FarFile(
        path, kind, int(inode), int(size), modified_ns, int(owner), int(mode, 8), int(names), target
    )
