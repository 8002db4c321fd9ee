"""``sweep``: searches for better values of spec keys, as ``sweeps`` of experiments.yml says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from taorunner.cli.commands.sweeps.place import Name, never_started, place_of
from taorunner.cli.commands.sweeps.results import register_results
from taorunner.cli.commands.sweeps.suggest import register_suggest
from taorunner.cli.help_pages import add_command, make_group
from taorunner.cli.options import JsonOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, RunStateError, UserFilesError

if TYPE_CHECKING:
    from taorunner.project.sweeps.definition import Sweep
    from taorunner.project.workspace import Workspace
    from taorunner.sweeps.folder import SweepFolder

_Detach = Annotated[bool, option("--detach", "-d", "Return when the sweep has started")]


def register(app: typer.Typer) -> None:
    group = make_group("Search for better parameters")
    register_suggest(group)
    add_command(
        group, "run", _run, "Start a sweep and watch its trials", "taorunner sweep run lr_search",
        "taorunner sweep run lr_search --dry-run",
    )  # fmt: skip
    add_command(group, "resume", _resume, "Go on with a sweep", "taorunner sweep resume lr_search")
    add_command(
        group, "stop", _stop, "Start no further trials", "taorunner sweep stop lr_search",
        "taorunner sweep stop lr_search --now",
    )  # fmt: skip
    register_results(group)
    app.add_typer(group, name="sweep")


def _run(
    context: typer.Context,
    name: Name,
    dry_run: Annotated[bool, option("--dry-run", "Show what would be tried; start nothing")] = False,
    new: Annotated[bool, option("--new", "Begin again; keep the earlier trials aside")] = False,
    yes: Annotated[bool, option("--yes", "-y", "Run a large grid, or with little disk space")] = False,
    detach: _Detach = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import os

    from taorunner.errors import has_errors
    from taorunner.sweeps.checks.preflight import prepare
    from taorunner.sweeps.control import begin, defined

    root, project_name, folder = place_of(context, name, project, workspace)
    sweep = defined(root, project_name, name, os.environ)
    trials = () if new else folder.trials()
    prepared, findings = prepare(
        root, project_name, sweep, os.environ, trials=trials, is_confirmed=yes, dry_run=dry_run
    )
    if prepared is None or has_errors(findings):
        raise UserFilesError("nothing was started: the sweep has errors", findings=findings)
    if dry_run:
        return _dry_run(context, sweep, prepared, json=json)
    grown = begin(folder, root.project(project_name).models_dir, prepared, new=new)
    if grown and folder.trials():
        context.obj.note(f"goes on with {len(folder.trials())} trials; changed: {', '.join(grown)}")
    return _started(context, root, folder, sweep, detach=detach, json=json)


def _resume(
    context: typer.Context,
    name: Name,
    detach: _Detach = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    root, project_name, folder = place_of(context, name, project, workspace)
    if folder.stored() is None:
        raise never_started(name)
    if folder.is_owned:
        raise RunStateError(f'sweep "{name}" is being run', hint=f"taorunner sweep show {name} shows it")
    import os

    from taorunner.sweeps.checks.preflight import prepare
    from taorunner.sweeps.control import begin, defined

    sweep = defined(root, project_name, name, os.environ)
    prepared, findings = prepare(root, project_name, sweep, os.environ, is_confirmed=True)
    if prepared is None:
        raise UserFilesError("the sweep has errors", findings=findings)
    begin(folder, root.project(project_name).models_dir, prepared)
    return _started(context, root, folder, sweep, detach=detach, json=json)


def _stop(
    context: typer.Context,
    name: Name,
    at_once: Annotated[bool, option("--now", "Stop the trials that run, too")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
) -> int:
    from taorunner.runs.state.store import RunStore
    from taorunner.sweeps.control import stop

    root, _, folder = place_of(context, name, project, workspace)
    was_running = folder.is_owned
    running = stop(RunStore(root.state_dir), folder, at_once=at_once)
    if not running and not was_running:
        typer.echo(f"sweep {name} does not run: there is nothing to stop")
    elif at_once or not running:
        typer.echo(f"sweep {name}: stopped")
    else:
        goes_on = (
            "1 trial goes on to its end" if len(running) == 1 else f"{len(running)} trials go on to their end"
        )
        typer.echo(f"sweep {name}: no further trial starts; {goes_on}")
        context.obj.note(f"taorunner sweep stop {name} --now stops them, too")
    return ExitCode.DONE


def _dry_run(context: typer.Context, sweep: Sweep, prepared: Any, *, json: bool) -> int:
    from taorunner.console.sweeps.sweep_view import print_plan

    print_plan(sweep, prepared, json=json)
    context.obj.note("nothing was started")
    return ExitCode.DONE


def _started(
    context: typer.Context, root: Workspace, folder: SweepFolder, sweep: Sweep, *, detach: bool, json: bool
) -> int:
    import os

    from taorunner.cli.commands.sweeps.watching import watch
    from taorunner.runs.state.store import RunStore
    from taorunner.sweeps.control import start_process

    earlier = folder.trials()
    start_process(folder, root, os.environ)
    if detach:
        context.obj.note(f"taorunner sweep show {folder.name} shows its trials")
        return ExitCode.DONE
    stored = folder.stored()
    if stored is None:
        raise RunStateError(f'sweep "{folder.name}" has been removed')
    return watch(context, RunStore(root.state_dir), folder, sweep, stored, json=json, earlier=earlier)
