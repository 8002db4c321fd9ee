"""Run ids. They are chosen while planning, so that a plan contains the path of its run folder.

An id begins with the second in which it was made. Its last six characters look random, so that runs of one batch are
not mixed up, and say where in that second: ``newest_first`` gives the order of starts without reading a run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

TYPE_CHECKING = False  # completion and lists import this, and neither typing nor datetime for it
if TYPE_CHECKING:
    from datetime import datetime

NAME_LIMIT = 80
"""Characters of an experiment and an action in a run's id."""
_SECOND = slice(15)
_PLACES = 1 << 24
_SPREAD = 0x9E3779
"""Odd, so that each place in a second has an ending of its own, and neighbours have unlike ones."""
_UNSPREAD = pow(_SPREAD, -1, _PLACES)


def new_run_id(experiment: str, action: str, at: datetime) -> str:
    """Sortable by time, readable, unique, and a valid container name."""
    place = at.microsecond * _PLACES // 1_000_000 + os.urandom(1)[0] % 16  # a microsecond has 16 places
    ending = place * _SPREAD % _PLACES
    return f"{at:%Y%m%d-%H%M%S}-{name_in_run_id(experiment, action)}-{ending:06x}"


def name_in_run_id(experiment: str, action: str) -> str:
    """The part of a run's id that says what it is; cut off where it would be too long for a name."""
    return f"{experiment}-{action}"[:NAME_LIMIT]


def newest_first(ids: Iterable[str]) -> list[str]:
    """The ids by the time at which they were made. Ids of another form are sorted as texts."""
    found: list[str] = []
    for _, one_second in groupby(sorted(ids, reverse=True), key=itemgetter(_SECOND)):
        same = list(one_second)
        if len(same) > 1:
            same.sort(key=_place_in_second, reverse=True)
        found += same
    return found


def _place_in_second(run_id: str) -> int:
    try:
        return int(run_id[-6:], 16) * _UNSPREAD % _PLACES
    except ValueError:
        return -1
