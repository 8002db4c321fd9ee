"""Decodes the annotations of a COCO file, typed and in pieces.

What has the usual types comes in batches; everything else, as JSON has it, one by one. Which annotations are right is
decided by ``formats.coco``.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from taorunner.datasets.files.json_pieces import JsonObject
from taorunner.values.value import Value

_EMPTY = re.compile(rb'\[\s*\]|\{\s*\}|""|null|false|-?0(\.0*)?([eE][+-]?\d+)?')
"""Values that are false in Python."""


class Annotation(msgspec.Struct, gc=False):
    """The types that files of most tools have."""

    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float]
    iscrowd: int | float | bool | None = None
    score: float | None = None
    segmentation: Raw | UnsetType = UNSET
    id: Any = UNSET
    area: Any = UNSET

    @property
    def has_outline(self) -> bool:
        return self.segmentation is not UNSET and not _EMPTY.fullmatch(bytes(self.segmentation))


class _PlainAnnotation(Annotation, gc=False, forbid_unknown_fields=True):
    """Has no further fields."""


class BareAnnotation(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A box with an id and an area, and nothing else."""

    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float]
    id: int
    area: float
    iscrowd: Literal[0] = 0
    segmentation: ClassVar[UnsetType] = UNSET
    score: ClassVar[None] = None
    has_outline: ClassVar[bool] = False


_BARE = msgspec.json.Decoder(list[BareAnnotation])
_PLAIN = msgspec.json.Decoder(list[_PlainAnnotation])
_OTHERS = msgspec.json.Decoder(list[Annotation])
_KEYS = msgspec.json.Decoder(list[dict[str, Raw]])
_TEXTS = msgspec.json.Decoder(list[Raw])


class Batch(Value):
    """The annotations of one piece. ``first``: the index of the first; ``text``: a JSON list of them. ``annotations``
    is None when one of them has other types; ``keys``: the keys of each, None when all are those of ``Annotation``."""

    first: int
    text: bytes
    annotations: Sequence[Annotation | BareAnnotation] | None
    keys: list[tuple[str, ...]] | None
    are_bare: bool = False
    """All annotations are ``BareAnnotation``."""

    @property
    def without_area(self) -> int:
        if self.are_bare:
            return 0
        return sum([one.area is UNSET for one in self.annotations or ()])


def batches(document: JsonObject, key: str = "annotations") -> Iterator[Batch]:
    """Raises MachineError when the file cannot be read any more."""
    for piece, text in document.pieces(key):
        annotations: Sequence[Annotation | BareAnnotation] | None
        keys: list[tuple[str, ...]] | None = None
        with suppress(msgspec.DecodeError):
            yield Batch(piece.first, text, _BARE.decode(text), None, are_bare=True)
            continue
        try:
            annotations = _PLAIN.decode(text)
        except msgspec.DecodeError:
            try:
                annotations = _OTHERS.decode(text)
                keys = [tuple(fields) for fields in _KEYS.decode(text)]
            except msgspec.DecodeError:
                annotations = None
        yield Batch(piece.first, text, annotations, keys)


def category_ids(document: JsonObject) -> Iterator[Any]:
    """The category of each annotation, None where it has none."""
    for batch in batches(document):
        if batch.annotations is not None:
            yield from (one.category_id for one in batch.annotations)
        else:
            for one in json.loads(batch.text):
                yield one.get("category_id") if isinstance(one, dict) else None


class AnnotationTexts:
    """Reads single annotations again, by their index in the file. Where each begins is found at the first call."""

    def __init__(self, document: JsonObject, key: str = "annotations") -> None:
        self._document, self._key = document, key
        self._starts, self._lengths = array("Q"), array("I")

    def read(self, index: int) -> Any:
        """The annotation as JSON has it. Raises MachineError when it cannot be read any more."""
        if not self._starts:
            for piece, text in self._document.pieces(self._key):
                for start, stop in _places(text):
                    self._starts.append(piece.start - 1 + start)
                    self._lengths.append(stop - start)
        start = self._starts[index]
        return json.loads(self._document.source.read(start, start + self._lengths[index]))


def _places(text: bytes) -> list[tuple[int, int]]:
    """Where each value of a list begins and ends."""
    try:
        values = _TEXTS.decode(text)
    except msgspec.DecodeError:
        return _places_one_by_one(text)
    places = []
    at = 1
    for value in values:
        one = bytes(value)
        at = text.index(one, at)  # only blanks and a comma are between two values
        places.append((at, at + len(one)))
        at += len(one)
    return places


def _places_one_by_one(text: bytes) -> list[tuple[int, int]]:
    """The same for text that only Python reads."""
    decoder = json.JSONDecoder()
    decoded = text.decode()
    places: list[tuple[int, int]] = []
    at = start = end = 1
    while match := re.compile(r"[\s,]*").match(decoded, at):
        begin = match.end()
        if decoded[begin : begin + 1] == "]":
            return places
        _, stop = decoder.raw_decode(decoded, begin)
        start = end + len(decoded[at:begin].encode())
        end = start + len(decoded[begin:stop].encode())
        places.append((start, end))
        at = stop
    return places
