"""Facts of an image file, read without decoding it.

Reads the header, the first and last bytes and the end marker. Each file is opened once.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

from taorunner.datasets.files.image_header import FIRST_BYTES, ImageError, ImageHeader, header_of, read_rest

SUFFIXES_OF_FORMAT = {"jpeg": (".jpg", ".jpeg"), "png": (".png",), "bmp": (".bmp",), "gif": (".gif",),
                     "webp": (".webp",), "tiff": (".tif", ".tiff")}  # fmt: skip

_ENDS = {"jpeg": b"\xff\xd9", "png": b"IEND"}
_LAST_BYTES = 4096
_COMPARED_BYTES = 1024
_ALPHA = frozenset({2, 4})


class ImageFacts(NamedTuple):
    """``header`` is None when ``problem`` is set. ``ends``: a hash of the first and last bytes and the size, the same
    for equal files while this process lives; 0 for a file that could not be read."""

    header: ImageHeader | None
    ends: int = 0
    problem: str | None = None
    problem_code: str = ""

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height after the EXIF rotation."""
        return (self.header.width, self.header.height) if self.header is not None else None

    @property
    def has_alpha(self) -> bool:
        return self.header is not None and self.header.format == "png" and self.header.channels in _ALPHA


def read_image_facts(path: Path) -> ImageFacts:
    """Never raises: a file that cannot be read has a ``problem``."""
    try:
        return facts_of(*look_at(path))
    except ImageError as error:
        problem = str(error)
        code = {"the file is empty": "image-empty", "the JPEG ends before its size": "image-truncated"}
        return ImageFacts(None, problem=problem, problem_code=code.get(problem, "image-corrupt"))
    except OSError as error:
        problem = f"the file cannot be read: {(error.strerror or str(error)).lower()}"
        return ImageFacts(None, problem=problem, problem_code="image-unreadable")


def facts_of(header: ImageHeader, ends: int, is_cut_off: bool) -> ImageFacts:
    """From the values of ``look_at``."""
    if is_cut_off:
        return ImageFacts(header, ends, "the end of the file is missing", "image-truncated")
    return ImageFacts(header, ends)


def look_at(path: Path) -> tuple[ImageHeader, int, bool]:
    """The header, the ``ends`` of ``ImageFacts``, and whether the end of the file is missing.

    Raises ImageError when the file is not an image, OSError when it cannot be read."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.read(file, FIRST_BYTES)
        header = header_of(head, partial(read_rest, file))
        length, tail = len(head), head
        if length == FIRST_BYTES:  # else this was the whole file
            length = os.lseek(file, 0, os.SEEK_END)
            tail = os.pread(file, _LAST_BYTES, max(0, length - _LAST_BYTES))
    finally:
        os.close(file)
    ends = hash((head[:_COMPARED_BYTES], tail[-_COMPARED_BYTES:], length)) or 1
    if (mark := _ENDS.get(header.format)) is not None:
        return header, ends, tail.rfind(mark) < 0  # cameras write a few bytes after the marker
    return header, ends, header.format == "bmp" and length < int.from_bytes(head[2:6], "little")
