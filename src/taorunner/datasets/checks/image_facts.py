"""What does an image file say of itself, and is its end there? Nothing is decoded.

The header, a digest of both ends (equal files have equal ones) and the mark that closes the file: thousands of
files take a second.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from taorunner.datasets.files.image_header import PictureError, PictureHeader, read_header

SUFFIXES_OF_FORMAT = {"jpeg": (".jpg", ".jpeg"), "png": (".png",), "bmp": (".bmp",), "gif": (".gif",),
                     "webp": (".webp",), "tiff": (".tif", ".tiff")}  # fmt: skip

_TAIL_BYTES = 4096
_ENDS = {"jpeg": b"\xff\xd9", "png": b"IEND"}
_ALPHA = frozenset({2, 4})


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """``header`` is None where ``problem`` says why. ``ends`` is empty for a file that could not be read."""

    header: PictureHeader | None
    ends: str = ""
    problem: str | None = None
    problem_code: str = ""

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height as the picture is seen."""
        return (self.header.width, self.header.height) if self.header is not None else None

    @property
    def has_alpha(self) -> bool:
        return self.header is not None and self.header.format == "png" and self.header.channels in _ALPHA


def read_image_facts(path: Path) -> ImageFacts:
    """Never raises: what cannot be read is a ``problem``."""
    try:
        header = read_header(path)
    except PictureError as error:
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
    if is_short or (mark is not None and mark not in tail):  # cameras write a few bytes behind the mark
        return ImageFacts(header, digest.hexdigest(), "the end of the file is missing", "image-truncated")
    return ImageFacts(header, digest.hexdigest())
