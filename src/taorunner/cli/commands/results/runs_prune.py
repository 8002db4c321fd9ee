"""``runs rm`` and ``runs prune``: remove records of ended runs, and with an option what fills the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.commands.results.results_prune import PruneOptions, prune_checkpoints, prune_set_aside
from taorunner.cli.help_pages import add_command
from taorunner.cli.options import JsonOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, RunStateError, UsageError

if TYPE_CHECKING:
    from taorunner.project.workspace import Workspace

RunsToRemove = Annotated[
    list[str], typer.Argument(help="Run ids, or names of experiments", metavar="RUN", show_default=False)
]


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
) -> int:
    from taorunner.runs.state.pruning import remove_runs
    from taorunner.runs.state.store import RunStore
    from taorunner.text import size

    context.obj.refuse_extra()
    place = context.obj.open_workspace(workspace)
    store = RunStore(place.state_dir)
    records = context.obj.runs_named(store, place, runs, project)
    for record in records:
        if not record.state.is_final:
            raise RunStateError(f'run "{record.id}" has not ended', hint=f"taorunner stop {record.id}")
    freed = remove_runs(store, records)
    for record in records:
        typer.echo(record.id)
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
        options = PruneOptions(keep, age, yes, json)
        return _results(context, root, project, options, keep_checkpoints, results=results)
    store = RunStore(root.state_dir)
    found = prunable(store, keep=keep, older=age, at=now(), project=project or context.obj.project)
    if yes:
        remove_runs(store, [item.record for item in found])
    if json:
        import json as json_text

        shown = [
            {
                "id": item.record.id, "state": item.record.state.value, "size_bytes": item.size_bytes, "removed": yes,
                "finished_at": item.record.finished_at.isoformat() if item.record.finished_at else None,
            }
            for item in found
        ]  # fmt: skip
        typer.echo(json_text.dumps(shown))
        return ExitCode.DONE
    for item in found:
        typer.echo(f"{item.record.id}  {item.record.state.value.lower()}  {size(item.size_bytes)}")
    total = size(sum(item.size_bytes for item in found))
    if not found:
        context.obj.note("no records to remove")
    elif yes:
        context.obj.note(f"removed {_count(len(found))} ({total}); results are kept")
    else:
        context.obj.note(f"nothing was removed: --yes removes {_count(len(found))} ({total}), never results")
    return ExitCode.DONE


def _results(
    context: typer.Context,
    root: Workspace,
    project: str | None,
    options: PruneOptions,
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
        return prune_checkpoints(context.obj, root, projects, rule, options)
    return prune_set_aside(context.obj, root, projects, options)


def _count(number: int) -> str:
    return "the record of 1 run" if number == 1 else f"the records of {number} runs"
