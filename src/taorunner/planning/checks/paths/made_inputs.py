"""Checks of what an earlier action of the experiment makes and a spec names: records, class maps, checkpoints.

It is a note until the start that reads it. What is there is looked at: records that are cut off, or of the fold alone
that validates.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from taorunner.catalog.layouts import DataLayout, Input, InputKind
from taorunner.contracts import Contract
from taorunner.errors import Severity
from taorunner.planning.checks.dataset_facts import DatasetFacts
from taorunner.planning.checks.paths.data_inputs import DATASET
from taorunner.planning.checks.spec_view import SpecReader
from taorunner.planning.checks.training_facts import Fault
from taorunner.planning.model.makers import MAKERS
from taorunner.planning.model.request import command_of
from taorunner.specs.schema.walk import ACTION_SECTIONS
from taorunner.text import printable

_FILLED = (*MAKERS, "results_dir")
"""Variables whose folders actions fill; in the results each action has a folder of its own."""
_PATTERN = re.compile(r"[*?[]")
_FOLD = re.compile(r"-fold-([0-9]{3})-of-")


def made_inputs(
    layout: DataLayout | None, contract: Contract, spec: SpecReader, data: DatasetFacts, *, starts: bool,
    earlier: Collection[str] = (),
) -> Iterator[Fault]:  # fmt: skip
    """Records, and what else an earlier action of the experiment makes. Not yet made is a note, and an error when the
    action ``starts``; what is there and cannot be read is an error. What one of the ``earlier`` actions of a chain
    makes is a note in any case."""
    inputs = layout.inputs_of(contract.action, contract.group) if layout is not None else ()
    for one in inputs:
        is_optional = one.kind is InputKind.MADE and contract.action not in one.needed_by
        if one.key not in spec or is_optional:
            continue
        are_records = one.kind is InputKind.RECORDS
        starts_with = spec.starts(one.key)
        if not are_records and set(starts_with).issubset(DATASET):
            continue
        for index, (path, start) in enumerate(zip(spec.paths(one.key) or (), starts_with, strict=False)):
            is_made = start in _FILLED or _is_own(path, spec)
            if are_records or (is_made and start not in DATASET):
                follows = f" --then {contract.action}" if contract.action == "train" else ""
                fault = _made_fault(one, index, path, spec, data, follows, starts=starts, is_made=is_made)
                if fault is not None:
                    is_coming = is_made and _maker(one, path, spec) in earlier
                    yield replace(fault, severity=Severity.INFO) if is_coming else fault
                    break


def _made_fault(
    one: Input, index: int, path: str, spec: SpecReader, data: DatasetFacts, follows: str, *, starts: bool,
    is_made: bool,
) -> Fault | None:  # fmt: skip
    """``follows``: the words that let the reading action follow the one that makes the input."""
    found = _matches(one, path)
    shown = printable(spec.variables.shown(path))
    if not found:
        if not is_made:
            hint = f'what belongs there: {one.holds}; or correct "{one.key}"{_own_records(one, spec)}'
            return Fault(Severity.ERROR, "missing-input", f"no file fits {shown}", hint, one.key, index, path)
        action = _maker(one, path, spec)
        command = command_of(action)
        severity = Severity.ERROR if starts else Severity.INFO
        message = f"{shown} is not there yet: {action} makes it"
        hint = f"taorunner {command} {spec.variables['experiment']}{follows}"
        return Fault(severity, "not-made-yet", message, hint, one.key, index, path)
    folders = [name for name in found if data.kind(name) == "folder"] if one.kind is InputKind.RECORDS else []
    is_folder_meant = found == [path]
    if folders and not is_folder_meant:
        name = printable(spec.variables.shown(folders[0]))
        hint = f'move it away, or correct "{one.key}"'
        message = f"{name} is a folder among the records"
        return Fault(Severity.ERROR, "wrong-input", message, hint, one.key, index, path)
    if all(data.is_empty(name) for name in found):
        command = command_of(_maker(one, path, spec))
        hint = f"taorunner {command} {spec.variables['experiment']} --overwrite"
        message = f"{shown} is empty" if is_folder_meant else f"every file that fits {shown} is empty"
        return Fault(Severity.ERROR, "empty-input", message, hint, one.key, index, path)
    return _content_fault(one, index, path, found, spec, data) if one.kind is InputKind.RECORDS else None


def _content_fault(
    one: Input, index: int, path: str, found: Sequence[str], spec: SpecReader, data: DatasetFacts
) -> Fault | None:
    """Records that cannot be read, or that leave nothing to train on."""
    command = command_of(_maker(one, path, spec))
    again = f"taorunner {command} {spec.variables['experiment']} --overwrite"
    for name in found:
        problem = data.broken_records(name)
        if problem is not None:
            message = f"{printable(spec.variables.shown(name))} {problem}"
            return Fault(Severity.ERROR, "wrong-input", message, again, one.key, index, path)
    fold = spec.number("dataset_config.validation_fold")
    folds = {match[1] for name in found if (match := _FOLD.search(name.rpartition("/")[2]))}
    if fold is not None and one.key.endswith("tfrecords_path") and folds == {f"{int(fold):03}"}:
        shown = printable(spec.variables.shown(path))
        message = f"all records that fit {shown} are of fold {int(fold)}, which validates: nothing is left to train on"
        return Fault(Severity.ERROR, "empty-training-fold", message, again, one.key, index, path)
    return None


def _matches(one: Input, path: str) -> list[str]:
    """What a value means: files that fit a pattern, a file or folder, or files that begin with it."""
    folder = path.rpartition("/")[0]
    if not _PATTERN.search(folder) and not os.path.isdir(folder):  # noqa: PTH112 (a str)
        return []  # as before every first conversion
    if _PATTERN.search(path):
        return sorted(glob.glob(path))  # noqa: PTH207 (a str)
    if os.path.lexists(path):
        return [path]
    return sorted(glob.glob(f"{glob.escape(path)}*")) if one.kind is InputKind.RECORDS else []  # noqa: PTH207


def _is_own(path: str, spec: SpecReader) -> bool:
    return any(path.startswith(f"{spec.variables[name]}/") for name in ("tfrecords", "results_dir"))


def _own_records(one: Input, spec: SpecReader) -> str:
    """How the experiment gets records of its own, as after an import whose spec names others. A spec for protobuf
    networks finds them by a variable."""
    if one.kind is not InputKind.RECORDS:
        return ""
    where = " below $dataset_tfrecord" if spec.format == "prototxt" else ""
    return f"; taorunner convert {spec.variables['experiment']} makes those of the experiment{where}"


def _maker(one: Input, path: str, spec: SpecReader) -> str:
    """The action of this experiment that makes what is at ``path``."""
    results = f"{spec.variables['results_dir']}/"
    first = path[len(results) :].partition("/")[0] if path.startswith(results) else ""
    if one.kind is InputKind.RECORDS or not path.startswith(results):
        return first if first in ACTION_SECTIONS else "dataset_convert"
    return first if first in ACTION_SECTIONS else "train"
