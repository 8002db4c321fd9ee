"""What lies in the way of a run: earlier results that TAO would continue, overwrite or stumble over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from taorunner.contracts import Contract, ResumeRule
from taorunner.errors import Finding, Severity
from taorunner.planning.arguments import Value
from taorunner.planning.resume import resumable_files
from taorunner.planning.weights import find_checkpoints
from taorunner.project.mounts import Mounts

_AFRESH = "--overwrite moves the earlier ones aside (nothing is deleted) and starts afresh"


@dataclass(frozen=True, slots=True)
class EarlierResults:
    """``set_aside`` is what ``--overwrite`` moves away, ``make_dirs`` what the action expects to exist."""

    findings: tuple[Finding, ...] = ()
    set_aside: tuple[Path, ...] = ()
    make_dirs: tuple[Path, ...] = ()


def earlier_results(
    contract: Contract, results: Path, values: Mapping[str, Value], mounts: Mounts, *, experiment: str, overwrite: bool
) -> EarlierResults:  # fmt: skip
    """Training: checkpoints that are there. Export and pruning: the file to be written. Conversion: the records."""
    if contract.action == "train":
        return _training(contract, results, experiment, overwrite=overwrite)
    written = [_host(values.get(name), mounts) for name in ("export_file", "pruned_file", "engine_file")]
    if contract.action in ("inference", "inference_trt", "evaluate"):
        written = []  # these read an engine
    folders = tuple(path.parent for path in written if path is not None)
    records = _host(values.get("tfrecords_prefix"), mounts)
    if contract.action in ("dataset_convert", "convert") and records is not None:
        return _conversion(records.parent, overwrite=overwrite)
    there = tuple(path for path in written if path is not None and path.exists())
    if there and not overwrite:
        message = f"{there[0]} exists, and {contract.network} {contract.action} does not write over it"
        return EarlierResults((_error("output-exists", message),), make_dirs=folders)
    return EarlierResults(set_aside=there, make_dirs=folders)


def _training(contract: Contract, results: Path, experiment: str, *, overwrite: bool) -> EarlierResults:
    try:
        checkpoints = _earlier_checkpoints(contract, results) if results.is_dir() else []
        is_used = results.is_dir() and any(results.iterdir())
    except OSError as error:
        return EarlierResults((_error("results-unreadable", f"{results} cannot be read: {error.strerror}"),))
    if overwrite:
        return EarlierResults(set_aside=(results,) if is_used else ())
    if checkpoints:
        count = "a checkpoint" if len(checkpoints) == 1 else f"{len(checkpoints)} checkpoints"
        message = f"{results} already holds {count} of an earlier training"
        if contract.checkpoints.resume is ResumeRule.AUTO:
            message += ", which TAO itself would go on from without a word"
        hint = _AFRESH
        if contract.checkpoints.resume is not ResumeRule.NONE:
            hint = f"--resume (or taorunner resume {experiment}) goes on from the newest one; {_AFRESH}"
        return EarlierResults((Finding(Severity.ERROR, "results-exist", message, hint),))
    return EarlierResults()


def _earlier_checkpoints(contract: Contract, results: Path) -> set[Path]:
    """Also what TAO would silently go on from although no whole checkpoint is there."""
    found = {
        *find_checkpoints(results, contract.checkpoints),
        *resumable_files(results, contract.checkpoints),
    }
    latest = contract.checkpoints.latest
    return found | (
        {results / latest} if latest is not None and not found and (results / latest).exists() else set()
    )


def _conversion(folder: Path, *, overwrite: bool) -> EarlierResults:
    """Old records beside new ones would be read as well, and stale index files are not built again.

    Source: tao/tensorflow.md section 7.
    """
    is_used = folder.is_dir() and any(folder.iterdir())
    if is_used and not overwrite:
        return EarlierResults((_error("output-exists", f"{folder} already holds converted records"),))
    return EarlierResults(set_aside=(folder,) if is_used else (), make_dirs=(folder,))


def _error(code: str, message: str) -> Finding:
    return Finding(Severity.ERROR, code, message, _AFRESH)


def _host(value: Value | None, mounts: Mounts) -> Path | None:
    return mounts.to_host(value) if isinstance(value, str) else None
