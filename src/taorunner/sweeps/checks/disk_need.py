"""How much room the checkpoints of a sweep take, as far as earlier trainings of its base tell.

Without an earlier checkpoint nothing is said: no size is guessed. It is an upper bound: a trial that is pruned writes
fewer checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from taorunner.disk_room import room_at
from taorunner.planning.checkpoints.checkpoint_files import find_checkpoints
from taorunner.planning.model.plan import RunPlan
from taorunner.project.sweeps.definition import Sweep
from taorunner.runs.inputs.spec_values import raw_values
from taorunner.sweeps.losers import KEPT
from taorunner.sweeps.trial import Trial
from taorunner.text import amount, size
from taorunner.values.value import Value


class Lack(Value):
    message: str
    hint: str


def lack_of_room(
    sweep: Sweep, base: RunPlan, results: Path, trials: Sequence[Trial], parallel: int
) -> Lack | None:
    """``results`` are those of the base, ``trials`` are on record: the room that they took is no longer free."""
    each, room = _largest(results, base), room_at(results)
    if each is None or room is None:
        return None
    count = _per_trial(base)
    left = max(0, sweep.trials - sum(trial.is_over for trial in trials))
    kept = KEPT.get(sweep.keep)
    at_once = left if kept is None else min(left, kept + parallel)
    needed = at_once * count * each
    if needed <= room.free_bytes:
        return None
    message = (
        f"{amount(at_once, 'trial')} with {amount(count, 'checkpoint')} of {size(each)} take {size(needed)}, "
        f"and {size(room.free_bytes)} are free"
    )
    if kept is None:
        return Lack(
            message, "keep: best removes the checkpoints of other trials as trials end; --yes starts anyway"
        )
    key = interval(base, "checkpoint_interval")[0]
    return Lack(message, f"raise {key}, or lower parallel; --yes starts anyway")


def _largest(results: Path, base: RunPlan) -> int | None:
    """The size of the largest checkpoint of the base; None without one."""
    contract = base.contract.checkpoints
    if contract.is_directory or results.is_symlink():
        return None
    sizes = []
    with suppress(OSError):
        sizes = [path.lstat().st_size for path in find_checkpoints(results, contract)]
    return max(sizes, default=None)


def _per_trial(base: RunPlan) -> int:
    every = interval(base, "checkpoint_interval")[1]
    return 1 if every is None or base.epochs is None else max(1, base.epochs // every)


def interval(base: RunPlan, meaning: str) -> tuple[str, int | None]:
    """The spec key for ``checkpoint_interval`` or ``validation_interval`` in this network, and its value; None where
    the spec has none."""
    keys = {} if base.contract.spec is None else base.contract.spec.keys
    key = keys.get(meaning, f"train.{meaning}")
    value = raw_values(base).get(key)
    return key, value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
