"""Rules for trainings on masks: class ids within the number of classes, images paired with their own masks.

TAO reports the first in the middle of the training, and the second not at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from taorunner.errors import Severity
from taorunner.planning.checks.mask_requirements import PALETTE, TARGETS
from taorunner.planning.checks.training_facts import Fault, Rule, Training
from taorunner.text import printable

_NUM_CLASSES = "dataset.segment.num_classes"
_LABEL_IDS = f"{PALETTE}.label_id"


def label_ids(training: Training) -> Iterator[Fault]:
    """Source: tao-pytorch 7.0.1 cv/segformer: label_id is the index of an output (``Target 2 is out of bounds``)."""
    count = training.spec.number(_NUM_CLASSES)
    ids = [value for value in training.spec.values(_LABEL_IDS) if isinstance(value, int)]
    if count is not None and ids and max(ids) >= count:
        message = (
            f'"{_NUM_CLASSES}" is {int(count)}, and the palette has label_id {max(ids)}: the training stops'
        )
        hint = training.refreshed(_NUM_CLASSES, f"set it to {max(ids) + 1}")
        yield Fault(Severity.ERROR, "too-few-classes", message, hint, _NUM_CLASSES)
    elif count is not None and ids and max(ids) + 1 < count:
        message = f"num_classes is {int(count)}, the palette has label_id 0 to {max(ids)}: the others are never learnt"
        hint = training.refreshed(_NUM_CLASSES, f"set it to {max(ids) + 1}")
        yield Fault(Severity.INFO, "too-many-classes", message, hint, _NUM_CLASSES)


def shared_labels(training: Training) -> Iterator[Fault]:
    """Source: tao-pytorch 7.0.1 cv/segformer and tao_tensorflow1_backend cv/unet: classes with one label_id are one
    output. With one mapping_class that is meant; with two it is not.
    """
    spec = training.spec
    for block, name in ((PALETTE, "seg_class"), (TARGETS, "name")):
        keys = [f"{block}.{part}" for part in (name, "mapping_class", "label_id")]
        names, mapped, ids = (spec.values(key) for key in keys)
        if not len(names) == len(mapped) == len(ids):
            continue
        first: dict[object, int] = {}
        for index, number in enumerate(ids):
            at = first.setdefault(number, index)
            if isinstance(number, int) and mapped[at] != mapped[index]:
                classes = [f'"{printable(str(names[one]))}"' for one in (at, index)]
                message = f"{' and '.join(classes)} have the label_id {number}: they are learnt as one class"
                hint = f"give {classes[1]} a label_id of its own, or both one mapping_class"
                yield Fault(Severity.WARNING, "label-shared", message, hint, keys[2], index)


def pairs(training: Training) -> Iterator[Fault]:
    """Source: tao_tensorflow1_backend cv/unet/utils/data_loader.py: of folders, the n-th image listed gets the n-th
    mask listed. Nothing is sorted, so both are listed here as Python lists them there, on the same file system.
    """
    for part in ("train", "val"):
        keys = [f"dataset_config.{part}_{kind}_path" for kind in ("images", "masks")]
        if keys[0] not in training.spec or any(
            f"dataset_config.{part}_data_sources.data_source.{kind}" in training.spec for kind in _IN_LISTS
        ):
            continue
        folders = [training.spec.path(key) for key in keys]
        pictures, masks = (_listed(folder) for folder in folders)
        wrong = [pair for pair in zip(pictures, masks, strict=False) if _stem(pair[0]) != _stem(pair[1])]
        if not pictures or not masks or not (wrong or len(pictures) != len(masks)):
            continue
        what = (
            f'"{printable(wrong[0][0])}" with "{printable(wrong[0][1])}"'
            if wrong
            else "the last ones with none"
        )
        message = (
            f"TAO pairs images and masks in the order in which the disk lists them, here {what} "
            f"({len(wrong)} of {len(pictures)} wrong)"
        )
        hint = (
            f"write two lists, one path inside the container per line, and name them in {part}_data_sources "
            "{ data_source { image_path: masks_path: } }"
        )
        yield Fault(Severity.ERROR, "pictures-with-other-masks", message, hint, keys[0])


def listed_pairs(training: Training) -> Iterator[Fault]:
    """Source: tao_tensorflow1_backend cv/unet/utils/data_loader.py: line n of both lists belongs together, and the
    lines that only one list has are left out silently.
    """
    for part in ("train", "val"):
        keys = [f"dataset_config.{part}_data_sources.data_source.{kind}" for kind in _IN_LISTS]
        if any(key not in training.spec for key in keys):
            continue
        files = [training.spec.paths(key) or () for key in keys]
        for index, (images_file, masks_file) in enumerate(zip(*files, strict=False)):
            images, masks = training.data.lines(images_file), training.data.lines(masks_file)
            if images is None or masks is None:
                continue
            names = [printable(file.rpartition("/")[2]) for file in (images_file, masks_file)]
            if len(images) != len(masks):
                message = (
                    f"{names[0]} has {len(images)} lines, {names[1]} has {len(masks)}: the rest is left out"
                )
                hint = "write the mask of each line of the one list into the same line of the other"
                yield Fault(Severity.ERROR, "lists-differ", message, hint, keys[1], index)
                continue
            wrong = _misplaced(images, masks)
            if wrong:
                number = wrong[0]
                image, mask = printable(images[number]), printable(masks[number])
                message = (
                    f'line {number + 1} of {names[0]} is "{image}", and of {names[1]} "{mask}": TAO takes them for a '
                    f"pair ({len(wrong)} of {len(images)} masks are in other lines)"
                )
                hint = "bring both lists into one order"
                yield Fault(Severity.WARNING, "pictures-with-other-masks", message, hint, keys[1], index)


def masks_of_objects(training: Training) -> Iterator[Fault]:
    """Source: tao-pytorch 7.0.1 cv/mask_grounding_dino/dataloader/odvg.py reads "mask" of every instance."""
    key = "dataset.train_data_sources.json_file"
    if training.spec.last("dataset.has_mask") is not True:
        return
    for index, file in enumerate(training.spec.paths(key) or ()):
        line = training.data.line_without_mask(file)
        if line is not None:
            message = (
                f'line {line} of {printable(file.rpartition("/")[2])} has an object without "mask", and '
                '"dataset.has_mask" is true: the training stops there'
            )
            hint = 'taorunner dataset convert DATASET --to odvg writes the outlines of its source as "mask"'
            yield Fault(Severity.ERROR, "mask-missing", message, hint, key, index)


_IN_LISTS = ("image_path", "masks_path")
RULES: tuple[Rule, ...] = (label_ids, shared_labels, pairs, listed_pairs, masks_of_objects)


def _listed(folder: str | None) -> list[str]:
    try:
        return os.listdir(folder) if folder is not None else []
    except (OSError, ValueError):  # no folder, or no path at all
        return []


def _misplaced(images: tuple[str, ...], masks: tuple[str, ...]) -> list[int]:
    """Indices of the pictures whose name a mask in another line has, and not the one in their own."""
    stems = [[_stem(line.rpartition("/")[2]) for line in lines] for lines in (images, masks)]
    known = set(stems[1])
    return [at for at, (one, other) in enumerate(zip(*stems, strict=True)) if one != other and one in known]


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name
