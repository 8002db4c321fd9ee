"""Names of reruns: ``rtdetr_01.rerun-2`` is the second one of a run of ``rtdetr_01``."""

from __future__ import annotations

import re

_RERUN = re.compile(r"\.rerun-[0-9]+\Z")


def base_name(experiment: str) -> str:
    """The experiment of which a name is a rerun; itself for another name."""
    return _RERUN.sub("", experiment)


def is_rerun(experiment: str) -> bool:
    return _RERUN.search(experiment) is not None
