"""A dataset folder as readers see it: files listed once, texts and JSON read once, findings collected.

Every reader gets a ``Folder``. A bad file does not stop reading: errors become findings, and the rest is kept.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from taorunner.datasets.files.image_header import IMAGE_SUFFIXES, ImageError, ImageHeader, read_header
from taorunner.datasets.files.json_pieces import PIECE_BYTES, JsonObject, JsonSource, read_in_pieces
from taorunner.datasets.files.json_text import MAX_BYTES, parse_json, place_in_json
from taorunner.datasets.files.layout import files_below
from taorunner.datasets.files.names import as_path, is_image, parents_of, subset_in
from taorunner.datasets.files.numbers import number
from taorunner.datasets.files.text_encodings import UTF16_MARKS, decoded, words_in
from taorunner.datasets.model.annotations import Box, ImageEntry
from taorunner.datasets.model.boxes import BoxRows, BoxTable
from taorunner.errors import Finding, Severity
from taorunner.text import amount, did_you_mean, printable, size

_FIRST_BYTES = 256 * 1024
_MOST_READ_AGAIN = 16 * 1024**2
_LARGE_BYTES = 8 * 1024 * 1024
_DETOUR = re.compile(r"(^|/)\.{0,2}(/|$)")
_BESIDE = re.compile(
    r"(^|/)(masks?|labels?|annotations?|segmentation(class|object)|depth|thumb(nail)?s?|previews?)/",
    re.IGNORECASE,
)
"""Folders of images that belong to an image of the same name elsewhere."""


class Folder:
    """The files below ``root``: sorted relative paths with ``/``, without hidden files and folders."""

    def __init__(
        self,
        root: Path,
        progress: Any = None,
        image_folders: Mapping[str, Sequence[str]] | None = None,
        look: Callable[[Path], ImageHeader] = read_header,
    ) -> None:
        """``image_folders``: for each annotation file, the folders that its file names are relative to, as set in a
        spec; all relative to ``root``. ``look``: reads the header of an image.
        """
        self.root = root
        self._image_folders = {
            file: [os.path.normpath(one) if one else "" for one in folders]
            for file, folders in (image_folders or {}).items()
        }
        self._look = look
        self.findings: list[Finding] = []
        self.progress = progress or (lambda what, done, total: None)
        self._texts: dict[str, str | None] = {}
        self._read_again = 0
        self._json: dict[str, Any] = {}
        self._mentioned: dict[tuple[str, str], bool] = {}
        self._beginnings: dict[str, tuple[str, ...]] = {}
        self._objects: dict[str, JsonObject | None] = {}
        self._boxes = BoxTable()
        self._headers: dict[str, ImageHeader | None] = {}
        self._shared_headers: dict[ImageHeader, ImageHeader] = {}
        self._turned: list[Path] = []
        self._noted: dict[tuple[str, str], tuple[int, tuple[Path, int | None, int | None]]] = {}
        self.stored_sizes: set[Path] = set()

    @cached_property
    def files(self) -> tuple[str, ...]:
        return tuple(sorted(files_below(self.root, self.error, self.warning)))

    @cached_property
    def image_files(self) -> tuple[str, ...]:
        return self._by_kind[0]

    @cached_property
    def other_files(self) -> tuple[str, ...]:
        return self._by_kind[1]

    @cached_property
    def _by_kind(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        images: list[str] = []
        others: list[str] = []
        for path in self.files:
            (images if is_image(path) else others).append(path)
        return tuple(images), tuple(others)

    @cached_property
    def _images_by_name(self) -> dict[str, str | list[str]]:
        """A list where several images have the name. Names are interned, as those in paths are."""
        by_name: dict[str, str | list[str]] = {}
        for path in self.image_files:
            name = sys.intern(path.rpartition("/")[2])
            known = by_name.setdefault(name, path)
            if isinstance(known, list):
                known.append(path)
            elif known is not path:
                by_name[name] = [known, path]
        return by_name

    def _named(self, name: str) -> list[str]:
        found = self._images_by_name.get(name, [])
        return found if isinstance(found, list) else [found]

    def with_suffix(self, *suffixes: str) -> list[str]:
        listed = self.files if IMAGE_SUFFIXES.intersection(suffixes) else self.other_files
        return [path for path in listed if path.lower().endswith(suffixes)]

    def folders_named(self, names: Iterable[str]) -> list[str]:
        """Non-empty folders whose name is one of ``names``, ignoring case."""
        wanted = set(names)
        folders = {part for path in self.files for part in parents_of(path)}
        return sorted(folder for folder in folders if folder.rpartition("/")[2].lower() in wanted)

    def text(self, path: str) -> str | None:
        """A UTF-8 text, with or without a byte order mark, with any line ends; None (and a finding) when unreadable."""
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def _read(self, path: str) -> str | None:
        try:
            with open(f"{self.root}/{path}", "rb") as file:  # noqa: PTH123 (thousands of small files)
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise OSError(0, f"larger than {size(MAX_BYTES)}")
            return decoded(data)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self.error(
                "not-utf8",
                f"byte {error.start} is not UTF-8",
                self.root / path,
                line,
                hint="save it as UTF-8",
            )
        except OSError as error:
            self.error("unreadable", f"cannot be read: {_reason(error)}", self.root / path)
        return None

    def peek(self, path: str) -> str | None:
        """The beginning of a file, to recognise its format. Never adds a finding; not cached."""
        known = self._texts.get(path)
        if known is not None:
            return known
        try:
            with open(f"{self.root}/{path}", "rb") as file:  # noqa: PTH123 (thousands of small files)
                data = file.read(_FIRST_BYTES)
            if data.startswith(UTF16_MARKS):
                return data.decode("utf-16", "replace")
            return data.decode("utf-8-sig", "replace")
        except OSError:
            return None

    def mentions(self, path: str, *words: str) -> bool:
        """Whether each of ``words`` is in the text. A large file is searched in pieces once, and not kept."""
        if self._is_large(path):
            unknown = [word for word in words if (path, word) not in self._mentioned]
            for word, is_there in zip(unknown, words_in(self.root / path, unknown), strict=True):
                self._mentioned[path, word] = is_there
            return all(self._mentioned[path, word] for word in words)
        text = self.text(path)
        return text is not None and all(word in text for word in words)

    def begins_with(self, path: str, mark: str) -> bool:
        """Whether ``mark`` is the first text that is not blank. A large file is not kept."""
        text = self.peek(path) if self._is_large(path) else self.text(path)
        return (text or "").lstrip("\ufeff \t\r\n").startswith(mark)

    def _is_large(self, path: str) -> bool:
        if path in self._texts:
            return False
        with suppress(OSError), open(f"{self.root}/{path}", "rb") as file:  # noqa: PTH123 (as above)
            return os.fstat(file.fileno()).st_size > _LARGE_BYTES and file.read(2) not in UTF16_MARKS
        return False

    def json_object(self, path: str, lists: Sequence[str]) -> JsonObject | None:
        """A JSON object whose ``lists`` are read in pieces; None (and a finding) when the text is not JSON."""
        if path not in self._objects:
            text = self._texts.get(path)
            try:
                source = JsonSource(self.root / path if text is None else text.encode())
                self._objects[path] = read_in_pieces(source, lists)
            except (OSError, ValueError):
                value = self.json(path)  # says what is wrong; UTF-16 is right, but not in pieces
                again = JsonSource(json.dumps(value).encode())
                self._objects[path] = (
                    read_in_pieces(again, lists, is_checked=True) if isinstance(value, dict) else None
                )
        return self._objects[path]

    def add_text(self, path: str, text: str) -> str:
        """Adds a text that is not a file, under the name ``path``."""
        self._texts[path] = text
        return path

    def json(self, path: str) -> Any:
        """None (and a finding) when the text is not JSON."""
        if path not in self._json:
            self._json[path] = None
            text = self.text(path)
            if text is not None:
                self._json[path], problem = parse_json(text)
                if problem is not None:
                    self.error("json-syntax", problem.message, self.root / path, problem.line, problem.column)
        return self._json[path]

    def json_place(self, path: str, steps: Sequence[str | int]) -> tuple[int | None, int | None]:
        """Line and column of the value at ``steps``, for a finding. Reads the text up to there again each time, so it
        gives up, with (None, None), after ``_MOST_READ_AGAIN`` characters."""
        text = self._texts.get(path) or ""
        self._read_again += len(text) or PIECE_BYTES
        if self._read_again > _MOST_READ_AGAIN + 20 * len(text):
            return None, None
        known = self._objects.get(path)
        return (
            known.place(steps) if known is not None and path not in self._json else place_in_json(text, steps)
        )

    def error(self, code: str, message: str, file: Path, line: int | None = None, column: int | None = None,
              hint: str | None = None) -> None:  # fmt: skip
        self._add(Severity.ERROR, code, message, file, line, column, hint)

    def warning(self, code: str, message: str, file: Path, line: int | None = None, column: int | None = None,
                hint: str | None = None) -> None:  # fmt: skip
        self._add(Severity.WARNING, code, message, file, line, column, hint)

    def report_info(self, code: str, message: str, file: Path) -> None:
        self._add(Severity.INFO, code, message, file, None, None, None)

    def _add(self, severity: Severity, code: str, message: str, file: Path, line: int | None, column: int | None,
              hint: str | None) -> None:  # fmt: skip
        self.findings.append(Finding(severity, code, message, hint, file, line, column))

    def image_file(self, reference: str, beside: str = "") -> Path | None:
        """The image that an annotation calls ``reference``: a path, a ``file:`` URL, or only a name.

        ``beside`` is the annotation file. The folders that a spec sets for it are searched first. A path that does not
        exist here is matched by its longest existing tail, then by its name alone; if several images have that name,
        only those in the annotation file's subset count. An image outside the folder needs an absolute path.
        """
        path = as_path(reference)
        if not path:
            return None
        listed = self._image_set
        has_detour = "/" in path and _DETOUR.search(path) is not None
        for below in self._folders_for(beside):
            candidate = below + path
            if has_detour:
                candidate = os.path.normpath(candidate)
            if candidate in listed:
                return self.root / candidate
        if path.startswith("/") and is_image(path) and os.path.isfile(path):  # noqa: PTH113
            return Path(path)
        found = self._named(path.rpartition("/")[2])
        if len(found) == 1:
            return self.root / found[0]
        base = beside.rpartition("/")[0]
        if len(found) > 1:
            found = [one for one in found if not _BESIDE.search(one)] or found
        if len(found) > 1:
            parts = path.split("/")
            for count in range(len(parts), 1, -1):
                tail = "/" + "/".join(parts[-count:])
                closer = [one for one in found if f"/{one}".endswith(tail)]
                if len(closer) == 1:
                    return self.root / closer[0]
            near = [one for one in found if base and one.startswith(base + "/")]
            subset = subset_in(beside)
            near = near or [one for one in found if subset and subset_in(one.rpartition("/")[0]) == subset]
            return self.root / near[0] if len(near) == 1 else None
        return self.root / found[0] if found else None

    def _folders_for(self, beside: str) -> tuple[str, ...]:
        """Beginnings of the paths that a file name in ``beside`` can have."""
        known = self._beginnings.get(beside)
        if known is None:
            folders = dict.fromkeys((*self._image_folders.get(beside, ()), beside.rpartition("/")[0], ""))
            known = self._beginnings[beside] = tuple(f"{one}/" if one else "" for one in folders)
        return known

    def spec_folders(self, beside: str) -> Sequence[str]:
        """The folders that a spec sets for the file names of an annotation file."""
        return self._image_folders.get(beside, ())

    def has_named(self, name: str) -> bool:
        """Whether an image in any folder has this name."""
        return name in self._images_by_name

    def has_image(self, path: str) -> bool:
        """``path``: relative to the root."""
        return path in self._image_set

    @cached_property
    def _image_set(self) -> frozenset[str]:
        return frozenset(self.image_files)

    def missing_image(
        self, reference: str, file: Path, line: int | None = None, column: int | None = None
    ) -> None:
        name = as_path(reference).rpartition("/")[2]
        found = self._named(name)
        if len(found) > 1:
            message = f'"{printable(reference)}" matches {len(found)} images, such as "{printable(found[0])}"'
            self.error(
                "picture-ambiguous", message, file, line, column, "write their folders in the annotations"
            )
        else:
            hint = did_you_mean(name, list(self._images_by_name)) if len(self.image_files) < 2000 else None
            message = f'there is no image "{printable(reference)}"'
            self.error("picture-missing", message, file, line, column, hint)

    def report_no_boxes_left(
        self, reference: str, file: Path, line: int | None = None, column: int | None = None
    ) -> None:
        """Reports an image whose shapes were all left out: it must not become a background image."""
        message = f'no object on "{printable(reference)}" has a box: it would count as a background image'
        hint = "draw boxes or polygons; --skip-bad takes it as a background image"
        self.error("picture-without-boxes", message, file, line, column, hint)

    def header(self, path: Path) -> ImageHeader | None:
        """None (and a finding, once) when it is not an image."""
        key = str(path)  # has its hash, and is needed to open the file
        if key in self._headers:
            return self._headers[key]
        header: ImageHeader | None = None
        try:
            header = self._look(path)
            header = self._shared_headers.setdefault(header, header)
        except ImageError as error:
            self.error("picture-unreadable", f"not an image: {error}", path)
        except OSError as error:
            self.error("picture-unreadable", f"cannot be read: {_reason(error)}", path)
        self._headers[key] = header
        if header is not None and header.orientation != 1:
            self._turned.append(path)
        if len(self._headers) % 100 == 0:
            self.progress("reading", len(self._headers), len(self.image_files))
        return header

    def note_box(
        self, code: str, shape: str, file: Path, line: int | None = None, column: int | None = None
    ) -> None:
        """Notes an object of which only the upright bounding box is kept; ``report_noted`` counts them."""
        count, place = self._noted.get((code, shape), (0, (file, line, column)))
        self._noted[code, shape] = count + 1, place

    def report_noted(self) -> None:
        """Adds one warning for all objects of a shape of which only the upright bounding box is kept."""
        for (code, shape), (count, place) in self._noted.items():
            shown = f"{count:,} {shape if count == 1 else shape.replace('box', 'boxe') + 's'}"
            self.warning(code, f"only the upright bounding box of {shown} is used", *place)
        self._noted.clear()

    def report_turned(self) -> None:
        """Adds one warning for all images that EXIF rotates."""
        if self._turned:
            first = self._turned[0]
            message = f'EXIF rotates {amount(len(self._turned), "image")}, such as "{printable(first.name)}"'
            hint = "boxes are for the rotated image; for networks that ignore EXIF run taorunner dataset resize DATASET"
            self.warning("picture-turned", message, first, hint=hint)

    def entry(self, path: Path, boxes: Iterable[Box], *, subset: str = "", source: Path | None = None,
              stated_size: tuple[Any, Any] | None = None,
              extra: Mapping[str, Any] | None = None) -> ImageEntry | None:  # fmt: skip
        """``boxes`` as written in the source. ``stated_size``: width and height according to the annotations, of any
        type.

        A tool that ignores EXIF states the stored size; ``exif_turns`` moves its boxes.
        """
        header = self.header(path)
        if header is None:
            return None
        seen = (header.width, header.height)
        if stated_size and stated_size != seen and all(sizes := [number(one) for one in stated_size]):
            stored = (header.stored_width, header.stored_height)
            stated = (round(sizes[0] or 0), round(sizes[1] or 0))
            if header.orientation != 1 and stated == stored != seen:
                self.stored_sizes.add(path)  # ``exif_turns`` handles all of them together
            elif stated != seen:
                message = (
                    f"the annotations state {stated[0]}x{stated[1]} pixels, the image has {seen[0]}x{seen[1]}"
                )
                self.warning(
                    "size-differs", message, path, hint="check whether the boxes were drawn on a resized copy"
                )
        rows = boxes if isinstance(boxes, BoxRows) else self._boxes.add(boxes)
        return ImageEntry(path, *seen, rows, subset, source, extra)


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown").lower()
