"""``ps``, ``runs``, ``logs``, ``attach``, ``stop``.

These commands also restart the supervisor of any run that has not ended and lost its own.
"""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from taorunner.cli.commands import runs_prune, runs_restore
from taorunner.cli.help_pages import add_command, make_group
from taorunner.cli.options import JsonOption, PlainOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode

RunArgument = Annotated[
    str, typer.Argument(help="A run id, a unique part of one, or an experiment's name", metavar="RUN")
]
RunsArgument = Annotated[
    Optional[list[str]],
    typer.Argument(help="Run ids, or names of experiments", metavar="RUN", show_default=False),
]


def register(app: typer.Typer) -> None:
    add_command(app, "ps", _ps, "List the runs that have not ended", "taorunner ps", "taorunner ps --json")
    group = make_group("List, show and clean up runs")
    add_command(group, "list", _list, "List all runs, newest first", "taorunner runs list -p parts -n 10")
    add_command(group, "show", _show, "Show one run in full", "taorunner runs show rtdetr_01")
    mark_lost = "Mark a run as lost when its end is unknown"
    add_command(group, "mark-lost", _mark_lost, mark_lost, "taorunner runs mark-lost 61ab03")
    runs_restore.register(group)
    runs_prune.register(group)
    app.add_typer(group, name="runs")
    add_command(app, "logs", _logs, "Print the console log of a run", "taorunner logs -f rtdetr_01")
    add_command(app, "attach", _attach, "Watch runs that have not ended", "taorunner attach")
    add_command(app, "stop", _stop, "Stop runs", "taorunner stop rtdetr_01", "taorunner stop --queued")


QuietOption = Annotated[bool, option("--quiet", "-q", "Print ids only")]


def _ps(
    context: typer.Context,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> int:
    from taorunner.cli.fast.lists import ps

    context.obj.refuse_extra()
    return ps(workspace or context.obj.workspace, json=json, ids_only=quiet or context.obj.is_quiet)


def _list(
    context: typer.Context,
    project: ProjectOption = None,
    limit: Annotated[int, option("--limit", "-n", "Show at most N", word="N", min=1)] = 50,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> int:
    from taorunner.cli.fast.lists import runs_list

    context.obj.refuse_extra()
    return runs_list(
        workspace or context.obj.workspace, project or context.obj.project, limit=limit, json=json,
        ids_only=quiet or context.obj.is_quiet,
    )  # fmt: skip


def _show(
    context: typer.Context, run: RunArgument, workspace: WorkspaceOption = None, json: JsonOption = False
) -> int:
    from taorunner.console.runs.runs_view import print_run
    from taorunner.runs.control.recovery import start_missing_supervisors
    from taorunner.runs.state.store import RunStore

    context.obj.refuse_extra()
    store = RunStore(context.obj.open_workspace(workspace).state_dir)
    start_missing_supervisors(store)
    print_run(store, store.find(run), json=json)
    return 0


def _mark_lost(context: typer.Context, run: RunArgument, workspace: WorkspaceOption = None) -> int:
    from taorunner.runs.control.recovery import mark_lost
    from taorunner.runs.state.store import RunStore

    context.obj.refuse_extra()
    store = RunStore(context.obj.open_workspace(workspace).state_dir)
    record = mark_lost(store, store.find(run))
    typer.echo(f"{record.id}  {record.state.value}  {record.reason or ''}".rstrip())
    return ExitCode.DONE


def _logs(
    context: typer.Context,
    run: RunArgument,
    follow: Annotated[bool, option("--follow", "-f", "Follow until the run ends")] = False,
    tail: Annotated[
        Optional[int], option("--tail", "-n", "Print only the last N lines", word="N", min=0)
    ] = None,
    workspace: WorkspaceOption = None,
) -> int:
    import sys

    from taorunner.runs.state.log_reader import copy_log
    from taorunner.runs.state.store import RunStore

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
    from taorunner.console.runs.watch import watch_runs
    from taorunner.runs.control.recovery import start_missing_supervisors
    from taorunner.runs.state.store import RunStore

    context.obj.refuse_extra()
    store = RunStore(context.obj.open_workspace(workspace).state_dir)
    start_missing_supervisors(store, wait_s=0)
    wanted = [store.find(name) for name in runs] if runs else store.unfinished()[::-1]
    if not wanted:
        context.obj.note("nothing is running")
        return 0
    return watch_runs(
        store, [record.id for record in wanted], json=json, plain=plain, is_quiet=context.obj.is_quiet
    )


def _stop(
    context: typer.Context,
    runs: RunsArgument = None,
    everything: Annotated[bool, option("--all", "Stop all runs that have not ended")] = False,
    queued: Annotated[bool, option("--queued", "Stop only what has not started")] = False,
    workspace: WorkspaceOption = None,
) -> int:
    from taorunner.console.runs.outcome import next_commands
    from taorunner.errors import RunStateError, UsageError
    from taorunner.events import RunState
    from taorunner.runs.control.ending import endings
    from taorunner.runs.control.stop import stop_runs
    from taorunner.runs.state.store import RunStore

    context.obj.refuse_extra()
    if not runs and not everything and not queued:
        raise UsageError(
            "nothing selected: give RUN, --queued or --all",
            hint="taorunner ps lists the runs; taorunner stop RUN stops one",
        )
    if runs and everything:
        raise UsageError(f'--all cannot be combined with "{runs[0]}"', hint="leave out one of them")
    store = RunStore(context.obj.open_workspace(workspace).state_dir)
    records = [store.find(name) for name in runs] if runs else store.unfinished()
    if queued:
        records = [record for record in records if record.state is RunState.QUEUED]
    if not records:
        context.obj.note("nothing is queued" if queued else "nothing is running")
        return ExitCode.DONE
    over = [record.id for record in records if record.state.is_final]
    if over:
        raise RunStateError(
            f'run "{over[0]}" has already ended', hint="taorunner ps lists the runs that have not"
        )
    ended = stop_runs(store, [record.id for record in records], only_queued=queued)
    for record in ended:
        typer.echo(f"{record.id}  {record.state.value}  {record.reason or ''}".rstrip())
    for command in next_commands(ended, endings(store, ended)):
        context.obj.note(f"next: {command}")
    return ExitCode.DONE
