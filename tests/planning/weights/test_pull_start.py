"""The weights of a new experiment are pulled where a guest or a key may, and never a reason to fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hub_server import hub_server
from ngc_server import FakeNgc, noise

from taorunner.catalog.load import Catalog
from taorunner.planning.weights.choice import StartWeights, start_weights
from taorunner.planning.weights.pull import pull_start_weights
from taorunner.pretrained.ngc import RemoteFile
from taorunner.project.workspace import Workspace

NAME = "nvidia/tao/pretrained_detectnet_v2"
CONTENT = noise(3_000_000, 1)


class Silent:
    def begins(self, model: str, files: Sequence[RemoteFile]) -> None: ...

    def advanced(self, path: str, have: int) -> None: ...

    def tells(self, text: str) -> None: ...


@pytest.fixture
def weights() -> StartWeights:
    found = start_weights(Catalog().layout("detectnet_v2"), "resnet18")
    assert found is not None
    return found


@pytest.fixture
def server() -> Iterator[FakeNgc]:
    with FakeNgc({NAME: {"resnet18": {"resnet18.hdf5": CONTENT}}}) as ngc:
        yield ngc


def test_they_are_pulled_once(weights: StartWeights, server: FakeNgc, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    done = pull_start_weights(weights, workspace, Silent(), server.environ, tmp_path)
    folder = tmp_path / "repositories/pretrained_detectnet_v2/pretrained_detectnet_v2_vresnet18"
    assert (done.folder, done.says) == (folder, f"{NAME}:resnet18, pulled, 2.9 MiB")
    assert (folder / "resnet18.hdf5").read_bytes() == CONTENT
    server.seen.clear()
    again = pull_start_weights(weights, workspace, Silent(), server.environ, tmp_path)
    assert (again.folder, again.says, server.seen) == (folder, f"{NAME}:resnet18, already present", [])


def test_a_key_is_used_and_its_absence_is_said(
    weights: StartWeights, server: FakeNgc, tmp_path: Path
) -> None:
    server.private.add(NAME)
    workspace = Workspace(tmp_path)
    done = pull_start_weights(weights, workspace, Silent(), server.environ, tmp_path)
    assert (done.folder, done.says) == (None, f"{NAME}:resnet18 needs an NGC key, not pulled")
    assert not (tmp_path / "repositories").exists()
    keyed = {**server.environ, "NGC_API_KEY": server.new_key}
    assert pull_start_weights(weights, workspace, Silent(), keyed, tmp_path).folder is not None


def test_without_a_network_it_is_said_and_nothing_fails(weights: StartWeights, tmp_path: Path) -> None:
    away = {"TAORUNNER_NGC_URL": "http://127.0.0.1:9"}
    done = pull_start_weights(weights, Workspace(tmp_path), Silent(), away, tmp_path)
    assert done.folder is None
    assert done.says.startswith(f"{NAME}:resnet18 could not be fetched (127.0.0.1 ")
    assert done.says.endswith("), not pulled")


def test_a_version_that_is_gone_is_said(weights: StartWeights, server: FakeNgc, tmp_path: Path) -> None:
    server.models[NAME] = {"resnet34": {"resnet34.hdf5": b"x"}}
    done = pull_start_weights(weights, Workspace(tmp_path), Silent(), server.environ, tmp_path)
    assert done.folder is None and "not pulled" in done.says


def test_weights_of_hugging_face_are_pulled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    weights = start_weights(Catalog().layout("codetr"), "vit_large_codetr")
    assert weights is not None
    model = "hf://zongzhuofan/co-detr-vit-large-coco"
    assert (weights.model, weights.key) == (model, "train.pretrained_model_path")
    seen: list[str] = []
    with hub_server("zongzhuofan/co-detr-vit-large-coco", {"pytorch_model.pth": CONTENT}, seen) as environ:
        done = pull_start_weights(weights, Workspace(tmp_path), Silent(), environ, tmp_path)
        seen.clear()
        again = pull_start_weights(weights, Workspace(tmp_path), Silent(), environ, tmp_path)
    folder = tmp_path / "repositories/co-detr-vit-large-coco/co-detr-vit-large-coco_vmain"
    assert (done.folder, done.says) == (folder, f"{model}, pulled, 2.9 MiB")
    assert (folder / "pytorch_model.pth").read_bytes() == CONTENT
    assert (again.says, seen) == (f"{model}, already present", [])


def test_weights_of_hugging_face_that_are_refused_are_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    weights = start_weights(Catalog().layout("codetr"), "vit_large_codetr")
    assert weights is not None
    with hub_server("somebody/else", {}) as environ:
        done = pull_start_weights(weights, Workspace(tmp_path), Silent(), environ, tmp_path)
    assert done.folder is None
    assert "could not be fetched (Hugging Face has no" in done.says
    assert done.says.endswith("not pulled")
    assert not any((tmp_path / "repositories").rglob("*.pth"))
