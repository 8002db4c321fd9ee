"""Parses YAML text into nodes with exact extents, for templates and for edits that leave the rest unchanged.

``yaml_reader`` reads the values; this module finds only their positions. No function here is recursive, so deep nesting
is safe.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taorunner.values.value import MutableValue, field


class YamlNode(MutableValue):
    """``start`` and ``end`` are offsets in the text, without anchor and tag.

    ``style`` of a scalar: ``""`` plain, ``'``, ``"``, ``|``, ``>``; of a collection ``flow`` or ``block``;
    of an alias ``*``. ``kind`` is scalar, mapping, sequence or alias. ``end`` of a block collection is the
    end of its last part.
    """

    kind: str
    style: str
    start: int
    end: int
    value: str = ""
    keys: list[YamlNode] = field(default_factory=list)
    values: list[YamlNode] = field(default_factory=list)

    def scalars(self) -> Iterator[YamlNode]:
        """All scalars below, keys too, in the order of the text."""
        pending = [self]
        while pending:
            node = pending.pop()
            if node.kind == "scalar":
                yield node
            elif node.keys:
                for key, value in zip(reversed(node.keys), reversed(node.values), strict=True):
                    pending.append(value)
                    pending.append(key)
            else:
                pending.extend(reversed(node.values))


def read_tree(text: str) -> YamlNode | None:
    """The root node, None for an empty document. Raises ruamel's YAMLError for a text that is no YAML."""
    import _ruamel_yaml
    from ruamel.yaml.error import MarkedYAMLError

    shift = 1 if text.startswith("\ufeff") else 0
    try:
        return _tree(text, _ruamel_yaml.CParser(text[shift:]), shift)
    except MarkedYAMLError:
        from ruamel.yaml import YAML  # what libyaml refuses and read_yaml accepts: a colon in braces

        return _tree(text, YAML(typ="safe", pure=True).get_constructor_parser(text[shift:])[1], shift)


def _tree(text: str, parser: Any, shift: int) -> YamlNode | None:
    stack: list[YamlNode] = []
    pending_key: list[YamlNode | None] = []
    root: YamlNode | None = None
    while (event := parser.get_event()) is not None:
        kind = type(event).__name__
        if kind == "StreamEndEvent":
            break
        if kind in ("MappingEndEvent", "SequenceEndEvent"):
            node = stack.pop()
            pending_key.pop()
            node.end = event.end_mark.index + shift if node.style == "flow" else _last_end(node)
        else:
            opened = _node(text, kind, event, shift)
            if opened is None:
                continue
            node = opened
            if node.kind in ("mapping", "sequence"):
                stack.append(node)
                pending_key.append(None)
                continue
        if not stack:
            root = node
        elif stack[-1].kind == "sequence":
            stack[-1].values.append(node)
        elif pending_key[-1] is None:
            pending_key[-1] = node
        else:
            stack[-1].keys.append(pending_key[-1])
            stack[-1].values.append(node)
            pending_key[-1] = None
    return root


def _node(text: str, kind: str, event: Any, shift: int) -> YamlNode | None:
    start, end = event.start_mark.index + shift, event.end_mark.index + shift
    if kind == "AliasEvent":
        return YamlNode("alias", "*", start, end)
    if kind == "ScalarEvent":
        if event.anchor or event.tag:
            start = _after_properties(text, start, end)
        return YamlNode("scalar", event.style or "", start, end, event.value)
    if kind in ("MappingStartEvent", "SequenceStartEvent"):
        style = "flow" if event.flow_style else "block"
        if event.anchor or event.tag:
            start = _after_properties(text, start, end)
        return YamlNode("mapping" if kind[0] == "M" else "sequence", style, start, end)
    return None


def _after_properties(text: str, start: int, end: int) -> int:
    """The offset behind ``&anchor`` and ``!tag``, blanks and comments between them included."""
    position = start
    while position < end:
        if text[position] in "&!":
            while position < end and not text[position].isspace():
                position += 1
        elif text[position].isspace():
            position += 1
        elif text[position] == "#":
            newline = text.find("\n", position)
            position = end if newline < 0 else newline
        else:
            break
    return min(position, end)


def _last_end(node: YamlNode) -> int:
    return max([node.end, *(child.end for child in node.values), *(key.end for key in node.keys[-1:])])
