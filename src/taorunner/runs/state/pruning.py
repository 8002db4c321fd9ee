"""Removes records of finished runs. TAO's output, such as checkpoints, is never touched.

A run's folder is renamed before its files are removed, so readers never see part of it. A record whose run id differs
from its folder's name is damaged and is not removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from taorunner.errors import RunStateError, UsageError
from taorunner.runs.state.folders import remove_folder
from taorunner.runs.state.lookup.run_filter import age_in
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore


@dataclass(frozen=True, slots=True)
class Prunable:
    """A run whose record would be removed, and the size of its folder."""

    record: RunRecord
    size_bytes: int


def parse_age(text: str) -> timedelta:
    """``30d``, ``12h``, ``90m``, ``45s``, ``2w``. Raises UsageError for anything else."""
    age = age_in(text)
    if age is None:
        raise UsageError(
            f'--older takes a number and s, m, h, d or w, not "{text}"', hint="for example --older 30d"
        )
    return age


def prunable(
    store: RunStore, *, keep: int | None, older: timedelta | None, at: datetime, project: str | None = None
) -> list[Prunable]:
    """Finished runs that are not among the newest ``keep`` and ended longer than ``older`` ago; newest first.

    If only one of the two is given, it alone decides.
    """
    finished = [
        record
        for record in store.records()
        if record.state.is_final and (project is None or record.project == project)
    ]
    chosen = [
        record
        for record in finished[keep or 0 :]
        if older is None or at - (record.finished_at or record.queued_at) > older
    ]
    return sized(store, chosen)


def sized(store: RunStore, records: Sequence[RunRecord]) -> list[Prunable]:
    """The runs with the sizes of their folders."""
    return [Prunable(record, _size(store.paths(record.id).directory)) for record in records]


def remove_runs(store: RunStore, records: Sequence[RunRecord]) -> int:
    """Removes their folders, and those of batches without any run left; gives the bytes that were freed.

    Raises RunStateError, before anything is removed, when one of them is not over or its record is damaged;
    MachineError for a folder that cannot be removed.
    """
    for record in records:
        if not store.load(record.id).state.is_final:
            run = store.short_id(record.id)
            raise RunStateError(f'run "{run}" has not ended', hint=f"taorunner stop {run} ends it")
    freed = 0
    for record in records:
        directory = store.paths(record.id).directory
        freed += _size(directory)
        remove_folder(store.runs_dir, record.id)
    for batch_id in dict.fromkeys(record.batch for record in records):
        _remove_batch(store, batch_id)
    store.ended.forget(store.folder_names(), store.trust())
    return freed


def _remove_batch(store: RunStore, batch_id: str) -> None:
    if batch_id in store.open_batches.ids():
        return  # a run of it is still in the engine
    try:
        runs = store.load_batch(batch_id).runs
    except (OSError, ValueError, KeyError):
        return
    if not any(store.paths(run_id).directory.exists() for run_id in runs):
        remove_folder(store.batches_dir, batch_id)


def _size(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.lstat().st_size
        except OSError:
            continue
    return total
