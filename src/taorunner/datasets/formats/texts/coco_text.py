"""Outlines of texts in the JSON of COCO-Text and TextOCR: ``imgs`` and ``anns``, both by id.

A text has ``utf8_string`` and an outline: ``mask`` (COCO-Text 2), ``polygon`` (COCO-Text 1) or ``points`` (TextOCR), a
list of x, y, x, y, and so on in pixels; without one, ``bbox``: x, y, width, height. ``legibility`` is ``illegible`` for
one that cannot be read; TextOCR writes "." for it.

Source: the pages and tools of COCO-Text (bgshih/coco-text) and TextOCR.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from taorunner.datasets.files.names import SPLIT_NAMES, subset_in
from taorunner.datasets.files.numbers import number
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.texts.paddle import smallest_rectangle
from taorunner.datasets.model.texts import MARK, OUTLINES, Text, TextDataset, TextImage
from taorunner.text import amount, printable

_OUTLINES = ("mask", "polygon", "points")
_OF_TEXTOCR = "."


def recognise(folder: Folder) -> bool:
    return bool(_documents(folder))


def _documents(folder: Folder) -> list[str]:
    found = []
    for path in folder.with_suffix(".json"):
        start = folder.peek(path) or ""
        if '"utf8_string"' in start or ('"imgs"' in start and folder.mentions(path, '"utf8_string"')):
            value = folder.json(path)
            if isinstance(value, dict) and all(isinstance(value.get(key), dict) for key in ("imgs", "anns")):
                found.append(path)
    return found


def read(folder: Folder) -> TextDataset:
    images: dict[str, TextImage] = {}
    counts: Counter[str] = Counter()
    for path in _documents(folder):
        _read_document(folder, path, images, counts)
    for key, message in (
        ("reduced", "outlines with other than four corners became the smallest rectangle around them: {}"),
        ("boxes", "texts without an outline have that of their box: {}"),
    ):
        if counts[key]:
            folder.warning(f"texts-{key}", message.format(amount(counts[key], "text")), folder.root)
    unlisted = [path for path in folder.image_files if str(folder.root / path) not in images]
    if unlisted:
        message = f'{amount(len(unlisted), "image")} in no list, such as "{printable(unlisted[0])}": left out'
        folder.warning("picture-unlisted", message, folder.root / unlisted[0])
    return TextDataset("coco-text", OUTLINES, folder.root, tuple(images.values()), (), tuple(folder.findings))


def _read_document(folder: Folder, path: str, images: dict[str, TextImage], counts: Counter[str]) -> None:
    value, place = folder.json(path), folder.root / path
    texts: dict[str, list[Text | None]] = {key: [] for key in value["imgs"]}
    for key, one in value["anns"].items():
        steps = ("anns", key)
        image_id = str(one.get("image_id")) if isinstance(one, dict) else ""
        if image_id not in texts:
            message = f'no image has the id "{printable(image_id)}" of a text'
            folder.error("text-list-line", message, place, *folder.json_place(path, steps))
            continue
        texts[image_id].append(_text(folder, path, steps, one, counts))
    for key, found in texts.items():
        image = value["imgs"][key]
        name = image.get("file_name") if isinstance(image, dict) else None
        if not isinstance(name, str):
            message = 'an image needs "file_name"'
            folder.error("text-list-line", message, place, *folder.json_place(path, ("imgs", key)))
            continue
        file = folder.image_file(name, path)
        if file is None:
            folder.missing_image(name, place, *folder.json_place(path, ("imgs", key)))
            continue
        if str(file) in images:
            message = f'"{printable(name)}" is listed a second time'
            folder.error("text-twice", message, place, *folder.json_place(path, ("imgs", key)))
            continue
        header = folder.header(file)
        kept = tuple(text for text in found if text is not None)
        if header is not None and len(kept) == len(
            found
        ):  # without one of its texts it must not be trained on
            subset = SPLIT_NAMES.get(str(image.get("set")).lower(), "") or subset_in(path)
            images[str(file)] = TextImage(file, header.width, header.height, kept, subset, place)


def _text(
    folder: Folder, path: str, steps: tuple[str, str], one: Mapping[str, Any], counts: Counter[str]
) -> Text | None:
    place = (folder.root / path, *folder.json_place(path, steps))
    text, points = one.get("utf8_string", ""), _corners(one, counts)
    if one.get("legibility") == "illegible" or text == _OF_TEXTOCR:
        text = MARK
    if not isinstance(text, str) or not text.strip() or points is None:
        lacks = "an outline of numbers" if points is None else '"utf8_string"'
        message = f'the text "{printable(steps[1])[:40]}" has no {lacks}'
        folder.error("text-list-line", message, *place, hint='mark it with "legibility": "illegible" if so')
        return None
    if "\n" in text or "\r" in text:
        message = f'the text has more than one line: "{printable(text)[:60]}"'
        folder.error("text-line-break", message, *place, hint="draw each line by itself")
        return None
    return Text(text.strip(), tuple(value for point in points for value in point))


def _corners(one: Mapping[str, Any], counts: Counter[str]) -> list[tuple[float, float]] | None:
    """Four corners; None when the numbers are wrong."""
    given = next((one[key] for key in _OUTLINES if one.get(key)), None)
    box = one.get("bbox") if given is None else None
    values = given if given is not None else box
    known = [number(value) for value in values] if isinstance(values, list) else []
    sound = [value for value in known if value is not None and abs(value) < 1e9]
    if len(sound) != len(known) or len(sound) % 2 or not sound:
        return None
    if box is not None:
        if len(sound) != 4:
            return None
        counts["boxes"] += 1
        x, y, wide, high = sound
        return [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)]
    points = list(zip(sound[::2], sound[1::2], strict=True))
    if len(points) == 4:
        return points
    if len(points) < 3:
        return None
    counts["reduced"] += 1
    return smallest_rectangle(points)
