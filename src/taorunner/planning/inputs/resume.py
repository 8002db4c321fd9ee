"""Resumes a training: selects the checkpoint, and changes the plan so that TAO continues from that one.

Each framework has its own way (``ResumeRule``): an argument, a key of the spec, or automatically, whenever the results
folder holds a checkpoint. The plan of a fresh training becomes that of a resumed one; nothing is written. Source:
tao/tensorflow.md sections 4.1 and 5.1, tao/pytorch.md section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from taorunner.catalog.knobs import choices_of
from taorunner.contained_files import matches
from taorunner.contracts import CheckpointContract, Contract, EpochMark, ResumeRule
from taorunner.errors import Finding, Severity
from taorunner.planning.checkpoints.checkpoint_files import (
    epoch_of,
    find_checkpoints,
    is_moving_average,
    is_untrained,
    newest_whole,
    untrained_leftovers,
)
from taorunner.planning.inputs.argv import argument_names, build_argv
from taorunner.planning.model.plan import ResumePoint, RunPlan
from taorunner.progress.file_wholeness import is_torn
from taorunner.progress.status_json import StatusReader
from taorunner.project.clusters.far_place import far_place, seen_results
from taorunner.specs.editing import yaml_edit
from taorunner.specs.syntax.literals import proto_value
from taorunner.specs.syntax.prototxt_parser import parse_prototxt
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.values.value import Value, replace


class NoResume(Value):
    """Why the training cannot be resumed. ``is_complete``: the newest checkpoint is already at the last epoch."""

    finding: Finding
    is_complete: bool = False


def results_seen_by(plan: RunPlan) -> Path:
    """The folder in which this machine finds what is known of the results of ``plan``."""
    return seen_results(plan.workspace, plan.backend, plan.backend_options, plan.results_dir)


def resumed(plan: RunPlan) -> RunPlan | NoResume:
    """The plan that resumes the training of ``plan`` from its results. ``plan`` may itself be a resumed one."""
    place = far_place(plan.workspace, plan.backend, plan.backend_options)
    if place is None:
        return _resumed(plan)
    found = _resumed(replace(plan, results_dir=place.seen(plan.results_dir)))
    if isinstance(found, NoResume):
        return replace(found, finding=place.shown(found.finding))
    point = found.resume
    if point is not None:
        point = replace(point, checkpoint=place.own(point.checkpoint))
    return replace(found, results_dir=plan.results_dir, resume=point)


def _resumed(plan: RunPlan) -> RunPlan | NoResume:
    contract = plan.contract
    rule = contract.checkpoints.resume
    if contract.action != "train" or rule is ResumeRule.NONE:
        return _refusal(
            "no-resume",
            f'{contract.network} {contract.action} cannot be resumed',
            f"taorunner train {plan.experiment} --overwrite sets the earlier results aside and starts afresh",
        )  # fmt: skip
    point = find_resume_point(contract, plan.results_dir)
    if point is None:
        known = contract.checkpoints
        is_in_the_way = find_checkpoints(plan.results_dir, known) or resumable_files(plan.results_dir, known)
        return _refusal(
            "nothing-to-resume",
            f"there is no checkpoint to resume from: {_lack(contract, plan.results_dir)}",
            f"taorunner train {plan.experiment}{' --overwrite' if is_in_the_way else ''} starts from the beginning",
        )
    if plan.epochs is not None and point.next_epoch > plan.epochs:
        refusal = _refusal(
            "already-trained",
            f'nothing is left to train: {point.checkpoint.name} is of epoch {point.epoch} of {plan.epochs}',
            _with_more_epochs(plan, point),
        )  # fmt: skip
        return replace(refusal, is_complete=True)
    return _with_checkpoint(replace(plan, resume=point, set_aside=(), overwrite=False), point)


def _with_more_epochs(plan: RunPlan, point: ResumePoint) -> str:
    """What to type to train for as many epochs again, or to start afresh."""
    afresh = f"taorunner train {plan.experiment} --overwrite starts afresh"
    more = point.epoch + max(plan.epochs or 1, 1)
    key = (plan.contract.spec.keys if plan.contract.spec is not None else {}).get("epochs")
    if choices_of(plan.contract, "epochs"):
        option = f"--epochs {more}"
    elif key is not None:
        option = f"--set {key}={more}"
    else:
        return afresh
    return f"taorunner resume {plan.experiment} {option} trains to epoch {more}, {afresh}"


def find_resume_point(contract: Contract, results: Path) -> ResumePoint | None:
    """The newest full checkpoint: never a teacher's or averaged (EMA) weights, a pretrained, untrained or torn file."""
    checkpoints = contract.checkpoints
    found: dict[Path, tuple[int, float]] = {}
    for path in resumable_files(results, checkpoints):
        epoch, stat = epoch_of(path, checkpoints), path.stat()
        if epoch is not None and (stat.st_size or path.is_dir()):
            found[path] = (epoch, stat.st_mtime)
    chosen = newest_whole(sorted(found, key=lambda path: found[path]), results, checkpoints)
    if chosen is None:
        return None
    epoch = found[chosen][0]
    return ResumePoint(chosen, epoch, is_partial=_completed_epochs(contract, results) == epoch - 1)


def resumable_files(results: Path, checkpoints: CheckpointContract) -> list[Path]:
    """Files (for some networks folders) of the results that TAO could resume from, unordered."""
    globs = checkpoints.resume_globs or checkpoints.globs
    is_directory = checkpoints.is_directory and not checkpoints.resume_globs
    return [
        path
        for pattern in globs
        for path in matches(results, pattern)
        if not path.is_symlink()
        and path.is_dir() == is_directory
        and not is_untrained(path, checkpoints)
        and not is_moving_average(path, checkpoints)
    ]


def _lack(contract: Contract, results: Path) -> str:
    """The reason why no file of the results can be resumed from."""
    files = [path for path in resumable_files(results, contract.checkpoints) if is_torn(path)]
    if files:
        return f"{max(files)} was cut off while it was written"
    if leftovers := untrained_leftovers(results, contract.checkpoints):
        return f"{leftovers[0]} is untrained, TAO wrote it before the first step"
    return f"{results} holds no full checkpoint"


def _completed_epochs(contract: Contract, results: Path) -> int | None:
    """The last completed epoch in status.json; a later checkpoint was written within an epoch.

    Records without any epoch mean that none was completed; None is for a folder without records.
    """
    progress = contract.progress
    if progress.epoch_mark is not EpochMark.END or progress.epoch_is_iteration:
        return None
    last: int | None = None
    for name in progress.status_files:
        for record in StatusReader(results / name, root=results).read_new(last=True):
            if record.epoch is not None:
                last = record.epoch + 1 - progress.first_epoch
            elif last is None:
                last = 0
    return last


def _with_checkpoint(plan: RunPlan, point: ResumePoint) -> RunPlan | NoResume:
    """The same plan with the checkpoint in argv or in the spec, where this network reads it."""
    contract = plan.contract
    inside = _inside(plan, point.checkpoint)
    named = {name for argument in contract.arguments for name in argument_names(argument)}
    values = dict(plan.arguments.values)
    values["resume_checkpoint"], values["initial_epoch"] = inside, str(point.epoch + 1)
    argv = build_argv(contract, replace(plan.arguments, values=values))
    error = next((finding for finding in argv.findings if finding.is_error), None)
    if error is not None:
        return NoResume(error)
    plan = replace(plan, argv=argv.tokens)
    key = _spec_key(contract, named)
    if key is None or plan.spec is None or contract.spec is None:
        return plan
    try:
        text = _set(plan.spec.text, contract.spec.format, key, inside)
    except SpecProblemError as problem:
        return NoResume(problem.to_finding())
    return replace(plan, spec=replace(plan.spec, text=text))


def _spec_key(contract: Contract, named: Iterable[str]) -> str | None:
    """The key that names the checkpoint. Where only the epoch is an argument, the weights' own key does."""
    keys: Mapping[str, str] = contract.spec.keys if contract.spec else {}
    rule = contract.checkpoints.resume
    if rule is ResumeRule.SPEC_KEY:
        return keys.get("resume")
    if rule is ResumeRule.ARGUMENT and "resume_checkpoint" not in named:
        return keys.get("pretrained")
    return None


def _set(text: str, spec_format: str, key: str, value: str) -> str:
    """In protobuf text a block at the end: of a field given twice, and of those that exclude each other, the last wins.

    Source: tao/tensorflow.md section 4.1, "Templating facts".
    """
    if spec_format == "yaml":
        return yaml_edit.set_value(text, key, value)
    *blocks, field = key.split(".")
    line = f"{field}: {proto_value(value)}"
    for block in reversed(blocks):
        line = f"{block} {{ {line} }}"
    written = f"{text.rstrip()}\n{line}\n"
    parse_prototxt(written)
    return written


def _inside(plan: RunPlan, path: Path) -> str:
    return str(PurePosixPath(plan.results_inside) / path.relative_to(plan.results_dir).as_posix())


def _refusal(code: str, message: str, hint: str) -> NoResume:
    return NoResume(Finding(Severity.ERROR, code, message, hint))
