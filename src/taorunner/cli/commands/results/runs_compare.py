"""``runs diff``, ``runs compare``, ``runs best``, ``runs lineage``: what differs between runs, which one is the best,
and what a run was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import ComparedRunArgument, JsonOption, OfProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, RunStateError, UsageError

if TYPE_CHECKING:
    from taorunner.cli.options import AskedRuns
    from taorunner.runs.comparison.compare import Comparison
    from taorunner.runs.comparison.metrics import ComparedMetric

_Other = Annotated[
    str, typer.Argument(help="The run that it is compared with", metavar="RUN", show_default=False)
]
_Runs = Annotated[
    Optional[list[str]],
    typer.Argument(help="Ids, experiments or patterns [default: all]", metavar="RUN", show_default=False),
]
_Experiments = Annotated[
    list[str],
    typer.Argument(help="Experiments, or ids of runs", metavar="EXPERIMENT", show_default=False),
]
_Metric = Annotated[Optional[str], option("--metric", "Compare by this metric", word="METRIC")]
_All = Annotated[bool, option("--all", "Show what is the same, too")]


def register(group: typer.Typer) -> None:
    """``group`` is ``runs``."""
    add_command(
        group, "diff", _diff, "Show what differs between two runs", "taorunner runs diff rtdetr_01@2 rtdetr_01",
        "taorunner runs diff a8f310 eaf22b",
    )  # fmt: skip
    add_command(
        group, "compare", _compare, "Compare runs by their metrics and by what differs",
        "taorunner runs compare 'rtdetr_*'", "taorunner runs compare --csv > runs.csv",
    )  # fmt: skip
    add_command(
        group, "best", _best, "Print the best run, its epoch, value and checkpoint", "taorunner runs best rtdetr_01",
        "taorunner runs best 'rtdetr_*' --metric val_mAP",
    )  # fmt: skip
    add_command(
        group, "lineage", _lineage, "Show what a run was made from, and what was made of it",
        "taorunner runs lineage rtdetr_01", "taorunner runs lineage cd289e --json",
    )  # fmt: skip


def _diff(
    context: typer.Context,
    run: ComparedRunArgument,
    other: _Other,
    everything: _All = False,
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.cli.fast.comparisons import runs_diff

    context.obj.refuse_extra()
    place = context.obj.open_workspace(workspace)
    asked = context.obj.project_asked(place, project)
    printing = runs_diff(
        place, [run, other], asked, everything=everything, json=json, is_quiet=context.obj.is_quiet
    )
    return printing()


def _compare(
    context: typer.Context,
    runs: _Runs = None,
    action: Annotated[str, option("--action", "Compare runs of this action", word="ACTION")] = "train",
    metric: _Metric = None,
    sort: Annotated[Optional[str], option("--sort", "Sort by this metric, best first", word="METRIC")] = None,
    top: Annotated[Optional[int], option("--top", "Show the best N", word="N", min=1)] = None,
    everything: Annotated[bool, option("--all", "Show every value that differs")] = False,
    csv: Annotated[bool, option("--csv", "Print CSV, with every metric")] = False,
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.comparison.print_comparison import print_table
    from taorunner.planning.model.request import ACTION_OF_COMMAND
    from taorunner.runs.comparison.chosen import chosen_runs
    from taorunner.runs.comparison.compare import compare
    from taorunner.runs.comparison.ranking import in_order_of

    context.obj.refuse_extra()
    if csv and json:
        raise UsageError("--csv cannot be combined with --json", hint="leave out one of them")
    asked = context.obj.asked_runs(workspace, project)
    of = ACTION_OF_COMMAND.get(action, action)
    records = chosen_runs(asked.store, runs or (), of, asked.project, asked.near)
    if not records:
        raise RunStateError(f"no {action} run yet", hint="taorunner runs list shows the runs")
    comparison = compare(asked.store, records)
    shown = _metric(comparison, metric or sort)
    comparison = in_order_of(comparison, _metric(comparison, sort or metric), top)
    shown = comparison.metric(shown.name) if shown is not None else None
    print_table(
        asked.store,
        comparison,
        shown,
        everything=everything,
        json=json,
        as_csv=csv,
        is_quiet=context.obj.is_quiet,
    )
    return ExitCode.DONE


def _best(
    context: typer.Context,
    experiments: _Experiments,
    metric: _Metric = None,
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import sys
    from pathlib import Path

    from taorunner.console.base.formatting import number, shown_path
    from taorunner.console.base.json_output import write_json
    from taorunner.runs.comparison.chosen import trainings_of
    from taorunner.runs.comparison.ranking import best_of

    context.obj.refuse_extra()
    asked: AskedRuns = context.obj.asked_runs(workspace, project)
    store = asked.store
    found = best_of(store, trainings_of(store, experiments, asked.project, asked.near), metric)
    if json:
        write_json(found.to_json(store.short_id(found.run.id)), sys.stdout.buffer)
        return ExitCode.DONE
    path = shown_path(found.checkpoint, Path.cwd()) if found.checkpoint is not None else "-"
    epoch = "-" if found.epoch is None else found.epoch
    typer.echo(f"{store.short_id(found.run.id)}  {epoch}  {number(found.value)}  {path}")
    if found.checkpoint is None:
        context.obj.note("its checkpoint of that epoch is not there")
    return ExitCode.DONE


def _lineage(
    context: typer.Context,
    run: ComparedRunArgument,
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.comparison.lineage_view import print_lineage
    from taorunner.runs.comparison.chosen import chosen_runs
    from taorunner.runs.lineage.tree import tree_of

    context.obj.refuse_extra()
    asked = context.obj.asked_runs(workspace, project)
    (record,) = chosen_runs(asked.store, [run], project=asked.project, near=asked.near)
    print_lineage(asked.store, tree_of(asked.store, record), record.id, json=json)
    return ExitCode.DONE


def _metric(comparison: Comparison, name: str | None) -> ComparedMetric | None:
    """The metric of that name, else the one that ranks the first run that has one."""
    from taorunner.runs.comparison.read_run import ranking_metric

    wanted = name if name is not None else ranking_metric(comparison.runs)
    return comparison.metric(wanted) if wanted is not None else None
