"""``ps`` and ``runs list``, answered without importing Typer because people and scripts call them often.

``quick`` reads the plain command lines of both. Every other line and every error goes to the full command line, which
calls the same two functions.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from taorunner.errors import ExitCode

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import DamagedRun, RunStore

LIMIT = 50
_SHOWN = 3
_NOTHING = "nothing is running"
_SWITCHES = {"--json": "json", "-q": "ids_only", "--quiet": "ids_only"}
_VALUES = {"--workspace": "workspace"}
_LIST_VALUES = {**_VALUES, "--project": "project", "-p": "project", "--limit": "limit", "-n": "limit"}


def ps(workspace: Path | None, *, json: bool, ids_only: bool = False) -> int:
    """Prints the runs that have not ended, and damaged ones whose state is unknown. Raises TaorunnerError."""
    from taorunner.runs.state.batch_index import OpenBatches

    state_dir = _state_dir(workspace)
    if not OpenBatches(state_dir).ids():  # all runs are over: no record need be read
        if json:
            sys.stdout.write("[]\n")
        elif not ids_only:
            sys.stderr.write(f"{_NOTHING}\n")
        return 0
    store = _store(state_dir)
    found: list[RunRecord | DamagedRun] = [*store.unfinished(), *store.damaged_open()]
    return _print(store, found, json=json, ids_only=ids_only, empty=_NOTHING)


def runs_list(
    workspace: Path | None, project: str | None, *, limit: int, json: bool, ids_only: bool = False
) -> int:
    """Prints at most ``limit`` runs, newest first, damaged ones included; their project is unknown. Raises
    TaorunnerError."""
    from itertools import islice

    store = _store(_state_dir(workspace))
    found = (run for run in store.listed() if project is None or getattr(run, "project", None) == project)
    return _print(store, list(islice(found, limit)), json=json, ids_only=ids_only, empty="no runs yet")


def _print(
    store: RunStore, found: Sequence[RunRecord | DamagedRun], *, json: bool, ids_only: bool, empty: str
) -> int:
    if ids_only and not json:
        sys.stdout.write("".join(f"{run.id}\n" for run in found))
    else:
        from taorunner.console.runs.runs_view import print_runs

        print_runs(store, found, json=json, empty=empty)
    _print_refused(store)
    return 0


def quick(argv: Sequence[str]) -> int | None:
    """The exit code, or None when the full command line must answer."""
    command = _parsed(argv)
    if command is None:
        return None
    try:
        return command()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except Exception:  # the full command line meets it again and reports it
        return None


def _state_dir(workspace: Path | None) -> Path:
    from taorunner.project.workspace import find_workspace

    return find_workspace(Path.cwd(), workspace, os.environ).state_dir


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


def _parsed(argv: Sequence[str]) -> Callable[[], int] | None:
    """Reads options after the command, each at most once and as a separate word; None for anything else."""
    is_list = list(argv[:2]) == ["runs", "list"]
    if not is_list and list(argv[:1]) != ["ps"]:
        return None
    takes = _LIST_VALUES if is_list else _VALUES
    given: dict[str, str] = {}
    words = iter(argv[2 if is_list else 1 :])
    for word in words:
        name = _SWITCHES.get(word) or takes.get(word)
        value = "yes" if word in _SWITCHES else next(words, "")
        if name is None or name in given or not value or value.startswith("-"):
            return None
        given[name] = value
    limit = given.get("limit", str(LIMIT))
    if not (limit.isascii() and limit.isdecimal() and 0 < len(limit) < 10 and int(limit)):
        return None
    workspace = Path(given["workspace"]) if "workspace" in given else None
    json, ids_only = "json" in given, "ids_only" in given
    if is_list:
        return partial(
            runs_list, workspace, given.get("project"), limit=int(limit), json=json, ids_only=ids_only
        )
    return partial(ps, workspace, json=json, ids_only=ids_only)
