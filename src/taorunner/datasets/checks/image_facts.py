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
        return look_at(path)[1]
    except ImageError as error:
        problem = str(error)
        code = {"the file is empty": "image-empty", "the JPEG ends before its size": "image-truncated"}
        return ImageFacts(None, problem=problem, problem_code=code.get(problem, "image-corrupt"))
    except OSError as error:
        problem = f"the file cannot be read: {(error.strerror or str(error)).lower()}"
        return ImageFacts(None, problem=problem, problem_code="image-unreadable")


def look_at(path: Path) -> tuple[ImageHeader, ImageFacts]:
    """Raises ImageError when the file is not an image, OSError when it cannot be read."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.read(file, FIRST_BYTES)
        header = header_of(head, partial(read_rest, file))
        length, tail = len(head), head
        if length == FIRST_BYTES:  # else this was the whole file
            length = os.lseek(file, 0, os.SEEK_END)
            tail = os.pread(file, FIRST_BYTES, max(0, length - FIRST_BYTES))
    finally:
        os.close(file)
    ends = hash((head, tail, length)) or 1
    mark = _ENDS.get(header.format)
    is_short = header.format == "bmp" and length < int.from_bytes(head[2:6], "little")
    if is_short or (mark is not None and tail.rfind(mark) < 0):  # cameras write a few bytes after the marker
        return header, ImageFacts(header, ends, "the end of the file is missing", "image-truncated")
    return header, ImageFacts(header, ends)
