"""The checkpoints of trials that are not among the best: found for ``sweep rm``, removed where ``keep`` says so.

Metrics, logs, specs and records of these trials stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from taorunner.errors import TaorunnerError
from taorunner.planning.checkpoints.checkpoint_files import find_checkpoints
from taorunner.runs.outputs.old_checkpoints import OldCheckpoint, remove_checkpoint
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.trial import Trial

KEPT: Mapping[str, int] = {"best": 1, "top3": 3}
"""How many trials keep their checkpoints, by the value of ``keep``; ``all`` removes nothing."""


def losers(trials: Sequence[Trial], keep: int, *, maximize: bool) -> list[Trial]:
    """Those that are over and not among the ``keep`` best. With equal values the earlier ones are better."""

    def place(trial: Trial) -> tuple[float, int]:
        value = trial.value or 0.0
        return (-value if maximize else value, trial.number)

    best = sorted((trial for trial in trials if trial.counts and trial.ending != "same"), key=place)[:keep]
    kept = {trial.number for trial in best}
    return [trial for trial in trials if trial.is_over and trial.run is not None and trial.number not in kept]


def checkpoints_of_trials(
    store: RunStore, trials: Iterable[Trial]
) -> list[tuple[Trial, Path, OldCheckpoint]]:
    """The checkpoints that are there, each with its trial and the folder of results. Folders are left alone."""
    found = []
    for trial in trials:
        with suppress(TaorunnerError, OSError, ValueError, KeyError, TypeError):
            plan = store.load_plan(str(trial.run))
            results, contract = plan.results_dir, plan.contract.checkpoints
            if contract.is_directory or results.is_symlink():
                continue
            for path in find_checkpoints(results, contract):
                found.append((trial, results, OldCheckpoint(path=path, bytes=path.lstat().st_size)))
    return found


def remove(found: Iterable[tuple[Trial, Path, OldCheckpoint]]) -> int:
    """Removes them; returns the number of bytes. What cannot be removed stays."""
    freed = 0
    for _, results, one in found:
        with suppress(OSError):
            freed += one.bytes if remove_checkpoint(results, one.path) else 0
    return freed
