"""A dataset that is laid out as the catalog says has every path that the spec files of a new project name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dataset_layouts import put_data
from filled_in import fill_in

from taorunner.catalog.load import Catalog, load_network
from taorunner.planning.context import Planning
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.new_project import new_project
from taorunner.planning.planner import planned_with, planning_of
from taorunner.project.load import load_project
from taorunner.project.scaffold import scaffold_heads
from taorunner.project.workspace import Workspace

CALLER = Caller(1000, 1000, (4,), "ada", {"HOME": "/nowhere"})


def plans_of(workspace: Workspace, experiment: str, head: str) -> Iterator[RunPlan]:
    """Of each action with a spec, training first: the others need its checkpoint. Their files are read once, as a command
    with several actions reads them."""
    contracts = load_network(head).contracts()
    results = workspace.project("new").results_dir(experiment)
    site = Site("run", workspace.runs_dir / "run")
    planning: Planning | None = None
    for action in ("train", *(one for one in contracts if one != "train")):
        if contracts[action].spec is None:
            continue
        image = None if contracts[action].image is not None or head == "tinydet" else "own/image:1"
        request = ActionRequest(action, (experiment,), force=True, dry_run=True, image=image)
        if planning is None:
            planning = planning_of(workspace, "new", request, CALLER, lambda *_: site)
        planned = planned_with(replace(planning, request=request, findings=[]))
        if planned.items:
            yield planned.items[0].plan
        if action == "train":
            for glob in contracts["train"].checkpoints.globs[:1]:
                named = results / re.sub(r"(?:\[0-9\])+|\*", "003", glob)
                named.parent.mkdir(parents=True, exist_ok=True)
                named.touch()
            planning = None


@pytest.mark.parametrize("head", scaffold_heads())
def test_what_a_new_project_names_is_where_the_layout_puts_it(head: str, tmp_path: Path) -> None:
    layout = Catalog().layout(head)
    dataset = "cars/train" if layout is not None and layout.dataset else "cars"
    new_project(tmp_path, tmp_path, "new", head=head, backbone=None, experiment=None, dataset=dataset)
    fill_in(tmp_path / "projects/new")
    workspace = Workspace(tmp_path)
    data = workspace.project("new").data_dir
    put_data(head, data / dataset)
    (experiment,) = load_project(workspace, "new").experiments.values()
    if experiment.repository is not None:
        name = f"{experiment.repository}/{experiment.repository}_v{experiment.backbone}/weights.hdf5"
        (tmp_path / "repositories" / name).parent.mkdir(parents=True)
        (tmp_path / "repositories" / name).touch()
    missing = {}
    seen = set()
    for plan in plans_of(workspace, experiment.name, head):
        seen.add(plan.contract.action)
        spec = re.sub(r"(?m)(?:^|\s)#.*$", "", plan.spec.text if plan.spec is not None else "")
        text = "\n".join((spec, *plan.argv)).replace("/workspace/projects/new/data/", f"{data}/")
        for named in re.findall(rf"({re.escape(str(data))}/[^\s\"',\]}}]+)", text):
            if not named.startswith(f"{data}/tfrecords_") and not Path(named).exists():
                missing[named.removeprefix(f"{data}/")] = plan.contract.action
    assert "train" in seen
    assert missing == {}
