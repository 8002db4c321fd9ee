"""What lies in a dataset's folder? Listed once, texts and JSON read once, problems collected with their place.

Every reader gets a ``Folder``. Reading never stops at a bad file: what is wrong becomes a finding, what is right is
kept.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from taorunner.datasets.files.image_header import PICTURE_SUFFIXES, PictureError, PictureHeader, read_header
from taorunner.datasets.files.layout import is_folder, leads_back
from taorunner.datasets.model.annotations import Box, ImageEntry
from taorunner.errors import Finding, Severity
from taorunner.text import amount, did_you_mean, printable

_MAX_DEPTH = 12
_FIRST_BYTES = 256 * 1024
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]*encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_SPACE = re.compile(r"[ \t\n\r]*")
SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
               "test": "test", "testing": "test", "trainval": "trainval", "default": ""}  # fmt: skip
"""What tools call their subsets, and what it is called here."""


class Folder:
    """The files below ``root`` as paths relative to it with ``/``, sorted; hidden files and folders are left out."""

    def __init__(
        self, root: Path, progress: Any = None, picture_folders: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """``picture_folders``: for an annotation file the folders that its file names count from, as a spec says it;
        all of them relative to ``root``.
        """
        self.root = root
        self._picture_folders = picture_folders or {}
        self.findings: list[Finding] = []
        self.progress = progress or (lambda what, done, total: None)
        self._texts: dict[str, str | None] = {}
        self._json: dict[str, Any] = {}
        self._headers: dict[Path, PictureHeader | None] = {}
        self._turned: list[Path] = []
        self.stored_sizes: set[Path] = set()

    @cached_property
    def files(self) -> tuple[str, ...]:
        found: list[str] = []
        pending = [("", 0)]
        while pending:
            below, depth = pending.pop()
            try:
                entries = list(os.scandir(self.root / below))
            except OSError as error:
                self.error("unreadable", f"cannot be listed: {_reason(error)}", self.root / below)
                continue
            for entry in entries:
                if entry.name.startswith(".") or entry.name == "__MACOSX":
                    continue
                path = f"{below}/{entry.name}" if below else entry.name
                if not is_folder(entry):
                    found.append(path)
                elif leads_back(entry):
                    message = f'"{printable(path)}" is a link to a folder around it, and is not followed'
                    self.warning("link-loop", message, self.root / path)
                elif depth < _MAX_DEPTH:
                    pending.append((path, depth + 1))
                else:
                    self.error("too-deep", f"folders deeper than {_MAX_DEPTH} are not read", self.root / path)
        return tuple(sorted(found))

    @cached_property
    def pictures(self) -> tuple[str, ...]:
        return tuple(path for path in self.files if is_picture(path))

    @cached_property
    def _pictures_by_name(self) -> dict[str, list[str]]:
        by_name: dict[str, list[str]] = {}
        for path in self.pictures:
            by_name.setdefault(path.rpartition("/")[2], []).append(path)
        return by_name

    def with_suffix(self, *suffixes: str) -> list[str]:
        return [path for path in self.files if path.lower().endswith(suffixes)]

    def folders_named(self, names: Iterable[str]) -> list[str]:
        """Folders with a file in them whose own name is one of ``names``, compared in lower case."""
        wanted = set(names)
        folders = {part for path in self.files for part in _parents(path)}
        return sorted(folder for folder in folders if folder.rpartition("/")[2].lower() in wanted)

    def text(self, path: str) -> str | None:
        """UTF-8 with or without a mark, any line end; None (and a finding) when it cannot be read."""
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def _read(self, path: str) -> str | None:
        try:
            with open(f"{self.root}/{path}", "rb") as file:  # noqa: PTH123 (thousands of small files)
                data = file.read()
            return decoded(data)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self.error(
                "not-utf8", f"byte {error.start} is no UTF-8", self.root / path, line, hint="save it as UTF-8"
            )
        except OSError as error:
            self.error("unreadable", f"cannot be read: {_reason(error)}", self.root / path)
        return None

    def peek(self, path: str) -> str | None:
        """The beginning of a file, for a look at what it is: no finding comes of it, and it is not kept."""
        known = self._texts.get(path)
        if known is not None:
            return known
        try:
            with open(f"{self.root}/{path}", "rb") as file:  # noqa: PTH123 (thousands of small files)
                return file.read(_FIRST_BYTES).decode("utf-8", "replace")
        except OSError:
            return None

    def lay(self, path: str, text: str) -> str:
        """A text that is no file, under a name of its own."""
        self._texts[path] = text
        return path

    def json(self, path: str) -> Any:
        """None (and a finding) when the text is no JSON."""
        if path not in self._json:
            self._json[path] = None
            text = self.text(path)
            if text is not None:
                try:
                    self._json[path] = json.loads(text)
                except json.JSONDecodeError as error:
                    place = (error.lineno, error.colno)
                    self.error(
                        "json-syntax", f"this is no JSON: {error.msg.lower()}", self.root / path, *place
                    )
                except RecursionError:
                    self.error("json-syntax", "this JSON is nested too deep", self.root / path)
        return self._json[path]

    def json_place(self, path: str, steps: Sequence[str | int]) -> tuple[int, int]:
        """Line and column of the value at ``steps``; looked up only where there is something to say."""
        return _place_in_json(self._texts.get(path) or "", steps)

    def error(self, code: str, message: str, file: Path, line: int | None = None, column: int | None = None,
              hint: str | None = None) -> None:  # fmt: skip
        self._tell(Severity.ERROR, code, message, file, line, column, hint)

    def warning(self, code: str, message: str, file: Path, line: int | None = None, column: int | None = None,
                hint: str | None = None) -> None:  # fmt: skip
        self._tell(Severity.WARNING, code, message, file, line, column, hint)

    def tell_info(self, code: str, message: str, file: Path) -> None:
        self._tell(Severity.INFO, code, message, file, None, None, None)

    def _tell(self, severity: Severity, code: str, message: str, file: Path, line: int | None, column: int | None,
              hint: str | None) -> None:  # fmt: skip
        self.findings.append(Finding(severity, code, message, hint, file, line, column))

    def picture(self, said: str, beside: str = "") -> Path | None:
        """The picture that an annotation calls ``said``: a path, a ``file:`` address, or only a name.

        ``beside`` is the annotation file. The folders that a spec names for it come first. A path that does not exist
        here is looked for by the longest tail of it that does, then by its name alone, where several pictures have it
        in the subset that the annotation file speaks of. A picture outside the folder counts only when it is given by
        an absolute path.
        """
        path = _as_path(said)
        if not path:
            return None
        base = beside.rpartition("/")[0]
        listed = self._picture_set
        for below in (*self._picture_folders.get(beside, ()), base, ""):
            candidate = os.path.normpath(f"{below}/{path}" if below else path)
            if candidate in listed:
                return self.root / candidate
        if path.startswith("/") and is_picture(path) and os.path.isfile(path):  # noqa: PTH113
            return Path(path)
        name = path.rpartition("/")[2]
        found = self._pictures_by_name.get(name, [])
        if len(found) > 1:
            parts = path.split("/")
            for count in range(len(parts), 1, -1):
                tail = "/" + "/".join(parts[-count:])
                closer = [one for one in found if f"/{one}".endswith(tail)]
                if len(closer) == 1:
                    return self.root / closer[0]
            near = [one for one in found if base and one.startswith(base + "/")]
            subset = _subset_in(beside)
            near = near or [one for one in found if subset and _subset_in(one.rpartition("/")[0]) == subset]
            return self.root / near[0] if len(near) == 1 else None
        return self.root / found[0] if found else None

    def has_picture(self, path: str) -> bool:
        """``path`` is relative to the root."""
        return path in self._picture_set

    @cached_property
    def _picture_set(self) -> frozenset[str]:
        return frozenset(self.pictures)

    def missing_picture(
        self, said: str, file: Path, line: int | None = None, column: int | None = None
    ) -> None:
        name = _as_path(said).rpartition("/")[2]
        found = self._pictures_by_name.get(name, [])
        if len(found) > 1:
            message = (
                f'"{printable(said)}" could be {len(found)} pictures, among them "{printable(found[0])}"'
            )
            self.error(
                "picture-ambiguous", message, file, line, column, "give their folders in the annotations"
            )
        else:
            hint = (
                did_you_mean(name, list(self._pictures_by_name)[:2000]) if len(self.pictures) < 2000 else None
            )
            self.error(
                "picture-missing", f'there is no picture "{printable(said)}"', file, line, column, hint
            )

    def nothing_left(self, said: str, file: Path, line: int | None = None, column: int | None = None) -> None:
        """Every shape on a picture was left out: as a background picture it would teach that nothing is on it."""
        message = f'nothing on "{printable(said)}" has a box: it would pass for a picture without objects'
        hint = "draw boxes or polygons; --skip-bad takes it as a picture without objects"
        self.error("picture-without-boxes", message, file, line, column, hint)

    def header(self, path: Path) -> PictureHeader | None:
        """None (and a finding, once) when it is no picture."""
        if path not in self._headers:
            header: PictureHeader | None = None
            try:
                header = read_header(path)
            except PictureError as error:
                self.error("picture-unreadable", f"this is no picture: {error}", path)
            except OSError as error:
                self.error("picture-unreadable", f"cannot be read: {_reason(error)}", path)
            self._headers[path] = header
            if header is not None and header.orientation != 1:
                self._turned.append(path)
            if len(self._headers) % 100 == 0:
                self.progress("reading", len(self._headers), len(self.pictures))
        return self._headers[path]

    def tell_turned(self) -> None:
        """One warning for all pictures that EXIF turns."""
        if self._turned:
            first = self._turned[0]
            message = f'EXIF turns {amount(len(self._turned), "picture")}, such as "{printable(first.name)}"'
            hint = "boxes are for the turned picture; a network that ignores EXIF needs it saved anew"
            self.warning("picture-turned", message, first, hint=hint)

    def entry(self, path: Path, boxes: Iterable[Box], *, subset: str = "", source: Path | None = None,
              said_size: tuple[float, float] | None = None) -> ImageEntry | None:  # fmt: skip
        """``boxes`` as they are written. ``said_size`` is what the annotations call width and height.

        A tool that knows nothing of EXIF states the stored size; ``exif_turns`` moves its boxes with the picture.
        """
        header = self.header(path)
        if header is None:
            return None
        listed = tuple(boxes)
        if said_size and all(said_size):
            stored = (header.stored_width, header.stored_height)
            seen = (header.width, header.height)
            said = (round(said_size[0]), round(said_size[1]))
            if header.orientation != 1 and said == stored != seen:
                self.stored_sizes.add(path)  # ``exif_turns`` looks at all of them together
            elif said != seen:
                message = (
                    f"the annotations say {said[0]}x{said[1]} pixels, the picture has {seen[0]}x{seen[1]}"
                )
                self.warning("size-differs", message, path, hint="were the boxes drawn on a resized copy?")
        return ImageEntry(path, header.width, header.height, listed, subset, source)


def decoded(data: bytes) -> str:
    """UTF-8, UTF-16 with its mark, or what an XML file declares. Raises UnicodeDecodeError."""
    if data.startswith(_UTF16_MARKS):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = _DECLARED.match(data)
        if declared is None:
            raise
        try:
            name = declared[1].decode("ascii").lower()
            return data.decode("gb18030" if name in ("gbk", "gb2312") else name)  # its larger successor
        except LookupError:
            pass
        raise


def is_picture(path: str) -> bool:
    return "." + path.rpartition(".")[2].lower() in PICTURE_SUFFIXES


def subset_of(path: str) -> str:
    """The subset that a file's folders or name speak of: ``instances_val.json``, ``valid/x.json``; else ""."""
    parts = path.lower().split("/")
    stem = parts[-1].partition(".")[0]
    words = [*reversed(re.split(r"[_\-\d]+", stem)), *reversed(parts[:-1])]
    return next((SPLIT_NAMES[word] for word in words if SPLIT_NAMES.get(word)), "")


def _subset_in(path: str) -> str:
    """The subset of the last word in ``path`` that names one, also of ``images/train2017``; else ""."""
    words = re.split(r"[/_\-.\d]+", path.lower())
    return next((SPLIT_NAMES[word] for word in reversed(words) if SPLIT_NAMES.get(word)), "")


def number(value: Any) -> float | None:
    """A finite number, also from text; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def around(points: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    """The smallest box around ``points``, of which there is at least one."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _as_path(said: str) -> str:
    if said.startswith("file:"):
        said = unquote(urlparse(said).path)
        said = said[1:] if re.match(r"/[A-Za-z]:", said) else said
    elif "://" in said:
        said = unquote(urlparse(said).path)
    return said.replace("\\", "/")


def _place_in_json(text: str, steps: Sequence[str | int]) -> tuple[int, int]:
    decoder = json.JSONDecoder()
    at = _blank(text, 0)
    try:
        for step in steps:
            at = _inner(decoder, text, at, step)
    except (ValueError, IndexError, StopIteration):
        pass
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1


def _inner(decoder: json.JSONDecoder, text: str, at: int, step: str | int) -> int:
    """Where the value called ``step`` begins, in the list or object that begins at ``at``."""
    is_list = text[at] == "["
    at = _blank(text, at + 1)
    index = 0
    while text[at] not in "]}":
        key: str | int = index
        if not is_list:
            key, at = decoder.raw_decode(text, at)
            at = _blank(text, _blank(text, at) + 1)
        if key == step:
            return at
        _, at = decoder.raw_decode(text, at)
        at = _blank(text, at)
        if text[at] == ",":
            at = _blank(text, at + 1)
        index += 1
    raise IndexError(step)


def _blank(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown").lower()
