"""Computes again what the specs of an experiment have from its data. Writes only when asked to, and whole files.

A value that the experiment inherits is changed where it is written, and whom else that concerns is said.
"""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from taorunner.atomic_files import write_bytes
from taorunner.catalog.layouts import ComputedValue
from taorunner.catalog.network import Network
from taorunner.errors import MachineError, UserFilesError
from taorunner.planning.derived.derive import Change, DataFacts, read_facts, with_data
from taorunner.planning.experiment_variables import changed_variables, with_variables
from taorunner.planning.inputs.precedence import default_backend
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.inspect.resolved_spec import find_experiment
from taorunner.planning.spec.spec_files import find_spec
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project, load_project
from taorunner.project.mounts import Mounts, load_mounts
from taorunner.project.workspace import Workspace
from taorunner.specs.spec_file import flattened
from taorunner.targets import DOCKER, sees_host_paths
from taorunner.text import amount, printable

_SHOWN = 8
_NAMED = frozenset({ComputedValue.CLASS_COLORS, ComputedValue.CLASS_MAPPING, ComputedValue.CLASS_NAMES})
_IMAGES = frozenset({ComputedValue.TRAIN_IMAGES, ComputedValue.VAL_IMAGES})


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """``name`` counts from the workspace, for the heading of the difference; ``others`` are the experiments that use it
    too."""

    path: Path
    name: str
    old: str
    new: str
    others: tuple[str, ...] = ()

    def difference(self) -> str:
        """Unified, as ``patch -p0`` in the workspace takes it."""
        lines = difflib.unified_diff(_lines(self.old), _lines(self.new), self.name, self.name, n=0)
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
        )


@dataclass(frozen=True, slots=True)
class Refreshed:
    """``data`` says what the data has now, and what it had where that is known. ``kept`` is the number of keys that
    stay; ``notes`` are sentences for the reader."""

    experiment: str
    data: str
    files: tuple[ChangedFile, ...] = ()
    changes: tuple[Change, ...] = ()
    kept: int = 0
    notes: tuple[str, ...] = ()

    def write(self) -> None:
        """Raises UserFilesError where a file is no longer as it was read, MachineError where it cannot be written."""
        for file in self.files:
            if _read(file.path) != file.old:
                message = f'"{printable(file.name)}" was changed meanwhile: nothing more was written'
                raise UserFilesError(message, hint="repeat the command")
        for file in self.files:
            target = Path(os.path.realpath(file.path))
            try:
                mode = stat.S_IMODE(target.stat().st_mode)
                write_bytes(target, file.new.encode("utf-8"), mode=mode)
            except OSError as error:
                reason = (error.strerror or "unknown error").lower()
                raise MachineError(f'cannot write "{printable(file.name)}": {reason}') from error


@dataclass(frozen=True, slots=True)
class _Task:
    workspace: Workspace
    project: Project
    experiment: Experiment
    network: Network
    networks: Networks
    specs: Mapping[str, str] = field(default_factory=dict)
    """Texts by path."""


def refresh(workspace: Workspace, project_name: str, name: str, environ: Mapping[str, str]) -> Refreshed:
    """Changes nothing.

    Raises:
        UnknownNameError: there is no such experiment.
        UserFilesError: it has no specs or no dataset, or one of them cannot be read; with the findings.
    """
    project = load_project(workspace, project_name)
    experiment, network = find_experiment(workspace, project, name)
    task = _Task(workspace, project, experiment, network, Networks(workspace.networks_dir))
    layout = task.networks.layout(experiment.head)
    if layout is None or not any(one.value is not None for one in layout.computed):
        message = f'nothing in the specs of "{printable(experiment.head)}" is known to follow from the data'
        hint = f"taorunner networks {experiment.head} says what is known of it"
        raise UserFilesError(message, hint=hint)
    task = replace(task, specs=dict(_spec_texts(task)))
    if not task.specs:
        folder = project.paths.spec_dir(name)
        raise UserFilesError(
            f'"{printable(name)}" has no spec files in {folder}', hint="copy those of another one"
        )
    train = network.contracts(experiment.release).get("train")
    backend = experiment.backend or (default_backend(train) if train is not None else DOCKER.name)
    on_host = sees_host_paths(backend, experiment.backend_options)
    mounts = Mounts.identity() if on_host else load_mounts(workspace, environ)
    dataset = project.paths.dataset_dir(experiment.dataset)
    facts = read_facts(layout, dataset, task.specs, experiment.vars, mounts.to_host)
    gpus = (experiment.gpus or 1) * (experiment.limits.nodes or 1)
    result = with_data(layout, facts, task.specs, experiment.vars, is_new=False, gpus=gpus, train=train)
    files = [
        _changed(task, Path(path), task.specs[path], text)
        for path, text in result.specs.items()
        if text != task.specs[path]
    ]
    files += _changed_variables(task, result.variables)
    head = _data_line(task, facts, result.changes)
    notes = tuple(_notes(task, files, [key for one in layout.computed if one.value for key in one.keys]))
    return Refreshed(name, head, tuple(files), result.changes, result.kept, notes)


def _spec_texts(task: _Task) -> Iterator[tuple[str, str]]:
    """The spec file of each action that has one, as it is written."""
    experiment, seen = task.experiment, set()
    contracts = task.network.contracts(experiment.release).values()
    for contract in contracts:
        path = find_spec(experiment.spec_dirs, contract.spec) if contract.spec is not None else None
        if path is not None and path not in seen:
            seen.add(path)
            yield str(path), _read(path)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise UserFilesError(f'"{printable(str(path))}" cannot be read: {reason}') from None
    except UnicodeDecodeError:
        raise UserFilesError(f'"{printable(str(path))}" is not text in UTF-8') from None


def _changed(task: _Task, path: Path, old: str, new: str) -> ChangedFile:
    """With the other experiments whose specs are in the same folder, by ``extends``."""
    others = [
        one.name
        for one in task.project.experiments.values()
        if one.name != task.experiment.name and path.parent in one.spec_dirs
    ]
    return ChangedFile(path, _name(task, path), old, new, tuple(others))


def _changed_variables(task: _Task, variables: Mapping[str, object]) -> Iterator[ChangedFile]:
    changed = changed_variables(task.experiment.vars, variables)
    if not changed:
        return
    path = task.project.paths.experiments_file
    layers = task.project.layers(task.experiment.name, "vars")
    owner_of = {
        name: next((one for one, values in layers if name in values), task.experiment.name)
        for name in changed
    }
    owners = set(owner_of.values())
    old = _read(path)
    new = with_variables(old, {(owner_of[name], name): value for name, value in changed.items()})
    others = [
        one
        for one in task.project.experiments
        if one != task.experiment.name and owners & {one, *task.project.ancestors(one)}
    ]
    yield ChangedFile(path, _name(task, path), old, new, tuple(others))


def _name(task: _Task, path: Path) -> str:
    return os.path.relpath(path, task.workspace.root)


def _notes(task: _Task, files: list[ChangedFile], keys: list[str]) -> Iterator[str]:
    for file in files:
        if file.others:
            names = ", ".join(file.others[:_SHOWN])
            more = f" and {len(file.others) - _SHOWN} more" if len(file.others) > _SHOWN else ""
            yield f"{printable(file.name)} is also used by {names}{more}"
    given = (
        {key.lstrip("+") for key, _ in flattened(task.experiment.overrides)}
        if task.experiment.overrides
        else set()
    )
    for key in keys:
        if key in given:
            yield f'"{key}" is set in the overrides of experiments.yml, which win over the spec and stay'


def _data_line(task: _Task, facts: DataFacts, changes: tuple[Change, ...]) -> str:
    """What the data has, with the numbers that the specs had before where they tell them."""
    layout = task.networks.layout(task.experiment.head)
    rows = layout.computed if layout is not None else ()
    by_key = {change.key: change for change in changes}
    images = facts.train.images + facts.val.images
    parts: list[str] = []
    for row in rows if images else ():
        for change in (by_key[key] for key in row.keys if key in by_key and row.value in _IMAGES):
            subset = "train" if row.value is ComputedValue.TRAIN_IMAGES else "val"
            if isinstance(change.old, int) and isinstance(change.new, int):
                parts.append(f"{change.old:,} → {change.new:,} images in {subset}")
    is_subset = (
        layout is not None and layout.dataset is not None and facts.val.images
    )  # the folder is train alone
    of_val = f" ({facts.train.images:,} in train, {facts.val.images:,} in val)" if is_subset else ""
    parts = parts or ([f"{amount(images, 'image')}{of_val}"] if images else [])
    named = [by_key[key] for row in rows if row.value in _NAMED for key in row.keys if key in by_key]
    old, new = (_names(named[0].old), _names(named[0].new)) if named else ((), ())
    count = len(facts.classes)
    if old and new:
        fresh = [one for one in new if one not in old]
        gone = [one for one in old if one not in new]
        listed = [
            f"{what}: {', '.join(map(printable, ones[:_SHOWN]))}"
            for what, ones in (("new", fresh), ("gone", gone))
            if ones
        ]
        parts.append(f"{len(old)} → {len(new)} classes" + (f" ({'; '.join(listed)})" if listed else ""))
    elif count:
        parts.append(amount(count, "class", "classes"))
    folder = os.path.relpath(task.project.paths.dataset_dir(task.experiment.dataset), task.project.paths.root)
    changed = " changed" if any("→" in one for one in parts) else ""
    return f"{printable(folder)}{changed}: {', '.join(parts)}" if parts else printable(folder)


def _names(value: object) -> tuple[str, ...]:
    """Of a list of names, or of pairs of a name and something else."""
    if not isinstance(value, tuple):
        return ()
    return tuple(str(one[0]) if isinstance(one, tuple) else str(one) for one in value)


def _lines(text: str) -> list[str]:
    """At line feeds alone: other separators of lines belong to the text."""
    return [f"{line}\n" for line in text.split("\n")[:-1]] + (
        [last] if (last := text.rpartition("\n")[2]) else []
    )
