"""Checks that what a spec names of a dataset is there: files and folders, as the network's layout lists them.

An action that is launched stops without them, so they are errors. ``validate`` reports what a training reads as errors,
and as warnings what evaluation and inference read from the same spec, and what a conversion reads: its records may be
there already. Records and results of earlier actions are not looked for here.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Iterable, Iterator

from taorunner.catalog.layouts import DataLayout, Input, InputKind
from taorunner.contracts import Contract
from taorunner.errors import Severity
from taorunner.planning.checks.dataset_facts import DatasetFacts
from taorunner.planning.checks.spec_view import SpecReader
from taorunner.planning.checks.training_facts import Fault, Training
from taorunner.text import nearest, printable

_LATER = ("evaluate", "inference")
_DATASET = ("dataset", "dataset_raw")
_KINDS = (InputKind.FILE, InputKind.FOLDER, InputKind.ANY)


def missing_inputs(
    layout: DataLayout, contract: Contract, spec: SpecReader, data: DatasetFacts, severity: Severity
) -> Iterator[Fault]:
    """What the action of this spec reads and does not find: one fault for each key, or one for a dataset without any
    file. A dataset that does not exist is reported elsewhere."""
    inputs = layout.inputs_of(contract.action, contract.group)
    folder = str(spec.variables["dataset_raw"])
    if data.kind(folder) is None or not data.has_files(folder):
        key = next((one.key for one in inputs if _reads_dataset(spec, one.key)), None)
        if key is not None and data.kind(folder) is not None:
            message = f'the dataset "{printable(folder)}" is empty'
            hint = f'"taorunner networks {contract.network}" says what to put where'
            yield Fault(severity, "empty-dataset", message, hint, key)
        inputs = tuple(one for one in inputs if not _reads_dataset(spec, one.key))
    yield from _faults(inputs, spec, data, severity, "")


def later_inputs(training: Training) -> Iterator[Fault]:
    """What evaluation and inference do not find that read the spec of the training."""
    layout, contract, spec = training.layout, training.contract, training.spec
    if layout is None or not training.data.has_files(str(spec.variables["dataset_raw"])):
        return
    own = layout.inputs_of(contract.action, contract.group)
    known = {path for one in own for path in _looked_for(one, spec)}
    for action in _LATER:
        later = [one for one in layout.inputs_of(action, contract.group) if one not in own]
        yield from _faults(later, spec, training.data, Severity.WARNING, f", which {action} reads,", known)


def training_inputs(training: Training) -> Iterator[Fault]:
    """``missing_inputs`` of a training, as a rule."""
    if training.layout is not None:
        yield from missing_inputs(
            training.layout, training.contract, training.spec, training.data, Severity.ERROR
        )


def reads_dataset(layout: DataLayout, contract: Contract, spec: SpecReader) -> bool:
    """Whether the action opens files of the dataset itself, and not only records of it."""
    return any(_reads_dataset(spec, one.key) for one in layout.inputs_of(contract.action, contract.group))


def _reads_dataset(spec: SpecReader, key: str) -> bool:
    return key in spec and any(start in _DATASET for start in spec.starts(key))


def _faults(
    inputs: Iterable[Input], spec: SpecReader, data: DatasetFacts, severity: Severity, whose: str,
    known: Collection[str] = (),
) -> Iterator[Fault]:  # fmt: skip
    """Paths in ``known`` are reported of another key already."""
    for one in inputs:
        for index, path in enumerate(_looked_for(one, spec)):
            wrong = _wrong(one, path, data) if path not in known else None
            if wrong is not None:
                code, what, hint = wrong
                yield Fault(severity, code, f'"{printable(path)}"{whose} {what}', hint, one.key, index)
                break


def _looked_for(one: Input, spec: SpecReader) -> tuple[str, ...]:
    """The paths of a key; none of records, and none in a folder that actions fill. Reads no other variables then."""
    if one.kind not in _KINDS or one.key not in spec:
        return ()
    if any(start not in (None, *_DATASET) for start in spec.starts(one.key)):
        return ()
    return spec.paths(one.key) or ()


def _wrong(one: Input, path: str, data: DatasetFacts) -> tuple[str, str, str] | None:
    """Code, what is wrong, and a hint; None where it is as it should be."""
    belongs = f'what belongs there: {one.holds}; or correct "{one.key}"'
    if any(char in path for char in "*?["):
        return None if glob.glob(path) else ("missing-input", "fits no file", belongs)  # noqa: PTH207 (a str)
    kind = data.kind(path)
    if kind == "" or (kind is None and _is_prefix(path)):
        return None
    if kind is None:
        near = _nearest(path)
        return "missing-input", "does not exist", f'did you mean "{printable(near)}"?' if near else belongs
    if one.kind is not InputKind.ANY and kind != one.kind.value:
        return "wrong-input", f"is a {kind}, and a {one.kind.value} belongs there", belongs
    if data.is_empty(path):
        return "empty-input", "is empty", belongs
    return None


def _is_prefix(path: str) -> bool:
    """Whether files begin with it: COCO files in pieces are named without a suffix. Source: tao/layouts.md, DINO."""
    return not os.path.splitext(path)[1] and bool(glob.glob(f"{glob.escape(path)}*.json"))  # noqa: PTH122, PTH207


def _nearest(path: str) -> str | None:
    """What exists with another name for the first part of ``path`` that does not, with the parts behind it."""
    folder, name = os.path.split(path)
    parts = [name]
    while len(folder) > 1 and not os.path.isdir(folder):  # noqa: PTH112 (a str)
        folder, name = os.path.split(folder)
        parts.insert(0, name)
    try:
        near = nearest(parts[0], sorted(os.listdir(folder)))
    except OSError:
        return None
    if near is None:
        return None
    meant = "/".join((near, *parts[1:]))
    return meant if os.path.exists(f"{folder}/{meant}") else None  # noqa: PTH110 (a str)
