"""Links commands of TAO to the specs that they read: which network and which action a spec is of."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.catalog.older_specs import OLD_NETWORKS
from taorunner.importers.network_detection import SpecRead, can_read
from taorunner.importers.scripts.tao_command import TaoCommand
from taorunner.planning.inputs.workspace_networks import Networks

_FIRST = ("train", "distill", "dataset_convert", "evaluate", "inference", "export", "prune", "gen_trt_engine")
"""Of several actions that read one spec, the spec is that of the first."""
_FIRST_OF_DEPLOY = ("gen_trt_engine", "evaluate", "inference")
"""Those of TAO Deploy come after all others: an ``evaluate`` of an engine reads the spec of the export."""


@dataclass(slots=True)
class LinkedCommand:
    """``network`` is the catalog's name, None where it is not known; ``spec`` is the spec that is named, None where
    none is or it is not there."""

    command: TaoCommand
    network: str | None
    spec: SpecRead | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def action(self) -> str:
        return "train" if self.command.action == "retrain" else self.command.action


def known_network(word: str, networks: Networks) -> str | None:
    """The catalog's name of a network; TLT and TAO up to 4 had other names for some."""
    return word if word in networks.names else (*OLD_NETWORKS.get(word, ()), None)[0]


def link_commands(
    commands: Iterable[TaoCommand], specs: Sequence[SpecRead], folder: Path, networks: Networks
) -> list[LinkedCommand]:
    """Links each command to its spec, and writes network and actions of the commands into the specs."""
    linked = [_linked(command, specs, folder, networks) for command in commands]
    for spec in specs:
        mine = [one for one in linked if one.spec is spec]
        said = [one.network for one in mine if one.network is not None]
        if said and can_read(networks, said[0], spec.format):
            spec.head = said[0]
        spec.actions = tuple(
            dict.fromkeys(one.action for one in sorted(mine, key=_order) if one.network in (None, spec.head))
        )
    for one in linked:
        if one.network is None and one.spec is not None:
            one.network = one.spec.head
    return linked


def _order(one: LinkedCommand) -> tuple[bool, int]:
    first = _FIRST_OF_DEPLOY if one.command.is_deploy else _FIRST
    return one.command.is_deploy, first.index(one.action) if one.action in first else len(first)


def _linked(
    command: TaoCommand, specs: Sequence[SpecRead], folder: Path, networks: Networks
) -> LinkedCommand:
    network = known_network(command.network, networks) if command.network else None
    spec = None if command.spec is None else spec_at(command.spec, command.file, specs, folder)
    return LinkedCommand(command, network, spec)


def spec_at(path: str, script: Path, specs: Sequence[SpecRead], folder: Path) -> SpecRead | None:
    """The spec at a path that ``script`` names: on this host, beside the script, or in a container, where only the end
    of the path is known. None where no spec, or more than one, can be meant."""
    host = Path(os.path.normpath(script.parent / path))
    for spec in specs:
        if folder / spec.name == host:
            return spec
    ends = posixpath.normpath(path).split("/")
    best: list[SpecRead] = []
    most = 0
    for spec in specs:
        same = _same_end(ends, spec.name.parts)
        if same > most:
            best, most = [spec], same
        elif same == most and most:
            best.append(spec)
    if len(best) > 1:
        near = max(_same_start(spec, script, folder) for spec in best)
        best = [spec for spec in best if _same_start(spec, script, folder) == near]
    return best[0] if len(best) == 1 else None


def _same_end(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count


def _same_start(spec: SpecRead, script: Path, folder: Path) -> int:
    count = 0
    for left, right in zip((folder / spec.name).parts, script.parts, strict=False):
        if left != right:
            break
        count += 1
    return count
