"""``train``, ``evaluate``, ``export`` and the other actions; ``run`` for those without a command of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from taorunner.cli.action_options import ActionOptions, distinct, gpu_ids, with_action_options
from taorunner.cli.help_pages import add_command
from taorunner.cli.options import ExperimentsArgument, Invocation, split_pairs
from taorunner.errors import Finding, RunStateError, UsageError

if TYPE_CHECKING:
    from taorunner.planning.model.plan import RunPlan
    from taorunner.planning.model.request import ActionRequest, Site
    from taorunner.planning.planner import Planned
    from taorunner.project.workspace import Workspace
    from taorunner.runs.control.spawn import Supervisor
    from taorunner.runs.state.record import Orders
    from taorunner.runs.state.store import Batch, RunStore

COMMANDS: dict[str, tuple[str, ...]] = {
    "convert": ("Convert the dataset into what the network reads", "taorunner convert yolo_01"),
    "train": (
        "Train one or more experiments and watch them",
        "taorunner train rtdetr_01 rtdetr_02 --gpus 1",
        "taorunner -p parts train rtdetr_01 --set train.num_epochs=12 --dry-run",
    ),
    "evaluate": ("Evaluate a checkpoint", "taorunner evaluate rtdetr_01"),
    "prune": ("Prune a trained model", "taorunner prune detectnet_01"),
    "export": ("Export a checkpoint to ONNX or what the network exports", "taorunner export rtdetr_01"),
    "inference": ("Run a checkpoint on images", "taorunner inference rtdetr_01 --gpu-indices 1"),
}
"""Summary and examples."""


def register(app: typer.Typer) -> None:
    for name, texts in COMMANDS.items():
        command = with_action_options(_command(name), without=() if name == "train" else ("resume",))
        add_command(app, name, command, *texts, passes_on=True)
    run = with_action_options(_run, without=("resume",))
    examples = ("taorunner run gen_trt_engine rtdetr_01", "taorunner run deploy.evaluate rtdetr_01")
    add_command(app, "run", run, "Run any other action of a network", *examples, passes_on=True)


@dataclass(frozen=True)
class Wishes:
    """How the runs are started and shown, as opposed to what they are."""

    dry_run: bool = False
    detach: bool = False
    json: bool = False
    plain: bool = False
    parallel: int | None = None
    grace_s: float = 30.0
    retries: int = 0
    stop_on_nan: bool = False
    on_finish: str | None = None
    join: str | None = None
    is_quiet: bool = False

    def orders(self) -> Orders:
        from taorunner.runs.state.record import Orders

        hook: tuple[str, ...] = ()
        if self.on_finish is not None:
            from taorunner.runs.supervisor.hooks import parse_hook

            hook = parse_hook(self.on_finish)
        return Orders(self.retries, self.stop_on_nan, hook)


def _command(action: str) -> Callable[..., int]:
    def command(context: typer.Context, experiments: ExperimentsArgument, options: ActionOptions) -> int:
        return act(context.obj, action, experiments, options)

    return command


def _run(
    context: typer.Context,
    action: Annotated[
        str,
        typer.Argument(help='As in "taorunner networks HEAD"', metavar="ACTION", show_default=False),
    ],
    experiments: ExperimentsArgument,
    options: ActionOptions,
) -> int:
    return act(context.obj, action, experiments, options)


def act(invocation: Invocation, action: str, experiments: list[str], options: ActionOptions) -> int:
    """Runs an action as the command line asked for it. Returns the exit code."""
    from taorunner.planning.model.request import ActionRequest

    if options.resume and options.overwrite:
        raise UsageError("--resume cannot be combined with --overwrite", hint="leave out one of them")
    if options.resume and options.checkpoint is not None:
        raise UsageError(
            "--resume continues from the newest checkpoint of the results: it cannot be combined with --checkpoint",
            hint="leave out --resume to start from the weights of --checkpoint",
        )
    request = ActionRequest(
        action=action, experiments=distinct(experiments), backend=options.backend, gpus=options.gpus,
        gpu_ids=gpu_ids(options.gpu_indices), release=options.release, image=options.image,
        overrides=split_pairs(options.sets or ()), extra=invocation.extra, checkpoint=options.checkpoint,
        overwrite=options.overwrite, resume=options.resume,
    )  # fmt: skip
    wishes = Wishes(
        options.dry_run, options.detach, options.json, options.plain, options.parallel, options.grace, options.retries,
        options.stop_on_nan, options.on_finish, options.join, invocation.is_quiet,
    )  # fmt: skip
    workspace = invocation.open_workspace(options.workspace)
    name = invocation.project_name(workspace, options.project)
    if request.backend is not None:
        _check_backend(request.backend)
    if wishes.dry_run:
        return _show_dry_run(workspace, name, request, wishes)
    return start_and_watch(workspace, name, request, wishes, invocation.supervisor)


def start_and_watch(
    workspace: Workspace,
    project: str,
    request: ActionRequest,
    wishes: Wishes,
    supervisor: Supervisor | None = None,
) -> int:
    """One action on its way: check everything, record, hand over to a supervisor, watch. Returns the exit code."""
    import os

    from taorunner.events import now
    from taorunner.runs.control.spawn import Supervisor
    from taorunner.runs.state.batch_creation import create_batch
    from taorunner.runs.state.store import RunStore

    supervisor = supervisor or Supervisor()
    store = RunStore(workspace.state_dir)
    orders = wishes.orders()
    joined = _joined(store, wishes)
    _refuse_trained_now(store, project, request)
    planned = _plan(workspace, project, request)
    plans = [(item.site.run_id, item.plan) for item in planned.items]
    if joined is not None:
        supervisor.dismiss()  # the batch has one
        return _join(store, joined, plans, wishes)
    batch = create_batch(
        store,
        plans,
        now(),
        parallel=wishes.parallel,
        grace_s=wishes.grace_s,
        environ=os.environ,
        orders=orders,
    )
    supervisor.give(batch.id, str(workspace.state_dir))
    store.open_batches.handed_over(batch.id)
    if wishes.detach:
        return _detach(store, batch, wishes)
    from taorunner.console.runs.watch import watch_batch  # after the handover: it is needed only from here on

    return watch_batch(
        store,
        batch,
        json=wishes.json,
        plain=wishes.plain,
        is_quiet=wishes.is_quiet,
        is_owned=supervisor.is_alive,
    )


def _joined(store: RunStore, wishes: Wishes) -> str | None:
    """The id of the batch that the runs are added to."""
    if wishes.join is None:
        return None
    if wishes.parallel is not None:
        raise UsageError(
            "--join and --parallel exclude each other: the batch has its own", hint="leave one of the two out"
        )
    from taorunner.runs.control.join_batch import joinable

    return joinable(store, wishes.join)


def _join(store: RunStore, batch_id: str, plans: list[tuple[str, RunPlan]], wishes: Wishes) -> int:
    """Adds the runs to a batch that is under way, and watches them."""
    import os
    from dataclasses import replace

    from taorunner.events import now
    from taorunner.runs.control.join_batch import join
    from taorunner.runs.control.recovery import look_after

    join(store, batch_id, plans, now(), environ=os.environ, orders=wishes.orders())
    look_after(store, wait_s=0)
    batch = replace(store.load_batch(batch_id), runs=tuple(run_id for run_id, _ in plans))
    if wishes.detach:
        return _detach(store, batch, wishes)
    from taorunner.console.runs.watch import watch_batch

    return watch_batch(
        store, batch, json=wishes.json, plain=wishes.plain, is_quiet=wishes.is_quiet, is_owned=lambda: False
    )


def _plan(
    workspace: Workspace,
    project: str,
    request: ActionRequest,
    sites: Callable[[str, str], Site] | None = None,
) -> Planned:
    """Raises UserFilesError with every error; prints warnings."""
    import os

    from taorunner.planning.model.request import Caller
    from taorunner.planning.planner import plan_action

    planned = plan_action(workspace, project, request, Caller.current(os.environ), sites)
    planned.raise_for_errors()
    if planned.findings:
        _print_findings(planned.findings)
    for item in planned.items:
        if item.plan.resume is not None:
            typer.echo(f'"{item.plan.experiment}" {item.plan.resume.text}', err=True)
    return planned


def _refuse_trained_now(store: RunStore, project: str, request: ActionRequest) -> None:
    """Two trainings must not write into the same results, nor may they be moved away below one.

    Raises RunStateError naming the run.
    """
    for record in store.unfinished() if request.action == "train" else ():
        same = record.project == project and record.experiment in request.experiments
        if same and record.action == "train":
            raise RunStateError(
                f'run "{record.id}" is training "{record.experiment}" and is not over ({record.state.value})',
                hint=f"taorunner attach {record.id} shows it, taorunner stop {record.id} ends it",
            )


def _print_findings(findings: Sequence[Finding]) -> None:
    import os
    import sys

    from taorunner.console.base.findings_text import print_findings
    from taorunner.console.base.theme import make_console

    print_findings(make_console(sys.stderr, os.environ), findings)


def _show_dry_run(workspace: Workspace, project: str, request: ActionRequest, wishes: Wishes) -> int:
    import os
    import sys

    from taorunner.backends.dry_run import rehearsal_sites, rehearse
    from taorunner.console.base.theme import make_console
    from taorunner.console.runs.dry_run_view import print_rehearsals

    planned = _plan(workspace, project, request, rehearsal_sites(workspace.dry_run_dir, project))
    rehearsals = [rehearse(item.plan, item.site) for item in planned.items]
    print_rehearsals(make_console(sys.stdout, os.environ), rehearsals, json=wishes.json)
    return 0


def _detach(store: RunStore, batch: Batch, wishes: Wishes) -> int:
    """Tells the ids at once, and returns when what can start has started or has failed to."""
    from taorunner.runs.control.wait_for_start import wait_for_start

    if wishes.json:
        import json

        typer.echo(json.dumps([{"run": run} for run in batch.runs]))
    else:
        typer.echo("\n".join(batch.runs))
    refused = wait_for_start(store, batch.id, batch.runs, joins=wishes.join is not None)
    for record in refused:
        hint = f" ({record.hint})" if record.hint else ""
        typer.echo(f"{record.id} could not be started: {record.reason}{hint}", err=True)
    if not (wishes.json or wishes.is_quiet) and len(refused) < len(batch.runs):
        typer.echo("taorunner attach shows them, taorunner stop RUN ends one", err=True)
    return max((record.error_code or 0 for record in refused), default=0)


def _check_backend(name: str) -> None:
    from taorunner.backends.registry import backend_names
    from taorunner.text import did_you_mean

    if name not in ("docker", "local", "embedded") and name not in backend_names():
        raise UsageError(f'there is no backend "{name}"', hint=did_you_mean(name, backend_names()))
