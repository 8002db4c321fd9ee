"""``ps``, ``runs list`` and ``runs show``: runs read from disk, as a table, a page or JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import (
    LEAST_WIDTH,
    is_plain,
    lenient,
    make_console,
    symbols_for,
    symbols_of,
    width_in_pipes,
)  # fmt: skip
from taorunner.console.runs.run_places import places
from taorunner.console.runs.run_table import LIST, LIVE, TableFacts, plain_run_lines, run_lines
from taorunner.events import RunState, now
from taorunner.runs.state.event_reader import EventReader
from taorunner.runs.state.host_figures import with_host_figures
from taorunner.runs.state.lookup.short_ids import queued_at, short_ids
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.runs.state.store import DamagedRun, DamagedRunError, RunStore
from taorunner.values.value import replace

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from taorunner.console.runs.run_details import PageFacts

_PLOT_IN_PIPES, _WIDEST_PLOT = 80, 160
_ORIGIN = ("cluster", "nodes", "attempt", "made_from")
"""Keys that a record fills in; of a damaged one they are null."""


def print_runs(
    store: RunStore,
    records: Sequence[RunRecord | DamagedRun],
    *,
    json: bool,
    empty: str,
    is_live: bool = False,
    all_ids: Sequence[str] | None = None,
) -> None:
    """One line per run on stdout; without runs, ``empty`` on stderr.

    ``is_live`` gives the columns of ``ps``. ``all_ids`` are the ids on record if the caller has read them.
    """
    snapshots = _snapshots(store, records)
    short = short_ids([s.id for s in snapshots], store.folder_names() if all_ids is None else all_ids)
    if json:
        write_json(runs_json(store, records, short, snapshots), sys.stdout.buffer)
        return
    if not snapshots:
        sys.stderr.write(empty + "\n")
        return
    damaged = {record.id: record.place for record in records if isinstance(record, DamagedRun)}
    facts = TableFacts(
        short,
        places(store, records, snapshots, with_backend=not is_live),
        {run_id: at for run_id in damaged if (at := queued_at(run_id)) is not None},
        made=_made(store, snapshots),
    )
    table = [replace(run, reason=damaged[run.id]) if run.id in damaged else run for run in snapshots]
    columns = LIVE if is_live else LIST
    if is_plain(sys.stdout, os.environ):
        stream = lenient(sys.stdout)
        width, symbols = width_in_pipes(os.environ), symbols_for(stream.encoding)
        plain = plain_run_lines(table, width, symbols, now(), columns, facts)
        if plain is not None:
            stream.write("".join(f"{line}\n" for line in plain))
            stream.flush()
            return
    from rich.text import Text

    console = make_console(sys.stdout, os.environ)
    width = width_in_pipes(os.environ) if not console.is_terminal else max(LEAST_WIDTH, console.width)
    lines = run_lines(table, width, symbols_of(console), now(), columns, facts)
    console.print(Text("\n").join(lines), soft_wrap=True)  # three times as fast as line by line


def _made(store: RunStore, snapshots: Sequence[RunSnapshot]) -> dict[str, str]:
    """The name of what each run without a metric made."""
    found = {}
    for run in snapshots:
        if run.state is RunState.SUCCEEDED and not run.best:
            from taorunner.runs.outputs.recorded import recorded_results

            results = recorded_results(store, run.id)
            made = results.main_output if results is not None else None
            found[run.id] = made.path.name if made is not None else ""
    return found


def print_run(
    store: RunStore, record: RunRecord, *, json: bool, with_project: bool = False, is_quiet: bool = False
) -> None:  # fmt: skip
    """All facts of one run. JSON is a list with one item, like the other lists. ``with_project`` names the project of
    the run; ``is_quiet`` drops the next steps."""
    (snapshot,) = _snapshots(store, [record])
    ids = store.folder_names()
    if json:
        from taorunner.runs.control.ending import run_results

        body = snapshot.to_json(
            store.paths(record.id).directory, now(), short_ids([record.id], ids)[record.id]
        )
        origin = record.origin_json() | {"made_from": _made_from(store, record)}
        write_json([body | run_results(store, record).to_json() | origin], sys.stdout.buffer)
        return
    import dataclasses

    from taorunner.console.runs.run_details import run_detail_lines

    console = make_console(sys.stdout, os.environ)
    facts = _page_facts(store, record, snapshot, ids, has_curves=console.is_terminal)
    facts = dataclasses.replace(facts, project=record.project if with_project else "")
    if is_quiet:
        facts = dataclasses.replace(facts, commands=())
    width = max(LEAST_WIDTH, console.width)
    for line in run_detail_lines(snapshot, width, symbols_of(console), now(), facts=facts):
        console.print(line, soft_wrap=True)


def _made_from(store: RunStore, record: RunRecord) -> list[dict[str, object]]:
    """The runs that made what this one read, each with the file; the run before it in its chain in any case."""
    from taorunner.runs.lineage.links import stages_of

    stage = stages_of(store, record.project).get(record.id)
    links = [link for link in stage.links if link.run is not None] if stage is not None else []
    found: dict[str, dict[str, object]] = {
        run: {"run": run, "path": None, "sha256": None} for run in (record.resumed_from, record.after) if run
    }
    for link in links:
        found[link.run or ""] = {"run": link.run, "path": link.path or None, "sha256": link.sha256}
    return list(found.values())


def print_plot(store: RunStore, record: RunRecord, metric: str) -> None:
    """The curve of one metric over the epochs, on a terminal as wide as it, else in 80 columns.

    Raises UsageError where the run has no such metric, RunStateError where it has no value by epoch.
    """
    from taorunner.console.live.plot import plot_lines
    from taorunner.console.runs.run_details import head_line, plot_title
    from taorunner.errors import RunStateError, UsageError
    from taorunner.runs.state.history import read_history
    from taorunner.text import did_you_mean, printable

    (snapshot,) = _snapshots(store, [record])
    history = read_history(store, record.id)
    short = store.short_id(record.id)
    if not history:
        hint = f"taorunner runs show {short}"
        trained = next(
            (one for one in store.records() if one.action == "train" and _is_same(one, record)), None
        )
        if trained is not None and trained.id != record.id:
            hint = f"taorunner runs show {store.short_id(trained.id)} --plot {printable(metric)}"
        raise RunStateError(f"run {short} ({record.action}) has no metrics by epoch", hint=hint)
    if metric not in history:
        raise UsageError(
            f'run {short} has no metric "{printable(metric)}"', hint=did_you_mean(metric, history)
        )
    points = [(epoch, value) for epoch, value in history[metric].items() if epoch is not None]
    console = make_console(sys.stdout, os.environ)
    width = max(LEAST_WIDTH, min(console.width, _WIDEST_PLOT)) if console.is_terminal else _PLOT_IN_PIPES
    lines = plot_lines(points, width, symbols_of(console)) if points else []
    if not lines:
        why = "no finite value" if points else "no value by epoch"
        raise RunStateError(
            f'"{printable(metric)}" of run {short} has {why}', hint=f"taorunner runs show {short}"
        )
    console.print(head_line(snapshot, now(), console.width, symbols_of(console)), soft_wrap=True)
    console.print(plot_title(snapshot, metric, symbols_of(console)), soft_wrap=True)
    for line in lines:
        console.print(line, soft_wrap=True)


def print_damaged(store: RunStore, error: DamagedRunError, *, json: bool) -> None:
    """A run whose record cannot be used, as far as it is known."""
    ids = short_ids([error.run_id], store.folder_names())
    if json:
        run = DamagedRun(error.run_id, error.message, error.place)
        (snapshot,) = _snapshots(store, [run])
        write_json([_run_json(store, snapshot, run, ids)], sys.stdout.buffer)
        return
    from taorunner.console.runs.run_details import damaged_lines

    console = make_console(sys.stdout, os.environ)
    reason = f"{error.place}: {error.what.removeprefix('is damaged: ')}"
    for line in damaged_lines(
        ids[error.run_id], reason, _intact(store, error.run_id), error.hint, symbols_of(console)
    ):
        console.print(line, soft_wrap=True)


def _page_facts(
    store: RunStore, record: RunRecord, snapshot: RunSnapshot, ids: Sequence[str], *, has_curves: bool
) -> PageFacts:
    from taorunner.console.base.typed_commands import Place, as_typed
    from taorunner.console.runs.outcome import NEXT_COMMANDS, next_commands, not_taken
    from taorunner.console.runs.run_details import PageFacts
    from taorunner.runs.control.ending import endings
    from taorunner.runs.control.origin import origin_of
    from taorunner.runs.state.history import read_history

    ends = endings(store, [record])
    origin = origin_of(store, record)
    root = store.state_dir.parent
    followed = [replace(snapshot, action=action) for action, _ in origin.followed_by]
    steps = next_commands([record], not_taken([snapshot, *followed], ends) if followed else ends)
    named = [
        record.id,
        origin.source,
        origin.resumed_by,
        origin.later,
        *(run_id for _, run_id in origin.followed_by),
    ]
    return PageFacts(
        where=places(store, [record], [snapshot], with_backend=True).get(record.id, ""),
        record=record, origin=origin, ending=ends[record.id],
        history=read_history(store, record.id) if has_curves else None,
        short_ids=short_ids([one for one in named if one is not None], ids),
        commands=[as_typed(step, Place(root)) for step in steps[:NEXT_COMMANDS]], here=Path.cwd(), root=root,
    )  # fmt: skip


def _intact(store: RunStore, run_id: str) -> list[str]:
    """The files of a damaged run that are there, with their sizes."""
    from taorunner.text import size

    paths = store.paths(run_id)
    found = []
    for path in (paths.events, paths.console, paths.plan):
        with suppress(OSError):
            found.append(f"{path.name} ({size(path.lstat().st_size)})")
    return found


def runs_json(
    store: RunStore,
    records: Sequence[RunRecord | DamagedRun],
    short: Mapping[str, str],
    snapshots: Sequence[RunSnapshot] | None = None,
) -> list[dict[str, object]]:
    """The runs in the shape of ``runs list``."""
    known = _snapshots(store, records) if snapshots is None else snapshots
    return [_run_json(store, *both, short) for both in zip(known, records, strict=True)]


def _run_json(
    store: RunStore, snapshot: RunSnapshot, record: RunRecord | DamagedRun, short: Mapping[str, str]
) -> dict[str, object]:
    """A run with what it left, as recorded at its end. A list searches no results: without a record it has none."""
    from taorunner.runs.outputs.recorded import RunResults, recorded_results

    folder, origin = None, dict.fromkeys(_ORIGIN, None)
    if not isinstance(record, DamagedRun):
        folder, origin = record.results_dir, record.origin_json()
        origin["attempt"] = record.attempt + snapshot.requeues
    results = recorded_results(store, snapshot.id)
    if results is None:
        results = RunResults(Path(folder) if folder is not None else None)
    body = snapshot.to_json(store.paths(snapshot.id).directory, now(), short[snapshot.id])
    return {**body, **results.in_place.to_json(), **origin}


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
        else with_host_figures(store, _named(known[record.id], record), record)
        for record in records
    ]


def _named(snapshot: RunSnapshot, record: RunRecord) -> RunSnapshot:
    """With the names of the record, for a run whose events are lost."""
    if snapshot.experiment:
        return snapshot
    return replace(
        snapshot, project=record.project, experiment=record.experiment, action=record.action,
        backend=record.backend, queued_at=record.queued_at,
    )  # fmt: skip


def _is_same(one: RunRecord, other: RunRecord) -> bool:
    return (one.project, one.experiment) == (other.project, other.experiment)
