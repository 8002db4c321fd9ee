"""What experiments need of the machine: images, GPUs, shared memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from planted import IMAGE_5, IMAGE_7

from taorunner.doctor.workspace_needs import Needs, find_needs, login_key
from taorunner.project.workspace import Workspace


@pytest.mark.parametrize(
    ("image", "key"),
    [
        (IMAGE_5, "nvcr.io"),
        ("busybox", "https://index.docker.io/v1/"),
        ("docker.io/library/ubuntu", "https://index.docker.io/v1/"),
        ("localhost:5000/tao:1", "localhost:5000"),
    ],
)
def test_the_key_of_a_login(image: str, key: str) -> None:
    assert login_key(image) == key


def test_what_the_images_ask_for() -> None:
    needs = Needs(is_known=True, images={IMAGE_5: ("p/a",), "nvcr.io/x/y:1": ("p/b",), "tool": ("p/c",)})
    assert (needs.wants_engine, needs.wants_7) == (True, False)
    assert needs.versions == ((5, 5, 0), None, None)
    assert needs.registries == ("nvcr.io", "https://index.docker.io/v1/")
    assert Needs(is_known=True, images={IMAGE_7: ("p/a",)}).wants_7
    assert Needs().wants_engine and not Needs(is_known=True).wants_engine
    assert Needs().registries == ("nvcr.io",)


@pytest.fixture
def needs_of(workspace_factory: Callable[..., Path]) -> Callable[..., Needs]:
    def find(experiments: str, **more: object) -> Needs:
        workspace = Workspace(workspace_factory(experiments, **more))
        return find_needs(workspace, ["example_01"], {})

    return find


def test_experiments_of_containers(needs_of: Callable[..., Needs]) -> None:
    found = needs_of(
        f"""
experiments:
  a: {{head: dino, dataset: d, image: "{IMAGE_5}", gpus: 0}}
  b: {{head: dino, dataset: d, image: "{IMAGE_5}", gpus: 0, shm_size: 2G}}
  c: {{head: dino, dataset: d, image: "{IMAGE_7}", gpus: 0}}
"""
    )
    assert found == Needs(
        is_known=True,
        projects=("example_01",),
        images={IMAGE_5: ("example_01/a", "example_01/b"), IMAGE_7: ("example_01/c",)},
        wants_gpus=False,
        shm_bytes={"example_01/b": 2 << 30},
    )


def test_one_experiment_with_gpus_is_enough(needs_of: Callable[..., Needs]) -> None:
    text = """
experiments:
  a: {head: dino, dataset: d, gpus: 0}
  b: {head: dino, dataset: d, gpus: 1}
  c: {head: dino, dataset: d, gpus: 0}
"""
    assert needs_of(text).wants_gpus
    assert not needs_of(text.replace("gpus: 1", "gpus: 0")).wants_gpus


def test_without_an_image_of_its_own_the_release_decides(needs_of: Callable[..., Needs]) -> None:
    (image,) = needs_of("experiments:\n  a: {head: dino, dataset: d}\n").images
    assert image.startswith("nvcr.io/nvidia/tao/tao-toolkit:")


@pytest.mark.parametrize(
    ("experiment", "wants_gpus"),
    [
        ("{head: dino, dataset: d, backend: local}", True),
        ("{head: dino, dataset: d, backend: local, gpus: 0}", False),
        ("{head: tinydet, dataset: d}", False),
        ("{head: tinydet, dataset: d, backend: embedded}", False),
    ],
)
def test_experiments_without_containers(
    experiment: str, wants_gpus: bool, needs_of: Callable[..., Needs]
) -> None:
    found = needs_of(f"experiments:\n  a: {experiment}\n")
    is_embedded = "tinydet" in experiment
    assert found == Needs(
        is_known=True, projects=("example_01",), wants_gpus=wants_gpus, wants_embedded=is_embedded
    )


def test_the_images_of_all_actions_with_a_spec_are_needed(workspace_factory: Callable[..., Path]) -> None:
    text = "experiments:\n  a: {head: dino, dataset: d, release: 7.0.1}\n"
    root = workspace_factory(text)
    spec = root / "projects/example_01/specs/a/gen_trt_engine.yaml"
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text("gen_trt_engine: {gpu_id: 0}\n")
    found = find_needs(Workspace(root), ["example_01"], {})
    assert [image.rpartition(":")[2] for image in found.images] == ["7.0.1-pyt", "7.0.1-deploy"]


def test_shared_memory_of_the_mounts_file_counts_for_all_that_name_none(
    needs_of: Callable[..., Needs],
) -> None:
    text = "experiments:\n  a: {head: dino, dataset: d}\n  b: {head: dino, dataset: d, shm_size: 1G}\n"
    mounts = '{"Mounts": [], "DockerOptions": {"shm_size": "4G"}}'
    assert needs_of(text, files={".tao_mounts.json": mounts}).shm_bytes == {
        "example_01/a": 4 << 30,
        "example_01/b": 1 << 30,
    }


@pytest.mark.parametrize(
    "text",
    [
        "experiments: [",
        "experiments:\n  a: {head: nosuchhead, dataset: d, gpus: 0}\n  b: {head: nosuch, dataset: d, gpus: 0}\n",
    ],
)
def test_what_cannot_be_read_may_need_everything(text: str, needs_of: Callable[..., Needs]) -> None:
    found = needs_of(text)
    assert (found.is_known, found.wants_gpus, found.unreadable) == (False, True, ("example_01",))
    assert found.wants_engine


def test_a_project_without_experiments_is_not_known(needs_of: Callable[..., Needs]) -> None:
    found = needs_of("experiments: {}\n")
    assert (found.is_known, found.wants_gpus, found.images) == (False, True, {})
