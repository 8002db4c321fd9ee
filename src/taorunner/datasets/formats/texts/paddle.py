"""Outlines of texts in the lists of PaddleOCR: a line for each image, its name, a tab, and its texts as JSON.

A text is an object with ``transcription`` and ``points``; ``difficult`` marks one that cannot be read.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from taorunner.datasets.files.names import few_of_each, subset_in
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.texts import MARK, OUTLINES, Text, TextDataset, TextImage
from taorunner.text import amount, printable
from taorunner.values.bounded_reading import parse_json

_ROW = re.compile(r"\ufeff?[^\t\n]+\t\s*\[\s*(\{\s*\"|\]\s*$)", re.MULTILINE)
_OF_A_TEXT = '"transcription"'
_LONE = re.compile("[\ud800-\udfff]")
"""Halves of characters, which no text file can hold."""
_KNOWN = frozenset({"transcription", "points", "difficult"})
Point = tuple[float, float]


def recognise(folder: Folder) -> bool:
    return bool(_lists(folder))


def read(folder: Folder) -> TextDataset:
    images: dict[str, TextImage] = {}
    counts: Counter[str] = Counter()
    for path in _lists(folder):
        for line, row in enumerate((folder.text(path) or "").split("\n"), start=1):
            if row.strip():
                _add_row(folder, path, line, row.strip("\r"), images, counts)
    for key, message in (
        ("reduced", "outlines with other than four corners became the smallest rectangle around them: {}"),
        ("difficult", 'texts that are marked as difficult are written as "###", without what they say: {}'),
    ):
        if counts[key]:
            folder.warning(f"texts-{key}", message.format(amount(counts[key], "text")), folder.root)
    lost = {key.partition(":")[2]: count for key, count in counts.items() if key.startswith("key:")}
    if lost:
        listed = ", ".join(
            f'"{printable(key)}" ({amount(count, "text")})' for key, count in sorted(lost.items())
        )
        folder.warning("fields-lost", f"left out, as networks of texts do not read it: {listed}", folder.root)
    unlisted = [path for path in folder.image_files if str(folder.root / path) not in images]
    if unlisted:
        message = f'{amount(len(unlisted), "image")} in no list, such as "{printable(unlisted[0])}": left out'
        folder.warning("picture-unlisted", message, folder.root / unlisted[0])
    return TextDataset("paddleocr", OUTLINES, folder.root, tuple(images.values()), (), tuple(folder.findings))


def _lists(folder: Folder) -> list[str]:
    found = []
    for path in few_of_each(folder.with_suffix(".txt")):
        text = folder.peek(path) or ""
        if "\t" in text and _OF_A_TEXT in text and _ROW.match(text):
            found.append(path)
    return found


def _add_row(
    folder: Folder, path: str, line: int, row: str, images: dict[str, TextImage], counts: Counter[str]
) -> None:
    place = folder.root / path
    name, _, rest = row.lstrip("\ufeff").partition("\t")
    try:
        listed = parse_json(rest, finite=False)
    except ValueError:
        listed = None
    if not isinstance(listed, list):
        folder.error(
            "text-list-line", "a name, a tab and a list of texts as JSON should be here", place, line, 1
        )
        return
    image = folder.image_file(name, path)
    if image is None:
        folder.missing_image(name, place, line, 1)
        return
    if str(image) in images:
        folder.error("text-twice", f'"{printable(name)}" is listed a second time', place, line, 1,
                     hint="keep one of the two lines")  # fmt: skip
        return
    header = folder.header(image)
    texts = [_text(folder, path, line, one, counts) for one in listed]
    kept = tuple(text for text in texts if text is not None)
    if header is not None and len(kept) == len(texts):  # without one of its texts it must not be trained on
        below = image.relative_to(folder.root).as_posix() if image.is_relative_to(folder.root) else ""
        subset = subset_in(path) or subset_in(below)
        images[str(image)] = TextImage(image, header.width, header.height, kept, subset, place)


def _text(folder: Folder, path: str, line: int, one: Any, counts: Counter[str]) -> Text | None:
    text = one.get("transcription") if isinstance(one, dict) else None
    points = _points(one.get("points")) if isinstance(one, dict) else None
    if not isinstance(text, str) or points is None or _LONE.search(text):
        message = f"a text needs a transcription and three or more points: {printable(json.dumps(one))[:60]}"
        folder.error("text-list-line", message, folder.root / path, line, 1)
        return None
    if "\n" in text or "\r" in text:
        message = f'the text has more than one line: "{printable(text)[:60]}"'
        folder.error("text-line-break", message, folder.root / path, line, 1, hint="draw each line by itself")
        return None
    if one.get("difficult") is True and text != MARK:
        counts["difficult"] += 1
        text = MARK
    for key, value in one.items():
        if key not in _KNOWN and value not in (None, "None", "", False):
            counts[f"key:{key}"] += 1
    if len(points) != 4:
        counts["reduced"] += 1
        points = smallest_rectangle(points)
    return Text(text.strip(), tuple(value for point in points for value in point), line)


def _points(value: Any) -> list[Point] | None:
    if not isinstance(value, list) or len(value) < 3:
        return None
    found = []
    for point in value:
        is_good = isinstance(point, list) and len(point) == 2
        if not is_good or not all(
            type(v) in (int, float) and math.isfinite(v) and abs(v) < 1e9 for v in point
        ):
            return None
        found.append((float(point[0]), float(point[1])))
    return found


def smallest_rectangle(points: Sequence[Point]) -> list[Point]:
    """The four corners of the rectangle with the smallest area around ``points``; one of its sides is a side of their
    hull."""
    hull = _hull(points)
    best: tuple[float, list[Point]] | None = None
    for (x0, y0), (x1, y1) in zip(hull, [*hull[1:], hull[0]], strict=True):
        length = math.hypot(x1 - x0, y1 - y0)
        if not length:
            continue
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        along = [x * ux + y * uy for x, y in hull]
        across = [y * ux - x * uy for x, y in hull]
        area = (max(along) - min(along)) * (max(across) - min(across))
        if best is None or area < best[0]:
            ends = [
                (min(along), min(across)),
                (max(along), min(across)),
                (max(along), max(across)),
                (min(along), max(across)),
            ]
            best = area, [(round(a * ux - b * uy, 2), round(a * uy + b * ux, 2)) for a, b in ends]
    return best[1] if best is not None else [points[0]] * 4


def _hull(points: Sequence[Point]) -> list[Point]:
    """The convex hull, by Andrew's monotone chain."""
    ordered = sorted(set(points))

    def half(of: Sequence[Point]) -> list[Point]:
        found: list[Point] = []
        for x, y in of:
            while len(found) > 1:
                (ax, ay), (bx, by) = found[-2:]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                found.pop()
            found.append((x, y))
        return found[:-1]

    return (half(ordered) + half(ordered[::-1])) or ordered
