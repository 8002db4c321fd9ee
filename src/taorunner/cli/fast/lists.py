"""``ps`` and ``runs list``, answered without importing Typer because people and scripts call them often.

``quick`` reads the plain command lines of both. Every other line and every error goes to the full command line, which
calls the same two functions.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence, Set
from functools import partial
from pathlib import Path

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from taorunner.project.workspace import Workspace
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import DamagedRun, RunStore

LIMIT = 50
_SHOWN = 3
_NOTHING = "nothing is running"
_SWITCHES = {"--json": "json", "-q": "ids_only", "--quiet": "ids_only"}
_PS_SWITCHES = {**_SWITCHES, "-a": "with_ended", "--all": "with_ended"}
_VALUES = {"--workspace": "workspace", "--project": "project", "-p": "project"}
_LIST_VALUES = {
    **_VALUES, "--limit": "limit", "-n": "limit", "--state": "states", "--experiment": "experiment",
    "-e": "experiment", "--action": "action", "--since": "since",
}  # fmt: skip


def ps(
    workspace: Path | None,
    *,
    json: bool,
    ids_only: bool = False,
    with_ended: bool = False,
    project: str | None = None,
) -> Callable[[], int]:
    """Returns what prints the runs that have not ended, and damaged ones whose state is unknown; with ``with_ended``
    also the newest ended ones. Those that run come first, then the queue in its order. Raises TaorunnerError."""
    from taorunner.runs.state.batch_index import OpenBatches

    place = _workspace(workspace)
    if project is not None:
        _check_project(place, project)
    if not with_ended and not OpenBatches(place.state_dir).ids():  # all runs are over: no record need be read
        return partial(_print_nothing, json=json, ids_only=ids_only)
    from taorunner.events import RunState
    from taorunner.runs.state.lookup.unusable import shown_in_list

    store = _store(place.state_dir)
    unfinished, damaged = store.open_runs()
    live = unfinished[::-1]
    live.sort(key=lambda run: run.state in (RunState.QUEUED, RunState.WAITING))
    found: list[RunRecord | DamagedRun] = [*live, *damaged]
    has_more = False
    if with_ended:
        ended = _ended(store, {run.id for run in found}, project)
        has_more = len(ended) > LIMIT
        found += ended[:LIMIT]
    found = [run for run in found if project is None or getattr(run, "project", None) == project]
    found = shown_in_list(store, found)
    empty = "no runs yet" if with_ended else _NOTHING
    more = ""
    if has_more and not json and not ids_only:
        from taorunner.console.base.typed_commands import Place, as_typed

        text = f"of ended runs the newest {LIMIT} are shown; taorunner runs list -n N shows more"
        more = as_typed(text, Place(place.root))
    return partial(_print, store, found, None, more, json=json, ids_only=ids_only, empty=empty, is_live=True)


def _print_nothing(*, json: bool, ids_only: bool) -> int:
    if json:
        sys.stdout.write("[]\n")
    elif not ids_only:
        sys.stderr.write(f"{_NOTHING}\n")
    return 0


def _ended(store: RunStore, shown: Set[str], project: str | None) -> list[RunRecord | DamagedRun]:
    """The newest ended runs, one more than are shown."""
    from itertools import islice

    from taorunner.runs.state.lookup.run_filter import RunFilter, select

    ids = [run_id for run_id in store.run_ids() if run_id not in shown]
    return list(islice(select(store, ids, RunFilter(project)), LIMIT + 1))


def runs_list(
    workspace: Path | None,
    project: str | None,
    *,
    limit: int,
    json: bool,
    ids_only: bool = False,
    states: str | None = None,
    experiment: str | None = None,
    action: str | None = None,
    since: str | None = None,
) -> Callable[[], int]:
    """Returns what prints at most ``limit`` runs, newest first, damaged ones included; their project is unknown.

    ``states``, ``experiment``, ``action`` and ``since`` are the texts of the options. Raises TaorunnerError.
    """
    from itertools import islice

    from taorunner.events import now
    from taorunner.runs.state.lookup.run_filter import (
        RunFilter,
        parse_actions,
        parse_since,
        parse_states,
        select,
    )
    from taorunner.runs.state.lookup.unusable import shown_in_list

    place = _workspace(workspace)
    wanted = RunFilter(
        project, experiment, parse_actions(action) if action is not None else None,
        parse_states(states) if states is not None else frozenset(),
        parse_since(since, now()) if since is not None else None,
    )  # fmt: skip
    store = _store(place.state_dir)
    ids = store.run_ids()
    found = list(islice(select(store, ids, wanted), limit + 1))
    has_more = len(found) > limit
    found = shown_in_list(store, found[:limit])
    if not wanted.is_empty and (not found or "," in (wanted.action or "")):
        from taorunner.cli.fast.unknown_names import check_names

        check_names(place, store, wanted)
    empty = "no runs yet" if wanted.is_empty else "no such runs"
    is_table = not json and not ids_only
    more = f"the newest {len(found)} are shown; -n N shows more" if has_more and is_table else ""
    return partial(_print, store, found, ids, more, json=json, ids_only=ids_only, empty=empty)


def _print(
    store: RunStore,
    found: Sequence[RunRecord | DamagedRun],
    ids: Sequence[str] | None,
    more: str,
    *,
    json: bool,
    ids_only: bool,
    empty: str,
    is_live: bool = False,
) -> int:
    if ids_only and not json:
        sys.stdout.write("".join(f"{run.id}\n" for run in found))
    else:
        from taorunner.console.runs.runs_view import print_runs

        print_runs(store, found, json=json, empty=empty, is_live=is_live, all_ids=ids)
    _print_refused(store)
    if more:
        print(more, file=sys.stderr)
    return 0


def quick(argv: Sequence[str]) -> Callable[[], int] | None:
    """What prints and gives the exit code, or None when the full command line must answer."""
    command = _parsed(argv)
    if command is None:
        return None
    try:
        return command()
    except Exception:  # the full command line meets it again and reports it
        return None


def _workspace(given: Path | None) -> Workspace:
    from taorunner.project.workspace import find_workspace

    return find_workspace(Path.cwd(), given, os.environ)


def _check_project(workspace: Workspace, name: str) -> None:
    from taorunner.project.workspace import find_project

    find_project(workspace, workspace.root, name, {})


def _store(state_dir: Path) -> RunStore:
    """The store in ``state_dir``. Restarts missing supervisors of runs that have not ended."""
    from taorunner.runs.state.batch_lock import orphans
    from taorunner.runs.state.store import RunStore

    store = RunStore(state_dir)
    if orphans(store):
        from taorunner.runs.control.recovery import start_missing_supervisors

        start_missing_supervisors(store)
    return store


def _print_refused(store: RunStore) -> None:
    """Prints on stderr which entries are ignored, and why."""
    if not store.refused:
        return
    from taorunner.state_files import SHARING
    from taorunner.text import printable

    for name, why in list(store.refused.items())[:_SHOWN]:
        print(f"ignored: {printable(name)}: {printable(why)}", file=sys.stderr)
    if len(store.refused) > _SHOWN:
        print(f"ignored: {len(store.refused) - _SHOWN} more", file=sys.stderr)
    print(SHARING, file=sys.stderr)


def _parsed(argv: Sequence[str]) -> Callable[[], Callable[[], int]] | None:
    """Reads options after the command, each at most once and as a separate word; None for anything else."""
    is_list = list(argv[:2]) == ["runs", "list"]
    if not is_list and list(argv[:1]) != ["ps"]:
        return None
    switches = _SWITCHES if is_list else _PS_SWITCHES
    takes = _LIST_VALUES if is_list else _VALUES
    given: dict[str, str] = {}
    words = iter(argv[2 if is_list else 1 :])
    for word in words:
        name = switches.get(word) or takes.get(word)
        value = "yes" if word in switches else next(words, "")
        if name is None or name in given or not value or value.startswith("-"):
            return None
        given[name] = value
    limit = given.pop("limit", str(LIMIT))
    if not (limit.isascii() and limit.isdecimal() and 0 < len(limit) < 10 and int(limit)):
        return None
    workspace = Path(given.pop("workspace")) if "workspace" in given else None
    project, is_json, ids_only = given.get("project"), "json" in given, "ids_only" in given
    if not is_list:
        with_ended = "with_ended" in given
        return partial(ps, workspace, json=is_json, ids_only=ids_only, with_ended=with_ended, project=project)
    return partial(
        runs_list, workspace, project, limit=int(limit), json=is_json, ids_only=ids_only, states=given.get("states"),
        experiment=given.get("experiment"), action=given.get("action"), since=given.get("since"),
    )  # fmt: skip
