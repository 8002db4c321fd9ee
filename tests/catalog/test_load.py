"""Networks are found by name, releases and actions by what the user wrote, and mistakes name the nearest."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from taorunner.catalog import load
from taorunner.catalog.layers import build_contract, merge, parse_argument
from taorunner.catalog.load import Catalog, load_network, network_names
from taorunner.contracts import Argument, Framework, GpuUse, OverrideSyntax
from taorunner.errors import UserFilesError
from taorunner.yaml_reader import read_yaml

PREFIX = "nvcr.io/nvidia/tao/tao-toolkit"


def test_the_networks_of_the_first_release_are_there() -> None:
    wanted = {
        "detectnet_v2", "ssd", "dssd", "retinanet", "yolo_v3", "yolo_v4", "faster_rcnn", "classification_tf1", "unet",
        "efficientdet_tf2", "dino", "rtdetr", "deformable_detr", "classification_pyt", "segformer", "ocrnet", "tinydet",
        "annotations", "augmentation", "auto_label", "analytics",
    }  # fmt: skip
    assert wanted <= set(network_names())
    assert list(network_names()) == sorted(network_names())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("dsdd", 'did you mean "dssd"?'),
        ("DINO", 'did you mean "dino"?'),
        ("yolo_v5", 'did you mean "yolo_v4"?'),
        ("../networks/dssd", None),
        ("", None),
    ],
)
def test_an_unknown_network_names_the_nearest(name: str, hint: str | None) -> None:
    with pytest.raises(UserFilesError) as caught:
        load_network(name)
    assert caught.value.message == f'"{name}" is not a network of the catalog'
    if hint is not None:
        assert caught.value.hint == hint


def test_the_default_release_is_the_newest_with_public_images() -> None:
    defaults = {
        name: load_network(name).default_release
        for name in ("dssd", "efficientdet_tf2", "dino", "dinov3", "tinydet")
    }
    assert defaults == {
        "dssd": "6.26.3",
        "efficientdet_tf2": "6.26.3",
        "dino": "7.0.1",
        "dinov3": "7.1.0",
        "tinydet": "embedded",
    }


@pytest.mark.parametrize(
    ("there", "default"),
    [
        ((), "embedded"),
        (("5.0.0", "7.2.0", "7.3.0"), "5.0.0"),  # the tags of 7.2.0 and 7.3.0 are not known
        (("7.2.0", "7.3.0"), "7.3.0"),
        (("7.1.0", "7.2.0"), "7.1.0"),  # nothing older is public
        (("6.26.3", "7.1.0"), "6.26.3"),  # used by name
        (("6.26.3", "7.2.0"), "6.26.3"),  # not public
        (("6.26.3", "3.21.08"), "6.26.3"),  # without PyTorch
    ],
)
def test_without_public_images_the_default_release_is_the_newest(
    there: tuple[str, ...], default: str
) -> None:
    dino = load_network("dino")
    known = {release.name: release for release in dino.all_releases}
    few = replace(dino, all_releases=tuple(known[name] for name in there))
    assert few.default_release == default
    assert few.releases == tuple(name for name in there if name != "3.21.08")


@pytest.mark.parametrize(
    ("network", "action", "release", "image"),
    [
        ("dssd", "train", None, "5.0.0-tf1.15.5"),
        ("dssd", "train", "5.2.0", "5.0.0-tf1.15.5"),
        ("dssd", "gen_trt_engine", None, "6.26.3-deploy"),
        ("dssd", "deploy.evaluate", "5.5.0", "5.5.0-deploy"),
        ("efficientdet_tf2", "train", None, "6.0.0-tf2"),
        ("efficientdet_tf2", "train", "5.3.0", "5.0.0-tf2.11.0"),
        ("efficientdet_tf2", "train", "5.5.0", "5.5.0-tf2"),
        ("dino", "train", None, "7.0.1-pyt"),
        ("dino", "train", "7.1.0", "7.1.0-pyt"),
        ("dino", "train", "5.1.0", "5.0.0-pyt"),
        ("classification_pyt", "train", "5.1.0", "5.1.0-pyt"),
        ("classification_pyt", "gen_trt_engine", "5.1.0", "5.1.0-deploy"),
        ("dino", "train", "5.2.0", "5.2.0-pyt2.1.0"),
        ("dino", "train", "7.2.0", None),
        ("annotations", "convert", "6.25.11", "6.25.11-data-services"),
        ("tinydet", "train", "7.0.1", None),
    ],
)
def test_each_release_has_the_image_of_the_table(
    network: str, action: str, release: str | None, image: str | None
) -> None:
    found = load_network(network).contract(action, release).image
    assert found == (None if image is None else f"{PREFIX}:{image}")


def test_the_rules_follow_the_code_in_the_image_not_the_release() -> None:
    old = load_network("efficientdet_tf2").contract("train", "5.3.0")  # the image is 5.0.0-tf2.11.0
    assert old.verdict.exit_zero_means_success
    assert old.arguments[0].tokens == ("--gpus", "{num_gpus}", "--gpu_index", "{gpu_ids*}")
    new = load_network("efficientdet_tf2").contract("train", "6.0.0")
    assert not new.verdict.exit_zero_means_success
    assert new.verdict.success_suffix == "finished successfully."


@pytest.mark.parametrize("release", ["5.5", "v5.5.0", " 5.5.0 "])
def test_a_release_may_be_written_short(release: str) -> None:
    assert load_network("dino").contract("train", release).release == "5.5.0"


@pytest.mark.parametrize("release", ["9.9", "", "latest", "5.5.0-pyt", "5.50"])
def test_an_unknown_release_lists_those_there_are(release: str) -> None:
    with pytest.raises(UserFilesError) as caught:
        load_network("rtdetr").contract("train", release)
    assert caught.value.message == f'unknown TAO release "{release}"'
    assert caught.value.hint == (
        'releases of "rtdetr": 6.0.0, 6.25.7, 6.25.9, 6.25.10, 6.25.11, 6.26.3, 7.0.0, 7.0.1, 7.1.0, 7.2.0, 7.3.0'
    )


def test_a_release_without_the_network_lists_those_that_have_it() -> None:
    with pytest.raises(UserFilesError) as caught:
        load_network("dssd").contract("train", "7.0.1")
    assert caught.value.message == '"dssd" is not in TAO release "7.0.1"'
    assert caught.value.hint is not None
    assert "5.0.0, 5.1.0, 5.2.0, 5.2.0.1, 5.3.0, 5.5.0, 6.0.0, 6.25.9" in caught.value.hint


def test_actions_of_two_groups_are_distinguished() -> None:
    assert load_network("dssd").actions() == {
        "dataset_convert": "model",
        "train": "model",
        "evaluate": "model",
        "inference": "model",
        "export": "model",
        "prune": "model",
        "gen_trt_engine": "deploy",
        "deploy.evaluate": "deploy",
        "deploy.inference": "deploy",
    }
    dssd = load_network("dssd")
    assert dssd.contract("evaluate").framework is Framework.TF1
    assert dssd.contract("evaluate", group="deploy").framework is Framework.DEPLOY
    assert dssd.contract("deploy.evaluate") == dssd.contract("evaluate", group="deploy")


@pytest.mark.parametrize(
    ("network", "action", "release", "message", "hint"),
    [
        ("dssd", "trian", None, '"dssd" has no action "trian"', 'did you mean "train"?'),
        ("dssd", "deploy.train", None, '"dssd" has no action "train"', None),
        ("dssd", "modl.train", None, '"dssd" has no group "modl"', 'did you mean "model"?'),
        (
            "dino", "quantize", "5.5.0", '"dino" has no action "quantize" in TAO release 5.5.0',
            "releases that have it: 6.26.3, 7.0.0, 7.0.1, 7.1.0, 7.2.0, 7.3.0",
        ),
        ("tinydet", "prune", None, '"tinydet" has no action "prune"', None),
        ("dssd", "", None, '"dssd" has no action ""', None),
        ("dssd", ".", None, '"dssd" has no group ""', None),
    ],
)  # fmt: skip
def test_an_unknown_action_names_the_next_step(
    network: str, action: str, release: str | None, message: str, hint: str | None
) -> None:
    with pytest.raises(UserFilesError) as caught:
        load_network(network).contract(action, release)
    assert caught.value.message == message
    assert caught.value.hint is not None
    if hint is not None:
        assert caught.value.hint == hint


def test_tinydet_needs_no_gpu_no_image_and_no_weights() -> None:
    network = load_network("tinydet")
    train = network.contract("train", "7.0.1")
    assert (network.needs, network.releases) == (("dataset",), ())
    assert (train.group, train.image, train.release) == ("embedded", None, "embedded")
    assert (train.gpu_use, train.override_syntax) == (GpuUse.NONE, OverrideSyntax.PLAIN)
    assert (train.progress.status_files, train.progress.first_epoch) == (("train/status.json",), 0)
    assert train.progress.max_epoch_is_last and train.verdict.exit_zero_means_success
    assert train.verdict.success_suffix == "finished successfully."
    assert train.checkpoints.latest == "train/tinydet_model_latest.npz"


def test_a_network_of_ones_own_needs_no_code() -> None:
    """The shape carries networks that are not in the catalog: here one with a UFF export and a plain trainer."""
    body = read_yaml(
        """
        title: My network
        purpose: object detection
        sources: [my own head]
        needs: [dataset]
        words: {latest: my_model, key_name: key}
        groups:
          model:
            family: pyt
            since: 6.0.0
            image: pyt
            actions:
              train: {arguments: {amp: train.precision=fp16}, progress: {console: plain}}
              evaluate:
              sleep: {gpu_use: none, arguments: {spec: null, key: null}, spec: null, command: my_tool rest}
        """
    ).value
    network = Catalog().network_from(body, "mine")
    assert network.actions() == {"train": "model", "evaluate": "model", "sleep": "model"}
    train = network.contract("train")
    assert train.command == ("mine", "train")
    assert train.arguments[-1].tokens == ("train.precision=fp16",)
    assert train.checkpoints.latest == "train/my_model_latest.pth"
    assert [a.tokens for a in train.arguments if a.tokens[0].startswith("key=")] == [("key={key}",)]
    sleep = network.contract("sleep")
    assert (sleep.command, sleep.spec, len(sleep.arguments)) == (("my_tool", "rest"), None, 1)


def test_reading_one_network_is_fast() -> None:
    network_names()
    load_network("dssd")  # imports the YAML parser
    best = 1.0
    for _ in range(5):
        start = time.process_time()
        load_network("dssd").contract("train")
        best = min(best, time.process_time() - start)
    assert best < 0.015


def test_names_load_next_to_nothing() -> None:
    script = (
        "import sys; from taorunner.catalog.names import network_names; assert 'dssd' in network_names();"
        "heavy = {'ruamel', '_ruamel_yaml', 'pydantic', 'dataclasses', 'enum', 're', 'typing'};"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-S", "-c", script]  # without site: it may load anything
    paths = {"PYTHONPATH": str(Path(load.__file__).parents[2])}
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=paths)
    assert result.stdout.strip() == "[]"


def test_the_data_is_part_of_the_package() -> None:
    assert Path(load.__file__).parent in load.DATA.parents


def test_an_unknown_action_is_refused_with_the_reason_and_the_next_step() -> None:
    with pytest.raises(UserFilesError) as caught:
        load_network("yolo_v4").contract("train", "3.21.11")
    assert caught.value.message == (
        'the arguments of "yolo_v4 train" in TAO release 3.21.11 are unknown: '
        "the containers before 5.0 are closed and their options were not verified"
    )
    assert caught.value.hint == (
        "known for 5.0.0, 5.1.0, 5.2.0, 5.2.0.1, 5.3.0, 5.5.0, 6.0.0, 6.25.9, 6.25.10, 6.25.11, 6.26.3; "
        "or describe it in networks/yolo_v4.yml of the workspace: "
        f"docker run --rm --gpus all {PREFIX}-tf:v3.21.11-tf1.15.5-py3 yolo_v4 train --help lists its options"
    )
    with pytest.raises(UserFilesError) as caught:
        load_network("dssd").contract("train", "4.0.1")
    assert caught.value.hint is not None
    assert caught.value.hint.endswith(f"{PREFIX}:4.0.0-tf1.15.5 dssd train --help lists its options")
    with pytest.raises(UserFilesError) as caught:
        load_network("bpnet").contract("evaluate")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("describe it in networks/bpnet.yml of the workspace: docker run ")
    bpnet = load_network("bpnet")
    assert set(bpnet.contracts()) == {"dataset_convert", "train", "inference", "export", "prune"}
    assert set(bpnet.unknown_actions()) == set(bpnet.actions()) - set(bpnet.contracts())


def test_what_else_is_not_known_is_said_in_the_contract() -> None:
    train = load_network("bevfusion").contract("train")
    assert train.unknown == {"checkpoints": "their names were not verified"}
    assert (train.checkpoints.globs, train.checkpoints.latest, train.verdict.artifacts) == ((), None, ())
    assert load_network("dino").contract("train").unknown == {}


def test_the_image_of_a_kind_is_that_of_the_newest_public_release() -> None:
    catalog = Catalog()
    assert catalog.image_of_kind("pyt") == f"{PREFIX}:7.0.1-pyt"
    assert catalog.image_of_kind("data_services") == f"{PREFIX}:7.0.1-data-services"
    assert catalog.image_of_kind("tf1") == f"{PREFIX}:5.0.0-tf1.15.5"
    assert catalog.image_of_kind("pyt", "v5.5") == f"{PREFIX}:5.5.0-pyt"


def test_an_argument_with_its_other_names_and_whether_it_may_be_missing() -> None:
    assert parse_argument("-e {spec}") == Argument(("-e", "{spec}"), required=True)
    assert parse_argument("-m/--model_path {checkpoint}") == Argument(
        ("-m", "{checkpoint}"), required=True, aliases=("--model_path",)
    )
    assert parse_argument("-m {model?}") == Argument(("-m", "{model}"), required=False)
    assert parse_argument("key={key?} {spec}") == Argument(("key={key}", "{spec}"), required=False)


def test_what_is_known_of_traps_is_joined_and_all_else_is_replaced() -> None:
    lower = {"traps": ["a"], "command": "train", "spec": {"ext": "yaml", "key": "x"}}
    assert merge([lower, {"traps": ["b"]}, {"traps": None, "spec": {"key": "y"}}, {"command": "run"}]) == {
        "traps": ["a", "b"], "command": "run", "spec": {"ext": "yaml", "key": "y"},
    }  # fmt: skip
    assert lower["traps"] == ["a"]


@pytest.mark.parametrize(
    ("kpi", "guesses"), [({}, True), ({"a": "up"}, True), ({"a": "up", "b": "down own ranks"}, False)]
)
def test_metrics_are_guessed_where_a_network_of_ones_own_names_none_that_ranks(
    kpi: dict[str, str], guesses: bool
) -> None:
    facts = {"command": "{task} {action}", "kpi": kpi, "progress": {"console": "plain"}, "gpu_use": "one"}
    known = {"network": "mine", "action": "train", "group": "model", "release": "6.0.0", "image": None}
    words = {"task": "mine", "action": "train"}
    for is_own in (False, True):
        contract = build_contract(facts, framework=Framework.PYT, words=words, is_own=is_own, **known)
        assert contract.guesses_metrics is (guesses and is_own)
    assert contract.command == ("mine", "train")


def test_an_action_that_another_release_has_names_that_release() -> None:
    with pytest.raises(UserFilesError) as caught:
        load_network("dino").contract("distill", release="5.0.0")
    assert caught.value.message == '"dino" has no action "distill" in TAO release 5.0.0'
    assert caught.value.hint is not None and caught.value.hint.startswith("releases that have it: ")


def test_an_action_of_two_groups_keeps_the_name_that_the_network_gives_it() -> None:
    catalog = Catalog()
    for name in network_names():
        network = catalog.network(name)
        for release in network.releases or (None,):
            for action, contract in network.contracts(release).items():
                assert network.name_of(contract) == action, (name, release)
    deploy = catalog.network("rtdetr").contract("deploy.evaluate")
    assert (deploy.action, catalog.network("rtdetr").name_of(deploy)) == ("evaluate", "deploy.evaluate")


@pytest.mark.parametrize("network", ["dino", "rtdetr", "classification_pyt"])
def test_a_distillation_writes_below_its_own_folder(network: str) -> None:
    """Source: NVIDIA-TAO/tao-pytorch core/decorators/workflow.py."""
    written = load_network(network).contract("distill", release="7.0.1").checkpoints
    trained = load_network(network).contract("train", release="7.0.1").checkpoints
    assert written.globs == tuple(glob.replace("train/", "distill/") for glob in trained.globs)
    assert written.latest == (trained.latest or "").replace("train/", "distill/")
