"""Groups the launcher's spec files of one network into experiments, and picks the TAO release.

Each spec that trains becomes an experiment; the later ones extend the first. Every other spec goes to the experiment
with the most similar name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.catalog.network import Network
from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity
from taorunner.importers.launcher_commands import LinkedCommand
from taorunner.importers.launcher_weights import WeightsPlace
from taorunner.importers.network_detection import (
    ACTION_WORDS,
    SpecRead,
    action_of,
    same_actions,
    unknown_names,
)
from taorunner.importers.source_report import Outcome, SourceLine
from taorunner.text import printable

Report = Callable[[Finding], None]

_NO_NAME = ("train", "retrain", "spec", "specs", "experiment", "config", "default")
_DROPPED = ("train", "spec", "specs", "experiment", "config", "eval", "evaluate", "tlt", "tao")
_LATER = ("retrain", "qat", "finetune", "distill", "seq")
"""Words in the name of a spec that continues from another one."""
_MANY = 2
"""This many unknown names are hardly typing errors."""


@dataclass(slots=True)
class LauncherExperiment:
    """``specs``: action → the spec that it reads; ``beside``: specs without an action; ``base``: what it extends.

    What its commands say: ``gpus`` and ``gpu_ids``, ``overrides`` of spec keys, ``key`` (``env:NAME`` or
    ``file:PATH``), ``results``, the folders that they write into.
    """

    name: str
    network: Network
    release: str | None
    base: str | None = None
    specs: dict[str, SpecRead] = field(default_factory=dict)
    beside: list[SpecRead] = field(default_factory=list)
    weights: WeightsPlace | None = None
    gpus: int | None = None
    gpu_ids: tuple[str, ...] = ()
    overrides: dict[str, object] = field(default_factory=dict)
    key: str | None = None
    results: list[str] = field(default_factory=list)
    weights_named: list[str] = field(default_factory=list)

    @property
    def contracts(self) -> dict[str, Contract]:
        return self.network.contracts(self.release)

    def has(self, spec: SpecRead) -> bool:
        return any(spec is one for one in (*self.specs.values(), *self.beside))


def image_lines(
    linked: Iterable[LinkedCommand], network: Network, release: str | None
) -> Iterator[SourceLine]:
    """A line for each image that commands of one network name: whether its release is that of the experiments."""
    known = {network.image(group.name, release) for group in network.groups} if release is not None else set()
    told: set[str] = set()
    for one in linked:
        image = one.command.image
        if image is None or image in told:
            continue
        told.add(image)
        if image in known:
            outcome, note = Outcome.TAKEN, f"release {release} of {network.name}"
        else:
            note = (
                f"release {network.release_name(release)} is taken; experiments.yml takes others with image"
            )
            outcome = Outcome.LEFT_OUT
        yield SourceLine(one.command.file, one.command.line, f"image {printable(image)}", outcome, note)


def experiments_of(
    network: Network,
    specs: Sequence[SpecRead],
    folder: Path,
    taken: set[str],
    report: Report,
    said_release: str | None = None,
) -> list[LauncherExperiment]:
    """The experiments; the first extends none. ``folder`` is the source of the specs, ``taken`` are names in use,
    ``said_release`` that of the image in the commands."""
    if said_release is not None:
        release = said_release if said_release != network.release_name(None) else None
        contracts = network.contracts(release)
    else:
        release, contracts = _release(network, specs, folder, report)
    plain = [contract for name, contract in contracts.items() if "." not in name]
    read_by = [(spec, action_of(spec, plain)) for spec in specs]
    trains = sorted(
        (spec for spec, action in read_by if action == "train"),
        key=lambda spec: (
            not spec.actions,
            sum(word in spec.tokens for word in _LATER),
            len(spec.tokens),
            spec.name,
        ),
    )
    experiments: list[LauncherExperiment] = []
    openers: list[SpecRead | None] = [*trains]
    for train in openers or [None]:
        name = _free_name(network.name, train, trains, taken)
        taken.add(name)
        base = experiments[0].name if experiments else None
        own = {} if train is None else {"train": train}
        experiments.append(LauncherExperiment(name, network, release, base, own))
    rest = [(spec, action) for spec, action in read_by if action != "train"]
    for spec, action in sorted(
        rest, key=lambda one: (not one[0].actions, _is_of_held_out(one[0]), len(one[0].tokens), one[0].name)
    ):
        _to_its_home(spec, action, experiments, folder, report)
    for experiment in experiments:
        _add_further_actions(experiment)
    return experiments


def _is_of_held_out(spec: SpecRead) -> bool:
    """Of two conversions, that of the training data comes first."""
    return not {"val", "test", "validation"}.isdisjoint(spec.tokens)


def _to_its_home(
    spec: SpecRead, action: str | None, experiments: list[LauncherExperiment], folder: Path, report: Report
) -> None:
    home = max(experiments, key=lambda one: _likeness(spec, one.specs.get("train")))
    path = folder / spec.name
    if action is None:
        home.beside.append(spec)
        message = f"no action of {home.network.name} is known to read this spec"
        hint = f"rename it in specs/{home.name} to <action>{spec.name.suffix}"
        report(Finding(Severity.WARNING, "unknown-action", message, hint, path))
    elif action in home.specs:
        if spec.actions:
            _of_its_own(spec, action, home, experiments)
            return
        home.beside.append(spec)
        message = f'{action} of "{home.name}" reads another spec, {home.specs[action].name}'
        hint = f"for this one make an experiment that extends {home.name}"
        report(Finding(Severity.WARNING, "second-spec", message, hint, path))
    else:
        home.specs[action] = spec


def _add_further_actions(experiment: LauncherExperiment) -> None:
    """A spec that commands of several actions name is also the spec of those that would read another file; of two such
    specs the one to which the action matters more."""
    contracts = experiment.contracts
    named = [(at, spec) for spec in experiment.specs.values() for at in range(len(spec.actions))]
    for at, spec in sorted(named, key=lambda one: one[0]):
        for action in same_actions(spec.actions[at]):
            contract = contracts[action].spec if action in contracts else None
            if contract is None or action in experiment.specs:
                continue
            files = {
                known.stems[0]: read
                for name, read in experiment.specs.items()
                if (known := contracts[name].spec) is not None
            }
            if next((files[stem] for stem in contract.stems if stem in files), None) is not spec:
                experiment.specs[action] = spec


def _of_its_own(
    spec: SpecRead, action: str, home: LauncherExperiment, experiments: list[LauncherExperiment]
) -> None:
    """A command names a second spec of an action: an experiment that extends ``home`` has it, with those of other
    actions that have the same words in their names."""
    known = set(home.network.name.split("_"))
    words = [
        word for word in _words(spec.name.stem, home.network.name)
        if word not in known and not any(word.startswith(start) for start, _ in ACTION_WORDS)
    ]  # fmt: skip
    name = f"{home.name}_{'_'.join(words) or action}"[:80]
    same = next((one for one in experiments if one.name == name and action not in one.specs), None)
    if same is not None and same.base == home.name:
        same.specs[action] = spec
        return
    taken = {one.name for one in experiments}
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    experiments.append(LauncherExperiment(free, home.network, home.release, home.name, {action: spec}))


def _release(
    network: Network, specs: Sequence[SpecRead], folder: Path, report: Report
) -> tuple[str | None, dict[str, Contract]]:
    """The release whose schema knows most names of the specs; None for the default release where none is better.

    Where no schema knows them well, it is the newest release older than all known schemas.
    """
    usual = network.release_name(None)
    contracts = network.contracts(None)
    least = unknown_names(specs, contracts.values())
    chosen: str | None = None
    before: str | None = None
    for release in reversed(list(network.releases)):
        other = network.contracts(release) if least and release != usual else {}
        if not other or ("train" in contracts and "train" not in other):
            continue
        count = unknown_names(specs, other.values())
        if count is None:
            before = before or release
        elif count < (least or 0):
            chosen, contracts, least = release, other, count
    if before is not None and least is not None and least >= _MANY:
        message = f"{least} keys of the specs of {network.name} are in no release with known keys; {before} is taken"
        hint = "set the release that you used in experiments.yml, or take the line out to see which keys these are"
        report(Finding(Severity.WARNING, "older-release", message, hint, folder))
        return before, network.contracts(before)
    if chosen is not None:
        message = f"the specs of {network.name} are those of release {chosen}, not of {usual}"
        hint = "experiments.yml says so; take the line out to move on"
        report(Finding(Severity.INFO, "older-release", message, hint, folder))
    return chosen, contracts


def _free_name(head: str, spec: SpecRead | None, trains: Sequence[SpecRead], taken: set[str]) -> str:
    """From the name of the spec's file; its folder counts where the file's name says nothing, or several have it."""
    parts = [] if spec is None else _words(spec.name.stem, head)
    is_shared = spec is not None and sum(one.name.stem == spec.name.stem for one in trains) > 1
    if spec is not None and (is_shared or all(part in _NO_NAME and part != "retrain" for part in parts)):
        folders = [words for name in spec.name.parent.parts if (words := _words(name, head))]
        parts = [*(folders[-1] if folders else []), *parts]
    if all(part in _NO_NAME for part in parts) and "retrain" not in parts:
        parts = []
    name = "_".join([head, *parts])[:80] if parts else f"{head}_01"
    free, number = name, 2
    while free in taken:
        free = f"{name}_{number}"
        number += 1
    return free


def _words(name: str, head: str) -> list[str]:
    text = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    without = re.sub(rf"(?:^|_){re.escape(head)}(?=_|\Z)", "_", text)
    return [part for part in without.split("_") if part and part not in _DROPPED]


def _likeness(spec: SpecRead, train: SpecRead | None) -> tuple[int, int]:
    """Sort key: the number of shared words, then the fewest words of the training that are not shared."""
    if train is None:
        return (0, 0)
    ours, theirs = (set(one.tokens) - {*_NO_NAME, *_DROPPED} for one in (spec, train))
    same_folder = spec.name.parent == train.name.parent
    return (len(ours & theirs) + 10 * same_folder, -len(theirs - ours))
