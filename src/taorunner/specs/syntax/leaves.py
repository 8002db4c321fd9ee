"""Lists the values of a spec text by dotted key, with the place of each.

A list of plain values is one value; a list of sections is numbered (``data_sources.0.tfrecords_path``). In protobuf
text, blocks of one message are merged, and the last of several values wins.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from taorunner.specs.syntax.omegaconf_yaml import read_spec_yaml
from taorunner.specs.syntax.prototxt_parser import (
    ProtoField,
    ProtoList,
    ProtoMessage,
    ProtoScalar,
    parse_prototxt,
)
from taorunner.specs.syntax.text_position import Lines
from taorunner.specs.syntax.yaml_tree import read_tree
from taorunner.yaml_reader import YamlDocument

Repeats = Callable[[tuple[str, ...]], "bool | None"]
"""Whether the field at a path is protobuf's repeated; None where that is unknown."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """``spans``: offsets in the text of the plain values that it consists of; an alias has no extent."""

    key: str
    value: Any
    start: int
    spans: tuple[tuple[int, int], ...] = ()


def leaves(text: str, spec_format: str, repeats: Repeats = lambda _path: None) -> list[Leaf]:
    """All values of a text that can be read, in its order.

    Raises:
        SpecProblemError: the text is not protobuf text.
    """
    if spec_format == "prototxt":
        found: dict[str, Leaf] = {}
        for leaf in _proto_leaves([parse_prototxt(text)], (), repeats):
            found[leaf.key] = leaf
        return list(found.values())
    document = read_spec_yaml(text)
    if document.problems or not isinstance(document.value, dict):
        return []
    root = read_tree(text)
    ends = {node.start: node.end for node in root.scalars()} if root is not None else {}
    return list(_yaml_leaves(document, document.value, "", _Extents(text, Lines(text), ends, sorted(ends))))


@dataclass(frozen=True, slots=True)
class _Extents:
    text: str
    lines: Lines
    ends: dict[int, int]
    starts: list[int]

    def span(self, place: tuple[int, int]) -> tuple[int, int]:
        """The extent of the scalar at a place. After an anchor or a tag it starts later than the place."""
        offset = self.lines.offset(*place)
        if offset in self.ends:
            return offset, self.ends[offset]
        if self.text.startswith("*", offset):
            return offset, offset
        after = bisect_left(self.starts, offset)
        start = self.starts[after] if after < len(self.starts) else offset
        return start, self.ends.get(start, offset)


def _yaml_leaves(document: YamlDocument, value: Any, prefix: str, extents: _Extents) -> Iterator[Leaf]:
    places = document.places_in(value)
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in items:
        key, place = f"{prefix}{name}", places[name][1]
        holds_more = isinstance(inner, list) and any(isinstance(one, (dict, list)) for one in inner)
        if holds_more or (isinstance(inner, dict) and inner):
            yield from _yaml_leaves(document, inner, f"{key}.", extents)
        elif isinstance(inner, list):
            spans = tuple(extents.span(document.places_in(inner)[i][1]) for i in range(len(inner)))
            yield Leaf(key, inner, extents.lines.offset(*place), spans)
        else:
            plain = not isinstance(inner, dict) and inner is not None
            yield Leaf(key, inner, extents.lines.offset(*place), (extents.span(place),) if plain else ())


def _proto_leaves(
    messages: list[ProtoMessage], path: tuple[str, ...], repeats: Repeats, shown: str = ""
) -> Iterator[Leaf]:
    """``path`` is without indices, ``shown`` with them."""
    by_name: dict[str, list[ProtoField]] = {}
    for message in messages:
        for item in message.fields:
            by_name.setdefault(item.name, []).append(item)
    for name, items in by_name.items():
        inner_path, key = (*path, name), f"{shown}{name}"
        values = [one for item in items for one in _elements(item)]
        blocks = [value for value in values if isinstance(value, ProtoMessage)]
        plain = [value for value in values if isinstance(value, ProtoScalar)]
        is_repeated = _is_repeated(repeats(inner_path), items, is_top=not path)
        if not values:
            yield Leaf(key, [], items[0].value.start)
        if blocks and is_repeated:
            for index, block in enumerate(blocks):
                yield from _block(block, [block], inner_path, repeats, f"{key}.{index}")
        elif blocks:
            yield from _block(blocks[0], blocks, inner_path, repeats, key)
        if plain and is_repeated:
            spans = tuple((one.start, one.end) for one in plain)
            yield Leaf(key, [one.value for one in plain], plain[0].start, spans)
        elif plain:
            last = plain[-1]
            yield Leaf(key, last.value, last.start, ((last.start, last.end),))


def _block(
    first: ProtoMessage, blocks: list[ProtoMessage], path: tuple[str, ...], repeats: Repeats, key: str
) -> Iterator[Leaf]:
    if not any(block.fields for block in blocks):
        yield Leaf(key, {}, first.start)
    yield from _proto_leaves(blocks, path, repeats, f"{key}.")


def _elements(item: ProtoField) -> list[ProtoScalar | ProtoMessage]:
    return item.value.items if isinstance(item.value, ProtoList) else [item.value]


def _is_repeated(known: bool | None, items: list[ProtoField], *, is_top: bool) -> bool:
    """Without a schema: a list, or a field that occurs several times, unless it is a block at the top."""
    if known is not None:
        return known
    if any(isinstance(item.value, ProtoList) for item in items):
        return True
    return len(items) > 1 and not (is_top and all(isinstance(i.value, ProtoMessage) for i in items))
