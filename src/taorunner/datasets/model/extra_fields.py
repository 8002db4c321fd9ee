"""Further fields of annotations (key points, attributes, ids): carried over, moved, or counted as lost.

Readers put them into ``Box.extra`` and ``ImageEntry.extra`` under the names of their format. COCO can hold all of
them; every other format only its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.datasets.model.boxes import BoxTable, kinds_of
from taorunner.text import printable

Move = Callable[[float, float], tuple[float, float]]
"""Maps a point of the old image to the new one; absolute pixels."""

NOT_LOST = frozenset({"id", "area", "segmentation"})
"""Computed again for formats that have them."""
_KEEPS_SCORES = frozenset({"coco", "yolo"})
_POINTS = ("keypoints", "_kpts")
_IDS = ("ids", "labels")


def moved(extra: Mapping[str, Any], move: Move) -> dict[str, Any]:
    """``extra`` for an image whose points were moved: key points are moved, the area is left out.

    Raises ValueError with the name of a field whose coordinates are not understood.
    """
    made: dict[str, Any] = {}
    for key, value in extra.items():
        if key.endswith(_POINTS) and isinstance(value, list):
            made[key] = _moved_points(key, value, move)
        elif _is_geometry(value) and not key.endswith(_IDS):
            raise ValueError(key)
        elif key != "area":
            made[key] = value
    return made


def holds_extra(to: str, dataset: DetectionDataset) -> bool:
    """Whether the format ``to`` can hold the extra fields of ``dataset``."""
    if to == "coco":
        return True
    return to == dataset.format and (to != "yolo" or bool(dataset.metadata.pose))


def without_extra(images: Iterable[ImageEntry]) -> list[ImageEntry]:
    table = BoxTable()
    return [
        replace(image, extra=None, boxes=table.add(replace(box, extra=None) for box in image.boxes))
        for image in images
    ]


def lost_fields(to: str, dataset: DetectionDataset, images: Iterable[ImageEntry]) -> Counter[str]:
    """Number of objects in ``images`` with a field that ``to`` cannot hold, by field name."""
    lost: Counter[str] = Counter()
    is_held = holds_extra(to, dataset)
    kinds = Counter(kind for image in images for kind in kinds_of(image.boxes))
    for kind, count in kinds.items():
        for key in () if is_held else kind.extra:
            if key not in NOT_LOST:
                lost[key] += count
        if kind.iscrowd and to != "coco":
            lost["iscrowd"] += count
        if kind.has_kitti and to != "kitti":
            lost["truncation, occlusion, 3-D"] += count
        if kind.has_score and to not in _KEEPS_SCORES:
            lost["score"] += count
    return lost


def lost_message(to: str, lost: Mapping[str, int]) -> str:
    """
    >>> lost_message("kitti", {"keypoints": 2})
    'kitti cannot hold "keypoints" (2 objects): left out'
    """
    shown = ", ".join(
        f'"{printable(key)[:40]}" ({count:,} {"object" if count == 1 else "objects"})'
        for key, count in list(lost.items())[:8]
    )
    return f"{to} cannot hold {shown}: left out"


def moved_box(box: Box, move: Move) -> Mapping[str, Any] | None:
    """The ``extra`` of ``box``, moved, without the fields that ``unmovable`` reports."""
    if not box.extra:
        return box.extra
    return moved({key: value for key, value in box.extra.items() if key not in unmovable(box)}, move)


def unmovable(box: Box) -> list[str]:
    """The fields in ``extra`` that cannot be moved when the image is resized or rotated."""
    found = []
    for key, value in (box.extra or {}).items():
        try:
            moved({key: value}, lambda x, y: (x, y))
        except ValueError:
            found.append(key)
    return found


def _moved_points(key: str, values: list[Any], move: Move) -> list[Any]:
    if len(values) % 3 or not all(_is_number(value) for value in values):
        raise ValueError(key)
    made: list[Any] = []
    for at in range(0, len(values), 3):
        x, y, visibility = values[at : at + 3]
        if visibility:  # 0: x and y are 0 and have no meaning
            x, y = (round(value, 4) for value in move(x, y))
        made += [x, y, visibility]
    return made


def _is_geometry(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "counts" in value
    if not isinstance(value, list) or not value:
        return False
    return (len(value) > 1 and all(map(_is_number, value))) or any(
        isinstance(one, list | Mapping) and _is_geometry(one) for one in value
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
