"""``sweep``: searches for better values of spec keys, as ``sweeps`` of experiments.yml says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from taorunner.cli.help_pages import add_command, make_group
from taorunner.cli.options import JsonOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, RunStateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taorunner.project.sweeps.definition import Sweep
    from taorunner.project.workspace import Workspace
    from taorunner.sweeps.folder import StoredSweep, SweepFolder
    from taorunner.sweeps.trial import Trial

_Name = Annotated[
    str, typer.Argument(help='A name below "sweeps:" of experiments.yml', metavar="SWEEP", show_default=False)
]
_Detach = Annotated[bool, option("--detach", "-d", "Return when the sweep has started")]
_WATCH_EVERY_S = 0.5


def register(app: typer.Typer) -> None:
    group = make_group("Search for better parameters")
    add_command(
        group, "run", _run, "Start a sweep and watch its trials", "taorunner sweep run lr_search",
        "taorunner sweep run lr_search --dry-run",
    )  # fmt: skip
    add_command(group, "show", _show, "List sweeps, or the trials of one", "taorunner sweep show lr_search")
    add_command(group, "resume", _resume, "Go on with a sweep", "taorunner sweep resume lr_search")
    add_command(
        group, "stop", _stop, "Start no further trials", "taorunner sweep stop lr_search",
        "taorunner sweep stop lr_search --now",
    )  # fmt: skip
    add_command(
        group, "best", _best, "Print the best trial, or make an experiment of it", "taorunner sweep best lr_search",
        "taorunner sweep best lr_search --as dino_best",
    )  # fmt: skip
    add_command(
        group, "rm", _remove, "Remove a sweep, or the checkpoints of trials that lost",
        "taorunner sweep rm lr_search --losers", "taorunner sweep rm lr_search --yes",
    )  # fmt: skip
    app.add_typer(group, name="sweep")


def _run(
    context: typer.Context,
    name: _Name,
    dry_run: Annotated[bool, option("--dry-run", "Show what would be tried; start nothing")] = False,
    new: Annotated[bool, option("--new", "Begin again; keep the earlier trials aside")] = False,
    yes: Annotated[bool, option("--yes", "-y", "Run a grid of more than 500 trials")] = False,
    detach: _Detach = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import os

    from taorunner.errors import UserFilesError, has_errors
    from taorunner.sweeps.control import begin, defined
    from taorunner.sweeps.preflight import prepare

    root, project_name, folder = _place(context, name, project, workspace)
    sweep = defined(root, project_name, name, os.environ)
    prepared, findings = prepare(root, project_name, sweep, os.environ, any_grid=yes)
    if prepared is None or has_errors(findings):
        raise UserFilesError("nothing was started: the sweep has errors", findings=findings)
    if dry_run:
        return _dry_run(context, sweep, prepared, json=json)
    grown = begin(folder, prepared, new=new)
    if grown and folder.trials():
        context.obj.note(f"goes on with {len(folder.trials())} trials; changed: {', '.join(grown)}")
    return _started(context, root, folder, sweep, detach=detach, json=json)


def _resume(
    context: typer.Context,
    name: _Name,
    detach: _Detach = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.errors import UserFilesError

    root, project_name, folder = _place(context, name, project, workspace)
    if folder.stored() is None:
        raise RunStateError(f'sweep "{name}" was never started', hint=f"taorunner sweep run {name}")
    if folder.is_owned:
        raise RunStateError(f'sweep "{name}" is being run', hint=f"taorunner sweep show {name} shows it")
    import os

    from taorunner.sweeps.control import begin, defined
    from taorunner.sweeps.preflight import prepare

    sweep = defined(root, project_name, name, os.environ)
    prepared, findings = prepare(root, project_name, sweep, os.environ, any_grid=True)
    if prepared is None:
        raise UserFilesError("the sweep has errors", findings=findings)
    begin(folder, prepared)
    return _started(context, root, folder, sweep, detach=detach, json=json)


def _show(
    context: typer.Context,
    name: Annotated[
        Optional[str], typer.Argument(help="One sweep [default: all]", metavar="SWEEP", show_default=False)
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import os

    from taorunner.console.comparison.sweep_view import print_json, print_trials, summary
    from taorunner.sweeps.control import defined

    if name is None:
        return _list(context, project, workspace)
    root, project_name, folder = _place(context, name, project, workspace)
    sweep, stored = defined(root, project_name, name, os.environ), folder.stored()
    if stored is None:
        raise RunStateError(f'sweep "{name}" was never started', hint=f"taorunner sweep run {name}")
    trials = folder.trials()
    if json:
        print_json(sweep, stored, trials)
        return ExitCode.DONE
    print_trials(sweep, stored, trials)
    typer.echo(summary(sweep, trials))
    _say_state(context, folder, sweep, stored, trials)
    return ExitCode.DONE


def _stop(
    context: typer.Context,
    name: _Name,
    at_once: Annotated[bool, option("--now", "Stop the trials that run, too")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
) -> int:
    from taorunner.runs.state.store import RunStore
    from taorunner.sweeps.control import stop

    root, _, folder = _place(context, name, project, workspace)
    running = stop(RunStore(root.state_dir), folder, at_once=at_once)
    if at_once or not running:
        typer.echo(f"sweep {name}: stopped")
    else:
        goes_on = (
            "1 trial goes on to its end" if len(running) == 1 else f"{len(running)} trials go on to their end"
        )
        typer.echo(f"sweep {name}: no further trial starts; {goes_on}")
        context.obj.note(f"taorunner sweep stop {name} --now stops them, too")
    return ExitCode.DONE


def _best(
    context: typer.Context,
    name: _Name,
    experiment: Annotated[
        Optional[str], option("--as", "Write it into experiments.yml as this experiment", word="EXPERIMENT")
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import os

    from taorunner.console.comparison.sweep_view import print_json, print_trials
    from taorunner.sweeps.best import add_experiment_of
    from taorunner.sweeps.control import defined
    from taorunner.sweeps.loop import best_of

    root, project_name, folder = _place(context, name, project, workspace)
    sweep, stored = defined(root, project_name, name, os.environ), folder.stored()
    best = None if stored is None else best_of(folder.trials(), maximize=stored.maximize)
    if stored is None or best is None:
        raise RunStateError(f'no trial of sweep "{name}" has a value', hint=f"taorunner sweep show {name}")
    if experiment is not None:
        line = add_experiment_of(root, project_name, sweep, best, experiment)
        typer.echo(f"wrote {experiment} into projects/{project_name}/experiments.yml, line {line}")
        context.obj.next_steps([f"taorunner train {experiment}"])
        return ExitCode.DONE
    if json:
        print_json(sweep, stored, [best])
    else:
        print_trials(sweep, stored, [best])
        context.obj.next_steps([f"taorunner sweep best {name} --as EXPERIMENT"])
    return ExitCode.DONE


def _remove(
    context: typer.Context,
    name: _Name,
    losers: Annotated[bool, option("--losers", "Select the checkpoints of all trials but the best")] = False,
    keep: Annotated[int, option("--keep", "With --losers: keep those of the best N", word="N", min=1)] = 1,
    yes: Annotated[bool, option("--yes", "-y", "Remove them instead of only showing them")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
) -> int:
    from taorunner.runs.state.store import RunStore
    from taorunner.sweeps.losers import checkpoints_of_trials, remove
    from taorunner.sweeps.losers import losers as found_losers
    from taorunner.text import amount, size

    root, _, folder = _place(context, name, project, workspace)
    stored = folder.stored()
    if stored is None:
        raise RunStateError(f'sweep "{name}" was never started', hint=f"taorunner sweep run {name}")
    trials = folder.trials()
    if not losers:
        return _remove_sweep(context, folder, trials, yes=yes)
    found = checkpoints_of_trials(
        RunStore(root.state_dir), found_losers(trials, keep, maximize=stored.maximize)
    )
    for trial, results, one in found:
        typer.echo(f"{trial.name}  {size(one.bytes):>10}  {one.path.relative_to(results)}")
    total = f"{amount(len(found), 'checkpoint')} ({size(sum(one.bytes for _, _, one in found))})"
    if yes:
        context.obj.note(f"removed {total}: {size(remove(found))} are free")
    else:
        context.obj.note(f"{total}; nothing was removed (--yes removes them)")
    return ExitCode.DONE


def _remove_sweep(context: typer.Context, folder: SweepFolder, trials: Sequence[Trial], *, yes: bool) -> int:
    from taorunner.text import amount

    if folder.is_owned:
        raise RunStateError(
            f'sweep "{folder.name}" is being run', hint=f"taorunner sweep stop {folder.name} ends it"
        )
    said = f"what sweep {folder.name} knows of {amount(len(trials), 'trial')}; their runs and results stay"
    if not yes:
        typer.echo(said)
        context.obj.note("nothing was removed (--yes removes it)")
        return ExitCode.DONE
    folder.remove()
    typer.echo(f"removed {said}")
    return ExitCode.DONE


def _place(
    context: typer.Context, name: str, project: str | None, workspace: Path | None
) -> tuple[Workspace, str, SweepFolder]:
    from taorunner.project.workspace import NAME_RULE, is_name
    from taorunner.runs.state.store import RunStore
    from taorunner.sweeps.folder import SweepFolder

    context.obj.refuse_extra()
    if not is_name(name):
        raise UsageError(f'"{name}" cannot be the name of a sweep', hint=f"use {NAME_RULE}")
    root = context.obj.open_workspace(workspace)
    found = context.obj.project_name(root, project)
    return root, found, SweepFolder(RunStore(root.state_dir), found, name)


def _list(context: typer.Context, project: str | None, workspace: Path | None) -> int:
    import os

    from taorunner.console.comparison.sweep_view import summary
    from taorunner.project.load import load_project
    from taorunner.runs.state.store import RunStore
    from taorunner.sweeps.folder import SweepFolder

    context.obj.refuse_extra()
    root = context.obj.open_workspace(workspace)
    found = context.obj.project_name(root, project)
    sweeps = load_project(root, found, os.environ).sweeps
    store = RunStore(root.state_dir)
    for name, sweep in sweeps.items():
        typer.echo(f"{name}  {sweep.base}  {summary(sweep, SweepFolder(store, found, name).trials())}")
    if not sweeps:
        context.obj.note('no sweeps: write "sweeps:" into experiments.yml')
    return ExitCode.DONE


def _dry_run(context: typer.Context, sweep: Sweep, prepared: Any, *, json: bool) -> int:
    from taorunner.console.comparison.sweep_view import print_plan

    print_plan(sweep, prepared, json=json)
    context.obj.note("nothing was started")
    return ExitCode.DONE


def _started(
    context: typer.Context, root: Workspace, folder: SweepFolder, sweep: Sweep, *, detach: bool, json: bool
) -> int:
    import os

    from taorunner.sweeps.control import start_process

    start_process(folder, root, os.environ)
    if detach:
        context.obj.note(f"taorunner sweep show {folder.name} shows its trials")
        return ExitCode.DONE
    return _watched(context, folder, sweep, json=json)


def _watched(context: typer.Context, folder: SweepFolder, sweep: Sweep, *, json: bool) -> int:
    """Until the sweep is over. Closing it harms nothing."""
    import time

    from taorunner.console.comparison.sweep_view import print_json, print_trials, summary, trial_line
    from taorunner.sweeps.loop import best_of

    stored = folder.stored()
    if stored is None:
        raise RunStateError(f'sweep "{folder.name}" has been removed')
    seen: dict[int, Trial] = {}
    try:
        while True:
            is_running = folder.is_owned
            for trial in folder.trials():
                if seen.get(trial.number) != trial and (trial.run is not None or trial.is_over):
                    before = seen.get(trial.number)
                    if not json and (before is None or trial.is_over):
                        typer.echo(trial_line(sweep, stored, trial))
                    seen[trial.number] = trial
            if not is_running:
                break
            time.sleep(_WATCH_EVERY_S)
    except KeyboardInterrupt:
        context.obj.note(
            f"the sweep goes on: taorunner sweep show {folder.name}; taorunner sweep stop {folder.name}"
        )
        return ExitCode.INTERRUPTED
    trials = folder.trials()
    if json:
        print_json(sweep, stored, trials)
    else:
        typer.echo("")
        print_trials(sweep, stored, trials, most=10)
        typer.echo(summary(sweep, trials))
        _say_state(context, folder, sweep, stored, trials)
    return ExitCode.DONE if best_of(trials, maximize=stored.maximize) is not None else ExitCode.RUN_FAILED


def _say_state(
    context: typer.Context, folder: SweepFolder, sweep: Sweep, stored: StoredSweep, trials: Sequence[Trial]
) -> None:
    from taorunner.sweeps.loop import best_of

    reason = folder.end()
    if folder.is_owned:
        context.obj.note(f"runs; taorunner sweep stop {folder.name} ends it")
        return
    if reason is None:
        context.obj.note(f"its process has ended; taorunner sweep resume {folder.name} goes on")
        return
    context.obj.note(f"ended: {reason}")
    if best_of(trials, maximize=stored.maximize) is not None:
        context.obj.next_steps([f"taorunner sweep best {folder.name} --as {sweep.base}_best"])
