"""Reads image files as arrays and resizes them to the network's input."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from .arrays import Images
from .failures import RunFailedError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_FORMATS = ("PNG", "JPEG", "BMP")
"""By content: Pillow would hand PostScript to another program."""


def open_image(source: Path | bytes, name: str | None = None) -> Image.Image:
    """The image in RGB. Raises: RunFailedError naming the file (or ``name``) when it cannot be read."""
    shown = name or str(source if isinstance(source, Path) else "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            stream = io.BytesIO(source) if isinstance(source, bytes) else source
            with Image.open(stream, formats=_FORMATS) as picture:
                converted: Image.Image = picture.convert("RGB")
                return converted
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise RunFailedError("File system error", f'cannot read image "{shown}": {error}') from error


def to_input(picture: Image.Image, width: int, height: int) -> Images:
    """Stretched to the network's input: ``(height, width, 3)``."""
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.uint8)
