"""Rules for values of a training's specs that contradict its dataset. One function per rule, without places.

TAO reports these inside the container after minutes, or never.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from taorunner.catalog.layouts import Computed, Counts
from taorunner.contracts import Framework
from taorunner.datasets.model.class_names import LABEL_MAP, LABEL_MAP_FROM_0
from taorunner.errors import Severity
from taorunner.planning.checks.training_facts import (
    CONVERTED_EXTENSION,
    Conversion,
    Fault,
    Rule,
    Training,
)
from taorunner.specs.outline import UNKNOWN
from taorunner.text import amount, printable

_MAPPING = "target_class_mapping"
_DROP_LAST = frozenset({"dino", "deformable_detr", "rtdetr"})
"""They leave out the last batch of a training when it is not full. Source: tao/layouts.md."""
_COCO_FILES = (
    "dataset.train_data_sources.json_file", "dataset.val_data_sources.json_file", "dataset.val_json_file",
)  # fmt: skip
BATCH_KEYS = ("dataset.batch_size", "dataset.segment.batch_size")
_LOGGED_STEPS = "training_config.visualizer.scalar_logging_frequency"
_SHOWN = 5
_FAR_MORE = 2
"""More than this many times the classes that are needed are most likely those of another dataset."""
_DONT_CARE = "dontcare"
"""The class of KITTI for regions that are not labelled."""


def batch_size(training: Training) -> Iterator[Fault]:
    """Source: NVIDIA/tao_pytorch_backend core/lightning/tao_lightning_module.py (refused in 6.25 and later) and
    cv/deformable_detr/dataloader/pl_od_data_module.py (before that, the one batch that is not full is dropped).
    """
    found = _batch(training)
    samples = training.samples
    if found is None or not samples:
        return
    key, size = found
    at_once = size * training.gpus
    if at_once <= samples:
        return
    what = f'"{key}" {size} on {training.gpus} GPUs' if training.gpus > 1 else f'"{key}" {size}'
    are = "is" if samples == 1 else "are"
    message = (
        f"a batch of {at_once} ({what}) is more than the {amount(samples, 'image')} there {are} to train on"
    )
    fits = samples // training.gpus
    hint = f"use {fits} or less" if fits else "use fewer GPUs, or more images"
    per_gpu = -(-samples // training.gpus)
    stops = training.network in _DROP_LAST and size > per_gpu
    severity = Severity.ERROR if stops else Severity.WARNING
    yield Fault(severity, "batch-beyond-samples", message, hint, key)


def logged_steps(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 9: detectnet_v2 refuses fewer steps an epoch than it logs."""
    found = _batch(training) if training.network == "detectnet_v2" else None
    samples = training.samples if found is not None else None
    if found is None or not samples:
        return
    key, size = found
    at_once = size * training.gpus
    logged = training.spec.number(_LOGGED_STEPS) or 10
    steps = -(-samples // at_once)
    if steps < logged:
        message = (
            f"{samples} images in batches of {at_once} are {steps} steps an epoch, fewer than the {logged:g} that "
            "are logged: the training stops at its start"
        )
        hint = f'use a smaller batch, or set "{_LOGGED_STEPS}" to {steps} or less'
        yield Fault(Severity.ERROR, "too-few-steps", message, hint, key)


def class_count(training: Training) -> Iterator[Fault]:
    """Values that the network's layout holds against categories or class folders."""
    for one in training.layout.computed if training.layout is not None else ():
        if one.counts is not None and one.keys[0] in training.spec:
            yield from _COUNTED[one.counts](training, one)


def class_list(training: Training) -> Iterator[Fault]:
    """Source: tao/layouts.md: ids are the lines of <root_dir>/classes.txt, and other class folders are passed over."""
    root = training.spec.path("dataset.root_dir") if training.network == "classification_pyt" else None
    folder = training.spec.path("dataset.train_dataset.images_dir")
    names = training.data.lines(f"{root}/classes.txt") if root is not None else None
    if not names or folder is None:
        return
    folders = training.data.folders(folder)
    left = [one for one in folders if one not in names]
    if left:
        message = f"classes.txt lacks {_listed(frozenset(left))}, of which there are folders: no image of them is read"
        hint = "add them, or remove the file: TAO then writes it from the folders"
        yield Fault(Severity.ERROR, "class-list-differs", message, hint, "dataset.root_dir")
    elif folders and (absent := [one for one in names if one and one not in folders]):
        message = f"classes.txt has {_listed(frozenset(absent))}, and there is no such folder to train on"
        hint = "add images of it, or remove the name"
        yield Fault(Severity.WARNING, "class-list-differs", message, hint, "dataset.root_dir")


def class_map(training: Training) -> Iterator[Fault]:
    """Source: tao/real_runs.md C2: a class map with the wrong first id silently misnames every class."""
    if training.classmap is None or training.spec.last("dataset.remap_mscoco_category") is True:
        return
    key, first = training.classmap.key, training.classmap.first_id
    file = training.spec.path(key)
    lines = training.data.lines(file) if file is not None else None
    if file is None or lines is None:
        return
    for source in _COCO_FILES:
        for coco_file in training.spec.paths(source) or ():
            categories = training.data.categories(coco_file)
            shift = _shift(categories, lines, first)
            if not shift:
                continue
            number, name = next(iter(categories.items()))
            message = (
                f'line 1 of {printable(_name(file))} is read as category id {first}, and "{printable(name)}", which '
                f"has the id {number}, is in line {number - first + 1 + shift}: inference gives wrong names"
            )
            many = abs(shift)
            lines_of = "a line" if many == 1 else f"{many} lines"
            hint = f"put {lines_of} in front of the names" if shift < 0 else f"take {lines_of} away in front"
            if number < first:
                hint = f"number the categories from {first}: taorunner dataset convert DATASET --to coco does"
            if _name(file) == LABEL_MAP and shift == -1:
                hint += f"; {LABEL_MAP_FROM_0}, which dataset convert and split write beside it, has one"
            if training.contract.group == "deploy" and shift < 0:
                hint += ", in a copy that only this action names: inference in PyTorch reads other lines"
            yield Fault(Severity.WARNING, "class-map-shifted", message, hint, key)
            return


def _shift(categories: Mapping[int, str], lines: tuple[str, ...], first: int) -> int:
    """By how many lines all names are too far down, which is below 0 for too far up; 0 where they are not all moved
    by the same number of lines."""
    places = {line: index for index, line in enumerate(lines)}
    shifts = {places[name] - (number - first) for number, name in categories.items() if name in places}
    has_all = bool(categories) and all(name in places for name in categories.values())
    return shifts.pop() if has_all and len(shifts) == 1 else 0


def input_size(training: Training) -> Iterator[Fault]:
    """Source: tao/layouts.md (sizes of each network); tao/real_runs.md (EfficientDet refuses others than its own)."""
    for one in training.layout.computed if training.layout is not None else ():
        for key in one.keys if one.multiple_of is not None else ():
            step = one.multiple_of or 1
            for value in _sizes(training, key):
                if value <= 0 or not value % step:
                    continue
                low = int(value // step) * step
                near = f"{low} or {low + step}" if low else str(step)
                severity = Severity.ERROR if one.is_refused else Severity.WARNING
                message = f'"{key}" is {value:g}, which is no multiple of {step}'
                yield Fault(severity, "input-size", message, f"set it to {near}", key)


def _sizes(training: Training, key: str) -> tuple[float, ...]:
    """The number at ``key``, or those of a text such as ``"(832, 1344)"``."""
    value = training.spec.number(key)
    if value is not None:
        return (value,)
    return tuple(float(one) for one in re.findall(r"\d+", training.spec.text(key) or ""))


def class_names(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 7 (columns split at blanks, records in lower case), tao/datasets.md A4."""
    key = f"dataset_config.{_MAPPING}.key"
    names = training.spec.texts(key)
    if not names:
        return
    labels = training.labels
    missing = [] if labels is None else [name for name in names if name.lower() not in labels.classes]
    if labels is not None and len(missing) == len(names):
        seen = _listed(labels.classes)
        message = f'no class of "{_MAPPING}" is in the labels: {labels.files} files have {seen}'
        yield Fault(Severity.ERROR, "no-class-in-dataset", message, "correct the names, or the dataset", key)
        return
    known = {name.lower() for name in names}
    left = [] if labels is None else sorted(labels.classes - known - {_DONT_CARE})
    if left:
        message = f'"{_MAPPING}" lacks {_listed(frozenset(left))} of the labels: these boxes are ignored'
        yield Fault(
            Severity.WARNING, "class-not-mapped", message, "map every class that is to be learnt", key
        )
    for index, name in enumerate(names):
        shown, code = printable(name), ""
        if any(char.isspace() for char in name):
            code = "class-with-blank"
            message = f'the class "{shown}" has a blank, and labels are split at blanks: it is never found'
            hint = f'name it "{printable("_".join(name.lower().split()))}", here and in the labels'
        elif not training.reads_labels and name != name.lower() and name.lower() not in names:
            code = "class-with-capitals"
            message = f'the class "{shown}" has capitals, and records hold lower case: it is never found'
            hint = f'write "{printable(name.lower())}"'
        elif labels is not None and labels.is_all and name in missing:
            code = "class-not-in-dataset"
            message = f'no label has the class "{shown}" ({labels.files} files)'
            hint = f"there are: {_listed(labels.classes)}"
        if code:
            yield Fault(Severity.WARNING, code, message, hint, key, index)


def converted_pictures(conversion: Conversion) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 7: one extension a run, case counts, others are passed over silently."""
    folder, taken, wanted = conversion.pictures, conversion.taken, printable(conversion.extension)
    if folder is None or taken is None:
        return
    there = conversion.data.pictures(folder)
    left = sum(there.values()) - taken
    if not left:
        return
    seen = ", ".join(f"{count} {printable(suffix)}" for suffix, count in sorted(there.items()))
    key = CONVERTED_EXTENSION
    place = key if key in conversion.spec else "kitti_config.root_directory_path"
    if not taken:
        message = f'no image in {printable(folder)} ends with "{wanted}": there are {seen}'
        most = max(there, key=lambda suffix: there[suffix])
        yield Fault(Severity.ERROR, "image-extension", message, f'set "{key}" to "{printable(most)}"', place)
    else:
        message = (
            f'{left} images in {printable(folder)} do not end with "{wanted}" and are left out: it has {seen}'
        )
        hint = "bring all images to one extension"
        yield Fault(Severity.WARNING, "image-extension", message, hint, place)


NUMBER_RULES: tuple[Rule, ...] = (
    batch_size, logged_steps, class_count, class_list, class_map, input_size,
)  # fmt: skip
TEXT_RULES: tuple[Rule, ...] = (class_names,)
"""Rules that read no numbers: their result for one spec of a sweep holds for all."""


def _batch(training: Training) -> tuple[str, int] | None:
    """Its key, and how many images go to each GPU at once."""
    for key in (training.role("batch_size"), *BATCH_KEYS):
        if key in training.spec:
            size = training.spec.number(key)
            return (key, int(size)) if size is not None and size >= 1 else None
    return None


def _highest_id(training: Training, computed: Computed) -> Iterator[Fault]:
    """Source: tao/datasets.md A2 (a device-side assert reports it late); NVIDIA/tao_pytorch_backend
    cv/rtdetr/dataloader/pl_od_data_module.py (refuses a higher id; an id of num_classes itself is never learnt);
    NVIDIA/tao_tensorflow1_backend cv/efficientdet/utils/spec_loader.py, cv/mask_rcnn/scripts/evaluate.py.
    """
    spec, is_last = training.spec, False
    key, count, most = "", 0.0, 0
    if spec.last("dataset.remap_mscoco_category") is True:
        return
    is_renumbered = spec.last("dataset.contiguous_labels") is True
    for key, count, name, ids in _categories(training, computed):
        needed = len(ids) if is_renumbered else ids[-1] + 1
        if count < needed:
            is_last = training.layout is not None and training.layout.network == "rtdetr" and count == ids[-1]
            severity = Severity.WARNING if is_last else Severity.ERROR
            yield _too_few(training, severity, key, count, needed, f"{name} has {_ids(ids, is_renumbered)}")
            return
        most = max(most, needed)
    if most and count > _FAR_MORE * most:
        message = f"{key.rpartition('.')[2]} is {count:g}, the data needs {most}: the others are never learnt"
        hint = training.refreshed(key, f"set it to {most}")
        yield Fault(Severity.INFO, "too-many-classes", message, hint, key)


def _number_of_categories(training: Training, computed: Computed) -> Iterator[Fault]:
    """Source: tao-pytorch cv/mask2former/dataloader."""
    is_renumbered = training.spec.last("dataset.contiguous_id") is True
    for key, count, name, ids in _categories(training, computed):
        needed = len(ids) if is_renumbered else ids[-1]
        if count < needed:
            what = f"{name} has {_ids(ids, is_renumbered)}"
            yield _too_few(training, Severity.ERROR, key, count, needed, what)
            return


def _too_few(
    training: Training, severity: Severity, key: str, count: int | float, needed: int, what: str
) -> Fault:
    message = f"{key.rpartition('.')[2]} is {count:g}, the data needs {needed}: {what}"
    return Fault(severity, "too-few-classes", message, training.refreshed(key, f"set it to {needed}"), key)


def _ids(ids: tuple[int, ...], is_renumbered: bool) -> str:
    if is_renumbered:
        return f"{len(ids)} categories"
    return f"category ids {ids[0]} to {ids[-1]}" if len(ids) > 1 else f"category id {ids[0]}"


def _categories(
    training: Training, computed: Computed
) -> Iterator[tuple[str, int | float, str, tuple[int, ...]]]:
    """The key, its value, and the name and ids of each file that has categories."""
    key = computed.keys[0]
    count = training.spec.number(key)
    for source in computed.of if count is not None else ():
        for file in training.spec.paths(source) or ():
            ids = training.data.category_ids(file)
            if ids and count is not None:
                yield key, count, printable("/".join(file.split("/")[-2:])), ids


def _class_folders(training: Training, computed: Computed) -> Iterator[Fault]:
    """Source: NVIDIA/tao_tensorflow2_backend cv/classification/scripts/train.py asserts equal numbers."""
    key = computed.keys[0]
    count = training.spec.number(key)
    folder = training.spec.path(computed.of[0]) if count is not None else None
    classes = training.data.folders(folder) if folder is not None else ()
    if not classes or count is None or folder is None or count == len(classes):
        return
    message = (
        f"{key.rpartition('.')[2]} is {count:g}, the data needs {len(classes)}: {printable(folder)} has "
    )
    message += f"{len(classes)} class folders"
    hint = training.refreshed(key, f"set it to {len(classes)}, or correct the dataset")
    if count < len(classes):
        yield Fault(Severity.ERROR, "too-few-classes", message, hint, key)
    else:
        stops = training.contract.framework is Framework.TF2
        yield Fault(Severity.ERROR if stops else Severity.WARNING, "too-many-classes", message, hint, key)


def _named_classes(training: Training, computed: Computed) -> Iterator[Fault]:
    """Source: tao-pytorch cv/deformable_detr/model/post_process.py: a class without a colour gets no box in the images
    of inference, and without any colours the names are those of COCO.
    """
    key, spec = computed.keys[0], training.spec
    if spec.last(key) is UNKNOWN:
        return  # still to be written
    for source in computed.of:
        for file in spec.paths(source) or ():
            names = training.data.categories(file).values()
            left = [name for name in names if f"{key}.{name}" not in spec]
            if left and key in spec:
                listed = _listed(frozenset(left))
                message = f'"{key}" has no colour for {listed}: inference draws no boxes of them'
                hint = training.refreshed(key, "name every class there")
                yield Fault(Severity.WARNING, "class-without-colour", message, hint, key)
                return


_COUNTED: Mapping[Counts, Callable[[Training, Computed], Iterator[Fault]]] = {
    Counts.HIGHEST_ID: _highest_id, Counts.CATEGORIES: _number_of_categories, Counts.CLASS_FOLDERS: _class_folders,
    Counts.CLASS_NAMES: _named_classes,
}  # fmt: skip


def _listed(classes: frozenset[str]) -> str:
    listed = ", ".join(sorted(classes)[:_SHOWN])
    more = f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else ""
    return printable(listed) + more


def _name(file: str) -> str:
    return file.rpartition("/")[2]
