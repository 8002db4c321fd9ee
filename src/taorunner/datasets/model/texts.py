"""The in-memory model of a dataset of texts: images with the outlines of their texts, or images of one word each.

Source: tao/layouts.md: OCDNet finds texts by their outlines, OCRNet reads the word of an image.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from taorunner.errors import Finding
from taorunner.values.value import Value

OUTLINES, WORDS = "outlines", "words"
"""The two kinds of datasets of texts."""
ILLEGIBLE = frozenset({"###", "*"})
"""Texts that mean "cannot be read". Source: ``ignore_tags`` in the specs of OCDNet; ``###`` is ICDAR's."""
MARK = "###"
Corners = tuple[float, ...]
"""Four corners: x and y of each, in pixels."""


@dataclass(frozen=True, slots=True)
class Text:
    """``corners`` is empty where the image shows only this text."""

    text: str
    corners: Corners = ()
    line: int | None = None

    @property
    def is_legible(self) -> bool:
        return self.text not in ILLEGIBLE


@dataclass(frozen=True, slots=True)
class TextImage:
    """An image with outlines may have no text; an image of a word has one. ``source``: the file of its texts.
    ``crop``: the part of the file that is the image, from the top left corner of the word clockwise; empty for all."""

    path: Path
    width: int
    height: int
    texts: tuple[Text, ...]
    subset: str = ""
    source: Path | None = None
    crop: Corners = ()


class TextDataset(Value):
    """``characters``: those of the source's own list, in its order; empty without such a list."""

    format: str
    kind: str
    root: Path
    images: tuple[TextImage, ...]
    characters: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def subsets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(image.subset for image in self.images))


def counts_of(images: tuple[TextImage, ...] | list[TextImage], kind: str) -> Counter[str]:
    """The number of legible and of illegible texts, or of words, by a name for people."""
    if kind == WORDS:
        return Counter(word=sum(len(image.texts) for image in images))
    legible = Counter(text.is_legible for image in images for text in image.texts)
    return Counter({name: legible[is_legible] for name, is_legible in (("text", True), ("illegible", False))})


def name_of(text: Text, kind: str) -> str:
    """The name under which ``counts_of`` counts it."""
    return "word" if kind == WORDS else "text" if text.is_legible else "illegible"
