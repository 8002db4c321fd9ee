"""What ``init-project`` makes: right under the strict check, and a plan for every action of its network.

``new_project_golden.txt`` holds the argument list of every network × action in a new project. After a wanted change:
``PYTHONPATH=tests/rig python tests/planning/test_new_project.py`` writes it again; read the difference before you commit it.
``tools/check_public_parsers.py`` gives these lists to TAO's own parsers.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from dataset_layouts import put_data
from filled_in import fill_in

from taorunner.catalog.load import load_network, network_names
from taorunner.catalog.network import Network
from taorunner.contracts import OverrideSyntax
from taorunner.planning.context import Planning
from taorunner.planning.inputs.named_checkpoint import destination
from taorunner.planning.model.forcing import OF_DATASETS
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.new_project import new_project
from taorunner.planning.planner import planned_with, planning_of
from taorunner.planning.spec.schema_choice import schema_for
from taorunner.planning.validate import validate_projects
from taorunner.project.load import load_project
from taorunner.project.scaffold import scaffold_heads
from taorunner.project.workspace import Workspace

GOLDEN = Path(__file__).parent / "new_project_golden.txt"
NOT_OF_SPECS = OF_DATASETS | {"not-made-yet"}
"""There are no labels to learn from, and no records yet."""
CALLER = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})

CANNOT_BE_TRAINED = {
    "analytics": "looks at datasets",
    "annotations": "converts annotations",
    "augmentation": "makes images of images",
    "auto_label": "labels with a network that is there",
    "embedding": "embeds images and texts with a network that is there",
    "gap_analysis": "looks at predictions",
    "image": "looks for broken images",
    "model_agnostic": "stands for the TensorRT actions of the others",
    "radio": "has no train; its schema is in no public package",
    "skin_tone": "makes images of images",
    "tmm": "looks for images in a pool",
}
"""The networks of the catalog that no project can be started with, and why."""


def made_project(root: Path, head: str) -> tuple[Workspace, str]:
    """A project as ``init-project`` makes it with its marks filled in, and the pretrained weights that it names. Gives its experiment."""
    new_project(root, root, "new", head=head, backbone=None, experiment=None, dataset="train")
    fill_in(root / "projects/new")
    put_data(head, root / "projects/new/data/train")
    workspace = Workspace(root)
    (experiment,) = load_project(workspace, "new").experiments.values()
    if experiment.repository is not None:
        folder = (
            root / "repositories" / experiment.repository / f"{experiment.repository}_v{experiment.backbone}"
        )
        folder.mkdir(parents=True)
        (folder / "weights.hdf5").write_text("")
    return workspace, experiment.name


def write_what_actions_read(results: Path, network: Network) -> str | None:
    """A checkpoint of the third epoch, an exported model and an engine. Gives the checkpoint where it has to be named."""
    contract = network.contract("train")
    pattern = next(iter(contract.checkpoints.globs), None)
    name = "train/weights.pth" if pattern is None else re.sub(r"(?:\[0-9\])+|\*", "003", pattern)
    (results / name).mkdir(parents=True)  # a folder, as UNet's are
    if not contract.checkpoints.is_directory:
        (results / name).rmdir()
        (results / name).write_text("")
    for file in (results / "export/model.onnx", results / "gen_trt_engine/built.engine"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    return name if pattern is None else None


def plans_of(root: Path, head: str) -> dict[str, RunPlan]:
    """The plan of every action of the head whose contract is known; train's before there are any results."""
    workspace, experiment = made_project(root, head)
    network = load_network(head)
    plans: dict[str, RunPlan] = {}
    named: str | None = None
    site = Site("run", workspace.runs_dir / "run")
    planning: Planning | None = None
    contracts = network.contracts()
    for action in sorted(contracts, key=lambda action: action != "train"):
        reads = destination(contracts[action]) is not None
        request = ActionRequest(
            action, (experiment,), checkpoint=named if reads else None, force=True, dry_run=True,
            image=None if contracts[action].image is not None or head == "tinydet" else "own/image:1",
        )  # fmt: skip
        if planning is None:
            planning = planning_of(workspace, "new", request, CALLER, lambda *_: site)
        planned = planned_with(replace(planning, request=request, findings=[]))
        findings = [one for one in planned.findings if one.code not in NOT_OF_SPECS]
        assert findings == [], (head, action)
        (item,) = planned.items
        plans[action] = item.plan
        if action == "train":
            named = write_what_actions_read(workspace.project("new").results_dir(experiment), network)
            planning = None
    return {action: plans[action] for action in contracts}


def shown(plan: RunPlan, root: Path) -> str:
    """Its argument list; what runs on the host has paths of this workspace in it."""
    return " ".join(plan.argv).replace(str(root), "/ws")


def golden_text(head: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        plans = plans_of(root, head)
    return "".join(f"{head} {action}\n    {shown(plan, root)}\n" for action, plan in plans.items())


def test_a_project_can_be_started_with_every_network_that_can_be_trained() -> None:
    trainable = {name for name in network_names() if load_network(name).trainable}
    assert set(scaffold_heads()) == trainable
    assert set(network_names()) - trainable == set(CANNOT_BE_TRAINED)


@pytest.mark.parametrize("head", scaffold_heads())
def test_a_new_project_passes_the_strict_check(head: str, tmp_path: Path) -> None:
    workspace, _ = made_project(tmp_path, head)
    found = validate_projects(workspace, ["new"], {"HOME": "/nowhere"}, strict=True)
    assert [one for one in found if one.code not in NOT_OF_SPECS] == []


@pytest.mark.parametrize("head", scaffold_heads())
def test_every_action_of_a_new_project_can_be_planned_with_keys_of_its_schema(
    head: str, tmp_path: Path
) -> None:
    golden = re.findall(rf"(?m)^{head} (\S+)\n    (.*)$", GOLDEN.read_text(encoding="utf-8"))
    plans = plans_of(tmp_path, head)
    assert [(action, shown(plan, tmp_path)) for action, plan in plans.items()] == golden
    for action, plan in plans.items():
        contract = load_network(head).contract(action)
        assert (plan.spec is None) == (contract.spec is None), action
        if plan.spec is not None:
            assert any(plan.spec.file_name.startswith(f"{stem}.") for stem in contract.spec.stems), action
            assert "$" not in re.sub(r"(?m)(?:^|\s)#.*$", "", plan.spec.text), action
        against = schema_for(contract)
        if contract.override_syntax is OverrideSyntax.HYDRA and against is not None:
            keys = [token.partition("=")[0] for token in plan.argv if "=" in token]
            assert keys == [key for key in keys if against.schema.find(tuple(key.split("."))) is not None]


def test_the_golden_file_holds_every_network_and_nothing_else() -> None:
    heads = re.findall(r"(?m)^(\S+) \S+$", GOLDEN.read_text(encoding="utf-8"))
    assert sorted(set(heads)) == list(scaffold_heads())


if __name__ == "__main__":
    GOLDEN.write_text("".join(golden_text(head) for head in scaffold_heads()), encoding="utf-8")
