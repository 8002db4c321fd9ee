"""Which trial a run is, by the folder of its results: ``models/<base>.sweeps/<sweep>/t007``."""

from __future__ import annotations

import re

_RESULTS = re.compile(r"/models/[^/]+\.sweeps/(?P<sweep>[^/]+)/(?P<trial>t[0-9]{3,})\Z")


def trial_title(results_dir: str | None) -> str | None:
    """``trial t007 of lr_search``; None for the results of another run."""
    found = _RESULTS.search(results_dir or "")
    return f"trial {found['trial']} of {found['sweep']}" if found is not None else None
