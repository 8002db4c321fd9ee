"""What does the spec of one experiment say, once its variables and overrides are in?

Paths are those of this host, as text: a thousand experiments ask for them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from taorunner.project.mounts import Mounts
from taorunner.specs.check import SpecFile
from taorunner.specs.outline import UNKNOWN, Outline, Unknown
from taorunner.specs.outline import Value as SpecValue

HOST_VARIABLES = frozenset({"dataset_raw", "dataset", "dataset_tfrecord", "tfrecords", "results_dir"})
"""Variables that a reader binds to paths of this host, whatever they are called inside."""


@dataclass(frozen=True, slots=True)
class SpecReader:
    """``variables`` as in a template, but ``HOST_VARIABLES`` hold host paths. ``overlay``: what overrides set, by key
    without numbers; a value that is not known for certain is ``UNKNOWN``."""

    file: SpecFile
    format: str
    outline: Outline
    variables: Mapping[str, object]
    overlay: Mapping[str, object]
    mounts: Mounts

    def __contains__(self, key: object) -> bool:
        return key in self.outline.keys or key in self.overlay

    def values(self, key: str) -> tuple[SpecValue | Unknown, ...]:
        if self.overlay and key in self.overlay:
            given = self.overlay[key]
            each = given if isinstance(given, (list, tuple)) else (given,)
            return tuple(one if isinstance(one, (str, int, float, bool)) else UNKNOWN for one in each)
        return self.outline.values(key, self.variables)

    def last(self, key: str) -> SpecValue | Unknown:
        """The value that counts: of a scalar that stands twice, the last one. UNKNOWN when there is none."""
        found = self.values(key)
        return found[-1] if found else UNKNOWN

    def number(self, key: str) -> int | float | None:
        """None when the key is absent or holds no number that is known."""
        value = self.last(key)
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    def text(self, key: str) -> str | None:
        value = self.last(key)
        return value if isinstance(value, str) else None

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts at ``key`` that are known."""
        return tuple(value for value in self.values(key) if isinstance(value, str))

    def paths(self, key: str) -> tuple[str, ...] | None:
        """The host paths at ``key``; None unless all of them are known and on this host."""
        if self.overlay and key in self.overlay:
            starts: tuple[str | None, ...] = (None,) * len(self.values(key))
        else:
            starts = self.outline.variables_of(key)
        found: list[str] = []
        for value, start in zip(self.values(key), starts, strict=True):
            if not isinstance(value, str):
                return None
            if start in HOST_VARIABLES:
                found.append(os.path.normpath(value) if "/." in value or "//" in value else value)
            elif (path := self.mounts.to_host(value)) is not None:
                found.append(str(path))
            else:
                return None
        return tuple(found) or None

    def path(self, key: str) -> str | None:
        found = self.paths(key)
        return found[-1] if found else None


def overlay_of(overrides: Mapping[str, object]) -> dict[str, object]:
    """Dotted ``overrides`` by keys without numbers: which of several values is meant is not known here."""
    overlay: dict[str, object] = {}
    for key, value in overrides.items():
        plain = ".".join(step for step in key.split(".") if not step.isdigit())
        overlay[plain] = value if plain == key else UNKNOWN
    return overlay
