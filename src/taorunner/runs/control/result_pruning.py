"""Which results can be removed to make room: those that were set aside, and old checkpoints. Removes them.

Results in place lose nothing but checkpoints that a rule does not keep, and nothing while a run of the experiment is
under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from taorunner.contracts import Contract
from taorunner.errors import MachineError, TaorunnerError
from taorunner.planning.checkpoints.checkpoint_files import find_checkpoints
from taorunner.planning.inputs.resume import find_resume_point
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.runs.control.launch import alone
from taorunner.runs.control.restore import EarlierResults
from taorunner.runs.control.startable import refuse_while_running
from taorunner.runs.outputs.measured import measured_epochs
from taorunner.runs.outputs.old_checkpoints import (
    KeepRule,
    OldCheckpoint,
    old_checkpoints,
    remove_checkpoint,
)
from taorunner.runs.outputs.set_aside import SetAside, remove
from taorunner.runs.state.lookup.run_filter import RunFilter, records_of
from taorunner.runs.state.lookup.short_ids import short_ids
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore


@dataclass(frozen=True, slots=True)
class PrunableResult:
    """``note`` follows the path when it is shown. ``set_aside`` is None for an old checkpoint of ``results``."""

    project: str
    experiment: str
    path: Path
    bytes: int
    results: Path
    note: str = ""
    set_aside: SetAside | None = None

    def to_json(self) -> dict[str, object]:
        kind = "set-aside" if self.set_aside is not None else "checkpoint"
        return {
            "project": self.project, "experiment": self.experiment, "kind": kind, "path": str(self.path),
            "bytes": self.bytes,
        }  # fmt: skip


def prunable_results(
    workspace: Workspace, store: RunStore, projects: Sequence[str], *, keep: int | None, older: timedelta | None,
    at: datetime,
) -> tuple[list[PrunableResult], list[str]]:  # fmt: skip
    """What was set aside: of each experiment without the ``keep`` newest, and longer ago than ``older``; and notes on
    what runs that have not ended still hold."""
    found: list[PrunableResult] = []
    notes: list[str] = []
    ids = store.run_ids()
    for project in projects:
        results = EarlierResults(workspace, store, project)
        for experiment in results.experiments:
            for holder in results.holders(experiment):
                notes.append(f"run {holder} keeps what it set aside from {experiment} until it has ended")
            for one in results.set_aside(experiment)[keep or 0 :]:
                if older is not None and at - one.item.at <= older:
                    continue
                run = f"  run {short_ids([one.run], ids)[one.run]}" if one.run is not None else ""
                found.append(
                    PrunableResult(
                        project, experiment, one.item.path, one.item.bytes, one.item.place, run, one.item
                    )
                )
    return found, notes


def prunable_checkpoints(
    workspace: Workspace, store: RunStore, projects: Sequence[str], rule: KeepRule, at: datetime
) -> tuple[list[PrunableResult], list[str]]:
    """The old checkpoints of each experiment's results, and notes on experiments that keep all of theirs."""
    networks = Networks(workspace.networks_dir)
    found: list[PrunableResult] = []
    notes: list[str] = []
    busy = {(record.project, record.experiment) for record in store.unfinished()}
    for project in projects:
        paths = workspace.project(project)
        records = records_of(store, RunFilter(project=project, action="train"))
        for name, experiment in load_project(workspace, project).experiments.items():
            results = paths.results_dir(name)
            try:
                contract = networks.load(experiment.head).contract("train", experiment.release)
            except (TaorunnerError, OSError):
                continue
            trained = [one for one in records if one.experiment == name]
            try:
                old, why = _old_of(store, trained, contract, results, rule, at, (project, name) in busy)
            except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before Python 3.13
                reason = (getattr(error, "strerror", None) or str(error)).lower()
                old, why = [], f"they cannot be read ({reason})"
            if why is not None:
                notes.append(f"{name} keeps its checkpoints: {why}")
            found += [PrunableResult(project, name, one.path, one.bytes, results) for one in old]
    return found, notes


def _old_of(
    store: RunStore, trained: Sequence[RunRecord], contract: Contract, results: Path, rule: KeepRule, at: datetime,
    is_busy: bool,
) -> tuple[list[OldCheckpoint], str | None]:  # fmt: skip
    """The old checkpoints of one experiment, and why all stay. ``trained`` are its trainings, newest first.

    Raises OSError or RuntimeError when the results cannot be read.
    """
    checkpoints = find_checkpoints(results, contract.checkpoints)
    if not checkpoints or results.is_symlink():
        return [], None
    if is_busy:
        return [], "a run of it has not ended"
    measured = measured_epochs(store, trained, checkpoints, contract.checkpoints, at)
    if contract.checkpoints.is_directory:
        return [], "they are folders"
    if rule.is_best and measured is None:
        return [], "no metric on record says which is best"
    point = find_resume_point(contract, results)
    resumed_from = point.checkpoint if point is not None else None
    old = old_checkpoints(
        checkpoints, results, contract.checkpoints, rule, measured, resumed_from=resumed_from
    )
    return old, None


def remove_result(store: RunStore, chosen: PrunableResult) -> None:
    """Removes it. Links are removed, not their targets.

    Raises:
        RunStateError: a run of the experiment has been started since.
        MachineError: it cannot be removed.
    """
    with alone(store):
        if chosen.set_aside is not None:
            remove(chosen.set_aside)
            return
        refuse_while_running(store, chosen.project, chosen.experiment)
        try:
            remove_checkpoint(chosen.results, chosen.path)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise MachineError(f"{chosen.path} cannot be removed: {reason}") from error
