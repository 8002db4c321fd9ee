"""Where the results of trials are, below models/: ``<base>.sweeps/<sweep>/t007``; and which trial results belong to."""

from __future__ import annotations

import re

_NAME = r"[A-Za-z0-9][\w.-]*"
_TRIALS = rf"{_NAME}\.sweeps/(?P<sweep>{_NAME})"
_RESULTS = re.compile(rf"/models/{_TRIALS}/(?P<trial>t[0-9]{{3,}})(?:\.[0-9]+)?\Z")
_LATER = re.compile(r"\.[0-9]{8}-[0-9]{6}\Z")
"""Ends the folder of a sweep that was begun again, beside the results of the first one."""


def results_folder(base: str, sweep: str) -> str:
    """The folder below models/ with a folder of results for each trial."""
    return f"{base}.sweeps/{sweep}"


def is_results_folder(text: str) -> bool:
    """Whether ``text`` may be one of ``results_folder``: it leads nowhere else."""
    return re.fullmatch(_TRIALS, text) is not None


def trial_title(results_dir: str | None) -> str | None:
    """``trial t007 of lr_search``, whichever attempt it was; None for the results of another run."""
    found = _RESULTS.search(results_dir or "")
    return f"trial {found['trial']} of {_LATER.sub('', found['sweep'])}" if found is not None else None
