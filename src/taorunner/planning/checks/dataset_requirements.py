"""What the specs of a project require of a dataset: class mapping, number of classes, extension, input size.

Specs are read with placeholder values for their variables. A spec that cannot be read requires nothing; ``validate``
reports why.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from taorunner.datasets.checks.classes import ClassNeeds
from taorunner.errors import UserFilesError
from taorunner.planning.checks.mask_requirements import mask_reading
from taorunner.planning.checks.training_facts import (
    CONVERTED_EXTENSION,
    NUM_CLASSES,
    TRAINED_EXTENSION,
)
from taorunner.planning.inputs.values import STAND_INS, own_values
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.spec.spec_files import find_spec
from taorunner.project.experiments import Experiment
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.specs.spec_file import PreparedSpec, prepare_spec, read_number, read_value
from taorunner.specs.syntax.prototxt_parser import ProtoMessage, ProtoScalar, parse_prototxt
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.yaml_reader import read_yaml

_SIZES = (
    ("augmentation_config.output_width", "augmentation_config.output_height"),
    ("augmentation_config.preprocessing.output_image_width", "augmentation_config.preprocessing.output_image_height"),
    ("model.input_width", "model.input_height"),
)  # fmt: skip
_EXTENSIONS = (CONVERTED_EXTENSION, "image_extension", TRAINED_EXTENSION)
_DATASET = ("dataset_raw", "dataset")
_PICTURES_OF = {
    "json_file": "image_dir", "instance_json": "img_dir", "panoptic_json": "img_dir", "annotations": "images",
    "train_ann_path": "train_img_dir", "val_ann_path": "val_img_dir", "ann_path": "img_dir",
    "annotations_file": "image_dir",
}  # fmt: skip
"""Key of a COCO file, and beside it the key of the folder that its file names count from. Source: tao/layouts.md."""


def dataset_needs(workspace: Workspace, project: str, folder: Path) -> list[ClassNeeds]:
    """The needs of every experiment whose dataset is ``folder``, inside it or around it. Equal needs come once."""
    loaded = load_project(workspace, project)
    networks = Networks(workspace.networks_dir)
    wanted = folder.resolve()
    found: list[ClassNeeds] = []
    for experiment in loaded.experiments.values():
        dataset = loaded.paths.dataset_dir(experiment.dataset).resolve()
        if not (dataset.is_relative_to(wanted) or wanted.is_relative_to(dataset)):
            continue
        place = folder / dataset.relative_to(wanted) if dataset.is_relative_to(wanted) else dataset
        found += [need for need in experiment_needs(experiment, networks, place) if need not in found]
    return found


def experiment_needs(experiment: Experiment, networks: Networks, dataset: Path) -> list[ClassNeeds]:
    """The requirements of its training and conversion specs; none where its network is unknown.

    ``dataset`` is the experiment's own folder on this host.
    """
    return list(_needs(experiment, networks, dataset))


def _needs(experiment: Experiment, networks: Networks, dataset: Path) -> Iterator[ClassNeeds]:
    try:
        network = networks.load(experiment.head)
        actions = [
            a for a in ("train", "dataset_convert", "convert") if a in network.actions(experiment.release)
        ]
        contracts = [network.contract(action, experiment.release) for action in actions]
    except UserFilesError:
        return
    for contract in contracts:
        if contract.spec is None:
            continue
        path = find_spec(experiment.spec_dirs, contract.spec)
        if path is not None:
            values = {**STAND_INS, **own_values(experiment.vars, STAND_INS)}
            overrides = experiment.overrides if contract.action == "train" else {}
            need = _need(prepare_spec(path, contract.spec.format, values, overrides), dataset)
            if contract.action == "train":
                layout = networks.layout(experiment.head)
                is_split = layout is not None and layout.class_folders is not None
                yield replace(need, has_class_folders=is_split)
            elif need != ClassNeeds(path, {}):
                yield need


def _need(spec: PreparedSpec, dataset: Path) -> ClassNeeds:
    num_classes = read_number(spec, NUM_CLASSES)
    extensions = [value for key in _EXTENSIONS if isinstance(value := read_value(spec, key), str) and value]
    sizes = [(read_number(spec, width), read_number(spec, height)) for width, height in _SIZES]
    size = next(
        ((int(w), int(h)) for w, h in sizes if w is not None and h is not None and w > 0 and h > 0), None
    )
    return ClassNeeds(
        spec.path, _mapping(spec), int(num_classes) if num_classes is not None else None,
        extensions[0] if extensions else None, size, image_folders=dict(_image_folders(spec, dataset)),
        masks=mask_reading(spec),
    )  # fmt: skip


def _image_folders(spec: PreparedSpec, dataset: Path) -> Iterator[tuple[Path, Path]]:
    """Each COCO file that the spec names below ``dataset``, and the folder of its images."""
    if spec.text is None or spec.format != "yaml":
        return
    pending: list[object] = [read_yaml(spec.text).value]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            pending += value.values()
            for key, beside in _PICTURES_OF.items():
                file, folder = _on_host(value.get(key), dataset), _on_host(value.get(beside), dataset)
                if file is not None and folder is not None:
                    yield file, folder


def _on_host(value: object, dataset: Path) -> Path | None:
    """Where a path of the rendered spec is, when it begins with the stand-in for the dataset."""
    for name in _DATASET if isinstance(value, str) else ():
        if value == STAND_INS[name] or str(value).startswith(f"{STAND_INS[name]}/"):
            return Path(os.path.normpath(f"{dataset}{str(value)[len(STAND_INS[name]) :]}"))
    return None


def _mapping(spec: PreparedSpec) -> dict[str, str]:
    """``target_class_mapping { key: … value: … }`` anywhere in the spec."""
    if spec.text is None or spec.format == "yaml" or not re.search(r"target_class_mapping", spec.text):
        return {}
    try:
        return dict(_entries(parse_prototxt(spec.text)))
    except SpecProblemError:
        return {}


def _entries(message: ProtoMessage) -> Iterator[tuple[str, str]]:
    for one in message.fields:
        if not isinstance(one.value, ProtoMessage):
            continue
        if one.name == "target_class_mapping":
            pair = {f.name: str(f.value.value) for f in one.value.fields if isinstance(f.value, ProtoScalar)}
            if "key" in pair:
                yield pair["key"].lower(), pair.get("value", "")
        else:
            yield from _entries(one.value)
