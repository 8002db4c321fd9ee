"""Which run wrote results: by what each run recorded at its end, else by the times of files. Only reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from taorunner.runs.outputs.recorded import Output, recorded_results
from taorunner.runs.outputs.run_times import ran_at
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore


def moved_outputs(outputs: Iterable[Output], place: Path, path: Path) -> Iterator[Output]:
    """Those of ``outputs`` in ``place``, as they are named now that it was moved to ``path``."""
    for one in outputs:
        if one.path.is_relative_to(place):
            yield replace(one, path=path / one.path.relative_to(place))


def writer_of(
    store: RunStore, records: Sequence[RunRecord], place: Path, path: Path, newest_s: float, until: datetime
) -> RunRecord | None:
    """The newest of ``records`` that wrote something of what is in ``path`` and was in ``place``; None if none did.

    ``records`` are newest first. ``newest_s`` is the time of the newest file in seconds of the epoch, and counts where
    no run recorded what is there. A run that began after ``until`` is none that the times can mean.
    """
    silent = []
    for record in records:
        recorded = recorded_results(store, record.id)
        if recorded is None:
            silent.append(record)
        elif any(one.is_there for one in moved_outputs(recorded.outputs, place, path)):
            return record
    for some in (silent, records):
        for exact in (True, False):
            for record in some:
                if record.started_at is None or record.started_at > until:
                    continue
                if ran_at(record, newest_s, until, exact=exact):
                    return record
    return None
