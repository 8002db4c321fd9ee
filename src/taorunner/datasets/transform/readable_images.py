"""Saves images that TAO's networks do not read as PNG with 8 bits: WebP, TIFF, and 16 bits per channel. Gives the
images of a KITTI dataset one suffix.

Source: tao/tensorflow.md section 7 and the suffixes of tao-pytorch 7.0.1, which leave out WebP and TIFF; Pillow's
conversion of 16 bits to RGB, which those loaders call, cuts off all values above 255.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from taorunner.datasets.files.image_header import SELDOM_READ, ImageError, read_header
from taorunner.datasets.files.pixels import has_pillow, open_image
from taorunner.datasets.model.annotations import ImageEntry
from taorunner.datasets.model.class_names import JPEG_SUFFIXES
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.text import amount, printable

PNG, JPG = ".png", ".jpg"
_WRITTEN = (PNG, JPG)
_TAO_FORMATS = ("kitti", "coco", "odvg", "panoptic", "ocdnet", "ocrnet")
_ALWAYS_READ = frozenset({".jpg", ".jpeg", ".bmp", ".gif"})
_NO_GIF = ("ocdnet", "ocrnet")
"""OpenCV's versions in TAO's images read no GIF, and the lists of suffixes for inference leave it out."""
_UNREAD = {".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
"""Suffixes that the networks pass over, whatever the file holds."""
_WIDE = "with 16 bits per channel"


def unread_kinds(to: str, images: Sequence[ImageEntry]) -> dict[Path, str]:
    """The images that networks which train on the format ``to`` do not read, each with what it is."""
    if to not in _TAO_FORMATS:
        return {}
    kinds = (
        (image.path, "GIF" if to in _NO_GIF and image.path.suffix.lower() == ".gif" else _kind(image.path))
        for image in images
    )
    return {path: kind for path, kind in kinds if kind is not None}


def _kind(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix in _ALWAYS_READ or suffix in _UNREAD:
        return _UNREAD.get(suffix)
    try:
        header = read_header(path)
    except (ImageError, OSError):
        return None  # the reader has reported it
    if header.format in SELDOM_READ:
        return header.format.upper()
    return _WIDE if header.bits > 8 else None


def conversion_findings(kinds: Mapping[Path, str], place: Path) -> Iterator[Finding]:
    """A warning with the number of each kind; an error when they cannot be decoded here."""
    if not kinds:
        return
    listed = ", ".join(f"{count:,} {kind}" for kind, count in sorted(Counter(kinds.values()).items()))
    if has_pillow():
        message = f"{amount(len(kinds), 'image')} saved as PNG, as TAO's networks do not read {listed}"
        hint = "of 16 bits, the upper 8 are kept" if _WIDE in kinds.values() else None
        yield Finding(Severity.WARNING, "images-converted", message, hint, place)
    else:
        message = f"TAO's networks do not read {listed}, and without Pillow they cannot be converted"
        hint = "pip install 'taorunner[datasets]'; --skip-bad leaves them as they are"
        yield Finding(Severity.ERROR, "extension-unread", message, hint, place)


def of_one_suffix(
    images: Sequence[ImageEntry], suffixes: Mapping[Path, str], place: Path
) -> tuple[dict[Path, str], list[Finding]]:
    """``suffixes`` of the images to save, with all that have not the most frequent suffix, and a finding that counts
    them. Source: tao/tensorflow.md section 7, one ``image_extension`` for a whole dataset."""
    own = {image.path: suffixes.get(image.path) or _usual(image.path.suffix) for image in images}
    counts = Counter(own.values())
    if len(counts) < 2:
        return dict(suffixes), []
    most = min(counts, key=lambda suffix: (-counts[suffix], suffix not in _WRITTEN, suffix))
    most = most if most in _WRITTEN else PNG
    other = {path: most for path, suffix in own.items() if suffix != most}
    listed = ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common())
    message = (
        f"{amount(len(other), 'image')} saved as {most}, as TAO reads one extension of a dataset: {listed}"
    )
    hint = "JPEG loses a little: save them all as PNG before if that matters" if most == JPG else None
    return {**suffixes, **other}, [Finding(Severity.WARNING, "extensions-mixed", message, hint, place)]


def _usual(suffix: str) -> str:
    return JPG if suffix.lower() in JPEG_SUFFIXES else suffix.lower()


def undecodable(source: Path, error: Exception) -> UserFilesError:
    message = f"the image cannot be decoded: {printable(str(error))[:200]}"
    hint = "replace it, or delete it and its label"
    return UserFilesError(
        "nothing was written, because an image cannot be decoded",
        hint="correct that first",
        findings=[Finding(Severity.ERROR, "image-undecodable", message, hint, source)],
    )


def save_as(source: Path, target: Path) -> None:
    """As PNG, or as JPEG where ``target`` is named so; rotated by EXIF, as the boxes are.

    Raises UserFilesError when the image cannot be decoded.
    """
    from PIL import Image, ImageOps

    try:
        with open_image(source) as opened:
            turned = ImageOps.exif_transpose(opened)
            if turned.mode.startswith("I"):
                made = turned.convert("I").point(lambda value: value / 256).convert("L")
            elif target.suffix == JPG:
                made = turned.convert("L" if turned.mode == "L" else "RGB")
            else:
                made = turned.convert(
                    "RGBA" if "A" in turned.getbands() else "L" if turned.mode == "L" else "RGB"
                )
            if target.suffix == JPG:
                made.save(target, "JPEG", quality=95, subsampling=0)
            else:
                made.save(target, "PNG", compress_level=4)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise undecodable(source, error) from None
