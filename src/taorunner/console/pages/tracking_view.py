"""``track status`` and ``track sync``: a line for each run, how much of it was sent and what is in the way."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.formatting import clean
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import LEAST_WIDTH, make_console, symbols_of, width_in_pipes
from taorunner.project.tracking.words import TRACKERS, track_problems
from taorunner.runs.state.lookup.short_ids import short_ids
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.state.tracking_state import TrackingState, is_behind, read_tracking


@dataclass(frozen=True, slots=True)
class Tracked:
    """One run and one tracker. ``is_asked``: its experiment names that. ``problem`` is why the last try failed."""

    record: RunRecord
    tracker: str
    state: TrackingState | None
    is_asked: bool
    is_complete: bool
    problem: str | None

    def to_json(self, short_id: str) -> dict[str, Any]:
        record, state = self.record, self.state
        return {
            "run": record.id, "short_id": short_id, "project": record.project, "experiment": record.experiment,
            "action": record.action, "target": self.tracker,
            "server": (state and state.server) or None, "remote": state and state.remote,
            "points": state.points if state is not None else 0, "epoch": state and state.epoch,
            "complete": self.is_complete, "problem": self.problem,
        }  # fmt: skip


def tracked(
    store: RunStore, record: RunRecord, problems: Mapping[str, str | None] | None = None
) -> list[Tracked]:
    """Of each tracker. ``problems`` by tracker, of a try that left none on disk. Never raises for files of the run."""
    try:
        track = store.plan_body(record.id).get("track") or {}
        asked = set() if any(track_problems(track)) else set(track)
    except (OSError, ValueError, AttributeError):
        asked = set()
    found = []
    for tracker in TRACKERS:
        state = read_tracking(store, record.id, tracker)
        is_complete = (
            state is not None and state.remote is not None and not is_behind(store, record.id, state)
        )
        problem = (problems or {}).get(tracker) or (None if state is None else state.problem)
        found.append(Tracked(record, tracker, state, tracker in asked, is_complete, problem))
    return found


def print_tracked(store: RunStore, runs: Sequence[Tracked], *, json: bool) -> None:
    ids = short_ids([one.record.id for one in runs], store.folder_names())
    if json:
        write_json([one.to_json(ids[one.record.id]) for one in runs], sys.stdout.buffer)
        return
    if not runs:
        return
    console = make_console(sys.stdout, os.environ)
    width = max(LEAST_WIDTH, console.width) if console.is_terminal else width_in_pipes(os.environ)
    columns = [
        Column("run"), Column("experiment", shrinks_to=12), Column("action", drop=2), Column("sent"),
        Column("points", right=True, drop=1), Column("server", drop=3, shrinks_to=16), Column("problem", shrinks_to=24),
    ]  # fmt: skip
    rows = [Row(tuple(map(Text, _cells(one, ids[one.record.id])))) for one in runs]
    for line in laid_out(columns, rows, width, symbols_of(console)):
        console.print(line, soft_wrap=True)


def _cells(one: Tracked, short_id: str) -> tuple[str, ...]:
    state = one.state
    points = f"{state.points:,}" if state is not None and state.points else ""
    return (
        short_id, clean(one.record.experiment), clean(one.record.action), _sent(one), points,
        clean(state.server) if state is not None else "", clean(one.problem or ""),
    )  # fmt: skip


def _sent(one: Tracked) -> str:
    if one.is_complete:
        return "all"
    if one.state is None or one.state.remote is None:
        return "nothing"
    return "begun" if one.state.epoch is None else f"to epoch {one.state.epoch}"
