"""Names of runs: decided while planning, so that a plan knows its own folder."""

from __future__ import annotations

import os
from datetime import datetime

_NAME_LIMIT = 80


def new_run_id(experiment: str, action: str, at: datetime) -> str:
    """Sortable by time, readable, unique, and a valid container name."""
    name = f"{experiment}-{action}"[:_NAME_LIMIT]
    return f"{at:%Y%m%d-%H%M%S}-{name}-{os.urandom(3).hex()}"
