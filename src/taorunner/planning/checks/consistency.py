"""Checks an experiment's specs against each other, its dataset and the mounts, for ``validate`` and before a run.

A finding points at the place in the user's template, or at the override that set the value. The rules are in
``rules``, the path checks in ``paths``. This module supplies the values that they compare.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from taorunner.catalog.layouts import DataLayout
from taorunner.catalog.network import Network
from taorunner.contracts import Contract, Framework
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.planning.checks.dataset_facts import DatasetFacts
from taorunner.planning.checks.dataset_requirements import Reading, ReadingFinder
from taorunner.planning.checks.paths.data_inputs import (
    later_inputs,
    missing_inputs,
    reads_dataset,
    training_inputs,
)
from taorunner.planning.checks.paths.host_paths import HostPaths
from taorunner.planning.checks.paths.made_inputs import made_inputs
from taorunner.planning.checks.paths.resumed_from import resumed_from
from taorunner.planning.checks.paths.written_places import WrittenPlaces
from taorunner.planning.checks.rule_results import RuleResults
from taorunner.planning.checks.rules import (
    dataset_rules,
    empty_set_rules,
    example_rules,
    held_out_rules,
    mask_rules,
    number_rules,
    spec_rules,
)
from taorunner.planning.checks.rules.dataset_rules import class_map, converted_pictures
from taorunner.planning.checks.rules.tracking_rules import tracked_twice
from taorunner.planning.checks.rules.word_list_rules import word_lists
from taorunner.planning.checks.spec_view import HostVariables, SpecReader, overlay_of
from taorunner.planning.checks.training_facts import ClassMap, Conversion, Fault, Training, together
from taorunner.planning.spec.spec_files import find_spec
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.project.mounts import Mounts
from taorunner.specs.memory import SpecMemory
from taorunner.specs.outline import outline_of, place_of
from taorunner.specs.spec_file import SpecFile, flattened, load_spec
from taorunner.targets import sees_host_paths
from taorunner.text import for_dataset
from taorunner.values.value import MutableValue, Value, field, replace

_TEXT_RULES = (
    *spec_rules.TEXT_RULES, *dataset_rules.TEXT_RULES, *held_out_rules.TEXT_RULES, *empty_set_rules.TEXT_RULES,
    training_inputs,
)  # fmt: skip
_NUMBER_RULES = (
    together(*spec_rules.EPOCH_RULES, *number_rules.EPOCH_RULES), *number_rules.RULES, *spec_rules.NUMBER_RULES,
    *dataset_rules.NUMBER_RULES, *held_out_rules.RULES, *mask_rules.RULES, *example_rules.RULES,
)  # fmt: skip
_RULES = (together(*_TEXT_RULES), *_NUMBER_RULES)
_VALIDATE_RULES = (together(*_TEXT_RULES, later_inputs), *_NUMBER_RULES)
_OF_THE_DATASET = frozenset({"dataset", "dataset_raw"})
_CONVERSION = "dataset_convert"
CROSS_CHECKED = ("train", _CONVERSION)
"""Actions whose specs are checked against each other and the dataset. All specs are searched for host paths."""


class FoundSpec(Value):
    """The spec of an action, read from its file."""

    contract: Contract
    file: SpecFile


class Launch(Value):
    """The choices of a launch; ``typed`` holds the spec values of the command line, by dotted key. ``starts`` is False
    for a dry run. ``earlier`` are the actions of a chain that run before. ``resumes``: the checkpoint of the spec is
    replaced by the newest one. ``sets_aside``: earlier results are moved away first."""

    action: str
    gpus: int
    backend: str
    typed: Mapping[str, object]
    starts: bool = True
    earlier: frozenset[str] = frozenset()
    resumes: bool = False
    sets_aside: bool = False


class CrossChecks(MutableValue):
    """One for all experiments that are checked together. ``mounts`` are those of containers, ``layouts`` says what a
    network reads. ``readings`` collects how the checked experiments read their datasets, ``data``
    what was seen of them.
    """

    mounts: Mounts
    memory: SpecMemory
    layouts: Callable[[str], DataLayout | None]
    readings: list[Reading] = field(default_factory=list)
    data: DatasetFacts = field(default_factory=DatasetFacts)
    _finder: ReadingFinder = field(default_factory=ReadingFinder)
    _host: Mounts = field(default_factory=Mounts.identity)
    _conversions: dict[tuple[object, ...], Conversion] = field(default_factory=dict)
    _inputs: dict[tuple[object, ...], tuple[Fault, ...]] = field(default_factory=dict)
    _others: dict[tuple[str, str, str], Contract | None] = field(default_factory=dict)
    _results: RuleResults = field(default_factory=RuleResults)

    @cached_property
    def _stray(self) -> HostPaths:
        return HostPaths(self.mounts)

    @cached_property
    def _written(self) -> WrittenPlaces:
        return WrittenPlaces(self.mounts)

    def before(
        self, contract: Contract, path: Path, network: Network, project: Project, experiment: Experiment, launch: Launch
    ) -> Iterator[Finding]:  # fmt: skip
        """The findings before the start of an action whose spec is at ``path``."""
        specs = {contract.action: (contract, path)}
        inference = None
        if contract.action == "train":
            other = self._other(network, _CONVERSION, contract.release)
            place = find_spec(experiment.spec_dirs, other.spec) if other and other.spec is not None else None
            if other is not None and place is not None:
                specs[_CONVERSION] = (other, place)
            inference = self._other(network, "inference", contract.release)
        read = {action: (one, load_spec(file)) for action, (one, file) in specs.items()}
        found = {a: FoundSpec(one, file) for a, (one, file) in read.items() if isinstance(file, SpecFile)}
        yield from self.check(project, experiment, found, launch, inference)

    def _other(self, network: Network, action: str, release: str) -> Contract | None:
        """The contract of another action of the network; None where nothing is known of it in this release."""
        key = (network.name, action, release)
        if key not in self._others:
            self._others[key] = None
            with suppress(UserFilesError):
                if action in network.actions(release):
                    self._others[key] = network.contract(action, release)
        return self._others[key]

    def check(
        self, project: Project, experiment: Experiment, specs: Mapping[str, FoundSpec], launch: Launch | None = None,
        inference: Contract | None = None,
    ) -> Iterator[Finding]:  # fmt: skip
        """Findings in ``specs``, by action. A spec that cannot be read gives none.

        ``inference`` is the contract of the same network's inference, where there is one.
        """
        gpus = (launch.gpus if launch is not None else experiment.gpus) or 1
        typed, launched = (launch.typed, launch.action) if launch is not None else ({}, None)
        variables = HostVariables(project.paths, experiment, gpus)
        on_host = sees_host_paths(
            launch.backend if launch is not None else experiment.backend, experiment.backend_options
        ) or any(spec.contract.framework is Framework.EMBEDDED for spec in specs.values())
        given = {**dict(flattened(experiment.overrides)), **typed} if experiment.overrides or typed else {}
        readers = self._readers(specs, variables, overlay_of(given), launched, on_host=on_host)
        placing = _Placing(project, experiment, overlay_of(typed), self.memory)
        results, data = project.paths.results_text(experiment.results), project.paths.data_text
        for action, reader in readers.items() if not on_host else ():
            yield from placing.place(reader, self._stray.faults(action, reader))
            written = self._written.faults(specs[action].contract, reader, results, data)
            yield from placing.place(reader, written)
        convert = self._conversion(readers.get(_CONVERSION), experiment)
        if convert is not None:
            yield from placing.place(readers[_CONVERSION], converted_pictures(convert))
        for action, reader in readers.items():
            if launch is None or action != _CONVERSION or "train" not in readers:
                is_certain = launch is not None or action != _CONVERSION
                yield from placing.place(
                    reader, word_lists(experiment.head, action, reader, is_certain=is_certain)
                )
        layout = self.layouts(experiment.head)
        reading = self._finder.reading(experiment, readers, layout)
        if reading is not None:
            self.readings += (reading, *self._finder.beside(reading, readers.get("train")))
        for action in ("evaluate", "inference") if launch is not None else ():
            if action in readers:
                faults = self._held_out_faults(experiment.head, specs[action].contract, readers[action], gpus)
                yield from placing.place(readers[action], faults)
        if "train" in readers:
            contract = specs["train"].contract
            training = Training(
                experiment.head, contract, readers["train"], convert, gpus, self.data, _classmap(inference), layout
            )  # fmt: skip
            rules = _RULES if launch else _VALIDATE_RULES
            faults = [*self._results.faults(training, experiment.vars, rules)]
            if launch is None or not launch.resumes:
                faults += resumed_from(training, sets_aside=launch is not None and launch.sets_aside)
            faults += tracked_twice(experiment, training.spec)
            yield from placing.place(training.spec, faults)
        else:
            faults = []
        known = {fault.path for fault in faults if fault.path}
        yield from self._of_paths(layout, readers, specs, launch, known, placing)

    def _readers(
        self, specs: Mapping[str, FoundSpec], variables: HostVariables, overlay: Mapping[str, object],
        launched: str | None, *, on_host: bool,
    ) -> dict[str, SpecReader]:  # fmt: skip
        """By action, of those specs that are checked. ``overlay`` is of the training and of the launched action."""
        mounts = self._host if on_host else self.mounts
        readers: dict[str, SpecReader] = {}
        for action, found in specs.items():
            spec = found.contract.spec
            is_launched = action == launched
            if spec is None or not (
                action in CROSS_CHECKED or is_launched or (not on_host and self._names_place(found.file.text))
            ):
                continue
            outline = outline_of(found.file.text, spec.format, self.memory)
            if outline is not None:
                over = overlay if action == "train" or is_launched else {}
                readers[action] = SpecReader(found.file, spec.format, outline, variables, over, mounts)
        return readers

    def _names_place(self, text: str) -> bool:
        return self._stray.may_be_in(text) or self._written.may_be_in(text)

    def _of_paths(
        self, layout: DataLayout | None, readers: Mapping[str, SpecReader], specs: Mapping[str, FoundSpec],
        launch: Launch | None, known: Collection[str], placing: _Placing,
    ) -> Iterator[Finding]:  # fmt: skip
        """What is not there or not made yet. Paths in ``known`` are reported of the training already."""
        launched, starts = (launch.action, launch.starts) if launch is not None else (None, False)
        earlier = launch.earlier if launch is not None else ()
        made_by_action = {
            action: list(
                made_inputs(
                    layout,
                    specs[action].contract,
                    readers[action],
                    self.data,
                    starts=starts,
                    earlier=earlier,
                )
            )
            for action in [launched or "train"]
            if action in readers
        }
        lacks_records = any(one.code == "not-made-yet" for one in made_by_action.get("train", ()))
        for reader, missing in self._missing(layout, readers, specs, launched, lacks_records=lacks_records):
            yield from placing.place(reader, [fault for fault in missing if fault.path not in known])
        for action, made in made_by_action.items():
            notes = [] if launch is not None else [one for one in made if one.severity is Severity.INFO]
            for note in notes:  # of thousands of experiments: without a line, which would be looked for
                yield Finding(note.severity, note.code, note.message, note.hint, readers[action].file.path)
            yield from placing.place(readers[action], [one for one in made if one not in notes])

    def _missing(
        self, layout: DataLayout | None, readers: Mapping[str, SpecReader], specs: Mapping[str, FoundSpec],
        launched: str | None, *, lacks_records: bool,
    ) -> Iterator[tuple[SpecReader, tuple[Fault, ...]]]:  # fmt: skip
        """What is not there for the launched action, or for any in ``validate``. A training has a rule for it.

        An empty dataset is reported of the training, or of the conversion where the training reads only records.
        """
        training = readers.get("train")
        for action, reader in readers.items():
            if layout is None or action == "train" or launched not in (None, action):
                continue
            is_needed = launched is not None or lacks_records
            severity = Severity.ERROR if is_needed else Severity.WARNING
            if launched is None and not self.data.has_files(str(reader.variables["dataset_raw"])):
                if training is None or reads_dataset(layout, specs["train"].contract, training):
                    continue
                severity = Severity.ERROR
            contract = specs[action].contract
            key = (
                contract.network, contract.group, action, reader.outline.shape, reader.variables.made_of("dataset"),
                severity, reader.mounts.is_identity,
            )  # fmt: skip
            is_shared = reader.outline.shape.variables <= _OF_THE_DATASET and not reader.overlay
            found = self._inputs.get(key) if is_shared else None
            if found is None:
                found = tuple(missing_inputs(layout, contract, reader, self.data, severity))
                if is_shared:
                    self._inputs[key] = found
            yield reader, found

    def _held_out_faults(self, head: str, contract: Contract, spec: SpecReader, gpus: int) -> list[Fault]:
        """Faults of the data that an evaluation or an inference reads."""
        using = Training(head, contract, spec, None, gpus, self.data, _classmap(contract))
        return [fault for rule in (*held_out_rules.RULES, class_map) for fault in rule(using)]

    def _conversion(self, spec: SpecReader | None, experiment: Experiment) -> Conversion | None:
        """The shared conversion of all experiments that convert the same dataset in the same way."""
        if spec is None:
            return None
        shape = spec.outline.shape
        if (
            spec.overlay
            or not shape.variables <= _OF_THE_DATASET
            or not shape.variables.isdisjoint(experiment.vars)
        ):
            return Conversion(spec, self.data)
        dataset = spec.variables.made_of("dataset")
        key = (shape, spec.outline.numbers, dataset, spec.file.path.name, spec.mounts.is_identity)
        if key not in self._conversions:
            self._conversions[key] = Conversion(spec, self.data)
        return self._conversions[key]


def _classmap(inference: Contract | None) -> ClassMap | None:
    """None where inference of the network names no class map in its spec."""
    spec = inference.spec if inference is not None else None
    if spec is None or spec.classmap is None or spec.classmap_first_id is None:
        return None
    return ClassMap(spec.classmap, spec.classmap_first_id)


class _Placing(Value):
    project: Project
    experiment: Experiment
    typed: Mapping[str, object]
    memory: SpecMemory

    def place(self, spec: SpecReader, faults: Iterable[Fault]) -> Iterator[Finding]:
        for fault in faults:
            hint = for_dataset(fault.hint, self.experiment.dataset.partition("/")[0])
            finding = Finding(fault.severity, fault.code, fault.message, hint)
            variable = spec.outline.variable(fault.key, fault.index)
            if fault.key not in spec.overlay and variable in self.experiment.vars:
                yield self._in_experiments(finding, "vars", str(variable))
            elif fault.key not in spec.overlay:
                place = place_of(spec.file.text, spec.format, fault.key, fault.index, self.memory)
                line, column = place or (None, None)
                yield replace(finding, file=spec.file.path, line=line, column=column)
            elif fault.key in self.typed:
                yield replace(finding, message=f"{fault.key} of the command line: {fault.message}")
            else:
                yield self._in_experiments(
                    finding, "overrides", *_steps(self.experiment.overrides, fault.key)
                )

    def _in_experiments(self, finding: Finding, *steps: str) -> Finding:
        line, column = self.project.place(("experiments", self.experiment.name, *steps))
        return replace(finding, file=self.project.paths.experiments_file, line=line, column=column)


def _steps(overrides: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The way to a dotted key in overrides that may be nested."""
    for name, value in overrides.items():
        if name == key:
            return (name,)
        if isinstance(value, Mapping) and key.startswith(f"{name}."):
            return (name, *_steps(value, key[len(name) + 1 :]))
    return ()
