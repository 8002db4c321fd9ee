"""Unpacks the archive of a dataset: all of it or nothing, and nothing outside of the folder that is given.

Everything is listed and checked before the first byte is written.
"""

from __future__ import annotations

import errno
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from taorunner.datasets.files.archives.members import Listing, Member, by_hand, stem_of
from taorunner.datasets.files.archives.tar_files import list_tar
from taorunner.datasets.files.archives.zip_files import list_zip
from taorunner.datasets.files.atomic_swap import remove
from taorunner.datasets.files.names import SPLIT_NAMES, is_image
from taorunner.disk_room import is_no_room, no_room, room_at
from taorunner.errors import UserFilesError
from taorunner.text import printable

_ZIP, _TAR = "ZIP", "TAR"
_STARTS = (
    (b"PK\x03\x04", _ZIP), (b"PK\x05\x06", _ZIP), (b"PK\x07\x08", _ZIP), (b"\x1f\x8b", _TAR), (b"BZh", _TAR),
    (b"\xfd7zXZ\x00", _TAR), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!", "RAR"), (b"\x28\xb5\x2f\xfd", "Zstandard"),
)  # fmt: skip
_USTAR, _AT_USTAR = b"ustar", 257
_ENDINGS = {".zip": _ZIP, ".tar": _TAR, ".tgz": _TAR, ".tbz": _TAR, ".tbz2": _TAR, ".txz": _TAR, ".gz": _TAR,
            ".bz2": _TAR, ".xz": _TAR, ".7z": "7z", ".rar": "RAR", ".zst": "Zstandard"}  # fmt: skip
ARCHIVE_DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError,
    NotImplementedError, RuntimeError, OverflowError,
)  # fmt: skip
"""What the standard library raises for archives that are damaged. ``zipfile``: NotImplementedError for a method of
packing that it does not know, RuntimeError for an encrypted member, OverflowError for a size beyond the file."""
_PARTS = frozenset({
    *SPLIT_NAMES, "images", "image", "labels", "label", "annotations", "masks", "img", "gt", "jpegimages", "imagesets",
    "image_2", "label_2",
})  # fmt: skip
"""Folders that mean something in a dataset, also where they are the only one in it."""
_CHUNK = 1 << 20
Progress = Callable[[str, int, int], None]


def archive_kind(path: Path) -> str | None:
    """ "ZIP", "TAR" (packed or not), or the name of a kind that is not unpacked here; None for other files."""
    try:
        with path.open("rb") as file:
            start = file.read(_AT_USTAR + len(_USTAR))
    except OSError:
        start = b""
    found = next((kind for first, kind in _STARTS if start.startswith(first)), None)
    return found or (_TAR if start[_AT_USTAR:] == _USTAR else _ENDINGS.get(path.suffix.lower()))


def unpack(archive: Path, into: Path, progress: Progress = lambda what, done, total: None) -> Path:
    """Unpacks into the new folder ``into``. Returns the folder of the dataset: ``into``, or the only one in it.

    Raises UserFilesError for an archive that is damaged, encrypted, of another kind or unsafe, MachineError when the
    disk has too little room. Nothing is left of ``into`` then.
    """
    kind = archive_kind(archive)
    if kind not in (_ZIP, _TAR):
        raise UserFilesError(
            f'"{printable(str(archive))}" is {kind}, which is not read here', hint=by_hand(archive)
        )
    listing = Listing(archive, room_at(into))
    with _named(archive, kind, into), archive.open("rb") as file:
        (list_zip if kind == _ZIP else list_tar)(file, listing)
        listing.finish()
        try:
            into.mkdir(parents=True)
            _write_all(listing, into, progress)
        except BaseException:
            remove(into)
            raise
    return _dataset_in(into)


@contextmanager
def _named(archive: Path, kind: str, into: Path) -> Iterator[None]:
    """Turns what the standard library raises into an error that names the archive."""
    try:
        yield
    except UnicodeDecodeError:
        message = f'"{printable(str(archive))}" has names that are not UTF-8'
        raise UserFilesError(message, hint=by_hand(archive)) from None
    except ARCHIVE_DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:  # of this machine, not of the content
            raise (no_room(error, into) if is_no_room(error) else error) from None
        message = f'"{printable(str(archive))}" cannot be read as {kind}: {_reason(error)}'
        raise UserFilesError(message, hint="it is cut off or damaged: download or export it again") from None


def _reason(error: Exception) -> str:
    text = printable(str(error)).rstrip(".")[:200] or type(error).__name__
    return text[0].lower() + text[1:]


def _write_all(listing: Listing, into: Path, progress: Progress) -> None:
    images = sum(map(is_image, listing.members))
    done = 0
    links: list[Member] = []
    for member in listing.members.values():
        path = into / member.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.open is None:
            links.append(member)
            continue
        with member.open() as content, _created(path, listing) as target:
            _copy(content, target, member, listing)
        done += is_image(member.path)
        if done % 100 == 0:
            progress("unpacking", done, images)
    for member in links:
        file = listing.file_of(member)
        assert file is not None  # ``finish`` has refused it
        os.link(into / file.path, into / member.path)


def _created(path: Path, listing: Listing) -> IO[bytes]:
    """A new file; never one that exists, as on file systems that take no account of case."""
    try:
        return path.open("xb")
    except FileExistsError:
        raise listing.fault(
            f'holds a second file for "{printable(path.name)}": names differ only in case'
        ) from None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise listing.fault(f'holds a name that is too long: "{printable(path.name)[:60]}"') from None


def _copy(content: IO[bytes], target: IO[bytes], member: Member, listing: Listing) -> None:
    """Stops as soon as the content is longer than declared."""
    left = member.size
    while chunk := content.read(min(_CHUNK, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise listing.fault(f'holds "{printable(member.path)}", which is larger than it declares')
        target.write(chunk)
    if left:
        raise EOFError(f'"{member.path}" ends too early')


def _dataset_in(into: Path) -> Path:
    """The folder that holds more than one folder, or one whose name means something."""
    folder = into
    while True:
        inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
        if len(inside) != 1 or not inside[0].is_dir() or inside[0].name.lower() in _PARTS:
            return folder
        folder = inside[0]


__all__ = ["archive_kind", "by_hand", "stem_of", "unpack"]
