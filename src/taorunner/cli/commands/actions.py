"""``train``, ``evaluate``, ``export`` and the other actions; ``run`` for those without a command of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from taorunner.cli.action_options import ActionOptions, chain_actions, gpu_count, gpu_ids
from taorunner.cli.help_pages import add_command
from taorunner.cli.option_sets import with_options
from taorunner.cli.options import ExperimentsArgument, Invocation, split_pairs
from taorunner.errors import Finding, Severity, UsageError

if TYPE_CHECKING:
    from taorunner.console.base.typed_commands import Place
    from taorunner.planning.model.request import Order
    from taorunner.planning.planner import Planned
    from taorunner.project.workspace import Workspace
    from taorunner.runs.control.launch import LaunchOptions
    from taorunner.runs.control.spawn import Supervisor
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

_NOT_OF: dict[str, tuple[str, ...]] = {
    "train": ("min_score",),
    "inference": ("epochs", "lr", "seed"),
    "evaluate": ("epochs", "lr", "seed"),
    "export": ("epochs", "lr", "seed", "min_score"),
    **dict.fromkeys(("convert", "prune"), ("epochs", "batch_size", "lr", "seed", "min_score")),
}
"""Options that no network has for this action; they are refused by name."""
ON_HOST = ("on_host", "engine", "truth", "split")


def register(app: typer.Typer) -> None:
    for name, texts in COMMANDS.items():
        of_training = () if name == "train" else ("resume", "keep_checkpoints")
        without = (*of_training, *(() if name == "evaluate" else ON_HOST))
        command = with_options(_command(name), without=without, hidden=_NOT_OF.get(name, ()))
        add_command(app, name, command, *texts, passes_on=True)
    run = with_options(_run, without=("resume", "keep_checkpoints", *ON_HOST))
    examples = ("taorunner run gen_trt_engine rtdetr_01", "taorunner run deploy.evaluate rtdetr_01")
    add_command(app, "run", run, "Run any other action of a network", *examples, passes_on=True)


@dataclass(frozen=True)
class ViewOptions:
    """How runs are shown once they are started."""

    detach: bool = False
    json: bool = False
    plain: bool = False
    is_quiet: bool = False
    is_verbose: bool = False


def _command(action: str) -> Callable[..., int]:
    def command(
        context: typer.Context, experiments: ExperimentsArgument = None, *, options: ActionOptions
    ) -> int:
        invocation, words = context.obj, experiments or []
        if options.on_host:
            from taorunner.cli.commands.results.evaluate_on_host import evaluate_on_host, inference_of

            return evaluate_on_host(
                invocation, words, options,
                lambda low, started: act(
                    invocation, inference_of(options), words, low, typed=action, on_started=started,
                    may_lack_score=options.min_score is None,
                ),
            )  # fmt: skip
        if options.truth is not None or options.split is not None or options.engine:
            raise UsageError("--truth, --split and --engine need --on-host", hint="add --on-host")
        return act(invocation, action, words, options, typed=action)

    return command


def _run(
    context: typer.Context,
    action: Annotated[
        str,
        typer.Argument(help='As in "taorunner networks HEAD"', metavar="ACTION", show_default=False),
    ],
    experiments: ExperimentsArgument = None,
    *,
    options: ActionOptions,
) -> int:
    from taorunner.cli.suggestions import swapped

    meant = swapped([action, *(experiments or [])])
    if meant is not None:
        raise UsageError(f'"{action}" is an experiment, and no action', hint=meant)
    return act(context.obj, action, experiments or [], options, typed=f"run {action}")


def act(
    invocation: Invocation, action: str, experiments: list[str], options: ActionOptions, *, typed: str,
    on_started: Callable[[Sequence[str]], None] | None = None, may_lack_score: bool = False,
) -> int:  # fmt: skip
    """Runs an action as the command line asked for it: ``typed`` is the command. ``on_started`` gets the ids of its
    runs. ``may_lack_score``: as ``Knobs`` has it. Returns the exit code."""
    from taorunner.cli.experiment_words import check_words, orders_of, with_container_words
    from taorunner.planning.model.knobs import read_knobs
    from taorunner.planning.model.request import ActionRequest
    from taorunner.project.limits import read_limits
    from taorunner.runs.control.launch import check_options
    from taorunner.values.value import replace

    gpus = gpu_count(options.gpus)
    knobs = read_knobs(options.epochs, options.batch_size, options.lr, options.seed, options.min_score)
    request = ActionRequest(
        action=action, experiments=tuple(dict.fromkeys(experiments)), backend=options.backend,
        cluster=options.cluster,
        gpus=None if gpus == "all" else gpus, all_gpus=gpus == "all",
        gpu_ids=gpu_ids(options.gpu_indices),
        limits=read_limits(options.nodes, options.cpus, options.memory, options.time, dashes="--"),
        release=options.release, image=options.image,
        overrides=split_pairs(options.sets or ()),
        knobs=replace(knobs, may_lack_score=may_lack_score),
        extra=invocation.extra, checkpoint=options.checkpoint,
        overwrite=options.overwrite, resume=options.resume, force=options.force, dry_run=options.dry_run,
        then=chain_actions(options.then),
    )  # fmt: skip
    check_words(experiments, typed, everything=options.everything)
    request = with_container_words(request, options.env or (), options.volume or ())
    check_options(request)
    workspace = invocation.open_workspace(options.workspace)
    orders = orders_of(
        invocation, workspace, request, experiments, project=options.project, everything=options.everything
    )
    if options.dry_run:
        code = _show_dry_run(workspace, orders, json=options.json, is_verbose=invocation.is_verbose)
        if not options.json:
            invocation.note("nothing was started")
        return code
    view = ViewOptions(
        options.detach, options.json, options.plain, invocation.is_quiet, invocation.is_verbose
    )
    return start_and_watch(
        workspace, orders, _launch_options(options), view, invocation.supervisor, on_started
    )


def _launch_options(options: ActionOptions) -> LaunchOptions:
    from taorunner.runs.control.launch import LaunchOptions
    from taorunner.runs.state.record import RunPolicy

    hook: tuple[str, ...] = ()
    if options.on_finish is not None:
        from taorunner.runs.supervisor.event_sinks.hooks import parse_hook

        hook = parse_hook(options.on_finish)
    policy = RunPolicy(options.retries, options.stop_on_nan, hook, options.keep_checkpoints)
    return LaunchOptions(options.parallel, options.grace, policy, options.join)


def start_and_watch(
    workspace: Workspace,
    orders: Sequence[Order],
    options: LaunchOptions,
    view: ViewOptions,
    supervisor: Supervisor | None = None,
    on_started: Callable[[Sequence[str]], None] | None = None,
) -> int:
    """Launches the runs of all orders as one batch and shows them. Returns the exit code."""
    import os

    from taorunner.runs.control.launch import launch_all
    from taorunner.runs.state.store import RunStore

    launched = launch_all(
        workspace, orders, options, os.environ, supervisor=supervisor,
        on_planned=partial(_print_planned, is_verbose=view.is_verbose),
    )  # fmt: skip
    if on_started is not None:
        on_started(launched.batch.runs)
    store = RunStore(workspace.state_dir)
    if view.detach:
        return _detach(
            store, launched.batch, json=view.json, is_quiet=view.is_quiet, joins=options.join is not None
        )
    from taorunner.console.runs.watch import watch_batch  # after the handover: it is needed only from here on

    return watch_batch(
        store,
        launched.batch,
        json=view.json,
        plain=view.plain,
        is_quiet=view.is_quiet,
        is_owned=launched.is_owned,
    )


def _print_planned(planned: Planned, *, is_verbose: bool) -> None:
    """The notes, and what is set in a spec along with what an option names; a dry run shows all of it."""
    _print_notes(planned, is_verbose=is_verbose)
    for item in planned.items:
        if item.plan.weights is not None:
            _print_note(f'"{item.plan.experiment}" reads {item.plan.weights}')
        for setting in item.plan.knobs:
            if setting.was is not None:
                _print_note(f'"{item.plan.experiment}": {setting.text}')


def _print_notes(planned: Planned, *, is_verbose: bool) -> None:
    """Warnings, infos if ``is_verbose``, and where resumed trainings continue."""
    findings = [one for one in planned.findings if is_verbose or one.severity is not Severity.INFO]
    if findings:
        from taorunner.console.base.typed_commands import Place

        plan = planned.items[0].plan if planned.items else None
        place = Place(plan.workspace, plan.project) if plan is not None else None
        _print_findings(findings, place)
    for item in planned.items:
        if item.plan.resume is not None:
            typed = item.plan.typed.of_spec()
            later = [
                one.plan.contract.action
                for one in planned.items
                if one.plan.experiment == item.plan.experiment
            ]
            typed = " ".join(
                [*([typed] if typed else []), *(["--then", ",".join(later[1:])] if later[1:] else [])]
            )
            settings = f", with {typed}" if typed else ""
            _print_note(f'"{item.plan.experiment}" {item.plan.resume.text}{settings}')


def _print_note(text: str) -> None:
    """On stderr, folded between words on a terminal."""
    import sys

    from taorunner.console.base.findings_text import print_text

    print_text(sys.stderr, text)


def _print_findings(findings: Sequence[Finding], place: Place | None) -> None:
    import os
    import sys

    from taorunner.console.base.findings_text import print_findings
    from taorunner.console.base.theme import make_console

    print_findings(make_console(sys.stderr, os.environ), findings, place=place)


def _show_dry_run(workspace: Workspace, orders: Sequence[Order], *, json: bool, is_verbose: bool) -> int:
    import os
    import sys

    from taorunner.backends.dry_run import dry_run_sites, simulate
    from taorunner.console.base.theme import make_console
    from taorunner.console.pages.dry_run_view import print_simulations
    from taorunner.runs.control.launch import plan_orders

    planned = plan_orders(
        workspace, orders, os.environ, lambda project: dry_run_sites(workspace.dry_run_dir, project)
    )
    _print_notes(planned, is_verbose=is_verbose)
    if any(item.plan.awaits for item in planned.items):
        _print_note('a name with "OF-THE-CHAIN" stands for a file that an earlier action makes')
    simulations = [simulate(item.plan, item.site) for item in planned.items]
    print_simulations(make_console(sys.stdout, os.environ), simulations, json=json)
    return 0


def _detach(store: RunStore, batch: Batch, *, json: bool, is_quiet: bool, joins: bool) -> int:
    """Prints the ids at once, and returns when what can start has started or has failed to."""
    from taorunner.console.base.typed_commands import Place, as_typed
    from taorunner.runs.control.wait_for_start import wait_for_start
    from taorunner.text import detached_text

    if json:
        import json as json_text

        typer.echo(json_text.dumps([{"run": run} for run in batch.runs]))
    else:
        typer.echo("\n".join(batch.runs))
    refused = wait_for_start(store, batch.id, batch.runs, joins=joins)
    root = store.state_dir.parent
    for record in refused:
        hint = f" ({as_typed(record.hint, Place(root, record.project))})" if record.hint else ""
        typer.echo(f"{store.short_id(record.id)} could not be started: {record.reason}{hint}", err=True)
    if not json and not is_quiet and len(refused) < len(batch.runs):
        typer.echo(as_typed(detached_text(len(batch.runs) - len(refused)), Place(root)), err=True)
    return max((record.error_code or 0 for record in refused), default=0)
