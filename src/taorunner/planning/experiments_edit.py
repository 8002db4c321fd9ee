"""Puts one more experiment into the text of an experiments.yml. Every other byte stays as it is.

Reads and writes no file. The new text is read again: an edit that changes anything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taorunner.project.scaffold import plain_scalar
from taorunner.specs.syntax.literals import yaml_value
from taorunner.specs.syntax.yaml_tree import YamlNode, read_tree
from taorunner.yaml_reader import read_yaml

_ANCHOR = re.compile(r"(?<=[ \t\[{,])&[^\s\[\]{},]+[ \t]*")
_STEP = 2


class CannotEditError(Exception):
    """The text is not one that an experiment can be put into; the message says why."""


@dataclass(frozen=True, slots=True)
class Edited:
    """``line`` is the place of the new experiment's name, 1-based."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class NewEntry:
    """``lines`` are those of a block with two blanks for each step, ``values`` what they say."""

    name: str
    lines: Sequence[str]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Part:
    """A text to write in place of ``start`` to ``end``. ``name_at``: where in it the new name stands."""

    start: int
    end: int
    text: str
    name_at: int


def with_entry(text: str, entry: NewEntry) -> Edited:
    """The text with a new experiment behind the others, without a commented example of that name. Raises
    CannotEditError."""
    text = _without_example(text, entry.name)
    value = read_yaml(text).value
    if not isinstance(value, dict) or "experiments" not in value:
        return _checked(text, _whole_section(text, entry), entry.name, entry.values)
    section, is_in_flow = _section(text)
    if section.kind == "mapping" and section.keys:
        if section.style == "flow":
            part = _behind_flow(
                text, section, f"{plain_scalar(entry.name)}: {yaml_value(dict(entry.values))}"
            )
        else:
            indent = _column(text, section.keys[0].start)
            part = _behind_block(text, section, _indented(entry.lines, indent, _step(text, section)))
    else:
        part = _first(text, section, entry, is_in_flow=is_in_flow)
    return _checked(text, part, entry.name, entry.values)


def with_copy(text: str, name: str, like: str) -> Edited:
    """The text with a copy of the experiment ``like``, comments and all, behind the others. Raises CannotEditError."""
    text = _without_example(text, name)
    values = read_yaml(text).value["experiments"][like]
    section, _ = _section(text)
    found = [index for index, key in enumerate(section.keys) if key.value == like]
    if not found:
        raise CannotEditError(f'"{like}" is not written below "experiments"')
    key, value = section.keys[found[-1]], section.values[found[-1]]
    if section.style == "flow":
        return _checked(
            text, _behind_flow(text, section, f"{plain_scalar(name)}: {_copied(text, value)}"), name, values
        )
    start = text.rfind("\n", 0, key.start) + 1
    end = _entry_end(text, key, value)
    block = _ANCHOR.sub("", text[key.end : end])
    lines = f"{text[start : key.start]}{plain_scalar(name)}{block}".splitlines()
    return _checked(text, _behind_block(text, section, lines), name, values)


def _without_example(text: str, name: str) -> str:
    """The text without the example that a new project has in comments, where it has the name of the new experiment."""
    example = rf"^(?:[ ]*# A variation: .*\r?\n)?[ ]*# {re.escape(name)}:[ ]*\r?\n(?:[ ]*#   .*(?:\r?\n|\Z))+"
    return re.sub(example, "", text, count=1, flags=re.MULTILINE)


def _section(text: str) -> tuple[YamlNode, bool]:
    """The value of ``experiments``, and whether the whole file is in braces."""
    root = read_tree(text)
    pairs = zip(root.keys, root.values, strict=True) if root is not None and root.kind == "mapping" else ()
    found = [value for key, value in pairs if key.value == "experiments"]
    if root is None or not found:
        raise CannotEditError('"experiments" is not written at the top of the file')
    section = found[-1]
    if section.kind == "alias":
        raise CannotEditError('"experiments" is an alias of another part of the file')
    return section, root.style == "flow"


def _checked(text: str, part: _Part, name: str, values: Mapping[str, Any]) -> Edited:
    """The new text, after it was read again: one experiment more, and nothing else."""
    new = text[: part.start] + part.text + text[part.end :]
    before, after = read_yaml(text), read_yaml(new)
    old = before.value if isinstance(before.value, dict) else {}
    expected = {**old, "experiments": {**(old.get("experiments") or {}), name: dict(values)}}
    if after.problems or after.value != expected or list(after.value["experiments"])[-1] != name:
        raise CannotEditError("its form is one that no entry can be put into without changing others")
    return Edited(new, new.count("\n", 0, part.start + part.name_at) + 1)


def _behind_block(text: str, section: YamlNode, lines: Sequence[str]) -> _Part:
    """Behind the last entry of a block, with a blank line where the entries have one between them."""
    at = _entry_end(text, section.keys[-1], section.values[-1])
    above = text[: section.keys[-1].start].split("\n")[:-1]
    while above and above[-1].lstrip().startswith("#"):
        above.pop()
    has_gap = len(section.keys) == 1 or not above or not above[-1].strip()
    return _lines_at(text, at, ["", *lines] if has_gap else lines)


def _behind_flow(text: str, section: YamlNode, written: str) -> _Part:
    last = section.values[-1]
    at = max(last.end, section.keys[-1].end)
    return _Part(at, at, f", {written}", 2)


def _first(text: str, section: YamlNode, entry: NewEntry, *, is_in_flow: bool) -> _Part:
    """Below an ``experiments:`` that is empty, ``{}`` or null; what stood for nothing is removed."""
    if section.kind != "mapping" and (section.kind != "scalar" or section.value not in ("", "~", "null")):
        raise CannotEditError('"experiments" is no mapping')
    start, end = section.start, section.end
    if "#" in text[start:end]:
        raise CannotEditError("there is a comment where the entry has to be")
    if is_in_flow:
        return _Part(start, end, f"{{{plain_scalar(entry.name)}: {yaml_value(dict(entry.values))}}}", 1)
    if end > start:
        start = len(text[:start].rstrip(" \t"))
    line_end = _line_end(text, end)
    rest = text[end:line_end]
    line_start = text.rfind("\n", 0, start) + 1
    indent = len(text[line_start:]) - len(text[line_start:].lstrip(" "))
    part = _lines_at(text, line_end, _indented(entry.lines, indent + _STEP, _STEP))
    return _Part(start, line_end, rest + part.text, len(rest) + part.name_at)


def _whole_section(text: str, entry: NewEntry) -> _Part:
    lines = ["experiments:", *entry.lines]
    part = _lines_at(text, len(text), lines)
    return _Part(part.start, part.end, part.text, part.text.index(entry.lines[0]))


def _lines_at(text: str, at: int, lines: Sequence[str]) -> _Part:
    """``lines`` at ``at``, with the line ends of the text. A last line without an end gets one."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lead = newline if at and not text[:at].endswith("\n") else ""
    written = lead + "".join(line + newline for line in lines)
    return _Part(at, at, written, len(lead) + (len(newline) if lines and not lines[0] else 0))


def _indented(lines: Sequence[str], indent: int, step: int) -> list[str]:
    """The lines of an entry that has two blanks for each step, with ``indent`` blanks before its name."""
    found = []
    for line in lines:
        depth = (len(line) - len(line.lstrip(" "))) // 2 - 1
        found.append(" " * (indent + max(depth, 0) * step) + line.lstrip(" "))
    return found


def _step(text: str, section: YamlNode) -> int:
    """How much deeper the keys of an entry are than its name; two blanks where no entry shows it."""
    for key, value in zip(section.keys, section.values, strict=True):
        if value.kind == "mapping" and value.style == "block" and value.keys:
            return max(_column(text, value.keys[0].start) - _column(text, key.start), 1)
    return _STEP


def _copied(text: str, value: YamlNode) -> str:
    return _ANCHOR.sub("", f" {text[value.start : value.end]}")[1:]


def _entry_end(text: str, key: YamlNode, value: YamlNode) -> int:
    """The end of the entry's last line; comments right below it that are deeper than its name belong to it."""
    end = max(key.end, value.end)
    if text[end - 1] != "\n":  # which a block scalar ends with
        end = _line_end(text, end)
    indent = _column(text, key.start)
    while (line := text[end : _line_end(text, end)]).lstrip(" ").startswith("#"):
        if len(line) - len(line.lstrip(" ")) <= indent:
            break
        end += len(line)
    return end


def _line_end(text: str, at: int) -> int:
    """The start of the line behind the one that ``at`` is in."""
    newline = text.find("\n", at)
    return len(text) if newline < 0 else newline + 1


def _column(text: str, at: int) -> int:
    return at - (text.rfind("\n", 0, at) + 1)
