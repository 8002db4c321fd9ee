"""The models that a run of a chain takes from the runs before it: named by a stand-in when the chain is planned, filled
in when the run starts.

A run reads the newest model of its chain: the checkpoint of its training or pruning, its export, its engine. The plan
is fixed when the chain is launched; only the path of the model is put into it later.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.planning.inputs.argv import build_argv
from taorunner.planning.inputs.earlier_results import output_files, output_findings
from taorunner.planning.inputs.named_checkpoint import destination
from taorunner.planning.model.makers import MAKERS
from taorunner.planning.model.plan import Awaited, RunPlan
from taorunner.project.mounts import MountEntry, Mounts
from taorunner.values.value import replace

_UPSTREAM: Mapping[str, tuple[str, ...]] = {
    "checkpoint": (),
    "onnx_file": ("train", "prune"),
    "engine_file": ("train", "prune", "export"),
}
"""The actions that make what the value of an argument is made of."""
CHAIN_CODE = "chain"
"""Of errors in ``--then``."""
_STAND_INS = {
    "checkpoint": "CHECKPOINT-OF-THE-CHAIN",
    "onnx_file": "export/EXPORT-OF-THE-CHAIN.onnx",
    "engine_file": "gen_trt_engine/ENGINE-OF-THE-CHAIN.engine",
}
"""Below the results folder of the experiment."""


def awaited(
    contract: Contract, wanted: Collection[str], earlier: Sequence[str], results_inside: str
) -> tuple[Awaited, ...]:
    """What an action takes from the ``earlier`` actions of its chain. ``wanted`` are the values that it reads."""
    names = set(wanted)
    if "model" in names and not names & {"onnx_file", "engine_file"}:
        names.add("checkpoint")  # the model's name is that of the checkpoint
    if contract.action == "gen_trt_engine":
        names.discard("engine_file")  # it is written
    goes_to = destination(contract)
    found: list[Awaited] = []
    for argument in _STAND_INS:
        makers = MAKERS[argument]
        maker = _last_of(makers, earlier)
        if maker is None and _is_remade(argument, earlier):
            maker = makers[0]
        stand_in = f"{results_inside}/{_STAND_INS[argument]}"
        if maker is not None and argument in names:
            found.append(Awaited(maker, stand_in, argument))
        elif maker is not None and goes_to is not None and goes_to.role == argument:
            found.append(Awaited(maker, stand_in))
    return tuple(found)


def missing_links(action: str, awaits: Sequence[Awaited], earlier: Sequence[str]) -> Iterator[Finding]:
    """Errors for models that the chain does not make, or makes before what they are made of: old ones would be read.

    ``action`` is the reader's name as the network has it: ``deploy.evaluate``.
    """
    names = {maker: argument for argument in _STAND_INS for maker in MAKERS[argument]}
    for one in awaits:
        argument = one.argument or names[one.action]
        if _last_of(MAKERS[argument], earlier) is None or _is_remade(argument, earlier):
            message = f'"{action}" reads what {one.action} makes, and the chain has no {one.action} before it'
            behind = next(made for made in reversed(earlier) if made in _UPSTREAM[argument])
            hint = f"add {one.action} after {behind}: --then {one.action},{action}"
            yield Finding(Severity.ERROR, CHAIN_CODE, message, hint)


def _last_of(makers: Sequence[str], earlier: Sequence[str]) -> str | None:
    return next((action for action in reversed(earlier) if action in makers), None)


def _is_remade(argument: str, earlier: Sequence[str]) -> bool:
    """Whether the chain makes again, after the model, what the model is made of."""
    last = next((one for one in reversed(earlier) if one in (*MAKERS[argument], *_UPSTREAM[argument])), None)
    return last in _UPSTREAM[argument]


def is_odd(text: str) -> bool:
    """Whether a text has characters that a shell, a spec or TAO's command line could read as something else."""
    return re.fullmatch(r"[A-Za-z0-9._/+-]+", text) is None


def places(one: Awaited, results_inside: str) -> tuple[tuple[str, str], ...]:
    """Pairs of a text in a plan and what replaces it, in the order of replacement.

    The texts stand for the model itself, and for its name in the names of files that are made of it.
    """
    folder, name = PurePosixPath(results_inside), PurePosixPath(one.stand_in)
    whole = f"{folder.name}/{name.relative_to(folder)}"
    longer = ((f"{whole}.", f"{folder.name}/{{stem}}."),) if not name.suffix else ()
    return (*longer, (whole, f"{folder.name}/{{path}}"), (name.stem, "{stem}"))


def any_model(pattern: str) -> str:
    """A pattern of file names in which a model of the chain may have any name."""
    for stand_in in _STAND_INS.values():
        pattern = pattern.replace(PurePosixPath(stand_in).stem, "*")
    return pattern


def written_files(plan: RunPlan) -> list[Path]:
    """Files of this host that the action writes; their names may have stand-ins."""
    argv = build_argv(plan.contract, plan.arguments)
    return output_files(plan.contract, argv.values, _mounts(plan))


def filled(plan: RunPlan, models: Mapping[str, Path], *, has_begun: bool = False) -> RunPlan:
    """The plan with the files that its chain has made: ``models`` are paths of this host in the results, by stand-in.

    ``has_begun``: the action itself may have written its files by now.

    Raises:
        UserFilesError: the command line cannot be built, or the action would not overwrite a file that is there.
    """
    inside = {stand_in: path_inside(plan, path) for stand_in, path in models.items()}
    values = dict(plan.arguments.values)
    values.update({one.argument: inside[one.stand_in] for one in plan.awaits if one.argument is not None})
    contract, arguments = plan.contract, replace(plan.arguments, values=values)
    argv = build_argv(contract, arguments)
    outputs = output_findings(
        contract,
        argv.values,
        _mounts(plan),
        experiment=plan.experiment,
        overwrite=plan.overwrite or has_begun,
    )
    error = next((one for one in (*argv.findings, *outputs.findings) if one.is_error), None)
    if error is not None:
        raise UserFilesError(error.message, hint=error.hint)
    spec = plan.spec
    if spec is not None:
        spec = replace(spec, text=with_models(spec.text, inside))
    stems = {PurePosixPath(one).stem: PurePosixPath(path).stem for one, path in inside.items()}
    artifacts = tuple(with_models(one, {**inside, **stems}) for one in contract.verdict.artifacts)
    return replace(
        plan, argv=argv.tokens, arguments=arguments, spec=spec,
        set_aside=plan.set_aside if has_begun else outputs.set_aside,
        contract=replace(contract, verdict=replace(contract.verdict, artifacts=artifacts)), awaits=(),
        make_dirs=tuple(dict.fromkeys((*outputs.make_dirs, *plan.make_dirs))),
    )  # fmt: skip


def with_models(text: str, models: Mapping[str, str]) -> str:
    """``text`` with each stand-in replaced."""
    for stand_in, path in models.items():
        text = text.replace(stand_in, path)
    return text


def path_inside(plan: RunPlan, path: Path) -> str:
    return str(PurePosixPath(plan.results_inside) / path.relative_to(plan.results_dir).as_posix())


def _mounts(plan: RunPlan) -> Mounts:
    """The mounts of a plan; a process of this host sees every path as it is."""
    if not plan.mounts:
        return Mounts.identity()
    return Mounts(tuple(MountEntry(one.source, one.target, one.read_only) for one in plan.mounts))
