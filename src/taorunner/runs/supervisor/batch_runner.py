"""BatchRunner: the loop that owns a batch. One thread decides, records and emits.

Workers (one thread per run) call the engine and put messages on one queue; this loop turns them into records and
events. Nothing else writes a run's folder while it runs. The states of a run are
QUEUED → STARTING → (WAITING in the engine →) RUNNING → a final state. An engine may requeue a run: RUNNING → WAITING.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping

from taorunner.backends.contract import Backend, Follows, Launch
from taorunner.backends.secrets import shown_in_process_list, stored_secrets, write_secrets
from taorunner.disk_room import is_no_room, no_room
from taorunner.errors import ExitCode, MachineError, TaorunnerError
from taorunner.events import ImagePulled, RunStarted, RunState, RunWaiting, now
from taorunner.gpu.inventory import hardware_of
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.chain import is_over, startable, with_models
from taorunner.runs.state.log.console_log import ConsoleLog
from taorunner.runs.state.run_repair import complete_run
from taorunner.runs.state.store import Batch, RunStore
from taorunner.runs.supervisor.active_run import Active
from taorunner.runs.supervisor.alarms import RunMonitor
from taorunner.runs.supervisor.event_sinks.run_sinks import run_sinks
from taorunner.runs.supervisor.observation import Observation
from taorunner.runs.supervisor.pick_up import has_started, pick_up
from taorunner.runs.supervisor.poller import Poller
from taorunner.runs.supervisor.retries import RETRY_WAITS_S
from taorunner.runs.supervisor.run_end import RunEnd
from taorunner.runs.supervisor.run_files import prepare_attempt, write_spec
from taorunner.runs.supervisor.run_journal import Journal
from taorunner.runs.supervisor.sinks import Problems
from taorunner.runs.supervisor.worker import (
    Launched,
    Message,
    Printed,
    Pulling,
    SetAside,
    Trouble,
    Undecided,
    Waits,
    Worker,
)  # fmt: skip
from taorunner.scheduling.allocator import Allocator, Queued
from taorunner.scheduling.delegated import within_max_submitted
from taorunner.values.pace import Pace
from taorunner.values.value import replace

TICK_S, TICK_PER_RUN_S = 0.25, 0.001  # a turn of the loop looks at each active run
TICK_WAITING_S, SOME = 0.08, 16
"""While runs wait for GPUs, or at most ``SOME`` trials run and the next one is to come: no GPU is idle for longer."""
STATUS_EVERY_S, STOPS_EVERY_S = 0.5, 0.2
_INBOX_SIZE = 32
"""The queue size in messages; a chunk of output has at most 256 KiB. Excess output waits in the pipe, not in memory."""
_MESSAGES_A_TURN = 64  # a run with much output must not delay stop requests and statuses


class BatchRunner:
    """Runs one batch to its end. ``gpus`` decides which runs start, and holds what they use.

    ``environ`` is where ``env:NAME`` secrets are looked up. ``make_backend`` gives one instance per name.
    """

    def __init__(
        self,
        store: RunStore,
        batch: Batch,
        *,
        make_backend: Callable[[str], Backend],
        gpus: Allocator,
        environ: Mapping[str, str],
        parallel_without_gpu: int = 1,
        ready: Callable[[], None] = lambda: None,
        retry_waits_s: tuple[float, ...] = RETRY_WAITS_S,
    ) -> None:
        self._store, self._batch = store, batch
        self._make_backend = make_backend
        self._gpus = gpus
        self._environ = environ
        self._parallel_without_gpu = parallel_without_gpu
        self._ready: Callable[[], None] | None = ready
        self._backends: dict[str, Backend] = {}
        self._statuses: dict[str, Poller] = {}
        self._inbox: queue.Queue[Message] = queue.Queue(_INBOX_SIZE)
        self._active: dict[str, Active] = {}
        self._left_alone: set[str] = set()
        self._stop_all = threading.Event()
        self._last_status_s, self._stops_pace = 0.0, Pace(STOPS_EVERY_S)
        self._tick_s = TICK_S
        self._over_since_s: float | None = None
        self._batch_stamp: tuple[int, int] | None = None
        self._monitor = RunMonitor()
        self._problems = Problems()
        self._sinks = run_sinks(store, environ, lambda run_id: self._journal.known(run_id), self._problems)
        self._journal = Journal(store, self._monitor, self._sinks)
        self._end = RunEnd(store, self._journal, self._monitor, gpus, self._active, retry_waits_s)

    def stop_all(self) -> None:
        """Asks every run of the batch to stop. Safe in a signal handler."""
        self._stop_all.set()

    def run(self) -> bool:
        """Blocks until every run of the batch is final, or undecided because its engine does not answer.

        True when every run is final and removed from the engine.
        """
        self.accept_new_runs()
        while self._goes_on():
            self.accept_new_runs()
            self._obey_stop_requests()
            self._start_what_fits()
            if self._ready is not None:
                self._ready()
                self._ready = None
            self._take_messages()
            self._read_statuses()
            self._journal.emit_each([*self._monitor.look(), *self._problems.take()])
        self._sinks.close()
        self._journal.emit_each(self._problems.take())
        return not self._end.undecided and not self._end.uncleared and not self._left_alone

    def _goes_on(self) -> bool:
        """Whether runs are left, or may be added soon."""
        if not is_over(self._journal.records, self._end.undecided):
            self._over_since_s = None
            return True
        self._over_since_s = self._over_since_s or time.monotonic()
        lingered_s = time.monotonic() - self._over_since_s
        return lingered_s < self._batch.lingers_s and not self._stop_all.is_set()

    def accept_new_runs(self) -> bool:
        """Loads the batch's runs that are not loaded yet. True if there were any; then ``run`` must be called again."""
        found = self._store.batch_paths(self._batch.id).batch.stat()
        stamp = found.st_ino, found.st_mtime_ns
        if stamp == self._batch_stamp:
            return False
        self._batch_stamp = stamp
        known = self._journal.records
        unknown = [run for run in self._store.load_batch(self._batch.id).runs if run not in known]
        new = [run_id for run_id in unknown if self._journal.open(run_id, self._batch.id)]
        left_alone = set(unknown) - set(new)
        self._left_alone = {run for run in left_alone if os.path.lexists(self._store.paths(run).directory)}
        for run_id in new:
            self._resume(run_id)
        return bool(new)

    # continuing runs of an earlier supervisor

    def _resume(self, run_id: str) -> None:
        record, plan = self._journal.records[run_id], self._journal.plans[run_id]
        if record.state is RunState.QUEUED:
            return
        if record.state.is_final:
            self._sinks.write(run_id, complete_run(self._store, record))
            self._end.clear(record, self._backend)
            return
        self._gpus.adopt(run_id, plan.backend, record.gpus)
        directory = self._store.paths(run_id).directory
        launch = Launch(run_id, directory, record.gpus, self._gpus.lease(run_id))
        try:
            backend = self._backend(plan.backend)
            statuses = self._statuses[plan.backend]
            if record.handle is None and not has_started(backend, statuses, run_id, directory):
                self._gpus.release(run_id)  # its GPUs may be in use by now: queue it again
                self._end.put_back_results(run_id)
                self._journal.save(replace(record, state=RunState.QUEUED, gpus=(), launched_at=None))
                return
        except TaorunnerError as error:
            self._end.leave_undecided(run_id, error.message)
            return
        found = pick_up(self._store, record, plan, backend.name)
        self._journal.maskings[run_id] = found.log.masking
        self._journal.emit(run_id, found.events)
        worker = Worker(
            backend, plan, launch, self._inbox, lambda: write_spec(plan, launch),
            statuses=statuses, recorded=found.recorded,
        )  # fmt: skip
        self._active[run_id] = Active(
            plan, launch, worker, backend, statuses, found.observation, found.log, found.recorded.handle
        )
        if record.state is not RunState.WAITING:
            self._monitor.begin(run_id, plan)
        worker.start()

    # starting

    def _start_what_fits(self) -> None:
        records, plans = self._journal.records, self._journal.plans
        in_queue = [run_id for run_id, record in records.items() if record.state is RunState.QUEUED]
        self._end.end_chains(in_queue)
        follows = startable(self._store, in_queue, records, plans)
        waiting = [
            Queued(run_id, plans[run_id].backend, plans[run_id].gpus.count, plans[run_id].gpus.ids)
            for run_id in follows
            if self._end.not_before_s.get(run_id, 0.0) <= time.monotonic()
        ]
        waiting = within_max_submitted(waiting, self._active, plans) if waiting else []
        few, active = min(self._batch.parallel or 1, SOME) if self._batch.lingers_s else 0, len(self._active)
        self._tick_s = TICK_WAITING_S if waiting or active < few else max(TICK_S, TICK_PER_RUN_S * active)
        if not waiting:
            self._gpus.leave_queue()
            return
        try:
            decision = self._gpus.decide(
                waiting,
                {run_id: active.launch.gpu_ids for run_id, active in self._active.items()},
                self._backend,
                parallel=self._batch.parallel,
                parallel_without_gpu=self._batch.parallel or self._parallel_without_gpu,
            )
        except TaorunnerError as error:  # without leases two runs could use one GPU
            for queued in (run for run in waiting if run.gpu_count):
                self._end.fail(queued.run_id, error)
            return
        for run_id, code, text in decision.notices:
            self._journal.notice(run_id, code, text, level="info" if code == "gpu-wait" else "warning")
        for start in decision.starts:
            self._begin(start.run_id, start.gpu_ids, follows[start.run_id], len(decision.starts))
        for one in decision.impossible:
            self._end.finish(
                one.run_id, RunState.FAILED, one.reason, hint=one.hint, error_code=ExitCode.MACHINE
            )

    def _begin(self, run_id: str, gpu_ids: tuple[str, ...], follows: Follows | None, together: int) -> None:
        plan, records = self._journal.plans[run_id], self._journal.records
        directory = self._store.paths(run_id).directory
        launch = Launch(run_id, directory, gpu_ids, self._gpus.lease(run_id), follows, together)
        try:
            if plan.awaits and follows is None:
                plan, text = with_models(self._store, records[run_id], plan, records, self._journal.plans)
                self._journal.save_plan(run_id, plan)
                self._journal.notice(run_id, "chain", text, level="info")
            backend = self._backend(plan.backend)
            secrets = stored_secrets(plan, launch.run_dir) or write_secrets(
                plan, launch.run_dir, self._environ
            )
        except TaorunnerError as error:
            self._end.fail(run_id, error)
            return
        except OSError as error:
            full = no_room(error, launch.run_dir) if is_no_room(error) else None
            self._end.fail(run_id, full or MachineError(f"the secrets cannot be written: {error}"))
            return
        launched_at = now()
        observation = Observation(plan, run_id, launched_at)
        worker = Worker(
            backend, plan, launch, self._inbox, lambda: self._prepare_files(backend, plan, launch),
            statuses=(statuses := self._statuses[plan.backend]),
        )  # fmt: skip
        log = ConsoleLog(self._store.paths(run_id).console, secrets)
        self._journal.maskings[run_id] = log.masking
        log.recorded.save(self._store.paths(run_id).position)
        self._active[run_id] = Active(plan, launch, worker, backend, statuses, observation, log)
        record = self._journal.records[run_id].launched(
            gpu_ids, launched_at, observation.status_sizes, hardware_of(gpu_ids, self._environ)
        )
        self._journal.save(record)
        self._journal.emit(run_id, self._monitor.begin(run_id, plan))
        if not record.retries_made and (shown := shown_in_process_list(plan, secrets)):
            self._journal.notice(run_id, "key-in-process-list", shown)
        worker.start()

    def _prepare_files(self, backend: Backend, plan: RunPlan, launch: Launch) -> None:
        self._journal.wait_for_disk(launch.run_id)  # a start that is not on record would be made again
        texts = prepare_attempt(
            backend, self._statuses[plan.backend], plan, launch, self._store,
            is_retry=self._journal.records[launch.run_id].retries_made > 0,
        )  # fmt: skip
        if texts:
            self._inbox.put(SetAside(launch.run_id, tuple(texts)))

    def _backend(self, name: str) -> Backend:
        if name not in self._backends:
            self._backends[name] = self._make_backend(name)
            self._statuses[name] = Poller(self._backends[name])
        return self._backends[name]

    # messages of workers

    def _take_messages(self) -> None:
        try:
            self._take_some()
        finally:
            for run_id, active in self._active.items():
                if active.printed:
                    active.printed = False
                    active.log.recorded.save(self._store.paths(run_id).position)

    def _take_some(self) -> None:
        try:
            self._take(self._inbox.get(timeout=self._tick_s))
            for _ in range(_MESSAGES_A_TURN):
                self._take(self._inbox.get_nowait())
        except queue.Empty:
            return

    def _take(self, message: Message) -> None:
        active = self._active.get(message.run_id)
        if active is None:
            return
        run_id = message.run_id
        if isinstance(message, Printed):
            self._printed(active, message)
        elif isinstance(message, Pulling):
            self._journal.emit(run_id, [message.event(now())])
        elif isinstance(message, SetAside):
            for text in message.texts:
                self._journal.notice(run_id, "set-aside", text, level="info")
        elif isinstance(message, Waits):
            self._waits(active, message)
        elif isinstance(message, Launched):
            self._launched(active, message)
        elif isinstance(message, Trouble):
            self._journal.notice(run_id, message.code, message.text)
        elif isinstance(message, Undecided):
            self._end.leave_undecided(run_id, message.text)
        else:
            self._end.ended(active, message)

    def _waits(self, active: Active, message: Waits) -> None:
        run_id = message.run_id
        active.handle = message.handle
        self._monitor.end(run_id)
        is_requeued = self._journal.records[run_id].state is RunState.RUNNING
        if is_requeued:
            self._end.end_launch(run_id, active)
        record = self._journal.records[run_id]
        if record.state is not RunState.WAITING:
            waiting = replace(
                record, state=RunState.WAITING, handle=message.handle.id, requeues=record.requeues + is_requeued,
                status_sizes=active.observation.status_sizes,
            )  # fmt: skip
            self._journal.save(waiting)
        self._journal.emit(run_id, [RunWaiting(run=run_id, at=now(), reason=message.reason)])

    def _launched(self, active: Active, message: Launched) -> None:
        run_id, at = message.run_id, now()
        started = message.started
        active.handle = started.handle
        plan = active.plan
        self._monitor.resume(run_id, plan)
        record = self._journal.records[run_id]
        record = replace(
            record, state=RunState.RUNNING, handle=started.handle.id, image=plan.image,
            started_at=record.started_at if record.requeues else at,
            image_digest=started.image_digest or (record.image_digest if record.requeues else None),
        )  # fmt: skip
        self._journal.save(record)
        if plan.image is not None and not record.requeues:
            pulled = ImagePulled(run=run_id, at=at, image=plan.image, digest=record.image_digest)
            self._journal.emit(run_id, [pulled])
        begun = RunStarted(
            run=run_id, at=at, image=plan.image, image_digest=record.image_digest, gpus=active.launch.gpu_ids,
            handle=started.handle.id, where=started.where,
        )  # fmt: skip
        self._journal.emit(run_id, [begun])

    def _printed(self, active: Active, message: Printed) -> None:
        self._monitor.printed(message.run_id)
        lines = active.log.write(message.stream, message.data, message.unkept)
        if lines:
            active.printed = True
            self._journal.emit(message.run_id, active.observation.printed(lines, now()))

    def _read_statuses(self) -> None:
        if time.monotonic() - self._last_status_s < STATUS_EVERY_S:
            return
        self._last_status_s = time.monotonic()
        self._journal.emit_each(self._gpus.removed_locks())
        for run_id, active in self._active.items():
            if active.handle is not None and self._journal.records[run_id].state is not RunState.WAITING:
                active.take_models(self._store, self._journal)
                self._journal.emit(run_id, active.observation.read_status(now()))

    # stopping

    def _obey_stop_requests(self) -> None:
        if not self._stops_pace.is_due and not self._stop_all.is_set():
            return
        with self._stops_pace:
            for run_id, record in list(self._journal.records.items()):
                if record.state.is_final or run_id in self._end.undecided:
                    continue
                asked = self._store.stop_request(run_id, is_queued=run_id not in self._active)
                if record.stop_requested_at is None:
                    if not (self._stop_all.is_set() or asked):
                        continue
                    self._journal.save(replace(record, stop_requested_at=now()))
                active = self._active.get(run_id)
                if active is None:
                    self._end.finish(run_id, RunState.STOPPED, "stopped while it was queued")
                elif asked == "kill":
                    active.kill()
                else:
                    active.stop(self._batch.grace_s)
