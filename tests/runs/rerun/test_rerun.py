"""``rerun``: exactly what changed is named, the plan is that of the run, and nothing of it is overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path

import pytest

from taorunner.errors import RunStateError, UserFilesError
from taorunner.events import RunState
from taorunner.gpu.inventory import Gpu, Inventory
from taorunner.planning.model.plan import ResumePoint, RunPlan, SecretSource
from taorunner.planning.model.request import ActionRequest, Site
from taorunner.planning.model.rerun_name import base_name, is_rerun
from taorunner.project.workspace import Workspace
from taorunner.runs.control.launch import plan_request
from taorunner.runs.inputs.run_lock import RunLock, read_lock
from taorunner.runs.inputs.taking import complete_lock, take_lock
from taorunner.runs.rerun.check import Check, Surroundings, check_run
from taorunner.runs.rerun.repeat import next_name, repeated
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace

H100 = Inventory((Gpu(0, "GPU-1", "NVIDIA H100 80GB HBM3"),), driver="570.86")
DIGEST = "sha256:" + "ab" * 32
SPEC = """results_dir: $results_dir
dataset:
  train_data_sources:
    - {image_dir: $dataset_raw/train, json_file: $dataset_raw/annotations.json}
  val_data_sources:
    - {image_dir: $dataset_raw/train, json_file: $dataset_raw/annotations.json}
  num_classes: 3
model: {backbone: resnet_50, pretrained_backbone_path: /workspace/repositories/r/r_v1/w.pth}
train: {num_epochs: 4, seed: 7, optim: {lr: 0.0001}}
"""
EXPERIMENTS = {"experiments": {"e": {"head": "dino", "dataset": "d", "model_key": "s3cret"}}}


class Ran:
    """A run of a project on record."""

    def __init__(self, root: Path, experiments: Callable[[Mapping[str, object]], None]) -> None:
        self.root, self.store, self.write_experiments = root, RunStore(root / ".taorunner"), experiments
        self.workspace = Workspace(root)
        planned = plan_request(self.workspace, "example_01", ActionRequest("train", ("e",), force=True), {})
        (item,) = planned.items
        self.plan = item.plan
        self.record = RunRecord(
            id=item.site.run_id, batch="b", project="example_01", experiment="e", action="train", backend="docker",
            state=RunState.SUCCEEDED, queued_at=datetime.now(timezone.utc), started_at=datetime.now(timezone.utc),
            image=self.plan.image, image_digest=DIGEST, gpus=("0",), gpu_models=("NVIDIA H100 80GB HBM3",),
            driver="570.86", results_dir=str(self.plan.results_dir),
        )  # fmt: skip
        self.store.paths(self.record.id).directory.mkdir(parents=True)
        self.store.save_plan(self.record.id, self.plan)
        self.store.save(self.record)
        take_lock(self.store, self.record.id, self.plan)
        complete_lock(self.store, self.record, self.plan, [])
        self.plan = RunStore(root / ".taorunner").load_plan(self.record.id)  # as another process reads it

    @property
    def lock(self) -> RunLock:
        lock = read_lock(self.store, self.record.id)
        assert lock is not None
        return lock

    def check(self, inventory: Inventory = H100, digest: str | None = DIGEST) -> Check:
        now = Surroundings(self.workspace, inventory, {}, lambda _: digest)
        return check_run(self.store, self.record, self.lock, self.plan, now)

    def repeated(self, plan: RunPlan | None = None, lock: RunLock | None = None) -> RunPlan:
        plan = plan or self.plan
        run_id = "20261201-000000-e.rerun-1-train-abcdef"
        site = Site(run_id, self.store.paths(run_id).directory)
        return repeated(self.workspace, self.record, lock or self.lock, plan, site, next_name(plan))


@pytest.fixture
def ran(workspace_factory: Callable[..., Path]) -> Ran:
    root = workspace_factory(
        EXPERIMENTS, specs={"e/train.yaml": SPEC}, data={"d/train/c0001.jpg": "a", "d/annotations.json": "{}"}
    )
    weights = root / "repositories/r/r_v1/w.pth"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    file = root / "projects/example_01/experiments.yml"

    def write(body: Mapping[str, object]) -> None:
        import json

        file.write_text(json.dumps(body))

    return Ran(root, write)


def test_an_unchanged_run_has_no_deviation(ran: Ran) -> None:
    found = ran.check()
    assert found.deviations == ()
    assert found.same == ("image", "spec", "data", "weights", "gpus", "driver", "seed", "taorunner")


def change_image(ran: Ran) -> None:
    ran.write_experiments(
        {"experiments": {"e": {**EXPERIMENTS["experiments"]["e"], "image": "nvcr.io/a/b:other"}}}
    )


def change_picture(ran: Ran) -> None:
    (ran.root / "projects/example_01/data/d/train/c0001.jpg").write_text("other")


def change_weight(ran: Ran) -> None:
    (ran.root / "repositories/r/r_v1/w.pth").write_bytes(b"wEights")


def change_seed(ran: Ran) -> None:
    spec = ran.root / "projects/example_01/specs/e/train.yaml"
    spec.write_text(spec.read_text().replace("seed: 7", "seed: 8"))


def change_rate(ran: Ran) -> None:
    spec = ran.root / "projects/example_01/specs/e/train.yaml"
    spec.write_text(spec.read_text().replace("lr: 0.0001", "lr: 0.0002"))


def nothing(ran: Ran) -> None: ...


OTHER_DRIVER = Inventory(H100.gpus, driver="565.57")
A100 = Inventory((Gpu(0, "GPU-2", "NVIDIA A100"),), driver="570.86")


@pytest.mark.parametrize(
    ("change", "inventory", "digest", "kind", "is_blocking", "said"),
    [
        (change_image, H100, DIGEST, "image", False, "nvcr.io/a/b:other, was nvcr.io/nvidia/tao/"),
        (change_picture, H100, DIGEST, "data", True, "d: 1 changed (c0001.jpg)"),
        (change_weight, H100, DIGEST, "weights", True, "repositories/r/r_v1/w.pth has changed to"),
        (nothing, A100, DIGEST, "gpus", True, "1 × NVIDIA A100, was 1 × NVIDIA H100 80GB HBM3"),
        (change_seed, H100, DIGEST, "seed", False, "8, was 7"),
        (change_rate, H100, DIGEST, "spec", False, "train.optim.lr: 0.0002, was 0.0001"),
        (
            nothing,
            OTHER_DRIVER,
            DIGEST,
            "driver",
            False,
            "565.57, was 570.86",
        ),
        (nothing, H100, "sha256:" + "cd" * 32, "image", False, "now, was sha256:abababababab"),
        (nothing, Inventory(), DIGEST, "gpus", True, "no GPU, was 1 × NVIDIA H100 80GB HBM3"),
    ],
    ids=["image", "picture", "weight", "GPU", "seed", "learning rate", "driver", "tag moved", "no GPU"],
)
def test_exactly_what_changed_is_named(
    ran: Ran,
    change: Callable[[Ran], None],
    inventory: Inventory,
    digest: str,
    kind: str,
    is_blocking: bool,
    said: str,
) -> None:
    change(ran)
    found = ran.check(inventory, digest)
    assert [(one.kind, one.is_blocking) for one in found.deviations] == [(kind, is_blocking)], found
    assert said in found.deviations[0].text
    assert kind not in found.same
    assert found.blocking() == ((kind,) if is_blocking else ())
    assert found.blocking(frozenset({kind})) == ()


def test_a_touched_file_of_weights_with_its_content_is_the_same(ran: Ran) -> None:
    os.utime(ran.root / "repositories/r/r_v1/w.pth", (1, 1))
    assert ran.check().deviations == ()
    (ran.root / "repositories/r/r_v1/w.pth").unlink()
    found = ran.check()
    assert ("weights", "repositories/r/r_v1/w.pth is not there", True) in [
        (one.kind, one.text, one.is_blocking) for one in found.deviations
    ]


def test_an_experiment_that_is_gone_can_still_be_checked(ran: Ran) -> None:
    ran.write_experiments({"experiments": {"other": {"head": "dino", "dataset": "d"}}})
    found = ran.check()
    assert [(one.kind, one.is_blocking) for one in found.deviations] == [("spec", False)]
    assert "cannot be compared with the project of today" in found.deviations[0].text


def test_what_is_not_on_record_is_unknown_and_not_the_same(ran: Ran) -> None:
    ran.record = replace(ran.record, image_digest=None, gpu_models=(), driver=None)
    found = ran.check()
    assert found.unknown == ("image", "gpus", "driver")
    assert not set(found.unknown) & set(found.same)


def test_a_rerun_has_the_same_inputs_and_results_of_its_own(ran: Ran) -> None:
    again = ran.repeated()
    assert (again.experiment, again.results_dir) == ("e.rerun-1", ran.plan.results_dir.parent / "e.rerun-1")
    assert again.results_inside == "/workspace/projects/example_01/models/e.rerun-1"
    assert again.image == f"{(ran.plan.image or '').rpartition(':')[0]}@{DIGEST}"
    assert again.spec is not None and ran.plan.spec is not None
    assert again.spec.text == ran.plan.spec.text.replace("/models/e", "/models/e.rerun-1")
    assert not any(token.endswith("/models/e") for token in again.argv)
    writable = {str(mount.target): mount.source for mount in again.mounts if not mount.read_only}
    assert writable["/workspace/projects/example_01/models/e.rerun-1"] == again.results_dir
    assert "/workspace/projects/example_01/models/e" not in writable
    assert (again.overwrite, again.set_aside, again.resume) == (False, (), None)
    assert [one.origin for one in again.secrets] == ["literal:s3cret"]
    again.results_dir.mkdir(parents=True)
    assert next_name(ran.plan) == next_name(again) == "e.rerun-2"


def test_a_checkpoint_that_was_read_is_read_from_where_it_was(ran: Ran) -> None:
    inside = ran.plan.results_inside
    read = f"{inside}/train/model.pth"
    plan = replace(
        ran.plan,
        argv=(f"evaluate.checkpoint={read}", f"results_dir={inside}", f"out={inside}/train/model.pth.txt"),
    )
    lock = replace(ran.lock, weights=(*ran.lock.weights, *_file(ran, "train/model.pth")))
    assert ran.repeated(plan, lock).argv == (
        f"evaluate.checkpoint={read}", f"results_dir={inside}.rerun-1", f"out={inside}.rerun-1/train/model.pth.txt",
    )  # fmt: skip


def _file(ran: Ran, name: str) -> tuple[object, ...]:
    path = (ran.plan.results_dir / name).relative_to(ran.root)
    return (replace(ran.lock.weights[0], path=str(path)),)


def test_what_cannot_be_repeated_says_why(ran: Ran) -> None:
    resumed = replace(ran.plan, resume=ResumePoint(ran.root / "x.pth", 3))
    with pytest.raises(RunStateError, match="a resumed training cannot be repeated alone"):
        ran.repeated(resumed)
    ran.write_experiments({"experiments": {"e": {"head": "dino", "dataset": "d"}}})
    with pytest.raises(UserFilesError, match='the secret "'):
        ran.repeated()


def test_each_secret_that_was_written_out_is_read_again_from_its_own_place(ran: Ran) -> None:
    token = SecretSource("env_API_TOKEN", "literal:", variable="API_TOKEN")
    plan = replace(ran.plan, secrets=(*ran.plan.secrets, token))
    written = {"head": "dino", "dataset": "d", "model_key": "k3y"}
    ran.write_experiments({"experiments": {"e": {**written, "env": {"API_TOKEN": "t0ken"}}}})
    assert [one.origin for one in ran.repeated(plan).secrets] == ["literal:k3y", "literal:t0ken"]
    ran.write_experiments({"experiments": {"e": written}})
    with pytest.raises(UserFilesError, match='the secret "env_API_TOKEN"'):
        ran.repeated(plan)


def test_names_of_reruns() -> None:
    assert [base_name(one) for one in ("e", "e.rerun-1", "e.rerun-12", "e.rerun-", "e.rerun-1.x")] == [
        "e", "e", "e", "e.rerun-", "e.rerun-1.x",
    ]  # fmt: skip
    assert (is_rerun("e.rerun-3"), is_rerun("e")) == (True, False)
