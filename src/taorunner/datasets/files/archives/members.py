"""The members of an archive, and the rules that all of them keep before anything is written.

A name or a link that leads out of the folder, a device, a name that is there twice: each refuses the whole archive.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from taorunner.disk_room import Room
from taorunner.errors import MachineError, UserFilesError
from taorunner.text import printable, size

SMALL_BYTES, MOST_RATIO = 1 << 30, 200
"""An archive that unpacks to more bytes than the first, and to more than the second for each of its own, is refused."""
_DRIVE = re.compile(r"[A-Za-z]:")
_OF_SYSTEMS = frozenset({"__macosx", ".ds_store", "thumbs.db", "desktop.ini"})
_SUFFIXES = re.compile(r"(\.tar)?\.[A-Za-z0-9]{1,5}\Z")
_PACKED = re.compile(r"\.(zip|7z|rar|tar|tgz|tbz2?|txz|tar\.\w{2,4})\Z", re.IGNORECASE)
_MOST_LINKS = 40


@dataclass(frozen=True, slots=True)
class Member:
    """A file: ``path`` is checked, relative, with ``/``; ``size`` is declared, in bytes.

    ``link`` is the path of the member that it is a link to; else ``open`` gives its content.
    """

    path: str
    size: int
    open: Callable[[], IO[bytes]] | None = None
    link: str | None = None


@dataclass(slots=True)
class Listing:
    """The members of one archive. ``room``: where it will be unpacked; None when unknown."""

    archive: Path
    room: Room | None
    members: dict[str, Member] = field(default_factory=dict)
    total: int = 0
    _folders: set[str] = field(default_factory=set)

    def path_of(self, name: str) -> str | None:
        """The path of a member; None for files of operating systems. Raises UserFilesError when it leads out."""
        plain = name.replace("\\", "/")
        if plain.startswith("/") or _DRIVE.match(plain) or ".." in plain.split("/") or "\0" in plain:
            raise self.fault(f'holds "{printable(name)}", a path that leads out of its folder')
        parts = [part for part in plain.split("/") if part not in ("", ".")]
        is_left_out = any(part.lower() in _OF_SYSTEMS for part in parts) or any(
            part.startswith("._") for part in parts[-1:]
        )
        return None if is_left_out or not parts else "/".join(parts)

    def link_of(self, path: str, target: str, *, is_relative: bool) -> str:
        """The path that a link leads to. ``is_relative``: counted from its own folder, as symbolic links are."""
        below = posixpath.dirname(path) if is_relative else ""
        found = posixpath.normpath(posixpath.join(below, target))
        if target.startswith("/") or found == ".." or found.startswith("../") or "\0" in target:
            raise self.fault(
                f'holds "{printable(path)}", a link that leads out of its folder: "{printable(target)}"'
            )
        return found

    def add(self, member: Member) -> None:
        """Raises UserFilesError for a name that is there twice and for a bomb, MachineError for too little room."""
        if member.path in self.members:
            raise self.fault(f'holds "{printable(member.path)}" twice')
        self.members[member.path] = member
        above = posixpath.dirname(member.path)
        while above and above not in self._folders:
            self._folders.add(above)
            above = posixpath.dirname(above)
        self.total += member.size
        packed = max(self.archive.stat().st_size, 1)
        if self.total > SMALL_BYTES and self.total > MOST_RATIO * packed:
            raise self.fault(
                f"unpacks from {size(packed)} to {size(self.total)} or more, as archives do that fill disks"
            )
        if self.room is not None and self.total > self.room.free_bytes:
            raise MachineError(
                f'"{printable(str(self.archive))}" unpacks to {size(self.total)} or more; {self.room.text}',
                hint=self.room.hint,
            )

    def finish(self) -> None:
        """Raises UserFilesError for what is seen only when all members are known."""
        if both := sorted(self._folders & self.members.keys()):
            raise self.fault(f'holds "{printable(both[0])}" as a file and as a folder')
        for member in self.members.values():
            if member.link is not None and self.file_of(member) is None:
                shown = f'"{printable(member.path)}", a link to "{printable(member.link)}"'
                raise self.fault(f"holds {shown}, which is no file in it")
        if not self.members:
            raise UserFilesError(f'"{printable(str(self.archive))}" holds no files', hint="export it again")
        first = next(iter(self.members))
        if all(map(_PACKED.search, self.members)):
            raise self.fault(f'holds only archives, such as "{printable(first)}"', "one of them")

    def file_of(self, member: Member) -> Member | None:
        """The file that a link leads to, over several steps; None when it leads to none."""
        found: Member | None = member
        for _ in range(_MOST_LINKS):
            if found is None or found.link is None:
                return found
            found = self.members.get(found.link)
        return None

    def fault(self, what: str, given: str = "the folder") -> UserFilesError:
        return UserFilesError(f'"{printable(str(self.archive))}" {what}', hint=by_hand(self.archive, given))


def stem_of(archive: Path) -> str:
    """The name without the endings of archives: ``export`` for ``export.tar.gz``."""
    return _SUFFIXES.sub("", archive.name) or archive.name


def by_hand(archive: Path, given: str = "the folder") -> str:
    """The next step where an archive is not unpacked here, as a command."""
    folder, file = shlex.quote(str(archive.with_name(stem_of(archive)))), shlex.quote(str(archive))
    lower = archive.name.lower()
    if lower.endswith(".7z"):
        command = f"7z x {file} -o{folder}"
    elif lower.endswith(".rar"):
        command = f"unrar x {file} {folder}/"
    elif lower.endswith((".tgz", ".tbz", ".tbz2", ".txz", ".tar")) or ".tar." in lower:
        command = f"mkdir {folder} && tar -xf {file} -C {folder}"
    elif lower.endswith((".gz", ".bz2", ".xz", ".zst")):
        program = {"gz": "gunzip", "bz2": "bunzip2", "xz": "unxz", "zst": "unzstd"}[lower.rpartition(".")[2]]
        return f"unpack it, and give the folder that also has the images: {program} --keep {file}"
    else:
        command = f"unzip {file} -d {folder}"
    return f"if you trust it, unpack it yourself and give {given}: {command}"
