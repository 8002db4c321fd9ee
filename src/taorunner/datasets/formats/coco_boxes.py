"""The boxes of a COCO file, in columns, and what else its annotations have."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate, islice
from operator import add, gt
from typing import Any

from msgspec import UNSET

from taorunner.datasets.files.coco_rows import Annotation, AnnotationTexts, BareAnnotation, Batch
from taorunner.datasets.files.numbers import number
from taorunner.datasets.model.boxes import BoxRows, BoxTable, Kind, Rest

_READ = frozenset({"image_id", "category_id", "bbox", "iscrowd", "score"})
_PLAIN = ("id", "area", "segmentation")


class AnnotationRows:
    """The boxes of a file in the order of its annotations, until they are grouped by image."""

    def __init__(self, texts: AnnotationTexts) -> None:
        self._table = BoxTable(lambda row: rest_of(texts.read(self._annotations[row])))
        self._annotations, self._images = array("I"), array("I")
        self._numbers: dict[Any, int] = {}
        self._kinds: dict[tuple[Any, ...], int] = {}

    def add(self, index: int, image_id: Any, name: str, corners: tuple[float, ...], kind: Kind) -> None:
        """``index``: of the annotation in the file."""
        self._table.add_row(name, corners, kind=self._table.kind_number(kind))
        self._images.append(self._numbers.setdefault(image_id, len(self._numbers)))
        self._annotations.append(index)

    def add_batch(self, batch: Batch, names: Mapping[Any, str]) -> set[int] | None:
        """Adds the boxes that are right; returns the indices of the others in the batch, None for all."""
        if batch.annotations is None:
            return None
        if batch.keys is None and self._add_all(batch, batch.annotations, names):
            return set()
        left: set[int] = set()
        for index, annotation in enumerate(batch.annotations):
            x, y, width, height = annotation.bbox
            name = names.get(annotation.category_id)
            if name is None or not math.isfinite(x + y + width + height):
                left.add(index)
                continue
            kind = self._kind_of(annotation, batch.keys[index] if batch.keys is not None else None)
            self._table.add_row(name, (x, y, x + width, y + height), kind=kind)
            self._images.append(self._numbers.setdefault(annotation.image_id, len(self._numbers)))
            self._annotations.append(batch.first + index)
        return left

    def _add_all(
        self, batch: Batch, annotations: Sequence[Annotation | BareAnnotation], names: Mapping[Any, str]
    ) -> bool:
        """Adds all of them in columns; False, and none, when one is wrong."""
        categories = [one.category_id for one in annotations]
        if not annotations or not names.keys() >= set(categories):
            return False
        x_min, y_min, widths, heights = zip(*[one.bbox for one in annotations], strict=True)
        x_max, y_max = list(map(add, x_min, widths)), list(map(add, y_min, heights))
        if not math.isfinite(sum(x_max) + sum(y_max)):
            return False
        kinds = self._kinds_of(annotations, are_bare=batch.are_bare)
        self._table.add_rows(categories, names, (x_min, y_min, x_max, y_max), kinds)
        images = [one.image_id for one in annotations]
        for image_id in dict.fromkeys(images):
            self._numbers.setdefault(image_id, len(self._numbers))
        self._images.extend(map(self._numbers.__getitem__, images))
        self._annotations.extend(range(batch.first, batch.first + len(annotations)))
        return True

    def _kinds_of(
        self, annotations: Sequence[Annotation | BareAnnotation], *, are_bare: bool
    ) -> Sequence[int]:
        if not are_bare:
            shapes = [
                (
                    one.segmentation is UNSET,
                    one.iscrowd,
                    one.score is None,
                    one.id is UNSET,
                    one.area is UNSET,
                )
                for one in annotations
            ]
            if not shapes[0][0] or shapes.count(shapes[0]) < len(shapes):
                return [self._kind_of(one, None) for one in annotations]
        return [self._kind_of(annotations[0], None)] * len(annotations)

    def _kind_of(self, annotation: Annotation | BareAnnotation, keys: tuple[str, ...] | None) -> int:
        is_plain = annotation.segmentation is UNSET
        has_outline = not is_plain and annotation.has_outline
        shape = (
            has_outline, is_plain, bool(annotation.iscrowd), annotation.score is None,
            annotation.id is UNSET, annotation.area is UNSET, keys,
        )  # fmt: skip
        number = self._kinds.get(shape)
        if number is None:
            given = keys or [key for key in _PLAIN if getattr(annotation, key) is not UNSET]
            extra = tuple(
                key for key in given if key not in _READ and (key != "segmentation" or not has_outline)
            )
            kind = Kind(False, annotation.score is not None, bool(annotation.iscrowd), has_outline, extra)
            number = self._kinds[shape] = self._table.kind_number(kind)
        return number

    def by_image(self) -> dict[Any, BoxRows]:
        if not self._numbers:
            return {}
        counts = [0] * len(self._numbers)
        for image in self._images:
            counts[image] += 1
        ends = list(accumulate(counts))
        begins = [end - count for end, count in zip(ends, counts, strict=True)]
        if any(map(gt, self._images, islice(self._images, 1, None))):
            order = array("I", bytes(4 * len(self._images)))
            free = begins.copy()
            for row, image in enumerate(self._images):
                order[free[image]] = row
                free[image] += 1
            self._table.sort(order)
            self._annotations = array("I", map(self._annotations.__getitem__, order))
        self._images = array("I")
        return {
            image_id: BoxRows(self._table, begins[number], ends[number])
            for image_id, number in self._numbers.items()
        }


def rest_of(annotation: Mapping[str, Any]) -> Rest:
    """What is not in the columns, as ``BoxTable`` asks for it."""
    score = annotation.get("score")
    return Rest(
        None, number(score) if score is not None else None, bool(annotation.get("iscrowd")),
        annotation.get("segmentation") or None, _extra(annotation),
    )  # fmt: skip


def _extra(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """All fields that are not read, unchanged. An empty outline is kept, as loaders may look for it."""
    return {
        key: value
        for key, value in annotation.items()
        if key not in _READ and (key != "segmentation" or not value)
    }
