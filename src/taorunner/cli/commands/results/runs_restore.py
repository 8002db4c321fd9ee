"""``runs restore``: puts results that were set aside back into their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import JsonOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taorunner.runs.control.restore import Earlier, EarlierResults


def register(group: typer.Typer) -> None:
    """``group`` is ``runs``."""
    add_command(
        group, "restore", _restore, "Put results that were set aside back into their place",
        "taorunner runs restore rtdetr_01", "taorunner runs restore rtdetr_01 2",
    )  # fmt: skip


def _restore(
    context: typer.Context,
    experiment: Annotated[
        str,
        typer.Argument(
            help="Name from experiments.yml, or PROJECT/EXPERIMENT", metavar="EXPERIMENT", show_default=False
        ),
    ],
    which: Annotated[
        Optional[str],
        typer.Argument(help="Which of the list, without asking", metavar="NUMBER", show_default=False),
    ] = None,
    yes: Annotated[bool, option("--yes", "-y", "Restore the newest without asking")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import sys

    from taorunner.runs.control.restore import EarlierResults
    from taorunner.runs.state.store import RunStore

    context.obj.refuse_extra()
    root = context.obj.open_workspace(workspace)
    name, experiment = context.obj.experiment_named(root, experiment, project)
    results = EarlierResults(root, RunStore(root.state_dir), name)
    found = results.set_aside(experiment)
    if not found and results.holders(experiment):
        results.refuse_while_running(experiment)
    number = _number(which, len(found)) if which is not None else None
    if number is None and yes and found:
        number = 1
    asks = sys.stdin.isatty() and sys.stderr.isatty() and not json
    if number is not None or (asks and found):
        results.refuse_while_running(experiment)
    if json:
        return _as_json(results, found, number)
    if not found:
        context.obj.note(f"nothing was set aside from {experiment}")
        return ExitCode.DONE
    if number is None:
        number = _asked(context, results, found, experiment)
    if number is None:
        return ExitCode.DONE
    _put_back(results, found[number - 1])
    return ExitCode.DONE


def _number(text: str, count: int) -> int:
    """A number of the list. Raises UsageError with those there are."""
    if text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= count:
        return int(text)
    known = f"1 to {count}" if count > 1 else "1" if count else "none, nothing was set aside"
    raise UsageError(f'there is no number "{text}"', hint=f"known: {known}")


def _asked(
    context: typer.Context, results: EarlierResults, found: Sequence[Earlier], experiment: str
) -> int | None:
    """Lists them and asks. None to change nothing, as without a terminal."""
    import os
    import sys

    from taorunner.console.base.theme import make_console, symbols_of
    from taorunner.console.runs.earlier_view import earlier_lines, question
    from taorunner.events import now

    console = make_console(sys.stdout, os.environ)
    typer.echo(f"set aside from {experiment}:")
    for line in earlier_lines(found, console.width, symbols_of(console), now()):
        console.print(line, soft_wrap=True)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        for run in results.holders(experiment):
            context.obj.note(
                f"run {run} has not ended; it keeps what it set aside, and nothing can be restored"
            )
            return None
        context.obj.note(f"not restored; taorunner runs restore {experiment} NUMBER restores one")
        return None
    answer = str(
        typer.prompt(question(found, results.in_place(found[0].item)), default="N", show_default=False, err=True,
                     prompt_suffix=" ")
    ).strip()  # fmt: skip
    if answer.lower() in ("n", "no", ""):
        return None
    return _number(answer, len(found))


def _put_back(results: EarlierResults, chosen: Earlier) -> None:
    from taorunner.console.runs.earlier_view import restored_text
    from taorunner.events import now

    here = results.in_place(chosen.item)
    typer.echo(restored_text(chosen, here, results.restore(chosen, now())))


def _as_json(results: EarlierResults, found: Sequence[Earlier], number: int | None) -> int:
    """The list; of the one that was restored, where what it replaced is now."""
    import sys

    from taorunner.console.base.json_output import write_json
    from taorunner.events import now

    bodies: list[dict[str, Any]] = [
        {"number": n, **one.to_json(), "restored": False, "replaced": None} for n, one in enumerate(found, 1)
    ]
    if number is not None:
        aside = results.restore(found[number - 1], now())
        bodies[number - 1] |= {"restored": True, "replaced": str(aside) if aside is not None else None}
    write_json(bodies, sys.stdout.buffer)
    return ExitCode.DONE
