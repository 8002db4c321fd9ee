"""Checks the ranges of spec values."""

from __future__ import annotations

from .failures import SpecError
from .network import BACKBONES, STRIDE
from .spec import Spec


def check_ranges(spec: Spec, action: str) -> None:
    """Raises: SpecError at the first value that ``action`` cannot work with."""
    train, model, convert = spec.train, spec.model, spec.dataset_convert
    if model.backbone not in BACKBONES:
        raise SpecError(f'unknown model.backbone "{model.backbone}" (known: {", ".join(BACKBONES)})')
    for key, size in (("input_width", model.input_width), ("input_height", model.input_height)):
        if not 32 <= size <= 2048 or size % STRIDE:
            raise SpecError(f'"model.{key}" is {size}; it must be a multiple of {STRIDE} from 32 to 2048')
    _within("train.num_epochs", train.num_epochs, 1, 999)
    _within("train.batch_size", train.batch_size, 1, 4096)
    _within("train.learning_rate", train.learning_rate, 1e-9, 10)
    _within("train.seed", train.seed, 0, 2**32 - 1)
    if action == "train":
        # Source: tao/pytorch.md section 3: both intervals are asserted to be at most num_epochs.
        for key in ("checkpoint_interval", "validation_interval"):
            if not 1 <= getattr(train, key) <= train.num_epochs:
                raise SpecError(
                    f'"train.{key}" is {getattr(train, key)}; '
                    f"it must be from 1 to train.num_epochs ({train.num_epochs})"
                )
    _within("dataset_convert.val_split", convert.val_split, 0, 99.999999)
    _within("dataset_convert.num_shards", convert.num_shards, 0, 10_000)
    _within("evaluate.iou_threshold", spec.evaluate.iou_threshold, 0.01, 1)
    _within("evaluate.batch_size", spec.evaluate.batch_size, 1, 4096)
    _within("inference.threshold", spec.inference.threshold, 0, 1)
    _within("inference.batch_size", spec.inference.batch_size, 1, 4096)


def _within(key: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise SpecError(f'"{key}" is {value:g}; it must be from {lowest:g} to {highest:g}')
