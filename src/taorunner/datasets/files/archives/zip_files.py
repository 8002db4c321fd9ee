"""The members of a ZIP file."""

from __future__ import annotations

import stat
import zipfile
from functools import partial
from typing import IO

from taorunner.datasets.files.archives.members import Listing, Member
from taorunner.text import printable, size

_ENCRYPTED, _UTF8 = 1, 1 << 11
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_LONGEST_LINK = 4096


def list_zip(file: IO[bytes], listing: Listing) -> None:
    """Raises UserFilesError for members that cannot be unpacked safely, and zipfile.BadZipFile for damage."""
    archive = zipfile.ZipFile(file)
    packed = 0
    for info in archive.infolist():
        name = _name_of(info, listing)
        path, mode = listing.path_of(name), info.external_attr >> 16
        packed += info.compress_size
        if path is None or name.endswith(("/", "\\")) or stat.S_ISDIR(mode):
            continue
        shown = printable(path)
        if info.flag_bits & _ENCRYPTED:
            raise listing.fault(f'is encrypted: "{shown}" needs a password')
        if info.compress_type not in _METHODS:
            raise listing.fault(
                f'holds "{shown}", packed by a method that is not read here ({info.compress_type})'
            )
        if stat.S_ISLNK(mode):
            with archive.open(info) as content:
                target = content.read(_LONGEST_LINK).decode("utf-8", "surrogateescape")
            listing.add(Member(path, 0, link=listing.link_of(path, target, is_relative=True)))
        elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
            listing.add(Member(path, info.file_size, partial(archive.open, info)))
        else:
            raise listing.fault(f'holds "{shown}", which is neither a file nor a folder nor a link')
    whole = listing.archive.stat().st_size
    if packed > whole:
        raise listing.fault(f"has {size(whole)}, and declares {size(packed)} of packed files in it")


def _name_of(info: zipfile.ZipInfo, listing: Listing) -> str:
    """Names without the mark of UTF-8 are often UTF-8 anyway; the bytes that Python has decoded decide."""
    name = info.orig_filename
    if info.flag_bits & _UTF8:
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        raise listing.fault(f'has names that are not UTF-8, such as "{printable(name)}"') from None
