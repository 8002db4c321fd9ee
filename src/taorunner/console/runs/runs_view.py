"""``ps``, ``runs list`` and ``runs show``: runs read from disk, as a table, a page or JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import (
    columns_without_terminal,
    is_plain,
    lenient,
    make_console,
    symbols_for,
    symbols_of,
)  # fmt: skip
from taorunner.console.runs.run_table import plain_run_lines, run_lines
from taorunner.events import RunState, now
from taorunner.runs.state.event_reader import EventReader
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.runs.state.store import DamagedRun, RunStore


def print_runs(store: RunStore, records: Sequence[RunRecord | DamagedRun], *, json: bool, empty: str) -> None:
    """One line per run on stdout; without runs, ``empty`` on stderr."""
    snapshots = _snapshots(store, records)
    if json:
        write_json(
            [_as_json(store, *both) for both in zip(snapshots, records, strict=True)], sys.stdout.buffer
        )
        return
    if not snapshots:
        sys.stderr.write(empty + "\n")
        return
    if is_plain(sys.stdout, os.environ):
        stream = lenient(sys.stdout)
        width, symbols = columns_without_terminal(os.environ), symbols_for(stream.encoding)
        plain = plain_run_lines(snapshots, width, symbols, now())
        if plain is not None:
            stream.write("".join(f"{line}\n" for line in plain))
            stream.flush()
            return
    from rich.text import Text

    console = make_console(sys.stdout, os.environ)
    lines = run_lines(snapshots, console.width, symbols_of(console), now())
    console.print(Text("\n").join(lines), soft_wrap=True)  # three times as fast as line by line


def print_run(store: RunStore, record: RunRecord, *, json: bool) -> None:
    """All facts of one run. JSON is a list with one item, like the other lists."""
    (snapshot,) = _snapshots(store, [record])
    directory = store.paths(record.id).directory
    if json:
        from taorunner.runs.control.ending import run_results

        body = {**snapshot.to_json(directory, now()), **run_results(store, record).to_json()}
        write_json([body], sys.stdout.buffer)
        return
    from taorunner.console.runs.outcome import next_commands
    from taorunner.console.runs.run_details import run_detail_lines
    from taorunner.runs.control.ending import endings

    ends = endings(store, [record], {record.id: snapshot.judged})
    console = make_console(sys.stdout, os.environ)
    lines = run_detail_lines(
        snapshot, directory, console.width, symbols_of(console), now(), ending=ends[record.id],
        next_commands=next_commands([record], ends), here=Path.cwd(),
    )  # fmt: skip
    for line in lines:
        console.print(line, soft_wrap=True)


def _as_json(store: RunStore, snapshot: RunSnapshot, record: RunRecord | DamagedRun) -> dict[str, object]:
    """A run with what it left, as recorded at its end. A list searches no results: without a record it has none."""
    from taorunner.runs.outputs.recorded import RunResults, recorded_results

    results = recorded_results(store, snapshot.id)
    if results is None:
        folder = None if isinstance(record, DamagedRun) else record.results_dir
        results = RunResults(Path(folder) if folder is not None else None)
    return {**snapshot.to_json(store.paths(snapshot.id).directory, now()), **results.in_place.to_json()}


def _snapshots(store: RunStore, records: Sequence[RunRecord | DamagedRun]) -> list[RunSnapshot]:
    """A final record counts even without its final event (a crash between the two). Of a damaged run only the record
    is read."""
    believed = [record for record in records if not isinstance(record, DamagedRun)]
    feed = EventReader(store, [record.id for record in believed])
    feed.poll()
    for record in believed:
        if record.state.is_final:
            feed.conclude(record)
    known = {snapshot.id: snapshot for snapshot in feed.snapshots()}
    return [
        RunSnapshot(id=record.id, state=RunState.DAMAGED, reason=record.reason)
        if isinstance(record, DamagedRun)
        else known[record.id]
        for record in records
    ]
