"""What the commands of a launcher setup say about its experiments: GPUs, key, overrides and results, line by line."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from taorunner.contracts import Contract
from taorunner.importers.launcher_commands import LinkedCommand
from taorunner.importers.launcher_paths import PathUse, is_below
from taorunner.importers.launcher_runs import LauncherExperiment
from taorunner.importers.network_detection import same_actions
from taorunner.importers.source_report import Outcome, SourceLine
from taorunner.planning.model.request import command_of
from taorunner.planning.spec.overrides import typed_value
from taorunner.project.keys import MAX_GPUS, OVERRIDE_PATTERN
from taorunner.project.workspace import Workspace, is_name
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.text import is_secret_name, printable, whole_number

Report = Callable[[SourceLine], None]

_OWN_ROLES = frozenset({
    "results_dir", "encryption_key", "num_gpus", "gpu_ids", "gpu_id", "resume", "trt_engine", "onnx_file",
    "export_type",
})  # fmt: skip
"""Keys of specs that taorunner sets in each run."""
_RESULTS = re.compile(r"(?:^|\.)(?:results_dir|output_dir)\Z")
_KEYS = ("key", "encryption_key", "model.encryption_key")
_GPU_COUNT = re.compile(r"(?:^|\.)(?:num_gpus|gpus)\Z")
_GPU_LIST = re.compile(r"(?:^|\.)gpu_ids\Z")
_PUBLIC_FOLDERS = ("weights", "train", "results", "output", "specs", "unpruned")


@dataclass(slots=True)
class KeyFile:
    """The key that commands give with ``-k``. It is written into a file of its own, which only its owner may read."""

    name: str
    text: str = field(repr=False)


class CommandSettings:
    """Takes the commands one by one. ``experiments`` grows where a spec is trained with in several ways."""

    def __init__(self, workspace: Workspace, project: str, report: Report) -> None:
        self._workspace, self._project, self._report = workspace, project, report
        self.experiments: list[LauncherExperiment] = []
        self.key_files: dict[str, KeyFile] = {}
        self._trained: list[tuple[LauncherExperiment, LinkedCommand]] = []
        self._overridden: dict[tuple[str, str], str] = {}

    def take_all(self, linked: Sequence[LinkedCommand], experiments: list[LauncherExperiment]) -> None:
        """Trainings first: other commands name what they wrote."""
        self.experiments = experiments
        for one in sorted(linked, key=lambda one: one.action != "train"):
            experiment = self._of_training(one) if one.action == "train" else self._owner(one)
            if experiment is None:
                self._left(one, one.command.title, self._why_not(one))
                continue
            self._take(one, experiment)

    def not_given(self, uses: Iterable[PathUse]) -> Iterator[PathUse]:
        """Without those at keys that each run gets from taorunner."""
        contracts = [one for experiment in self.experiments for one in experiment.contracts.values()]
        given = {key for contract in contracts for key in _set_by_taorunner(contract)}
        return (use for use in uses if ".".join(use.key) not in given)

    def _why_not(self, one: LinkedCommand) -> str:
        if one.command.spec is not None and one.spec is None:
            return f"its spec {printable(Path(one.command.spec).name)} is not in the folder"
        if one.network is None:
            return "no known network is named"
        return f"no spec of {one.network} was found"

    def _take(self, one: LinkedCommand, experiment: LauncherExperiment) -> None:
        contracts = experiment.contracts
        names = [
            name for same in same_actions(one.action)
            for name in (f"deploy.{same}", same) if name in contracts and one.command.is_deploy >= ("." in name)
        ]  # fmt: skip
        if not names:
            note = (
                f"{experiment.network.name} has no action {one.action} in release {self._release(experiment)}"
            )
            self._left(one, one.command.title, note)
            return
        command = "resume" if _resumed(one, experiment) else command_of(names[0])
        note = f"taorunner {command} {experiment.name}"
        if one.command.spec is not None and one.spec is None:
            note += f"; its spec {printable(Path(one.command.spec).name)} is not in the folder"
        self._report(SourceLine(one.command.file, one.command.line, one.command.title, Outcome.TAKEN, note))
        self._take_options(one, experiment, names[0])
        for key, value in one.command.overrides:
            self._take_override(one, experiment, contracts[names[0]], key, value)
        self._take_gpus(one, experiment)

    @staticmethod
    def _release(experiment: LauncherExperiment) -> str:
        return experiment.network.release_name(experiment.release)

    def _of_training(self, one: LinkedCommand) -> LauncherExperiment | None:
        """Each training is an experiment; of several with one spec, those that set something else extend the first."""
        owner = self._owner(one)
        if owner is None or one.spec is None:
            return owner
        earlier = [done for _, done in self._trained if done.spec is one.spec]
        if not earlier:
            self._trained.append((owner, one))
            return owner
        for experiment, done in self._trained:
            if done.spec is one.spec and _own_settings(done, owner) == _own_settings(one, owner):
                return experiment
        name = self._free_name(owner.name, one)
        new = replace(
            owner, name=name, base=owner.name, specs={}, beside=[], overrides={}, gpus=None, gpu_ids=(), results=[],
            weights_named=[],
        )  # fmt: skip
        self.experiments.append(new)
        self._trained.append((new, one))
        return new

    def _free_name(self, base: str, one: LinkedCommand) -> str:
        words = [part for path in _results_of(one) for part in path.split("/") if part]
        ends = [re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_") for word in reversed(words)]
        word = next((end for end in ends if end and end not in _PUBLIC_FOLDERS and end not in base), "")
        name = f"{base}_{word}"[:80] if word else f"{base}_02"
        taken = {experiment.name for experiment in self.experiments}
        free, number = name, 2
        while free in taken or not is_name(free):
            free, number = f"{name}_{number}", number + 1
        return free

    def _owner(self, one: LinkedCommand) -> LauncherExperiment | None:
        if one.spec is not None:
            return next((each for each in self.experiments if each.has(one.spec)), None)
        own = [each for each in self.experiments if one.network in (None, each.network.name)]
        if one.network is None and len({each.network.name for each in own}) > 1:
            return None
        model = one.command.first("model") or next(
            (value for key, value in one.command.overrides if key.endswith("checkpoint")), ""
        )
        read = [each for each in own if any(is_below(model, path) for path in each.results)]
        if read:
            return read[-1]
        return own[0] if own else None

    def _take_options(self, one: LinkedCommand, experiment: LauncherExperiment, action: str) -> None:
        command = one.command
        passed: list[str] = []
        for name, values in command.options:
            role = command.role_of(name)
            if role == "results":
                experiment.results += [path for path in values if path.startswith("/") and len(path) > 1]
            elif role == "model" and values and one.action == "train":
                experiment.weights_named += [path for path in values if path.startswith("/")]
            elif role == "key" and values:
                self._take_key(one, experiment, values[0])
            elif role == "name" and values:
                note = f"results are named by TAO's defaults in models/{experiment.name}"
                self._left(one, f"{name} {printable(values[0])}", note)
            elif role == "log":
                self._left(one, name, "taorunner logs shows what a run prints")
            elif role is None and is_secret_name(name):
                self._left(one, printable(name), "a secret: no option takes it here")
            elif role is None and name not in ("--config-path", "--config-name", "--use_amp", ""):
                passed += [name, *values]
            elif role is None and name == "--use_amp":
                passed.append(name)
        if passed:
            words = " ".join(shlex.quote(word) for word in passed)
            hint = f"type it: taorunner {command_of(action)} {experiment.name} -- {printable(words)}"
            self._left(one, " ".join(word for word in passed if word.startswith("-")), hint)

    def _take_key(self, one: LinkedCommand, experiment: LauncherExperiment, text: str) -> None:
        if "model_key" not in experiment.network.optional or not text:
            return
        variable = re.fullmatch(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?", text)
        if variable is not None:
            origin = f"env:{variable[1]}"
            note = f'model_key of "{experiment.name}" is the variable {variable[1]}, which has to be set'
        elif "$" in text:
            self._left(one, "-k", "the key is not known before it runs")
            return
        else:
            file = self.key_files.get(text)
            if file is None:
                file = self.key_files[text] = KeyFile(self._free_key_name(), text)
            origin = f"file:{file.name}"
            note = f'model_key of "{experiment.name}" is in {file.name}, which only you may read'
        experiment.key = experiment.key or origin
        if experiment.key != origin:
            self._left(one, "-k", f'another command gives "{experiment.name}" {experiment.key}')
            return
        self._report(SourceLine(one.command.file, one.command.line, "-k", Outcome.TAKEN, note))

    def _free_key_name(self) -> str:
        """A name at the top of the workspace: a project has no place for it, and containers see that folder."""
        taken = {file.name for file in self.key_files.values()}
        name, number = f"{self._project}.model_key", 2
        while name in taken or os.path.lexists(self._workspace.root / name):
            name, number = f"{self._project}_{number}.model_key", number + 1
        return name

    def _take_override(
        self, one: LinkedCommand, experiment: LauncherExperiment, contract: Contract, key: str, text: str
    ) -> None:
        if _RESULTS.search(key):
            experiment.results += [text] if text.startswith("/") and len(text) > 1 else []
            return
        if key in _KEYS:
            self._take_key(one, experiment, text)
            return
        if _GPU_COUNT.search(key) or _GPU_LIST.search(key):
            return
        if key in _set_by_taorunner(contract):
            self._left(one, key, "taorunner names it itself in each run")
        elif "$" in text:
            self._left(one, key, "its value is not known before it runs")
        elif is_secret_name(key.rpartition(".")[2]):
            self._left(one, key, "a secret: experiments.yml takes those of env and model_key")
        elif re.fullmatch(OVERRIDE_PATTERN, key) is None or text == "":
            self._left(one, key, "no plain key and value")
        else:
            self._override(one, experiment, key, text)

    def _override(self, one: LinkedCommand, experiment: LauncherExperiment, key: str, text: str) -> None:
        try:
            value = typed_value(key, text)
        except SpecProblemError as problem:
            self._left(one, key, problem.message)
            return
        known = self._overridden.setdefault((experiment.name, key), text)
        if known != text:
            note = (
                f"another command sets it otherwise; type it: --set {shlex.quote(f'{key}={printable(text)}')}"
            )
            self._left(one, key, note)
            return
        experiment.overrides[key] = value
        note = f'overrides of "{experiment.name}"'
        self._report(SourceLine(one.command.file, one.command.line, key, Outcome.TAKEN, note))

    def _take_gpus(self, one: LinkedCommand, experiment: LauncherExperiment) -> None:
        if one.action != "train":
            return
        command = one.command
        overrides = dict(command.overrides)
        count = command.first("gpus") or next((v for k, v in overrides.items() if _GPU_COUNT.search(k)), None)
        listed = next((v for k, v in overrides.items() if _GPU_LIST.search(k)), "")
        ids = command.gpu_ids or tuple(
            part
            for word in (command.of("gpu_ids") or (listed,))
            for part in re.split(r"[\s,\[\]]+", word)
            if part
        )
        if ids and all(re.fullmatch(r"\d{1,3}|(?:GPU|MIG)-[A-Za-z0-9/-]+", part) for part in ids):
            experiment.gpu_ids = tuple(dict.fromkeys(ids))
            note = f'gpu_indices of "{experiment.name}"'
            self._report(SourceLine(command.file, command.line, "GPUs by number", Outcome.TAKEN, note))
        elif count is not None and 1 <= (whole_number(count) or 0) <= MAX_GPUS:
            experiment.gpus = whole_number(count)
            note = f'gpus of "{experiment.name}"'
            self._report(SourceLine(command.file, command.line, "number of GPUs", Outcome.TAKEN, note))
        elif count is not None:
            self._left(one, "number of GPUs", "it is not known before it runs")

    def _left(self, one: LinkedCommand, what: str, note: str) -> None:
        self._report(SourceLine(one.command.file, one.command.line, what, Outcome.LEFT_OUT, note))


def _own_settings(one: LinkedCommand, experiment: LauncherExperiment) -> dict[str, str]:
    """What a training sets, but for its results and the checkpoint that it continues from."""
    resumed = _resumed(one, experiment)
    return {
        key: value for key, value in one.command.overrides if not _RESULTS.search(key) and key not in resumed
    }


def _resumed(one: LinkedCommand, experiment: LauncherExperiment) -> set[str]:
    """The keys that name the checkpoint from which a training resumes."""
    contract = experiment.contracts.get("train") if one.action == "train" else None
    key = None if contract is None or contract.spec is None else contract.spec.keys.get("resume")
    return {name for name, _ in one.command.overrides if name == key}


def _results_of(one: LinkedCommand) -> Iterator[str]:
    yield from one.command.of("results")
    yield from (value for key, value in one.command.overrides if _RESULTS.search(key))


def _set_by_taorunner(contract: Contract) -> set[str]:
    """Spec keys that a run gets from taorunner, by its command line or in its rendered spec."""
    words = [word for argument in contract.arguments for word in argument.tokens]
    named = {word.partition("=")[0] for word in words if "=" in word}
    spec = contract.spec
    roles = {} if spec is None else {key for role, key in spec.keys.items() if role in _OWN_ROLES}
    return named | set(roles)
