"""``runs rm`` and ``runs prune``: remove records of ended runs, and with an option what fills the disk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import Invocation, JsonOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, RunStateError, UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from taorunner.project.workspace import Workspace
    from taorunner.runs.control.result_pruning import PrunableResult
    from taorunner.runs.state.pruning import Prunable
    from taorunner.runs.state.store import RunStore

RunsToRemove = Annotated[
    list[str], typer.Argument(help="Run ids, or names of experiments", metavar="RUN", show_default=False)
]


@dataclass(frozen=True)
class _PruneOptions:
    """``keep`` and ``age`` choose among results that were set aside; ``yes`` removes what is shown."""

    keep: int | None = None
    age: timedelta | None = None
    yes: bool = False
    json: bool = False


def register(group: typer.Typer) -> None:
    """``group`` is ``runs``."""
    add_command(group, "rm", _rm, "Remove records of ended runs, never results", "taorunner runs rm 61ab03")
    summary = "Show old records or results, and remove them with --yes"
    add_command(
        group,
        "prune",
        _prune,
        summary,
        "taorunner runs prune --older 30d",
        "taorunner runs prune --results --keep 1",
    )


def _rm(
    context: typer.Context,
    runs: RunsToRemove,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.runs.inputs.file_list import remove_unused_lists
    from taorunner.runs.state.lookup.short_ids import short_ids
    from taorunner.runs.state.pruning import remove_runs, sized
    from taorunner.runs.state.store import RunStore
    from taorunner.text import size

    context.obj.refuse_extra()
    place = context.obj.open_workspace(workspace)
    store = RunStore(place.state_dir)
    records = context.obj.runs_named(store, place, runs, project)
    short = short_ids([record.id for record in records], store.folder_names())
    for record in records:
        if not record.state.is_final:
            run = short[record.id]
            raise RunStateError(f'run "{run}" has not ended', hint=f"taorunner stop {run} ends it")
    found = sized(store, records) if json else []
    freed = remove_runs(store, records)
    remove_unused_lists(store, time.time())
    if json:
        return _print_records(found, removed=True)
    for record in records:
        typer.echo(short[record.id])
    context.obj.note(f"removed {_count(len(records))} ({size(freed)}); results are kept")
    return ExitCode.DONE


def _prune(
    context: typer.Context,
    keep: Annotated[Optional[int], option("--keep", "Keep the newest N", word="N", min=0)] = None,
    older: Annotated[
        Optional[str],
        option("--older", "Select what is older, such as 30d", word="AGE"),
    ] = None,
    results: Annotated[bool, option("--results", "Select results that were set aside, not records")] = False,
    keep_checkpoints: Annotated[
        Optional[str],
        option("--keep-checkpoints", "Select checkpoints but last:N or best:N", word="WHICH"),
    ] = None,
    yes: Annotated[bool, option("--yes", "-y", "Remove them instead of only showing them")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.events import now
    from taorunner.runs.inputs.file_list import remove_unused_lists
    from taorunner.runs.state.pruning import parse_age, prunable, remove_runs
    from taorunner.runs.state.store import RunStore
    from taorunner.text import size

    context.obj.refuse_extra()
    if keep is None and older is None and not results and keep_checkpoints is None:
        raise UsageError(
            "nothing selected: give --keep or --older, or --results or --keep-checkpoints",
            hint="taorunner runs prune --keep 50, or taorunner runs prune --results",
        )
    age = parse_age(older) if older is not None else None
    root = context.obj.open_workspace(workspace)
    if results or keep_checkpoints is not None:
        options = _PruneOptions(keep, age, yes, json)
        return _results(context, root, project, options, keep_checkpoints, results=results)
    store = RunStore(root.state_dir)
    found = prunable(store, keep=keep, older=age, at=now(), project=project or context.obj.project)
    lines = _record_lines(store, found)
    if yes:
        remove_runs(store, [item.record for item in found])
        remove_unused_lists(store, time.time())
    if json:
        return _print_records(found, removed=yes)
    for line in lines:
        typer.echo(line)
    total = size(sum(item.size_bytes for item in found))
    if not found:
        context.obj.note("no records to remove")
    elif yes:
        context.obj.note(f"removed {_count(len(found))} ({total}); results are kept")
    else:
        context.obj.note(f"nothing was removed: --yes removes {_count(len(found))} ({total}), never results")
    return ExitCode.DONE


def _record_lines(store: RunStore, found: Sequence[Prunable]) -> list[str]:
    """A table with the size of each; nothing without runs."""
    from taorunner.console.base.columns import Column, laid_out_plainly
    from taorunner.console.base.theme import PIPE_WIDTH, UNICODE
    from taorunner.runs.state.lookup.short_ids import short_ids
    from taorunner.text import size

    short = short_ids([item.record.id for item in found], store.folder_names())
    facts = [
        (short[one.record.id], one.record.experiment, one.record.action, one.record.state.value.lower(),
         size(one.size_bytes))
        for one in found
    ]  # fmt: skip
    titles = ("run", "experiment", "action", "state")
    columns = [*map(Column, titles), Column("size", right=True)]
    return laid_out_plainly(columns, facts, PIPE_WIDTH, UNICODE) if facts else []


def _print_records(found: Sequence[Prunable], *, removed: bool) -> int:
    import json

    shown = [
        {
            "id": item.record.id, "state": item.record.state.value, "size_bytes": item.size_bytes, "removed": removed,
            "finished_at": item.record.finished_at.isoformat() if item.record.finished_at else None,
        }
        for item in found
    ]  # fmt: skip
    typer.echo(json.dumps(shown))
    return ExitCode.DONE


def _results(
    context: typer.Context,
    root: Workspace,
    project: str | None,
    options: _PruneOptions,
    rule: str | None,
    *,
    results: bool,
) -> int:
    """``--results`` and ``--keep-checkpoints``: of all projects, or of ``-p``."""
    if results and rule is not None:
        raise UsageError("--results cannot be combined with --keep-checkpoints", hint="leave out one of them")
    if rule is not None and (options.keep is not None or options.age is not None):
        raise UsageError("--keep-checkpoints takes no --keep or --older", hint="leave them out")
    named = project or context.obj.project
    projects = [context.obj.project_name(root, named)] if named else root.project_names()
    if rule is not None:
        return _prune_checkpoints(context.obj, root, projects, rule, options)
    return _prune_set_aside(context.obj, root, projects, options)


def _prune_set_aside(
    invocation: Invocation, root: Workspace, projects: Sequence[str], options: _PruneOptions
) -> int:
    """Shows or removes results that were set aside. Results in place are never touched."""
    from taorunner.events import now
    from taorunner.runs.control.result_pruning import prunable_results, remove_result
    from taorunner.runs.state.store import RunStore

    store = RunStore(root.state_dir)
    found, notes = prunable_results(root, store, projects, keep=options.keep, older=options.age, at=now())
    for one in found if options.yes else ():
        remove_result(store, one)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    return _print_results(invocation, found, options, "set aside", "nothing is set aside")


def _prune_checkpoints(
    invocation: Invocation, root: Workspace, projects: Sequence[str], rule: str, options: _PruneOptions
) -> int:
    """Shows or removes old checkpoints of the results in place."""
    from taorunner.events import now
    from taorunner.runs.control.result_pruning import prunable_checkpoints, remove_result
    from taorunner.runs.outputs.old_checkpoints import parse_keep_rule
    from taorunner.runs.state.store import RunStore

    store = RunStore(root.state_dir)
    found, notes = prunable_checkpoints(root, store, projects, parse_keep_rule(rule), now())
    for one in found if options.yes else ():
        remove_result(store, one)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    return _print_results(invocation, found, options, "checkpoint", "no checkpoints to remove")


def _print_results(
    invocation: Invocation,
    found: Sequence[PrunableResult],
    options: _PruneOptions,
    what: str,
    nothing: str,
) -> int:
    import json as json_text

    from taorunner.console.base.formatting import clean, shown_path
    from taorunner.text import amount, size

    if options.json:
        typer.echo(json_text.dumps([{**one.to_json(), "removed": options.yes} for one in found]))
        return ExitCode.DONE
    here = Path.cwd()
    wide = max((len(size(one.bytes)) for one in found), default=0)
    for one in found:
        typer.echo(f"{size(one.bytes):>{wide}}  {shown_path(one.path, here)}{clean(one.note)}")
    total = size(sum(one.bytes for one in found))
    counted = f"{amount(len(found), 'result')} {what}" if what == "set aside" else amount(len(found), what)
    if not found:
        invocation.note(nothing)
    elif options.yes:
        invocation.note(f"removed {counted} ({total})")
    else:
        invocation.note(f"nothing was removed: --yes removes {counted} ({total})")
    return ExitCode.DONE


def _count(number: int) -> str:
    return "the record of 1 run" if number == 1 else f"the records of {number} runs"
