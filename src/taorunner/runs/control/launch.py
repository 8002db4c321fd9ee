"""Launches runs: checks, plans and records a request and passes the batch to a supervisor.

All checks that protect results or GPUs are made here or below, so the Python API and the command line share them.
Nothing is printed, and the calling process is not changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from taorunner.backends.engine_refusal import refuse_without_engine
from taorunner.errors import EngineRefusedError, Finding, RunStateError, UsageError
from taorunner.events import now
from taorunner.image_names import checked_name
from taorunner.planning.model.request import ACTION_OF_COMMAND, Order
from taorunner.project.keys import MAX_GPUS
from taorunner.runs.control.spawn import Supervisor
from taorunner.runs.control.startable import training_runs
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.record import DEFAULT_POLICY, RunPolicy
from taorunner.runs.state.store import Batch, RunStore
from taorunner.targets import GpuSource, target_of
from taorunner.text import amount
from taorunner.values.value import Value, replace

if TYPE_CHECKING:
    from taorunner.planning.model.epoch_scores import EpochScores, Scores
    from taorunner.planning.model.plan import RunPlan
    from taorunner.planning.model.request import ActionRequest, Site
    from taorunner.planning.planner import Planned
    from taorunner.project.workspace import Workspace

LOCKED_WITHIN_S = 30.0
"""Recording a batch takes milliseconds. A process that holds the lock for longer is suspended."""
MAX_RETRIES = 100

_POLL_S = 0.01


class LaunchOptions(Value):
    """How runs are started. ``parallel`` is the maximum number of concurrent runs of the batch, None for no limit.
    ``grace_s`` is the time between a stop and a kill in seconds. ``join`` names a run whose batch the new runs are
    added to. After its last run the batch waits ``lingers_s`` seconds for runs that are added.
    """

    parallel: int | None = None
    grace_s: float = 30.0
    policy: RunPolicy = DEFAULT_POLICY
    join: str | None = None
    lingers_s: float = 0.0

    def check(self) -> None:
        """Raises UsageError for values that cannot be used."""
        if self.join is not None and self.parallel is not None:
            raise UsageError(
                "--join cannot be combined with --parallel",
                hint="the batch that is joined has a limit of its own: leave out one of them",
            )
        if self.parallel is not None and self.parallel < 1:
            raise UsageError(f"parallel must be at least 1, not {self.parallel}")
        if not self.grace_s >= 0:
            raise UsageError(f"the grace period must be at least 0 seconds, not {self.grace_s}")
        if not 0 <= (self.policy.retries or 0) <= MAX_RETRIES:
            raise UsageError(f"retries must be from 0 to {MAX_RETRIES}, not {self.policy.retries}")
        if self.policy.keep_checkpoints is not None:
            from taorunner.runs.outputs.old_checkpoints import parse_keep_rule

            parse_keep_rule(self.policy.keep_checkpoints)


class Launched(Value):
    """``batch`` holds the new runs only, even if they joined another batch. ``findings`` are the planning warnings.

    ``supervisor`` was started for the batch, None when the runs joined another one.
    """

    batch: Batch
    findings: tuple[Finding, ...]
    supervisor: Supervisor | None

    def is_owned(self) -> bool:
        """Whether the supervisor that was started for the batch is still alive."""
        return self.supervisor is not None and self.supervisor.is_alive()


def check_request(request: ActionRequest) -> None:
    """Raises UsageError for a request that contradicts itself, MachineError for a backend that cannot be loaded."""
    names = request.experiments
    if not names:
        raise UsageError("no experiment is named", hint="name at least one")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f'experiment "{twice[0]}" is named twice', hint="name each one once")
    check_options(request)


def check_options(request: ActionRequest) -> None:
    """As ``check_request``, without the names of experiments."""
    named = [ACTION_OF_COMMAND.get(action, action) for action in (request.action, *request.then)]
    again = sorted({action for action in named if named.count(action) > 1})
    if again:
        raise UsageError(
            f'the chain has "{again[0]}" twice', hint="name each action once: --then evaluate,export"
        )
    if request.resume and request.action != "train":
        raise UsageError(f'only "train" can be resumed, not "{request.action}"')
    if request.resume and request.overwrite:
        raise UsageError("--resume cannot be combined with --overwrite", hint="leave out one of them")
    if request.resume and request.checkpoint is not None:
        raise UsageError(
            "--resume continues from the newest checkpoint of the results: it cannot be combined with --checkpoint",
            hint="leave out --resume to start from the weights of --checkpoint",
        )
    if request.checkpoint is not None:
        from taorunner.planning.checkpoints.checkpoint_choice import check_choice

        check_choice(request.checkpoint)
    if request.image is not None:
        checked_name(request.image)
    if request.overrides:
        from taorunner.planning.spec.overrides import check_sets

        check_sets(request.overrides)
    if request.backend is not None:
        from taorunner.backends.registry import load_backend

        load_backend(request.backend)
    if request.gpus is not None and not 0 <= request.gpus <= MAX_GPUS:
        raise UsageError(f"gpus must be from 0 to {MAX_GPUS}, not {request.gpus}")
    ids = request.gpu_ids or ()
    if len(set(ids)) != len(ids):
        raise UsageError(f"a GPU is named twice: {', '.join(ids)}", hint="nvidia-smi -L lists the GPUs")
    if ids and (request.all_gpus or request.gpus not in (None, len(ids))):
        asked = "all" if request.all_gpus else request.gpus
        raise UsageError(
            f"--gpus {asked} and --gpu-indices {','.join(ids)} do not agree", hint="leave out one of them"
        )


def plan_request(
    workspace: Workspace, project: str, request: ActionRequest, environ: Mapping[str, str],
    make_site: Callable[[str, str], Site] | None = None,
) -> Planned:  # fmt: skip
    """The plans of a request, with warnings only. Writes and starts nothing.

    Raises:
        UsageError: the request contradicts itself.
        UserFilesError: with every finding, when one of them is an error.
    """
    makers = None if make_site is None else (lambda _: make_site)
    return plan_orders(workspace, [Order(project, request)], environ, makers)


def plan_orders(
    workspace: Workspace, orders: Sequence[Order], environ: Mapping[str, str],
    site_makers: Callable[[str], Callable[[str, str], Site]] | None = None,
) -> Planned:  # fmt: skip
    """The plans of all orders, in their order; see ``plan_request``. ``site_makers`` gives the ``make_site`` of a
    project."""
    from taorunner.planning.chain import plan_chain
    from taorunner.planning.model.request import Caller
    from taorunner.planning.planner import Planned

    for order in orders:
        check_request(order.request)
    caller = Caller.current(environ)
    store = RunStore(workspace.state_dir)
    if any(order.request.resume for order in orders):
        from taorunner.runs.control.continued import continued_orders

        orders = continued_orders(store, orders)
    each = [
        plan_chain(
            workspace, order.project, order.request, caller,
            None if site_makers is None else site_makers(order.project), _scores_of(store, order.project),
        )
        for order in orders
    ]  # fmt: skip
    planned = Planned(
        tuple(item for one in each for item in one.items),
        tuple(dict.fromkeys(finding for one in each for finding in one.findings)),
        all(one.names_are_known for one in each),
    )
    planned.raise_for_errors(is_forced=all(order.request.force for order in orders))
    return planned


def _scores_of(store: RunStore, project: str) -> Scores:
    """What ``--checkpoint best`` chooses by, for the experiments of a project."""

    def scores(experiment: str) -> EpochScores | None:
        from taorunner.runs.state.lookup.training_scores import training_scores

        return training_scores(store, project, experiment)

    return scores


def launch(
    workspace: Workspace, project: str, request: ActionRequest, options: LaunchOptions, environ: Mapping[str, str], *,
    supervisor: Supervisor | None = None, on_planned: Callable[[Planned], None] = lambda _: None,
) -> Launched:  # fmt: skip
    """Starts the runs of one request. See ``launch_all``."""
    orders = [Order(project, request)]
    return launch_all(workspace, orders, options, environ, supervisor=supervisor, on_planned=on_planned)


def launch_all(
    workspace: Workspace, orders: Sequence[Order], options: LaunchOptions, environ: Mapping[str, str], *,
    supervisor: Supervisor | None = None, on_planned: Callable[[Planned], None] = lambda _: None,
) -> Launched:  # fmt: skip
    """Starts the runs of all orders as one batch. Returns when they are recorded and a supervisor owns them; they may
    still be queued.

    ``supervisor`` was started ahead and waits for its batch; by default one is started here. ``on_planned`` is called
    with the plans before anything is recorded. When this raises, nothing was started and the supervisor ends.

    Raises:
        UsageError: request or options contradict themselves.
        UserFilesError: with every finding, when one of them is an error.
        RunStateError: the experiment is being trained, or the batch to join has ended.
        MachineError: runs cannot be recorded in this workspace, or what they need of this machine is not there.
    """
    supervisor = supervisor or Supervisor(environ)
    store = RunStore(workspace.state_dir)
    try:
        return _launch(store, workspace, orders, options, environ, supervisor, on_planned)
    except BaseException:
        store.open_batches.abandon()
        supervisor.dismiss()
        supervisor.wait_aside()
        raise


def _launch(
    store: RunStore, workspace: Workspace, orders: Sequence[Order], options: LaunchOptions,
    environ: Mapping[str, str], supervisor: Supervisor, on_planned: Callable[[Planned], None],
) -> Launched:  # fmt: skip
    options.check()
    joined = _batch_to_join(store, options)
    for order in orders:
        refuse_second_training(store, order.project, order.request)
    planned = plan_orders(workspace, orders, environ)
    _refuse_waiting_for_ever(planned, environ)
    refuse_without_engine([item.plan for item in planned.items], environ)
    on_planned(planned)
    plans = [(item.site.run_id, item.plan) for item in planned.items]
    with alone(store):
        for order in orders:
            refuse_second_training(store, order.project, order.request)  # again: planning takes seconds
        batch = (
            _join(store, joined, plans, options, environ)
            if joined is not None
            else create_batch(
                store, plans, now(), parallel=options.parallel, grace_s=options.grace_s, environ=environ,
                policy=options.policy, lingers_s=options.lingers_s,
            )
        )  # fmt: skip
    if joined is not None:
        from taorunner.runs.control.recovery import start_missing_supervisors

        supervisor.dismiss()  # the joined batch has one
        supervisor.wait_aside()
        start_missing_supervisors(store, wait_s=0)
        return Launched(batch, planned.findings, None)
    return _handed_over(store, batch, planned.findings, supervisor)


def launch_plans(
    store: RunStore, plans: Sequence[tuple[str, RunPlan]], options: LaunchOptions, environ: Mapping[str, str], *,
    supervisor: Supervisor | None = None,
) -> Launched:  # fmt: skip
    """Starts runs that are planned already, each a pair of run id and plan, as one batch. As ``launch_all``.

    Raises MachineError: as ``launch_all``. UserFilesError: a secret is not there.
    """
    options.check()
    supervisor = supervisor or Supervisor(environ)
    try:
        refuse_without_engine([plan for _, plan in plans], environ)
        with alone(store):
            batch = create_batch(
                store, plans, now(), parallel=options.parallel, grace_s=options.grace_s, environ=environ,
                policy=options.policy, lingers_s=options.lingers_s,
            )  # fmt: skip
        return _handed_over(store, batch, (), supervisor)
    except BaseException:
        store.open_batches.abandon()
        supervisor.dismiss()
        supervisor.wait_aside()
        raise


def add_plans(
    store: RunStore, batch_id: str | None, plans: Sequence[tuple[str, RunPlan]], options: LaunchOptions,
    environ: Mapping[str, str],
) -> Launched:  # fmt: skip
    """As ``launch_plans``, in the batch ``batch_id`` where that is given and has not ended meanwhile."""
    if batch_id is not None:
        from taorunner.runs.control.recovery import start_missing_supervisors

        try:
            with alone(store):
                batch = _join(store, batch_id, plans, options, environ)
        except RunStateError:
            if any(store.paths(run_id).record.exists() for run_id, _ in plans):
                raise
        else:
            start_missing_supervisors(store, wait_s=0)
            return Launched(batch, (), None)
    return launch_plans(store, plans, options, environ)


def _handed_over(
    store: RunStore, batch: Batch, findings: tuple[Finding, ...], supervisor: Supervisor
) -> Launched:
    supervisor.give(batch.id, str(store.state_dir))
    store.open_batches.handed_over(batch.id)
    return Launched(batch, findings, supervisor)


def _refuse_waiting_for_ever(planned: Planned, environ: Mapping[str, str]) -> None:
    """Raises EngineRefusedError for runs that their scheduler would take and never start."""
    if all(target_of(item.plan.backend).gpus is GpuSource.LEASED for item in planned.items):
        return
    from taorunner.backends.cluster_check import never_starting

    found = never_starting([item.plan for item in planned.items], environ)
    if found:
        raise EngineRefusedError(f"nothing was started: {amount(len(found), 'error')}", findings=found)


def refuse_second_training(store: RunStore, project: str, request: ActionRequest) -> None:
    """Refuses a training into results that another run is writing, or that a chain still reads, and moving such
    results.

    Raises RunStateError naming the run.
    """
    for record in training_runs(store, project) if "train" in (request.action, *request.then) else ():
        if record.experiment in request.experiments:
            does = f'is training "{record.experiment}"'
            if record.action != "train":
                does = f'is part of a chain, {record.action} of "{record.experiment}",'
            run = store.short_id(record.id)
            raise RunStateError(
                f'run "{run}" {does} and has not ended ({record.state.value.lower()})',
                hint=f"taorunner attach {run} shows it, taorunner stop {run} ends it",
            )


@contextlib.contextmanager
def alone(store: RunStore) -> Iterator[None]:
    """Excludes other processes from recording runs in this workspace.

    Locks the state folder itself. On file systems without folder locks it does nothing.
    """
    store.check_is_ours()
    store.state_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(store.state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + LOCKED_WITHIN_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RunStateError(
                        f'another process has been starting runs in "{store.state_dir}" for {LOCKED_WITHIN_S:.0f} s',
                        hint="is it suspended? ps -C taorunner -o pid,stat,args",
                    ) from None
                time.sleep(_POLL_S)
            except OSError:
                break
        yield
    finally:
        os.close(descriptor)


def _batch_to_join(store: RunStore, options: LaunchOptions) -> str | None:
    if options.join is None:
        return None
    from taorunner.runs.control.join_batch import joinable

    return joinable(store, options.join)


def _join(
    store: RunStore, batch_id: str, plans: Sequence[tuple[str, RunPlan]], options: LaunchOptions,
    environ: Mapping[str, str],
) -> Batch:  # fmt: skip
    from taorunner.runs.control.join_batch import join

    batch = join(store, batch_id, plans, now(), environ=environ, policy=options.policy)
    return replace(batch, runs=tuple(run_id for run_id, _ in plans))
