"""Rules for values of a training's specs that contradict each other. One function per rule, without places.

TAO reports these inside the container after minutes, or never.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from taorunner.contracts import Framework
from taorunner.errors import Severity
from taorunner.planning.checks.training_facts import SOURCES, TRAINED_EXTENSION, Fault, Rule, Training
from taorunner.planning.spec.schema_choice import schema_of
from taorunner.text import amount, printable

_END_NOT_SAVED = frozenset({
    "ssd", "dssd", "faster_rcnn", "multitask_classification", "pointpillars", "classification_tf2",
})  # fmt: skip
"""Source: tao/tensorflow.md section 5.1; NVIDIA/tao_tensorflow2_backend cv/classification/callback/eff_checkpoint.py;
NVIDIA/tao_pytorch_backend pointcloud/pointpillars/tools/train_utils."""
_NOT_LIGHTNING = frozenset({"bevfusion", "pointpillars"})
_NO_INTERVAL_ZERO = frozenset({"yolo_v3", "yolo_v4", "yolo_v4_tiny", "multitask_classification"})
WEIGHTS_BY_ARGUMENT = frozenset({"ssd", "dssd", "lprnet"})
_YOLO = frozenset({"yolo_v3", "yolo_v4", "yolo_v4_tiny"})
_RECORDS_WITHOUT_PICTURES = _YOLO | {"detectnet_v2", "faster_rcnn"}
"""Their records name the images; those of the others hold them. Source: tao/tensorflow.md section 7."""
_VALIDATION_PERIODS = (
    "eval_config.validation_period_during_training",
    "evaluation_config.validation_period_during_training",
    "evaluation_config.first_validation_epoch",
)


def interval_refused(training: Training) -> Iterator[Fault]:
    """Source: tao/pytorch.md section 3 (asserted, without a word in status.json);
    NVIDIA/tao_tensorflow2_backend cv/efficientdet/utils/config_utils.py (asserted as well).
    """
    if training.network != "efficientdet_tf2" and not _is_lightning(training):
        return
    spec, epochs = training.spec, training.epochs
    if epochs is None:
        return
    saving = () if _saves_by_step(training) else (training.role("checkpoint_interval"),)
    for key in (*saving, "train.validation_interval"):
        interval = spec.number(key)
        if interval is not None and interval > epochs:
            message = f'"{key}" is {interval}, and there are {epochs} epochs: the training stops at its start'
            yield _error("interval-beyond-epochs", message, f"use {epochs} or less", key)
        elif key not in spec and (usual := _usual(training, key)) > epochs:
            message = f'"{key}" is {usual} when it is left out, and there are {epochs} epochs'
            hint = f"the training stops at its start: set it to {epochs} or less"
            yield _error("interval-beyond-epochs", message, hint, training.role("epochs"))


def _usual(training: Training, key: str) -> int:
    """TAO's default for an interval that the spec omits; 0 where this release has no such key, or 1 is usual."""
    if training.network != "efficientdet_tf2":
        return 0
    schema = schema_of(training.contract)
    found = schema.find(tuple(key.split("."))) if schema is not None else None
    return found.default if found is not None and isinstance(found.default, int) else 0


def nothing_saved(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 5.1 (a warning of TAO at most)."""
    key = training.role("checkpoint_interval")
    epochs, interval = training.epochs, training.spec.number(key)
    if epochs is None or interval is None or interval <= epochs or training.network not in _END_NOT_SAVED:
        return
    message = f'"{key}" is {interval}, and there are {epochs} epochs: no weights are saved'
    yield _error("interval-beyond-epochs", message, f"use {epochs}, or a number that divides it", key)


def nothing_validated(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 4.1."""
    epochs = training.epochs
    if epochs is None or training.contract.framework is not Framework.TF1:
        return
    for key in _VALIDATION_PERIODS:
        interval = training.spec.number(key)
        if interval is not None and interval > epochs:
            message = f'"{key}" is {interval}, and there are {epochs} epochs: nothing is validated'
            yield _warning("interval-beyond-epochs", message, f"use {epochs} or less", key)


def last_epochs_lost(training: Training) -> Iterator[Fault]:
    """Weights are saved when an epoch's number is a multiple of the interval, and not once more at the end.

    Source: tao/tensorflow.md section 5.1; NVIDIA/tao_pytorch_backend core/lightning/tao_lightning_module.py with
    ModelCheckpoint of Lightning 2.5 and 2.6, which has no save at the end after one within.
    """
    key = training.role("checkpoint_interval")
    epochs, interval = training.epochs, training.spec.number(key)
    if epochs is None or interval is None or not 0 < interval < epochs or _saves_by_step(training):
        return
    if epochs != int(epochs) or interval != int(interval):
        return  # of the wrong type, which is reported
    rest = epochs % interval
    if rest and (training.network in _END_NOT_SAVED or _is_lightning(training)):
        end = int(epochs - rest)
        message = (
            f"{training.network} saves every {interval} epochs and not at the end: of {epochs} epochs, "
            f"those after {end} are lost"
        )
        hint = f'use {end} or {end + int(interval)} epochs, or a "{key}" that divides {epochs}'
        yield _warning("last-epochs-lost", message, hint, training.role("epochs"))


def interval_zero(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 5.1."""
    key = training.role("checkpoint_interval")
    if training.network in _NO_INTERVAL_ZERO and training.spec.number(key) == 0:
        yield _error("interval-zero", f'"{key}" is 0, which {training.network} refuses', "use 1 or more", key)


def empty_training_fold(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 7: an empty fold is dropped, and all images are written as fold 0."""
    key, made_by = "dataset_config.validation_fold", training.made_by
    if made_by is None or training.spec.number(key) != 0 or made_by.set_aside != 0:
        return
    name, percent, taken = made_by.spec.file.path.name, made_by.percent_for_validation, made_by.taken
    if taken == 0:
        return  # which is said elsewhere
    of = f" of {amount(taken, 'image')}" if percent and taken is not None else ""
    split = f'"val_split" {percent:g}{of} in {name} writes all images as fold 0'
    message = f'"{key}" 0 leaves nothing to train on: {split}'
    enough = max(20, ceil(100 / taken)) if taken is not None and taken > 1 else 20
    hint = f'set "kitti_config.val_split" in {name} to a percentage such as {enough}, and convert again'
    if taken == 1:
        hint = "add images: one that trains and one that validates are needed"
    yield _error("empty-training-fold", message, hint, key)


def image_extension(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md sections 4.1 and 7: without a dot here, needed with records by YOLO."""
    key, spec = TRAINED_EXTENSION, training.spec
    records = f"{SOURCES}.tfrecords_path"
    if training.network not in _RECORDS_WITHOUT_PICTURES or records not in spec:
        return
    written = spec.text(key)
    if key not in spec and training.network in _YOLO:
        message = f'"{key}" is missing, and {training.network} needs it with records'
        yield _error(
            "image-extension",
            message,
            'write it into "dataset_config", as in image_extension: "png"',
            records,
        )
    elif written is not None and written.startswith("."):
        message = f'"{key}" is "{printable(written)}": in the spec of a training it has no dot'
        yield _warning("image-extension", message, f'write "{printable(written.lstrip("."))}"', key)
    elif written and training.made_by is not None and training.made_by.extension != f".{written}":
        convert = training.made_by
        message = (
            f'"{key}" is "{printable(written)}", and {convert.spec.file.path.name} takes the images that end '
            f'with "{printable(convert.extension)}"'
        )
        yield _error("image-extension", message, "name the same extension in both", key)


def ignored_keys(training: Training) -> Iterator[Fault]:
    """Source: tao/tensorflow.md section 0 rule 7 and section 4.1 (unet)."""
    key, spec = "training_config.pretrain_model_path", training.spec
    if training.network in WEIGHTS_BY_ARGUMENT and key in spec and spec.last(key) != "":
        message = f'{training.network} does not read "{key}": its weights come from the command line'
        hint = "leave it out: taorunner passes the weights of repository and backbone"
        yield _warning("ignored-key", message, hint, key)
    key = "training_config.num_epochs"
    if training.network == "unet" and key in spec:
        yield _warning(
            "ignored-key", f'unet does not read "{key}"', 'write "training_config.epochs" instead', key
        )


def results_elsewhere(training: Training) -> Iterator[Fault]:
    """Source: tao/pytorch.md section 3: the action's own results_dir wins."""
    key = "train.results_dir"
    if training.contract.framework is not Framework.PYT or not training.spec.text(key):
        return
    if training.spec.path(key) != f"{training.spec.variables['results_dir']}/train":
        message = f'"{key}" sends the results to where taorunner does not look for them'
        yield _warning("results-elsewhere", message, 'leave it out: "results_dir" is set for every run', key)


EPOCH_RULES: tuple[Rule, ...] = (
    interval_refused, nothing_saved, nothing_validated, last_epochs_lost, interval_zero,
)  # fmt: skip
NUMBER_RULES: tuple[Rule, ...] = (empty_training_fold,)
TEXT_RULES: tuple[Rule, ...] = (image_extension, ignored_keys, results_elsewhere)
"""Rules that read no numbers: their result for one spec of a sweep holds for all."""


def _is_lightning(training: Training) -> bool:
    """Not classification before 6.0 either, which has other keys."""
    return (
        training.contract.framework is Framework.PYT
        and training.role("epochs") == "train.num_epochs"
        and training.network not in _NOT_LIGHTNING
    )


def _saves_by_step(training: Training) -> bool:
    return training.spec.text("train.checkpoint_interval_unit") == "step"


def _error(code: str, message: str, hint: str, key: str) -> Fault:
    return Fault(Severity.ERROR, code, message, hint, key)


def _warning(code: str, message: str, hint: str, key: str) -> Fault:
    return Fault(Severity.WARNING, code, message, hint, key)
