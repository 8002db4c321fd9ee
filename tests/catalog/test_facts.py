"""Value by value against what was gathered from TAO's own sources (``tao_facts.json``, made by ``make_facts.py``).

Every task, action, image, option and spec key that the catalog claims is compared. Where the catalog says something
else on purpose, it stands in a table here with the reason, and a deviation that is none fails.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.layers import parse_version
from taorunner.catalog.load import load_network, network_names
from taorunner.catalog.network import Network
from taorunner.contracts import Contract, EpochMark, Framework, GpuUse, ResumeRule

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "tao_facts.json").read_text(encoding="utf-8"))
TF, PYT = FACTS["tf"], FACTS["pyt"]
PREFIX = "nvcr.io/nvidia/tao/tao-toolkit"
SAMPLE_NAMES = {
    "ssd": "weights/ssd_resnet18_epoch_080.hdf5",
    "dssd": "weights/dssd_resnet18_epoch_080.hdf5",
    "retinanet": "weights/retinanet_resnet18_epoch_080.hdf5",
    "yolo_v3": "weights/yolov3_resnet18_epoch_080.hdf5",
    "yolo_v4": "weights/yolov4_cspdarknet53_epoch_080.hdf5",
    "yolo_v4_tiny": "weights/yolov4_cspdarknet_tiny_epoch_080.hdf5",
    "faster_rcnn": "frcnn_resnet_18.epoch_12.hdf5",
    "classification_tf1": "weights/resnet_080.hdf5",
    "multitask_classification": "weights/multitask_cls_resnet18_epoch_080.hdf5",
    "detectnet_v2": "weights/model.hdf5",
    "unet": "weights/model.tlt",
    "mask_rcnn": "model.epoch-12.tlt",
    "efficientdet_tf1": "model.epoch-12.tlt",
    "bpnet": "model.epoch-12.hdf5",
    "fpenet": "model.epoch-12.hdf5",
    "lprnet": "weights/lprnet_epoch-024.hdf5",
    "efficientdet_tf2": "train/efficientdet-d0_012.tlt",
    "classification_tf2": "train/efficientnet-b0_012.tlt",
}
OWN = {"tinydet": "taorunner's own network: not in TAO"}
AFTER = {"dinov3", "embedding", "gap_analysis", "tmm"}
"""Networks that came after the facts were gathered: their actions are in ``package_facts.json``."""
OTHER_TASKS = {
    "augment": "only in 4.x, of which no actions are known",
    "emotionnet": "only in 4.x, of which no actions are known",
    "gazenet": "only in 4.x, of which no actions are known",
    "gesturenet": "only in 4.x, of which no actions are known",
    "heartratenet": "only in 4.x, of which no actions are known",
}
"""Tasks that were gathered by name only and are not in the catalog."""
OTHER_IMAGES = {
    "api": "the server of the REST API: nothing that an experiment runs",
    "vila": "no task of the gathered ones is in it",
    "cosmos-rl": "no task of the gathered ones is in it",
    "cosmos-embed": "no task of the gathered ones is in it",
    "cosmos-predict": "no task of the gathered ones is in it",
}
UNKNOWN_ACTIONS = {
    ("bpnet", "evaluate"): "takes two specs",
    ("bpnet", "export_keras"): "not verified",
    ("fpenet", "evaluate"): "not verified",
    ("model_agnostic", "gen_trt_engine"): "the gathered actions are null: those of the network in the spec",
    ("model_agnostic", "evaluate"): "as above",
    ("model_agnostic", "inference"): "as above",
}
"""Actions of the newest release that the catalog names but refuses to run."""
GATHERED_IN = {"model": {"7.0.1"}, "deploy": {"6.26.3", "7.3.0"}, "dataset": {"6.25.11"}}
"""The releases whose code the gathered actions of each group are from; TensorFlow is in none after 6.26.3."""
GROUPS_AFTER = {"video_clip": {"model"}}
"""Groups that came after the facts were gathered."""
OTHER_ROLES = {
    "results_dir": "tao/pytorch.md section 2, tao/tensorflow.md section 4.2",
    "checkpoint_interval": "tao/pytorch.md section 3 (Resume)",
    "validation_interval": "tao/pytorch.md section 3 (Resume)",
    "gpu_id": "tao/pytorch.md section 2 (export, prune, gen_trt_engine)",
    "export_type": "nvidia_tao_deploy 7.3.0 config: gen_trt_engine.tensorrt.data_type or gen_trt_engine.data_type",
    "image_dir": "nvidia_tao_tf2: dataset_convert.image_dir, tao/tensorflow.md section 4.2",
    "annotations_file": "nvidia_tao_tf2: dataset_convert.annotations_file, tao/tensorflow.md section 4.2",
}
"""Spec keys of Hydra specs whose source is not in the gathered files, with where they come from."""
OTHER_KEYS = {
    (
        "stylegan_xl",
        "train",
        "checkpoints",
    ): "names not verified; the link that is known serves as the artifact",
    (
        "pointpillars",
        "prune",
        "checkpoint",
    ): "prune.model: NVIDIA/tao_pytorch_backend pointpillars/scripts/prune.py",
    (
        "pointpillars",
        "gen_trt_engine",
        "trt_engine",
    ): "save_engine: NVIDIA/tao_deploy cv/pointpillars/scripts",
    ("video_clip", "gen_trt_engine", "trt_engine"): "nvidia_tao_deploy 7.3.0 config/multimodal/video_clip",
    ("video_clip", "gen_trt_engine", "onnx_file"): "nvidia_tao_deploy 7.3.0 config/multimodal/video_clip",
    ("video_clip", "deploy.evaluate", "trt_engine"): "nvidia_tao_deploy 7.3.0 config/multimodal/video_clip",
    ("video_clip", "deploy.inference", "trt_engine"): "nvidia_tao_deploy 7.3.0 config/multimodal/video_clip",
    ("video_clip", "*", "encryption_key"): "CommonExperimentConfig of nvidia_tao_deploy 7.3.0",
    **{
        ("video_clip", action, role): "nvidia-tao-pytorch 7.2.0 and 7.3.0 config/video_clip"
        for action, roles in {
            "train": "epochs num_gpus gpu_ids resume pretrained",
            "evaluate": "checkpoint",
            "inference": "checkpoint",
            "export": "checkpoint onnx_file",
        }.items()
        for role in roles.split()
    },
}
"""Single keys that the gathered files do not have or that they leave open, with where they come from."""


def dotted(path: str | None) -> str | None:
    """The gathered paths mark repeated fields with ``[]``."""
    return None if path is None else path.replace("[]", "")


def family_of(contract: Contract) -> str:
    other = {Framework.DEPLOY: "deploy", Framework.DATA_SERVICES: "data-services"}
    return other.get(contract.framework, contract.framework.value)


def named(network: Network, release: str | None = None) -> Iterator[tuple[str, Contract]]:
    """Each contract with its action as the gathered files would tell it apart: ``deploy.evaluate``."""
    for action, contract in network.contracts(release).items():
        twin = contract.group == "deploy" and contract.action in ("evaluate", "inference", "default_specs")
        yield (f"deploy.{contract.action}" if twin else action), contract


def test_every_task_is_there_and_nothing_else() -> None:
    assert set(network_names()) == set(TF) | set(PYT) | set(OWN) | AFTER
    assert not AFTER & (set(TF) | set(PYT))
    assert set(FACTS["only_in_4"]) == set(OTHER_TASKS)
    assert not set(OTHER_TASKS) & set(network_names())


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
    roles = {
        "epochs": "epochs_path", "batch_size": "batch_size_path", "checkpoint_interval": "checkpoint_interval_path",
        "pretrained": "pretrained_path", "resume": "resume_path", "tfrecords": "tfrecords_path",
        "image_dir": "image_dir_path", "label_dir": "label_dir_path", "pruned": "pruned_path",
    }  # fmt: skip
    network = load_network(name)
    train = network.contract("train")
    assert train.spec is not None and train.spec.format == facts["spec_format"]
    assert {role: train.spec.keys.get(role) for role in roles} == {
        role: dotted(facts[key]) for role, key in roles.items()
    }
    if train.framework is Framework.TF1:
        keys = {
            (role, key)
            for _, c in named(network)
            if c.spec and c.group == "model"
            for role, key in c.spec.keys.items()
        }
        others = {("checkpoint", "eval_config.model_path")} if name == "classification_tf1" else set()
        assert keys - set(train.spec.keys.items()) == others  # tao/tensorflow.md section 2.4, traps


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
    lost = any("only saved when num_epochs is a multiple" in trap for trap in train.traps)
    assert lost == (facts["last_epoch_always_saved"] is False)


@pytest.mark.parametrize("name", [name for name in TF if TF[name]["framework"] == "tf2"])
def test_tensorflow_2_multi_gpu_actions(name: str) -> None:
    network = load_network(name)
    for release in ("5.0.0", "6.0.0"):
        many = [
            action
            for action, contract in network.contracts(release).items()
            if contract.group == "model" and contract.gpu_use is GpuUse.MANY
        ]
        assert many == TF[name]["multigpu_actions"]


def tables_of(name: str) -> Iterator[tuple[Contract, set[str]]]:
    """Each contract of options with the options that its parser has."""
    groups = {"model": TF.get(name, {}).get("actions", {}), "deploy": FACTS["deploy_options"].get(name, {})}
    for contract in load_network(name).contracts().values():
        table = groups.get(contract.group, {}).get(contract.action)
        if table and FACTS["option_tables"][table]:
            options = FACTS["option_tables"][table].split()
            yield contract, {spelling for option in options for spelling in option.rstrip("!~+*").split("/")}


@pytest.mark.parametrize("name", sorted({*TF, *FACTS["deploy_options"]}))
def test_every_option_is_one_of_the_parsers(name: str) -> None:
    """That the parsers accept the lists is tested with ``planning.argv``; here every other spelling too."""
    for contract, options in tables_of(name):
        claimed = {
            spelling
            for argument in contract.arguments
            for spelling in (*argument.tokens, *argument.aliases)
            if spelling.startswith("-")
        }
        assert claimed <= options | {"--gpus", "--gpu_index"}, contract.action


@pytest.mark.parametrize("name", PYT)
def test_hydra_and_deploy_actions(name: str) -> None:
    facts = PYT[name].get("actions", {})
    network = load_network(name)
    for group, actions in facts.items():
        if actions is None:  # model_agnostic: unknown, and so says the catalog
            assert set(network.unknown_actions()) == set(network.actions())
            continue
        known = network.actions(max(set(network.releases) & GATHERED_IN[group], key=parse_version))
        ours = {a.rpartition(".")[2] for a, owner in known.items() if owner == group}
        assert ours == set(actions)
    if network.framework not in (Framework.TF1, Framework.TF2):
        assert set(facts) | GROUPS_AFTER.get(name, set()) == {group.name for group in network.groups}


@pytest.mark.parametrize(
    "name",
    # bevfusion of 6.25.10 runs in the image of 5.5.0
    [name for name in PYT if "actions_6_25_10_model" in PYT[name] and name != "bevfusion"],
)
def test_actions_of_release_6_25_10(name: str) -> None:
    known = load_network(name).actions("6.25.10")
    ours = {action for action, group in known.items() if group == "model"}
    assert ours == set(PYT[name]["actions_6_25_10_model"])


@pytest.mark.parametrize("name", PYT)
def test_a_network_is_in_6_25_10_when_its_actions_of_then_are_known(name: str) -> None:
    network = load_network(name)
    if network.framework is Framework.PYT:
        assert ("6.25.10" in network.releases) == ("actions_6_25_10_model" in PYT[name])


HISTORY = {
    "3.21.11": "action_recognition",
    "3.22.05": "pointpillars pose_classification",
    "4.0.0": "deformable_detr re_identification segformer",
    "5.0.0": "classification_pyt dino mal ml_recog ocdnet ocrnet optical_inspection",
    "5.1.0": "visual_changenet",
    "5.2.0": "centerpose",
    "5.5.0": "bevfusion grounding_dino mask_grounding_dino mask2former",
    "6.0.0": "rtdetr mae nvdinov2 stylegan_xl",
    "6.25.7": "sparse4d",
    "6.25.9": "depth_net",
    "6.25.11": "oneformer",
    "6.26.3": "clip nvpanoptix3d",
    "7.0.0": "codetr radio",
    "7.1.0": "dinov3",
    "7.2.0": "video_clip",
}
"""tao/pytorch.md section 1; before 5.0 by the launchers, 6.25.11, 7.1.0 and 7.2.0 by nvidia-tao-pytorch. depth_net is named there from 6.25.10 on; NVIDIA/tao_pytorch_backend has it in 6.25.9.
Image tags rule: release 5.1.0 ships the PyTorch code of 5.0.0, with two exceptions."""


def test_since_when_each_pytorch_network_is_there() -> None:
    first = {name: load_network(name).releases[0] for name in network_names() if load_network(name).releases}
    ours = {
        release: {
            name
            for name, since in first.items()
            if since == release and load_network(name).framework is Framework.PYT
        }
        for release in HISTORY
    }
    assert ours == {release: set(names.split()) for release, names in HISTORY.items()}


@pytest.mark.parametrize("name", [name for name in PYT if "epochs_key" in PYT[name] and name not in TF])
def test_hydra_training_keys_and_files(name: str) -> None:
    facts = PYT[name]
    train = load_network(name).contract("train")
    assert train.spec is not None
    roles = {
        "epochs": "epochs_key", "num_gpus": "gpus_key", "gpu_ids": "gpu_ids_key", "pretrained": "pretrained_key",
        "resume": "resume_key", "encryption_key": "encryption_key",
    }  # fmt: skip
    assert {role: train.spec.keys.get(role) for role in roles} == {
        r: facts.get(key) for r, key in roles.items()
    }
    assert train.checkpoints.latest == facts.get("latest_checkpoint")
    if "checkpoint_glob" in facts:
        pattern = re.sub(r"\{pth,tlt\}", "pth", facts["checkpoint_glob"])
        assert pattern in train.checkpoints.globs
    else:
        assert train.checkpoints.globs == () and "checkpoints" in train.unknown
    assert not set(facts.get("extra_checkpoints", ())) & set(train.checkpoints.globs)
    status = facts.get("status_paths", {}).get("train", "train/status.json")
    assert train.progress.status_files == (status,)
    command = (*facts["module_fallback"].split(), "train") if "module_fallback" in facts else (name, "train")
    assert train.command == command


def gathered_keys(name: str, action: str, facts: dict[str, Any]) -> dict[str, set[str]]:
    """What a Hydra spec's roles may be for that action, as far as it was gathered."""
    section = action.rpartition(".")[2]
    trt = facts.get("trt_keys", {})
    keys: dict[str, set[str]] = {
        role: {facts[key]}
        for role, key in (
            ("epochs", "epochs_key"), ("num_gpus", "gpus_key"), ("gpu_ids", "gpu_ids_key"), ("resume", "resume_key"),
            ("pretrained", "pretrained_key"), ("encryption_key", "encryption_key"), ("onnx_file", "onnx_out_key"),
        )
        if key in facts
    }  # fmt: skip
    if section in (
        "evaluate",
        "inference",
    ):  # the same keys, in the section of the action: tao/pytorch.md section 2
        keys |= {"num_gpus": {f"{section}.num_gpus"}, "gpu_ids": {f"{section}.gpu_ids"}}
    keys["pretrained_backbone"] = set(facts.get("pretrained_keys_all", ()))
    keys["checkpoint"] = {facts.get("checkpoint_in_keys", {}).get(section, "")}
    keys["trt_engine"] = {trt.get("gen_trt_engine_out" if section == "gen_trt_engine" else section, "")}
    if section == "gen_trt_engine":
        keys["onnx_file"] = {trt.get("gen_trt_engine_in", "")}
    return keys


@pytest.mark.parametrize("name", [name for name in PYT if name not in FACTS["deploy_options"]])
def test_every_key_of_a_hydra_spec_was_gathered(name: str) -> None:
    for action, contract in named(load_network(name)):
        if contract.spec is None or contract.framework is Framework.TF2:
            continue
        known = gathered_keys(name, action, PYT[name])
        for role, key in contract.spec.keys.items():
            if (name, action, role) in OTHER_KEYS or (name, "*", role) in OTHER_KEYS or role in OTHER_ROLES:
                assert role in OTHER_ROLES or key not in known.get(role, set()), (
                    "no deviation: remove the entry"
                )
                continue
            assert key in known[role], (action, role, key)


def test_every_refused_action_is_listed_with_its_reason() -> None:
    refused = {(name, action) for name in network_names() for action in load_network(name).unknown_actions()}
    assert refused == set(UNKNOWN_ACTIONS)


BEFORE_5_0 = {
    ("detectnet_v2", "4.0.0"): {
        "dataset_convert", "train", "evaluate", "inference", "export", "prune", "gen_trt_engine", "deploy.evaluate",
        "deploy.inference",
    },
    ("ssd", "3.21.11"): {"dataset_convert", "train", "export"},
    ("dssd", "3.21.11"): {"dataset_convert", "train", "export"},
    ("retinanet", "3.21.11"): {"train", "export"},
}  # fmt: skip
"""What is known before 5.0: what NVIDIA's notebook of 4.0.0 types, and what tao-runner typed in 2022."""
SAME_IMAGES = {"4.0.1": "4.0.0", "3.22.02": "3.21.11"}


def test_before_5_0_nothing_is_run_on_a_guess() -> None:
    seen = 0
    for name in network_names():
        network = load_network(name)
        for release in network.releases:
            if release[0] in "34":
                seen += 1
                known = BEFORE_5_0.get((name, SAME_IMAGES.get(release, release)), set())
                assert set(network.contracts(release)) == known, (name, release)
                assert set(network.unknown_actions(release)) == set(network.actions(release)) - known != set()
    assert seen == 16 * 6 + 2 * 2 + 6 * 2 + 1 * 3 + 2 * 1  # TF1, TF2, PyTorch of 4.0, 3.21.11 on, 3.22.05


def test_dssd_of_3_21_11_has_the_options_that_tao_runner_typed() -> None:
    contracts = load_network("dssd").contracts("3.21.11")
    assert {action: [one.tokens for one in contract.arguments] for action, contract in contracts.items()} == {
        "dataset_convert": [("-d", "{spec}"), ("-o", "{tfrecords_prefix}")],
        "train": [
            ("--gpus", "{num_gpus}", "--gpu_index", "{gpu_ids*}"), ("-e", "{spec}"), ("-k", "{key}"),
            ("-r", "{results_dir}"),
        ],
        "export": [
            ("-e", "{spec}"), ("-k", "{key}"), ("-m", "{checkpoint}"), ("-o", "{export_file}"),
            ("--data_type", "{export_type}"),
        ],
    }  # fmt: skip
    assert contracts["train"].checkpoints.globs == ("weights/dssd_*_epoch_*.tlt",)
    assert contracts["export"].value_forms["export_file"] == "export/{model}.etlt"


def test_detectnet_v2_of_4_0_has_the_options_of_its_notebook() -> None:
    network = load_network("detectnet_v2")
    found = {
        action: [argument.tokens for argument in contract.arguments if argument.required]
        for action, contract in network.contracts("4.0.1").items()
    }
    assert found == {
        "dataset_convert": [("-d", "{spec}"), ("-o", "{tfrecords_prefix}")],
        "train": [("-e", "{spec}"), ("-k", "{key}"), ("-r", "{results_dir}")],
        "evaluate": [("-e", "{spec}"), ("-k", "{key}"), ("-m", "{checkpoint}")],
        "inference": [
            ("-e", "{spec}"), ("-k", "{key}"), ("-o", "{results_dir}/inference"), ("-i", "{image_dir}"),
        ],
        "export": [("-e", "{spec}"), ("-k", "{key}"), ("-m", "{checkpoint}"), ("-o", "{export_file}")],
        "prune": [("-k", "{key}"), ("-m", "{checkpoint}"), ("-o", "{pruned_file}")],
        "gen_trt_engine": [
            ("-e", "{spec}"), ("-k", "{key}"), ("-m", "{onnx_file}"), ("--engine_file", "{engine_file}"),
            ("--cal_cache_file", "{calibration_cache}"),
        ],
        "deploy.evaluate": [("-e", "{spec}"), ("-m", "{engine_file}")],
        "deploy.inference": [
            ("-e", "{spec}"), ("-m", "{engine_file}"), ("-r", "{results_dir}/trt_inference"),
        ],
    }  # fmt: skip
    forms = {action: contract.value_forms for action, contract in network.contracts("4.0.0").items()}
    assert forms["export"]["export_file"] == forms["gen_trt_engine"]["onnx_file"] == "export/{model}.etlt"
    assert forms["prune"]["pruned_file"] == "prune/{model}_pruned.tlt"
    assert network.contract("train", "4.0.0").checkpoints.globs == ("weights/*.tlt",)


@pytest.mark.parametrize("name", [name for name in PYT if PYT[name].get("trt_keys")])
def test_where_tensorrt_actions_write(name: str) -> None:
    folders = FACTS["status_subdir"]["deploy"]
    for contract in load_network(name).contracts().values():
        if contract.group == "deploy" and contract.action in folders:
            assert contract.results_subdir == folders[contract.action]
            assert contract.progress.status_files[0] == f"{folders[contract.action]}/status.json"


@pytest.mark.parametrize("release", [release for release in FACTS["images"] if release >= "7"])
def test_images(release: str) -> None:
    """Every network in each release has the tag of the table, with its exceptions. Older ones have a launcher."""
    facts = FACTS["images"][release]
    seen = set()
    for name in network_names():
        network = load_network(name)
        if release not in network.releases:
            continue
        for contract in network.contracts(release).values():
            family = family_of(contract)
            seen.add(family)
            expected = facts.get("overrides", {}).get(name, {}).get(contract.group, facts[family])
            assert contract.image == f"{PREFIX}:{expected}", (name, contract.action)
    assert seen == set(facts) - {"overrides"} - set(OTHER_IMAGES)


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
    trusted = {
        release: load_network("annotations").contract("convert", release).verdict.exit_zero_means_success
        for release in ("6.26.3", "7.0.0", "7.0.1", "7.3.0")
    }
    assert trusted == {
        "6.26.3": False,
        "7.0.0": False,
        "7.0.1": True,
        "7.3.0": True,
    }  # nvidia-tao-ds, entrypoint.py
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


def test_the_networks_whose_first_releases_were_read_in_their_sources() -> None:
    """NVIDIA/tao_pytorch_backend v5.0.0 and v5.2.0: cv/<network>/config, entrypoint and scripts."""
    names = (
        "action_recognition",
        "ml_recog",
        "optical_inspection",
        "pose_classification",
        "re_identification",
    )
    found = {}
    for name in names:
        train = load_network(name).contract("train", "5.0.0")
        evaluate = load_network(name).contract("evaluate", "5.0.0")
        assert train.spec is not None and evaluate.spec is not None
        assert "num_gpus" not in train.spec.keys and train.spec.keys["gpu_ids"] == "train.gpu_ids"
        assert (evaluate.gpu_use, evaluate.spec.keys["gpu_id"]) == (GpuUse.ONE, "evaluate.gpu_id")
        newer = load_network(name).contract("train", "5.2.0").spec
        assert newer is not None
        found[name] = (
            train.checkpoints.globs[0].rpartition(".")[2],
            train.checkpoints.resume.value,
            train.spec.keys.get("encryption_key"),
            train.spec.keys.get("validation_interval"),
            newer.keys.get("num_gpus"),
        )
    plain = ("tlt", "argument", "encryption_key", None, "train.num_gpus")
    assert found == {
        "action_recognition": plain,
        "pose_classification": plain,
        "re_identification": plain,
        "ml_recog": ("pth", "auto", None, None, None),
        "optical_inspection": (
            "pth",
            "auto",
            "encryption_key",
            "train.validation_interval",
            "train.num_gpus",
        ),
    }
