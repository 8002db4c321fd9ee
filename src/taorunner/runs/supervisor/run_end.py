"""The end of a run: records the verdict, queues another attempt, or leaves the state undecided.

Runs in the runner's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from taorunner.backends.contract import Backend, EngineStatus, Handle, SearchesResults
from taorunner.backends.secrets import remove_secrets, stored_secrets
from taorunner.disk_room import release
from taorunner.errors import ExitCode, TaorunnerError, UsageError
from taorunner.events import UNDECIDED, Notice, RunFinished, RunState, now
from taorunner.planning.checks.paths import linked_results
from taorunner.planning.model.plan_dataset import dataset_word
from taorunner.progress.verdict import Verdict
from taorunner.runs.chain import Turn, turn, why_never
from taorunner.runs.outputs.keeper import removed_by_rule
from taorunner.runs.outputs.recorded import save_results
from taorunner.runs.outputs.run_times import began_at
from taorunner.runs.outputs.scan import scan_results
from taorunner.runs.outputs.secret_files import secured_files, without_secret_names
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.active_run import Active
from taorunner.runs.supervisor.alarms import RunMonitor
from taorunner.runs.supervisor.retries import next_attempt
from taorunner.runs.supervisor.run_files import put_back
from taorunner.runs.supervisor.run_journal import Journal
from taorunner.runs.supervisor.worker import Ended
from taorunner.scheduling.allocator import Allocator
from taorunner.targets import sees_host_paths
from taorunner.text import naming_dataset
from taorunner.values.value import replace


class RunEnd:
    """``undecided`` are runs whose state is unknown, ``uncleared`` finished runs that the engine may still have.

    ``not_before_s`` is the earliest start of a run's next attempt, by the monotonic clock. Ended runs are removed from
    ``active``.
    """

    def __init__(
        self, store: RunStore, journal: Journal, monitor: RunMonitor, gpus: Allocator, active: dict[str, Active],
        retry_waits_s: tuple[float, ...],
    ) -> None:  # fmt: skip
        self._store, self._journal, self._monitor, self._gpus = store, journal, monitor, gpus
        self._active, self._retry_waits_s = active, retry_waits_s
        self.undecided: set[str] = set()
        self.uncleared: set[str] = set()
        self.not_before_s: dict[str, float] = {}
        self._held: list[tuple[Active, Ended]] = []

    def end_launch(self, run_id: str, active: Active) -> None:
        """Records the last output of a process whose run the engine has requeued. The next one is observed afresh."""
        at = now()
        self._journal.emit(run_id, active.observation.printed(active.log.end_launch(), at))
        active.log.recorded.save(self._store.paths(run_id).position)
        active.observation, events = active.observation.requeued(at)
        self._journal.emit(run_id, events)

    def ended(self, active: Active, message: Ended) -> None:
        """Records the verdict of the run, unless it never ran or is retried."""
        run_id, at = message.run_id, now()
        release(self._store.paths(run_id).directory)
        if self._ends_with_its_chain(active, message):
            return
        error = message.error
        if error is not None:
            if not self._tries_again(run_id, error, None):
                self.fail(run_id, error)
            return
        record = self._journal.records[run_id]
        stopped_waiting = record.state is RunState.WAITING and record.stop_requested_at is not None
        if message.status is None or (stopped_waiting and record.started_at is None):
            self.finish(run_id, RunState.STOPPED, "stopped before it started", status=message.status)
            return
        active.take_models(self._store, self._journal)
        self._journal.emit(run_id, active.observation.printed(active.log.flush(), at))
        active.log.recorded.save(self._store.paths(run_id).position)
        self._journal.emit(run_id, active.observation.read_status(at))
        if stopped_waiting:
            reason = "stopped while it waited to be started again"
            self.finish(run_id, RunState.STOPPED, reason, status=message.status)
            return
        stop_requested = self._journal.records[run_id].stop_requested_at is not None
        verdict, events = active.observation.judge(message.status, stop_requested=stop_requested, at=at)
        self._journal.emit(run_id, events)
        if not self._tries_again(run_id, verdict, message.status):
            self.finish(run_id, verdict.state, verdict.reason, hint=verdict.hint, status=message.status)

    def _ends_with_its_chain(self, active: Active, message: Ended) -> bool:
        """Whether a run that its engine was to start after another one was not started, or that is not known yet.

        The engine may cancel it before the end of the other one is recorded, and its own reason is not the cause.
        """
        record, records = self._journal.records[message.run_id], self._journal.records
        was_started = record.started_at is not None or record.stop_requested_at is not None
        if record.after is None or was_started or record.state is not RunState.WAITING:
            return False
        if message.status is None or message.status.exit_code is not None:
            return False
        whose = turn(record, records)
        if whose is Turn.LATER:
            self._held.append((active, message))
        elif whose is Turn.NEVER:
            self.finish(record.id, RunState.STOPPED, why_never(record, records), status=message.status)
        return whose is not Turn.NOW

    def _tries_again(self, run_id: str, ended: Verdict | TaorunnerError, status: EngineStatus | None) -> bool:
        """``--retries``: queues the run again, to resume from its newest checkpoint."""
        active = self._active[run_id]
        coming = next_attempt(
            self._journal.records[run_id], self._journal.plans[run_id], ended, self._retry_waits_s,
            has_started=active.handle is not None,
        )  # fmt: skip
        if coming is None:
            return False
        del self._active[run_id]
        if active.handle is None:
            self.put_back_results(run_id)
        active.log.close()
        self._store.paths(run_id).position.unlink(missing_ok=True)
        self._journal.save_plan(run_id, coming.plan)
        self.not_before_s[run_id] = time.monotonic() + coming.wait_s
        self._journal.save(coming.record)
        notice = Notice(run=run_id, at=now(), level="warning", code="retry", text=coming.text)
        self._journal.emit(run_id, [notice, replace(coming.record.queued_event(), at=notice.at)])
        self._monitor.end(run_id)
        if active.handle is not None and status is not None:
            with suppress(TaorunnerError):  # repeated right before the next attempt
                active.backend.remove(active.handle)
        self._gpus.release(run_id)
        return True

    def fail(self, run_id: str, error: TaorunnerError) -> None:
        """Ends a run that could not be started."""
        self.finish(run_id, RunState.FAILED, error.message, hint=error.hint, error_code=error.exit_code)

    def _for_its_data(self, run_id: str, hint: str) -> str:
        dataset = dataset_word(self._journal.plans[run_id])
        return hint if dataset is None else naming_dataset(hint, dataset)

    def finish(
        self, run_id: str, state: RunState, reason: str, *,
        hint: str | None = None, status: EngineStatus | None = None, error_code: ExitCode | None = None,
    ) -> None:  # fmt: skip
        """Makes a run final: writes everything to disk, removes the container, then reports the end."""
        exit_code = status.exit_code if status is not None else None
        if state is RunState.STOPPED:
            reason = self._journal.records[run_id].stop_reason or reason
        reason = self._journal.masked(run_id, reason)
        hint = None if hint is None else self._journal.masked(run_id, self._for_its_data(run_id, hint))
        event = RunFinished(run=run_id, at=now(), state=state, reason=reason, exit_code=exit_code, hint=hint)
        active = self._active.pop(run_id, None)
        if active is not None:
            active.log.close()
            self._journal.flush_output(run_id)
        release(self._store.paths(run_id).directory)
        if self._journal.records[run_id].started_at is None:
            self.put_back_results(run_id)
        self._look_for_links(run_id)
        secrets = self._secure_results(run_id, active)
        remove_secrets(self._store.paths(run_id).directory)
        record = self._journal.records[run_id].finished(event)
        self._journal.save(replace(record, error_code=int(error_code) if error_code is not None else None))
        self._store.paths(run_id).position.unlink(missing_ok=True)
        self._monitor.end(run_id)
        if active is not None and active.handle is not None and status is not None:
            self._remove(run_id, active.backend, active.handle)
        self._gpus.release(run_id)
        self._record_results(record, secrets, active)
        self._journal.emit(run_id, [event])  # last: for readers this event means that everything is done

    def _remove(self, run_id: str, backend: Backend, handle: Handle) -> None:
        """Removes the run from its engine, also where that has no such run: a killed process leaves its files.

        Its log is on disk first. A later supervisor removes what is left.
        """
        try:
            self._journal.wait_for_disk(run_id)
            backend.remove(handle)
        except (OSError, TaorunnerError) as error:
            self.uncleared.add(run_id)
            why = error.message if isinstance(error, TaorunnerError) else f"its log is not on disk: {error}"
            text = f"the finished run could not be removed from the engine: {why}"
            self._journal.notice(run_id, "not-removed", text)

    def _look_for_links(self, run_id: str) -> None:
        """A run in a container can follow a link to its own files alone."""
        record, plan = self._journal.records[run_id], self._journal.plans[run_id]
        if record.started_at is None or linked_results.CODE in plan.forced:
            return
        with suppress(OSError, TaorunnerError):
            text = None
            if sees_host_paths(plan.backend, plan.backend_options):
                text = linked_results.planted_links(plan.results_dir)
            if text is not None:
                self._journal.notice(run_id, linked_results.CODE, text)

    def _secure_results(self, run_id: str, active: Active | None) -> tuple[str, ...]:
        """Says which results hold a secret of the run, and closes them to others. Gives the secrets."""
        record, plan = self._journal.records[run_id], self._journal.plans[run_id]
        if record.started_at is None or not plan.secrets:
            return ()
        secrets = stored_secrets(plan, self._store.paths(run_id).directory) or ()
        for code, text in secured_files(plan, secrets, began_at(record).timestamp(), _far(active)):
            self._journal.notice(run_id, code, text)
        return secrets

    def _record_results(self, record: RunRecord, secrets: tuple[str, ...], active: Active | None) -> None:
        """Removes old checkpoints and records what the run wrote. Without a record ``runs show`` searches again."""
        if record.started_at is None:
            return
        plan = self._journal.plans[record.id]
        with suppress(OSError, UsageError):
            for level, code, text in removed_by_rule(self._store, record, plan, now(), is_running=False):
                self._journal.notice(record.id, code, text, level=level)
        with suppress(OSError):
            found = scan_results(plan, began_at(record), far=_far(active))
            save_results(self._store, record.id, without_secret_names(found, plan, secrets))
        from taorunner.runs.inputs.taking import complete_lock  # parses specs: not needed before an end

        with suppress(OSError, ValueError):
            complete_lock(self._store, record, plan, secrets)

    def end_chains(self, queued: Iterable[str]) -> None:
        """Ends those of the queued runs in whose chain an earlier run did not succeed, and takes back those that the
        engine was to start by itself."""
        records = self._journal.records
        held, self._held = self._held, []
        for active, message in held:
            self.ended(active, message)
        for run_id, active in self._active.items():
            record = records[run_id]
            if record.after is None or record.state is not RunState.WAITING or record.started_at is not None:
                continue
            if turn(record, records) is Turn.NEVER:
                active.stop(0)
        for run_id in queued:
            record = records[run_id]
            if turn(record, records) is Turn.NEVER:
                self.finish(run_id, RunState.STOPPED, why_never(record, records))

    def clear(self, record: RunRecord, make_backend: Callable[[str], Backend]) -> None:
        """Removes a finished run that a crash may have left in the engine."""
        if record.handle is None:
            return
        try:
            backend = make_backend(record.backend)
            left = backend.find(record.id, self._store.paths(record.id).directory)
            if left is not None:
                backend.remove(left)
        except TaorunnerError:
            self.uncleared.add(record.id)

    def leave_undecided(self, run_id: str, why: str) -> None:
        """Leaves the run unchanged for a later supervisor, because the engine does not answer."""
        active = self._active.pop(run_id, None)
        if active is not None:
            active.log.close()
        self.undecided.add(run_id)
        text = f"state unknown: {why}; taorunner ps checks again"
        self._journal.notice(run_id, UNDECIDED, text)

    def put_back_results(self, run_id: str) -> None:
        """Moves back results that were set aside for a run that did not start."""
        for text in put_back(self._journal.plans[run_id], self._store.paths(run_id).directory):
            self._journal.notice(run_id, "put-back", text, level="info")


def _far(active: Active | None) -> SearchesResults | None:
    """What can search results on a disk that this machine does not see."""
    backend = active.backend if active is not None else None
    return backend if isinstance(backend, SearchesResults) else None
