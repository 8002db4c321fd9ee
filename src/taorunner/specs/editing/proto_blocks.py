"""Sets repeated fields of protobuf text: a block for each class, made after the first one.

A block that is about something wanted stays as it is, with its comments. A block about something else gives its place
to a new one; what is left over is removed, what is missing comes behind the last one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taorunner.specs.editing.placed import proto_root, written_string
from taorunner.specs.memory import SpecMemory
from taorunner.specs.syntax.literals import proto_value
from taorunner.specs.syntax.prototxt_parser import (
    ProtoField,
    ProtoList,
    ProtoMessage,
    ProtoScalar,
)

Row = Mapping[str, str | int]
"""Fields of a block with their values; the first one says what it is about."""

FILL_IN = "$FILL_IN"
_Spot = tuple[int, int, str]
"""Start and end of a value in the text, and what takes its place."""
_REPEATS_THE_NAME = frozenset({"output_map"})
"""Fields further inside that repeat the name of the class. Source: the message of detectnet_v2's inference."""
_COLOR = re.compile(r"(bbox_color\s*\{\s*R:\s*)\d+(\s*,?\s*G:\s*)\d+(\s*,?\s*B:\s*)\d+")


@dataclass(frozen=True, slots=True)
class Block:
    """A repeated field: a block, or a text of its own. ``about``: its values of the fields that were asked for."""

    field: ProtoField
    about: Mapping[str, str | int | float | bool]


def blocks_at(text: str, key: str, fields: Sequence[str], memory: SpecMemory | None = None) -> list[Block]:
    """The repeated fields at ``key`` of the first message that has any.

    Raises:
        SpecProblemError: the text cannot be parsed.
    """
    *above, last = key.split(".")
    messages = [proto_root(text, memory or SpecMemory())]
    for step in above:
        messages = [
            field.value
            for message in messages
            for field in message.fields
            if field.name == step and isinstance(field.value, ProtoMessage)
        ]
    for message in messages:
        found = [field for field in message.fields if field.name == last]
        if found:
            return [Block(field, _about(text, field, fields)) for field in found]
    return []


def with_blocks(
    text: str,
    key: str,
    rows: Sequence[Row],
    colors: Sequence[tuple[int, int, int]] = (),
    memory: SpecMemory | None = None,
) -> str:
    """``text`` with one block for each row; unchanged where ``key`` has none to take as the pattern, or where its
    blocks are written in brackets.

    Raises:
        SpecProblemError: the text cannot be parsed.
    """
    fields = list(rows[0]) if rows else []
    memory = memory or SpecMemory()
    blocks = blocks_at(text, key, fields, memory)
    if not blocks or not rows:
        return text
    by = fields[0]
    lists = [one.field.value for one in blocks if isinstance(one.field.value, ProtoList)]
    if any(isinstance(one, ProtoMessage) for items in lists for one in items.items):
        return text
    if len(blocks) == 1 and lists:
        return _with_list(text, blocks[0].field, [row[by] for row in rows])
    wanted = {_same(row[by]): row for row in rows}
    subjects = [_subject(block, rows[0]) for block in blocks]
    kept = {one for one in subjects if one is not None} & wanted.keys()
    fresh = [row for name, row in wanted.items() if name not in kept]
    places: list[Row | None] = []
    for name in subjects:
        if name is not None and name in kept:
            kept.discard(name)  # a second block about the same is one too many
            places.append({})
        else:
            places.append(fresh.pop(0) if fresh else None)
    made = _Pattern(text, blocks[0], by, colors, list(wanted))
    text = _appended(text, blocks[-1].field, [made.block(row) for row in fresh])
    for block, row in reversed(list(zip(blocks, places, strict=True))):
        if row is None:
            text = without_field(text, block.field)
        elif row:
            text = text[: block.field.start] + made.block(row) + text[block.field.end :]
    proto_root(text, memory)
    return text


def without_field(text: str, field: ProtoField) -> str:
    """``text`` without the field, and without its lines where it has these for itself."""
    start, end = field.start, field.end
    line = text.rfind("\n", 0, start) + 1
    newline = text.find("\n", end)
    stop = len(text) if newline < 0 else newline
    behind = text[end:stop].strip(" \t\r,;")
    if not text[line:start].strip() and (not behind or behind.startswith("#")):
        return text[:line] + text[stop + 1 :]
    while end < len(text) and text[end] in ",; \t":
        end += 1
    return text[:start] + text[end:]


@dataclass(frozen=True, slots=True)
class _Pattern:
    text: str
    first: Block
    by: str
    colors: Sequence[tuple[int, int, int]]
    order: Sequence[str | int]

    def block(self, row: Row) -> str:
        start, end = self.first.field.start, self.first.field.end
        written = self.text[start:end]
        for at, stop, new in sorted(self._spots(row), reverse=True):
            written = written[: at - start] + new + written[stop - start :]
        if self.colors:
            index = self.order.index(_same(row[self.by])) % len(self.colors)
            red, green, blue = self.colors[index]
            written = _COLOR.sub(rf"\g<1>{red}\g<2>{green}\g<3>{blue}", written)
        return written

    def _spots(self, row: Row) -> list[_Spot]:
        value = self.first.field.value
        if isinstance(value, ProtoScalar):
            return [(value.start, value.end, proto_value(row[self.by]))]
        if not isinstance(value, ProtoMessage):
            return []
        found: list[_Spot] = []
        for field in value.fields:
            if field.name in row and isinstance(field.value, ProtoScalar):
                found.append((field.value.start, field.value.end, proto_value(row[field.name])))
            elif isinstance(field.value, ProtoMessage):
                found += self._inside(field.value, row[self.by])
        left = row.keys() - {field.name for field in value.fields}
        missing = "".join(f"{name}: {proto_value(row[name])} " for name in row if name in left)
        space = "" if self.text[value.end - 2] in " \t\n" else " "
        return [*found, (value.end - 1, value.end - 1, space + missing)] if missing else found

    def _inside(self, message: ProtoMessage, name: str | int) -> list[_Spot]:
        found: list[_Spot] = []
        for field in message.fields:
            if isinstance(field.value, ProtoMessage):
                found += self._inside(field.value, name)
            elif isinstance(field.value, ProtoScalar):
                written = self.text[field.value.start : field.value.end].strip("'\"")
                if field.name in _REPEATS_THE_NAME or written == FILL_IN:
                    found.append((field.value.start, field.value.end, proto_value(name)))
        return found


def _about(text: str, field: ProtoField, names: Sequence[str]) -> dict[str, str | int | float | bool]:
    value = field.value
    if isinstance(value, ProtoScalar):
        return {names[0]: _written(text, value)} if names else {}
    if isinstance(value, ProtoList):
        return {}
    return {
        one.name: _written(text, one.value)
        for one in value.fields
        if one.name in names and isinstance(one.value, ProtoScalar)
    }


def _written(text: str, scalar: ProtoScalar) -> str | int | float | bool:
    raw = text[scalar.start : scalar.end]
    return (
        written_string(raw) if "$" in raw and scalar.kind == "string" else raw if "$" in raw else scalar.value
    )


def _subject(block: Block, row: Row) -> str | int | None:
    """What a block is about. A number that is left out is 0."""
    by = next(iter(row))
    if by in block.about:
        return _same(block.about[by])
    return 0 if isinstance(row[by], int) and isinstance(block.field.value, ProtoMessage) else None


def _same(value: str | int | float | bool) -> str | int:
    """TAO compares names of classes in lower case."""
    return value.lower() if isinstance(value, str) else int(value)


def _with_list(text: str, field: ProtoField, values: Sequence[str | int]) -> str:
    return text[: field.value.start] + proto_value(list(values)) + text[field.end :]


def _appended(text: str, field: ProtoField, blocks: Sequence[str]) -> str:
    """``blocks`` behind ``field``, each on lines of its own where ``field`` has that."""
    if not blocks:
        return text
    start, end = field.start, field.end
    line = text.rfind("\n", 0, start) + 1
    indent = text[line:start]
    newline = text.find("\n", end)
    stop = len(text) if newline < 0 else newline
    behind = text[end:stop].strip(" \t\r,;")
    if indent.strip() or (behind and not behind.startswith("#")):
        return text[:end] + "".join(f" {block}" for block in blocks) + text[end:]
    mark = "\r\n" if "\r\n" in text else "\n"
    added = mark.join(indent + block for block in blocks)
    if newline < 0:
        return text + mark + added
    return text[: stop + 1] + added + mark + text[stop + 1 :]
