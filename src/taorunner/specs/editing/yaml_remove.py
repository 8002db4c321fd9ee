"""Removes keys from YAML text; comments and every other line stay as they are."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from taorunner.specs.syntax.yaml_tree import YamlNode, read_tree


def without_keys(text: str, starts: Collection[int]) -> str:
    """The text without the keys that begin at the offsets ``starts``, and without sections that have no other key.

    Comments right above a key, and behind it, go with it.
    """
    root = read_tree(text)
    ranges = sorted(_removed(text, root, starts), reverse=True) if root is not None else []
    for start, end in ranges:
        text = text[:start] + text[end:]
    return re.sub(r"\n{3,}", "\n\n", text)


def _removed(text: str, node: YamlNode, starts: Collection[int]) -> Iterator[tuple[int, int]]:
    pairs = list(zip(node.keys, node.values, strict=True)) if node.kind == "mapping" else []
    gone = [_is_gone(key, value, starts) for key, value in pairs]
    for index, (key, value) in enumerate(pairs):
        if not gone[index]:
            yield from _removed(text, value, starts)
        elif node.style == "flow":
            yield _in_flow(text, node, index)
        else:
            following = pairs[index + 1][0].start if index + 1 < len(pairs) else None
            yield _in_block(text, key, value, following)
    for item in node.values if node.kind == "sequence" else ():
        yield from _removed(text, item, starts)


def _is_gone(key: YamlNode, value: YamlNode, starts: Collection[int]) -> bool:
    if key.start in starts:
        return True
    pairs = zip(value.keys, value.values, strict=True) if value.kind == "mapping" else ()
    return bool(value.keys) and all(_is_gone(inner, below, starts) for inner, below in pairs)


def _in_flow(text: str, node: YamlNode, index: int) -> tuple[int, int]:
    """With the comma behind it; the last one with the comma before it."""
    if index + 1 < len(node.keys):
        return node.keys[index].start, node.keys[index + 1].start
    start = node.values[index - 1].end if index else node.keys[index].start
    return start, node.values[index].end


def _in_block(text: str, key: YamlNode, value: YamlNode, following: int | None) -> tuple[int, int]:
    """Whole lines; the first key of a list's item up to the next one."""
    line_start = text.rfind("\n", 0, key.start) + 1
    if text[line_start : key.start].strip() and following is not None:
        return key.start, following
    indent = key.start - line_start
    end = _next_line(text, max(key.end, value.end))
    while (comment := _comment_indent(text, end)) is not None and comment > indent:
        end = _next_line(text, end)
    while line_start and _comment_indent(text, above := text.rfind("\n", 0, line_start - 1) + 1) == indent:
        line_start = above
    return line_start, end


def _comment_indent(text: str, start: int) -> int | None:
    """The column of the comment that is the whole line at ``start``; None for any other line."""
    line = text[start : _next_line(text, start)]
    return len(line) - len(line.lstrip(" ")) if line.lstrip(" ").startswith("#") else None


def _next_line(text: str, at: int) -> int:
    newline = text.find("\n", at)
    return len(text) if newline < 0 else newline + 1
