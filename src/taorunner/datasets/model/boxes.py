"""One box, and columns that hold millions of them in about 50 bytes each.

``BoxRows`` is what an image holds: a sequence that makes each ``Box`` when it is asked for. Loops over all boxes of a
dataset take ``corners_of``, ``columns_of``, ``names_of`` and ``kinds_of``, which make none.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload


@dataclass(frozen=True, slots=True)
class KittiFields:
    """The KITTI columns that no other format has. The defaults mean "unknown"; TAO reads them as a 2-D box."""

    truncation: float = 0.0
    occlusion: int = 0
    alpha: float = 0.0
    dimensions: tuple[float, float, float] = (0.0, 0.0, 0.0)
    location: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation_y: float = 0.0


@dataclass(frozen=True, slots=True)
class Box:
    """One object. ``score`` is a detector's (KITTI's 16th column); ``segmentation`` is COCO's, unchanged.

    ``extra`` holds further fields of the source (key points, attributes), under the names of its format.
    ``line`` is 1-based, in the image's ``source`` file; None for formats without meaningful lines.
    """

    name: str
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    kitti: KittiFields | None = None
    score: float | None = None
    iscrowd: bool = False
    segmentation: Any = None
    line: int | None = None
    extra: Mapping[str, Any] | None = None

    @property
    def width(self) -> float:
        return self.x_max - self.x_min

    @property
    def height(self) -> float:
        return self.y_max - self.y_min


class Fields(Mapping[str, Any]):
    """A small mapping that shares its keys with others; ``dict`` takes twice the memory."""

    __slots__ = ("_keys", "_values")

    def __init__(self, keys: tuple[str, ...], values: tuple[Any, ...]) -> None:
        self._keys, self._values = keys, values

    def __getitem__(self, key: str) -> Any:
        try:
            return self._values[self._keys.index(key)]
        except ValueError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return repr(dict(self))


Corners = tuple[str, float, float, float, float]
"""A box's ``(name, x_min, y_min, x_max, y_max)`` in absolute pixels, origin top left."""


Columns = tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]
"""``x_min``, ``y_min``, ``x_max`` and ``y_max`` of several boxes, in absolute pixels."""


class Kind(NamedTuple):
    """Which rare fields a box has. ``extra``: the names of its further fields."""

    has_kitti: bool = False
    has_score: bool = False
    iscrowd: bool = False
    has_outline: bool = False
    extra: tuple[str, ...] = ()


class Rest(NamedTuple):
    """The rare fields of a box."""

    kitti: KittiFields | None = None
    score: float | None = None
    iscrowd: bool = False
    segmentation: Any = None
    extra: Mapping[str, Any] | None = None

    @property
    def kind(self) -> Kind:
        return Kind(
            self.kitti is not None, self.score is not None, self.iscrowd, bool(self.segmentation),
            tuple(self.extra or ()),
        )  # fmt: skip


_NO_REST = Rest()
_SHARED = 4096
"""Number of different rests that are held once each; most formats have a few."""


class BoxTable:
    """Boxes in columns. Rows are only added, so that ``BoxRows`` stay valid."""

    def __init__(self, rest_of: Callable[[int], Rest] | None = None) -> None:
        """``rest_of``: reads the rare fields of a row from its source; else they are held here."""
        self.corners = tuple(array("d") for _ in range(4))
        self._names, self._kinds, self._lines, self._rests = (array("I") for _ in range(4))
        self._name_of: list[str] = []
        self._kind_of: list[Kind] = [Kind()]
        self._held: list[Rest] = [_NO_REST]
        self._name_numbers: dict[str, int] = {}
        self._kind_numbers: dict[Kind, int] = {Kind(): 0}
        self._shared: dict[str, int] = {}
        self._rest_of = rest_of or (lambda row: self._held[self._rests[row]])

    def __len__(self) -> int:
        return len(self._names)

    def add(self, boxes: Iterable[Box]) -> BoxRows:
        start = len(self)
        for box in boxes:
            self.add_row(box.name, (box.x_min, box.y_min, box.x_max, box.y_max), box.line or 0)
            rest = Rest(box.kitti, box.score, box.iscrowd, box.segmentation, box.extra)
            if rest != _NO_REST:
                self._kinds[-1] = self.kind_number(rest.kind)
                self._rests[-1] = self._rest_number(rest)
        return BoxRows(self, start, len(self))

    def add_row(self, name: str, corners: Sequence[float], line: int = 0, kind: int = 0) -> None:
        self._names.append(self._name_number(name))
        for column, value in zip(self.corners, corners, strict=True):
            column.append(value)
        self._kinds.append(kind)
        self._lines.append(line)
        self._rests.append(0)

    def add_rows(
        self, categories: Sequence[Any], names: Mapping[Any, str], columns: Columns, kinds: Sequence[int]
    ) -> None:
        """Many rows without lines, in columns of the same length. ``names``: the name of each of ``categories``."""
        numbers = {one: self._name_number(names[one]) for one in dict.fromkeys(categories)}
        self._names.extend(map(numbers.__getitem__, categories))
        for column, values in zip(self.corners, columns, strict=True):
            column.extend(array("d", values))
        self._kinds.extend(array("I", kinds))
        nothing = bytes(self._lines.itemsize * len(categories))
        self._lines.frombytes(nothing)
        self._rests.frombytes(nothing)

    def sort(self, order: array[int]) -> None:
        """Puts the rows into ``order``, before any are given out."""
        self.corners = tuple(array("d", map(column.__getitem__, order)) for column in self.corners)
        self._names, self._kinds, self._lines, self._rests = (
            array("I", map(column.__getitem__, order))
            for column in (self._names, self._kinds, self._lines, self._rests)
        )

    def _name_number(self, name: str) -> int:
        number = self._name_numbers.setdefault(name, len(self._name_of))
        if number == len(self._name_of):
            self._name_of.append(name)
        return number

    def kind_number(self, kind: Kind) -> int:
        """The number of ``kind`` in ``add_row``."""
        number = self._kind_numbers.setdefault(kind, len(self._kind_of))
        if number == len(self._kind_of):
            self._kind_of.append(kind)
        return number

    def _rest_number(self, rest: Rest) -> int:
        text = repr(rest) if not rest.segmentation and len(self._shared) < _SHARED else ""
        if text in self._shared:
            return self._shared[text]
        self._held.append(rest)
        if text:
            self._shared[text] = len(self._held) - 1
        return len(self._held) - 1

    def box(self, row: int) -> Box:
        name, rest = self._name_of[self._names[row]], self._rest_of(row)
        x_min, y_min, x_max, y_max = (column[row] for column in self.corners)
        return Box(
            name, x_min, y_min, x_max, y_max, rest.kitti, rest.score, rest.iscrowd, rest.segmentation,
            self._lines[row] or None, rest.extra,
        )  # fmt: skip

    def corners_of(self, start: int, stop: int) -> Iterator[Corners]:
        x_min, y_min, x_max, y_max = self.corners
        return zip(
            self.names_of(start, stop), x_min[start:stop], y_min[start:stop], x_max[start:stop],
            y_max[start:stop], strict=True,
        )  # fmt: skip

    def columns_of(self, start: int, stop: int) -> Columns:
        x_min, y_min, x_max, y_max = self.corners
        return x_min[start:stop], y_min[start:stop], x_max[start:stop], y_max[start:stop]

    def names_of(self, start: int, stop: int) -> Iterator[str]:
        return map(self._name_of.__getitem__, self._names[start:stop])

    def kinds_of(self, start: int, stop: int) -> Iterator[Kind]:
        return map(self._kind_of.__getitem__, self._kinds[start:stop])


class BoxRows(Sequence[Box]):
    """The boxes of one image: rows of a table. Equal to a tuple of equal boxes."""

    __slots__ = ("_start", "_stop", "_table")

    def __init__(self, table: BoxTable, start: int, stop: int) -> None:
        self._table, self._start, self._stop = table, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __iter__(self) -> Iterator[Box]:
        return map(self._table.box, range(self._start, self._stop))

    @overload
    def __getitem__(self, index: int) -> Box: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Box, ...]: ...
    def __getitem__(self, index: int | slice) -> Box | tuple[Box, ...]:
        rows = range(self._start, self._stop)[index]
        return self._table.box(rows) if isinstance(rows, int) else tuple(map(self._table.box, rows))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, BoxRows | tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def corners(self) -> Iterator[Corners]:
        return self._table.corners_of(self._start, self._stop)

    def columns(self) -> Columns:
        return self._table.columns_of(self._start, self._stop)

    def names(self) -> Iterator[str]:
        return self._table.names_of(self._start, self._stop)

    def kinds(self) -> Iterator[Kind]:
        return self._table.kinds_of(self._start, self._stop)


def corners_of(boxes: Sequence[Box]) -> Iterable[Corners]:
    if isinstance(boxes, BoxRows):
        return boxes.corners()
    return ((box.name, box.x_min, box.y_min, box.x_max, box.y_max) for box in boxes)


def columns_of(boxes: Sequence[Box]) -> Columns:
    if isinstance(boxes, BoxRows):
        return boxes.columns()
    return (
        [box.x_min for box in boxes], [box.y_min for box in boxes], [box.x_max for box in boxes],
        [box.y_max for box in boxes],
    )  # fmt: skip


def names_of(boxes: Sequence[Box]) -> Iterable[str]:
    return boxes.names() if isinstance(boxes, BoxRows) else (box.name for box in boxes)


def kinds_of(boxes: Sequence[Box]) -> Iterable[Kind]:
    if isinstance(boxes, BoxRows):
        return boxes.kinds()
    return (Rest(box.kitti, box.score, box.iscrowd, box.segmentation, box.extra).kind for box in boxes)
