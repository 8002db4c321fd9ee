"""What of a project ``validate`` has looked at."""

from __future__ import annotations

from taorunner.values.value import Value


class LookedAt(Value):
    """``experiments``, ``specs`` and ``sweeps`` are numbers. ``images`` has one number for each dataset, None for a
    dataset whose images were not counted: it was not checked, or its layout is known only to its network."""

    project: str
    experiments: int
    specs: int
    images: tuple[int | None, ...]
    sweeps: int = 0
