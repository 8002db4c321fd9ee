"""``track``: which runs were sent to a tracking server, and sending those that were not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from taorunner.cli.help_pages import add_command, make_group
from taorunner.cli.options import JsonOption, OfProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taorunner.cli.options import AskedRuns
    from taorunner.runs.state.record import RunRecord

_RUNS_A_PROCESS = 50
_LONGEST_S = 6 * 3600.0
_SHOWN = 5

_Runs = Annotated[
    Optional[list[str]],
    typer.Argument(help="Ids, experiments or patterns [default: all]", metavar="RUN", show_default=False),
]
_Since = Annotated[str, option("--since", "Only queued since then: 2h, 3d, DATE", word="TIME")]


def register(app: typer.Typer) -> None:
    group = make_group("Send runs to MLflow, or write files for Weights & Biases")
    add_command(
        group, "sync", _sync, "Send what a tracking server does not have yet", "taorunner track sync",
        "taorunner track sync 'rtdetr_*' --to mlflow --since 30d",
    )  # fmt: skip
    add_command(group, "status", _status, "Show how much of each run was sent", "taorunner track status")
    app.add_typer(group, name="track")


def _sync(
    context: typer.Context,
    runs: _Runs = None,
    to: Annotated[
        Optional[str],
        option("--to", "Only this, also of runs without it: mlflow, wandb", word="TRACKER"),
    ] = None,
    since: _Since = "30d",
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import os
    import shlex

    from taorunner.console.pages.tracking_view import print_tracked, tracked
    from taorunner.project.tracking.words import MLFLOW, TRACKERS, URI_VARIABLE, WANDB
    from taorunner.text import did_you_mean

    context.obj.refuse_extra()
    if to is not None and to not in TRACKERS:
        hint = did_you_mean(to, TRACKERS) or f"--to {MLFLOW}, or leave it out"
        raise UsageError(f'--to takes {" or ".join(TRACKERS)}, not "{to}"', hint=hint)
    if to == MLFLOW and not os.environ.get(URI_VARIABLE):
        raise UsageError(f"{URI_VARIABLE} is not set", hint=f"export {URI_VARIABLE}=http://HOST:5000")
    asked, records = _chosen(context, runs, since, project, workspace)
    begun = [record for record in records if record.started_at is not None]
    every = [one for record in begun for one in tracked(asked.store, record) if to in (None, one.tracker)]
    wanted = [one for one in every if (one.is_asked or to is not None) and not one.is_complete]
    if not wanted:
        _say_why_none(context, every)
        print_tracked(asked.store, [], json=json)
        return ExitCode.DONE
    tried = dict.fromkeys(one.record.id for one in wanted)
    problems = _send(asked, [record for record in begun if record.id in tried], to)
    chosen = {(one.record.id, one.tracker) for one in wanted}
    after = [
        one
        for record in begun
        if record.id in tried
        for one in tracked(asked.store, record, problems[record.id])
        if (one.record.id, one.tracker) in chosen
    ]
    print_tracked(asked.store, after, json=json)
    files = [one.state.server for one in after if one.tracker == WANDB and one.is_complete and one.state]
    if files:
        context.obj.next_steps([f"wandb sync {shlex.quote(file)}" for file in files[:_SHOWN]], json=json)
    is_failed = any(problem for of_run in problems.values() for problem in of_run.values())
    return ExitCode.MACHINE if is_failed else ExitCode.DONE


def _status(
    context: typer.Context,
    runs: _Runs = None,
    since: _Since = "30d",
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.tracking_view import print_tracked, tracked

    context.obj.refuse_extra()
    asked, records = _chosen(context, runs, since, project, workspace)
    found = [one for record in records for one in tracked(asked.store, record)]
    shown = [one for one in found if one.is_asked or one.state is not None]
    if not shown:
        context.obj.note(
            "no run is sent to a tracker; experiments.yml: track: {mlflow: {uri: http://HOST:5000}} or {wandb: {}}"
        )
    print_tracked(asked.store, shown, json=json)
    if any(one.problem for one in shown):
        context.obj.next_steps(["taorunner track sync"], json=json)
    return ExitCode.DONE


def _say_why_none(context: typer.Context, every: Sequence[Any]) -> None:
    if not any(one.is_asked for one in every):
        context.obj.note(
            "no run names a tracker: --to mlflow sends them to MLFLOW_TRACKING_URI, --to wandb writes files"
        )
    else:
        context.obj.note("everything was sent")


def _chosen(
    context: typer.Context, words: list[str] | None, since: str, project: str | None, workspace: Any
) -> tuple[AskedRuns, list[RunRecord]]:
    """Newest first. Experiments mean all of their runs."""
    from taorunner.events import now
    from taorunner.runs.state.lookup.run_filter import RunFilter, parse_since, records_of

    asked = context.obj.asked_runs(workspace, project)
    wanted = RunFilter(project=asked.project, since=parse_since(since, now()))
    if not words:
        return asked, records_of(asked.store, wanted)
    found: dict[str, RunRecord] = {}
    for word in words:
        of_word = records_of(asked.store, RunFilter(asked.project, word, since=wanted.since))
        for record in of_word or context.obj.runs_named(asked.store, asked.workspace, [word], project):
            found[record.id] = record
    return asked, list(found.values())


def _send(asked: AskedRuns, records: Sequence[RunRecord], to: str | None) -> dict[str, dict[str, str | None]]:
    """By run and tracker why it was not sent, None where it was. A process of its own sends them, several runs each."""
    import os
    import sys

    from taorunner import host_commands
    from taorunner.runs.supervisor.event_sinks.tracking_start import tracking_command
    from taorunner.values.bounded_reading import parse_json

    problems: dict[str, dict[str, str | None]] = {}
    options = ["--once", *(["--to", to] if to is not None else [])]
    for start in range(0, len(records), _RUNS_A_PROCESS):
        part = records[start : start + _RUNS_A_PROCESS]
        folders = [os.fspath(asked.store.paths(record.id).directory) for record in part]
        done = host_commands.run(tracking_command([*options, *folders]), timeout_s=_LONGEST_S, env=os.environ)
        for line in done.stdout.splitlines():
            body = parse_json(line)
            problems.setdefault(body["run"], {})[body["target"]] = body["problem"]
        if not all(record.id in problems for record in part):
            sys.stderr.write(done.stderr[-2000:])
            raise MachineError("the process that sends the runs ended early")
    return problems
