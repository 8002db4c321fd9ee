"""``--keep-checkpoints``: which checkpoints of a training are old, and their removal.

The best one, those that TAO keeps as the best, the newest ones and the one that a training would resume from always
stay. Only regular files that the catalog names as checkpoints are removed, and folders are opened one by one, so no
link leads out of the results: what is there was written by a container.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from pathlib import Path

from taorunner.contained_files import remove_regular_file
from taorunner.contracts import CheckpointContract
from taorunner.errors import UsageError
from taorunner.planning.checkpoints.checkpoint_files import epoch_of, whole_checkpoints
from taorunner.planning.model.epoch_scores import EpochScores
from taorunner.values.value import Value

_RULE = re.compile(r"(last|best):([1-9][0-9]{0,3})\Z")


class KeepRule(Value):
    """Keep the ``count`` newest checkpoints, or with ``is_best`` those of the ``count`` best epochs."""

    count: int
    is_best: bool = False

    @property
    def text(self) -> str:
        return f"{'best' if self.is_best else 'last'}:{self.count}"


class OldCheckpoint(Value):
    """A checkpoint that a rule does not keep, and its size."""

    path: Path
    bytes: int


def parse_keep_rule(text: str) -> KeepRule:
    """``last:3`` or ``best:3``. Raises UsageError for anything else."""
    match = _RULE.match(text.strip())
    if match is None:
        raise UsageError(
            f'--keep-checkpoints takes last:N or best:N, not "{text}"',
            hint="for example --keep-checkpoints last:3",
        )
    return KeepRule(int(match[2]), match[1] == "best")


def old_checkpoints(
    checkpoints: Sequence[Path], results: Path, contract: CheckpointContract, rule: KeepRule,
    measured: EpochScores | None, *, resumed_from: Path | None = None, is_running: bool = False,
) -> list[OldCheckpoint]:  # fmt: skip
    """What the rule does not keep, oldest epoch first. Raises OSError when the results cannot be read.

    ``checkpoints`` are all that ``find_checkpoints`` found in the results.
    ``is_running``: the newest may not be complete and the last epochs may not be measured, so more is kept. Without
    ``measured`` no epoch is better than another, and ``best:N`` keeps everything.
    """
    found = [path for path in checkpoints if not path.is_dir()]
    by_epoch = {path: epoch_of(path, contract) for path in found}
    epochs = {epoch for epoch in by_epoch.values() if epoch is not None}
    ranked = measured.ranked(epochs) if measured is not None else []
    keep = {*found[-2:]} if is_running else {*found[-1:]}
    keep |= set(whole_checkpoints(found)[-1:])
    if resumed_from is not None:
        keep.add(resumed_from)
    if contract.latest is not None and (results / contract.latest).is_symlink():
        aimed = (results / contract.latest).resolve()
        keep |= {path for path in found if path.resolve() == aimed}
    if contract.best_pattern is not None:  # TAO replaces them itself
        keep |= {path for path in found if re.search(contract.best_pattern, path.name)}
    best = set(ranked[: rule.count if rule.is_best else 1])
    keep |= {path for path, epoch in by_epoch.items() if epoch in best}
    if not rule.is_best:
        # an epoch may have two files: the weights and their moving average
        newest = sorted(epochs)[-rule.count :]
        keep |= {*found[-rule.count :], *(path for path, epoch in by_epoch.items() if epoch in newest)}
    elif not ranked:
        keep |= set(found)
    elif is_running:
        keep |= {path for path, epoch in by_epoch.items() if epoch not in ranked}
    old: list[OldCheckpoint] = []
    for path in found:
        facts = path.lstat()
        if path not in keep and stat.S_ISREG(facts.st_mode):
            old.append(OldCheckpoint(path, facts.st_size))
    return old


def remove_checkpoint(results: Path, path: Path) -> bool:
    """Removes one. False for one that is gone, or no regular file any more.

    Raises:
        OSError: it cannot be removed.
    """
    return remove_regular_file(results, path)
