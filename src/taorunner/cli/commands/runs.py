"""``ps``, ``runs``, ``logs``, ``attach``, ``stop``.

These commands also restart the supervisor of any run that has not ended and lost its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.commands.results import runs_compare, runs_prune, runs_restore
from taorunner.cli.help_pages import add_command, make_group
from taorunner.cli.options import JsonOption, OfProjectOption, PlainOption, WorkspaceOption, option
from taorunner.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore

RunArgument = Annotated[
    str,
    typer.Argument(
        help="A short or whole run id, or an experiment's name", metavar="RUN", show_default=False
    ),
]
RunsArgument = Annotated[
    Optional[list[str]],
    typer.Argument(
        help="Short or whole run ids, or experiments as for train", metavar="RUN", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    add_command(app, "ps", _ps, "List the runs that have not ended", "taorunner ps", "taorunner ps -a")
    group = make_group("List, show, compare and clean up runs")
    examples = ("taorunner runs list --state failed --since 3d", "taorunner runs list -e 'rtdetr_*'")
    add_command(group, "list", _list, "List all runs, newest first", *examples)
    shown = ("taorunner runs show rtdetr_01", "taorunner runs show rtdetr_01 --plot val_mAP50")
    add_command(group, "show", _show, "Show one run in full", *shown)
    runs_compare.register(group)
    mark_lost = "Mark a run as lost when its end is unknown"
    add_command(group, "mark-lost", _mark_lost, mark_lost, "taorunner runs mark-lost 61ab03")
    runs_restore.register(group)
    runs_prune.register(group)
    app.add_typer(group, name="runs")
    examples = ("taorunner logs -f rtdetr_01", "taorunner logs eaf22b 4c20f3 --since 2h")
    add_command(app, "logs", _logs, "Print the console logs of runs", *examples)
    add_command(app, "attach", _attach, "Watch runs that have not ended", "taorunner attach")
    add_command(app, "stop", _stop, "Stop runs", "taorunner stop rtdetr_01", "taorunner stop --queued")


RequiredRuns = Annotated[
    list[str],
    typer.Argument(help="Short or whole run ids, or names of experiments", metavar="RUN", show_default=False),
]
QuietOption = Annotated[bool, option("--quiet", "-q", "Print ids only")]


def _ps(
    context: typer.Context,
    everything: Annotated[bool, option("--all", "-a", "List the newest ended runs too")] = False,
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> int:
    from taorunner.cli.fast.lists import ps

    context.obj.refuse_extra()
    return ps(
        workspace or context.obj.workspace, json=json, ids_only=quiet or context.obj.is_quiet,
        with_ended=everything, project=project or context.obj.project,
    )()  # fmt: skip


def _list(
    context: typer.Context,
    states: Annotated[
        Optional[str], option("--state", "Only in this state, or one of several: failed,lost", word="STATE")
    ] = None,
    experiment: Annotated[
        Optional[str],
        option("--experiment", "-e", "Only of this experiment; may be a pattern", word="EXPERIMENT"),
    ] = None,
    action: Annotated[
        Optional[str],
        option("--action", "Only of this action, or of several: train,evaluate", word="ACTION"),
    ] = None,
    since: Annotated[
        Optional[str], option("--since", "Only queued since then: 2h, 3d, 2026-11-01", word="TIME")
    ] = None,
    project: OfProjectOption = None,
    limit: Annotated[int, option("--limit", "-n", "Show at most N", word="N", min=1)] = 50,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> int:
    from taorunner.cli.fast.lists import runs_list

    context.obj.refuse_extra()
    return runs_list(
        workspace or context.obj.workspace, project or context.obj.project, limit=limit, json=json,
        ids_only=quiet or context.obj.is_quiet, states=states, experiment=experiment, action=action, since=since,
    )()  # fmt: skip


def _show(
    context: typer.Context,
    run: RunArgument,
    plot: Annotated[
        Optional[str], option("--plot", "Draw the curve of this metric instead", word="METRIC")
    ] = None,
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.runs.runs_view import print_damaged, print_plot, print_run
    from taorunner.errors import UsageError
    from taorunner.runs.control.recovery import start_missing_supervisors
    from taorunner.runs.state.lookup.unusable import damage_of
    from taorunner.runs.state.store import DamagedRunError, RunStore

    context.obj.refuse_extra()
    if plot is not None and json:
        raise UsageError("--plot cannot be combined with --json", hint="leave out one of them")
    place = context.obj.open_workspace(workspace)
    store = RunStore(place.state_dir)
    start_missing_supervisors(store)
    try:
        (record,) = context.obj.runs_named(store, place, [run], project)
        damage = damage_of(store, record)
    except DamagedRunError as error:
        damage = error
    if damage is not None:
        print_damaged(store, damage, json=json)
        return ExitCode.DONE
    if plot is not None:
        print_plot(store, record, plot)
        return ExitCode.DONE
    several = len(place.project_names()) > 1
    print_run(store, record, json=json, with_project=several, is_quiet=context.obj.is_quiet)
    return ExitCode.DONE


def _mark_lost(
    context: typer.Context,
    run: RunArgument,
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.runs.control.recovery import mark_lost
    from taorunner.runs.state.store import RunStore

    context.obj.refuse_extra()
    place = context.obj.open_workspace(workspace)
    store = RunStore(place.state_dir)
    record = mark_lost(store, context.obj.runs_named(store, place, [run], project)[0])
    if json:
        return _print_json(store, [record])
    typer.echo(_ended(store, record))
    return ExitCode.DONE


def _ended(store: RunStore, record: RunRecord) -> str:
    """``f01bc2  stopped  stopped on request``"""
    return f"{store.short_id(record.id)}  {record.state.value.lower()}  {record.reason or ''}".rstrip()


def _logs(
    context: typer.Context,
    runs: RequiredRuns,
    follow: Annotated[bool, option("--follow", "-f", "Follow until the runs end")] = False,
    tail: Annotated[
        Optional[int], option("--tail", "-n", "Print only the last N lines", word="N", min=0)
    ] = None,
    since: Annotated[
        Optional[str], option("--since", "Print only what came since then: 2h, 2026-11-01", word="TIME")
    ] = None,
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import sys

    from taorunner.console.base.harmless_bytes import shown_bytes
    from taorunner.events import now
    from taorunner.runs.state.log.log_reader import copy_log, has_log, has_times
    from taorunner.runs.state.lookup.many_logs import copy_logs, names_of
    from taorunner.runs.state.lookup.run_filter import parse_since
    from taorunner.runs.state.store import RunStore

    context.obj.refuse_extra()
    begin = parse_since(since, now()) if since is not None else None
    place = context.obj.open_workspace(workspace)
    store = RunStore(place.state_dir)
    records = context.obj.runs_named(store, place, runs, project)
    names = names_of(store, records)
    for record in records:
        if record.started_at is None and not follow and not has_log(store, record.id):
            state = record.state.value.lower()
            why = f": {record.reason}" if record.reason else ""
            context.obj.note(
                f"{names[record.id]} has no log, it never started ({state}{why})"
                if record.state.is_final
                else f"{names[record.id]} has no log yet, it is {state}"
            )
        elif record.state.is_final and not _has_text(store.paths(record.id).console):
            said = f": {record.reason}" if record.reason else ""
            context.obj.note(f"the log of {names[record.id]} is empty{said}")
        if begin is not None and not has_times(store, record.id, begin):
            context.obj.note(f"the times of {names[record.id]} are not on record: the whole log follows")
    if json:
        from taorunner.console.base.json_output import log_line

        lines = {record.id: log_line(record.id, record.experiment) for record in records}
        copy_logs(store, names, sys.stdout.buffer, follow=follow, tail=tail, since=begin, shown=lines)
        return 0
    with shown_bytes(sys.stdout) as out:
        if len(records) == 1:
            copy_log(store, records[0].id, out, follow=follow, tail=tail, since=begin)
        else:
            copy_logs(store, names, out, follow=follow, tail=tail, since=begin)
    return 0


def _has_text(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except OSError:
        return False


def _attach(
    context: typer.Context,
    runs: RunsArgument = None,
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
    plain: PlainOption = False,
) -> int:
    from taorunner.console.runs.watch import watch_runs
    from taorunner.runs.control.recovery import start_missing_supervisors
    from taorunner.runs.state.store import RunStore

    context.obj.refuse_extra()
    place = context.obj.open_workspace(workspace)
    store = RunStore(place.state_dir)
    start_missing_supervisors(store, wait_s=0)
    if runs:
        wanted = context.obj.runs_named(store, place, runs, project, live=True)
    else:
        asked = context.obj.project_asked(place, project)
        wanted = [record for record in store.unfinished()[::-1] if asked in (None, record.project)]
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
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.runs.outcome import next_commands
    from taorunner.errors import RunStateError, UsageError
    from taorunner.events import RunState
    from taorunner.runs.control.ending import endings
    from taorunner.runs.control.stop import NotStoppedError, stop_runs
    from taorunner.runs.state.store import RunStore

    context.obj.refuse_extra()
    if not runs and not everything and not queued:
        raise UsageError(
            "nothing selected: give RUN, --queued or --all",
            hint="taorunner ps lists the runs; taorunner stop RUN stops one",
        )
    if runs and everything:
        raise UsageError(f'--all cannot be combined with "{runs[0]}"', hint="leave out one of them")
    place = context.obj.open_workspace(workspace)
    store = RunStore(place.state_dir)
    if runs:
        records = context.obj.runs_named(store, place, runs, project, live=True)
    else:
        asked = context.obj.project_asked(place, project)
        records = [record for record in store.unfinished() if asked in (None, record.project)]
    if queued:
        records = [record for record in records if record.state is RunState.QUEUED]
    if not records:
        context.obj.note("nothing is queued" if queued else "nothing is running")
        return _print_json(store, []) if json else ExitCode.DONE
    over = [record.id for record in records if record.state.is_final]
    if over:
        raise RunStateError(
            f'run "{store.short_id(over[0])}" has already ended',
            hint="taorunner ps lists the runs that have not",
        )
    try:
        ended = stop_runs(store, [record.id for record in records], only_queued=queued)
    except NotStoppedError as error:
        for record in () if json else error.records:
            typer.echo(_ended(store, record))
        raise
    if json:
        return _print_json(store, ended)
    ended.sort(key=lambda record: record.id)  # as they were asked for; the newest were stopped first
    for record in ended:
        typer.echo(_ended(store, record))
    context.obj.next_steps(next_commands(ended, endings(store, ended)))
    return ExitCode.DONE


def _print_json(store: RunStore, records: Sequence[RunRecord]) -> int:
    from taorunner.console.runs.runs_view import print_runs

    print_runs(store, records, json=True, empty="")
    return ExitCode.DONE
