"""``projects``: the projects of a workspace, or the experiments of some of them, as a table or JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.formatting import clean
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console, symbols_of

if TYPE_CHECKING:
    from taorunner.project.load import Project


def print_projects(projects: Sequence[Project], *, with_experiments: bool, json: bool) -> None:
    """A row per project; ``with_experiments`` one per experiment, also of one with errors. JSON has both."""
    if json:
        write_json([_as_json(project) for project in projects], sys.stdout.buffer)
        return
    if with_experiments:
        columns = [
            Column("project", shrinks_to=12), Column("experiment", shrinks_to=16), Column("network"),
            Column("dataset", drop=2, shrinks_to=12), Column("description", drop=1, shrinks_to=16),
        ]  # fmt: skip
        rows = [row for project in projects for row in _experiments(project)]
    else:
        columns = [
            Column("project", shrinks_to=16), Column("experiments", right=True), Column("networks", shrinks_to=16),
            Column("datasets", drop=1, shrinks_to=16),
        ]  # fmt: skip
        rows = [_project(project) for project in projects]
    console = make_console(sys.stdout, os.environ)
    cells = [Row(tuple(Text(clean(cell)) for cell in row)) for row in rows]
    for line in laid_out(columns, cells, console.width, symbols_of(console)) if rows else ():
        console.print(line, soft_wrap=True)


def _project(project: Project) -> tuple[str, ...]:
    heads = dict.fromkeys(head for name in project.names if (head := project.head_of(name)) is not None)
    datasets = dict.fromkeys(one.dataset for one in project.experiments.values())
    return project.name, str(len(project.names)), ", ".join(heads), ", ".join(datasets)


def _experiments(project: Project) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name in project.names:
        one = project.experiments.get(name)
        dataset, said = (one.dataset, one.description or "") if one is not None else ("", "has errors")
        rows.append((project.name, name, project.head_of(name) or "", dataset, said))
    return rows


def _as_json(project: Project) -> dict[str, Any]:
    experiments = []
    for name in project.names:
        one = project.experiments.get(name)
        experiments.append({
            "name": name, "network": project.head_of(name), "release": one.release if one is not None else None,
            "dataset": one.dataset if one is not None else None,
            "description": one.description if one is not None else None, "usable": one is not None,
        })  # fmt: skip
    return {"project": project.name, "directory": str(project.paths.root), "experiments": experiments}
