"""Copies the console logs of several runs to one stream, each line behind the name of its run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO

from taorunner.runs.state.log.log_reader import blocks, opened, start_offset
from taorunner.runs.state.lookup.short_ids import short_ids
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.state_files import Trust

_LONGEST_LINE = 1 << 20
_POLL_S = 0.1


def copy_logs(
    store: RunStore, names: Mapping[str, str], out: IO[bytes], *, follow: bool, tail: int | None,
    since: datetime | None = None, wait: Callable[[float], None] = time.sleep,
    shown: Mapping[str, Callable[[bytes], bytes]] | None = None,
) -> None:  # fmt: skip
    """``names`` are the names of the runs by id, in the order in which they are printed; ``shown`` makes of a line what
    is printed of it, by run.

    Of a line that was overwritten with CR its last text is printed, as a terminal shows it. ``tail`` is that of each
    run. ``follow`` continues until all runs have ended.
    """
    lines_of = shown if shown is not None else _behind_names(names)
    readers = {
        run_id: _Lines(store, run_id, lines_of[run_id], start_offset(store, run_id, tail, since))
        for run_id in names
    }
    while readers:
        for run_id, lines in list(readers.items()):
            is_over = not follow or store.load(run_id).state.is_final  # read before the log
            lines.copy(out)
            if is_over:
                lines.end(out)
                del readers[run_id]
        out.flush()
        if readers:
            wait(_POLL_S)


def _behind_names(names: Mapping[str, str]) -> dict[str, Callable[[bytes], bytes]]:
    """Each line behind the name of its run, the names in a column."""
    wide = max(map(len, names.values()))
    return {run_id: f"{name:<{wide}} | ".encode().__add__ for run_id, name in names.items()}


class _Lines:
    """The whole lines of one log from ``offset`` on."""

    def __init__(self, store: RunStore, run_id: str, shown: Callable[[bytes], bytes], offset: int) -> None:
        self._path: Path = store.paths(run_id).console
        self._trust: Trust = store.trust()
        self._shown, self._offset, self._begun = shown, offset, b""

    def copy(self, out: IO[bytes]) -> None:
        """Writes what is new, without a line that is not whole yet. Raises RunStateError as ``opened``.

        A line over 1 MiB is written as several.
        """
        with opened(self._path, self._trust) as file:
            if file is None:
                return
            file.seek(self._offset, os.SEEK_SET)
            for block in blocks(self._path, file):
                self._offset += len(block)
                *whole, self._begun = (self._begun + block).split(b"\n")
                out.write(b"".join(self._shown(_settled(line)) + b"\n" for line in whole))
                if len(self._begun) > _LONGEST_LINE:
                    self.end(out)

    def end(self, out: IO[bytes]) -> None:
        if self._begun:
            out.write(self._shown(_settled(self._begun)) + b"\n")
            self._begun = b""


def _settled(line: bytes) -> bytes:
    return line.rstrip(b"\r").rpartition(b"\r")[2]


def names_of(store: RunStore, records: Sequence[RunRecord]) -> Mapping[str, str]:
    """The experiment of each run by its id, with the short id where two runs have the same."""
    ids = [record.id for record in records]
    short = short_ids(ids, store.folder_names())
    experiments = [record.experiment for record in records]
    return {
        record.id: record.experiment
        if experiments.count(record.experiment) == 1
        else f"{record.experiment} {short[record.id]}"
        for record in records
    }
