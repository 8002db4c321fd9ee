"""Masking: finds the secrets of a run in what it prints and reports, also in other notations and across pieces.

A secret is looked for as it is, as JSON, Python and addresses write it, in hex, in base64 at every alignment, and line
by line.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from urllib.parse import quote, quote_plus

from taorunner.text import MASK

_SHORT = 6
"""Bytes of a secret that is looked for only as it is, and of a part of one that tells nothing."""
_SHORT_LINE = 8
_MASK = MASK.encode()


class Masking:
    """Of no secrets, it changes nothing and costs nothing."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = {form for secret in secrets if secret for form in _forms(secret)}
        self._forms = tuple(sorted(found, key=len, reverse=True))
        self._over_lines = any(b"\n" in form or b"\r" in form for form in self._forms)

    @property
    def longest(self) -> int:
        """Bytes of the longest form of a secret; 1 without any."""
        return max(map(len, self._forms), default=1)

    @property
    def line_forms(self) -> tuple[bytes, ...]:
        """The forms without line ends. One that has several lines is given as its longer lines."""
        return tuple(form for form in self._forms if not {0, 10, 13} & set(form))

    @property
    def has_secrets(self) -> bool:
        return bool(self._forms)

    def masked(self, data: bytes) -> bytes:
        """``data`` with ``***`` in place of each secret that is whole in it."""
        if not self.is_in(data):
            return data
        out, at = bytearray(), 0
        for start, end in self._spans(data):
            out += data[at:start] + _MASK
            at = end
        return bytes(out + data[at:])

    def masked_end(self, data: bytes) -> bytes:
        """The same for the last bytes of a stream, which may end in the middle of a secret."""
        part = self._part(data)
        return self.masked(data[: len(data) - part]) + _MASK if part >= _SHORT else self.masked(data)

    def masked_text(self, text: str) -> str:
        data = text.encode("utf-8", "surrogatepass")
        masked = self.masked(data)
        return text if masked is data else masked.decode("utf-8", "surrogatepass")

    def is_in(self, data: bytes) -> bool:
        return any(form in data for form in self._forms)

    def may_be_in(self, data: bytes) -> bool:
        """Whether a secret is in ``data``, or begins at its end."""
        return self.is_in(data) or self._part(data) > 0

    def cut(self, data: bytes, end: int, *, in_line: bool) -> int:
        """The last place up to ``end`` at which ``data`` can be cut without cutting a secret.

        It is after a line end, or anywhere with ``in_line``.
        """
        if not end or not self._forms or not (in_line or self._over_lines):
            return end
        spans = self._spans(data)
        part = self._part(data)
        if part:
            spans.append((len(data) - part, len(data) + 1))
        while True:
            before = end
            for start, stop in reversed(spans):
                if start < end < stop:
                    end = start
            if not in_line:
                end = max(data.rfind(b"\n", 0, end), data.rfind(b"\r", 0, end)) + 1
            if end == before:
                return end

    def _spans(self, data: bytes) -> list[tuple[int, int]]:
        """Where the secrets are, in order; those that overlap or touch are one."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted(self._places(data)):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def _places(self, data: bytes) -> Iterator[tuple[int, int]]:
        for form in self._forms:
            at = data.find(form)
            while at >= 0:
                yield at, at + len(form)
                at = data.find(form, at + 1)

    def _part(self, data: bytes) -> int:
        """The length of the longest beginning of a secret that ``data`` ends with."""
        longest = 0
        for form in self._forms:
            tail = data[max(0, len(data) - len(form) + 1) :]
            at = tail.find(form[:1])
            while at >= 0 and len(tail) - at > longest:
                if form.startswith(tail[at:]):
                    longest = len(tail) - at
                at = tail.find(form[:1], at + 1)
        return longest


def _forms(secret: str) -> Iterator[bytes]:
    data = secret.encode("utf-8", "surrogateescape")
    yield data
    if len(data) < _SHORT:
        return
    yield data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    lines = data.splitlines()
    if len(lines) > 1:
        yield from (line.strip() for line in lines if len(line.strip()) >= _SHORT_LINE)
    written = (json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret))
    yield from (text[1:-1].encode("utf-8", "surrogateescape") for text in written)
    yield json.dumps(written[0])[3:-3].encode()  # JSON in JSON, as a record in a log
    yield from (way(data).encode() for way in (partial(quote, safe=""), quote, quote_plus))
    yield data.hex().encode()
    yield from _in_base64(data)


def _in_base64(data: bytes) -> Sequence[bytes]:
    """What is the same in base64 whatever stands before and behind it."""
    found = []
    for shift in range(3):
        text = b64encode(bytes(shift) + data).rstrip(b"=")
        begin = (0, 2, 3)[shift]
        end = len(text) - 1 if (shift + len(data)) % 3 else len(text)
        core = text[begin:end]
        if len(core) >= _SHORT_LINE:
            found += [core, core.replace(b"+", b"-").replace(b"/", b"_")]
    return found
