"""Finds which disk was full when a run failed for lack of space: that of its results or of its temporary files.

TAO's message names a file at best. Free space is measured right after the run, on this host.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from taorunner.disk_room import room_at
from taorunner.events import RunState
from taorunner.planning.model.plan import RunPlan
from taorunner.progress.causes.table import find_cause
from taorunner.progress.explanation import explain
from taorunner.progress.verdict import UNKNOWN, Facts, Verdict
from taorunner.values.value import replace

CODES = ("disk-full", "temporary-disk-full")
_LINE = re.compile(r"[Nn]o space left on device|quota exceeded")
_FILES = (
    re.compile(r"left on device:? '[^']{1,300}' -> '(/[^']{1,300})'"),
    re.compile(r"left on device:? ['\"](/[^'\"]{1,300})['\"]"),
    re.compile(r"(?<![\w.])(/[^\s;:'\"]{1,300})['\"]?[;:] ?[Nn]o space left"),
)
"""Python's errors name the file after the message, for a move as ``'from' -> 'to'``; TensorFlow's name it before."""


def with_full_disk_named(
    plan: RunPlan, verdict: Verdict, facts: Facts, host_path: Callable[[str], Path | None],
    environ: Mapping[str, str] = os.environ, *, full_disk: Path | None = None,
) -> Verdict:  # fmt: skip
    """The verdict; if the cause is a full disk, with the disk and its free space in reason and hint.

    ``full_disk``: where a disk was full when the process ended. What it printed of that may not have been stored.
    """
    texts = [text for text in (facts.traceback, facts.failure_message, *facts.last_lines) if text]
    causes = [*facts.causes, *filter(None, (find_cause(text, facts.epoch) for text in texts[:2]))]
    if not any(cause.cause.code in CODES and cause.reason() in verdict.reason for cause in causes):
        return _unexplained(verdict, facts, full_disk or _full_at(plan.results_dir))
    folder = PurePosixPath(
        plan.env.get("TMPDIR") or ("" if plan.mounts else environ.get("TMPDIR", "")) or "/tmp"
    )
    named = next((name for text in texts if _LINE.search(text) for name in _named(text)), None)
    if named is not None:
        in_results = PurePosixPath(plan.results_inside) in PurePosixPath(named).parents
        is_temporary = folder in PurePosixPath(named).parents and not in_results
        place = host_path(named)
    else:
        place, is_temporary = _emptiest(plan, host_path(str(folder)))
    what = f'temporary files in "{folder}"' if is_temporary else f'"{place or named}"'
    room = room_at(place) if place is not None else None
    full = verdict.reason.replace("the disk of the temporary files is full", "the disk is full").partition(
        ': "'
    )[0]
    if is_temporary:
        advice = 'set "TMPDIR" in "env" of the experiment to a folder on a larger disk'
    else:
        advice = "point the mounts at a larger disk"
    if room is None:
        where = f'"{named or folder}" lies inside the container, on the disk of the engine'
        return replace(verdict, reason=f"{full}: {what}", hint=f"{where}: docker system df; or {advice}")
    return replace(verdict, reason=f"{full}: {what}", hint=f"{room.text}: free some, or {advice}")


def _unexplained(verdict: Verdict, facts: Facts, full: Path | None) -> Verdict:
    """A failure for which nothing else was found, on a disk that is full."""
    is_known = verdict.state is not RunState.FAILED or explain(facts, facts.exit_code or 0) is not None
    if full is None or is_known or not facts.exit_code:
        return verdict
    room = room_at(full)
    found = f"{room.text}: " if room is not None and room.is_full else ""
    reason = f'{verdict.reason.removesuffix(UNKNOWN)}, and the disk of "{full}" was full'
    return replace(verdict, reason=reason, hint=f"{found}free some, or point the mounts at a larger disk")


def _full_at(place: Path) -> Path | None:
    room = room_at(place)
    return place if room is not None and room.is_full else None


def _named(text: str) -> Iterator[str]:
    """Files that could not be written, the most certain first."""
    for pattern in _FILES:
        for match in pattern.finditer(text):
            yield match.group(1)


def _emptiest(plan: RunPlan, temporary: Path | None) -> tuple[Path, bool]:
    """If no file is named: the disk with less free space, and whether it holds the temporary files."""
    results = plan.results_dir
    rooms = room_at(results), room_at(temporary) if temporary is not None else None
    if temporary is None or rooms[0] is None or rooms[1] is None or rooms[0].mount == rooms[1].mount:
        return results, False
    is_temporary = rooms[1].free_bytes < rooms[0].free_bytes
    return (temporary if is_temporary else results), is_temporary
