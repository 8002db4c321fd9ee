"""Writes a spec of TLT or TAO 3 and 4 as TAO 5 and later read it: renamed keys, and fractions that became counts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from taorunner.specs.schema.key_changes import Changes, load_changes
from taorunner.yaml_reader import PlacedDict, read_yaml


@dataclass(frozen=True, slots=True)
class Change:
    """``line`` is that of the text before."""

    line: int
    what: str
    note: str


def newer_text(text: str, spec_format: str) -> tuple[str, list[Change]]:
    """The text, and what was changed in it. A text without older names and values comes back as it is."""
    changes = load_changes()
    return _renamed(text, changes) if spec_format == "yaml" else _counted(text, changes)


def _counted(text: str, known: Changes) -> tuple[str, list[Change]]:
    now = {row.key[-1]: row.now for row in known.values if row.now is not None and row.below is not None}
    fraction = re.compile(
        rf"^(?P<before>[^#\n\"]*?\b(?P<name>{'|'.join(now)})\s*:\s*)(?P<value>0?\.[0-9]+)", re.MULTILINE
    )
    changes = [
        Change(
            text.count("\n", 0, match.start("value")) + 1, match["name"],
            f"{match['value']}, a fraction before TAO 5.0, is {now[match['name']]}",
        )
        for match in fraction.finditer(text)
    ]  # fmt: skip
    return fraction.sub(lambda match: f"{match['before']}{now[match['name']]}", text), changes


def _renamed(text: str, known: Changes) -> tuple[str, list[Change]]:
    document = read_yaml(text)
    if document.problems or not isinstance(document.value, PlacedDict):
        return text, []
    names = {
        row.old: row.new[-1] for row in known.keys if row.until and row.new is not None and not row.networks
    }
    lines = text.split("\n")
    changes: list[Change] = []
    for (line, column), old, new in sorted(_old_names(document.value, (), names), reverse=True):
        at = column - 1
        if lines[line - 1][at : at + len(old)] == old:
            lines[line - 1] = lines[line - 1][:at] + new + lines[line - 1][at + len(old) :]
            changes.append(Change(line, old, f'"{new}" since TAO 5'))
    return "\n".join(lines), changes[::-1]


def _old_names(
    section: Mapping[Any, Any], path: tuple[str, ...], names: Mapping[tuple[str, ...], str]
) -> Iterator[tuple[tuple[int, int], str, str]]:
    for key, value in section.items():
        here = (*path, str(key))
        new = names.get(here)
        if new is not None and new not in section and isinstance(section, PlacedDict):
            yield section.places[key][0], str(key), new
        if isinstance(value, dict) and len(here) == 1:
            yield from _old_names(value, here, names)
