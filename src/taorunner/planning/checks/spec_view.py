"""The values in the spec of one experiment, with its variables and overrides.

Nothing is rendered. Paths are host paths as plain text, because a thousand experiments may need them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from taorunner.project.experiments import Experiment
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import ProjectPaths
from taorunner.specs.outline import UNKNOWN, Outline, Read, Unknown
from taorunner.specs.spec_file import SpecFile
from taorunner.values.value import MutableValue, Value, field

_FOLDERS = frozenset({"dataset_raw", "dataset", "dataset_tfrecord", "tfrecords", "results_dir"})
_NAMES = frozenset({*_FOLDERS, "experiment", "project", "num_gpus"})
_REFERENCE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_LARGEST = 10**15
"""No valid count in a spec is larger. A larger one is a typing error and would only break calculations."""


class WhatWasRead(MutableValue):
    """The names of variables and the keys of specs that a result was made of."""

    names: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)


class HostVariables(Mapping[str, object]):
    """The variables of a template with the paths of this host, made when they are read.

    What is not known before a launch (``$pretrained_model``, ``$gpu_ids``) is left out, and so are ``vars`` made of
    what is not known. One that begins with a folder (``images: $dataset_raw/train``) is a path of this host.
    """

    def __init__(self, paths: ProjectPaths, experiment: Experiment, gpus: int) -> None:
        self._paths, self._experiment, self._gpus = paths, experiment, gpus
        self._given: dict[str, object] = {}
        self._roots: dict[str, str] = {}
        for name, value in experiment.vars.items():
            if "$" not in str(value):
                self._given[name] = value
            elif (match := _REFERENCE.match(str(value))) and (match[1] or match[2]) in _FOLDERS:
                self._roots[name] = match[1] or match[2]
        self._known: dict[str, object] = {}
        self._recorded: WhatWasRead | None = None

    def __getitem__(self, name: str) -> object:
        self._record(name)
        if name not in self._known:
            if name in self._given:
                self._known[name] = self._given[name]
            elif name in self._roots:
                self._known[name] = self.filled(str(self._experiment.vars[name]))
            else:
                self._known[name] = self._made(name)
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        self._record(str(name))
        own = name in self._given or name in self._roots
        return own or (name in _NAMES and name not in self._experiment.vars)

    def __iter__(self) -> Iterator[str]:
        return (name for name in {*_NAMES, *self._given, *self._roots} if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @contextmanager
    def recorded(self) -> Iterator[WhatWasRead]:
        """Gives what is read inside the block, for the caller to look at after it.

        A result that read only these is the same for another experiment with the same values. Blocks do not nest.
        """
        self._recorded = read = WhatWasRead()
        try:
            yield read
        finally:
            self._recorded = None

    def _record(self, name: str) -> None:
        if self._recorded is not None:
            self._recorded.names.add(name)

    def record_key(self, key: str) -> None:
        """Notes that a key of the spec that these variables are put in is read."""
        if self._recorded is not None:
            self._recorded.keys.add(key)

    def is_host_path(self, name: str | None) -> bool:
        """True for a variable that is a path here, whatever it is called inside."""
        return name in self._roots or (name in _FOLDERS and name not in self._experiment.vars)

    def folder_of(self, name: str | None) -> str | None:
        """The folder that the value of a variable begins with, as a variable; None where it is no path here."""
        return self._roots.get(str(name), name) if self.is_host_path(name) else None

    def filled(self, text: str) -> str | Unknown:
        """``text`` with the variables of taorunner replaced; UNKNOWN when one is not known."""
        names = [match[1] or match[2] for match in _REFERENCE.finditer(text)]
        if "$$" in text or any(name not in self for name in names):
            return UNKNOWN
        return _REFERENCE.sub(lambda match: str(self[match[1] or match[2]]), text)

    def shown(self, path: str) -> str:
        """``path`` as a message names it: relative to the project where it is in it."""
        root = f"{self._paths.root}/"
        return path[len(root) :] if path.startswith(root) else path

    @property
    def workspace(self) -> str:
        """The folder in which processes of this host start."""
        return str(self._paths.root.parent.parent)

    def made_of(self, name: str) -> object:
        """The inputs of the value of ``name``; cheaper to compute than the value."""
        if name in ("dataset_raw", "dataset") and name not in self._experiment.vars:
            return self._paths.root, self._experiment.dataset
        return str(self.get(name))

    def _made(self, name: str) -> object:
        experiment = self._experiment
        if name in ("dataset_raw", "dataset"):
            return self._paths.dataset_text(experiment.dataset)
        if name in ("dataset_tfrecord", "tfrecords"):
            return self._paths.tfrecords_text(experiment.name)
        if name == "results_dir":
            return self._paths.results_text(experiment.results)
        return {"experiment": experiment.name, "project": self._paths.name, "num_gpus": self._gpus}[name]


class SpecReader(Value):
    """``overlay``: the values of overrides, by key without numbers; an uncertain one is ``UNKNOWN``."""

    file: SpecFile
    format: str
    outline: Outline
    variables: HostVariables
    overlay: Mapping[str, object]
    mounts: Mounts

    def __contains__(self, key: object) -> bool:
        return key in self.outline or key in self.overlay

    def values(self, key: str) -> tuple[Read, ...]:
        if self.overlay and key in self.overlay:
            return tuple(
                self.variables.filled(one)
                if isinstance(one, str) and "$" in one
                else (one if isinstance(one, (str, int, float, bool)) else UNKNOWN)
                for one in self._given(key)
            )
        self.variables.record_key(key)
        return self.outline.values(key, self.variables)

    def last(self, key: str) -> Read:
        """The effective value: the last one of a scalar that occurs twice. UNKNOWN when there is none."""
        if not self.overlay or key not in self.overlay:
            self.variables.record_key(key)
            return self.outline.last(key, self.variables)
        found = self.values(key)
        return found[-1] if found else UNKNOWN

    def number(self, key: str) -> int | float | None:
        """None when the key is absent or holds no number that is known."""
        value = self.last(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return value if -_LARGEST < value < _LARGEST else None

    def text(self, key: str) -> str | None:
        value = self.last(key)
        return value if isinstance(value, str) else None

    def texts(self, key: str) -> tuple[str, ...] | None:
        """All texts at ``key``; None unless all of its values are known texts."""
        values = self.values(key)
        texts = tuple([value for value in values if isinstance(value, str)])
        return texts if len(texts) == len(values) else None

    def starts(self, key: str) -> tuple[str | None, ...]:
        """For each value at ``key`` the variable that it starts with, and that is a folder here."""
        if self.overlay and key in self.overlay:
            first = (_REFERENCE.match(one) if isinstance(one, str) else None for one in self._given(key))
            return tuple([self.variables.folder_of(one[1] or one[2]) if one else None for one in first])
        return tuple([self.variables.folder_of(one) for one in self.outline.starts(key)])

    def paths(self, key: str) -> tuple[str, ...] | None:
        """The host paths at ``key``; None unless all of them are known and on this host, or it has none."""
        found: list[str] = []
        for value, start in zip(self.values(key), self.starts(key), strict=True):
            if not isinstance(value, str):
                return None
            if start is not None:
                found.append(os.path.normpath(value) if "/." in value or "//" in value else value)
            elif (path := self.mounts.to_host(value)) is not None:
                found.append(str(path))
            else:
                return None
        return tuple(found) or None

    def _given(self, key: str) -> tuple[object, ...]:
        given = self.overlay[key]
        return tuple(given) if isinstance(given, (list, tuple)) else (given,)

    def is_below(self, key: str, names: Collection[str]) -> bool:
        """True when every value at ``key`` begins with a variable of ``names`` that has its usual meaning."""
        if self.overlay and key in self.overlay:
            return False
        starts = self.outline.starts(key)
        return bool(starts) and all(name in names and self.variables.is_host_path(name) for name in starts)

    def path(self, key: str) -> str | None:
        found = self.paths(key)
        return found[-1] if found else None


def overlay_of(overrides: Mapping[str, object]) -> dict[str, object]:
    """Dotted ``overrides`` by keys without numbers: which of several values is meant is not known here."""
    overlay: dict[str, object] = {}
    for key, value in overrides.items():
        plain = ".".join([step for step in key.lstrip("+~").split(".") if not step.isdigit()])
        overlay[plain] = value if plain == key.lstrip("+") else UNKNOWN
    return overlay
