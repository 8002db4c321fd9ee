"""``ps`` and ``runs list``, as often as people and scripts ask for them: answered before Typer is even imported.

``quick`` understands the plain command lines of these two and leaves every other one, each mistake and each error to
the whole command line, which calls the same two functions. Loads only what a list needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from taorunner.errors import ExitCode

if TYPE_CHECKING:
    from taorunner.runs.record import RunRecord
    from taorunner.runs.store import RunStore

LIMIT = 50
_SWITCHES = {"--json": "json", "-q": "ids_only", "--quiet": "ids_only"}
_VALUES = {"--workspace": "workspace"}
_LIST_VALUES = {**_VALUES, "--project": "project", "-p": "project", "--limit": "limit", "-n": "limit"}


class _Line(NamedTuple):
    """A command line that is understood."""

    is_list: bool
    workspace: Path | None
    project: str | None
    limit: int
    json: bool
    ids_only: bool


def ps(workspace: Path | None, *, json: bool, ids_only: bool = False) -> int:
    """Prints the runs that have not ended. Raises TaorunnerError."""
    store = _store(workspace)
    return _print(store, store.unfinished(), json=json, ids_only=ids_only, empty="nothing is running")


def runs_list(
    workspace: Path | None, project: str | None, *, limit: int, json: bool, ids_only: bool = False
) -> int:
    """Prints all runs, newest first, at most ``limit``. Raises TaorunnerError."""
    from itertools import islice

    store = _store(workspace)
    records = (record for record in store.records() if project is None or record.project == project)
    return _print(store, list(islice(records, limit)), json=json, ids_only=ids_only, empty="no runs yet")


def _print(store: RunStore, records: Sequence[RunRecord], *, json: bool, ids_only: bool, empty: str) -> int:
    if ids_only and not json:
        sys.stdout.write("".join(f"{record.id}\n" for record in records))
        return 0
    from taorunner.console.runs_view import print_runs

    print_runs(store, records, json=json, empty=empty)
    return 0


def quick(argv: Sequence[str]) -> int | None:
    """The exit code, or None for whatever has to go the long way."""
    line = _understood(argv)
    if line is None:
        return None
    try:
        if line.is_list:
            return runs_list(
                line.workspace, line.project, limit=line.limit, json=line.json, ids_only=line.ids_only
            )
        return ps(line.workspace, json=line.json, ids_only=line.ids_only)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except Exception:  # the long way meets it again, and is the one that tells it
        return None


def _store(workspace: Path | None) -> RunStore:
    """Of the workspace, with a supervisor for each run that is not over."""
    from taorunner.project.workspace import find_workspace
    from taorunner.runs.ownership import orphans
    from taorunner.runs.store import RunStore

    store = RunStore(find_workspace(Path.cwd(), workspace, os.environ).state_dir)
    if orphans(store):
        from taorunner.runs.recovery import look_after

        look_after(store)
    return store


def _understood(argv: Sequence[str]) -> _Line | None:
    """Options behind the command, each once and as a word of its own."""
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
    workspace = given.get("workspace")
    return _Line(
        is_list,
        Path(workspace) if workspace else None,
        given.get("project"),
        int(limit),
        "json" in given,
        "ids_only" in given,
    )
