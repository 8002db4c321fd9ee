"""Reads and sets single values in protobuf text, by dotted path, and leaves the rest of the text unchanged.

A path is ``training_config.num_epochs``; a number selects one of several
(``dataset_config.data_sources.0.tfrecords_path``). Merging follows protobuf: a block that occurs twice at the top of
the file is one message, and the last of several values of a scalar wins. Setting is refused where two blocks may be
either one message or two elements. Source: tao/tensorflow.md section 4.1 (an appended block merges, repeated fields are
added).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taorunner.specs.schema.schema import Key, Schema
from taorunner.specs.syntax.literals import inside_brackets, proto_value
from taorunner.specs.syntax.prototxt_parser import (
    ProtoField,
    ProtoList,
    ProtoMessage,
    ProtoScalar,
    Scalar,
    parse_prototxt,
)
from taorunner.specs.syntax.text_position import SpecProblemError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_Node = ProtoScalar | ProtoMessage | ProtoList
_INDEX = re.compile(r"[0-9]{1,6}\Z")


def read_value(text: str, dotted: str) -> Scalar | list[Scalar] | None:
    """The value at ``dotted``; None when it is absent or a message. A list is given as a list.

    Raises:
        SpecProblemError: the text cannot be parsed.
    """
    return value_in(parse_prototxt(text), dotted)


def value_in(root: ProtoMessage, dotted: str) -> Scalar | list[Scalar] | None:
    """As ``read_value``, of a text that is already parsed."""
    try:
        found = _find(root, _steps(dotted), _Known(), strict=False)
    except SpecProblemError:
        return None
    if not found.values:
        return None
    last = found.values[-1]
    if isinstance(last, ProtoList):
        return [item.value for item in last.items if isinstance(item, ProtoScalar)]
    return last.value if isinstance(last, ProtoScalar) else None


def set_value(text: str, key: str | Sequence[str], value: object, schema: Schema | None = None) -> str:
    """``text`` with the value set; comments and layout stay. What is absent is inserted, blocks included.

    A quoted field stays quoted and an enum stays bare, whatever type ``value`` has. ``key`` is dotted, or its steps.
    ``schema`` says of which fields there may be several, and what is an enum where the text has none yet.

    Raises:
        SpecProblemError: the text cannot be parsed, the path is ambiguous or leads through a scalar, or the
        value
            cannot be written.
    """
    dotted = key if isinstance(key, str) else ".".join(key)
    if isinstance(value, Mapping) or value is None:
        shown = "nothing" if value is None else "a block"
        raise SpecProblemError(
            "cannot-set", f'"{dotted}" cannot be set to {shown}', hint="name a field inside it"
        )
    if isinstance(value, Sequence) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        raise SpecProblemError(
            "cannot-set", f'"{dotted}" cannot be set to a list of blocks or lists',
            hint=f"set the fields of those that are there: {dotted}.0.…",
        )  # fmt: skip
    steps = _steps(dotted)
    known = _Known(schema)
    found = _find(parse_prototxt(text), steps, known, strict=True)
    if found.values:
        written = _replace(text, found, value, dotted, known.key(tuple(steps)))
    else:
        written = _insert(text, found, _by_schema(known.key(tuple(steps)), value))
    parse_prototxt(written)
    return written


@dataclass(frozen=True, slots=True)
class _Known:
    """The schema's key at a path, if there is a schema; indices are ignored."""

    schema: Schema | None = None

    def key(self, path: tuple[str, ...]) -> Key | None:
        names = tuple(step for step in path if not _INDEX.match(step))
        return self.schema.find(names) if self.schema is not None else None

    def repeats(self, path: tuple[str, ...]) -> bool | None:
        key = self.key(path)
        return None if key is None else key.is_repeated


@dataclass(slots=True)
class _Found:
    """``values`` at the path, in one block; if none, the deepest ``block`` and the ``missing`` steps."""

    values: list[_Node]
    fields: list[ProtoField]
    block: ProtoMessage
    missing: list[str]


def _steps(dotted: str) -> list[str]:
    steps = dotted.split(".")
    if not all(_INDEX.match(step) or _NAME.match(step) for step in steps) or _INDEX.match(steps[0]):
        raise SpecProblemError(
            "bad-key",
            f'"{dotted}" is not a key of a protobuf spec',
            hint="write it like training_config.num_epochs",
        )
    return steps


def _find(root: ProtoMessage, steps: list[str], known: _Known, *, strict: bool) -> _Found:
    blocks = [root]
    index = 0
    while True:
        name = steps[index]
        index += 1
        fields = [field for block in blocks for field in block.fields if field.name == name]
        pick = int(steps[index]) if index < len(steps) and _INDEX.match(steps[index]) else None
        if not fields:
            if pick is not None:
                raise SpecProblemError("cannot-set", f'there is no "{".".join(steps[:index])}" to count in')
            return _Found([], [], blocks[-1], steps[index - 1 :])
        values = [field.value for field in fields]
        if pick is not None:
            values, fields = _picked(values, fields, pick, steps[:index])
            index += 1
        if index == len(steps):
            if (
                pick is None
                and known.repeats(tuple(steps))
                and not any(isinstance(v, ProtoMessage) for v in values)
            ):
                return _Found(values, fields, blocks[-1], [])  # its values may be in several blocks
            return _leaf(values, fields, blocks, steps, pick, strict)
        values = [
            item for value in values for item in (value.items if isinstance(value, ProtoList) else [value])
        ]
        messages = [value for value in values if isinstance(value, ProtoMessage)]
        if len(messages) < len(values) or not messages:
            raise SpecProblemError(
                "cannot-set", f'"{".".join(steps[:index])}" is not a block', offset=fields[-1].start
            )
        repeats = known.repeats(tuple(steps[:index]))
        merged = _is_merged(index, messages) if repeats is None else not repeats
        if strict and len(messages) > 1 and not merged:
            raise _ambiguous(steps[:index], len(messages), messages[-1].start, ".".join(steps[index:]))
        blocks = messages


def _picked(
    values: list[_Node], fields: list[ProtoField], pick: int, path: list[str]
) -> tuple[list[_Node], list[ProtoField]]:
    items: list[_Node] = []
    owners: list[ProtoField] = []
    for value, owner in zip(values, fields, strict=True):
        elements = value.items if isinstance(value, ProtoList) else [value]
        items.extend(elements)
        owners.extend([owner] * len(elements))
    if pick >= len(items):
        raise SpecProblemError(
            "cannot-set", f'"{".".join(path)}" has no element {pick}', offset=values[-1].start,
            hint=f"there are {len(items)}, counted from 0",
        )  # fmt: skip
    return [items[pick]], [owners[pick]]


def _leaf(
    values: list[_Node],
    fields: list[ProtoField],
    blocks: list[ProtoMessage],
    steps: list[str],
    pick: int | None,
    strict: bool,
) -> _Found:
    if not strict or pick is not None:
        return _Found(values, fields, blocks[-1], [])
    if any(isinstance(value, ProtoMessage) for value in values):
        raise SpecProblemError(
            "cannot-set", f'"{".".join(steps)}" is a block, not a value', offset=values[-1].start,
            hint="name a field inside it",
        )  # fmt: skip
    for block in reversed(blocks):
        inside = [field for field in block.fields if field.name == steps[-1]]
        if inside:
            return _Found([field.value for field in inside], inside, block, [])
    return _Found(values, fields, blocks[-1], [])


def _is_merged(index: int, messages: list[ProtoMessage]) -> bool:
    """True where several blocks are certainly one message: at the top of the file, unless entries of a map."""
    return index == 1 and not any(field.name == "key" for message in messages for field in message.fields)


def _ambiguous(path: list[str], count: int, offset: int, rest: str) -> SpecProblemError:
    name = ".".join(path)
    return SpecProblemError(
        "ambiguous-key", f'"{name}" occurs {count} times', offset=offset, hint=f"say which: {name}.0.{rest}"
    )


def _replace(text: str, found: _Found, value: object, dotted: str, key: Key | None) -> str:
    first, last = found.values[0], found.values[-1]
    if len(found.values) > 1 and key is not None and not key.is_repeated:
        first = last  # the last of several values of a scalar wins
    elif len(found.values) > 1:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise SpecProblemError(
                "ambiguous-key", f'"{dotted}" occurs {len(found.values)} times', offset=last.start,
                hint=f"say which, as in {dotted}.0, or give a list",
            )  # fmt: skip
        for extra in reversed(found.fields[1:]):
            text = _without_field(text, extra)
    elif isinstance(first, ProtoMessage):
        raise SpecProblemError("cannot-set", f'"{dotted}" is a block, not a value', offset=first.start)
    written = _by_schema(key, value) if key is not None and key.kind == "enum" else _like(first, value)
    return text[: first.start] + written + text[first.end :]


def _without_field(text: str, field: ProtoField) -> str:
    start, end = field.start, field.end
    while end < len(text) and text[end] in ",; \t":
        end += 1
    line = text.rfind("\n", 0, start) + 1
    if not text[line:start].strip() and (end >= len(text) or text[end] in "\r\n"):
        newline = text.find("\n", end)
        return text[:line] + (text[newline + 1 :] if newline >= 0 else "")
    return text[:start] + text[end:]


def _like(old: _Node, value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        if isinstance(old, ProtoScalar) and str(old.value).lstrip().startswith("["):
            return proto_value(inside_brackets(value))  # a text that TAO reads as a Python list
        kind = old.items[0] if isinstance(old, ProtoList) and old.items else old
        return "[" + ", ".join(_like(kind, item) for item in value) + "]"
    if isinstance(old, ProtoScalar):
        if old.kind == "string" and not isinstance(value, str):
            return proto_value(proto_value(value))
        if old.kind == "word" and isinstance(value, str) and _NAME.match(value):
            return value
    return proto_value(value)


def _by_schema(key: Key | None, value: object) -> str:
    """The literal of a value where the text has no earlier one: option names are unquoted."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if key is not None and key.kind == "str" and not key.is_repeated:
            return proto_value(inside_brackets(value))  # a text that TAO reads as a Python list
        return "[" + ", ".join(_by_schema(key, item) for item in value) + "]"
    if key is not None and key.kind == "enum" and isinstance(value, str) and _NAME.match(value):
        return value
    return proto_value(value)


def _insert(text: str, found: _Found, value: str) -> str:
    block, missing = found.block, found.missing
    if any(_INDEX.match(step) for step in missing):
        raise SpecProblemError("cannot-set", f'there is no "{missing[0]}" to count in')
    newline = "\r\n" if "\r\n" in text else "\n"
    if block.start == 0:
        gap = "" if not text or text.endswith("\n") else newline
        return text + gap + _lines(missing, value, "", "  ", newline)
    closer = block.end - 1
    line = text.rfind("\n", 0, closer) + 1
    if text[line:closer].strip() or "\n" not in text[block.start : closer]:
        space = "" if text[closer - 1] in " \t" else " "
        inner = " { ".join(missing) + f": {value}" + " }" * (len(missing) - 1)
        return f"{text[:closer]}{space}{inner} {text[closer:]}"
    outer = text[line:closer]
    indent = _child_indent(text, block) or outer + "  "
    step = indent[len(outer) :] if indent.startswith(outer) and len(indent) > len(outer) else "  "
    return text[:line] + _lines(missing, value, indent, step, newline) + text[line:]


def _child_indent(text: str, block: ProtoMessage) -> str | None:
    for field in block.fields:
        line = text.rfind("\n", 0, field.start) + 1
        if line > block.start and not text[line : field.start].strip():
            return text[line : field.start]
    return None


def _lines(missing: list[str], value: str, indent: str, step: str, newline: str) -> str:
    *blocks, leaf = missing
    opened = "".join(f"{indent}{step * depth}{name} {{{newline}" for depth, name in enumerate(blocks))
    closed = "".join(f"{indent}{step * depth}}}{newline}" for depth in reversed(range(len(blocks))))
    return f"{opened}{indent}{step * len(blocks)}{leaf}: {value}{newline}{closed}"
