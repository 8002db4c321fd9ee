"""``runs diff``, answered without importing Typer, because people ask it often. Everything else, and every error, goes
to the full command line, which calls the same function."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from taorunner.errors import ExitCode

TYPE_CHECKING = False  # importing typing takes a tenth of the time
if TYPE_CHECKING:
    from taorunner.project.workspace import Workspace

_SWITCHES = ("--json", "--all")
_VALUES = ("--workspace", "--project", "-p")


def runs_diff(
    place: Workspace,
    words: Sequence[str],
    project: str | None,
    *,
    everything: bool,
    json: bool,
    is_quiet: bool = False,
) -> Callable[[], int]:
    """What prints the differences between the runs that two words mean. ``project`` is checked.

    Raises TaorunnerError.
    """
    from taorunner.console.comparison.print_comparison import print_diff
    from taorunner.project.workspace import nearest_project
    from taorunner.runs.comparison.chosen import chosen_runs, refuse_one_run
    from taorunner.runs.comparison.compare import compare
    from taorunner.runs.state.store import RunStore

    store = RunStore(place.state_dir)
    near = nearest_project(place, Path.cwd(), os.environ)
    records = chosen_runs(store, words, project=project, near=near)
    refuse_one_run(records, words)
    comparison = compare(store, records)

    def printing() -> int:
        print_diff(store, comparison, everything=everything, json=json, is_quiet=is_quiet)
        return ExitCode.DONE

    return printing


def quick(argv: Sequence[str]) -> Callable[[], int] | None:
    """What prints ``runs diff A B`` and gives the exit code, or None when the full command line must answer."""
    words, switches, values = [], set(), {}
    rest = iter(argv[2:])
    for word in rest:
        if word in _SWITCHES:
            switches.add(word)
        elif word in _VALUES:
            value = next(rest, "")
            if not value or value.startswith("-"):
                return None
            values["project" if word == "-p" else word[2:]] = value
        elif word.startswith("-"):
            return None
        else:
            words.append(word)
    if len(words) != 2:
        return None
    try:
        return _answer(words, values, everything="--all" in switches, json="--json" in switches)
    except Exception:  # the full command line meets it again and reports it
        return None


def _answer(
    words: Sequence[str], values: dict[str, str], *, everything: bool, json: bool
) -> Callable[[], int]:
    from taorunner.project.workspace import find_project, find_workspace

    given = Path(values["workspace"]) if "workspace" in values else None
    place = find_workspace(Path.cwd(), given, os.environ)
    project = find_project(place, place.root, values["project"], {}) if "project" in values else None
    return runs_diff(place, words, project, everything=everything, json=json)
