"""What the id of a run says: its short form, and when the run was queued.

Short ids are the last six characters of an id, and more wherever two runs share them. They are shown in tables, and
every command that takes a run accepts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

LENGTH = 6


def short_ids(ids: Iterable[str], all_ids: Iterable[str]) -> Mapping[str, str]:
    """The shortest unique ending of each id among ``all_ids``, of six characters or more.

    It does not begin with a dash, because the command line would read that as an option. An id that is the ending of
    another one is given whole.

    >>> dict(short_ids(["a-train-eaf22b"], ["a-train-eaf22b", "a-export-eaf22b", "a-train-000001"]))
    {'a-train-eaf22b': 'n-eaf22b'}
    """
    wanted = list(ids)
    endings = {run_id[-LENGTH:] for run_id in wanted}
    rivals: dict[str, list[str]] = {}
    for run_id in [one for one in all_ids if one[-LENGTH:] in endings]:
        rivals.setdefault(run_id[-LENGTH:], []).append(run_id)
    return {run_id: _shortest(run_id, rivals.get(run_id[-LENGTH:], ())) for run_id in wanted}


def queued_at(run_id: str) -> datetime | None:
    """When a run was queued, in UTC, as its id begins; None for an id without a time."""
    if len(run_id) < 16 or run_id[8] != "-" or run_id[15] != "-":
        return None
    date, time = run_id[:8], run_id[9:15]
    if not f"{date}{time}".isdecimal():
        return None
    try:
        return datetime.fromisoformat(
            f"{date[:4]}-{date[4:6]}-{date[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}+00:00"
        )
    except ValueError:
        return None


def _shortest(run_id: str, rivals: Iterable[str]) -> str:
    others = [rival for rival in rivals if rival != run_id]
    for length in range(LENGTH, len(run_id)):
        ending = run_id[-length:]
        if not ending.startswith("-") and not any(other.endswith(ending) for other in others):
            return ending
    return run_id
