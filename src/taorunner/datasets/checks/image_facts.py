"""Facts of an image file, read without decoding it.

Reads the header, a digest of the first and last bytes (equal for equal files) and the end marker. Thousands of files
take about a second.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from taorunner.datasets.files.image_header import ImageError, ImageHeader, read_header

SUFFIXES_OF_FORMAT = {"jpeg": (".jpg", ".jpeg"), "png": (".png",), "bmp": (".bmp",), "gif": (".gif",),
                     "webp": (".webp",), "tiff": (".tif", ".tiff")}  # fmt: skip

_TAIL_BYTES = 4096
_ENDS = {"jpeg": b"\xff\xd9", "png": b"IEND"}
_ALPHA = frozenset({2, 4})


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """``header`` is None when ``problem`` is set. ``ends`` is empty for a file that could not be read."""

    header: ImageHeader | None
    ends: str = ""
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
        header = read_header(path)
    except ImageError as error:
        problem = str(error)
        code = {"the file is empty": "image-empty", "the JPEG ends before its size": "image-truncated"}
        return ImageFacts(None, problem=problem, problem_code=code.get(problem, "image-corrupt"))
    except OSError as error:
        problem = f"the file cannot be read: {(error.strerror or str(error)).lower()}"
        return ImageFacts(None, problem=problem, problem_code="image-unreadable")
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (thousands of files)
            head = file.read(_TAIL_BYTES)
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - _TAIL_BYTES))
            tail = file.read(_TAIL_BYTES)
    except OSError as error:
        problem = f"the file cannot be read: {(error.strerror or str(error)).lower()}"
        return ImageFacts(None, problem=problem, problem_code="image-unreadable")
    digest = blake2b(head, digest_size=12)
    digest.update(tail)
    digest.update(length.to_bytes(8, "little"))
    mark = _ENDS.get(header.format)
    is_short = header.format == "bmp" and length < int.from_bytes(head[2:6], "little")
    if is_short or (mark is not None and mark not in tail):  # cameras write a few bytes after the marker
        return ImageFacts(header, digest.hexdigest(), "the end of the file is missing", "image-truncated")
    return ImageFacts(header, digest.hexdigest())
