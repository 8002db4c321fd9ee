"""Checks the ranges of spec values."""

from __future__ import annotations

import dataclasses

from .failures import SpecError
from .network import BACKBONES, STRIDE
from .spec import Spec


def check_ranges(spec: Spec, action: str) -> None:
    """Raises: SpecError at the first value that ``action`` cannot work with."""
    train, model = spec.train, spec.model
    if model.backbone not in BACKBONES:
        raise SpecError(f'unknown model.backbone "{model.backbone}" (known: {", ".join(BACKBONES)})')
    for side, size in (("input_width", model.input_width), ("input_height", model.input_height)):
        if not 32 <= size <= 2048 or size % STRIDE:
            raise SpecError(f'"model.{side}" is {size}; it must be a multiple of {STRIDE} from 32 to 2048')
    for section in dataclasses.fields(spec):
        values = getattr(spec, section.name)
        for key in dataclasses.fields(values) if dataclasses.is_dataclass(values) else ():
            if "valid_min" in key.metadata:
                name, value = f"{section.name}.{key.name}", getattr(values, key.name)
                _within(name, value, key.metadata["valid_min"], key.metadata["valid_max"])
    if action == "train":
        # Source: tao/pytorch.md section 3: both intervals are asserted to be at most num_epochs.
        for interval in ("checkpoint_interval", "validation_interval"):
            if not 1 <= getattr(train, interval) <= train.num_epochs:
                raise SpecError(
                    f'"train.{interval}" is {getattr(train, interval)}; '
                    f"it must be from 1 to train.num_epochs ({train.num_epochs})"
                )


def _within(key: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise SpecError(f'"{key}" is {value:g}; it must be from {lowest:g} to {highest:g}')
