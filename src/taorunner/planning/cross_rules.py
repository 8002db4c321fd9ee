"""Which values of a spec do not go together, or not with the dataset? One function a rule; nothing here is placed.

TAO finds these inside the container, after minutes, or never. A rule says nothing about what it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from taorunner.contracts import Contract, Framework
from taorunner.errors import Severity
from taorunner.planning.dataset_facts import DatasetFacts, Labels
from taorunner.planning.spec_reader import SpecReader
from taorunner.text import printable

_LAST_EPOCH_LOST = frozenset({"ssd", "dssd", "faster_rcnn", "multitask_classification"})
"""They save every checkpoint_interval epochs, and not at the end. Source: tao/tensorflow.md section 5.1."""
_NO_INTERVAL_ZERO = frozenset({"yolo_v3", "yolo_v4", "yolo_v4_tiny", "multitask_classification"})
_WEIGHTS_BY_ARGUMENT = frozenset({"ssd", "dssd", "lprnet"})
_CATEGORY_ID_IS_INDEX = frozenset({"dino", "deformable_detr", "rtdetr"})
_VALIDATION_PERIODS = ("eval_config", "evaluation_config")
_SOURCE = "dataset_config.data_sources"
_BATCH_KEYS = ("dataset.batch_size", "dataset.segment.batch_size")
_CLASS_FOLDERS = {
    "classification_pyt": "dataset.train_dataset.images_dir",
    "classification_tf1": "train_config.train_dataset_path",
    "classification_tf2": "dataset.train_dataset_path",
}
_MAPPING = "target_class_mapping"


@dataclass(frozen=True, slots=True)
class Fault:
    """Two things that do not go together; ``key`` is where to tell it, ``index`` which of its values."""

    severity: Severity
    code: str
    message: str
    hint: str
    key: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class Training:
    """What the rules look at. ``convert`` is the spec that made the records, None where there is none."""

    network: str
    contract: Contract
    spec: SpecReader
    convert: SpecReader | None
    gpus: int
    results_dir: str
    data: DatasetFacts

    def role(self, name: str) -> str:
        """The dotted key of a role; a key that no spec has where the network has none."""
        spec = self.contract.spec
        return spec.keys.get(name, "-") if spec is not None else "-"


Rule = Callable[[Training], Iterator[Fault]]


def intervals(training: Training) -> Iterator[Fault]:
    """Source: tao/pytorch.md section 3 (asserted, without a word in status.json), tao/tensorflow.md section 5.1."""
    spec, network = training.spec, training.network
    epochs = spec.number(training.role("epochs"))
    if epochs is None:
        return
    key = training.role("checkpoint_interval")
    saved_every = spec.number(key)
    if training.contract.framework is Framework.PYT and training.role("epochs") == "train.num_epochs":
        in_steps = spec.text("train.checkpoint_interval_unit") == "step"
        for one in () if in_steps else (key, training.role("validation_interval")):
            interval = spec.number(one)
            if interval is not None and interval > epochs:
                message = (
                    f'"{one}" is {interval}, more than the {epochs} epochs of "{training.role("epochs")}"'
                )
                hint = f"training stops at its start: use {epochs:g} or less"
                yield Fault(Severity.ERROR, "interval-beyond-epochs", message, hint, one)
    elif network in _LAST_EPOCH_LOST and saved_every:
        rest = epochs % saved_every
        if saved_every > epochs:
            message = f'"{key}" is {saved_every}, more than the {epochs} epochs: no weights are saved'
            hint = f"use {epochs:g} or a number that divides it"
            yield Fault(Severity.ERROR, "interval-beyond-epochs", message, hint, key)
        elif rest:
            end = int(epochs - rest)
            message = f"{network} saves every {saved_every} epochs, not at the end: what follows epoch {end} is lost"
            hint = f'{end} or {end + saved_every:g} epochs, or a "{key}" that divides {epochs:g}'
            yield Fault(Severity.WARNING, "last-epoch-lost", message, hint, training.role("epochs"))
    if network in _NO_INTERVAL_ZERO and saved_every == 0:
        message = f'"{key}" is 0, which {network} refuses'
        yield Fault(Severity.ERROR, "interval-zero", message, "use 1 or more", key)
    if training.contract.framework is Framework.TF1:
        for section in _VALIDATION_PERIODS:
            one = f"{section}.validation_period_during_training"
            interval = spec.number(one)
            if interval is not None and interval > epochs:
                message = f'"{one}" is {interval}, more than the {epochs} epochs: nothing is validated'
                yield Fault(
                    Severity.WARNING, "interval-beyond-epochs", message, f"use {epochs:g} or less", one
                )


def batch(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 9 (detectnet_v2 refuses fewer steps than it logs)."""
    spec = training.spec
    key = next((one for one in (training.role("batch_size"), *_BATCH_KEYS) if one in spec), None)
    size = spec.number(key) if key is not None else None
    if key is None or not size or size < 0:
        return
    samples = _samples(training)
    if not samples:
        return
    at_once = int(size) * max(1, training.gpus)
    told = f"{int(size)} a GPU" if training.gpus > 1 else str(int(size))
    if at_once > samples:
        message = (
            f'a batch of {at_once} ("{key}" {told}) is more than the {samples} pictures there are to train on'
        )
        hint = f"use {max(1, samples // max(1, training.gpus))} or less, or fewer GPUs"
        yield Fault(Severity.WARNING, "batch-beyond-samples", message, hint, key)
    elif training.network == "detectnet_v2":
        logged = spec.number("training_config.visualizer.scalar_logging_frequency") or 10
        steps = samples // at_once
        if steps < logged:
            counted = f"{samples} pictures in batches of {at_once} are {steps} steps an epoch"
            message = f"{counted}, fewer than the {logged:g} that are logged: training stops at its start"
            hint = 'use a smaller batch, or set "training_config.visualizer.scalar_logging_frequency"'
            yield Fault(Severity.ERROR, "too-few-steps", message, hint, key)


def class_count(training: Training) -> Iterator[Fault]:
    """Source: tao/datasets.md A2 (category_id is the index of the label; a device-side assert tells it late)."""
    spec = training.spec
    if training.network in _CATEGORY_ID_IS_INDEX:
        key = "dataset.num_classes"
        count = spec.number(key)
        for role in ("train_data_sources", "val_data_sources") if count is not None else ():
            for file in spec.paths(f"dataset.{role}.json_file") or ():
                ids = training.data.category_ids(file)
                renumbered = spec.last("dataset.contiguous_labels") is True
                needed = (len(ids) if renumbered else ids[-1] + 1) if ids else 0
                if count is not None and count < needed:
                    what = f"{len(ids)} categories" if renumbered else f"category id {ids[-1]}"
                    name = file.rpartition("/")[2]
                    message = f'"{key}" is {count}, and {name} has {what}: at least {needed} are needed'
                    yield Fault(Severity.ERROR, "too-few-classes", message, f"set it to {needed}", key)
                    return
    elif training.network in _CLASS_FOLDERS:
        key = "dataset.num_classes"
        count = spec.number(key)
        folder = spec.path(_CLASS_FOLDERS[training.network])
        classes = training.data.folders(folder) if folder is not None and count is not None else ()
        if classes and count is not None and count != len(classes):
            few = count < len(classes)
            message = f'"{key}" is {count}, and {folder} has {len(classes)} class folders'
            code, severity = (
                ("too-few-classes", Severity.ERROR) if few else ("too-many-classes", Severity.WARNING)
            )
            yield Fault(severity, code, message, f"set it to {len(classes)}, or correct the dataset", key)


def folds(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 7: an empty fold is dropped, and all pictures are written as fold 0."""
    key = "dataset_config.validation_fold"
    convert = training.convert
    if convert is None or convert.number("kitti_config.val_split") != 0 or training.spec.number(key) != 0:
        return
    name = convert.file.path.name
    message = f'"{key}" 0 leaves nothing to train on: "val_split" 0 in {name} writes all pictures as fold 0'
    hint = f'set "kitti_config.val_split" in {name} to a percentage such as 20, and convert again'
    yield Fault(Severity.ERROR, "empty-training-fold", message, hint, key)


def class_names(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 7 (columns split at blanks, records in lower case), tao/datasets.md A4."""
    key = f"dataset_config.{_MAPPING}.key"
    names = training.spec.texts(key)
    is_raw = f"{_SOURCE}.label_directory_path" in training.spec
    labels = _labels(training)
    missing = [] if labels is None else [name for name in names if name.lower() not in labels.classes]
    if labels is not None and names and len(missing) == len(names):
        seen = ", ".join(sorted(labels.classes)[:5])
        message = f'no class of "{_MAPPING}" is in the labels: {labels.files} files have {printable(seen)}'
        yield Fault(Severity.ERROR, "no-class-in-dataset", message, "correct the names, or the dataset", key)
        return
    for index, name in enumerate(names):
        if any(char.isspace() for char in name):
            message = f'the class "{printable(name)}" has a blank, and labels are split at blanks: it is never found'
            hint = "write the labels with another name, such as " + "_".join(name.lower().split())
            yield Fault(Severity.WARNING, "class-with-blank", message, hint, key, index)
        elif not is_raw and name != name.lower() and name.lower() not in names:
            message = f'the class "{printable(name)}" has capitals, and the records hold lower case: it is never found'
            yield Fault(
                Severity.WARNING, "class-with-capitals", message, f'write "{name.lower()}"', key, index
            )
        elif labels is not None and labels.is_all and name in missing:
            message = f'no label has the class "{printable(name)}" ({labels.files} files)'
            hint = "there are: " + printable(", ".join(sorted(labels.classes)[:5]))
            yield Fault(Severity.WARNING, "class-not-in-dataset", message, hint, key, index)


def extension_for_training(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md sections 4.1 and 7 (without the dot here, needed with records by YOLO)."""
    key = "dataset_config.image_extension"
    spec = training.spec
    written = spec.text(key)
    if written is not None and written.startswith("."):
        message = f'"{key}" is "{printable(written)}": in a train spec it has no dot'
        yield Fault(Severity.WARNING, "image-extension", message, f'write "{written.lstrip(".")}"', key)
    elif (
        key not in spec
        and training.network in ("yolo_v3", "yolo_v4", "yolo_v4_tiny")
        and f"{_SOURCE}.tfrecords_path" in spec
    ):
        message = f'"{key}" is missing, and {training.network} needs it with records'
        hint = 'write it into "dataset_config", as in image_extension: "png"'
        yield Fault(Severity.ERROR, "image-extension", message, hint, f"{_SOURCE}.tfrecords_path")


def extension_for_conversion(convert: SpecReader, data: DatasetFacts) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 7: one extension a run, case counts, others are passed over silently."""
    folder = _kitti_folder(convert, "image_dir_name")
    if folder is None:
        return
    key = "kitti_config.image_extension"
    wanted = convert.text(key) or ".png"
    there = data.pictures(folder)
    taken = sum(count for suffix, count in there.items() if suffix.endswith(wanted))
    left = sum(there.values()) - taken
    if not left:
        return
    seen = ", ".join(f"{count} {suffix}" for suffix, count in sorted(there.items()))
    place = key if key in convert else "kitti_config.root_directory_path"
    if not taken:
        message = f'no picture in {folder} ends with "{printable(wanted)}": there are {seen}'
        most = max(there, key=lambda suffix: there[suffix])
        yield Fault(Severity.ERROR, "image-extension", message, f'set "{key}" to "{most}"', place)
    else:
        message = f'{left} pictures in {folder} do not end with "{printable(wanted)}" and are left out: it has {seen}'
        yield Fault(
            Severity.WARNING, "image-extension", message, "bring all pictures to one extension", place
        )


def ignored(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 0 rule 7 and section 4.1 (unet)."""
    key = "training_config.pretrain_model_path"
    if training.network in _WEIGHTS_BY_ARGUMENT and training.spec.text(key):
        message = f'{training.network} does not read "{key}": its weights come from the command line'
        hint = "leave it out: taorunner passes those of repository and backbone"
        yield Fault(Severity.WARNING, "ignored-key", message, hint, key)
    key = "training_config.num_epochs"
    if training.network == "unet" and key in training.spec:
        message = f'unet does not read "{key}"'
        yield Fault(Severity.WARNING, "ignored-key", message, 'write "training_config.epochs"', key)


def results_elsewhere(training: Training) -> Iterator[Fault]:
    """Source: tao/pytorch.md section 3: the action's own results_dir wins."""
    key = "train.results_dir"
    if training.contract.framework is not Framework.PYT or not training.spec.text(key):
        return
    path = training.spec.path(key)
    if path is None or path != f"{training.results_dir}/train":
        message = f'"{key}" sends the results to where taorunner does not look for them'
        hint = 'leave it out: "results_dir" is set for every run'
        yield Fault(Severity.WARNING, "results-elsewhere", message, hint, key)


TRAINING_RULES: tuple[Rule, ...] = (
    intervals, batch, class_count, folds, class_names, extension_for_training, ignored, results_elsewhere,
)  # fmt: skip


def _samples(training: Training) -> int | None:
    """How many pictures there are to train on, at most; None where it is not known."""
    spec, data = training.spec, training.data
    if training.network in _CLASS_FOLDERS:
        root = spec.path(_CLASS_FOLDERS[training.network])
        return (
            sum(_count(data, f"{root}/{name}") for name in data.folders(root)) if root is not None else None
        )
    if f"{_SOURCE}.label_directory_path" in spec:
        folders = spec.paths(f"{_SOURCE}.image_directory_path")
    elif f"{_SOURCE}.tfrecords_path" in spec:
        return _converted(training)
    elif "dataset_config.train_images_path" in spec:
        folders = spec.paths("dataset_config.train_images_path")
    elif "dataset.segment.root_dir" in spec:
        root = spec.path("dataset.segment.root_dir")
        split = spec.text("dataset.segment.train_split") or "train"
        folders = (f"{root}/images/{split}",) if root is not None else None
    else:
        folders = spec.paths("dataset.train_data_sources.image_dir")
    counts = [_count(data, folder) for folder in folders or ()]
    return sum(counts) if counts and all(counts) else None


def _converted(training: Training) -> int | None:
    """The pictures of the converted dataset, without those set aside for validation."""
    convert = training.convert
    if convert is None or len(training.spec.values(f"{_SOURCE}.tfrecords_path")) != 1:
        return None
    folder = _kitti_folder(convert, "image_dir_name")
    if folder is None:
        return None
    wanted = convert.text("kitti_config.image_extension") or ".png"
    taken = sum(n for suffix, n in training.data.pictures(folder).items() if suffix.endswith(wanted))
    share = (
        convert.number("kitti_config.val_split") if "dataset_config.validation_fold" in training.spec else 0
    )
    return None if share is None else taken - int(taken * share / 100)


def _labels(training: Training) -> Labels | None:
    """The classes in the labels that are trained on; None where they are not known."""
    folders = training.spec.paths(f"{_SOURCE}.label_directory_path")
    if folders is None and training.convert is not None and f"{_SOURCE}.tfrecords_path" in training.spec:
        folder = _kitti_folder(training.convert, "label_dir_name")
        folders = None if folder is None else (folder,)
    if folders is None or len(folders) != 1:
        return None
    return training.data.labels(folders[0])


def _kitti_folder(convert: SpecReader, name: str) -> str | None:
    root = convert.path("kitti_config.root_directory_path")
    below = convert.text(f"kitti_config.{name}")
    return f"{root}/{below}" if root is not None and below is not None else None


def _count(data: DatasetFacts, folder: str) -> int:
    return sum(data.pictures(folder).values())
