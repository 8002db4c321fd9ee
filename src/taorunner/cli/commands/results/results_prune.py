"""``runs prune --results`` and ``runs prune --keep-checkpoints``: shown first, removed with ``--yes``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from taorunner.cli.options import Invocation
from taorunner.errors import ExitCode

if TYPE_CHECKING:
    from datetime import timedelta

    from taorunner.project.workspace import Workspace
    from taorunner.runs.control.result_pruning import PrunableResult


@dataclass(frozen=True)
class PruneOptions:
    """``keep`` and ``age`` choose among results that were set aside; ``yes`` removes what is shown."""

    keep: int | None = None
    age: timedelta | None = None
    yes: bool = False
    json: bool = False


def prune_set_aside(
    invocation: Invocation, root: Workspace, projects: Sequence[str], options: PruneOptions
) -> int:
    """Shows or removes results that were set aside. Results in place are never touched."""
    from taorunner.events import now
    from taorunner.runs.control.result_pruning import prunable_results, remove_result
    from taorunner.runs.state.store import RunStore

    store = RunStore(root.state_dir)
    found = prunable_results(root, store, projects, keep=options.keep, older=options.age, at=now())
    for one in found if options.yes else ():
        remove_result(root, store, one)
    return _report(invocation, found, options, "set aside", "nothing is set aside")


def prune_checkpoints(
    invocation: Invocation, root: Workspace, projects: Sequence[str], rule: str, options: PruneOptions
) -> int:
    """Shows or removes old checkpoints of the results in place."""
    from taorunner.events import now
    from taorunner.runs.control.result_pruning import prunable_checkpoints, remove_result
    from taorunner.runs.outputs.old_checkpoints import parse_keep_rule
    from taorunner.runs.state.store import RunStore

    store = RunStore(root.state_dir)
    found, notes = prunable_checkpoints(root, store, projects, parse_keep_rule(rule), now())
    for one in found if options.yes else ():
        remove_result(root, store, one)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    return _report(invocation, found, options, "checkpoint", "no checkpoints to remove")


def _report(
    invocation: Invocation,
    found: Sequence[PrunableResult],
    options: PruneOptions,
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
    if what == "set aside" and len(found) == 1:
        counted = "1 result set aside"
    if not found:
        invocation.note(nothing)
    elif options.yes:
        invocation.note(f"removed {counted} ({total})")
    else:
        invocation.note(f"nothing was removed: --yes removes {counted} ({total})")
    return ExitCode.DONE
