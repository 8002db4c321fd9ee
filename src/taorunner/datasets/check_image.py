"""What does an image file say of itself? Kind, size, channels, rotation and whether its end is there.

Reads the first and the last few kilobytes with the standard library, so that thousands of files take a second;
nothing is decoded here. Rotation: ``width`` and ``height`` are of the picture as it is seen (after EXIF).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
SUFFIXES_OF_KIND = {"jpeg": (".jpg", ".jpeg"), "png": (".png",), "bmp": (".bmp",)}

_HEAD = 64 * 1024
_TAIL = 4 * 1024
_NO_FRAME = frozenset({0xC4, 0xC8, 0xCC})
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """``problem`` is None for a file that looks whole; then ``width`` and ``height`` are above 0.

    ``kind`` is empty for a format whose header is not read here. ``print_`` is a digest of size, head and tail:
    equal files have equal ones.
    """

    kind: str = ""
    width: int = 0
    height: int = 0
    channels: int = 0
    bits: int = 8
    orientation: int = 1
    print_: str = ""
    problem: str | None = None
    problem_code: str = ""

    @property
    def has_alpha(self) -> bool:
        return self.kind == "png" and self.channels in (2, 4)


def read_image_facts(path: Path) -> ImageFacts:
    """Never raises: what cannot be read is a ``problem``."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if not head:
                return ImageFacts(problem="the file is empty", problem_code="image-empty")
            length = file.seek(0, 2)
            file.seek(max(0, length - _TAIL))
            tail = file.read(_TAIL)
            kind = _kind(head)
            if kind == "jpeg":
                facts = _jpeg(file, head)
            elif kind == "png":
                facts = _png(head)
            elif kind == "bmp":
                facts = _bmp(head)
            elif kind:
                facts = ImageFacts(kind)
            else:
                facts = _broken("the file does not begin like an image")
    except OSError as error:
        return _broken(f"the file cannot be read: {(error.strerror or str(error)).lower()}")
    digest = blake2b(head[:_TAIL], digest_size=12)
    digest.update(tail + str(length).encode())
    if facts.problem is None and not _has_end(kind, tail, head, length):
        facts = ImageFacts(kind, problem="the end of the file is missing", problem_code="image-truncated")
    return ImageFacts(
        facts.kind, facts.width, facts.height, facts.channels, facts.bits, facts.orientation,
        digest.hexdigest(), facts.problem, facts.problem_code,
    )  # fmt: skip


def _kind(head: bytes) -> str:
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"BM"):
        return "bmp"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return "tiff" if head[:4] in (b"II*\0", b"MM\0*") else "gif" if head[:4] == b"GIF8" else ""


def _has_end(kind: str, tail: bytes, head: bytes, length: int) -> bool:
    if kind == "jpeg":
        return b"\xff\xd9" in tail  # cameras write a few bytes behind it
    if kind == "png":
        return b"IEND" in tail
    if kind == "bmp":
        return length >= int.from_bytes(head[2:6], "little")
    return True


def _broken(problem: str) -> ImageFacts:
    return ImageFacts(problem=problem, problem_code="image-corrupt")


def _png(head: bytes) -> ImageFacts:
    if len(head) < 33 or head[12:16] != b"IHDR":
        return _broken("the PNG header is not complete")
    width, height, bits, colour = struct.unpack(">IIBB", head[16:26])
    orientation = 1
    at = head.find(b"eXIf", 33)
    if at > 0:
        orientation = _orientation(head[at + 4 : at + 4 + 4096])
    return _seen("png", width, height, _PNG_CHANNELS.get(colour, 0), bits, orientation)


def _bmp(head: bytes) -> ImageFacts:
    if len(head) < 30:
        return _broken("the BMP header is not complete")
    width, height, _planes, bits = struct.unpack("<iiHH", head[18:30])
    return _seen("bmp", width, abs(height), 1 if bits <= 8 else bits // 8, 8, 1)


def _jpeg(file: object, head: bytes) -> ImageFacts:
    """Walks the segments; a thumbnail inside EXIF is a segment's content and is not mistaken for the picture."""
    at, orientation, data = 2, 1, head
    while True:
        if at + 10 > len(data) and data is head:
            file.seek(0)  # type: ignore[attr-defined]
            data = file.read(4 * 1024 * 1024)  # type: ignore[attr-defined]
        if at + 10 > len(data):
            return ImageFacts("jpeg", problem="the end of the file is missing", problem_code="image-truncated")
        if data[at] != 0xFF:
            return _broken("a JPEG segment is not where it should be")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in (0xD9, 0xDA):
            return _broken("the JPEG has no frame header")
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            bits, height, width, channels = struct.unpack(">BHHB", data[at + 4 : at + 10])
            return _seen("jpeg", width, height, channels, bits, orientation)
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _orientation(data[at + 10 : at + 2 + length])
        at += 2 + length


def _seen(kind: str, width: int, height: int, channels: int, bits: int, orientation: int) -> ImageFacts:
    if width <= 0 or height <= 0:
        return _broken(f"the header says {width}x{height} pixels")
    if orientation >= 5:
        width, height = height, width
    return ImageFacts(kind, width, height, channels, bits, orientation)


def _orientation(tiff: bytes) -> int:
    """Tag 0x0112 of the first directory; 1 when there is none or it makes no sense. Source: EXIF 2.3, 4.6.4."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return 1
    (start,) = struct.unpack(order + "I", tiff[4:8])
    if start + 2 > len(tiff):
        return 1
    (count,) = struct.unpack(order + "H", tiff[start : start + 2])
    for entry in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):
        tag, _type, _count, value = struct.unpack(order + "HHIH", tiff[entry : entry + 10])
        if tag == 0x0112:
            return int(value) if 1 <= value <= 8 else 1
    return 1
