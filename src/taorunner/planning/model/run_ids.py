"""Run ids. They are chosen while planning, so that a plan contains the path of its run folder."""

from __future__ import annotations

import os
from datetime import datetime

NAME_LIMIT = 80
"""Characters of an experiment and an action in a run's id."""


def new_run_id(experiment: str, action: str, at: datetime) -> str:
    """Sortable by time, readable, unique, and a valid container name."""
    return f"{at:%Y%m%d-%H%M%S}-{name_in_run_id(experiment, action)}-{os.urandom(3).hex()}"


def name_in_run_id(experiment: str, action: str) -> str:
    """The part of a run's id that says what it is; cut off where it would be too long for a name."""
    return f"{experiment}-{action}"[:NAME_LIMIT]
