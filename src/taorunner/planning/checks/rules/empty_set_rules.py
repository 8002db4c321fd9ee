"""Rules for sets that leave nothing to train or to validate on, although their files are there. One function per rule.

Images that annotations name and that are missing are found by the check of the dataset itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from taorunner.catalog.layouts import InputKind
from taorunner.contracts import Framework
from taorunner.errors import Severity
from taorunner.planning.checks.training_facts import SOURCES, Fault, Rule, Training
from taorunner.text import printable

_VALIDATION = "dataset_config.validation_data_sources"


def no_image_listed(training: Training) -> Iterator[Fault]:
    """COCO files without an image. A loader of PyTorch refuses an empty set; TF validates on nothing.

    Source: torch.utils.data RandomSampler (num_samples above 0); tao-pytorch core/lightning/tao_lightning_module.py.
    """
    layout, contract, data = training.layout, training.contract, training.data
    for one in layout.inputs_of(contract.action, contract.group) if layout is not None else ():
        files = (
            training.spec.paths(one.key) if one.kind is InputKind.FILE and one.key in training.spec else ()
        )
        for index, file in enumerate(files or ()):
            if data.lists_no_image(file) and data.category_ids(file):
                is_held_out = "val" in one.key
                purpose = "validate" if is_held_out else "train"
                is_warning = is_held_out and contract.framework is not Framework.PYT
                message = f"{_shown(training, file)} lists no image: there is nothing to {purpose} on"
                hint = f'write its "images", or name other annotations in "{one.key}"'
                severity = Severity.WARNING if is_warning else Severity.ERROR
                yield Fault(severity, "empty-set", message, hint, one.key, index, file)


def no_label_of_an_image(training: Training) -> Iterator[Fault]:
    """KITTI labels that are read raw: none of them has the name of an image, or none has a box.

    Source: tao/tensorflow.md section 7 (image and label have one stem).
    """
    spec, data = training.spec, training.data
    for block in (SOURCES, _VALIDATION):
        keys = [f"{block}.{name}_directory_path" for name in ("label", "image")]
        for index, folders in enumerate(zip(*(spec.paths(key) or () for key in keys), strict=False)):
            labels, images = (data.stems(folder, is_label=n == 0) for n, folder in enumerate(folders))
            if not labels or not images:
                continue  # which is reported as an empty folder
            shown, beside = (_shown(training, folder) for folder in folders)
            if labels.isdisjoint(images):
                message = f"no label of {shown} has the name of an image of {beside}"
                hint = "give image and label one name: 0001.png and 0001.txt"
                yield Fault(Severity.ERROR, "empty-set", message, hint, keys[0], index, folders[0])
            elif block == _VALIDATION and data.is_without_boxes(folders[0]):
                message = f"no label of {shown} has a box: every score of a validation is 0"
                yield Fault(
                    Severity.WARNING, "empty-set", message, "label the objects", keys[0], index, folders[0]
                )


TEXT_RULES: tuple[Rule, ...] = (no_image_listed, no_label_of_an_image)
"""Rules that read no numbers: their result for one spec of a sweep holds for all."""


def _shown(training: Training, path: str) -> str:
    return printable(training.spec.variables.shown(path))
