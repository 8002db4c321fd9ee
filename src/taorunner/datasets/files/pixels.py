"""Opens images to decode them: whether Pillow is installed, and which formats are read.

Pillow finds the format by the content, whatever a file is called, and knows some forty. Encapsulated PostScript among
them is handed to Ghostscript, so a "mask" of a container would be a program on this machine: only ``FORMATS`` are read.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.errors import UserFilesError

if TYPE_CHECKING:
    from typing import BinaryIO

    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
"""Those of ``image_header``."""


def has_pillow() -> bool:
    """True when images can be decoded."""
    return find_spec("PIL") is not None


def needs_pillow(what: str) -> None:
    """Raises UserFilesError with the command to type when Pillow is not installed."""
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise UserFilesError(
            f"{what} needs Pillow, which is not installed", hint="pip install 'taorunner[datasets]'"
        ) from None


@contextmanager
def open_image(source: Path | BinaryIO) -> Iterator[Image]:
    """The image, not decoded yet. Pillow's warnings of odd metadata and of large images are no output of ours; a caller
    makes the latter an error where it wants.

    Raises ImportError without Pillow, OSError, ValueError, SyntaxError or DecompressionBombError for what is no image.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, append=True)
        with Image.open(source, formats=FORMATS) as opened:
            yield opened
