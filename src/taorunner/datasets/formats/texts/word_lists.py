"""Images of words with a list of their texts: a line for each image, its name and what it says.

Between them is a tab (PaddleOCR, OCRNet), a comma before a quoted text (ICDAR), a comma, or a blank. A file of
characters beside the lists is kept, in its order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.datasets.files.names import few_of_each, subset_in
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.texts import WORDS, Text, TextDataset, TextImage
from taorunner.text import amount, printable
from taorunner.values.bounded_reading import parse_json

CHARACTER_FILES = ("characters.txt", "character_list.txt", "character_list")
_SUFFIXES = (".txt", ".csv", ".tsv", ".lst", ".list")
_NAME = r"\ufeff?(?P<name>[^\t\n]+?\.(?:jpe?g|jfif|png|bmp|gif|webp|tiff?))"
_SEPARATED = {
    "tab": re.compile(_NAME + r"(?:\t(?P<text>.*))?\Z", re.IGNORECASE),
    "comma": re.compile(_NAME + r"\s*(?:,(?P<text>.*))?\Z", re.IGNORECASE),
    "blank": re.compile(_NAME + r"(?: +(?P<text>.*))?\Z", re.IGNORECASE),
}
_QUOTED = re.compile(r'"(.*)"\Z')
_NAMED_FOR_IT = re.compile(r"(gt|label|word|text|transcri|caption|ocr|rec)", re.IGNORECASE)
_HEADER = re.compile(
    r'\ufeff?"?(file_?names?|images?|image_?(name|path)|names?|path)"?\s*[,\t]\s*"?(words?|texts?|labels?|transcriptions?)"?\s*\Z',
    re.IGNORECASE,
)
_NO_LISTS = frozenset({"filestate.txt"})
"""What PaddleOCR's annotation tool writes beside its lists."""
_NUMBERS = re.compile(r"[-\d.,\s]*\Z")
_LOOKED_AT = 5
_SEVERAL = re.compile(r"\ufeff?(?P<name>\[\s*\".*\"\s*\])\t(?P<text>.*)\Z")
"""Several images with one text, as PaddleOCR allows."""


@dataclass(slots=True)
class _Read:
    images: dict[str, TextImage] = field(default_factory=dict)
    mentioned: set[str] = field(default_factory=set)
    repeated: list[tuple[Path, int]] = field(default_factory=list)


def recognise(folder: Folder, *, is_named: bool = False) -> bool:
    """``is_named``: someone has asked for words, so that what could be another kind of list is one, too."""
    return bool(_lists(folder, is_named=is_named))


def read(folder: Folder) -> TextDataset:
    made = _Read()
    lists = _lists(folder, is_named=True)
    for path, way in lists.items():
        _read_list(folder, path, way, made)
    if made.repeated:
        place, line = made.repeated[0]
        message = f"{amount(len(made.repeated), 'line')} repeat an earlier one: read once"
        folder.warning("word-repeated", message, place, line, 1)
    unlisted = [path for path in folder.image_files if str(folder.root / path) not in made.mentioned]
    if unlisted:
        message = f'{amount(len(unlisted), "image")} in no list, such as "{printable(unlisted[0])}": left out'
        hint = "add lines for them, or move them away"
        folder.warning("picture-unlisted", message, folder.root / unlisted[0], hint=hint)
    characters = tuple(_characters(folder))
    return TextDataset(
        "word-list", WORDS, folder.root, tuple(made.images.values()), characters, tuple(folder.findings)
    )


def _read_list(folder: Folder, path: str, way: str, made: _Read) -> None:
    place = folder.root / path
    rows = (folder.text(path) or "").split("\n")
    is_table = bool(rows) and _HEADER.match(rows[0].strip("\r")) is not None
    for line, row in enumerate(rows, start=1):
        row = row.strip("\r")
        if not row.strip() or (line == 1 and is_table):
            continue
        match = _SEVERAL.match(row) if row.lstrip("\ufeff").startswith("[") else None
        match = match or _SEPARATED[way].match(row)
        names = _names(match["name"]) if match is not None else None
        if match is None or names is None:
            message = f'a name of an image and its text should be here, not "{printable(row)[:60]}"'
            folder.error("word-list-line", message, place, line, 1, hint="write the name, a tab and the text")
            continue
        text = _unquoted((match["text"] or "").strip(), way, is_table=is_table)
        for name in names:
            _add(folder, path, line, name.strip(), text, made)


def _names(name: str) -> list[str] | None:
    if not name.startswith("["):
        return [name]
    try:
        names = parse_json(name)
    except ValueError:
        return None
    return names if isinstance(names, list) and names and all(isinstance(one, str) for one in names) else None


def _unquoted(text: str, way: str, *, is_table: bool) -> str:
    """Texts after a comma may be in quotes. In them, ICDAR has a backslash before a quote, tables have it twice."""
    quoted = _QUOTED.match(text) if way == "comma" else None
    if quoted is None:
        return text
    return quoted[1].replace('""', '"') if is_table else re.sub(r'\\(["\\])', r"\1", quoted[1])


def _add(folder: Folder, path: str, line: int, name: str, text: str, made: _Read) -> None:
    place = folder.root / path
    image = folder.image_file(name, path)
    if image is None:
        folder.missing_image(name, place, line, 1)
        return
    key = str(image)
    made.mentioned.add(key)
    known = made.images.get(key)
    if known is not None:
        if known.texts[0].text == text:
            made.repeated.append((place, line))
        else:
            other = (known.source or place).name
            message = f'"{printable(name)}" has another text in line {known.texts[0].line} of "{other}"'
            folder.error("text-twice", message, place, line, 1, hint="keep one of the two lines")
        return
    header = folder.header(image)
    if header is not None:
        below = image.relative_to(folder.root).as_posix() if image.is_relative_to(folder.root) else ""
        subset = subset_in(path) or subset_in(below.rpartition("/")[0])
        made.images[key] = TextImage(
            image, header.width, header.height, (Text(text, (), line),), subset, place
        )


def _characters(folder: Folder) -> Iterator[str]:
    """Each character of the source's own list once. Raises nothing; lines that are none are findings."""
    found = [path for path in folder.other_files if path.rpartition("/")[2].lower() in CHARACTER_FILES]
    seen: set[str] = set()
    for path in found[:1]:
        for line, row in enumerate((folder.text(path) or "").rstrip("\n").split("\n"), start=1):
            character = row.strip()
            if len(character) != 1:
                message = f'one character should be here, not "{printable(row)[:20]}"'
                folder.error("character-line", message, folder.root / path, line, 1,
                             hint="a blank cannot be in the list of OCRNet, which strips its lines")  # fmt: skip
            elif character in seen:
                folder.error("character-twice", f'"{printable(character)}" is there twice', folder.root / path, line, 1,
                             hint="remove one of the two lines: the place in the list is the class")  # fmt: skip
            else:
                seen.add(character)
                yield character
    if len(found) > 1:
        folder.warning("characters-unread", "a second list of characters is not read", folder.root / found[1])


def _candidates(folder: Folder) -> Iterator[str]:
    for path in few_of_each(folder.with_suffix(*_SUFFIXES)):
        if path.rpartition("/")[2].lower() not in (*_NO_LISTS, *CHARACTER_FILES):
            yield path


def _lists(folder: Folder, *, is_named: bool) -> dict[str, str]:
    """The lists of words, each with what is between a name and its text."""
    others = folder.with_suffix(*CHARACTER_FILES)
    is_named = is_named or any(path.rpartition("/")[2].lower() in CHARACTER_FILES for path in others)
    ways = ((path, _way(folder, path, is_named=is_named)) for path in _candidates(folder))
    return {path: way for path, way in ways if way is not None}


def _way(folder: Folder, path: str, *, is_named: bool) -> str | None:
    """What is between a name and its text; None when this is no list of words. A few lines may be damaged."""
    text = folder.peek(path) or ""
    rows = [row for row in text[:20_000].splitlines() if row.strip()][: _LOOKED_AT + 1]
    is_table = bool(rows) and _HEADER.match(rows[0]) is not None
    rows = rows[1:] if is_table else rows[:_LOOKED_AT]
    if len(text) > 20_000 and len(rows) > 1:
        rows = rows[:-1]
    for way, pattern in _SEPARATED.items():
        matches = [
            _SEVERAL.match(row) if way == "tab" and row.startswith("[") else pattern.match(row)
            for row in rows
        ]
        texts = [match["text"] for match in matches if match is not None and match["text"] is not None]
        if 2 * len(texts) <= len(rows):
            continue
        if any(one.lstrip().startswith("[{") or one.strip() == "[]" for one in texts):
            return None  # outlines of PaddleOCR
        name = path.rpartition("/")[2]
        is_sure = is_named or is_table or way == "tab" or _NAMED_FOR_IT.search(name) is not None
        is_sure = is_sure or (way == "comma" and all(_QUOTED.match(one.strip()) for one in texts))
        is_number = not is_named and all(_NUMBERS.match(one) for one in texts) and "gt" not in name.lower()
        names = [one for match in matches if match is not None for one in _names(match["name"]) or []]
        is_there = any(folder.image_file(one, path) is not None for one in names)
        return way if is_sure and not is_number and is_there else None
    return None
