"""Crops the texts of images, for networks that read images of one word each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.datasets.files.pixels import open_image
from taorunner.datasets.model.texts import MARK, WORDS, Corners, TextDataset, TextImage
from taorunner.datasets.transform.readable_images import undecodable
from taorunner.datasets.writers.texts import CROPS
from taorunner.errors import Finding, Severity
from taorunner.text import amount

if TYPE_CHECKING:
    from PIL.Image import Image

    from taorunner.datasets.formats.folder import Folder

_LEAST_PIXELS = 2


def words_of(dataset: TextDataset, usable: list[TextImage], findings: list[Finding]) -> TextDataset:
    """A dataset with an image for each text of ``usable``, which are the images of ``dataset`` with sound outlines;
    ``findings`` are those on both. Texts that cannot be read stay, marked as such."""
    words = tuple(word for image in usable for word in _words(image))
    message = f"{amount(len(words), 'text')} of {amount(len(usable), 'image')}: each is an image of its own"
    said = Finding(Severity.INFO, "words-cropped", message, None, dataset.root)
    return TextDataset(dataset.format, WORDS, dataset.root, words, (), (*findings, said))


def _words(image: TextImage) -> Iterator[TextImage]:
    for text in image.texts:
        word = replace(text, text=text.text if text.is_legible else MARK, corners=())
        yield replace(image, texts=(word,), crop=clockwise(text.corners))


def clockwise(corners: Corners) -> Corners:
    """The same corners, from the first one on in the order that people see on an image as clockwise."""
    x, y = corners[::2], corners[1::2]
    twice = sum(x[at - 1] * y[at] - x[at] * y[at - 1] for at in range(4))
    return corners if twice >= 0 else (*corners[:2], *corners[6:8], *corners[4:6], *corners[2:4])


def crops_of_one_image(folder: Folder) -> Iterator[tuple[Path, Path]]:
    """Pairs of words of one image, where ``writers/texts`` has noted which they are."""
    for path in folder.with_suffix(".json"):
        base, _, name = path.rpartition("/")
        listed = folder.json(path) if name == CROPS else None
        for crops in listed.values() if isinstance(listed, dict) else ():
            known = [one for one in crops if isinstance(one, str)] if isinstance(crops, list) else []
            files = [folder.root / base / one for one in known]
            yield from pairwise(files)


class WordCropper:
    """Saves parts of images. The last image stays decoded, as its words follow one another."""

    def __init__(self) -> None:
        self._last: tuple[Path, Image] | None = None

    def save(self, word: TextImage, target: Path) -> None:
        """A tilted word becomes upright: its first corner is the top left of ``target``, a PNG.

        Raises UserFilesError when the image cannot be decoded.
        """
        from PIL import Image

        image = self._image(word)
        c = word.crop
        left, top = math.floor(min(c[::2])), math.floor(min(c[1::2]))
        right, bottom = math.ceil(max(c[::2])), math.ceil(max(c[1::2]))
        if len(set(c[::2])) == 2 == len(set(c[1::2])):
            made = image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
        else:
            wide = max(math.dist(c[0:2], c[2:4]), math.dist(c[6:8], c[4:6]), _LEAST_PIXELS)
            high = max(math.dist(c[0:2], c[6:8]), math.dist(c[2:4], c[4:6]), _LEAST_PIXELS)
            quad = (*c[0:2], *c[6:8], *c[4:6], *c[2:4])  # Pillow goes round the other way
            made = image.transform(
                (round(wide), round(high)), Image.Transform.QUAD, quad, Image.Resampling.BICUBIC
            )
        made.save(target)

    def _image(self, word: TextImage) -> Image:
        """The image as its outlines were drawn on it, in gray or colour."""
        from PIL import Image, ImageOps

        if self._last is None or self._last[0] != word.path:
            try:
                with open_image(word.path) as opened:
                    turned = ImageOps.exif_transpose(opened)
                    seen = turned if turned.size == (word.width, word.height) else opened
                    self._last = word.path, seen.copy() if seen.mode in ("L", "RGB") else seen.convert("RGB")
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                raise undecodable(word.path, error) from None
        return self._last[1]
