"""``ps``, ``runs``, ``logs``, ``attach``, ``stop``: what ran and what runs."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from taorunner.cli.options import JsonOption, PlainOption, ProjectOption, WorkspaceOption
from taorunner.errors import ExitCode

RunArgument = Annotated[
    str, typer.Argument(help="A run id, a unique part of one, or an experiment's name.", metavar="RUN")
]
RunsArgument = Annotated[
    Optional[list[str]],
    typer.Argument(help="Run ids, or names of experiments.", metavar="RUN", show_default=False),
]


def register(app: typer.Typer) -> None:
    app.command("ps", help="Show the runs that are not over.")(_ps)
    group = typer.Typer(help="Look at what ran.", rich_markup_mode=None, no_args_is_help=True)
    group.command("list", help="Show all runs, newest first.")(_list)
    group.command("show", help="Show one run in full.")(_show)
    app.add_typer(group, name="runs")
    app.command("logs", help="Print the console log of a run.")(_logs)
    app.command("attach", help="Watch runs that are not over.")(_attach)
    app.command("stop", help="Stop runs.")(_stop)


def _ps(context: typer.Context, workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    from taorunner.console.runs_view import print_runs
    from taorunner.runs.store import RunStore

    context.obj.refuse_extra()
    store = RunStore(context.obj.open_workspace(workspace).state_dir)
    print_runs(
        store, [r for r in store.records() if not r.state.is_final], json=json, empty="nothing is running"
    )
    return 0


def _list(
    context: typer.Context,
    project: ProjectOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from itertools import islice

    from taorunner.console.runs_view import print_runs
    from taorunner.runs.store import RunStore

    context.obj.refuse_extra()
    store = RunStore(context.obj.open_workspace(workspace).state_dir)
    wanted = project or context.obj.project
    records = (record for record in store.records() if wanted is None or record.project == wanted)
    print_runs(store, list(islice(records, limit)), json=json, empty="no runs yet")
    return 0


def _show(
    context: typer.Context, run: RunArgument, workspace: WorkspaceOption = None, json: JsonOption = False
) -> int:
    from taorunner.console.runs_view import print_run
    from taorunner.runs.store import RunStore

    context.obj.refuse_extra()
    store = RunStore(context.obj.open_workspace(workspace).state_dir)
    print_run(store, store.find(run), json=json)
    return 0


def _logs(
    context: typer.Context,
    run: RunArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
    tail: Annotated[
        Optional[int], typer.Option("--tail", "-n", min=0, help="Only the last lines.", show_default=False)
    ] = None,
    workspace: WorkspaceOption = None,
) -> int:
    import sys

    from taorunner.runs.logs import copy_log
    from taorunner.runs.store import RunStore

    context.obj.refuse_extra()
    store = RunStore(context.obj.open_workspace(workspace).state_dir)
    copy_log(store, store.find(run).id, sys.stdout.buffer, follow=follow, tail=tail)
    return 0


def _attach(
    context: typer.Context,
    runs: RunsArgument = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
    plain: PlainOption = False,
) -> int:
    from taorunner.console.watch import watch_runs
    from taorunner.runs.store import RunStore

    context.obj.refuse_extra()
    store = RunStore(context.obj.open_workspace(workspace).state_dir)
    if runs:
        wanted = [store.find(name) for name in runs]
    else:
        wanted = [record for record in store.records() if not record.state.is_final][::-1]
    if not wanted:
        typer.echo("nothing is running", err=True)
        return 0
    return watch_runs(store, [record.id for record in wanted], json=json, plain=plain)


def _stop(context: typer.Context, runs: RunsArgument = None, workspace: WorkspaceOption = None) -> int:
    from taorunner.errors import RunStateError, UsageError
    from taorunner.runs.stopping import stop_runs
    from taorunner.runs.store import RunStore

    context.obj.refuse_extra()
    if not runs:
        raise UsageError("stop which run?", hint="taorunner ps shows what runs; taorunner stop RUN ends one")
    store = RunStore(context.obj.open_workspace(workspace).state_dir)
    records = [store.find(name) for name in runs]
    over = [record.id for record in records if record.state.is_final]
    if over:
        raise RunStateError(f'run "{over[0]}" is already over', hint="taorunner ps shows what runs")
    for record in stop_runs(store, [record.id for record in records]):
        typer.echo(f"{record.id}  {record.state.value}  {record.reason or ''}".rstrip())
    return ExitCode.DONE
