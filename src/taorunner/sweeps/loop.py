"""The loop of a sweep: chooses values, starts runs, takes down what ended, and ends what is hopeless.

One process at a time runs it (``SweepFolder.owning``). Everything that it must not forget is in ``trials.jsonl`` before
it acts on it, so that it can be killed at any moment and go on: no trial is lost and none is run twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from taorunner.errors import MachineError, TaorunnerError
from taorunner.events import RunState, now
from taorunner.planning.model.request import Site
from taorunner.planning.model.run_ids import new_run_id
from taorunner.runs.control.launch import LaunchOptions, add_plans
from taorunner.runs.control.watchdog import Watchdog
from taorunner.runs.state.history import read_history
from taorunner.runs.state.run_repair import NEVER_STARTED
from taorunner.sweeps.choosing import chooser_of, meets, starts
from taorunner.sweeps.folder import StoredSweep, SweepFolder
from taorunner.sweeps.half_recorded import remove_unlisted, remove_unrecorded
from taorunner.sweeps.losers import KEPT, checkpoints_of_trials, losers, remove
from taorunner.sweeps.pruning import reason_to_prune
from taorunner.sweeps.trial import Ending, Trial
from taorunner.sweeps.trial_plan import base_values, experiment_of, plan_trial

if TYPE_CHECKING:
    from pathlib import Path

    from taorunner.project.sweeps.definition import Sweep, Values
    from taorunner.project.workspace import Workspace
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore

LOOK_EVERY_S, LOOK_AT_FILE_EVERY_S = 0.25, 0.02
"""The loop runs this often. In between it checks whether a record has changed; with more runs it checks less often."""
ATTEMPTS = 2
"""A trial whose run was lost, as in a power cut, is trained once more, into a folder of its own."""
LINGERS_S = 10.0
"""For so long the supervisor of the runs stays when nothing is left to do: starting another one would take longer."""
GIVE_UP_AFTER_S = 600.0
"""For how long starting a supervisor may fail before the sweep ends with that error."""
TAKEN_BACK = "taken back before it started"
"""Why a run was stopped whose trial is still to come, when the sweep goes on."""
_ENDINGS: Mapping[RunState, Ending] = {
    RunState.SUCCEEDED: "succeeded", RunState.FAILED: "failed", RunState.STOPPED: "stopped", RunState.LOST: "lost",
}  # fmt: skip


class SweepLoop:
    """``gpus`` is the number of GPUs of a trial, ``parallel`` the number of trials at once."""

    def __init__(
        self, workspace: Workspace, store: RunStore, folder: SweepFolder, sweep: Sweep, stored: StoredSweep,
        environ: Mapping[str, str], *, gpus: int, parallel: int,
    ) -> None:  # fmt: skip
        self._workspace, self._store, self._folder, self._environ = workspace, store, folder, environ
        self._sweep, self._stored = sweep, stored
        self._gpus, self._parallel = gpus, parallel
        self._chooser = chooser_of(sweep, maximize=stored.maximize)
        self._trials = {trial.number: trial for trial in folder.trials()}
        self._watchdog: tuple[tuple[str, ...], Watchdog] | None = None
        self._trouble_since_s: float | None = None
        self._removed: set[int] = set()
        self._judged: dict[Path, object] = {}

    @property
    def trials(self) -> list[Trial]:
        return [self._trials[number] for number in sorted(self._trials)]

    def run(self, is_stopped: Callable[[], bool] = lambda: False) -> str:
        """Until no further trial is to come and all have ended. Returns why it ended.

        Raises:
            TaorunnerError: a trial cannot be planned, as none could; or nothing can be recorded.
            OSError: the journal cannot be written.
        """
        self._mend()
        while True:
            seen = self._stamps()
            self._judge(seen)
            stopping = is_stopped()
            over = self._why_over() or ("stopped" if stopping else None)
            if over is None:
                over = self._choose()
            if stopping:
                self._take_back()
            else:
                self._start_each(self._startable())
            self._remove_losers()
            if over is not None and not self._under_way(with_run=stopping):
                return "stopped" if self._under_way() else over
            self._keep_supervised()
            self._wait_for_changes(seen)

    def _mend(self) -> None:
        """Completes what a loop that was killed left halfway."""
        for trial in self._under_way():
            record = self._record(trial)
            if record is not None and remove_unlisted(self._store, record):
                self._said(trial, back=True)
            elif trial.run is None:
                self._end_if_unmet(trial)

    def _under_way(self, *, with_run: bool = False) -> list[Trial]:
        """Those that are not over; ``with_run``: and whose run is recorded."""
        left = [trial for trial in self.trials if not trial.is_over]
        return [trial for trial in left if trial.run and self._is_recorded(trial.run)] if with_run else left

    def _wait_for_changes(self, seen: Mapping[Path, object]) -> None:
        """Until the files are not as they were ``seen``, or it is time to look again."""
        until_s = time.monotonic() + LOOK_EVERY_S
        while time.monotonic() < until_s and self._stamps() == seen:
            time.sleep(min(LOOK_EVERY_S, LOOK_AT_FILE_EVERY_S * len(seen)))

    def _stamps(self) -> Mapping[Path, object]:
        """What tells whether a file has changed: of the records of runs under way, and of the request to stop."""
        runs = [self._store.paths(trial.run) for trial in self._under_way() if trial.run is not None]
        return {file: _stamp(file) for file in (self._folder.stop_request, *(run.record for run in runs))}

    def _choose(self) -> str | None:
        """Chooses as many trials as may run now; returns why there are no more.

        Where nothing depends on earlier trials one more is recorded: its run waits, so that no time is lost.
        """
        wanted = self._parallel + self._sweep.is_fixed
        while len(self._under_way()) < wanted:
            over = self._why_over() or (None if self._next() else "no other values are left")
            if over is not None:
                return over
        return None

    def _startable(self) -> list[Trial]:
        """Trials without a run, but for those whose values another one is training: they will have its value."""
        left = self._under_way()
        found = []
        for place, trial in enumerate(left):
            if trial.run is None and (twin := self._twin(trial)) is not None:
                self._end(
                    trial, "same", value=twin.value, epoch=twin.epoch, curve=twin.curve,
                    reason=f"the values of {twin.name}",
                )  # fmt: skip
            elif trial.run is None and any(one.values == trial.values for one in left[:place]):
                continue
            elif trial.run is None or not self._is_recorded(trial.run):
                found.append(trial)
        return found

    def _take_back(self) -> None:
        """Runs that have not started are stopped; their trials have one when the sweep goes on."""
        for trial in self._under_way(with_run=True):
            record = self._record(trial)
            if record is None or record.state not in (RunState.QUEUED, RunState.WAITING):
                continue
            if record.started_at is not None:
                continue  # its engine put it back into the queue: it goes on, like those that run
            if trial.pruning is None:
                self._said(trial, pruning=TAKEN_BACK)
            self._store.request_stop(record.id, now(), only_queued=record.state is RunState.QUEUED)

    def _keep_supervised(self) -> None:
        """Somebody has to restart a supervisor that was killed, or lost with the power: nobody else may be looking."""
        runs = tuple(str(trial.run) for trial in self._under_way(with_run=True))
        if self._watchdog is None or self._watchdog[0] != runs:
            self._watchdog = (runs, Watchdog(self._store, runs))
        try:
            self._watchdog[1].keep(time.monotonic())
        except MachineError:
            at_s = time.monotonic()
            self._trouble_since_s = self._trouble_since_s or at_s
            if at_s - self._trouble_since_s > GIVE_UP_AFTER_S:
                raise
            self._watchdog = None  # a loaded machine needs longer, and a full disk may have room again
        else:
            self._trouble_since_s = None

    def _remove_losers(self) -> None:
        """What ``keep`` of experiments.yml asks for, once for each trial."""
        keep = KEPT.get(self._sweep.keep)
        if keep is None:
            return
        known = losers(self.trials, keep, maximize=self._stored.maximize)
        found = [trial for trial in known if trial.number not in self._removed]
        if found:
            remove(checkpoints_of_trials(self._store, found))
            self._removed |= {trial.number for trial in found}

    def _why_over(self) -> str | None:
        """Why no further trial starts; None when one may."""
        sweep, trials = self._sweep, self.trials
        if len(trials) >= sweep.trials:
            return f"all {sweep.trials} trials"
        failed = [trial for trial in trials if trial.ending in ("failed", "lost")]
        if sweep.stop.failures is not None and len(failed) >= sweep.stop.failures:
            return f"{len(failed)} trials failed"
        if sweep.stop.hours is not None and self._hours() >= sweep.stop.hours:
            return f"{sweep.stop.hours:g} hours are over"
        return self._without_better()

    def _hours(self) -> float:
        from datetime import datetime

        return (now() - datetime.fromisoformat(self._stored.started_at)).total_seconds() / 3600

    def _without_better(self) -> str | None:
        most = self._sweep.stop.no_better_for
        counted = [trial for trial in self.trials if trial.counts]
        if most is None or not counted:
            return None
        best = best_of(counted, maximize=self._stored.maximize)
        since = sum(trial.is_over for trial in self.trials if best is not None and trial.number > best.number)
        return f"{since} trials without a better one" if since >= most else None

    def _next(self) -> bool:
        """Chooses the values of the next trial. False when there are no others."""
        number = len(self._trials)
        first = starts(self._sweep)
        if number < len(first):
            values, is_base = first[number], first[number] is None
            chosen: Values | None = self._of_base() if values is None else {**self._of_base(), **values}
        else:
            chosen, is_base = self._chooser.next_values(number, self.trials, self._gpus), False
        if chosen is None:
            return False
        trial = Trial(number=number, values=dict(chosen), is_base=is_base)
        self._said(trial, values=dict(chosen), base=is_base)
        self._end_if_unmet(self._trials[number])
        return True

    def _end_if_unmet(self, trial: Trial) -> None:
        if not trial.is_base and not meets(self._sweep, trial.values, self._gpus):
            self._end(trial, "failed", reason="its values do not meet the conditions")

    def _twin(self, trial: Trial) -> Trial | None:
        """An earlier one with the same values that trained to its end."""
        earlier = (one for one in self.trials if one.number < trial.number and one.values == trial.values)
        return next((one for one in earlier if one.ending == "succeeded"), None)

    def _of_base(self) -> Values:
        run_id = new_run_id(f"{self._sweep.name}-t000", "train", now())
        site = Site(run_id, self._store.paths(run_id).directory)
        return base_values(self._workspace, self._folder.project, self._sweep, site, self._environ)

    def _start_each(self, trials: Sequence[Trial]) -> None:
        """Records the runs of trials together, each under an id that is on record for its trial by then.

        An id that a loop was killed with is not taken again: the batch that has it, too, may be undone at any moment.
        """
        plans = []
        for trial in trials:
            if trial.run is not None:
                remove_unrecorded(self._store, trial.run)
            run_id = new_run_id(experiment_of(self._sweep, trial), "train", now())
            self._said(trial, run=run_id)
            site = Site(run_id, self._store.paths(run_id).directory)
            plan = plan_trial(
                self._workspace, self._folder.project, self._sweep, self._trials[trial.number], site,
                self._environ, results=self._stored.results,
            )  # fmt: skip
            plans.append((run_id, plan))
        if plans:
            options = LaunchOptions(parallel=self._parallel, lingers_s=LINGERS_S)
            add_plans(self._store, self._batch(), plans, options, self._environ)

    def _batch(self) -> str | None:
        """The open batch of the sweep, to which further trials are added; None when it has none."""
        opened = self._store.open_batches.ids()
        for trial in reversed(self.trials):
            record = self._record(trial)
            if record is not None and record.batch in opened:
                return record.batch
        return None

    def _record(self, trial: Trial) -> RunRecord | None:
        if trial.run is None:
            return None
        try:
            return self._store.load(trial.run)
        except (TaorunnerError, OSError, ValueError):
            return None

    def _is_recorded(self, run_id: str) -> bool:
        return self._store.paths(run_id).record.exists()

    def _judge(self, stamps: Mapping[Path, object]) -> None:
        """Takes down what ended, and asks for the end of what is hopeless."""
        for trial in self._under_way():
            file = None if trial.run is None else self._store.paths(trial.run).record
            is_new = file is not None and self._judged.get(file) != stamps.get(file)
            record = self._record(trial) if is_new or self._sweep.pruner is not None else None
            if file is None or record is None:
                continue
            if record.state.is_final:
                self._judged.pop(file, None)
                self._take_down(trial, record, self._curve(record.id))
                continue
            self._judged[file] = stamps.get(file)
            if self._sweep.pruner is not None:
                self._prune(trial, record, self._curve(record.id))

    def _curve(self, run_id: str) -> dict[int, float]:
        history = read_history(self._store, run_id).get(self._stored.metric, {})
        return {
            epoch: value for epoch, value in history.items() if epoch is not None and math.isfinite(value)
        }

    def _take_down(self, trial: Trial, record: RunRecord, curve: Mapping[int, float]) -> None:
        ending, reason = _ENDINGS.get(record.state, "failed"), record.reason
        if ending == "lost" and trial.attempt < ATTEMPTS:
            self._said(trial, again=reason or "its run was lost")
            return
        if ending == "stopped" and self._is_taken_back(trial, record):
            if record.started_at is None:
                self._said(trial, back=True)
                return
            if trial.attempt < ATTEMPTS:
                self._said(trial, again="it started while it was taken back")
                return
        elif ending == "stopped" and trial.pruning is not None:
            ending, reason = "pruned", trial.pruning
        if ending == "succeeded" and not curve:
            ending, reason = "failed", f"it reported no {self._stored.metric}"
        epoch = best_epoch(curve, maximize=self._stored.maximize)
        value = None if epoch is None else curve[epoch]
        self._end(trial, ending, value=value, epoch=epoch, curve=curve, reason=reason)

    def _is_taken_back(self, trial: Trial, record: RunRecord) -> bool:
        """Whether the run was stopped so that its trial comes later, and not because someone wants it ended."""
        if trial.pruning == TAKEN_BACK:
            return True
        if record.started_at is not None:
            return False
        # ``sweep stop --now`` stops a run before this loop sees the stop; recovery ends a run that no batch has.
        return self._folder.is_asked_to_stop() or record.reason == NEVER_STARTED

    def _prune(self, trial: Trial, record: RunRecord, curve: Mapping[int, float]) -> None:
        if record.epochs is not None and max(curve, default=0) >= record.epochs:
            return  # it has trained to its end
        known = None if trial.pruning == TAKEN_BACK else trial.pruning
        reason = known or self._reason(trial, curve)
        if reason is None or trial.run is None:
            return
        if known is None:
            self._said(trial, pruning=reason)
        self._store.request_stop(trial.run, now())

    def _reason(self, trial: Trial, curve: Mapping[int, float]) -> str | None:
        if self._sweep.pruner is None:
            return None
        tried = (one for one in self.trials if one.ending not in ("failed", "lost"))
        others = [self._curve_of(one) for one in tried if one.number != trial.number]
        return reason_to_prune(self._sweep.pruner, curve, others, maximize=self._stored.maximize)

    def _curve_of(self, trial: Trial) -> Mapping[int, float]:
        if trial.is_over or trial.run is None:
            return trial.curve
        return self._curve(trial.run)

    def _end(
        self, trial: Trial, ending: Ending, *, value: float | None = None, epoch: int | None = None,
        curve: Mapping[int, float] | None = None, reason: str | None = None,
    ) -> None:  # fmt: skip
        self._said(
            trial, ended=ending, value=value, epoch=epoch, curve=sorted((curve or {}).items()), reason=reason
        )

    def _said(self, trial: Trial, **said: object) -> None:
        from taorunner.sweeps.folder import after

        self._folder.add(trial.number, **said)
        self._trials[trial.number] = after(self._trials.get(trial.number, trial), said)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def best_epoch(curve: Mapping[int, float], *, maximize: bool) -> int | None:
    """The first of those with the best value."""
    if not curve:
        return None
    best = max(curve.values()) if maximize else min(curve.values())
    return min(epoch for epoch, value in curve.items() if value == best)


def best_of(trials: Sequence[Trial], *, maximize: bool) -> Trial | None:
    """The first of those with the best value; pruned ones count by the value that they reached."""
    found = [trial for trial in trials if trial.counts and trial.value is not None]
    if not found:
        return None
    return min(
        found, key=lambda trial: (-(trial.value or 0) if maximize else (trial.value or 0), trial.number)
    )
