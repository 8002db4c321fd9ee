"""``ps``, ``runs list`` and ``runs show``: runs from disk, as a table or as JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from taorunner.console.json_view import write_json
from taorunner.console.tables import run_detail_lines, run_lines
from taorunner.console.theme import make_console, symbols_of
from taorunner.events import now
from taorunner.runs.record import RunRecord
from taorunner.runs.snapshot import RunSnapshot, fold
from taorunner.runs.store import RunStore


def print_runs(store: RunStore, records: Sequence[RunRecord], *, json: bool, empty: str) -> None:
    """On stdout, in the order given. ``empty`` is said (on stderr) when there is nothing to show."""
    snapshots = [snapshot_of(store, record) for record in records]
    if json:
        bodies = [run.to_json(store.paths(run.id).directory) for run in snapshots]
        write_json(bodies, sys.stdout.buffer)
        return
    if not snapshots:
        make_console(sys.stderr, os.environ).print(Text(empty))
        return
    console = make_console(sys.stdout, os.environ)
    _print(console, run_lines(snapshots, console.width, symbols_of(console), now()))


def print_run(store: RunStore, record: RunRecord, *, json: bool) -> None:
    """One run in full; as JSON the same shape as in the list."""
    snapshot, directory = snapshot_of(store, record), store.paths(record.id).directory
    if json:
        write_json(snapshot.to_json(directory), sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    _print(console, run_detail_lines(snapshot, directory, console.width, symbols_of(console), now()))


def snapshot_of(store: RunStore, record: RunRecord) -> RunSnapshot:
    """The picture from the events; what a record says that no event said (a crash between the two) is added."""
    events, _ = store.read_events(record.id)
    snapshot = fold(events, record.id)
    snapshot = replace(
        snapshot,
        project=record.project,
        experiment=record.experiment,
        action=record.action,
        backend=record.backend,
        image=snapshot.image or record.image,
        image_digest=snapshot.image_digest or record.image_digest,
        gpus=snapshot.gpus or record.gpus,
        epochs=snapshot.epochs or record.epochs,
        queued_at=snapshot.queued_at or record.queued_at,
        started_at=snapshot.started_at or record.started_at,
    )
    if record.state is snapshot.state or snapshot.state.is_final:
        return snapshot
    return replace(
        snapshot,
        state=record.state,
        reason=record.reason,
        hint=record.hint,
        exit_code=record.exit_code,
        finished_at=record.finished_at,
    )


def _print(console: Console, lines: Sequence[Text]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True)
