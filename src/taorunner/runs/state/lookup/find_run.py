"""Finds the run that a word of the command line names."""

from __future__ import annotations

from collections.abc import Sequence

from taorunner.errors import NoSuchRunError, RunStateError, TaorunnerError, UsageError
from taorunner.planning.model.run_ids import NAME_LIMIT
from taorunner.runs.state.folders import is_name
from taorunner.runs.state.lookup.short_ids import short_ids
from taorunner.runs.state.record import RunRecord, current_of
from taorunner.runs.state.store import RunStore
from taorunner.text import nearest

_LISTED = 8
_COMPARED = 200
_SHOWN = 100


def find_run(store: RunStore, name: str, project: str | None = None, near: str | None = None) -> RunRecord:
    """The run with this id or short id, the newest run of an experiment of this name, or the one whose id has ``name``
    in it.

    ``project`` limits experiments to one project, as ``PROJECT/EXPERIMENT`` does; of ``near``, the project of the
    current folder, they are preferred.

    Raises:
        UsageError: the name is not valid, or fits several runs, which are listed.
        RunStateError: there is no such run.
        DamagedRunError: there is one, and its record cannot be used.
    """
    within, slash, last = name.partition("/")
    if not is_name(last if slash else name) or (slash and not is_name(within)):
        said = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
        raise UsageError(f'"{said}" is not a run id', hint=_of_path(store, name))
    if slash:
        ids = store.run_ids()
        newest = _newest_of(store, ids, last, within)
        return _current(store, newest, ids) if newest is not None else _by_record(store, last, within)
    if store.paths(name).record.exists():
        return store.load(name)
    ids = store.run_ids()
    newest = _newest_of(store, ids, name, project or near)
    if newest is None and project is None:
        newest = _newest_of(store, ids, name, None)
    if newest is not None:
        return _current(store, newest, ids)
    matching = [run_id for run_id in ids if run_id.endswith(name)]
    if not matching:
        matching = [run_id for run_id in ids if name in run_id and _is_of(store, run_id, project)]
    if len(matching) == 1:
        return store.load(matching[0])
    if matching:
        raise _unclear(store, name, matching, ids)
    return _by_record(store, name, project)


def _of_path(store: RunStore, name: str) -> str:
    """The hint for the path of a run's folder, or of results below ``models/EXPERIMENT``."""
    parts = [part for part in name.split("/") if is_name(part)]
    known = set(store.run_ids()) if len(parts) > 1 else set()
    run = next((part for part in reversed(parts) if part in known), None)
    meant = store.short_id(run) if run is not None else None
    if meant is None and "models" in parts[:-1]:
        meant = parts[parts.index("models") + 1]
    return f'did you mean "{meant}"?' if meant is not None else "taorunner runs list shows the runs"


def _newest_of(store: RunStore, ids: Sequence[str], experiment: str, project: str | None) -> RunRecord | None:
    """The newest run of an experiment. An id contains the experiment's name, cut off where it is long."""
    part = f"-{experiment[:NAME_LIMIT]}"
    for run_id in ids:
        if part in run_id:
            try:
                record = store.load(run_id)
            except RunStateError:
                continue
            if record.experiment == experiment and project in (None, record.project):
                return record
    return None


def _current(store: RunStore, newest: RunRecord, ids: Sequence[str]) -> RunRecord:
    """The run of a chain that is under way or comes next; ``newest`` itself without one."""
    part = f"-{newest.experiment[:NAME_LIMIT]}"
    try:
        batch = set(store.load_batch(newest.batch).runs)
        mates = [store.load(run_id) for run_id in ids if run_id in batch and part in run_id]
    except (TaorunnerError, OSError, ValueError):
        return newest
    return current_of(newest, mates)


def _is_of(store: RunStore, run_id: str, project: str | None) -> bool:
    """Whether it is a run of ``project``; without one, any folder with a record."""
    if project is None:
        return store.paths(run_id).record.exists()
    return getattr(store.shown(run_id), "project", None) == project


def _unclear(store: RunStore, name: str, matching: Sequence[str], ids: Sequence[str]) -> UsageError:
    short = short_ids(matching[:_LISTED], ids)
    lines = []
    for run_id, shown in short.items():
        try:
            record = store.load(run_id)
        except RunStateError:
            lines.append(f"{shown}  damaged")
        else:
            lines.append(f"{shown}  {record.experiment} {record.action}, {record.state.value.lower()}")
    if len(matching) > _LISTED:
        lines.append(f"and {len(matching) - _LISTED} more: taorunner runs list")
    return UsageError(f'"{name}" fits {len(matching)} runs', hint="say which:\n" + "\n".join(lines))


def _by_record(store: RunStore, name: str, project: str | None) -> RunRecord:
    """A run whose id does not contain its experiment, as another program may have named it; else the error."""
    records = list(store.records())
    for record in records:
        if record.experiment == name and project in (None, record.project):
            return record
    known = dict.fromkeys(record.experiment for record in records if project in (None, record.project))
    newest = [record.id for record in records[:_COMPARED]]
    short = short_ids(newest, store.run_ids())
    close = nearest(name, [*known, *short.values(), *newest])
    hint = f'did you mean "{close}"?' if close is not None else "taorunner runs list shows the runs"
    where = f' in project "{project}"' if project is not None else ""
    raise NoSuchRunError(f'no run "{name}"{where}', name=name, hint=hint)
