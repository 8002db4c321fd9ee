"""``--checkpoint best``, ``latest`` and ``epoch=N``: which checkpoint of the results that is, and why.

A file that was cut off is never chosen. Reads the file system, changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity, UsageError
from taorunner.planning.checkpoints.checkpoint_files import checkpoints_of, epoch_of
from taorunner.planning.model.epoch_scores import EpochScores, Scores
from taorunner.values.value import Value

_EPOCH = re.compile(r"epoch=([0-9]{1,9})\Z")
_SHOWN_EPOCHS = 12


class Choice(Value):
    """``path`` is None after an error. ``reason`` says in a few words why it is this one."""

    path: Path | None
    reason: str = ""
    findings: tuple[Finding, ...] = ()


def is_choice(named: str) -> bool:
    """Whether this says which checkpoint is meant, rather than naming a file: ``./best`` is a file."""
    return named in ("best", "latest") or named.startswith("epoch=")


def check_choice(named: str) -> None:
    """Raises UsageError for ``epoch=`` without a number."""
    match = _EPOCH.match(named)
    if named.startswith("epoch=") and (match is None or int(match[1]) == 0):
        raise UsageError(f'"{named}" names no epoch', hint="write its number from 1: --checkpoint epoch=12")


def chosen_checkpoint(
    training: Contract, results: Path, named: str, experiment: str, scores: Scores
) -> Choice:
    """``training`` is the contract of the network's training, ``named`` one for which ``is_choice`` holds."""
    contract = training.checkpoints
    if not contract.globs:
        why = training.unknown.get("checkpoints", "the catalog does not say")
        return _refused(
            f"which files of {training.network} are checkpoints is not known: {why}",
            "name a file: --checkpoint FILE",
            typed=True,
        )
    known = checkpoints_of(results, contract)
    if named == "latest":
        path, problem = known.choose(None)
        if path is None:
            return _refused(problem or "there is no checkpoint", f"taorunner train {experiment}")
        epoch = epoch_of(path, contract)
        reason = "the newest whole checkpoint" + (f", of epoch {epoch}" if epoch is not None else "")
        return Choice(path, reason, tuple(known.torn_findings(path)))
    whole = {epoch: path for path in known.whole if (epoch := epoch_of(path, contract)) is not None}
    if not whole:
        _, problem = known.choose(None)
        message = problem or f"no name of a checkpoint in {results} has its epoch"
        return _refused(
            message, f"taorunner train {experiment}" if problem else "name a file: --checkpoint FILE"
        )
    match = _EPOCH.match(named)
    if match is not None:
        torn = [path for path in known.found if epoch_of(path, contract) == int(match[1])]
        return _of_epoch(int(match[1]), whole, torn, results)
    return _best(training, whole, scores(experiment), experiment)


def _of_epoch(epoch: int, whole: dict[int, Path], written: list[Path], results: Path) -> Choice:
    if epoch in whole:
        return Choice(whole[epoch], f"epoch {epoch}")
    message = f"there is no checkpoint of epoch {epoch} in {results}"
    hint = f"there are those of epoch {_listed(whole)}"
    if written:
        message = f'the checkpoint "{written[-1].name}" is incomplete: it was cut off while it was written'
        return _refused(message, hint)
    return _refused(message, hint, "unknown-checkpoint", typed=True)


def _best(training: Contract, whole: dict[int, Path], scores: EpochScores | None, experiment: str) -> Choice:
    instead = f"--checkpoint latest, or epoch=N with {_listed(whole)}"
    if scores is None or not scores.names:
        return _refused(
            f'no run on record has a metric of the training of "{experiment}"', instead, "no-best", typed=True
        )
    if scores.metric is None:
        names = ", ".join(scores.names[:4])
        message = f'"best" has no meaning here: no direction is known for the metrics of {training.network} ({names})'
        return _refused(message, instead, "no-best", typed=True)
    epoch = scores.best_of(set(whole))
    if epoch is None:
        message = (
            f"no checkpoint that is there is of an epoch with {scores.metric}: there are {_listed(whole)}"
        )
        return _refused(message, instead, "no-best", typed=True)
    reason = f"best {scores.metric} {scores.values[epoch]:.4g}, epoch {epoch}"
    top = scores.best_of(set(scores.values))
    if top is not None and scores.values[top] != scores.values[epoch]:
        reason += f" ({scores.values[top]:.4g} at epoch {top}, which has no whole checkpoint)"
    return Choice(whole[epoch], reason)


def _listed(epochs: Iterable[int]) -> str:
    """``1, 2, 3``; of many the first ones and the last: ``1, 2, … 80``."""
    known = sorted(epochs)
    if len(known) <= _SHOWN_EPOCHS:
        return ", ".join(map(str, known))
    return f"{', '.join(map(str, known[: _SHOWN_EPOCHS - 1]))}, … {known[-1]}"


def _refused(message: str, hint: str, code: str = "checkpoint-missing", *, typed: bool = False) -> Choice:
    return Choice(None, findings=(Finding(Severity.ERROR, code, message, hint, typed=typed),))
