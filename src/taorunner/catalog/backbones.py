"""``Backbones``: which backbones a network has, as its specs spell them. Read from ``backbones`` of a layout.

A name is matched without its signs: ``resnet18``, ``resnet_18``, ``ResNet-18`` and ``resnet:18`` are one backbone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from taorunner.values.value import Value, field


class Backbone(Value):
    """``name`` is its name for people and for ``--backbone``. ``named_by`` are the spec keys that name it, with their
    values in TAO's spelling; ``sets`` are other keys whose values go with it."""

    name: str
    named_by: Mapping[str, Any]
    sets: Mapping[str, Any] = field(default_factory=dict)


class Backbones(Value):
    """``keys`` are the spec keys that may name a backbone; ``aliases`` maps other accepted names to one of ``all``."""

    keys: tuple[str, ...]
    all: tuple[Backbone, ...]
    aliases: Mapping[str, str]
    source: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.all)

    def find(self, wanted: str) -> Backbone | None:
        """The backbone of that name, spelling or alias, whatever signs are between its parts."""
        plain = plain_name(wanted)
        target = next((name for alias, name in self.aliases.items() if plain_name(alias) == plain), wanted)
        plain = plain_name(target)
        for one in self.all:
            spelling = "".join(str(value) for value in one.named_by.values())
            if plain in (plain_name(one.name), plain_name(spelling)):
                return one
        return None

    def named_in(self, values: Mapping[str, Any]) -> Backbone | None:
        """The backbone that a spec names; ``values`` are those of ``keys``, without those that it leaves out.

        None where it names none of this list. A number of layers counts only for an architecture that has several.
        """
        for one in self.all:
            for key, value in one.named_by.items():
                if str(values.get(key)) != str(value):
                    break
            else:
                return one
        return None


def plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def backbones_from(body: Mapping[str, Any]) -> Backbones:
    """From the content of the file. A row of ``names`` is ``SPELLING`` or ``NAME=SPELLING``; with two ``keys`` a
    spelling is ``architecture:layers``. A row may also be a mapping: the name, and the keys that name it."""
    keys = tuple(body["keys"])
    extra: Mapping[str, Mapping[str, Any]] = body.get("with") or {}
    rows = [_backbone(row, keys, extra) for row in body["names"]]
    return Backbones(keys, tuple(rows), body.get("aliases") or {}, body["source"])


def _backbone(
    row: str | Mapping[str, Any], keys: tuple[str, ...], extra: Mapping[str, Mapping[str, Any]]
) -> Backbone:
    if isinstance(row, Mapping):
        ((name, keyed),) = row.items()
        return Backbone(name, keyed, _sets(name, extra))
    name, equals, spelling = row.partition("=")
    if not equals:
        name, spelling = row.replace(":", ""), row
    if len(keys) == 1:
        return Backbone(name, {keys[0]: spelling}, _sets(name, extra))
    architecture, has_layers, layers = spelling.partition(":")
    named_by: dict[str, Any] = {keys[0]: architecture}
    if has_layers:
        named_by[keys[1]] = int(layers)
    return Backbone(name, named_by, _sets(name, extra))


def _sets(name: str, extra: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        key: value
        for pattern, sets in extra.items()
        if fnmatchcase(name, pattern)
        for key, value in sets.items()
    }
