"""Size and format of an image, read from its first bytes without decoding.

Reads JPEG and PNG (with the EXIF orientation), BMP, GIF, WebP and TIFF. A truncated image with a complete header passes
here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
)
"""Compared in lower case."""
SELDOM_READ = frozenset({"webp", "tiff"})
"""Formats that TAO's loaders ignore. Source: tao/tensorflow.md section 7, the raw loader's list; the lists of
suffixes of tao-pytorch 7.0.1 (inference, classification)."""
UNREAD_SUFFIXES = frozenset({
    ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".ppm", ".pgm", ".tga", ".dng", ".cr2", ".nef",
})  # fmt: skip
"""Images that are not read here."""

FIRST_BYTES = 16 * 1024
"""Enough for the header of nearly every image, also with a preview in its EXIF data."""
_BLOCK_BYTES = 1024 * 1024
_MAX_SEGMENTS = 2000
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_segment = struct.Struct(">BBH").unpack_from
_frame = struct.Struct(">BHHB").unpack_from
_SWAPPING = frozenset({5, 6, 7, 8})


class ImageError(ValueError):
    """The file is not an image of a known format; the text gives the reason, in lower case."""


class ImageHeader(NamedTuple):
    """``stored_width`` and ``stored_height`` are in pixels as stored; ``orientation`` is EXIF's, 1 to 8.

    ``channels`` is 1 for grayscale and palettes, 0 when the header does not state it.
    """

    format: str
    stored_width: int
    stored_height: int
    orientation: int = 1
    bits: int = 8
    channels: int = 3
    palette: bool = False

    @property
    def width(self) -> int:
        """After the EXIF rotation."""
        return self.stored_height if self.orientation in _SWAPPING else self.stored_width

    @property
    def height(self) -> int:
        return self.stored_width if self.orientation in _SWAPPING else self.stored_height


def read_header(path: Path) -> ImageHeader:
    """Raises ImageError when the file is not an image, OSError when it cannot be read."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return header_of(os.read(file, FIRST_BYTES), partial(read_rest, file))
    finally:
        os.close(file)


def read_rest(file: int) -> bytes:
    """All bytes from the place in the file on."""
    return b"".join(iter(partial(os.read, file, _BLOCK_BYTES), b""))


def header_of(data: bytes, rest: Callable[[], bytes]) -> ImageHeader:
    """``data``: the first bytes of the file; ``rest`` reads those after them. Raises ImageError, and what ``rest``
    raises."""
    if data[:2] == b"\xff\xd8":
        header = _jpeg(data)
        if header is None:  # a preview or a colour profile comes before the size
            header = _jpeg(data + rest())
        if header is None:
            raise ImageError("the JPEG ends before its size")
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        header = _png(data)
    elif data[:2] == b"BM":
        header = _bmp(data)
    elif data[:6] in (b"GIF87a", b"GIF89a"):
        header = _gif(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        header = _webp(data)
    elif data[:4] in (b"II*\0", b"MM\0*"):
        header = _tiff(data + rest())
    elif not data:
        raise ImageError("the file is empty")
    else:
        raise ImageError("the content is not JPEG, PNG, BMP, GIF, WebP or TIFF")
    if header.stored_width < 1 or header.stored_height < 1:
        raise ImageError(f"the header states {header.stored_width}x{header.stored_height} pixels")
    return header


def _jpeg(data: bytes) -> ImageHeader | None:
    """None when ``data`` ends before the frame header."""
    at, orientation, end = 2, 1, len(data)
    for _ in range(_MAX_SEGMENTS):
        if at + 4 > end:
            return None
        mark, marker, length = _segment(data, at)
        if mark != 0xFF:
            raise ImageError(f"the JPEG has no marker at byte {at}")
        if marker == 0xFF:  # fill bytes
            at += 1
            while data[at : at + 2] == b"\xff\xff":
                at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
            continue
        if marker in (0xD9, 0xDA):
            raise ImageError("the JPEG has no size before its pixels")
        if marker in _FRAMES:
            if at + 10 > end:
                return None
            bits, height, width, channels = _frame(data, at + 4)
            return ImageHeader("jpeg", width, height, orientation, bits, channels)
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            if at + 2 + length > end:
                return None
            orientation = _orientation(data[at + 10 : at + 2 + length])
        at += 2 + length
    raise ImageError("the JPEG has no size")


def _orientation(tiff: bytes) -> int:
    """Broken EXIF data counts as "not rotated", as in viewers."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, at + 2 + 12 * entry)
            if tag == 0x0112 and kind == 3:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _png(data: bytes) -> ImageHeader:
    if len(data) < 26 or data[12:16] != b"IHDR":
        raise ImageError("the PNG ends before its size")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 0)
    return ImageHeader("png", width, height, _png_orientation(data), bits, channels, palette=colour == 3)


def _png_orientation(data: bytes) -> int:
    """Of the eXIf chunk, which tools write before the pixels."""
    at, end = 8, len(data)
    for _ in range(_MAX_SEGMENTS):
        if at + 8 > end:
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"eXIf":
            return _orientation(data[at + 8 : at + 8 + length])
        if kind == b"IDAT":
            break
        at += 12 + length
    return 1


def _bmp(data: bytes) -> ImageHeader:
    if len(data) < 30:
        raise ImageError("the BMP ends before its size")
    if struct.unpack_from("<I", data, 14)[0] == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, depth = struct.unpack_from("<iiHH", data, 18)
    return ImageHeader("bmp", width, abs(height), 1, 8, max(1, depth // 8), palette=depth <= 8)


def _gif(data: bytes) -> ImageHeader:
    if len(data) < 10:
        raise ImageError("the GIF ends before its size")
    width, height = struct.unpack_from("<HH", data, 6)
    return ImageHeader("gif", width, height, 1, 8, 1, palette=True)


def _webp(data: bytes) -> ImageHeader:
    """Each of the three content types stores the size at another offset."""
    kind = data[12:16]
    if len(data) < 30:
        raise ImageError("the WebP ends before its size")
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        return ImageHeader("webp", width, height, 1, 8, 4 if data[20] & 0x10 else 3)
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return ImageHeader(
            "webp", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), 1, 8, 4 if bits >> 28 & 1 else 3
        )
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return ImageHeader("webp", width & 0x3FFF, height & 0x3FFF)
    raise ImageError("the WebP has no pixels")


def _tiff(data: bytes) -> ImageHeader:
    """Reads the first image in the file."""
    order = "<" if data[:2] == b"II" else ">"
    found: dict[int, int] = {}
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        (entries,) = struct.unpack_from(order + "H", data, at)
        for entry in range(entries):
            place = at + 2 + 12 * entry
            tag, kind, count = struct.unpack_from(order + "HHI", data, place)
            size = {1: "B", 3: "H", 4: "I"}.get(kind)
            if size is not None:
                if count * struct.calcsize(size) > 4:
                    (where,) = struct.unpack_from(order + "I", data, place + 8)
                else:
                    where = place + 8
                (found[tag],) = struct.unpack_from(order + size, data, where)
    except struct.error:
        raise ImageError("the TIFF ends before its size") from None
    if 256 not in found or 257 not in found:
        raise ImageError("the TIFF has no size")
    turn = found.get(274, 1)
    channels = found.get(277, 1)
    is_palette = found.get(262) == 3
    return ImageHeader(
        "tiff", found[256], found[257], turn if 1 <= turn <= 8 else 1, found.get(258, 1), channels, is_palette
    )
