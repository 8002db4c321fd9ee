"""Writes a spec of TLT or TAO 3 and 4 as TAO 5 and later read it: renamed keys, and fractions that became counts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from taorunner.catalog.older_specs import RENAMED_KEYS, WAS_FRACTION
from taorunner.yaml_reader import PlacedDict, read_yaml

_FRACTION = re.compile(
    rf"^(?P<before>[^#\n\"]*?\b(?P<name>{'|'.join(WAS_FRACTION)})\s*:\s*)(?P<value>0?\.[0-9]+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Change:
    """``line`` is that of the text before."""

    line: int
    what: str
    note: str


def newer_text(text: str, spec_format: str) -> tuple[str, list[Change]]:
    """The text, and what was changed in it. A text without older names and values comes back as it is."""
    return _renamed(text) if spec_format == "yaml" else _counted(text)


def _counted(text: str) -> tuple[str, list[Change]]:
    changes = [
        Change(
            text.count("\n", 0, match.start("value")) + 1, match["name"],
            f"{match['value']}, a fraction before TAO 5.0, is {WAS_FRACTION[match['name']]}",
        )
        for match in _FRACTION.finditer(text)
    ]  # fmt: skip
    return _FRACTION.sub(lambda match: f"{match['before']}{WAS_FRACTION[match['name']]}", text), changes


def _renamed(text: str) -> tuple[str, list[Change]]:
    document = read_yaml(text)
    if document.problems or not isinstance(document.value, PlacedDict):
        return text, []
    lines = text.split("\n")
    changes: list[Change] = []
    for (line, column), old, new in sorted(_old_names(document.value, ()), reverse=True):
        at = column - 1
        if lines[line - 1][at : at + len(old)] == old:
            lines[line - 1] = lines[line - 1][:at] + new + lines[line - 1][at + len(old) :]
            changes.append(Change(line, old, f'"{new}" since TAO 5'))
    return "\n".join(lines), changes[::-1]


def _old_names(
    section: Mapping[Any, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[int, int], str, str]]:
    for key, value in section.items():
        here = (*path, str(key))
        new = RENAMED_KEYS.get(here)
        if new is not None and new not in section and isinstance(section, PlacedDict):
            yield section.places[key][0], str(key), new
        if isinstance(value, dict) and len(here) == 1:
            yield from _old_names(value, here)
