"""Checks a spec with Google's protobuf library. Its verdict is final, because TAO reads its specs with it.

The only module that imports ``protobuf``. The library stops at the first mistake and is slow (its text format is plain
Python). It therefore checks only texts in which taorunner's own reader, which reports all mistakes at once, found none.
Descriptors are built in memory from the schema data. That data lacks field and enum numbers, which the text format does
not need.
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from taorunner.specs.memory import Answers, SpecMemory
from taorunner.specs.schema.schema import Key, Schema
from taorunner.specs.syntax.prototxt_parser import ProtoList, ProtoMessage, ProtoScalar, parse_prototxt
from taorunner.specs.syntax.text_position import Lines, SpecProblemError
from taorunner.text import printable

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "taorunner"
_KINDS = {"float": _Field.TYPE_DOUBLE, "bool": _Field.TYPE_BOOL, "str": _Field.TYPE_STRING}
_PLACE = re.compile(r"\A\d+:\d+ ?: ?")
_OUR_NAMES = re.compile(rf' "{_PACKAGE}\.[A-Za-z0-9_.]*"')
_BEHIND = "Couldn't parse string"
"""Messages whose place is that of the token after the faulty text."""
_MAX_SHOWN = 200


class _MessageClasses(Answers[Schema, Any]):
    """One message class for each schema."""

    MOST = 64


def refused_by_library(
    text: str, schema: Schema, memory: SpecMemory | None = None
) -> SpecProblemError | None:
    """The reason why the library refuses ``text`` as a spec of ``schema``; None when it accepts it.

    Merges as TAO does: of a value that is given twice the last one counts. Source: text_format.Merge in
    tao_tensorflow1_backend; tao/tensorflow.md section 4.1.
    """
    classes = (memory or SpecMemory()).table(_MessageClasses)
    message_class = classes.get(schema, lambda: _message_class(schema))
    try:
        text_format.Merge(text.removeprefix("\ufeff"), message_class())
    except text_format.ParseError as error:
        line = error.GetLine()
        place = None if line is None else _offset(text, line, error.GetColumn() or 1)
        reason = _reason(str(error), text, line)
        if place is not None and reason.startswith(_BEHIND):
            place = _string_before(text, place)
        return SpecProblemError(
            "protobuf-refuses",
            f"the protobuf library refuses this: {reason[:1].lower()}{reason[1:]}",
            offset=place,
            hint="TAO reads its specs with that library: correct the place",
        )
    except (RecursionError, UnicodeError, ValueError) as error:
        message = (
            "nested too deep" if isinstance(error, RecursionError) else str(error).split("\n")[0][:_MAX_SHOWN]
        )
        return SpecProblemError("protobuf-refuses", f"the protobuf library refuses this: {message}", offset=0)
    return None


def _message_class(schema: Schema) -> Any:
    """The message class of the schema's root."""
    file = descriptor_pb2.FileDescriptorProto(name="spec.proto", package=_PACKAGE, syntax="proto3")
    pending, seen = [schema.root], {schema.root}
    while pending:
        number = pending.pop()
        described = file.message_type.add(name=f"Section{number}")
        for index, (name, key) in enumerate(schema.keys(number).items(), start=1):
            _describe(described, index, name, key)
            if key.kind == "section" and key.section not in seen:
                seen.add(key.section)
                pending.append(key.section)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Section{schema.root}"))


def _describe(message: Any, number: int, name: str, key: Key) -> None:
    label = _Field.LABEL_REPEATED if key.is_repeated else _Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if key.kind == "section":
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.Section{key.section}"
    elif key.kind == "enum":
        holder = message.nested_type.add(name=f"Of{number}")  # names of options are unique in a message only
        kind = holder.enum_type.add(name="Options")
        for value, option in enumerate(key.options):
            kind.value.add(name=option, number=value)
        field.type, field.type_name = _Field.TYPE_ENUM, f".{_PACKAGE}.{message.name}.Of{number}.Options"
    elif key.kind == "int":
        field.type = _integer(key)
    else:
        field.type = _KINDS[key.kind]


def _integer(key: Key) -> int:
    is_long = key.most is None or key.most >= 2**32
    if key.least is not None and key.least >= 0:
        return int(_Field.TYPE_UINT64 if is_long else _Field.TYPE_UINT32)
    return int(_Field.TYPE_INT64 if is_long else _Field.TYPE_INT32)


def _reason(message: str, text: str, line: int | None) -> str:
    """The library's message without the place, the quoted line and the generated names."""
    lines = text.removeprefix("\ufeff").split("\n")
    quoted = f"'{lines[line - 1]}': " if line is not None and line <= len(lines) else ""
    reason = _OUR_NAMES.sub("", _PLACE.sub("", message).removeprefix(quoted).split("\n")[0])
    return printable(reason.strip().rstrip("."))[:_MAX_SHOWN]


def _string_before(text: str, offset: int) -> int:
    """Where the last string starts that ends before the offset."""
    best = offset
    pending: list[ProtoMessage | ProtoList] = [parse_prototxt(text)]
    while pending:
        node = pending.pop()
        values = [one.value for one in node.fields] if isinstance(node, ProtoMessage) else node.items
        for value in values:
            if not isinstance(value, ProtoScalar):
                pending.append(value)
            elif value.kind == "string" and value.end <= offset and (best == offset or value.start > best):
                best = value.start
    return best


def _offset(text: str, line: int, column: int) -> int:
    """The library counts the lines of the text without a byte order mark."""
    mark = 1 if text.startswith("\ufeff") else 0
    return min(len(text), Lines(text).offset(line, column) + (mark if line == 1 else 0))
