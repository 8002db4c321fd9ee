"""Finds earlier results that TAO would continue from, overwrite or fail on."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Protocol

from taorunner.catalog.network import Network
from taorunner.contracts import Contract, ResumeRule
from taorunner.errors import Finding, Severity
from taorunner.planning.checkpoints.checkpoint_files import (
    find_checkpoints,
    is_untrained,
    untrained_leftovers,
)
from taorunner.planning.inputs.argv import argument_names
from taorunner.planning.inputs.resume import resumable_files
from taorunner.planning.model.arguments import ArgumentValue
from taorunner.planning.model.request import command_of
from taorunner.project.clusters.far_place import FarPlace
from taorunner.project.mounts import Mounts
from taorunner.values.value import Value, replace


class EarlierResults(Value):
    """``set_aside`` is what is moved away before the start, ``make_dirs`` what the action expects to exist."""

    findings: tuple[Finding, ...] = ()
    set_aside: tuple[Path, ...] = ()
    make_dirs: tuple[Path, ...] = ()

    def on(self, place: FarPlace) -> EarlierResults:
        """What was found in the view of ``place``, with the paths that the files have there."""
        found, aside, made = self.findings, self.set_aside, self.make_dirs
        return EarlierResults(
            tuple(map(place.shown, found)), tuple(map(place.own, aside)), tuple(map(place.own, made))
        )


class Shows(Protocol):
    """Where this machine finds a path that the process sees."""

    def to_host(self, inside: str) -> Path | None: ...


class SeenMounts(Value):
    """Mounts of a far side: what they show is found in its view."""

    mounts: Mounts
    place: FarPlace

    def to_host(self, inside: str) -> Path | None:
        found = self.mounts.to_host(inside)
        return None if found is None else self.place.seen(found)


def earlier_results(
    contract: Contract,
    results: Path,
    values: Mapping[str, ArgumentValue],
    mounts: Shows,
    *,
    experiment: str,
    overwrite: bool,
    network: Network,
    spec_text: str = "",
) -> EarlierResults:
    """Training: checkpoints that are there. Export and pruning: the file to be written. Conversion: the records.

    Only what the action itself writes is in its way. ``spec_text`` is its rendered spec.
    """
    met = _met(contract, results, values, mounts, network, spec_text, overwrite=overwrite)
    return replace(met, findings=tuple(_with_hint(one, contract, experiment) for one in met.findings))


def output_files(contract: Contract, values: Mapping[str, ArgumentValue], mounts: Shows) -> list[Path]:
    """The models that an action writes to a place that its arguments name, as paths of this host."""
    if contract.action in ("inference", "inference_trt", "evaluate"):
        return []  # these read an engine
    named = (_host(values.get(name), mounts) for name in ("export_file", "pruned_file", "engine_file"))
    return [path for path in named if path is not None]


def output_findings(
    contract: Contract,
    values: Mapping[str, ArgumentValue],
    mounts: Shows,
    *,
    experiment: str,
    overwrite: bool,
) -> EarlierResults:
    """Of an action that writes one model: the file that is there already."""
    met = _outputs(contract, values, mounts, overwrite=overwrite)
    return replace(met, findings=tuple(_with_hint(one, contract, experiment) for one in met.findings))


def _with_hint(finding: Finding, contract: Contract, experiment: str) -> Finding:
    """With what to type, whichever command has met the results: not each has the options for it."""
    action = f"deploy.{contract.action}" if contract.group == "deploy" else contract.action
    afresh = f"taorunner {command_of(action)} {experiment} --overwrite sets the earlier ones aside"
    hint = f"{afresh} (nothing is deleted)"
    if finding.code == "results-exist" and contract.checkpoints.resume is not ResumeRule.NONE:
        hint = f"taorunner resume {experiment} continues from the newest one; {hint}"
    return replace(finding, hint=hint)


def _met(
    contract: Contract,
    results: Path,
    values: Mapping[str, ArgumentValue],
    mounts: Shows,
    network: Network,
    spec_text: str,
    *,
    overwrite: bool,
) -> EarlierResults:
    """Findings have no hint yet, as in all below."""
    if contract.action == "train":
        return _training(contract, results, network, overwrite=overwrite)
    records = values.get("tfrecords_prefix")
    if contract.action in ("dataset_convert", "convert") and isinstance(records, str):
        tag, tagged = values.get("record_tag"), _host(records, mounts)
        if isinstance(tag, str) and tagged is not None:
            return _tagged_conversion(tagged, tag, overwrite=overwrite)
        folder = _host(str(PurePosixPath(records).parent), mounts)
        if folder is not None and _writes_records(contract, records, spec_text):
            return _conversion(folder, overwrite=overwrite)
    return _outputs(contract, values, mounts, overwrite=overwrite)


def _outputs(
    contract: Contract, values: Mapping[str, ArgumentValue], mounts: Shows, *, overwrite: bool
) -> EarlierResults:
    written = output_files(contract, values, mounts)
    folders = tuple(path.parent for path in written)
    there = tuple(path for path in written if path.exists())
    if there and not overwrite:
        message = f"{there[0]} exists, and {contract.network} {contract.action} does not overwrite it"
        return EarlierResults((_error("output-exists", message),), make_dirs=folders)
    return EarlierResults(set_aside=there, make_dirs=folders)


def holds_training(contract: Contract, results: Path) -> bool:
    """Whether another training into ``results`` is refused without ``--overwrite``."""
    try:
        return results.is_dir() and bool(_earlier_checkpoints(contract, results))
    except OSError:
        return True


def _training(contract: Contract, results: Path, network: Network, *, overwrite: bool) -> EarlierResults:
    try:
        checkpoints = _earlier_checkpoints(contract, results) if results.is_dir() else []
        own = results_of_training(contract, results, network) if overwrite and results.is_dir() else ()
    except OSError as error:
        return EarlierResults((_error("results-unreadable", f"{results} cannot be read: {error.strerror}"),))
    if overwrite:
        return EarlierResults(set_aside=own)
    if checkpoints:
        count = "a checkpoint" if len(checkpoints) == 1 else f"{len(checkpoints)} checkpoints"
        message = f"{results} already holds {count} of an earlier training"
        if contract.checkpoints.resume is ResumeRule.AUTO:
            message += ", which TAO would silently resume from"
        return EarlierResults((_error("results-exist", message),))
    # A failed start left weights of step 0, which TAO would resume from.
    return EarlierResults(set_aside=untrained_leftovers(results, contract.checkpoints))


def results_of_training(contract: Contract, results: Path, network: Network) -> tuple[Path, ...]:
    """The parts of the experiment's results that training wrote: the whole folder, or some of its entries.

    Where training has a folder of its own, that and what the contract names besides. Else all but the folders of the
    other actions: records of a conversion (``dataset_convert/``), exported models, evaluations.
    """
    entries = sorted(results.iterdir())
    if contract.results_subdir:
        names = _first_parts(contract)
        own = [entry for entry in entries if any(fnmatchcase(entry.name, name) for name in names)]
    else:
        others = _folders_of_other_actions(contract, network)
        own = [entry for entry in entries if entry.name not in others]
    return (results,) if own == entries and own else tuple(own)


def _first_parts(contract: Contract) -> set[str]:
    """Names, some with wildcards, of what the action writes directly in the results folder."""
    known = contract.checkpoints
    paths = [contract.results_subdir, *known.globs, *known.resume_globs, known.latest or ""]
    paths += (*contract.progress.status_files, *contract.progress.result_files)
    return {PurePosixPath(path).parts[0] for path in paths if path}


def _folders_of_other_actions(contract: Contract, network: Network) -> set[str]:
    folders: set[str] = set()
    for name in network.actions(contract.release):
        action = name.rpartition(".")[2]
        if action != contract.action:
            folders |= {action, f"trt_{action}"}
    for other in network.contracts(contract.release).values():
        if other.action != contract.action:
            parts = [other.results_subdir, *other.value_forms.values()]
            folders |= {PurePosixPath(path).parts[0] for path in parts if path}
    return folders


def _writes_records(contract: Contract, prefix: str, spec_text: str) -> bool:
    """Whether the conversion is given the folder of the records: some write into their results folder only."""
    is_argument = any("tfrecords_prefix" in argument_names(argument) for argument in contract.arguments)
    return is_argument or str(PurePosixPath(prefix).parent) in spec_text


def _earlier_checkpoints(contract: Contract, results: Path) -> set[Path]:
    """Also files that TAO would silently resume from, although no whole checkpoint exists."""
    found = {
        *find_checkpoints(results, contract.checkpoints),
        *resumable_files(results, contract.checkpoints),
    }
    if found or contract.checkpoints.latest is None:
        return found
    latest = results / contract.checkpoints.latest
    return {latest} if latest.exists() and not is_untrained(latest, contract.checkpoints) else found


def _conversion(folder: Path, *, overwrite: bool) -> EarlierResults:
    """Old records beside new ones would be read as well, and stale index files are not built again.

    Source: tao/tensorflow.md section 7.
    """
    is_used = folder.is_dir() and any(folder.iterdir())
    if is_used and not overwrite:
        return EarlierResults((_error("output-exists", f"{folder} already holds converted records"),))
    return EarlierResults(set_aside=(folder,) if is_used else (), make_dirs=(folder,))


def _tagged_conversion(folder: Path, tag: str, *, overwrite: bool) -> EarlierResults:
    """Each subset is converted by a run of its own into one folder: only records of the same name are in the way."""
    there = tuple(sorted(folder.glob(f"{escape(tag)}-*-of-*"))) if folder.is_dir() else ()
    if there and not overwrite:
        return EarlierResults((_error("output-exists", f'{folder} already holds records of "{tag}"'),))
    return EarlierResults(set_aside=there, make_dirs=(folder.parent,))


def _error(code: str, message: str) -> Finding:
    return Finding(Severity.ERROR, code, message)


def _host(value: ArgumentValue | None, mounts: Shows) -> Path | None:
    return mounts.to_host(value) if isinstance(value, str) else None
