"""Checks that the validation, evaluation and inference sets fill at least one batch, and that no training is validated
on its own data.

Which set an action reads, and how its samples are counted, is in the catalog (``held_out`` of ``SpecContract``).
Source: tao-pytorch 6.0 and later, core/lightning/tao_lightning_module.py refuses a set that is smaller than one batch
on all GPUs. The training set itself is checked in ``dataset_rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from taorunner.catalog.layouts import Input, InputKind
from taorunner.contracts import Framework, SampleCount, SpecContract
from taorunner.errors import Severity
from taorunner.planning.checks.training_facts import Fault, Rule, Training
from taorunner.planning.spec.schema_choice import code_version
from taorunner.text import amount, printable

ACTIONS = ("train", "evaluate", "inference")
_COUNTERPARTS = (
    ("train", "val"), ("train", "validation"), ("data_sources", "validation_data_sources"), ("training", "validation"),
)  # fmt: skip
_SPLITS = ("dataset.segment.train_split", "dataset.segment.validation_split")
_BY_WORTH = (InputKind.FILE, InputKind.RECORDS, InputKind.FOLDER)
"""Files of annotations say more than folders of images, which may hold those of both."""
_STOPS = {
    "train": "the training stops at its first validation",
    "evaluate": "evaluate stops at its start",
    "inference": "inference stops at its start",
}


def same_data(training: Training) -> Iterator[Fault]:
    """One warning, at the key of the validation data."""
    spec = training.spec
    splits = [spec.text(key) for key in _SPLITS]
    if splits[0] is not None and splits[0] == splits[1]:
        yield _same_fault(_SPLITS[1], f'the split "{printable(splits[0])}"')
        return
    pairs = list(_same_inputs(training))
    for kind in _BY_WORTH:
        of_kind = [(one.key, other) for one, other in pairs if one.kind is kind]
        equal = [
            (other, paths)
            for key, other in of_kind
            if (paths := spec.paths(key)) and paths == spec.paths(other)
        ]
        if of_kind:
            if len(equal) == len(of_kind):
                other, paths = equal[0]
                yield _same_fault(other, printable(spec.variables.shown(paths[0])))
            return


def held_out(training: Training) -> Iterator[Fault]:
    """One warning for a set that the action refuses or reads in part. A missing one, or records, are not judged."""
    contract, spec = training.contract, training.contract.spec
    if spec is None or contract.framework is not Framework.PYT or code_version(contract).startswith("5."):
        return
    sizes = [
        (size, key)
        for key in spec.held_out_batch
        if (size := training.spec.number(key)) is not None and size >= 1
    ]
    samples = _samples(training, spec) if sizes else None
    if not samples:
        return
    size, key = min(sizes)
    at_once = int(size) * training.gpus
    what = f'"{key}" {int(size)}' + (f" on {training.gpus} GPUs" if training.gpus > 1 else "")
    is_reported = contract.action == "train" and 0 < (training.samples or 0) < at_once  # of the larger fault
    if at_once > samples and not is_reported:
        message = (
            f"a batch of {at_once} ({what}) is more than the {amount(samples, 'sample')} of {_named(spec)}: "
            f"{_STOPS[contract.action]}"
        )
        fits = samples // training.gpus
        hint = f"use {fits} or less" if fits else "use fewer GPUs, or more samples"
        yield Fault(Severity.WARNING, "batch-beyond-samples", message, hint, key)
    elif spec.held_out_drops_last and contract.action == "inference" and (left := samples % at_once):
        message = (
            f"the last {left} of the {samples} samples of {_named(spec)} get no result: they fill no batch of "
            f"{at_once} ({what}), and {contract.network} leaves such a batch out"
        )
        yield Fault(Severity.WARNING, "last-batch-left-out", message, "set it to 1", key)


RULES: tuple[Rule, ...] = (held_out,)
TEXT_RULES: tuple[Rule, ...] = (same_data,)
"""Rules that read no numbers: their result for one spec of a sweep holds for all."""


def _samples(training: Training, spec: SpecContract) -> int | None:
    """The number of samples at most; None where it is not known."""
    if not spec.held_out or spec.held_out_counts is None:
        return None
    return _COUNTS[spec.held_out_counts](training, spec.held_out)


def _named(spec: SpecContract) -> str:
    """The keys of a set, as a message names it: of folder and split the split."""
    is_split = spec.held_out_counts in (SampleCount.SPLIT, SampleCount.SPLIT_LIST)
    return " and ".join(f'"{key}"' for key in (spec.held_out[-1:] if is_split else spec.held_out))


def _pictures(training: Training, keys: tuple[str, ...]) -> int | None:
    """In folders without folders in them."""
    given = [training.spec.paths(key) for key in keys]
    folders = [folder for paths in given for folder in paths or ()]
    if not all(given) or any(training.data.folders(folder) for folder in folders):
        return None
    return sum(training.data.count(folder) for folder in folders)


def _pictures_below(training: Training, keys: tuple[str, ...]) -> int | None:
    folders = list(training.spec.paths(keys[0]) or ())
    found = 0
    for folder in folders:  # grows
        found += training.data.count(folder)
        folders += [f"{folder}/{name}" for name in training.data.folders(folder)]
        if len(folders) > _MOST_FOLDERS:
            return None
    return found


def _class_folders(training: Training, keys: tuple[str, ...]) -> int | None:
    root = training.spec.path(keys[0])
    if root is None:
        return None
    return sum(training.data.count(f"{root}/{name}") for name in training.data.folders(root))


def _videos(training: Training, keys: tuple[str, ...]) -> int | None:
    root = training.spec.path(keys[0])
    return len(training.data.folders(root)) if root is not None else None


def _class_videos(training: Training, keys: tuple[str, ...]) -> int | None:
    root = training.spec.path(keys[0])
    if root is None:
        return None
    return sum(len(training.data.folders(f"{root}/{name}")) for name in training.data.folders(root))


def _split(training: Training, keys: tuple[str, ...]) -> int | None:
    root, split = training.spec.path(keys[0]), training.spec.text(keys[1])
    return training.data.count(f"{root}/images/{split}") if root is not None and split else None


def _split_list(training: Training, keys: tuple[str, ...]) -> int | None:
    root, folder, split = training.spec.path(keys[0]), *(training.spec.text(key) for key in keys[1:])
    return _lines_of(training, f"{root}/{folder}/{split}.txt") if root and folder and split else None


def _lines(training: Training, keys: tuple[str, ...]) -> int | None:
    counts = [_lines_of(training, file) for file in training.spec.paths(keys[0]) or ()]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _rows(training: Training, keys: tuple[str, ...]) -> int | None:
    lines = _lines(training, keys)
    return max(0, lines - 1) if lines is not None else None


def _array(training: Training, keys: tuple[str, ...]) -> int | None:
    file = training.spec.path(keys[0])
    return training.data.array_length(file) if file is not None else None


def _lines_of(training: Training, file: str) -> int | None:
    lines = training.data.lines(file)
    return sum(bool(line) for line in lines) if lines is not None else None


_MOST_FOLDERS = 2000
_COUNTS: Mapping[SampleCount, Callable[[Training, tuple[str, ...]], int | None]] = {
    SampleCount.PICTURES: _pictures,
    SampleCount.PICTURES_BELOW: _pictures_below,
    SampleCount.CLASS_FOLDERS: _class_folders,
    SampleCount.VIDEOS: _videos,
    SampleCount.CLASS_VIDEOS: _class_videos,
    SampleCount.SPLIT: _split,
    SampleCount.SPLIT_LIST: _split_list,
    SampleCount.LINES: _lines,
    SampleCount.ROWS: _rows,
    SampleCount.ARRAY: _array,
}


def _same_inputs(training: Training) -> Iterator[tuple[Input, str]]:
    """Each input of the training that the spec has, and the key of the same input for validation."""
    layout, contract = training.layout, training.contract
    inputs = layout.inputs_of(contract.action, contract.group) if layout is not None else ()
    keys = {one.key for one in inputs if one.key in training.spec}
    for one in inputs:
        for name, other in _COUNTERPARTS if one.key in keys else ():
            key = one.key.replace(name, other, 1)
            if key != one.key and key in keys:
                yield one, key
                break


def _same_fault(key: str, what: str) -> Fault:
    message = f"training and validation read the same data: {what}"
    hint = "taorunner dataset split DATASET sets images aside for validation"
    return Fault(Severity.WARNING, "same-data", message, hint, key)
