"""Checks that a training is not validated on its own data. Its metrics would say nothing about other images.

Which keys belong together follows from their names in the layout: ``train_`` and ``val_``, ``data_sources`` and
``validation_data_sources``.
"""

from __future__ import annotations

from collections.abc import Iterator

from taorunner.catalog.layouts import Input, InputKind
from taorunner.errors import Severity
from taorunner.planning.checks.training_facts import Fault, Rule, Training
from taorunner.text import printable

_NAMES = (
    ("train", "val"), ("train", "validation"), ("data_sources", "validation_data_sources"), ("training", "validation"),
)  # fmt: skip
_SPLITS = ("dataset.segment.train_split", "dataset.segment.validation_split")
_ORDER = (InputKind.FILE, InputKind.RECORDS, InputKind.FOLDER)
"""Files of annotations say more than folders of images, which may hold those of both."""


def same_data(training: Training) -> Iterator[Fault]:
    """One warning, at the key of the validation data."""
    spec = training.spec
    splits = [spec.text(key) for key in _SPLITS]
    if splits[0] is not None and splits[0] == splits[1]:
        yield _fault(_SPLITS[1], f'the split "{printable(splits[0])}"')
        return
    pairs = list(_pairs(training))
    for kind in _ORDER:
        of_kind = [(one.key, other) for one, other in pairs if one.kind is kind]
        equal = [
            (other, paths)
            for key, other in of_kind
            if (paths := spec.paths(key)) and paths == spec.paths(other)
        ]
        if of_kind:
            if len(equal) == len(of_kind):
                other, paths = equal[0]
                yield _fault(other, printable(spec.variables.shown(paths[0])))
            return


RULES: tuple[Rule, ...] = (same_data,)


def _pairs(training: Training) -> Iterator[tuple[Input, str]]:
    """Each input of the training that the spec has, and the key of the same input for validation."""
    layout, contract = training.layout, training.contract
    inputs = layout.inputs_of(contract.action, contract.group) if layout is not None else ()
    keys = {one.key for one in inputs if one.key in training.spec}
    for one in inputs:
        for name, other in _NAMES if one.key in keys else ():
            key = one.key.replace(name, other, 1)
            if key != one.key and key in keys:
                yield one, key
                break


def _fault(key: str, what: str) -> Fault:
    message = f"training and validation read the same data: {what}"
    hint = "taorunner dataset split sets images aside for validation"
    return Fault(Severity.WARNING, "same-data", message, hint, key)
