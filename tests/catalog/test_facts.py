"""Value by value against what was gathered from TAO's own sources (``tao_facts.json``, machine-made)."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.load import load_network
from taorunner.contracts import EpochMark, Framework, GpuUse, ResumeRule

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "tao_facts.json").read_text(encoding="utf-8"))
TF, PYT = FACTS["tf"], FACTS["pyt"]
PREFIX = "nvcr.io/nvidia/tao/tao-toolkit"
GROUP_OF_IMAGE = {
    "pyt": "model",
    "deploy": "deploy",
    "data-services": "dataset",
    "tf1": "model",
    "tf2": "model",
}
SAMPLE_NAMES = {
    "ssd": "weights/ssd_resnet18_epoch_080.hdf5",
    "dssd": "weights/dssd_resnet18_epoch_080.hdf5",
    "retinanet": "weights/retinanet_resnet18_epoch_080.hdf5",
    "yolo_v3": "weights/yolov3_resnet18_epoch_080.hdf5",
    "yolo_v4": "weights/yolov4_cspdarknet53_epoch_080.hdf5",
    "yolo_v4_tiny": "weights/yolov4_cspdarknet_tiny_epoch_080.hdf5",
    "faster_rcnn": "frcnn_resnet_18.epoch_12.hdf5",
    "classification_tf1": "weights/resnet_080.hdf5",
    "detectnet_v2": "weights/model.hdf5",
    "unet": "weights/model.tlt",
    "mask_rcnn": "model.epoch-12.tlt",
    "lprnet": "weights/lprnet_epoch-024.hdf5",
    "efficientdet_tf2": "train/efficientdet-d0_012.tlt",
    "classification_tf2": "train/efficientnet-b0_012.tlt",
}


def dotted(path: str | None) -> str | None:
    """The gathered paths mark repeated fields with ``[]``."""
    return None if path is None else path.replace("[]", "")


@pytest.mark.parametrize("name", TF)
def test_tensorflow_actions(name: str) -> None:
    network = load_network(name)
    release = "5.0.0" if network.framework is Framework.TF2 else None
    ours = {action for action, group in network.actions(release).items() if group == "model"}
    assert ours == set(TF[name]["actions"])
    assert network.framework.value == TF[name]["framework"]


@pytest.mark.parametrize("name", TF)
def test_tensorflow_spec_keys(name: str) -> None:
    facts = TF[name]
    spec = load_network(name).contract("train").spec
    assert spec is not None
    assert spec.format == facts["spec_format"]
    roles = {
        "epochs": "epochs_path", "batch_size": "batch_size_path", "checkpoint_interval": "checkpoint_interval_path",
        "pretrained": "pretrained_path", "resume": "resume_path", "tfrecords": "tfrecords_path",
        "image_dir": "image_dir_path", "label_dir": "label_dir_path", "pruned": "pruned_path",
    }  # fmt: skip
    assert {role: spec.keys.get(role) for role in roles} == {
        role: dotted(facts[key]) for role, key in roles.items()
    }


@pytest.mark.parametrize("name", TF)
def test_tensorflow_checkpoints_epochs_and_resume(name: str) -> None:
    facts = TF[name]
    train = load_network(name).contract("train")
    sample = SAMPLE_NAMES[name]
    assert fnmatch.fnmatch(sample, facts["checkpoint_glob"])
    assert any(fnmatch.fnmatch(sample, glob) for glob in train.checkpoints.globs)
    assert (train.checkpoints.resume is ResumeRule.AUTO) == facts["auto_resume"]
    zero_based = facts["epoch_index"].startswith("0-based")
    assert (train.progress.first_epoch, train.progress.epoch_mark) == (
        (0, EpochMark.START) if zero_based else (1, EpochMark.END)
    )


@pytest.mark.parametrize("name", [name for name in TF if TF[name]["framework"] == "tf2"])
def test_tensorflow_2_multi_gpu_actions(name: str) -> None:
    network = load_network(name)
    for release in ("5.0.0", "6.0.0"):
        many = [
            action
            for action, group in network.actions(release).items()
            if group == "model" and network.contract(action, release).gpu_use is GpuUse.MANY
        ]
        assert many == TF[name]["multigpu_actions"]


@pytest.mark.parametrize("name", PYT)
def test_hydra_and_deploy_actions(name: str) -> None:
    facts = PYT[name]["actions"]
    network = load_network(name)
    release = None if network.framework in (Framework.PYT, Framework.DATA_SERVICES) else "6.26.3"
    for group, actions in facts.items():
        ours = {a.rpartition(".")[2] for a, owner in network.actions(release).items() if owner == group}
        if release is not None:  # default_specs came with 7.x, which has no TensorFlow images
            actions = [action for action in actions if action != "default_specs"]
        assert ours == set(actions)


@pytest.mark.parametrize("name", [name for name in PYT if "actions_6_25_10_model" in PYT[name]])
def test_actions_of_release_6_25_10(name: str) -> None:
    known = load_network(name).actions("6.25.10")
    ours = {action for action, group in known.items() if group == "model"}
    assert ours == set(PYT[name]["actions_6_25_10_model"])


@pytest.mark.parametrize("name", [name for name in PYT if "checkpoint_glob" in PYT[name]])
def test_hydra_training_keys_and_files(name: str) -> None:
    facts = PYT[name]
    train = load_network(name).contract("train")
    assert train.spec is not None
    roles = {
        "epochs": "epochs_key", "num_gpus": "gpus_key", "gpu_ids": "gpu_ids_key", "pretrained": "pretrained_key",
        "resume": "resume_key", "encryption_key": "encryption_key",
    }  # fmt: skip
    assert {role: train.spec.keys.get(role) for role in roles} == {r: facts[key] for r, key in roles.items()}
    assert train.checkpoints.latest == facts.get("latest_checkpoint")
    pattern = re.sub(r"\{pth,tlt\}", "pth", facts["checkpoint_glob"])
    assert pattern in train.checkpoints.globs
    status = facts.get("status_paths", {}).get("train", "train/status.json")
    assert train.progress.status_files == (status,)
    for action, key in facts["checkpoint_in_keys"].items():
        contract = load_network(name).contract(action)
        assert contract.spec is not None and contract.spec.keys["checkpoint"] == key
    export = load_network(name).contract("export")
    assert export.spec is not None and export.spec.keys["onnx_file"] == facts["onnx_out_key"]


@pytest.mark.parametrize("name", [name for name in PYT if PYT[name].get("trt_keys")])
def test_hydra_deploy_keys(name: str) -> None:
    facts = PYT[name]["trt_keys"]
    network = load_network(name)
    build = network.contract("gen_trt_engine")
    evaluate, inference = network.contract("deploy.evaluate"), network.contract("deploy.inference")
    assert build.spec is not None and evaluate.spec is not None and inference.spec is not None
    assert build.spec.keys["onnx_file"] == facts["gen_trt_engine_in"]
    if facts["gen_trt_engine_out"] is not None:
        assert build.spec.keys["trt_engine"] == facts["gen_trt_engine_out"]
    assert evaluate.spec.keys["trt_engine"] == facts["evaluate"]
    assert inference.spec.keys["trt_engine"] == facts["inference"]
    subdirs = [contract.results_subdir for contract in (build, evaluate, inference)]
    assert subdirs == ["gen_trt_engine", "trt_evaluate", "trt_inference"]


@pytest.mark.parametrize("release", FACTS["images"])
def test_images(release: str) -> None:
    """Each network of ours in each release has the tag of the table, with its exceptions."""
    facts = FACTS["images"][release]
    for name in ("dssd", "efficientdet_tf2", "dino", "classification_pyt", "annotations"):
        network = load_network(name)
        for image, tag in facts.items():
            if image == "overrides" or release not in network.releases:
                continue
            for action, group in network.actions(release).items():
                contract = network.contract(action, release)
                family = {Framework.DEPLOY: "deploy", Framework.DATA_SERVICES: "data-services"}.get(
                    contract.framework, contract.framework.value
                )
                if family != image:
                    continue
                expected = facts.get("overrides", {}).get(name, {}).get(group, tag)
                assert contract.image == f"{PREFIX}:{expected}", (name, action)


def test_which_exit_codes_are_believed() -> None:
    """One row per row of ``exit_code_trust``."""
    rows = {
        "5.0-5.3 pyt": [("dino", "train", "5.0.0"), ("dino", "train", "5.3.0")],
        "5.5.0 pyt": [("dino", "train", "5.5.0"), ("segformer", "export", "5.5.0")],
        "6.0-7.x pyt": [("dino", "train", "6.0.0"), ("dino", "train", "7.0.1")],
        "5.5.0 deploy": [("dino", "gen_trt_engine", "5.5.0")],
        "6.0-7.x deploy": [("dino", "gen_trt_engine", "6.0.0"), ("dino", "deploy.evaluate", "7.0.1")],
        "5.0-5.2 data-services": [("annotations", "convert", "5.0.0"), ("annotations", "convert", "5.2.0")],
        "5.5-6.25.11 data-services": [
            ("annotations", "convert", "5.5.0"),
            ("annotations", "convert", "6.25.11"),
        ],
    }
    assert set(rows) == set(FACTS["exit_code_trust"])
    for row, cases in rows.items():
        for network, action, release in cases:
            verdict = load_network(network).contract(action, release).verdict
            assert verdict.exit_zero_means_success == FACTS["exit_code_trust"][row], (row, network, release)
    assert load_network("dssd").contract("train").verdict.exit_zero_means_success
    assert not load_network("efficientdet_tf2").contract("train").verdict.exit_zero_means_success


def test_how_success_is_written() -> None:
    """One row per row of ``status_terminal``."""
    suffix = FACTS["status_terminal"]["pyt>=5.5"]["ok"]["message_suffix"]
    rows = {
        ("dino", "train", "5.3.0"): (("SUCCESS",), None),
        ("dino", "train", "5.5.0"): ((), suffix),
        ("dino", "train", "7.0.1"): ((), suffix),
        ("dino", "gen_trt_engine", "5.2.0"): (("SUCCESS",), None),
        ("dino", "gen_trt_engine", "5.5.0"): ((), suffix),
        ("dino", "gen_trt_engine", "6.25.10"): ((), suffix),
        ("dino", "gen_trt_engine", "7.1.0"): (("SUCCESS",), suffix),
        ("annotations", "convert", "6.25.11"): ((), suffix),
        ("dssd", "train", None): (("SUCCESS",), None),
        ("efficientdet_tf2", "train", "5.0.0"): (("SUCCESS",), None),
        ("efficientdet_tf2", "train", "6.0.0"): ((), suffix),
    }
    found = {}
    for network, action, release in rows:
        verdict = load_network(network).contract(action, release).verdict
        found[network, action, release] = (verdict.success_statuses, verdict.success_suffix)
    assert found == rows


def test_a_logged_error_is_not_the_end_in_7() -> None:
    assert load_network("dino").contract("train", "6.26.3").verdict.failure_is_final
    assert not load_network("dino").contract("train", "7.0.0").verdict.failure_is_final
    assert not load_network("dino").contract("deploy.evaluate", "7.0.0").verdict.failure_is_final


def test_epoch_numbers_per_generation() -> None:
    """tao/pytorch.md section 3: from 1 until 5.5, from 0 with the last number as maximum from 6.0 on."""
    rows = {
        "5.0.0": (1, False),
        "5.3.0": (1, False),
        "5.5.0": (1, False),
        "6.0.0": (0, True),
        "7.0.1": (0, True),
    }
    progress = {release: load_network("dino").contract("train", release).progress for release in rows}
    assert {release: (p.first_epoch, p.max_epoch_is_last) for release, p in progress.items()} == rows
