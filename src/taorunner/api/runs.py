"""``Run`` and ``Batch``: started runs, read from their files.

Every property reads the disk when it is accessed, so an object is never out of date.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from taorunner.errors import Finding
from taorunner.events import Event, RunState
from taorunner.planning.checkpoints.checkpoint_files import find_checkpoints
from taorunner.runs.control.stop import stop_runs
from taorunner.runs.control.watchdog import Watchdog
from taorunner.runs.lineage.tree import parents_of
from taorunner.runs.state.event_reader import EventReader
from taorunner.runs.state.history import read_history
from taorunner.runs.state.host_figures import with_host_figures
from taorunner.runs.state.log.log_reader import copy_log
from taorunner.runs.state.metric_names import Best
from taorunner.runs.state.snapshot import RunSnapshot, fold
from taorunner.runs.state.store import RunStore

_POLL_S = 0.1
_LAST_EVENT_WITHIN_S = 5.0


class Run:
    """One recorded run. ``id`` is its name on disk and in the engine. Two of the same run are equal.

    Example:
        >>> run = workspace.run("tiny")
        >>> run.experiment, run.action, run.state
        ('tiny', 'train', <RunState.SUCCEEDED: 'SUCCEEDED'>)
    """

    def __init__(self, store: RunStore, run_id: str) -> None:
        """``Workspace.run`` and ``start`` make it."""
        self.id = run_id
        self._store = store

    @property
    def path(self) -> Path:
        """The folder of its record, events and log."""
        return self._store.paths(self.id).directory

    @property
    def project(self) -> str:
        """The name of its project."""
        return self._store.load(self.id).project

    @property
    def experiment(self) -> str:
        """The name of its experiment."""
        return self._store.load(self.id).experiment

    @property
    def action(self) -> str:
        """``train``, ``evaluate``, ``export`` …"""
        return self._store.load(self.id).action

    @property
    def state(self) -> RunState:
        """QUEUED, STARTING, RUNNING, SUCCEEDED, FAILED, STOPPED or LOST; ``state.is_final`` when it is over."""
        return self._store.load(self.id).state

    @property
    def reason(self) -> str | None:
        """One line that says why it ended as it did; None while it is not over."""
        return self._store.load(self.id).reason

    @property
    def epoch(self) -> int | None:
        """The epoch that it works on, or the last one; None before the first, and where there are none."""
        return self._snapshot().epoch

    @property
    def metrics(self) -> dict[str, float]:
        """The newest value of each metric; NaN and infinity as reported. Those with ``host/`` in front were measured
        on this machine.

        Example:
            >>> sorted(run.metrics)
            ['train_loss', 'val_loss', 'val_mAP50']
        """
        return dict(self._snapshot().metrics)

    @property
    def best(self) -> dict[str, Best]:
        """The best finite value of each metric that can be judged, with its ``epoch``.

        Example:
            >>> run.best["val_mAP50"].value >= run.metrics["val_mAP50"]
            True
        """
        return dict(self._snapshot().best)

    @property
    def history(self) -> dict[str, list[tuple[int, float]]]:
        """``(epoch, value)`` of each metric over the epochs, in their order. Metrics outside training are left out.

        Example:
            >>> [epoch for epoch, value in run.history["train_loss"]]
            [1, 2]
        """
        found = read_history(self._store, self.id)
        by_name = {
            name: [(epoch, value) for epoch, value in values.items() if epoch is not None]
            for name, values in found.items()
        }
        return {name: values for name, values in by_name.items() if values}

    @property
    def results(self) -> Path:
        """The folder that the experiment's results are in. It exists once something was written.

        Example:
            >>> run.results.name
            'tiny'
        """
        return self._store.load_plan(self.id).results_dir

    @property
    def made_from(self) -> list[Run]:
        """The runs that made the weights, the model or the data that it read.

        Example:
            >>> [source.action for source in run.made_from]
            ['dataset_convert']
        """
        return [Run(self._store, one) for one in parents_of(self._store, self._store.load(self.id))]

    @property
    def checkpoints(self) -> list[Path]:
        """Checkpoints that are now in the results, in the order of training.

        Example:
            >>> [path.suffix for path in run.checkpoints]
            ['.npz', '.npz']
        """
        plan_of_run = self._store.load_plan(self.id)
        return list(find_checkpoints(plan_of_run.results_dir, plan_of_run.contract.checkpoints))

    def log(self, tail: int | None = None) -> str:
        """What the process printed so far, or the last ``tail`` lines of it.

        Raises:
            TaorunnerError: the log belongs to another user.

        Example:
            >>> run.log(tail=1)
            'Execution status: PASS\\n'
        """
        text = io.BytesIO()
        copy_log(self._store, self.id, text, follow=False, tail=tail)
        return text.getvalue().decode("utf-8", "replace")

    def stop(self) -> None:
        """Stops it, and returns when it is over. Does nothing to a run that is over.

        Raises:
            TaorunnerError: no supervisor stays alive to stop it, or its engine does not answer: it is stopped later.

        Example:
            >>> run.stop()
        """
        stop_runs(self._store, [self.id])

    def wait(self, timeout_s: float | None = None) -> RunState:
        """Blocks until it is over, and gives its final state.

        Raises:
            TimeoutError: it is not ended after ``timeout_s`` seconds; it goes on.
            TaorunnerError: no supervisor stays alive to follow it.

        Example:
            >>> run.wait(timeout_s=60)
            <RunState.SUCCEEDED: 'SUCCEEDED'>
        """
        _wait(self._store, [self.id], lambda: False, timeout_s)
        return self.state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    def _snapshot(self) -> RunSnapshot:
        snapshot = fold(self._store.read_events(self.id)[0], self.id)
        return with_host_figures(self._store, snapshot, self._store.load(self.id))


class Batch:
    """Runs that were started together, in the order of their experiments.

    ``findings`` are the warnings that they were started with.
    """

    def __init__(
        self, store: RunStore, batch_id: str, run_ids: Sequence[str], findings: Sequence[Finding] = (),
        is_owned: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        """``start`` makes it. ``is_owned`` says whether the supervisor that was started for it is alive."""
        self.id = batch_id
        self.findings = list(findings)
        self._store = store
        self._run_ids = tuple(run_ids)
        self._is_owned = is_owned

    @property
    def runs(self) -> list[Run]:
        """Its runs.

        Example:
            >>> [run.experiment for run in batch.runs]
            ['tiny']
        """
        return [Run(self._store, run_id) for run_id in self._run_ids]

    def events(self, follow: bool = True) -> Iterator[Event]:
        """What has happened to its runs, from their beginning on; with ``follow`` also what happens until all are over.

        The classes are those of ``taorunner.events``.

        Raises:
            TaorunnerError: no supervisor stays alive to follow the runs.

        Example:
            >>> [type(event).__name__ for event in batch.events()][-1]
            'RunFinished'
        """
        feed, watchdog = (
            EventReader(self._store, self._run_ids),
            Watchdog(self._store, self._run_ids, self._is_owned),
        )
        over_since_s: float | None = None
        while True:
            yield from sorted(feed.poll(), key=lambda event: event.at)
            if not follow or feed.is_over():
                return
            now_s = time.monotonic()
            watchdog.keep(now_s)
            if _is_over(
                self._store, self._run_ids
            ):  # the event follows the record, unless the supervisor was killed
                over_since_s = over_since_s or now_s
                if now_s - over_since_s > _LAST_EVENT_WITHIN_S:
                    return
            time.sleep(_POLL_S)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Blocks until all runs are over. True when every one of them succeeded.

        Interrupting it leaves the runs alone.

        Raises:
            TimeoutError: they are not ended after ``timeout_s`` seconds; they go on.
            TaorunnerError: no supervisor stays alive to follow them.

        Example:
            >>> batch.wait(timeout_s=60)
            True
        """
        _wait(self._store, self._run_ids, self._is_owned, timeout_s)
        return all(self._store.load(run_id).state is RunState.SUCCEEDED for run_id in self._run_ids)

    def stop(self) -> None:
        """Stops all runs that are not over, and returns when they are.

        Raises:
            TaorunnerError: no supervisor stays alive to stop them, or an engine does not answer: it is done later.

        Example:
            >>> batch.stop()
        """
        stop_runs(self._store, self._run_ids)

    def __repr__(self) -> str:
        return f"Batch({self.id!r}, runs={list(self._run_ids)!r})"


def _is_over(store: RunStore, run_ids: Sequence[str]) -> bool:
    return all(store.load(run_id).state.is_final for run_id in run_ids)


def _wait(
    store: RunStore, run_ids: Sequence[str], is_owned: Callable[[], bool], timeout_s: float | None
) -> None:
    watchdog = Watchdog(store, run_ids, is_owned)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while not _is_over(store, run_ids):
        now_s = time.monotonic()
        if deadline is not None and now_s >= deadline:
            raise TimeoutError(f"not ended after {timeout_s} s: {', '.join(run_ids)}")
        watchdog.keep(now_s)
        time.sleep(_POLL_S if deadline is None else min(_POLL_S, max(0.0, deadline - now_s)))
