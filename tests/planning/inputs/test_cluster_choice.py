"""Where a run is, by experiments.yml, clusters.yml and the command line; and which runs cannot be there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taorunner.errors import UnknownNameError, UserFilesError
from taorunner.planning.model.plan import GpuRequest, RunPlan
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.planner import Planned, plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.limits import Limits
from taorunner.project.workspace import Workspace

Write = Callable[..., Workspace]
CLUSTERS = """\
clusters:
  dgx: {backend: slurm, partition: gpu, time: 4h, nodes: 2, cpus: 8}
  here: {backend: local}
  bad: {backend: slurm, hots: x}
"""


@pytest.fixture
def write(workspace_factory: Callable[..., Path], tmp_path: Path) -> Write:
    def make(keys: str = "") -> Workspace:
        text = f"experiments:\n  e1: {{head: dino, dataset: d, gpus: 2{keys}}}\n"
        specs = {"e1/train.yaml": "train:\n  num_epochs: 2\n"}
        workspace = Workspace(workspace_factory(text, specs=specs, data={"d/": ""}))
        workspace.clusters_file.write_text(CLUSTERS)
        return workspace

    return make


def planned(workspace: Workspace, **options: Any) -> Planned:
    caller = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})
    request = ActionRequest("train", ("e1",), **options)
    return plan_action(
        workspace, "example_01", request, caller, lambda name, _: Site(name, workspace.runs_dir / name)
    )


def place(made: Planned) -> tuple[str | None, str, Any, int]:
    (item,) = made.items
    return item.plan.cluster, item.plan.backend, dict(item.plan.backend_options), item.plan.resources.nodes


def errors(made: Planned) -> list[tuple[str, str, str | None]]:
    return [(one.code, one.message, one.hint) for one in made.findings if one.is_error]


def test_the_cluster_gives_backend_settings_and_limits(write: Write) -> None:
    made = planned(write(", cluster: dgx, cpus: 4"))
    assert place(made) == ("dgx", "slurm", {"partition": "gpu", "time": "4h"}, 2)
    resources = made.items[0].plan.resources
    assert (resources.cpus, resources.time_s, resources.gpus) == (4, 4 * 3600, GpuRequest(2))
    assert RunPlan.from_json(json.loads(json.dumps(made.items[0].plan.to_json()))) == made.items[0].plan


@pytest.mark.parametrize(
    ("keys", "options", "expected"),
    [
        (", cluster: dgx", {"cluster": "here"}, ("here", "local", {}, 1)),
        (", cluster: dgx", {"backend": "local"}, (None, "local", {}, 1)),
        (", cluster: dgx", {"backend": "slurm"}, ("dgx", "slurm", {"partition": "gpu", "time": "4h"}, 2)),
        (", cluster: dgx, nodes: 4", {}, ("dgx", "slurm", {"partition": "gpu", "time": "4h"}, 4)),
        (", cluster: nowhere", {"cluster": "here"}, ("here", "local", {}, 1)),
        (", backend: docker", {"cluster": "dgx"}, ("dgx", "slurm", {"partition": "gpu", "time": "4h"}, 2)),
    ],
)
def test_the_command_line_beats_the_file(
    write: Write, keys: str, options: dict[str, str], expected: tuple[str | None, str, Any, int]
) -> None:
    assert place(planned(write(keys), **options)) == expected


def test_names_and_backends_that_do_not_fit_are_refused(write: Write) -> None:
    workspace = write()
    made = planned(workspace, cluster="dgxx")
    assert errors(made) == [("unknown-cluster", 'there is no cluster "dgxx"', 'did you mean "dgx"?')]
    with pytest.raises(UnknownNameError):
        made.raise_for_errors()
    made = planned(workspace, cluster="dgx", backend="local")
    said = "--backend local: the cluster dgx has the backend slurm"
    assert errors(made) == [("cluster-backend", said, "leave --backend out")]
    made = planned(workspace, cluster="bad")
    assert [code for code, _, _ in errors(made)] == ["unknown-key"]
    with pytest.raises(UserFilesError):
        made.raise_for_errors()


def test_a_scheduler_gives_the_gpus(write: Write) -> None:
    said = 'the cluster "dgx" gives each run its GPUs: they cannot be chosen by number'
    workspace = write(", cluster: dgx, gpu_indices: [0, 1]")
    assert ("gpu-indices", said, 'write "gpus:" in the place of it') in errors(planned(workspace))
    found = validate_projects(workspace, ["example_01"], {})
    assert [(one.line, one.message) for one in found if one.code == "gpu-indices"] == [(2, said)]
    rows = [(one.code, one.line, one.column) for one in found if one.file == workspace.clusters_file]
    assert rows == [("unknown-key", 4, 25)], "validate reads the file of clusters"
    typed = planned(workspace, gpu_ids=("0", "1"))
    assert ("gpu-indices", said, "leave out --gpu-indices, and write --gpus N") in errors(typed)
    assert errors(planned(workspace, cluster="here")) == []


def test_an_action_of_one_node_is_not_started_on_two(write: Write) -> None:
    workspace = write(", release: 5.5.0")
    said = '"dino" train runs on one node only, not on 2'
    made = planned(workspace, cluster="dgx", limits=Limits(nodes=2))
    assert errors(made) == [("too-many-nodes", said, "use more GPUs of one node: gpus")]
    assert place(planned(workspace, cluster="dgx"))[3] == 1, (
        "what the cluster gives by default is not asked for"
    )


def test_a_runtime_without_read_only_mounts_is_said_once_where_it_is_written(write: Write) -> None:
    container = "container: {runtime: charliecloud, images: /i}"
    keys = (
        f", backend: slurm, backend_options: {{{container}}}}}\n  e2: {{head: dino, dataset: d, cluster: ch"
    )
    workspace = write(keys)
    workspace.clusters_file.write_text(f"clusters:\n  ch: {{backend: slurm, {container}}}\n")
    found = [one for one in validate_projects(workspace, (), {}) if one.code == "nothing-read-only"]
    experiments = workspace.project("example_01").experiments_file
    assert [(one.file, one.line, one.is_error) for one in found] == [
        (experiments, 2, False),
        (workspace.clusters_file, 2, False),
    ]
    of_plan = [one for one in planned(workspace, dry_run=True).findings if one.code == "nothing-read-only"]
    assert [(one.file, one.line) for one in of_plan] == [(experiments, 2)]
