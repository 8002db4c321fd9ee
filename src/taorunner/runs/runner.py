"""BatchRunner: the loop that owns a batch. One thread decides, records and emits.

Workers (a thread per run) talk to the engine and put messages on one queue; here they become records and
events. Nothing else writes a run's folder while it runs. Reading ``tracker`` and ``verdict`` in this order is
the whole life of a run: QUEUED → STARTING → RUNNING → judged.
"""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from taorunner.backends.base import Backend, EngineState, EngineStatus, Handle, Launch
from taorunner.backends.secrets import remove_secrets, write_secrets
from taorunner.errors import ExitCode, TaorunnerError
from taorunner.events import (
    Event,
    ImagePulled,
    ImagePulling,
    Notice,
    RunFinished,
    RunStarted,
    RunState,
    now,
)  # fmt: skip
from taorunner.planning.plan import RunPlan
from taorunner.runs.console_log import ConsoleLog
from taorunner.runs.evidence import Evidence
from taorunner.runs.record import RunRecord
from taorunner.runs.scheduler import Waiting, choose
from taorunner.runs.store import Batch, RunStore
from taorunner.runs.worker import Ended, Launched, Message, Printed, Pulling, Requested, Trouble, Worker

TICK_S = 0.1
STATUS_EVERY_S = 0.5
_INBOX_SIZE = 32
"""Messages; a piece of output is 256 KiB at most. A log that is faster than we are waits in the pipe, not in memory."""
_MESSAGES_A_TURN = 64


@dataclass(slots=True)
class _Active:
    """A run between its start and its end."""

    plan: RunPlan
    launch: Launch
    worker: Worker
    backend: Backend
    evidence: Evidence
    log: ConsoleLog | None = None
    handle: Handle | None = None
    stop_sent: bool = False
    secrets: tuple[str, ...] = ()
    stoppers: list[threading.Thread] = field(default_factory=list)


class BatchRunner:
    """Runs one batch to its end. ``known_gpus`` are host ids, None when nobody can tell.

    ``environ`` is where ``env:NAME`` secrets are looked up. ``make_backend`` gives one instance per name.
    """

    def __init__(
        self,
        store: RunStore,
        batch: Batch,
        *,
        make_backend: Callable[[str], Backend],
        known_gpus: Sequence[str] | None,
        environ: Mapping[str, str],
        parallel_without_gpu: int = 1,
    ) -> None:
        self._store, self._batch = store, batch
        self._make_backend = make_backend
        self._known_gpus = known_gpus
        self._environ = environ
        self._parallel_without_gpu = parallel_without_gpu
        self._backends: dict[str, Backend] = {}
        self._inbox: queue.Queue[Message] = queue.Queue(_INBOX_SIZE)
        self._records: dict[str, RunRecord] = {}
        self._plans: dict[str, RunPlan] = {}
        self._active: dict[str, _Active] = {}
        self._stop_all = threading.Event()
        self._last_status_s = 0.0

    def stop_all(self) -> None:
        """Asks every run of the batch to stop. Safe in a signal handler."""
        self._stop_all.set()

    def run(self) -> None:
        """Blocks until every run of the batch is final."""
        for run_id in self._batch.runs:
            self._records[run_id] = self._store.load(run_id)
            self._plans[run_id] = self._store.load_plan(run_id)
        while not all(record.state.is_final for record in self._records.values()):
            self._obey_stop_requests()
            self._start_what_fits()
            self._take_messages()
            self._read_statuses()

    # starting

    def _start_what_fits(self) -> None:
        waiting = [
            Waiting(run_id, self._plans[run_id].gpus.count, self._plans[run_id].gpus.ids)
            for run_id, record in self._records.items()
            if record.state is RunState.QUEUED
        ]
        if not waiting:
            return
        busy = frozenset(gpu for active in self._active.values() for gpu in active.launch.gpu_ids)
        starts = choose(
            waiting,
            busy_gpus=busy,
            known_gpus=self._known_gpus,
            running=len(self._active),
            running_without_gpu=sum(not active.launch.gpu_ids for active in self._active.values()),
            parallel=self._batch.parallel,
            parallel_without_gpu=self._batch.parallel or self._parallel_without_gpu,
        )
        for start in starts:
            self._begin(start.run_id, start.gpu_ids)
        if not starts and not self._active:
            for run in waiting:
                reason = f"the run asks for {_asked(run)}, this machine has {len(self._known_gpus or ())}"
                hint = "lower gpus: or correct gpu_indices:; nvidia-smi lists the GPUs"
                self._finish(run.run_id, RunState.FAILED, reason, hint=hint, error_code=ExitCode.MACHINE)

    def _begin(self, run_id: str, gpu_ids: tuple[str, ...]) -> None:
        plan = self._plans[run_id]
        launch = Launch(run_id, self._store.paths(run_id).directory, gpu_ids)
        try:
            backend = self._backend(plan.backend)
            self._set_aside(run_id, plan)
            secrets = write_secrets(plan, launch.run_dir, self._environ)
        except TaorunnerError as error:
            self._finish(run_id, RunState.FAILED, error.message, hint=error.hint, error_code=error.exit_code)
            return
        except OSError as error:
            self._finish(
                run_id,
                RunState.FAILED,
                f"the results cannot be prepared: {error}",
                error_code=ExitCode.MACHINE,
            )
            return
        evidence = Evidence(plan, run_id, now())
        worker = Worker(backend, plan, launch, self._inbox, lambda: _write_spec(plan, launch))
        log = ConsoleLog(self._store.paths(run_id).console, secrets)
        self._active[run_id] = _Active(plan, launch, worker, backend, evidence, log=log, secrets=secrets)
        self._save(
            replace(
                self._records[run_id],
                state=RunState.STARTING,
                gpus=gpu_ids,
                status_sizes=evidence.status_sizes,
            )
        )
        worker.start()

    def _backend(self, name: str) -> Backend:
        if name not in self._backends:
            self._backends[name] = self._make_backend(name)
        return self._backends[name]

    def _set_aside(self, run_id: str, plan: RunPlan) -> None:
        """``--overwrite`` moves, it never deletes; folders that the action expects are made."""
        at = now()
        for path in plan.set_aside:
            if path.exists():
                aside = path.with_name(f"{path.name}.{at:%Y%m%d-%H%M%S}")
                shutil.move(path, aside)
                text = f"moved {path} aside to {aside.name}"
                self._emit(run_id, [Notice(run=run_id, at=at, level="info", code="set-aside", text=text)])
        for folder in (plan.results_dir, *plan.make_dirs):
            folder.mkdir(parents=True, exist_ok=True)

    # what workers say

    def _take_messages(self) -> None:
        try:
            self._take(self._inbox.get(timeout=TICK_S))
            for _ in range(
                _MESSAGES_A_TURN
            ):  # bounded: a loud run must not starve stop requests and statuses
                self._take(self._inbox.get_nowait())
        except queue.Empty:
            return

    def _take(self, message: Message) -> None:
        active = self._active.get(message.run_id)
        if active is None:
            return
        at, run_id = now(), message.run_id
        if isinstance(message, Printed):
            self._printed(active, message)
        elif isinstance(message, Pulling):
            p = message.progress
            self._emit(
                run_id,
                [
                    ImagePulling(
                        run=run_id,
                        at=at,
                        image=p.image,
                        layers_done=p.layers_done,
                        layers=p.layers,
                        bytes_done=p.bytes_done,
                        bytes_total=p.bytes_total,
                        eta_s=p.eta_s,
                    )
                ],
            )
        elif isinstance(message, Requested):
            text = message.command_line + "\n"
            self._store.paths(run_id).request.write_text(text, encoding="utf-8")
        elif isinstance(message, Launched):
            self._launched(active, message)
        elif isinstance(message, Trouble):
            self._emit(run_id, [Notice(run=run_id, at=at, level="warning", code="engine", text=message.text)])
        else:
            self._ended(active, message)

    def _launched(self, active: _Active, message: Launched) -> None:
        run_id, at = message.run_id, now()
        started = message.started
        active.handle = started.handle
        plan = active.plan
        record = replace(
            self._records[run_id], state=RunState.RUNNING, handle=started.handle.id, started_at=at,
            image=plan.image, image_digest=started.image_digest,
        )  # fmt: skip
        self._save(record)
        events: list[Event] = []
        if plan.image is not None:
            events.append(ImagePulled(run=run_id, at=at, image=plan.image, digest=started.image_digest))
        events.append(
            RunStarted(
                run=run_id,
                at=at,
                image=plan.image,
                image_digest=started.image_digest,
                gpus=active.launch.gpu_ids,
                handle=started.handle.id,
            )
        )
        self._emit(run_id, events)

    def _printed(self, active: _Active, message: Printed) -> None:
        if active.log is None:
            return
        lines = active.log.write(message.stream, message.data)
        if lines:
            self._emit(message.run_id, active.evidence.printed(lines, now()))

    def _read_statuses(self) -> None:
        moment = time.monotonic()
        if moment - self._last_status_s < STATUS_EVERY_S:
            return
        self._last_status_s = moment
        for run_id, active in self._active.items():
            if active.handle is not None:
                self._emit(run_id, active.evidence.read_status(now()))

    # ending

    def _ended(self, active: _Active, message: Ended) -> None:
        run_id, at = message.run_id, now()
        if message.error is not None:
            error = message.error
            self._finish(run_id, RunState.FAILED, error.message, hint=error.hint, error_code=error.exit_code)
            return
        if message.status is None:
            self._finish(run_id, RunState.STOPPED, "stopped before it started")
            return
        if active.log is not None:
            self._emit(run_id, active.evidence.printed(active.log.flush(), at))
        self._emit(run_id, active.evidence.read_status(at))
        stop_requested = self._records[run_id].stop_requested_at is not None
        verdict, events = active.evidence.judge(message.status, stop_requested=stop_requested, at=at)
        self._emit(run_id, events)
        self._finish(run_id, verdict.state, verdict.reason, hint=verdict.hint, status=message.status)

    def _finish(
        self, run_id: str, state: RunState, reason: str, *,
        hint: str | None = None, status: EngineStatus | None = None, error_code: ExitCode | None = None,
    ) -> None:  # fmt: skip
        """Makes a run final: first everything on disk, then the container goes."""
        exit_code = status.exit_code if status is not None else None
        event = RunFinished(run=run_id, at=now(), state=state, reason=reason, exit_code=exit_code, hint=hint)
        active = self._active.pop(run_id, None)
        if active is not None and active.log is not None:
            active.log.close()
        remove_secrets(self._store.paths(run_id).directory)
        record = self._records[run_id].finished(event)
        self._save(replace(record, error_code=int(error_code) if error_code is not None else None))
        self._emit(run_id, [event])
        gone = status is None or status.state is EngineState.MISSING
        if active is not None and active.handle is not None and not gone:
            try:
                active.backend.remove(active.handle)
            except TaorunnerError as error:
                text = f"the finished run could not be removed from the engine: {error.message}"
                self._emit(
                    run_id, [Notice(run=run_id, at=now(), level="warning", code="not-removed", text=text)]
                )

    # stopping

    def _obey_stop_requests(self) -> None:
        for run_id, record in list(self._records.items()):
            if record.state.is_final:
                continue
            if record.stop_requested_at is None:
                if not (self._stop_all.is_set() or self._store.paths(run_id).stop_request.exists()):
                    continue
                self._save(replace(record, stop_requested_at=now()))
            active = self._active.get(run_id)
            if active is None:
                self._finish(run_id, RunState.STOPPED, "stopped while it was queued")
            elif active.handle is None:
                active.worker.abandon()
            elif not active.stop_sent:
                active.stop_sent = True
                self._stop_in_background(active, active.handle)

    def _stop_in_background(self, active: _Active, handle: Handle) -> None:
        def stop() -> None:
            try:
                active.backend.stop(handle, self._batch.grace_s)
            except TaorunnerError:
                active.stop_sent = False  # asked again at the next tick

        thread = threading.Thread(target=stop, name=f"stop-{handle.run_id}", daemon=True)
        active.stoppers.append(thread)
        thread.start()

    # recording

    def _save(self, record: RunRecord) -> None:
        self._records[record.id] = record
        self._store.save(record)

    def _emit(self, run_id: str, events: Sequence[Event]) -> None:
        if events:
            self._store.append_events(run_id, events)


def _write_spec(plan: RunPlan, launch: Launch) -> None:
    """The rendered spec in the run's own folder. Not secret: secrets are put in beside it."""
    if plan.spec is None:
        return
    path = launch.run_dir / "input" / plan.spec.file_name
    path.write_text(plan.spec.text, encoding="utf-8")


def _asked(run: Waiting) -> str:
    if run.gpu_ids is not None:
        return f"GPU {', '.join(run.gpu_ids)}"
    return "1 GPU" if run.gpu_count == 1 else f"{run.gpu_count} GPUs"
