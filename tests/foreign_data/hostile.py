"""Changes valid data as damage, chance and malice do: on its values where it is JSON, on its lines, on its bytes."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

MOST_BYTES = 256 * 1024
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_-]{1,40}")

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**299, 10**320, 0.1, -0.0, 1e308, float("inf"),
    float("-inf"), float("nan"), "", " ", "\0", "a" * 70_000, "../../../etc/passwd", "/", ".", "..", "\u202e", "\ud800",
    "\x1b]0;x\x07", "1e999", "1_0", "\u0663", "%s%n", "{x}", "$x", "null", [], {}, [[]], {"": {}}, [None], [1, 2, 3, 4],
    "2026-99-99T99:99:99", "9" * 400, [0] * 2000, {str(number): number for number in range(500)},
)  # fmt: skip
_NUMBERS = (
    b"0", b"-1", b"1e999", b"-1e999", b"nan", b"inf", b"9" * 30, b"9" * 400, b"9" * 5000, b"1_0", b"0x10", b"1e5", b".5", b"5.",
    b"00012", b"--1", b"1-", b"\xd9\xa3", b"4294967295", b"18446744073709551616", b"1e-400",
)  # fmt: skip
_BYTES = (
    b"\0", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b"\t", b"\x1b[31m", b"\x1b", b"\x85", b"\xe2\x80\xa8", b"'", b'"',
    b"\\", b"{", b"}", b"[", b"]", b"<", b">", b"&", b"*", b"!", b"%", b"#", b":", b"-", b"?", b"|", b"@", b"`", b"&a ", b"*a",
    b"<<: ", b"---\n", b"...\n", b"!!python/object ", b"!!binary ", b"<![CDATA[", b"<!DOCTYPE x [<!ENTITY a \"b\">]>", b"&a;",
    b"{{", b"${", b"$(", b"../", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xcc\x81", b"  ", b"e", b".", b",", b";", b"=", b"/",
)  # fmt: skip


def changed(seed: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """One to six changes of ``seed``; a part of ``others`` may come in. At most ``MOST_BYTES``."""
    data = seed
    if chance.random() < 0.4:
        data = _of_json(data, chance) or data
    for _ in range(
        chance.choice((0, 1, 1, 1, 2, 3, 6)) if data is not seed else chance.choice((1, 1, 2, 3, 6))
    ):
        data = chance.choice(_CHANGES)(data, others, chance)[:MOST_BYTES]
    return data


def _of_json(data: bytes, chance: random.Random) -> bytes | None:
    """A change of one value in JSON, or in one line of JSON lines; None for other data."""
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    for text, place in ((data, None), (lines[at], at)):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if not isinstance(value, (dict, list)):
            continue
        for _ in range(chance.choice((1, 1, 2, 4))):
            value = _with_change(value, chance)
        if chance.random() < 0.02:
            value = {"x": value}
        written = json.dumps(value, indent=chance.choice((None, None, 1))).encode()
        if chance.random() < 0.03:
            levels = chance.choice((50, 61, 1500, 30_000))
            written = written.replace(b"null", b"[" * levels + b"]" * levels, 1)
        if place is None:
            return written
        return b"\n".join([*lines[:place], written.replace(b"\n", b" "), *lines[place + 1 :]])
    return None


def _with_change(value: Any, chance: random.Random) -> Any:
    """One value of the tree is replaced, removed, doubled or exchanged with another."""
    holders: list[Any] = []
    level: list[Any] = [value]
    while level and len(holders) < 500:
        holders += level
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list)) and inner
        ]
    holder = chance.choice(holders)
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    if not keys:
        return value
    key, other = chance.choice(keys), chance.choice(keys)
    kind = chance.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = copy.deepcopy(holder[other])
    elif kind == 2 and isinstance(holder, list):
        holder.extend(copy.deepcopy(holder[:50]))
    elif kind == 3 and isinstance(holder, dict):
        holder[str(chance.choice(_VALUES))[:80]] = holder.pop(key)
    else:
        holder[key] = copy.deepcopy(chance.choice(_VALUES))
    return value


def _cut(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _flip(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def _set(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    count = chance.choice((1, 2, 4, 8))
    return data[:at] + chance.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * count + data[at + count :]


def _insert(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    times = chance.choice((1, 1, 1, 1, 2, 100, 10_000))
    return data[:at] + chance.choice(_BYTES) * times + data[at:]


def _remove(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.choice((1, 2, 10, 100)) :]


def _number(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    return _in_place(_NUMBER, _NUMBERS, data, chance)


def _word(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    found = [match[0] for match in _WORD.finditer(data[:20_000])] or [b"x"]
    return _in_place(
        _WORD, (b"", chance.choice(found), b"x" * 70_000, b"__class__", b"null", b"True"), data, chance
    )


def _in_place(
    pattern: re.Pattern[bytes], words: Sequence[bytes], data: bytes, chance: random.Random
) -> bytes:
    places = [match.span() for match in pattern.finditer(data, 0, 20_000)]
    if not places:
        return data
    start, end = chance.choice(places)
    return data[:start] + chance.choice(words) + data[end:]


def _lines(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    kind = chance.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(other, lines[at])
    elif kind == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 3:
        lines[at] = b" " * chance.choice((1, 2, 7)) + lines[at]
    else:
        lines[at:at] = [lines[at]] * chance.choice((10, 300))
    return b"\n".join(lines)


def _splice(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    other = chance.choice(others)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def _repeat(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    part = data[at : at + chance.choice((1, 3, 20, 200))]
    return data[:at] + part * chance.choice((3, 50, 2000)) + data[at:]


_CHANGES: tuple[Callable[[bytes, Sequence[bytes], random.Random], bytes], ...] = (
    _cut, _flip, _set, _insert, _insert, _remove, _number, _number, _word, _lines, _splice, _repeat,
)  # fmt: skip
