"""Transforms COCO's ``segmentation`` when the image is scaled, padded or rotated.

It is a list of polygons (``[x, y, x, y, …]`` in pixels), or a run-length encoded mask, as numbers or compressed text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

Point = tuple[float, float]
Columns = list[bytes]
"""A mask in COCO's order: column by column, one byte of 0 or 1 for each pixel."""

_MAX_PIXELS = 1 << 28
_MOST_BITS = 60
"""Of a number in the text form: a longer one is no number of pixels, and takes time without end."""
_RUNS = re.compile(rb"\x00+|\x01+")


def scaled(
    outline: Any, scale: Point, size: tuple[int, int], offset: tuple[int, int], sheet: tuple[int, int]
) -> Any:  # fmt: skip
    """``outline`` after its image was scaled to ``size`` and placed at ``offset`` in an image of size ``sheet``.

    Raises ValueError for what is no outline.
    """

    def move(x: float, y: float) -> Point:
        return x * scale[0] + offset[0], y * scale[1] + offset[1]

    def draw(columns: Columns, height: int) -> tuple[Columns, int]:
        rows = itemgetter(*[_nearest(y, height, size[1]) for y in range(size[1])], 0)
        above, below = bytes(offset[1]), bytes(sheet[1] - offset[1] - size[1])
        blank = bytes(sheet[1])
        made = {column: above + bytes(rows(column)[:-1]) + below for column in set(columns)}
        inner = [made[columns[_nearest(x, len(columns), size[0])]] for x in range(size[0])]
        right = sheet[0] - offset[0] - size[0]
        return [blank] * offset[0] + inner + [blank] * right, sheet[1]

    return _mapped(outline, move, draw)


def turned(outline: Any, size: tuple[int, int], orientation: int) -> Any:
    """``outline`` on the stored pixels of ``size``, after the rotation by EXIF's ``orientation``.

    Raises ValueError when ``outline`` is not a segmentation.
    """
    swaps, mirrored, flipped = turns(orientation)
    width, height = (size[1], size[0]) if swaps else size

    def move(x: float, y: float) -> Point:
        x, y = (y, x) if swaps else (x, y)
        return width - x if mirrored else x, height - y if flipped else y

    def draw(columns: Columns, height: int) -> tuple[Columns, int]:
        if swaps:
            columns, height = [bytes(row) for row in zip(*columns, strict=True)], len(columns)
        if flipped:
            columns = [column[::-1] for column in columns]
        return (columns[::-1] if mirrored else columns), height

    return _mapped(outline, move, draw)


def turns(orientation: int) -> tuple[bool, bool, bool]:
    """The steps of EXIF's ``orientation``, in order: transpose, mirror left and right, mirror top and bottom."""
    return orientation in (5, 6, 7, 8), orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)


def area(outline: Any) -> float:
    """In pixels. Raises ValueError when ``outline`` is not a segmentation."""
    if isinstance(outline, Mapping):
        return float(sum(_runs(outline)[1::2]))
    total = 0.0
    for points in polygons(outline):
        ahead = [*points[1:], points[0]]
        total += abs(sum(x * v - u * y for (x, y), (u, v) in zip(points, ahead, strict=True))) / 2
    return total


def extent(mask: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """The box around the pixels inside. Raises ValueError for no mask, and for one without pixels inside."""
    runs, height = _runs(mask), mask["size"][0]
    columns: list[int] = []
    rows: list[int] = []
    at = 0
    for number, run in enumerate(runs):
        if number % 2 and run:
            columns += [at // height, (at + run - 1) // height]
            is_over = columns[-2] != columns[-1]
            rows += [0, height - 1] if is_over else [at % height, (at + run - 1) % height]
        at += run
    if not columns:
        raise ValueError("the mask is empty")
    return min(columns), min(rows), max(columns) + 1, max(rows) + 1


def pixels(mask: Mapping[str, Any]) -> tuple[bytes, int]:
    """One byte of 0 or 1 for each pixel, column by column, and the height. Raises ValueError for no mask."""
    runs = _runs(mask)
    return b"".join(bytes([number % 2]) * run for number, run in enumerate(runs)), mask["size"][0]


def polygons(outline: Any) -> list[list[Point]]:
    """The corners of each polygon. Raises ValueError for a mask, and when ``outline`` is not a segmentation."""
    if not isinstance(outline, list) or not outline:
        raise ValueError("not a list of polygons")
    listed = outline if isinstance(outline[0], list) else [outline]
    found = []
    for flat in listed:
        is_good = isinstance(flat, list) and len(flat) >= 6 and len(flat) % 2 == 0
        if not is_good or not all(isinstance(v, int | float) and abs(v) < 1e9 for v in flat):
            raise ValueError("a polygon needs three or more pairs of numbers")
        found.append(list(zip(flat[::2], flat[1::2], strict=True)))
    return found


def _mapped(
    outline: Any, move: Callable[[float, float], Point], draw: Callable[[Columns, int], tuple[Columns, int]]
) -> Any:  # fmt: skip
    if not isinstance(outline, Mapping):
        return [
            [round(value, 4) for point in points for value in move(*point)] for points in polygons(outline)
        ]
    stored, height = pixels(outline)
    columns, height = draw([stored[at : at + height] for at in range(0, len(stored), height)], height)
    joined = b"".join(columns)
    counts = [len(match[0]) for match in _RUNS.finditer(joined)]
    counts = [0, *counts] if joined[:1] == b"\x01" else counts
    packed = _packed(counts) if isinstance(outline["counts"], str) else counts
    return {"size": [height, len(columns)], "counts": packed}


def _nearest(at: int, old: int, new: int) -> int:
    return min(old - 1, int((at + 0.5) * old / new))


def _runs(mask: Mapping[str, Any]) -> list[int]:
    """Run lengths: pixels outside, inside, outside, … Raises ValueError unless they fill the mask."""
    size: Any = mask.get("size")
    counts = mask.get("counts")
    is_good = isinstance(size, list) and len(size) == 2 and all(isinstance(s, int) and s > 0 for s in size)
    if not is_good or size[0] * size[1] > _MAX_PIXELS:
        raise ValueError('a mask needs "size", height and width')
    runs = _unpacked(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(isinstance(run, int) and run >= 0 for run in runs):
        raise ValueError('"counts" of a mask are not run lengths')
    if sum(runs) != size[0] * size[1]:
        raise ValueError(f"the run lengths of a mask are {sum(runs)} pixels, not {size[0]}x{size[1]}")
    return runs


def _unpacked(text: str) -> list[int]:
    """Decodes run lengths: five bits per character, lowest first; the sixth bit means that more follow; from the
    fourth number on, differences.

    Source: the compressed text form that COCO's own tools write.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > _MOST_BITS:
            raise ValueError('"counts" of a mask has characters that are not run lengths')
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs


def _packed(runs: Sequence[int]) -> str:
    text = []
    for number, run in enumerate(runs):
        value = run - runs[number - 2] if number > 2 else run
        while True:
            bits, value = value & 31, value >> 5
            is_last = value == (-1 if bits & 16 else 0)
            text.append(chr((bits if is_last else bits | 32) + 48))
            if is_last:
                break
    return "".join(text)
