"""Small copies of images for HTML files."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from taorunner.datasets.files.pixels import open_image

MOST_PIXELS = 64_000_000
"""A JPEG is decoded smaller; of others this takes 256 MB."""


def thumbnail(path: Path, pixels: int) -> str:
    """Base64 of a JPEG of at most ``pixels`` on a side, after the EXIF rotation; empty when it cannot be decoded, or
    would take more than ``MOST_PIXELS`` in memory for that.

    Raises ImportError without Pillow.
    """
    from PIL import Image, ImageOps

    try:
        with open_image(path) as full_size:
            full_size.draft("RGB", (pixels * 2, pixels * 2))
            if full_size.width * full_size.height > MOST_PIXELS:
                return ""
            small = ImageOps.exif_transpose(full_size)
            small.thumbnail((pixels, pixels))
            stream = io.BytesIO()
            small.convert("RGB").save(stream, "JPEG", quality=78)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    return base64.b64encode(stream.getvalue()).decode("ascii")
