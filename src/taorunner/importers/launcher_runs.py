"""Groups the launcher's spec files of one network into experiments, and picks the TAO release.

Each spec that trains becomes an experiment; the later ones extend the first. Every other spec goes to the experiment
with the most similar name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.catalog.network import Network
from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity
from taorunner.importers.launcher_paths import WeightsPlace
from taorunner.importers.network_detection import SpecRead, action_of, unknown_names

Report = Callable[[Finding], None]

_NO_NAME = ("train", "retrain", "spec", "specs", "experiment", "config", "default")
_LATER = ("retrain", "qat", "finetune", "distill", "seq")
"""Words in the name of a spec that continues from another one."""
_MANY = 2
"""This many unknown names are hardly typing errors."""


@dataclass(slots=True)
class LauncherExperiment:
    """``specs``: action → the spec that it reads; ``beside``: specs without an action; ``base``: what it extends."""

    name: str
    network: Network
    release: str | None
    base: str | None = None
    specs: dict[str, SpecRead] = field(default_factory=dict)
    beside: list[SpecRead] = field(default_factory=list)
    weights: WeightsPlace | None = None


def experiments_of(
    network: Network, specs: Sequence[SpecRead], folder: Path, taken: set[str], report: Report
) -> list[LauncherExperiment]:
    """The experiments; the first extends none. ``folder`` is the source of the specs, ``taken`` are names in use."""
    release, contracts = _release(network, specs, folder, report)
    read_by = [(spec, action_of(spec, contracts.values())) for spec in specs]
    trains = sorted(
        (spec for spec, action in read_by if action == "train"),
        key=lambda spec: (sum(word in spec.tokens for word in _LATER), len(spec.tokens), spec.name),
    )
    experiments: list[LauncherExperiment] = []
    openers: list[SpecRead | None] = [*trains]
    for train in openers or [None]:
        name = _free_name(network.name, train, taken)
        taken.add(name)
        base = experiments[0].name if experiments else None
        own = {} if train is None else {"train": train}
        experiments.append(LauncherExperiment(name, network, release, base, own))
    rest = [(spec, action) for spec, action in read_by if action != "train"]
    for spec, action in sorted(rest, key=lambda one: (len(one[0].tokens), one[0].name)):
        home = max(experiments, key=lambda one: _likeness(spec, one.specs.get("train")))
        path = folder / spec.name
        if action is None:
            home.beside.append(spec)
            message = f"no action of {network.name} is known to read this spec"
            hint = f"rename it in specs/{home.name} to <action>{spec.name.suffix}"
            report(Finding(Severity.WARNING, "unknown-action", message, hint, path))
        elif action in home.specs:
            home.beside.append(spec)
            message = f'{action} of "{home.name}" reads another spec, {home.specs[action].name}'
            hint = f"for this one make an experiment that extends {home.name}"
            report(Finding(Severity.WARNING, "second-spec", message, hint, path))
        else:
            home.specs[action] = spec
    return experiments


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
        if not other:
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


def _free_name(head: str, spec: SpecRead | None, taken: set[str]) -> str:
    words = [] if spec is None else [*spec.name.parent.parts, spec.name.stem]
    text = re.sub(r"[^a-z0-9]+", "_", "_".join(words).lower()).strip("_")
    parts = [
        part
        for part in text.removeprefix(head).split("_")
        if part and part not in _NO_NAME[:1] + _NO_NAME[2:5]
    ]
    if all(part in _NO_NAME for part in parts) and "retrain" not in parts:
        parts = []
    name = "_".join([head, *parts])[:80] if parts else f"{head}_01"
    free, number = name, 2
    while free in taken:
        free = f"{name}_{number}"
        number += 1
    return free


def _likeness(spec: SpecRead, train: SpecRead | None) -> tuple[int, int]:
    """Sort key: the number of shared words, then the fewest words of the training that are not shared."""
    if train is None:
        return (0, 0)
    ours, theirs = set(spec.tokens) - set(_NO_NAME), set(train.tokens) - set(_NO_NAME)
    same_folder = spec.name.parent == train.name.parent
    return (len(ours & theirs) + 10 * same_folder, -len(theirs - ours))
