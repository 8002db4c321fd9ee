"""Maps ``--checkpoint`` to an argument of the action or a key of its spec. Refuses it where neither exists.

A training starts from the checkpoint; every other action works on it. The contract names the argument or key. Weights
must never be ignored silently: the training would start from scratch and still succeed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from taorunner.contained_files import files_below
from taorunner.contracts import Contract, Framework, ResumeRule, SpecContract
from taorunner.errors import Finding, Severity
from taorunner.planning.checkpoints.checkpoint_files import PRETRAINED_SUFFIXES, checkpoints_of
from taorunner.planning.inputs.argv import argument_names, given_by_hand
from taorunner.progress.file_wholeness import is_torn
from taorunner.specs.spec_file import PreparedSpec, read_value
from taorunner.text import nearest
from taorunner.values.value import Value

_READ = ("checkpoint", "onnx_file", "engine_file")
UNKNOWN = "unknown-checkpoint"
"""The code of a name that no checkpoint has: ``--force`` does not pass it, and the command has to be typed again."""


class Destination(Value):
    """``argument`` is a name of ``argv.VALUES``; without one the weights go into the spec, into the key of ``role``."""

    argument: str | None = None
    role: str | None = None


class NamedWeights(Value):
    """``named`` as it was typed, ``path`` as the process sees it, ``role`` of the key (``SpecContract.keys``)."""

    named: str
    path: str
    role: str


def destination(contract: Contract) -> Destination | None:
    """None where the action reads no weights that one could name."""
    named = {name for argument in contract.arguments for name in argument_names(argument)}
    is_training = contract.action == "train"
    for name in ("pretrained",) if is_training else _READ:
        is_written = name == "engine_file" and contract.action == "gen_trt_engine"
        if name in named and not is_written:
            return Destination(argument=name)
    role = "pretrained" if is_training else "checkpoint"
    in_spec = contract.spec is not None and role in contract.spec.keys
    return Destination(role=role) if in_spec else None


def not_read(contract: Contract, named: str) -> Finding:
    """The finding where there is no ``destination``."""
    if contract.action != "train":
        message = f'{contract.network} {contract.action} reads no checkpoint: "{named}" would be ignored'
        return Finding(Severity.ERROR, "checkpoint-not-read", message, "leave --checkpoint out", typed=True)
    hint = "leave --checkpoint out"
    if contract.checkpoints.resume is not ResumeRule.NONE:
        hint += "; resume, a command of its own, continues from the newest checkpoint of the experiment"
    message = f'{contract.network} train does not read --checkpoint: "{named}" would be ignored'
    return Finding(Severity.ERROR, "checkpoint-not-read", message, hint, typed=True)


def find_named(
    contract: Contract, training: Contract, results: Path, named: str, experiment: str
) -> tuple[Path | None, Finding | None]:
    """The file that ``--checkpoint`` names: by its path, which may start at the current folder, or in the results.

    A bare name is that of a file of the results, if there is one. ``training`` is the contract of the network's
    training, which says what a checkpoint is.
    """
    from_here = Path.cwd() / named
    is_path_from_here = "/" in named and named.strip("./") != "" and from_here.exists()
    known = checkpoints_of(results, training.checkpoints)
    path, problem = known.choose(str(from_here) if is_path_from_here else named, shown=named)
    if path is None and named.strip("./") and not is_path_from_here and from_here.exists():
        path, problem = known.choose(str(from_here), shown=named)
    if path is None:
        is_known = known.has(named)
        names = known.names
        hint = listed(named, names, ("best", "latest")) if names else f"taorunner train {experiment}"
        if contract.action == "train" and "did you mean" not in hint:
            hint = f"give the path of a file{'; ' + hint if names else ''}"
        code = "checkpoint-missing" if is_known else UNKNOWN
        message = problem or f'there is no file "{named}"'
        return None, Finding(Severity.ERROR, code, message, hint, typed=not is_known)
    may_be_folder = training.checkpoints.is_directory or (
        contract.action == "train" and contract.framework is Framework.TF2
    )
    if path.is_dir() and not may_be_folder:
        message = f'"{named}" is a folder ({path}), and {contract.network} {contract.action} reads a file'
        hint = f'name a file: ls "{path}"'
        return None, Finding(Severity.ERROR, "checkpoint-folder", message, hint, typed=True)
    return path, None


def listed(named: str, names: Sequence[str], words: Sequence[str] = ()) -> str:
    """The hint for a name that none of ``names`` is: the nearest of them or of ``words``, and those there are."""
    close = nearest(named, [*words, *names, *(name.partition(".")[0] for name in names)])
    there = f"there are: {', '.join(names[-5:])}"
    return f'did you mean "{close}"? {there}' if close is not None else there


def find_built(
    folder: Path, suffixes: tuple[str, ...], named: str, *, is_typed: bool
) -> tuple[Path | None, Finding | None]:
    """An exported model or an engine: by its path, by its name, or by the name of the checkpoint it was made of.

    ``is_typed``: ``named`` was typed; without it, it is the name of a checkpoint that was chosen.
    """
    for path in (folder / named, Path.cwd() / named):
        if named and path.is_file() and path.name.endswith(suffixes):
            return (None, _torn(named)) if is_torn(path) else (path, None)
    found = sorted(path for path in files_below(folder.parent, folder) if path.name.endswith(suffixes))
    stem = Path(named).stem if Path(named).suffix in PRETRAINED_SUFFIXES else Path(named).name
    fitting = [path for path in found if stem and stem in (path.stem, path.name)]
    whole = [path for path in fitting if not is_torn(path)]
    if fitting:
        return (whole[-1], None) if whole else (None, _torn(fitting[-1].name))
    names = [path.name for path in found]
    hint = listed(named, names) if found else f"{folder} holds none: another action writes them"
    message = f'there is no {suffixes[0]} file "{named}" in {folder}'
    code = UNKNOWN if is_typed else "checkpoint-missing"
    return None, Finding(Severity.ERROR, code, message, hint, typed=is_typed)


def _torn(name: str) -> Finding:
    message = f'the file "{name}" is incomplete: it was cut off while it was written'
    return Finding(
        Severity.ERROR, "checkpoint-missing", message, "make it again: the disk may have been full"
    )


def spec_key(spec: SpecContract, role: str, prepared: PreparedSpec, sets: Mapping[str, str]) -> str | None:
    """The key of the rendered spec that TAO reads. None where this spec reads none (``pretrained_when``)."""
    if role == "pretrained":
        for condition, key in spec.pretrained_when.items():
            asked, _, value = condition.partition("=")
            if str(sets.get(asked, read_value(prepared, asked))) == value:
                return key or None
    return spec.keys.get(role)


def given_twice(
    contract: Contract, argument: str | None, key: str | None, typed: Sequence[str]
) -> Finding | None:
    """``--checkpoint`` together with an option or key of the user for the same weights. ``typed`` are tokens of
    ``--set`` and those behind ``--``."""
    found = given_by_hand(contract, argument, typed) if argument is not None else None
    if key is not None:
        found = next(
            (token for token in typed if _key_of(token) == key or key.startswith(f"{_key_of(token)}.")), None
        )
    if found is None:
        return None
    name = found.partition("=")[0]
    message = f'"{name}" and --checkpoint both name the weights of {contract.network} {contract.action}'
    return Finding(Severity.ERROR, "checkpoint-twice", message, "leave one of the two out", typed=True)


def _key_of(token: str) -> str:
    return token.partition("=")[0].lstrip("+")
