"""Do an experiment's specs go together, with its dataset and with the mounts? For ``validate`` and before a run.

Told at the place in the user's template, or at the override that set the value. The rules are ``cross_rules``; this
module gives them their values and remembers what many experiments share.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taorunner.contracts import Contract, Framework
from taorunner.errors import Finding, Severity
from taorunner.planning.cross_rules import TRAINING_RULES, Fault, Training, extension_for_conversion
from taorunner.planning.dataset_facts import DatasetFacts
from taorunner.planning.plan import HOST_BACKENDS
from taorunner.planning.spec_reader import HOST_VARIABLES, SpecReader, overlay_of
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import ProjectPaths
from taorunner.specs.check import SpecFile, flattened
from taorunner.specs.outline import Outline, outline_of, place_of
from taorunner.text import printable

_CONTAINERS_OWN = (
    "/usr/",
    "/opt/",
    "/tmp/",
    "/etc/",
    "/dev/",
    "/proc/",
    "/sys/",
    "/bin/",
    "/lib/",
    "/var/",
    "/run/",
    "/root/",
)
_OWN_VARIABLES = frozenset({*HOST_VARIABLES, "experiment", "project", "num_gpus"})
_TOLD_ALREADY = ("/home/", "/Users/")  # by ``specs.check``, whatever is mounted


@dataclass(frozen=True, slots=True)
class FoundSpec:
    """The spec of an action, read."""

    contract: Contract
    file: SpecFile


class _Variables(Mapping[str, object]):
    """Made when they are asked for: a thousand experiments use few of them."""

    def __init__(self, paths: ProjectPaths, experiment: Experiment, gpus: int) -> None:
        self._paths, self._experiment, self._gpus = paths, experiment, gpus
        self._known: dict[str, object] = {}

    def __getitem__(self, name: str) -> object:
        if name in self._experiment.vars:
            return self._experiment.vars[name]
        if name not in self._known:
            self._known[name] = self._made(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter({*_OWN_VARIABLES, *self._experiment.vars})

    def __len__(self) -> int:
        return len({*_OWN_VARIABLES, *self._experiment.vars})

    def _made(self, name: str) -> object:
        experiment = self._experiment
        if name in ("dataset_raw", "dataset"):
            return str(self._paths.dataset_dir(experiment.dataset))
        if name in ("dataset_tfrecord", "tfrecords"):
            return str(self._paths.tfrecords_dir(experiment.name))
        if name == "results_dir":
            return str(self._paths.results_dir(experiment.name))
        plain = {"experiment": experiment.name, "project": self._paths.name, "num_gpus": self._gpus}
        return plain[name]


_PlaceOverride = Callable[[str], tuple[Path, int, int] | None]


@dataclass(slots=True)
class CrossChecks:
    """``mounts`` are those of containers. One for all experiments that are checked together."""

    mounts: Mounts
    data: DatasetFacts = field(default_factory=DatasetFacts)
    _strays: dict[str, str | None] = field(default_factory=dict)
    _host: Mounts = field(default_factory=Mounts.identity)

    def check(
        self,
        project: Project,
        experiment: Experiment,
        specs: Mapping[str, FoundSpec],
        *,
        gpus: int | None = None,
        backend: str | None = None,
        typed: Mapping[str, object] | None = None,
    ) -> Iterator[Finding]:
        """``specs`` by action: of ``train`` and ``dataset_convert``, those that are to be told of; ``typed`` is what
        ``--set`` says, which has no place. A spec that cannot be read gives nothing."""
        if not specs:
            return
        paths = project.paths
        is_embedded = any(spec.contract.framework is Framework.EMBEDDED for spec in specs.values())
        on_host = is_embedded or (backend or experiment.backend) in HOST_BACKENDS
        mounts = self._host if on_host else self.mounts
        overlay = overlay_of({**dict(flattened(experiment.overrides)), **(typed or {})})
        variables = _Variables(paths, experiment, gpus or experiment.gpus or 1)

        def reader(action: str, sets: Mapping[str, object]) -> SpecReader | None:
            found = specs.get(action)
            if found is None or found.contract.spec is None:
                return None
            outline = outline_of(found.file.text, found.contract.spec.format)
            if outline is None:
                return None
            return SpecReader(found.file, found.contract.spec.format, outline, variables, sets, mounts)

        def place_override(key: str) -> tuple[Path, int, int] | None:
            if typed and key in typed:
                return None
            steps = _steps(experiment.overrides, key)
            place = project.place(("experiments", experiment.name, "overrides", *steps))
            return (paths.experiments_file, *place)

        convert = reader("dataset_convert", {})
        train = reader("train", overlay)
        if convert is not None:
            faults = [
                *extension_for_conversion(convert, self.data),
                *self._strays_in(convert.outline, mounts),
            ]
            yield from _placed(convert, faults, place_override)
        if train is not None:
            training = Training(
                experiment.head, specs["train"].contract, train, convert,
                gpus if gpus is not None else experiment.gpus or 1,
                str(variables["results_dir"]), self.data,
            )  # fmt: skip
            faults = [fault for rule in TRAINING_RULES for fault in rule(training)]
            faults += self._strays_in(train.outline, mounts)
            yield from _placed(train, faults, place_override)

    def _strays_in(self, outline: Outline, mounts: Mounts) -> Iterator[Fault]:
        """Paths of this host where one of the container belongs.

        Source: tao/peers.md (host paths passed in: "path is correct but doesn't exist").
        """
        if mounts.is_identity:
            return
        for key, index, path in outline.paths:
            hint = self._stray(path)
            if hint is not None:
                message = f'"{printable(path)}" is a path of this machine, which the container does not have'
                is_sure = hint.startswith("write")
                severity = Severity.ERROR if is_sure else Severity.WARNING
                yield Fault(severity, "host-path", message, hint, key, index)

    def _stray(self, path: str) -> str | None:
        """What to do about a path that the container does not have; None for one that is in order."""
        if path not in self._strays:
            self._strays[path] = self._hint(path)
        return self._strays[path]

    def _hint(self, path: str) -> str | None:
        if self.mounts.to_host(path) is not None:
            return None
        for entry in self.mounts.entries:
            source = str(entry.source)
            if path == source or path.startswith(f"{source}/"):
                return f'write "{entry.destination}{path[len(source) :]}", or use a $variable'
        if path.startswith((*_CONTAINERS_OWN, *_TOLD_ALREADY)) or path.count("/") < 2:
            return None
        if os.path.exists(path):  # noqa: PTH110 (a str)
            return "put it below projects/ or repositories/, or mount it in .tao_mounts.json"
        return None


def _placed(spec: SpecReader, faults: Iterable[Fault], place: _PlaceOverride) -> Iterator[Finding]:
    for fault in faults:
        file: Path | None = spec.file.path
        line: int | None = None
        column: int | None = None
        if fault.key in spec.overlay:
            at = place(fault.key)
            file, line, column = at if at is not None else (None, None, None)
        else:
            found = place_of(spec.file.text, spec.format, fault.key, fault.index)
            line, column = found if found is not None else (None, None)
        yield Finding(fault.severity, fault.code, fault.message, fault.hint, file, line, column)


def _steps(overrides: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The way to a dotted key in overrides that may be nested."""
    for name, value in overrides.items():
        if name == key:
            return (name,)
        if isinstance(value, Mapping) and key.startswith(f"{name}."):
            return (name, *_steps(value, key[len(name) + 1 :]))
    return ()
