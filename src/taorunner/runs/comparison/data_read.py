"""Which data a run read, as it is compared with that of other runs. Only reads.

Each experiment has converted records of its own (``tfrecords_<experiment>``), which differ in name and time even where
they were made from the same dataset. So the data that their conversion read takes their place, with the values of its
spec that decide what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from taorunner.planning.model.rerun_name import base_name
from taorunner.runs.inputs.run_lock import DataRead, RunLock, read_lock
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.resume_origin import records_of
from taorunner.runs.state.store import RunStore
from taorunner.values.same_value import is_same
from taorunner.values.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CONVERSIONS = ("dataset_convert", "convert")
_RECORDS = "tfrecords_"
_OF_THE_NETWORK = ("model.", "train.")
"""Parts of a spec that say nothing of a conversion."""


class ComparedData(Value):
    """``converted_by`` are values of the conversion's spec; None for data that was read as it is."""

    data: DataRead
    converted_by: Mapping[str, Any] | None = None

    @property
    def key(self) -> tuple[str, bool]:
        return self.data.name, self.converted_by is not None


def data_read(store: RunStore, record: RunRecord, lock: RunLock | None) -> tuple[ComparedData, ...] | None:
    """None where it is not on record. Never raises for files of runs."""
    if lock is None:
        return None
    return tuple(found for data in lock.data for found in _sources(store, record, data))


def is_same_data(first: Sequence[ComparedData], other: Sequence[ComparedData]) -> bool:
    ours, theirs = ({one.key: one for one in each} for each in (first, other))
    return ours.keys() == theirs.keys() and all(_is_same(one, theirs[key]) for key, one in ours.items())


def _sources(store: RunStore, record: RunRecord, data: DataRead) -> Iterator[ComparedData]:
    own = f"{_RECORDS}{base_name(record.experiment)}"
    conversion = _conversion(store, record) if data.name == own else None
    if conversion is None or not conversion.data:
        yield ComparedData(data)
        return
    values = {
        key: value.replace(own, _RECORDS) if isinstance(value, str) else value
        for key, value in conversion.spec.items()
        if not key.startswith(_OF_THE_NETWORK)
    }
    for one in conversion.data:
        yield ComparedData(one, values)


def _conversion(store: RunStore, record: RunRecord) -> RunLock | None:
    """What the newest conversion before the run was made from; a rerun reads what its original read."""
    for action in _CONVERSIONS:
        for one in records_of(store, base_name(record.experiment), action):
            if (
                one.project == record.project
                and one.queued_at <= record.queued_at
                and one.started_at is not None
            ):
                return read_lock(store, one.id)
    return None


def _is_same(one: ComparedData, other: ComparedData) -> bool:
    ours, theirs = one.converted_by or {}, other.converted_by or {}
    if any(not is_same(ours[key], theirs[key]) for key in ours.keys() & theirs.keys()):
        return False
    if one.data.fingerprint is None or other.data.fingerprint is None:
        return (one.data.files, one.data.bytes) == (other.data.files, other.data.bytes)
    return one.data.fingerprint == other.data.fingerprint
