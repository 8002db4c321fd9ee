"""The members of a TAR file, packed or not.

``tarfile`` only lists and reads here; files are created by ``unpack``, so that no member decides on a path, an owner
or a mode.
"""

from __future__ import annotations

import tarfile
from functools import partial
from typing import IO, cast

from typing_extensions import Self

from taorunner.datasets.files.archives.members import Listing, Member
from taorunner.text import printable

_MOST_PADDING = 64 << 20
_CHUNK = 1 << 20


def list_tar(file: IO[bytes], listing: Listing) -> None:
    """Raises UserFilesError for members that cannot be unpacked safely, and tarfile.TarError and others for damage."""
    ends: list[bool] = []

    class Header(tarfile.TarInfo):
        """Notes the block of zeros at the end: ``tarfile`` also ends at a damaged header, without a word."""

        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            ends.append(len(buf) == tarfile.BLOCKSIZE and not any(buf))
            return super().frombuf(buf, encoding, errors)

    archive = tarfile.open(  # noqa: SIM115 (its members are read later)
        fileobj=file, mode="r:*", tarinfo=Header, encoding="utf-8", errors="surrogateescape"
    )
    for info in archive:
        _add(archive, info, listing)
    if not ends or not ends[-1]:
        raise tarfile.ReadError("its end is missing")
    stream = cast("IO[bytes]", archive.fileobj)
    padding = 0
    while chunk := stream.read(_CHUNK):  # the checksum of the whole is at the end
        padding += len(chunk)
        if padding > _MOST_PADDING:
            raise listing.fault("has more behind its end than padding")


def _add(archive: tarfile.TarFile, info: tarfile.TarInfo, listing: Listing) -> None:
    try:
        info.name.encode("utf-8")
    except UnicodeEncodeError:
        raise listing.fault(f'has names that are not UTF-8, such as "{printable(info.name)}"') from None
    path = listing.path_of(info.name)
    if path is None or info.isdir():
        return
    if info.islnk() or info.issym():
        link = listing.link_of(path, info.linkname, is_relative=info.issym())
        listing.add(Member(path, 0, link=link))
    elif info.isreg():
        listing.add(Member(path, info.size, partial(_content, archive, info)))
    else:
        raise listing.fault(f'holds "{printable(path)}", which is neither a file nor a folder nor a link')


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return cast("IO[bytes]", archive.extractfile(info))
