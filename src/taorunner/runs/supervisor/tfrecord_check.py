"""Checks after a successful conversion that the TFRecord files match the spec.

TAO's converters exit with 0 even if folds are missing or files are truncated. Source: tao/tensorflow.md section 7.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from taorunner.events import RunState
from taorunner.planning.model.plan import RunPlan
from taorunner.progress.tfrecord_frames import BrokenRecordsError, count_records
from taorunner.progress.verdict import Caution, Verdict
from taorunner.state_files import open_regular
from taorunner.text import printable
from taorunner.values.value import replace

_FOLD = re.compile(r"-fold-(?P<fold>\d+)-of-(?P<folds>\d+)(?:-shard-(?P<shard>\d+)-of-(?P<shards>\d+))?\Z")
_SHARD = re.compile(r"-(?P<shard>\d{5})-of-(?P<shards>\d{5})(?:\.tfrecord)?\Z")
_AGAIN = "look at the log, then convert again with --overwrite"
_MAX_SHOWN = 3


def with_records_checked(plan: RunPlan, verdict: Verdict, files: Iterable[Path]) -> Verdict:
    """``verdict`` with the counts in its reason, or a failure. ``files`` match the contract's artifacts."""
    if plan.contract.action != "dataset_convert" or verdict.state is not RunState.SUCCEEDED:
        return verdict
    records = sorted(path for path in files if _is_record_file(path))
    if not records:
        return verdict  # no TFRecord converter: the contract's artifacts decide
    counts: dict[Path, int] = {}
    wrong: list[str] = []
    for path in records:
        try:
            counts[path] = count_records(path)
        except BrokenRecordsError as error:
            wrong.append(f"{printable(path.name)} {error}")
        except OSError as error:
            wrong.append(f"{printable(path.name)} cannot be read: {(error.strerror or 'error').lower()}")
    wrong += _missing_shards(records) + _wrong_indexes(counts)
    folds = _by_fold(counts)
    lost = sorted(_expected_folds(plan) - folds.keys()) if folds else []
    wrong += [f"fold {fold} is missing" for fold in lost]
    if not wrong and not sum(counts.values()):
        wrong.append("the records are empty: no image was converted")
    if wrong:
        more = f" (and {len(wrong) - _MAX_SHOWN} more)" if len(wrong) > _MAX_SHOWN else ""
        return Verdict(RunState.FAILED, "; ".join(wrong[:_MAX_SHOWN]) + more, _hint(counts, lost))
    empty = [fold for fold, count in sorted(folds.items()) if not count]
    cautions = tuple(Caution("empty-fold", f"fold {fold} holds no records") for fold in empty)
    return replace(
        verdict, reason=_counted(verdict.reason, counts, folds), cautions=verdict.cautions + cautions
    )


def _is_record_file(path: Path) -> bool:
    name = path.name
    is_named = name.endswith((".tfrecord", ".tfrecords")) or _FOLD.search(name) or _SHARD.search(name)
    return bool(is_named) and not name.startswith(("idx-", ".")) and path.is_file()


def _missing_shards(records: list[Path]) -> list[str]:
    """The missing shard numbers of each set of shards."""
    rows: dict[str, tuple[set[int], int]] = {}
    for path in records:
        match = _FOLD.search(path.name) or _SHARD.search(path.name)
        if match is not None and match["shard"] is not None:
            row = str(path.parent / path.name[: match.start("shard")])
            rows.setdefault(row, (set(), int(match["shards"])))[0].add(int(match["shard"]))
    return [
        f"{printable(Path(row).name)}… lacks {wanted - len(there)} of {wanted} shards"
        for row, (there, wanted) in rows.items()
        if len(there) != wanted
    ]


def _wrong_indexes(counts: dict[Path, int]) -> list[str]:
    """Index files that do not match their records. DALI would read from wrong offsets."""
    wrong = []
    for path, count in counts.items():
        index = path.with_name(f"idx-{path.name}")
        descriptor = open_regular(index)  # the container wrote it
        if descriptor is None:
            continue
        try:
            with os.fdopen(descriptor, "rb") as file:
                lines = sum(1 for line in file if line.strip())
        except OSError:
            continue
        if lines != count:
            wrong.append(f"{printable(index.name)} names {lines} records, its file holds {count}")
    return wrong


def _by_fold(counts: dict[Path, int]) -> Counter[int]:
    folds: Counter[int] = Counter()
    for path, count in counts.items():
        match = _FOLD.search(path.name)
        if match is not None:
            folds[int(match["fold"])] += count
    return folds


def _expected_folds(plan: RunPlan) -> set[int]:
    """The folds by the rendered spec: fold 0 only with ``val_split`` 0, two folds for a random split."""
    if plan.spec is None or plan.contract.spec is None or plan.contract.spec.format != "prototxt":
        return set()
    # Few runs convert datasets, and a supervisor's imports delay the start of every run.
    from taorunner.specs.editing.prototxt_edit import read_value
    from taorunner.specs.syntax.text_position import SpecProblemError

    try:
        split = read_value(plan.spec.text, "kitti_config.val_split")
        mode = read_value(plan.spec.text, "kitti_config.partition_mode")
        count = read_value(plan.spec.text, "kitti_config.num_partitions")
    except SpecProblemError:
        return set()
    if mode == "sequence":
        return set(range(count)) if isinstance(count, int) else set()
    if mode != "random":
        return set()
    return {0, 1} if isinstance(split, int | float) and split > 0 else {0}


def _hint(counts: dict[Path, int], lost: list[int]) -> str:
    if counts and not sum(counts.values()):
        return 'check the folders and "image_extension" of the spec, then convert again with --overwrite'
    if lost == [1]:
        return (
            'where "val_split" leaves no image for validation, all are written as fold 0: '
            "set a larger one, then convert again with --overwrite"
        )
    return _AGAIN


def _counted(reason: str, counts: dict[Path, int], folds: Counter[int]) -> str:
    total, files = sum(counts.values()), len(counts)
    text = f"{reason}: {total} record{'s' * (total != 1)} in {files} file{'s' * (files != 1)}"
    if not folds:
        return text
    return f"{text} (" + ", ".join(f"fold {fold}: {count}" for fold, count in sorted(folds.items())) + ")"
