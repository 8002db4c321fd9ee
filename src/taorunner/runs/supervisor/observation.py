"""Observation: collects the console output, status.json and result files of one run for its verdict.

The tracker turns console lines and status.json into events. The sizes of status.json files at launch are kept, because
earlier content belongs to an earlier run.
"""

from __future__ import annotations

import math
import os
import posixpath
import time
from collections.abc import Callable
from copy import copy
from datetime import datetime
from itertools import starmap
from pathlib import Path

from taorunner.backends.contract import EngineEnd, EngineState, EngineStatus
from taorunner.events import CheckpointSaved, EpochProgress, Event, Notice, RunState
from taorunner.planning.checkpoints.checkpoint_files import epoch_of
from taorunner.planning.model.plan import RunPlan
from taorunner.progress.figures import EpochFigures, Figure
from taorunner.progress.result_file import LARGEST_FILE, read_result_file
from taorunner.progress.tracker import Tracker
from taorunner.progress.verdict import Verdict, judge
from taorunner.runs.far_results import results_of
from taorunner.runs.results import CLOCK_SLACK_S, ResultsAccess, ScalarSource
from taorunner.runs.state.log.log_position import RecordedLog
from taorunner.runs.supervisor.full_disk import with_full_disk_named
from taorunner.runs.supervisor.replay_filter import ReplayFilter
from taorunner.runs.supervisor.tfrecord_check import with_records_checked
from taorunner.state_files import open_state
from taorunner.values.value import replace

CHECKPOINT_COMES_WITHIN_S = 120.0
"""How long after an epoch its checkpoint is searched for, in seconds. Source: tao/real_runs.md, TensorFlow R2."""

_REPLAY_BYTES = 1 << 20
_MOST_EVENT_FILES, _READINGS_A_LOOK = 100, 16
"""A training starts one each time that it is resumed; a container can make any number of any size."""


class Observation:
    """The observation of one launch, created right before it.

    ``status_sizes`` are the bytes of each status.json that an earlier run wrote. ``results`` defaults to those of the
    plan. ``wall_clock`` may be changed during the run, ``steady_clock`` is monotonic; both in seconds.
    """

    def __init__(
        self, plan: RunPlan, run_id: str, launched_at: datetime, status_sizes: dict[str, int] | None = None, *,
        results: ResultsAccess | None = None,
        wall_clock: Callable[[], float] = time.time, steady_clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._results = results or results_of(plan)
        self._plan, self._run = plan, run_id
        self._launched_s = launched_at.timestamp()
        self._wall_clock, self._steady_clock = wall_clock, steady_clock
        self._clocks_apart_s = wall_clock() - steady_clock()
        self._checkpoints: set[str] = set()
        if status_sizes is None:
            status_sizes = {str(p): _size_at_start(plan, self._results, p) for p in self._status_files()}
        self._begin(status_sizes)

    def _begin(self, status_sizes: dict[str, int]) -> None:
        plan = self._plan
        self._replay_filter: ReplayFilter | None = None
        self._look_until_s = -math.inf
        resumed_at = plan.resume.next_epoch if plan.resume is not None else None
        self._tracker = Tracker(plan.contract, self._run, plan.epochs, resumed_at)
        self._scalars: dict[Path, ScalarSource] = {}
        self._epoch_figures = EpochFigures(plan.contract.progress.event_metrics)
        self.status_sizes = status_sizes
        self._readers = [
            self._results.status_source(path, status_sizes.get(str(path), 0)) for path in self._status_files()
        ]

    def plan_is(self, plan: RunPlan) -> None:
        """The names of the files that it writes are known now."""
        self._plan, self._results = plan, results_of(plan)

    def _status_files(self) -> list[Path]:
        return [self._plan.results_dir / name for name in self._plan.contract.progress.status_files]

    def catch_up(
        self, console: Path, recorded: RecordedLog, replay_filter: ReplayFilter, at: datetime
    ) -> list[Event]:
        """For a run started by an earlier supervisor: reads its output so far. Returns the events not emitted yet."""
        self._replay_filter = replay_filter
        self._checkpoints |= replay_filter.checkpoints
        found: list[Event] = []
        try:
            with os.fdopen(open_state(console), "rb") as file:
                file.seek(recorded.start)
                left = recorded.size - recorded.start
                while left > 0 and (block := file.read(min(left, _REPLAY_BYTES))):
                    left -= len(block)
                    found += replay_filter.missed(self._tracker.feed_console(block, at))
        except OSError:
            return []
        return self._new_ones(found)

    def printed(self, lines: bytes, at: datetime) -> list[Event]:
        """The events of complete console lines, as recorded."""
        return self._new_ones(self._looked_after(self._tracker.feed_console(lines, at)))

    def read_status(self, at: datetime) -> list[Event]:
        """The events of new status.json records and of new checkpoints in the results."""
        records = [record for reader in self._readers for record in reader.read_new()]
        events = self._looked_after(self._tracker.feed_status(records, at))
        if self._steady_clock() <= self._look_until_s:
            events += self._logged_figures(at)
            found = self._new_checkpoints(at)
            if found:
                self._look_until_s = -math.inf
            events += found
        return self._new_ones(events)

    def _looked_after(self, events: list[Event]) -> list[Event]:
        """Schedules checks for checkpoints, which are written some time after their epoch is reported complete."""
        if any(isinstance(event, EpochProgress) and event.completed for event in events):
            self._look_until_s = self._steady_clock() + CHECKPOINT_COMES_WITHIN_S
        return events

    def requeued(self, at: datetime) -> tuple[Observation, list[Event]]:
        """The observation of the next launch, and the last events of this one, when the engine has requeued the run.

        What the interrupted process printed does not count for the verdict. Its checkpoints are those of the run.
        """
        events = self._last_events(at)
        coming = copy(self)
        coming._begin({str(path): self._results.size(path) for path in self._status_files()})
        return coming, events

    def judge(
        self, status: EngineStatus, *, stop_requested: bool, at: datetime
    ) -> tuple[Verdict, list[Event]]:
        """The verdict and the last events before it. Call it once, after the last console line."""
        events = self._last_events(at)
        facts = replace(
            self._tracker.facts,
            exit_code=status.exit_code,
            oom_killed=status.oom_killed,
            missing=status.state is EngineState.MISSING,
            engine_error=status.error,
            stop_requested=stop_requested,
            artifact_fresh=self._artifact_is_fresh(),
            host_path=self._results.host_path,
            spec_lines=tuple(self._plan.spec.text.splitlines()) if self._plan.spec else (),
            arguments=self._plan.argv,
        )
        verdict = judge(self._plan.contract.verdict, facts)
        if status.end is not None and not stop_requested:
            return _verdict_of_engine(status.end), events
        if self._results.is_here:
            verdict = with_records_checked(self._plan, verdict, self._results.artifacts())
            verdict = with_full_disk_named(
                self._plan, verdict, facts, self._results.host_path, full_disk=status.full_disk
            )
        events += [
            Notice(run=self._run, at=at, level="warning", code=caution.code, text=caution.text)
            for caution in verdict.cautions
        ]
        if status.unconfirmed is not None:
            text, code = status.unconfirmed, "exit-unconfirmed"
            events.append(Notice(run=self._run, at=at, level="warning", code=code, text=text))
        return verdict, events

    def _last_events(self, at: datetime) -> list[Event]:
        records = [record for reader in self._readers for record in reader.read_new(last=True)]
        events = self._tracker.feed_status(records, at) + self._tracker.flush(at)
        return self._new_ones(
            events + self._logged_figures(at) + self._result_figures(at) + self._new_checkpoints(at)
        )

    def _result_figures(self, at: datetime) -> list[Event]:
        """The figures that an evaluation left in a file of this launch."""
        events: list[Event] = []
        for name in self._plan.contract.progress.result_files:
            path = self._plan.results_dir / name
            data = self._results.content(path, LARGEST_FILE) if self._is_fresh(path) else None
            if data is not None:
                events += self._tracker.feed_figures(starmap(Figure, read_result_file(data).items()), at)
        return events

    def _logged_figures(self, at: datetime) -> list[Event]:
        """New figures of event files of this launch."""
        figures: list[Figure] = []
        for path in self._results.event_files():
            if len(self._scalars) == _MOST_EVENT_FILES:
                break
            if path not in self._scalars and self._is_fresh(path):
                self._scalars[path] = self._results.scalar_source(path)
        for source in self._scalars.values():
            for _ in range(_READINGS_A_LOOK):
                if not (scalars := source.read_new()):
                    break
                figures += self._epoch_figures.of(scalars)
        return self._tracker.feed_figures(figures, at)

    def _new_checkpoints(self, at: datetime) -> list[Event]:
        """Events of new complete checkpoint files; most frameworks do not report them on the console."""
        if self._plan.contract.action != "train":
            return []
        contract = self._plan.contract.checkpoints
        try:
            found = self._results.checkpoints()
        except OSError:
            return []
        return [
            CheckpointSaved(run=self._run, at=at, path=str(path), epoch=epoch_of(path, contract))
            for path in found
            if path.name not in self._checkpoints and self._is_fresh(path) and not self._results.is_torn(path)
        ]

    def _new_ones(self, events: list[Event]) -> list[Event]:
        """Drops repeated reports of a checkpoint by console and results."""
        kept: list[Event] = []
        for event in events:
            if isinstance(event, CheckpointSaved):
                name = posixpath.basename(event.path)
                if name in self._checkpoints:
                    continue
                self._checkpoints.add(name)
            kept.append(event)
        return kept if self._replay_filter is None else self._replay_filter.new_ones(kept)

    def _artifact_is_fresh(self) -> bool | None:
        """None if the contract names no artifact."""
        if not self._plan.contract.verdict.artifacts:
            return None
        return any(self._is_fresh(path) for path in self._results.artifacts())

    def _is_fresh(self, path: Path) -> bool:
        modified_s = self._results.modified_s(path)
        return modified_s is not None and modified_s >= self._launched_s - CLOCK_SLACK_S - self._set_back_s()

    def _set_back_s(self) -> float:
        """By how many seconds the clock was set back since the launch; new files appear older by that."""
        return max(0.0, self._clocks_apart_s - (self._wall_clock() - self._steady_clock()))


def _verdict_of_engine(end: EngineEnd) -> Verdict:
    """The verdict of a run that the engine ended: a time limit, a node that died, a stop by its own commands."""
    state = RunState.STOPPED if end.was_stopped else RunState.FAILED
    return Verdict(state, end.reason, end.hint, is_transient=end.is_transient)


def _size_at_start(plan: RunPlan, results: ResultsAccess, path: Path) -> int:
    """The size of a file when the run starts; 0 if ``--overwrite`` moves it aside."""
    return 0 if any(path.is_relative_to(gone) for gone in plan.set_aside) else results.size(path)
