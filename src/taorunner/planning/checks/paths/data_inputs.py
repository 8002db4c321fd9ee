"""Checks that what a spec names is there: files and folders, as the network's layout lists them, and any other path
of a key whose name says that the action reads it.

An action that is launched stops without them, so they are errors. ``validate`` reports what a training reads as errors,
and as warnings what only other actions read from the same spec. What an earlier action of the experiment makes is a
note until the start, see ``made_inputs``.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from taorunner.catalog.layouts import DataLayout, Input, InputKind
from taorunner.contracts import Contract, Framework
from taorunner.errors import Severity
from taorunner.planning.checks.dataset_facts import DatasetFacts
from taorunner.planning.checks.paths.host_paths import OF_OTHERS
from taorunner.planning.checks.paths.unresolved import KINDS, unmounted, unresolved
from taorunner.planning.checks.rules.spec_rules import WEIGHTS_BY_ARGUMENT
from taorunner.planning.checks.spec_view import SpecReader
from taorunner.planning.checks.training_facts import Fault, Training
from taorunner.planning.inputs.dataset_place import meant_dataset, meant_hint
from taorunner.progress.file_wholeness import not_weights
from taorunner.specs.outline import Shape
from taorunner.specs.schema.walk import ACTION_SECTIONS
from taorunner.text import nearest, printable

_LATER = ("evaluate", "inference")
DATASET = ("dataset", "dataset_raw")
_ANYTHING = "a file or a folder"
_NAMED_AS_READ = re.compile(
    r"(?:^|_)(?:path|paths|file|files|dir|dirs|folder|root|json|checkpoint|ann|annotations|classmap|label_map)$"
)
_NAMED_AS_WRITTEN = re.compile(
    r"(?:^|_)(?:results?|output|outputs|out|save|saved|log|logs|cache|tmp|onnx|engine|export|pruned|dump|prefix)(?:_|$)"
    r"|^checkpoint_dir$"  # bpnet and fpenet write there
)
_RESUMED = re.compile(r"resume")
_CONVERSIONS = ("kitti_config", "dataset_convert")
"""Sections of specs that make records of a folder of images and a folder of labels."""


def missing_inputs(
    layout: DataLayout | None, contract: Contract, spec: SpecReader, data: DatasetFacts, severity: Severity
) -> Iterator[Fault]:
    """What the action of this spec reads and does not find: one fault for each key, or one for a dataset without any
    file. A dataset that does not exist is reported elsewhere."""
    inputs = layout.inputs_of(contract.action, contract.group) if layout is not None else ()
    listed = {one.key for one in layout.inputs} if layout is not None else set()
    named = named_inputs(spec, contract.action)
    if contract.network in WEIGHTS_BY_ARGUMENT:  # which is reported as a key that is not read
        named = tuple(one for one in named if not one.key.endswith("pretrain_model_path"))
    given = _given_by_run(contract)
    named = tuple(one for one in named if one.key not in listed and one.key not in given)
    folder = str(spec.variables["dataset_raw"])
    if data.kind(folder) is None or not data.has_files(folder):
        key = next((one.key for one in inputs if _reads_dataset(spec, one.key)), None)
        if key is not None and data.kind(folder) is not None:
            message = f"the dataset is empty: {spec.variables.shown(folder)}"
            hint = f'"taorunner networks {contract.network}" says what to put where'
            yield Fault(severity, "empty-dataset", message, hint, key)
        inputs = tuple(one for one in inputs if not _reads_dataset(spec, one.key))
        named = tuple(one for one in named if not _reads_dataset(spec, one.key))
    yield from _unnamed(inputs, contract, spec, severity)
    faults = list(_faults((*inputs, *named), spec, data, severity, ""))
    moved = _moved(layout, contract, spec, faults)
    if moved is not None:
        yield replace(moved, severity=severity)
        faults = [one for one in faults if not _reads_dataset(spec, one.key)]
    yield from faults


def _given_by_run(contract: Contract) -> set[str]:
    """Keys that every run sets on its command line, so that what the spec has there is not read. TAO Deploy reads an
    engine in place of the checkpoint."""
    tokens = (token for one in contract.arguments if one.required for token in one.tokens)
    given = {token.partition("=")[0] for token in tokens if "=" in token}
    return given | {f"{contract.action}.checkpoint"} if contract.framework is Framework.DEPLOY else given


def _moved(
    layout: DataLayout | None, contract: Contract, spec: SpecReader, faults: Iterable[Fault]
) -> Fault | None:
    """The one fault where ``dataset`` of the experiment is a folder too high or too low, and what the spec reads below
    it is missing therefore."""
    folder = str(spec.variables["dataset_raw"])
    meant = meant_dataset(layout, Path(folder)) if layout is not None else None
    if meant is None:
        return None
    keys = [one.key for one in faults if one.code == "missing-input" and _reads_dataset(spec, one.key)]
    for section in _CONVERSIONS:
        root, name = spec.path(f"{section}.root_directory_path"), spec.text(f"{section}.image_dir_name")
        if root is not None and name is not None and not Path(root, name).is_dir():
            keys.append(f"{section}.root_directory_path")
    if not keys:
        return None
    message = f"{contract.network} does not find its images in {spec.variables.shown(folder)}"
    return Fault(Severity.ERROR, "missing-input", message, meant_hint(meant), keys[0])


def _unnamed(
    inputs: Iterable[Input], contract: Contract, spec: SpecReader, severity: Severity
) -> Iterator[Fault]:
    """Keys without a path that the action cannot do without, and paths that no container resolves."""
    needs = {contract.action, f"{contract.group}.{contract.action}"}
    for one in inputs:
        is_needed = one.kind in KINDS and one.key in spec and not needs.isdisjoint(one.needed_by)
        if is_needed and None in spec.starts(one.key):
            for index, value in enumerate(spec.values(one.key)):
                if isinstance(value, str) and not value.strip():
                    message = f'"{one.key}" is empty: {contract.action} reads {one.holds} there'
                    yield Fault(severity, "missing-input", message, "write the path", one.key, index, value)
        for lost in unresolved(one, spec):
            yield Fault(severity, lost.code, lost.message, lost.hint, one.key, lost.index, lost.value)


def later_inputs(training: Training) -> Iterator[Fault]:
    """What evaluation and inference do not find that read the spec of the training."""
    layout, contract, spec = training.layout, training.contract, training.spec
    folder = str(spec.variables["dataset_raw"])
    if (
        layout is None
        or not training.data.has_files(folder)
        or meant_dataset(layout, Path(folder)) is not None
    ):
        return
    own = layout.inputs_of(contract.action, contract.group)
    known = {path for one in own for path in _looked_for(one, spec)}
    for action in _LATER:
        later = [one for one in layout.inputs_of(action, contract.group) if one not in own]
        yield from _faults(later, spec, training.data, Severity.WARNING, f" ({action} reads it)", known)


def training_inputs(training: Training) -> Iterator[Fault]:
    """``missing_inputs`` of a training, as a rule."""
    yield from missing_inputs(
        training.layout, training.contract, training.spec, training.data, Severity.ERROR
    )


def reads_dataset(layout: DataLayout, contract: Contract, spec: SpecReader) -> bool:
    """Whether the action opens files of the dataset itself, and not only records of it."""
    return any(_reads_dataset(spec, one.key) for one in layout.inputs_of(contract.action, contract.group))


def named_inputs(spec: SpecReader, action: str) -> tuple[Input, ...]:
    """Keys whose names say that the action reads a file or a folder there."""
    keys = [*_named(spec.outline.shape, action), *(key for key in spec.overlay if _is_read(key, action))]
    return tuple(Input(key, InputKind.ANY, _ANYTHING) for key in dict.fromkeys(keys))


def _named(shape: Shape, action: str) -> Iterator[str]:
    for keys in (shape.fixed, shape.open):
        for key, values in keys.items():
            if _is_read(key, action) and any(isinstance(value, str) and value for value in values):
                yield key


def _is_read(key: str, action: str) -> bool:
    steps = key.split(".")
    if steps[0] in ACTION_SECTIONS and steps[0] != action:
        return False
    if steps[0] != action and not OF_OTHERS.isdisjoint(steps):
        return False
    last = steps[-1]
    return (
        bool(_NAMED_AS_READ.search(last)) and not _NAMED_AS_WRITTEN.search(last) and not _RESUMED.search(last)
    )


def _reads_dataset(spec: SpecReader, key: str) -> bool:
    return key in spec and any(start in DATASET for start in spec.starts(key))


def _faults(
    inputs: Iterable[Input], spec: SpecReader, data: DatasetFacts, severity: Severity, whose: str,
    known: Collection[str] = (),
) -> Iterator[Fault]:  # fmt: skip
    """Paths in ``known`` are reported of another key already."""
    for one in inputs:
        lost = unmounted(one, spec) if one.kind in KINDS else None
        if lost is not None:
            message = f"{lost.message}{whose}: the container does not have it"
            yield Fault(severity, lost.code, message, lost.hint, one.key, lost.index, lost.value)
            continue
        for index, path in enumerate(_looked_for(one, spec)):
            wrong = _wrong(one, path, spec, index, data) if path not in known else None
            if wrong is not None:
                code, what, hint = wrong
                yield Fault(severity, code, f"{what}{whose}", hint, one.key, index, path)
                break


def _looked_for(one: Input, spec: SpecReader) -> tuple[str, ...]:
    """The paths of a key; none of records, and none in a folder that actions fill. Reads no other variables then."""
    if one.kind not in KINDS or one.key not in spec:
        return ()
    starts = spec.starts(one.key)
    if any(start not in (None, *DATASET) for start in starts):
        return ()
    if None in starts and not any(isinstance(value, str) and "/" in value for value in spec.values(one.key)):
        return ()
    return spec.paths(one.key) or ()


def _wrong(
    one: Input, path: str, spec: SpecReader, index: int, data: DatasetFacts
) -> tuple[str, str, str] | None:
    """Code, what is wrong, and a hint; None where it is as it should be."""
    shown = printable(spec.variables.shown(path))
    belongs = f'what belongs there: {one.holds}; or correct "{one.key}"'
    if any(char in path for char in "*?[") and not os.path.lexists(path):
        if one.kind is InputKind.FOLDER and glob.glob(path):  # noqa: PTH207 (a str)
            return "wrong-input", f"{shown} is a pattern, and a folder belongs there", belongs
        return None if glob.glob(path) else ("missing-input", f"no file fits {shown}", belongs)  # noqa: PTH207 (a str)
    kind = data.kind(path)
    if kind == "" or (kind is None and _is_prefix(path)):
        return None
    if kind is None:
        near = _nearest(path)
        what = "file or folder" if one.kind is InputKind.ANY else one.kind.value
        hint = f"did you mean {printable(_as_written(near, spec, one.key, index))}?" if near else belongs
        return "missing-input", f"no such {what}: {shown}", hint
    if one.kind is not InputKind.ANY and kind != one.kind.value:
        return "wrong-input", f"{shown} is a {kind}, and a {one.kind.value} belongs there", belongs
    if data.is_empty(path) and (kind == "file" or one.holds != _ANYTHING):
        return "empty-input", f"{shown} is empty", belongs
    other = not_weights(Path(path)) if kind == "file" and one.holds == "weights" else None
    if other is not None:
        return "wrong-input", f"{shown} is {other}, not the weights", "pull or copy the file itself"
    return None


def _as_written(path: str, spec: SpecReader, key: str, index: int) -> str:
    """A host path in the words of the spec: behind the variable that the value at ``key`` starts with."""
    starts = spec.starts(key)
    start = starts[index] if index < len(starts) else None
    folder = str(spec.variables[start]) if start is not None else ""
    if start is not None and path.startswith(f"{folder}/"):
        return f"${start}{path[len(folder) :]}"
    return spec.variables.shown(path)


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
    meant = "/".join((folder, near, *parts[1:]))
    return meant if os.path.exists(meant) else None  # noqa: PTH110 (a str)
