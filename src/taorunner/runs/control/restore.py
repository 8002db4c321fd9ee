"""Earlier results of an experiment, with the runs that made them; puts them back, and chooses those to remove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from taorunner.contracts import Contract
from taorunner.errors import TaorunnerError, UnknownNameError
from taorunner.events import now
from taorunner.planning.checkpoints.checkpoint_files import find_checkpoints
from taorunner.planning.inputs.earlier_results import results_of_training
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.runs.control.launch import alone
from taorunner.runs.control.startable import refuse_while_running
from taorunner.runs.outputs.scan import size_of_folder
from taorunner.runs.outputs.set_aside import (
    MODEL,
    RECORDS,
    TRAINING,
    SetAside,
    find_set_aside,
    names_set_aside,
    put_back,
)
from taorunner.runs.outputs.writers import writer_of
from taorunner.runs.state.lookup.run_filter import RunFilter, records_of
from taorunner.runs.state.lookup.training_scores import lineage_scores
from taorunner.runs.state.metric_names import kpi_name
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.snapshot import fold
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.run_files import recorded_moves
from taorunner.text import did_you_mean, printable

_ACTIONS = {TRAINING: ("train", "distill"), RECORDS: ("convert", "dataset_convert")}


@dataclass(frozen=True, slots=True)
class Earlier:
    """Results that were set aside. ``run`` made them, if it is still recorded; ``best`` is its main metric and value.

    ``checkpoints`` is their number; None for results of another action than training.
    """

    item: SetAside
    run: str | None = None
    best: tuple[str, float] | None = None
    checkpoints: int | None = None

    def to_json(self) -> dict[str, object]:
        best = {self.best[0]: self.best[1]} if self.best is not None else {}
        return {**self.item.to_json(), "run": self.run, "checkpoints": self.checkpoints, "best": best}


class EarlierResults:
    """The results of the experiments of one project, in place and set aside.

    ``experiments`` are those of experiments.yml, then those that have only records or results that were set aside. They
    and the records are read once, at the start.
    """

    def __init__(self, workspace: Workspace, store: RunStore, project: str) -> None:
        self._store, self._project = store, project
        self._paths = workspace.project(project)
        self._experiments = load_project(workspace, project).experiments
        self._networks = Networks(workspace.networks_dir)
        self._records = records_of(store, RunFilter(project=project))
        self._held = tuple(self._moved_by_unfinished())
        recorded = (record.experiment for record in self._records)
        self.experiments = tuple(
            dict.fromkeys([*self._experiments, *recorded, *names_set_aside(self._paths)])
        )

    def check(self, experiment: str) -> None:
        """Raises UnknownNameError for an experiment that is neither in the project nor recorded."""
        if experiment not in self.experiments:
            message = f'there is no experiment "{printable(experiment)}" in project "{self._project}"'
            raise UnknownNameError(message, hint=did_you_mean(experiment, self.experiments))

    def set_aside(self, experiment: str) -> list[Earlier]:
        """What was set aside for the experiment, the newest first. What a run in progress set aside is left out: it is
        put back if that run does not start."""
        self.check(experiment)
        found = find_set_aside(self._paths, experiment, tuple(self._experiments))
        return [
            self._described(item, item.at)
            for item in found
            if not any(path.is_relative_to(item.path) for _, path in self._held)
        ]

    def holders(self, experiment: str) -> list[str]:
        """The short ids of the runs of the experiment that have not ended and set something aside."""
        held = (record.id for record, _ in self._held if record.experiment == experiment)
        return [self._store.short_id(run_id) for run_id in dict.fromkeys(held)]

    def refuse_while_running(self, experiment: str) -> None:
        """Raises RunStateError when a run of the experiment has not ended."""
        refuse_while_running(self._store, self._project, experiment)

    def in_place(self, item: SetAside) -> Earlier | None:
        """What ``item`` would take the place of; None if nothing of the kind is there."""
        if not item.place.exists():
            return None
        if item.kind == TRAINING and not self._written_by_training(item.experiment, item.place):
            return None
        size, files, newest_s = size_of_folder(item.place) if item.place.is_dir() else (0, 1, 0.0)
        if item.kind == TRAINING:
            contract = self._contract(item.experiment)
            newest = [path.stat().st_mtime for path in self._checkpoints(item.place, contract)]
            newest_s = max(newest, default=newest_s)
        elif not item.place.is_dir():
            size, newest_s = item.place.stat().st_size, item.place.stat().st_mtime
        here = SetAside(
            item.experiment, item.kind, item.place, item.place, item.at, size, files, newest_s, item.root
        )
        return self._described(here, now())

    def restore(self, earlier: Earlier, at: datetime) -> Path | None:
        """Puts it back; what was in its place is set aside. Gives where that is now, None if there was nothing.

        Raises:
            RunStateError: a run of the experiment has not ended.
            MachineError: something cannot be moved; nothing was changed.
        """
        item = earlier.item
        with alone(self._store):
            refuse_while_running(self._store, self._project, item.experiment)
            return put_back(item, lambda place: self._written_by_training(item.experiment, place), at)

    def _moved_by_unfinished(self) -> Iterable[tuple[RunRecord, Path]]:
        for record in self._store.unfinished():
            if record.project == self._project:
                for move in recorded_moves(self._store.paths(record.id).directory):
                    yield record, move.aside

    def _described(self, item: SetAside, until: datetime) -> Earlier:
        run = self._run_of(item, until)
        checkpoints = None
        if item.kind == TRAINING:
            checkpoints = len(self._checkpoints(item.path, self._contract(item.experiment)))
        return Earlier(item, run.id if run is not None else None, self._best(run), checkpoints)

    def _run_of(self, item: SetAside, until: datetime) -> RunRecord | None:
        """The newest run of the experiment that wrote something of it, before ``until``."""
        records = [
            record
            for record in self._records
            if record.experiment == item.experiment
            and record.action in _ACTIONS.get(item.kind, (record.action,))
            and not (item.kind == MODEL and record.action in ("train", "evaluate"))
        ]
        return writer_of(self._store, records, item.place, item.path, item.newest_s, until)

    def _best(self, run: RunRecord | None) -> tuple[str, float] | None:
        """Of the run, and of those that it resumes: their checkpoints are there too."""
        if run is None:
            return None
        scores = lineage_scores(self._store, run)
        best = scores.best_of(set(scores.values)) if scores is not None else None
        if scores is not None and scores.metric is not None and best is not None:
            return scores.metric, scores.values[best]
        snapshot = fold(self._store.read_events(run.id)[0], run.id)
        name = kpi_name(snapshot.best, snapshot.judged)
        return (name, snapshot.best[name].value) if name is not None else None

    def _contract(self, experiment: str) -> Contract | None:
        known = self._experiments.get(experiment)
        if known is None:
            return None
        try:
            return self._networks.load(known.head).contract("train", known.release)
        except TaorunnerError:
            return None

    def _checkpoints(self, folder: Path, contract: Contract | None) -> Sequence[Path]:
        try:
            return find_checkpoints(folder, contract.checkpoints) if contract is not None else ()
        except OSError:
            return ()

    def _written_by_training(self, experiment: str, place: Path) -> Sequence[Path]:
        contract = self._contract(experiment)
        if contract is None:
            return ()
        return results_of_training(contract, place, self._networks.load(contract.network))
