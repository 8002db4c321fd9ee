"""``report``: runs of a project as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, RunStateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taorunner.cli.options import Invocation
    from taorunner.project.workspace import Workspace
    from taorunner.reports.contents import Contents
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore

_Runs = Annotated[
    Optional[list[str]],
    typer.Argument(
        help="Ids, experiments or patterns [default: each experiment]", metavar="RUN", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    add_command(
        app, "report", _report, "Write a report as one HTML file", "taorunner report",
        "taorunner report 'rtdetr_*' -o rtdetr.html --open",
    )  # fmt: skip


def _report(
    context: typer.Context,
    runs: _Runs = None,
    output: Annotated[
        Optional[Path], option("--output", "-o", "File to write [default: models/report.html]", word="FILE")
    ] = None,
    overwrite: Annotated[bool, option("--overwrite", "Replace a file that is no report")] = False,
    show: Annotated[bool, option("--open", "Open it in a browser")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
) -> int:
    from taorunner.console.base.formatting import clean, shown_path
    from taorunner.reports.contents import contents_of
    from taorunner.reports.write import check_place, write_report
    from taorunner.runs.state.store import RunStore
    from taorunner.text import amount, size

    context.obj.refuse_extra()
    place = context.obj.open_workspace(workspace)
    store = RunStore(place.state_dir)
    records = _chosen(context.obj, place, store, runs or (), project)
    path = output.expanduser().absolute() if output is not None else _own_place(place, records)
    check_place(path, overwrite=overwrite, makes_folder=output is None)
    contents = contents_of(store, records)
    written = write_report(
        path, _html(place, store, records, contents, has_all=not runs),
        overwrite=overwrite, makes_folder=output is None,
    )  # fmt: skip
    failed = f", {len(contents.failures)} failed" if contents.failures else ""
    where = clean(shown_path(path, Path.cwd()))
    typer.echo(f"wrote {where}: {amount(len(records), 'run')}{failed}, {size(written)}")
    if show:
        open_in_browser(context.obj, path)
    return ExitCode.DONE


def _chosen(
    invocation: Invocation, place: Workspace, store: RunStore, words: Sequence[str], project: str | None
) -> list[RunRecord]:
    """The runs of the words; without any, the training that each experiment of the project stands for, but for the
    trials of sweeps, which have a section of their own."""
    import os

    from taorunner.project.workspace import nearest_project
    from taorunner.reports.swept import runs_of_trials
    from taorunner.runs.comparison.chosen import chosen_runs

    if words:
        asked = invocation.project_asked(place, project)
        return chosen_runs(store, words, project=asked, near=nearest_project(place, Path.cwd(), os.environ))
    name = invocation.project_name(place, project)
    found, trials = chosen_runs(store, (), project=name), runs_of_trials(store, name)
    records = [record for record in found if record.id not in trials] or found
    if not records:
        raise RunStateError(f'no training of project "{name}" yet', hint=f"taorunner -p {name} train --all")
    return records


def _own_place(place: Workspace, records: Sequence[RunRecord]) -> Path:
    projects = sorted({record.project for record in records})
    if len(projects) > 1:
        raise UsageError(
            f"these runs are of {len(projects)} projects: {', '.join(projects[:4])}",
            hint="say where to write the report: -o FILE",
        )
    return place.project(projects[0]).report_file


def _html(
    place: Workspace, store: RunStore, records: Sequence[RunRecord], contents: Contents, *, has_all: bool
) -> str:
    """``has_all``: the report is of the whole project."""
    from taorunner.events import now
    from taorunner.reports.page import report_page
    from taorunner.reports.pictures import small_pictures
    from taorunner.reports.swept import swept_of_projects
    from taorunner.runs.state.lookup.short_ids import short_ids

    named = [
        *(record.id for record in records), *(one.record.id for one in contents.failures),
        *(one.record.id for one in contents.scored),
        *(node.record.id for tree in contents.trees for node in tree),
    ]  # fmt: skip
    ids = short_ids(list(dict.fromkeys(named)), store.folder_names())
    title = ", ".join(dict.fromkeys(record.project for record in records))
    picture = small_pictures(lambda project: place.project(project).data_dir)
    experiments = [(record.project, record.experiment) for record in records]
    swept = swept_of_projects(store, experiments, of_all_bases=has_all)
    return report_page(title, contents, ids, picture, now(), swept=swept)


def open_in_browser(invocation: Invocation, path: Path) -> None:
    import webbrowser

    try:
        is_open = webbrowser.open(path.as_uri())
    except webbrowser.Error:
        is_open = False
    if not is_open:
        invocation.note(f"no browser was found; open {path.as_uri()}")
