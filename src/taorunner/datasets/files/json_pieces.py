"""Reads a JSON object with long lists in pieces: what is held at once does not grow with the lists.

A first pass finds where each piece begins and whether all of it is JSON. What the pieces mean is not known here.
Malformed JSON and other encodings than UTF-8 are left to ``json_text``, which says what is wrong and where.
"""

from __future__ import annotations

import json
import os
import re
import weakref
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from taorunner.datasets.files.json_text import after_blank, place_in_json
from taorunner.errors import MachineError
from taorunner.text import printable
from taorunner.values.bounded_reading import MAX_DIGITS, is_too_deep

PIECE_BYTES = 256 * 1024
_KEPT_BYTES = 1024 * 1024
"""A file up to this size is kept in memory, so that a thousand small ones need no file handles."""
_BOM = b"\xef\xbb\xbf"
_BLANK = re.compile(rb"[ \t\n\r]*")
_KEY = re.compile(rb'"(?:[^"\\]|\\.)*"')
_ODD = re.compile(rb"NaN|Infinity|\\u[dD]")
_TRAILING = re.compile(r"trailing characters \(byte (\d{1,12})\)")
_TRIES = 8
"""Ends of pieces that are tried before the values of a list are read one by one."""
_LONG = MAX_DIGITS // 2
_ENDLESS = re.compile(rb"\d{%d}" % (MAX_DIGITS + 1))
_MAX_WINDOW = 128 * 1024**2
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_JSON = json.JSONDecoder()


class NotInPiecesError(ValueError):
    """The text is not JSON, not UTF-8, or no object."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some values of a list, separated by commas. ``first``: the index of the first one; ``line`` and ``column`` are
    1-based, of the first byte; ``start`` and ``stop`` are offsets in bytes."""

    first: int
    start: int
    stop: int
    line: int
    column: int


class JsonSource:
    """The bytes of a file or a text."""

    def __init__(self, source: Path | bytes) -> None:
        """Raises OSError."""
        self._path = source if isinstance(source, Path) else None
        self._data = source if isinstance(source, bytes) else b""
        self._handle: int | None = None
        self.size = len(self._data)
        if isinstance(source, Path):
            handle = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            self._state = _state_of(handle)
            self.size = self._state[0]
            if self.size <= _KEPT_BYTES:
                with os.fdopen(handle, "rb", buffering=0) as file:
                    self._data = file.read()
                self.size = len(self._data)
            else:
                self._handle = handle
                weakref.finalize(self, os.close, handle)

    def read(self, start: int, stop: int) -> bytes:
        """Raises MachineError when the file cannot be read any more, or another program wrote it meanwhile."""
        if self._handle is None:
            return self._data[start:stop]
        try:
            data = os.pread(self._handle, stop - start, start)
            is_same = _state_of(self._handle) == self._state
        except OSError as error:
            reason = (error.strerror or "unknown").lower()
            raise MachineError(f'"{printable(str(self._path))}" cannot be read: {reason}') from None
        if not is_same or len(data) < min(stop, self.size) - start:
            message = f'"{printable(str(self._path))}" was changed while it was read'
            raise MachineError(message, hint="wait for the program that writes it, then repeat the command")
        return data


def _state_of(handle: int) -> tuple[int, int]:
    state = os.fstat(handle)
    return state.st_size, state.st_mtime_ns


@dataclass(slots=True)
class JsonObject:
    """``values``: the members by key, but for those in ``lists``, of which the pieces are known. ``spans``: where
    each of the values is."""

    source: JsonSource
    values: dict[str, Any] = field(default_factory=dict)
    spans: dict[str, Piece] = field(default_factory=dict)
    lists: dict[str, list[Piece]] = field(default_factory=dict)

    def pieces(self, key: str) -> Iterator[tuple[Piece, bytes]]:
        """Each piece of the list with its text, a JSON list."""
        for piece in self.lists.get(key, ()):
            yield piece, b"[%b]" % self.source.read(piece.start, piece.stop)

    def elements(self, key: str) -> Iterator[Any]:
        """Each value of the list."""
        for _, text in self.pieces(key):
            yield from json.loads(text)

    def place(self, steps: Sequence[str | int]) -> tuple[int, int]:
        """Line and column of the value at ``steps``, a key and what follows; see ``place_in_json``."""
        key, *inner = steps
        if key in self.spans:
            piece, before = self.spans[str(key)], ""
        elif inner:
            pieces = self.lists[str(key)]
            piece, before = pieces[bisect_right([one.first for one in pieces], int(inner[0])) - 1], "["
            inner[0] = int(inner[0]) - piece.first
        else:
            return 1, 1
        line, column = place_in_json(before + self.source.read(piece.start, piece.stop).decode(), inner)
        return piece.line + line - 1, column + (piece.column - 1 - len(before) if line == 1 else 0)


def read_in_pieces(
    source: JsonSource, lists: Collection[str], piece_bytes: int = PIECE_BYTES, *, is_checked: bool = False
) -> JsonObject:
    """``lists``: the keys whose lists are read in pieces. ``is_checked``: the limits of ``bounded_reading`` were kept.

    Raises NotInPiecesError, also for what may be beyond one of those limits.
    """
    return _Reader(source, lists, piece_bytes, is_checked=is_checked).read()


class _Reader:
    """A window on the source that moves forward. ``_at`` is the place in the window, ``_base`` the window's offset."""

    def __init__(
        self, source: JsonSource, lists: Collection[str], piece_bytes: int, *, is_checked: bool
    ) -> None:
        self._source, self._lists, self._step = source, lists, piece_bytes
        self._is_checked = is_checked
        self._window = b""
        self._base = self._at = 0
        self._line = self._column = 1
        self._made = JsonObject(source)

    def read(self) -> JsonObject:
        self._more()
        if self._window.startswith(_BOM):
            self._at = len(_BOM)
        self._take(b"{")
        while not self._skips(b"}"):
            key = self._key()
            if key in self._lists and self._next() == b"[":
                self._made.values.pop(key, None)
                self._made.spans.pop(key, None)
                self._made.lists[key] = self._list()
            else:
                self._made.lists.pop(key, None)
                self._made.values[key], self._made.spans[key] = self._value()
            if not self._skips(b","):
                self._take(b"}")
                break
            if self._next() == b"}":
                raise NotInPiecesError  # a comma at the end
        if self._next():
            raise NotInPiecesError  # something after the end
        return self._made

    def _more(self) -> bool:
        """Reads another step of the source, and drops what lies behind. False at the end of the source."""
        left = self._window[self._at :]
        if len(left) > _MAX_WINDOW:
            raise NotInPiecesError  # one value
        start = self._base + len(self._window)
        data = self._source.read(start, min(start + max(self._step, len(left)), self._source.size))
        self._base += self._at
        self._window, self._at = left + data, 0
        return bool(data)

    def _move(self, to: int) -> None:
        """Counts lines and columns up to ``to``, a place in the window."""
        passed = self._window[self._at : to]
        lines = passed.count(b"\n")
        last = passed[passed.rfind(b"\n") + 1 :] if lines else passed
        try:
            is_plain = passed.isascii() or bool(passed.decode())
            width = len(last) if is_plain and last.isascii() else len(last.decode())
        except UnicodeDecodeError:
            raise NotInPiecesError from None
        self._line += lines
        self._column = width + 1 if lines else self._column + width
        self._at = to

    def _next(self) -> bytes:
        """The next byte that is not blank, without passing it; empty at the end."""
        while True:
            match = _BLANK.match(self._window, self._at)
            end = match.end() if match else self._at
            self._move(end)
            if end < len(self._window):
                return self._window[end : end + 1]
            if not self._more():
                return b""

    def _skips(self, mark: bytes) -> bool:
        is_there = self._next() == mark
        if is_there:
            self._move(self._at + 1)
        return is_there

    def _take(self, mark: bytes) -> None:
        if not self._skips(mark):
            raise NotInPiecesError

    def _key(self) -> str:
        if self._next() != b'"':
            raise NotInPiecesError
        while (match := _KEY.match(self._window, self._at)) is None:
            if not self._more():
                raise NotInPiecesError
        try:
            key: str = json.loads(match[0])
            self._move(match.end())
        except ValueError:
            raise NotInPiecesError from None
        self._take(b":")
        return key

    def _value(self) -> tuple[Any, Piece]:
        """A value that is decoded whole, and its place."""
        self._next()
        while True:
            text = self._window[self._at :].decode("utf-8", "ignore")  # the last character may be cut
            try:
                value, end = _JSON.raw_decode(text)
                size = len(text[:end].encode())
                if end < len(text):  # else a number may be cut
                    self._check(text[:end].encode())
                    start = self._base + self._at
                    span = Piece(0, start, start + size, self._line, self._column)
                    self._move(self._at + size)
                    return value, span
            except NotInPiecesError:
                raise
            except (ValueError, RecursionError):
                pass
            if not self._more():
                raise NotInPiecesError

    def _check(self, text: bytes) -> None:
        if not self._is_checked and (_has_endless_number(text) or is_too_deep(text)):
            raise NotInPiecesError

    def _list(self) -> list[Piece]:
        pieces: list[Piece] = []
        self._take(b"[")
        if self._skips(b"]"):
            return pieces
        index = 0
        while True:
            self._next()
            count, size = self._piece()
            start = self._base + self._at
            pieces.append(Piece(index, start, start + size, self._line, self._column))
            index += count
            self._move(self._at + size)
            if self._skips(b"]"):
                return pieces
            self._take(b",")

    def _piece(self) -> tuple[int, int]:
        """Number of values, and bytes, of the longest piece that begins here and is not much longer than a step."""
        while len(self._window) - self._at < self._step and self._more():
            pass
        while True:
            window = self._window[self._at :]
            found = _as_many_objects(window) or _one_by_one(window)
            if found is not None:
                self._check(b"[%b]" % window[: found[1]])
                return found
            if not self._more():
                raise NotInPiecesError


def _as_many_objects(window: bytes) -> tuple[int, int] | None:
    """Values and bytes of a piece that ends before a comma. What is decoded as a list ends where a value ends."""
    end = len(window)
    for _ in range(_TRIES):
        end = window.rfind(b"}", 0, end)
        if end < 0:
            return None
        match = _BLANK.match(window, end + 1)
        if match is None or window[match.end() : match.end() + 1] != b",":
            continue
        piece = window[: end + 1]
        try:
            return len(_ELEMENTS.decode(b"[%b]" % piece)), len(piece)
        except (msgspec.DecodeError, RecursionError) as error:
            if (whole := _until_the_list_ends(piece, str(error))) is not None:
                return whole
            if not _ODD.search(piece):
                continue
        try:  # what Python writes and reads beyond JSON
            return len(json.loads(b"[%b]" % piece)), len(piece)
        except (ValueError, RecursionError):
            continue
    return None


def _until_the_list_ends(piece: bytes, reason: str) -> tuple[int, int] | None:
    """The same of the rest of a list that ends within ``piece``: the decoder names the byte that follows its end."""
    match = _TRAILING.search(reason)
    end = piece.rfind(b"]", 0, int(match[1])) if match is not None else -1
    if end < 0:
        return None
    rest = piece[:end].rstrip()
    try:
        return len(_ELEMENTS.decode(b"[%b]" % rest)), len(rest)
    except (msgspec.DecodeError, RecursionError):
        return None


def _one_by_one(window: bytes) -> tuple[int, int] | None:
    """The same, with the values that are complete in the window; None when there is none."""
    text = window.decode("utf-8", "ignore")
    count = end = at = 0
    try:
        while True:
            _, at = _JSON.raw_decode(text, at)
            after = after_blank(text, at)
            if text[after : after + 1] not in (",", "]") or not text[after : after + 1]:
                break
            count, end = count + 1, at
            if text[after] == "]":
                break
            at = after_blank(text, after + 1)
    except (ValueError, RecursionError):
        pass
    return (count, len(text[:end].encode())) if count else None


def _has_endless_number(piece: bytes) -> bool:
    """Whether there is a number of more than 300 digits, which no float holds."""
    may_be = any(piece[at : at + _LONG].isdigit() for at in range(0, len(piece) - _LONG, _LONG))
    return may_be and _ENDLESS.search(piece) is not None
