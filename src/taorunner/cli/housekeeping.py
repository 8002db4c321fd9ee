"""``runs rm`` and ``runs prune``: records of runs that are over. Results are never removed."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from taorunner.cli.options import JsonOption, ProjectOption, WorkspaceOption
from taorunner.errors import ExitCode, RunStateError, UsageError

RunsToRemove = Annotated[
    list[str], typer.Argument(help="Run ids, or names of experiments.", metavar="RUN", show_default=False)
]


def register(group: typer.Typer) -> None:
    """``group`` is ``runs``."""
    group.command("rm", help="Remove records of runs that are over, never results.")(_rm)
    group.command("prune", help="Remove records of old runs: shows which, then with --yes.")(_prune)


def _rm(context: typer.Context, runs: RunsToRemove, workspace: WorkspaceOption = None) -> int:
    from taorunner.runs.housekeeping import remove_runs
    from taorunner.runs.store import RunStore
    from taorunner.text import size

    context.obj.refuse_extra()
    store = RunStore(context.obj.open_workspace(workspace).state_dir)
    records = list({record.id: record for record in map(store.find, runs)}.values())
    for record in records:
        if not record.state.is_final:
            raise RunStateError(f'run "{record.id}" is not over', hint=f"taorunner stop {record.id} ends it")
    freed = remove_runs(store, records)
    for record in records:
        typer.echo(record.id)
    typer.echo(f"removed {_count(len(records))} ({size(freed)}); results stay where they are", err=True)
    return ExitCode.DONE


def _prune(
    context: typer.Context,
    keep: Annotated[
        Optional[int], typer.Option("--keep", min=0, help="Keep so many of the newest.", show_default=False)
    ] = None,
    older: Annotated[
        Optional[str],
        typer.Option(
            "--older", metavar="AGE", help="Only those that ended longer ago: 30d.", show_default=False
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove them; without it they are shown.")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.events import now
    from taorunner.runs.housekeeping import parse_age, prunable, remove_runs
    from taorunner.runs.store import RunStore
    from taorunner.text import size

    context.obj.refuse_extra()
    if keep is None and older is None:
        raise UsageError(
            "prune which runs?", hint="--keep 50 keeps the newest, --older 30d takes only old ones"
        )
    age = parse_age(older) if older is not None else None
    store = RunStore(context.obj.open_workspace(workspace).state_dir)
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
        typer.echo("no run to remove", err=True)
    elif yes:
        typer.echo(f"removed {_count(len(found))} ({total}); results stay where they are", err=True)
    else:
        typer.echo(
            f"nothing is removed yet: --yes removes {_count(len(found))} ({total}), never results", err=True
        )
    return ExitCode.DONE


def _count(number: int) -> str:
    return "the record of 1 run" if number == 1 else f"the records of {number} runs"
