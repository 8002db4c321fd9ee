"""Checks that the validation, evaluation and inference sets fill at least one batch.

Source: tao-pytorch 6.0 and later, core/lightning/tao_lightning_module.py refuses a set that is smaller than one batch
on all GPUs. The training set itself is checked in ``dataset_rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from taorunner.contracts import Framework
from taorunner.errors import Severity
from taorunner.planning.checks.training_facts import Fault, Rule, Training
from taorunner.planning.spec.schema_choice import code_version
from taorunner.text import amount

ACTIONS = ("train", "evaluate", "inference")
_STOPS = {
    "train": "the training stops at its first validation",
    "evaluate": "evaluate stops at its start",
    "inference": "inference stops at its start",
}


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """``key`` names what is read; ``count`` says how many samples that is at most, None where it is not known.

    ``batch``: keys of the batch size. Releases differ in which of two counts, so the smaller one is taken.
    """

    key: str
    count: Callable[[Training, str], int | None]
    batch: tuple[str, ...] = ("dataset.batch_size",)


def _images(training: Training, key: str) -> int | None:
    """In folders without folders in them."""
    folders = training.spec.paths(key)
    if folders is None or any(training.data.folders(folder) for folder in folders):
        return None
    return sum(training.data.count(folder) for folder in folders)


def _class_folders(training: Training, key: str) -> int | None:
    root = training.spec.path(key)
    if root is None:
        return None
    return sum(training.data.count(f"{root}/{name}") for name in training.data.folders(root))


def _videos(training: Training, key: str) -> int | None:
    """A folder for each, below one for each class; without those for inference."""
    root = training.spec.path(key)
    if root is None:
        return None
    above = [f"{root}/{name}" for name in training.data.folders(root)]
    is_flat = training.contract.action == "inference"
    return len(above) if is_flat else sum(len(training.data.folders(folder)) for folder in above)


def _of_split(training: Training, key: str) -> int | None:
    """SegFormer names a folder below ``images``."""
    root, split = training.spec.path("dataset.segment.root_dir"), training.spec.text(key)
    return training.data.count(f"{root}/images/{split}") if root is not None and split else None


_COCO: Mapping[str, _HeldOut] = {
    action: _HeldOut(f"dataset.{sources}_data_sources.image_dir", _images, ("dataset.batch_size", *own))
    for action, sources, own in (
        ("train", "val", ()), ("evaluate", "test", ("evaluate.batch_size",)),
        ("inference", "infer", ("inference.batch_size",)),
    )
}  # fmt: skip
_SEGMENT = ("dataset.segment.batch_size",)
_SETS: Mapping[str, Mapping[str, _HeldOut]] = {
    **dict.fromkeys(("dino", "deformable_detr", "rtdetr"), _COCO),
    "classification_pyt": {
        "train": _HeldOut("dataset.val_dataset.images_dir", _class_folders),
        "evaluate": _HeldOut("dataset.val_dataset.images_dir", _class_folders),
        "inference": _HeldOut("dataset.test_dataset.images_dir", _images),
    },
    "segformer": {
        "train": _HeldOut("dataset.segment.validation_split", _of_split, _SEGMENT),
        "evaluate": _HeldOut("dataset.segment.test_split", _of_split, _SEGMENT),
        "inference": _HeldOut("dataset.segment.predict_split", _of_split, _SEGMENT),
    },
    "ocrnet": {
        "train": _HeldOut("dataset.val_dataset_dir", _images),
        "evaluate": _HeldOut("evaluate.test_dataset_dir", _images, ("evaluate.batch_size",)),
        "inference": _HeldOut("inference.inference_dataset_dir", _images, ("inference.batch_size",)),
    },
    "action_recognition": {
        "train": _HeldOut("dataset.val_dataset_dir", _videos),
        "evaluate": _HeldOut("evaluate.test_dataset_dir", _videos, ("evaluate.batch_size",)),
        "inference": _HeldOut("inference.inference_dataset_dir", _videos, ("inference.batch_size",)),
    },
}
"""Source: the data modules below cv/*/dataloader of tao-pytorch 7.0.1."""


def held_out(training: Training) -> Iterator[Fault]:
    """One warning for a set that the action refuses. A missing set, or one in records, is not judged."""
    contract = training.contract
    found = _SETS.get(training.network, {}).get(contract.action)
    if found is None or contract.framework is not Framework.PYT or code_version(contract).startswith("5."):
        return
    sizes = [
        (size, key) for key in found.batch if (size := training.spec.number(key)) is not None and size >= 1
    ]
    samples = found.count(training, found.key) if sizes else None
    if not samples:
        return
    size, key = min(sizes)
    at_once = int(size) * training.gpus
    is_reported = contract.action == "train" and 0 < (training.samples or 0) < at_once  # of the larger fault
    if at_once > samples and not is_reported:
        what = f'"{key}" {int(size)}' + (f" on {training.gpus} GPUs" if training.gpus > 1 else "")
        message = (
            f'a batch of {at_once} ({what}) is more than the {amount(samples, "sample")} of "{found.key}": '
            f"{_STOPS[contract.action]}"
        )
        fits = samples // training.gpus
        hint = f"use {fits} or less" if fits else "use fewer GPUs, or more samples"
        yield Fault(Severity.WARNING, "batch-beyond-samples", message, hint, key)


RULES: tuple[Rule, ...] = (held_out,)
