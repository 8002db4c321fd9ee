"""Reads data of others (registries, NGC, images, state files, datasets) with limits on bytes, depth, digits and time.

Data beyond a limit raises ``TooMuchError``, whose text names the limit. It is a ValueError: code that handles damaged
data handles this as well. No input raises RecursionError, and none is read beyond its limit.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from typing import Any, NoReturn

MAX_JSON_BYTES = 4 * 1024**2
"""Enough for what is small by nature. A value takes up to 25 times the memory of its text."""
MAX_DEPTH = 60
MAX_DIGITS = 300
"""Digits of a whole number: any longer one does not fit a float, which only arithmetic on it would show."""

_LARGE = rf"\d{{{MAX_DIGITS}}}|[eE]\+?\d{{3}}"
_LARGE_IN_TEXT, _LARGE_IN_BYTES = re.compile(_LARGE), re.compile(_LARGE.encode())
_PIECE = 1024**2
_LONGEST_NUMBER = 18
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class JsonError(ValueError):
    """Text that is not JSON, or too much of it. ``line`` and ``column`` are 1-based, None where they are not known."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message if line is None else f"{message}: line {line} column {column}")
        self.message, self.line, self.column = message, line, column


class TooMuchError(JsonError):
    """More than a limit allows."""


class CutOffError(ValueError):
    """Packed data that is damaged or ends too early."""


class UnknownPackingError(ValueError):
    """Data packed in another way than gzip or deflate. The text is the name of the way."""


def parse_json(
    text: str | bytes,
    *,
    most_bytes: int = MAX_JSON_BYTES,
    most_digits: int | None = MAX_DIGITS,
    finite: bool = True,
) -> Any:
    """The value. With ``finite``, ``1e999`` and the ``NaN`` and ``Infinity`` that Python writes are refused.

    With None for ``most_digits`` a whole number of any length is taken, a long one as infinite.

    Raises:
        JsonError: not JSON (with its place), larger than ``most_bytes``, nested deeper than ``MAX_DEPTH``, or a
            number of more than ``most_digits`` digits.
    """
    if len(text) > most_bytes:
        raise TooMuchError(f"larger than {_shown(most_bytes)}")
    decoder = _FINITE if finite else _PLAIN
    if _has_large_number(text):
        decoder = json.JSONDecoder(
            parse_int=float if most_digits is None else partial(_short_number, most_digits),
            parse_float=_finite if finite else None,
            parse_constant=_refuse_constant if finite else None,
        )
    try:
        value = decoder.decode(_decoded(text))
    except json.JSONDecodeError as error:
        raise JsonError(error.msg[:1].lower() + error.msg[1:], error.lineno, error.colno) from None
    except UnicodeDecodeError:
        raise JsonError("not text in UTF-8") from None
    except RecursionError:
        raise TooMuchError(f"nested deeper than {MAX_DEPTH} levels") from None
    if _brackets(text) > MAX_DEPTH:
        check_depth(value)
    return value


def _decoded(text: str | bytes) -> str:
    """As ``json.loads`` reads bytes; given options, that spends more time on a new decoder than on the text."""
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    elif text.startswith("\ufeff"):
        raise JsonError("begins with a byte order mark", 1, 1)
    return text


def _has_large_number(text: str | bytes) -> bool:
    if isinstance(text, bytes):
        return _LARGE_IN_BYTES.search(text) is not None
    return _LARGE_IN_TEXT.search(text) is not None


def _brackets(text: str | bytes) -> int:
    if isinstance(text, bytes):
        return text.count(b"[") + text.count(b"{")
    return text.count("[") + text.count("{")


def check_depth(value: object, most: int = MAX_DEPTH) -> None:
    """Raises TooMuchError for lists and mappings that are nested deeper than ``most`` levels."""
    level: list[Any] = [value] if isinstance(value, (dict, list)) else []
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    if level:
        raise TooMuchError(f"nested deeper than {most} levels")


def is_too_deep(text: bytes) -> bool:
    """Whether JSON is nested deeper than ``MAX_DEPTH``. Most is not read for that: its brackets alone say it is not."""
    left = text.translate(None, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        left = left.replace(b"[]", b"").replace(b"{}", b"")
        if not left:
            return False
    try:
        check_depth(json.loads(text))
    except (TooMuchError, RecursionError):
        return True
    except ValueError:
        return False
    return False


def read_file(path: Path, *, most_bytes: int = MAX_JSON_BYTES) -> bytes:
    """The bytes of a regular file; a pipe or device in its place is not waited for.

    Raises:
        TooMuchError: it is larger than ``most_bytes``. OSError: it cannot be read, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "not a regular file", str(path))
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise TooMuchError(f"larger than {_shown(most_bytes)}")
    return data


def read_json(path: Path, *, most_bytes: int = MAX_JSON_BYTES) -> Any:
    """The value in a regular file. Raises OSError and JsonError."""
    return parse_json(read_file(path, most_bytes=most_bytes), most_bytes=most_bytes)


def whole(
    pieces: Iterable[bytes], *, most_bytes: int, within_s: float, clock: Callable[[], float] = time.monotonic
) -> bytes:
    """A reply that arrives in pieces.

    Raises:
        TooMuchError: it is larger than ``most_bytes``, or not complete after ``within_s`` seconds.
    """
    ends = clock() + within_s
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > most_bytes:
            raise TooMuchError(f"an answer of more than {_shown(most_bytes)}")
        if clock() > ends:
            raise TooMuchError(f"an answer that was not complete after {within_s:.0f} s")
    return bytes(body)


def unpacked(pieces: Iterable[bytes], packing: str | None) -> Iterator[bytes]:
    """The data behind the ``Content-Encoding`` of an answer, in pieces of at most 1 MiB however well it is packed.

    Raises:
        CutOffError: it is damaged. UnknownPackingError: it is neither plain, nor packed by gzip or deflate.
    """
    packing = (packing or "").strip().lower()
    if packing in ("", "identity"):
        yield from pieces
        return
    if packing not in ("gzip", "x-gzip", "deflate"):
        raise UnknownPackingError(packing)
    unpacker = zlib.decompressobj(wbits=47)  # the header says whether it is gzip or zlib
    try:
        for piece in pieces:
            rest = piece
            while rest:
                yield unpacker.decompress(rest, _PIECE)
                rest = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error:
        raise CutOffError("the packed answer of the server is damaged") from None
    if not unpacker.eof:
        raise CutOffError("the server ended its answer too early")


def lines(pieces: Iterable[bytes], *, most_bytes: int) -> Iterator[bytes]:
    """The lines of a stream, without their ends. Raises TooMuchError for a line of more than ``most_bytes``."""
    carry = bytearray()
    for piece in pieces:
        carry += piece
        if b"\n" in piece:
            *complete, rest = bytes(carry).split(b"\n")
            yield from complete
            carry = bytearray(rest)
        if len(carry) > most_bytes:
            raise TooMuchError(f"a line of more than {_shown(most_bytes)}")
    if carry:
        yield bytes(carry)


def whole_number(text: str) -> int | None:
    """Of ASCII digits alone, at most 18 of them, so that it fits 64 bits; None for other texts."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else None


def _shown(most_bytes: int) -> str:
    return f"{most_bytes / 1024**2:.1f} MiB" if most_bytes >= 1024**2 else f"{most_bytes} B"


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise TooMuchError(f'"{text[:20]}" is too large for a number')
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f'"{name}" is not a number of JSON')


def _short_number(most_digits: int, text: str) -> int:
    if len(text.lstrip("-")) > most_digits:
        raise TooMuchError(f"a number has more than {most_digits} digits")
    return int(text)


_PLAIN, _FINITE = json.JSONDecoder(), json.JSONDecoder(parse_constant=_refuse_constant)
