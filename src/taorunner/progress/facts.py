"""The input of a verdict, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable

from taorunner.progress.causes.cause import SeenCause
from taorunner.values.value import Value

HostPath = Callable[[str], object | None]
"""Maps a path in the container to the path on this host; None when it is not mounted."""


class Facts(Value):
    """The input of the verdict. ``Tracker.facts`` fills in what was printed; the caller adds the facts of the engine.

    ``missing``: the engine no longer knows the run. ``engine_error``: the engine's error for a run that it could not
    start. ``spec_lines`` and ``arguments`` are what the task was given.
    ``artifact_fresh`` is None when it was not checked. ``success_message`` and
    ``failure_message`` come from records of this attempt only; ``success_is_last`` says which of the two
    came later. ``zero_score`` is the metric that ranks models, where each such metric ended at
    0, and whether one was not 0 before. ``omissions`` are
    texts about what was left out of a dataset, with how often they came.
    ``raised_in`` is the place in the code where ``traceback`` was raised.
    """

    action: str = ""
    exit_code: int | None = None
    oom_killed: bool = False
    missing: bool = False
    engine_error: str | None = None
    stop_requested: bool = False
    artifact_fresh: bool | None = None
    host_path: HostPath | None = None
    spec_lines: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    footer_passed: bool | None = None
    betrayals: tuple[str, ...] = ()
    status_records: int = 0
    success_message: str | None = None
    failure_message: str | None = None
    success_is_last: bool = False
    traceback: str | None = None
    raised_in: str | None = None
    causes: tuple[SeenCause, ...] = ()
    last_lines: tuple[str, ...] = ()
    epochs_planned: int | None = None
    epochs_done: int = 0
    epoch: int | None = None
    nan_epoch: int | None = None
    nan_seen: bool = False
    zero_score: tuple[str, bool] | None = None
    omissions: tuple[tuple[str, int], ...] = ()
    resumed: bool = False
    batch_key: str | None = None
