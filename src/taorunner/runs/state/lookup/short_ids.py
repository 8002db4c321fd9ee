"""Short run ids: the last six characters of an id, and one more wherever two runs share them.

They are shown in tables, and every command that takes a run accepts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
    for run_id in all_ids:
        if run_id[-LENGTH:] in endings:
            rivals.setdefault(run_id[-LENGTH:], []).append(run_id)
    return {run_id: _shortest(run_id, rivals.get(run_id[-LENGTH:], ())) for run_id in wanted}


def _shortest(run_id: str, rivals: Iterable[str]) -> str:
    others = [rival for rival in rivals if rival != run_id]
    for length in range(LENGTH, len(run_id)):
        ending = run_id[-length:]
        if not ending.startswith("-") and not any(other.endswith(ending) for other in others):
            return ending
    return run_id
