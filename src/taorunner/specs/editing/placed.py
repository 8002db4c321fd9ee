"""Finds values in spec files as they are written, with their ``$variables``, and replaces them in place.

A key is dotted and has no numbers in it: a value in a list, or one that is given several times, is several values of
one key. Every function leaves comments and all other text as it is. Positions are offsets in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taorunner.specs.memory import Answers, SpecMemory
from taorunner.specs.syntax.literals import proto_value, yaml_string, yaml_value
from taorunner.specs.syntax.omegaconf_yaml import spec_scalar
from taorunner.specs.syntax.prototxt_parser import ProtoList, ProtoMessage, ProtoScalar, parse_prototxt
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.specs.syntax.yaml_tree import YamlNode, read_tree

_USE = re.compile(r"\$(?:\{[A-Za-z_][A-Za-z0-9_]*\}|[A-Za-z_][A-Za-z0-9_]*|\$)")
_WHOLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_WIDEST = 110
"""A longer flow collection is written as a block, one line for each entry."""


@dataclass(frozen=True, slots=True)
class Placed:
    """``kind``: scalar, list, mapping or message. ``value`` of a scalar and of a list of scalars; text with a variable
    is as written, without quotes. ``quote`` is the mark of a quoted scalar."""

    start: int
    end: int
    kind: str
    value: Any
    quote: str = ""

    @property
    def variable(self) -> str | None:
        """The name, where the value is one variable and nothing else."""
        match = _WHOLE.fullmatch(self.value) if isinstance(self.value, str) else None
        return (match[1] or match[2]) if match else None


def masked(text: str) -> str:
    """``text`` with every variable as a word of the same length, which both syntaxes read."""
    return _USE.sub(lambda match: "_" * len(match[0]), text)


class _Roots(Answers[tuple[str, str], Any]):
    """By text and format. Never changed."""

    MOST = 8


def proto_root(text: str, memory: SpecMemory) -> ProtoMessage:
    """The parsed text, each one once. Raises SpecProblemError."""
    root: ProtoMessage = memory.table(_Roots).get((text, "prototxt"), lambda: parse_prototxt(masked(text)))
    return root


def placed_values(text: str, spec_format: str, key: str, memory: SpecMemory | None = None) -> list[Placed]:
    """All values at ``key``, in the order of the text. With ``memory``, the same text is parsed once.

    Raises:
        SpecProblemError: the text cannot be parsed.
    """
    steps = key.split(".")
    memory = memory or SpecMemory()
    if spec_format == "prototxt":
        return [_proto(text, node) for node in _proto_nodes([proto_root(text, memory)], steps)]
    root: YamlNode | None = memory.table(_Roots).get((text, "yaml"), lambda: _yaml_root(text))
    return [] if root is None else [_yaml(text, node) for _, node in _yaml_nodes(root, steps)]


def with_scalar(text: str, spec_format: str, placed: Placed, value: object) -> str:
    """``value`` in the place of a scalar, or of a list of scalars. A quoted text stays quoted."""
    if spec_format == "prototxt":
        written = proto_value(value if isinstance(value, str) or not placed.quote else _as_text(value))
    elif placed.quote and isinstance(value, str):
        plain = yaml_string(value)
        written = plain if plain.startswith('"') else f"{placed.quote}{plain}{placed.quote}"
    else:
        written = yaml_value(value)
    gap = " " if placed.start == placed.end else ""
    return f"{text[: placed.start]}{gap}{written}{text[placed.end :]}"


def with_collection(text: str, key: str, value: Mapping[str, Any] | Sequence[Any]) -> str:
    """YAML: the mapping or the list in the place of what ``key`` has, in one line where that fits.

    A list of mappings has a line for each. The comment behind the key stays.
    """
    root = _yaml_root(text)
    found = list(_yaml_nodes(root, key.split("."))) if root is not None else []
    for name, node in reversed(found):
        text = _with_node(text, name, node, value)
    return text


def comment_at(text: str, offset: int) -> bool:
    """Whether a comment follows in the line of ``offset``, behind a value that ends there."""
    newline = text.find("\n", offset)
    behind = text[offset : newline if newline >= 0 else len(text)]
    return re.search(r"(?:^|\s)#", behind) is not None


def with_comment(text: str, offset: int, comment: str) -> str:
    """``comment`` at the end of the line of ``offset``; the text itself where more than brackets follows there."""
    newline = text.find("\n", offset)
    end = newline if newline >= 0 else len(text)
    behind = text[offset:end]
    if behind.strip(" \t\r"):
        return text
    at = offset
    return f"{text[:at]}  # {comment}{text[at:]}"


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else proto_value(value)


def _proto_nodes(messages: list[ProtoMessage], steps: list[str]) -> Iterator[Any]:
    nodes: list[Any] = list(messages)
    for index, step in enumerate(steps):
        below = [
            field.value
            for node in nodes
            if isinstance(node, ProtoMessage)
            for field in node.fields
            if field.name == step
        ]
        nodes = []
        for node in below:
            items: list[Any] = node.items if isinstance(node, ProtoList) else [node]
            is_one = index == len(steps) - 1 and not any(isinstance(one, ProtoMessage) for one in items)
            nodes += [node] if is_one else items
    yield from nodes


def _proto(text: str, node: ProtoScalar | ProtoList | ProtoMessage) -> Placed:
    if isinstance(node, ProtoMessage):
        return Placed(node.start, node.end, "message", None)
    if isinstance(node, ProtoList):
        items = [_proto(text, one).value for one in node.items]
        return Placed(node.start, node.end, "list", items)
    raw = text[node.start : node.end]
    if node.kind == "string":
        return Placed(
            node.start, node.end, "scalar", written_string(raw) if "$" in raw else node.value, raw[:1]
        )
    return Placed(node.start, node.end, "scalar", raw if "$" in raw else node.value)


def _yaml_root(text: str) -> YamlNode | None:
    from ruamel.yaml.error import MarkedYAMLError

    try:
        return read_tree(masked(text))
    except MarkedYAMLError as error:
        place = error.problem_mark.index if error.problem_mark is not None else 0
        problem = (error.problem or "it cannot be parsed").strip()
        raise SpecProblemError("yaml-syntax", problem, offset=place) from None


def _yaml_nodes(root: YamlNode, steps: Sequence[str]) -> Iterator[tuple[YamlNode | None, YamlNode]]:
    """Each node at the key, behind the node of its name."""
    pending: list[tuple[YamlNode | None, YamlNode, int]] = [(None, root, 0)]
    while pending:
        name, node, depth = pending.pop()
        if depth == len(steps):
            yield name, node
        elif node.kind == "sequence":
            pending += [(None, one, depth) for one in reversed(node.values)]
        elif node.kind == "mapping":
            pairs = zip(node.keys, node.values, strict=True)
            pending += [
                (key, value, depth + 1)
                for key, value in reversed(list(pairs))
                if key.kind == "scalar" and key.value == steps[depth]
            ]


def _yaml(text: str, node: YamlNode) -> Placed:
    if node.kind == "scalar":
        written = _as_written(text, node)
        value = written if node.style or "$" in written else spec_scalar(written)
        return Placed(node.start, node.end, "scalar", value, node.style if node.style in ("'", '"') else "")
    if node.kind == "sequence":
        values = [_plain(text, one) for one in node.values]
        return Placed(node.start, node.end, "list", values)
    if node.kind == "mapping":
        return Placed(node.start, node.end, "mapping", _plain(text, node))
    return Placed(node.start, node.end, "alias", None)


def _plain(text: str, node: YamlNode) -> Any:
    if node.kind == "sequence":
        return [_plain(text, one) for one in node.values]
    if node.kind == "mapping":
        pairs = zip(node.keys, node.values, strict=True)
        return {_as_written(text, key): _plain(text, value) for key, value in pairs}
    return _yaml(text, node).value


def _as_written(text: str, node: YamlNode) -> str:
    """The text of a scalar, with its variables."""
    raw = text[node.start : node.end]
    if "$" not in raw:
        return node.value
    if node.style not in ("'", '"'):
        return raw.rstrip("\n")
    alone = read_tree(raw)
    return alone.value if alone is not None else raw


def written_string(raw: str) -> str:
    """The value of a quoted string of protobuf text, with its variables."""
    value = parse_prototxt(f"a: {raw}").fields[0].value
    return str(value.value) if isinstance(value, ProtoScalar) else raw


def _with_node(text: str, name: YamlNode | None, node: YamlNode, value: Any) -> str:
    line_start = text.rfind("\n", 0, name.start if name is not None else node.start) + 1
    indent = " " * ((name.start if name is not None else node.start) - line_start)
    is_rows = isinstance(value, Sequence) and bool(value) and all(isinstance(one, Mapping) for one in value)
    flow = yaml_value(value)
    is_long = len(indent) + (name.end - name.start if name else 0) + 2 + len(flow) > _WIDEST
    in_flow = text[line_start : name.start].strip() if name is not None else "in a list"
    if name is None or in_flow or not (is_rows or is_long):
        return _in_line(text, name, node, flow)
    newline = "\r\n" if "\r\n" in text else "\n"
    deeper = indent + "  "
    if node.kind == "sequence" and node.style == "block" and node.values:
        first = node.values[0].start
        dash = text.rfind("-", 0, first)
        deeper = " " * (dash - (text.rfind("\n", 0, first) + 1))
    if isinstance(value, Mapping):
        lines = [f"{deeper}{yaml_value(key)}: {yaml_value(one)}" for key, one in value.items()]
    else:
        lines = [f"{deeper}- {yaml_value(one)}" for one in value]
    return _in_block(text, name, node, newline.join(lines), newline)


def _in_line(text: str, name: YamlNode | None, node: YamlNode, flow: str) -> str:
    if node.style == "block" and node.kind != "scalar" and name is not None:
        colon = text.find(":", name.end)
        comment = _comment_of_key(text, colon, node.start)
        tail = "\n" if text[: node.end].endswith("\n") else ""
        return f"{text[: colon + 1]} {flow}{comment}{tail}{text[node.end :]}"
    gap = " " if node.start == node.end else ""
    return f"{text[: node.start]}{gap}{flow}{text[node.end :]}"


def _in_block(text: str, name: YamlNode, node: YamlNode, body: str, newline: str) -> str:
    """The value as lines of their own. What was behind the value in its line comes behind the key."""
    colon = text.find(":", name.end)
    end = node.end
    if node.style == "block" and node.kind != "scalar":
        comment = _comment_of_key(text, colon, node.start)
        tail = newline if text[:end].endswith("\n") else ""
        return f"{text[: colon + 1]}{comment}{newline}{body}{tail}{text[end:]}"
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop
    behind = text[end:stop].rstrip("\r")
    return f"{text[: colon + 1]}{behind}{newline}{body}{newline}{text[stop + 1 :]}"


def _comment_of_key(text: str, colon: int, start: int) -> str:
    newline = text.find("\n", colon, start)
    behind = text[colon + 1 : newline].rstrip("\r") if newline >= 0 else ""
    return behind if behind.lstrip().startswith("#") else ""
