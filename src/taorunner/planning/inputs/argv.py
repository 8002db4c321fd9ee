"""Builds the argument list of an action. Pure: a contract and values in, tokens and findings out.

The contract (``catalog``) lists the pieces. This module fills them in, omits optional pieces whose value is unknown,
and reports values that are missing, reserved or unsafe. It never quotes: no quoting survives all of TAO's entry points,
so a value that a shell inside the container would change is refused. The one escape is that of ``=`` in a Hydra value
(``dino_model_epoch=011.pth``), which every entry point resolves correctly. Source: tao/tensorflow.md section 2.2,
tao/pytorch.md section 2 ("quoting trap").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from taorunner.contracts import Argument, Contract, OverrideSyntax
from taorunner.errors import Finding, Severity
from taorunner.planning.model.arguments import ArgumentValue, ArgumentValues
from taorunner.values.value import Value


class ValueMeaning(Value):
    """The meaning of a name in a contract's arguments. ``hint`` is the next step when it is unknown.

    ``reserved``: set by taorunner only. Passed by hand, it is an error that names the right setting.
    ``from_vars``: an entry of that name in the experiment's ``vars`` gives the value. ``reads``: the action reads it;
    ``file``, or ``any`` for a folder or one file.
    """

    text: str
    hint: str
    reserved: bool = False
    from_vars: bool = False
    reads: str = ""


def _var(name: str, text: str, reads: str = "") -> ValueMeaning:
    hint = f"set {name} in vars of the experiment (a path inside the container)"
    return ValueMeaning(text, hint, from_vars=True, reads=reads)


VALUES: Mapping[str, ValueMeaning] = {
    "spec": ValueMeaning("the rendered spec file", "write the spec file of this action", reserved=True),
    "results_dir": ValueMeaning(
        "the experiment's results folder", "it is models/<experiment>", reserved=True
    ),
    "key": ValueMeaning("the model key, as a secret mark", "set model_key of the experiment", reserved=True),
    "num_gpus": ValueMeaning("how many GPUs", "use gpus in tao_config or --gpus", reserved=True),
    "gpu_ids": ValueMeaning(
        "the GPUs as counted inside, 0..n-1", "use gpu_indices or --gpu-indices", reserved=True
    ),
    "pretrained": ValueMeaning("the pretrained weights", "set repository and backbone of the experiment"),
    "checkpoint": ValueMeaning(
        "the trained weights that the action reads",
        "train first, or set export_model to the checkpoint's name",
    ),
    "model": ValueMeaning(
        "the checkpoint's file name without suffix", "set export_model to the checkpoint's name"
    ),
    "resume_checkpoint": ValueMeaning("the checkpoint to resume from", "train first"),
    "initial_epoch": ValueMeaning(
        "the 1-based epoch to resume with", "it follows from the checkpoint's name"
    ),
    "tfrecords_prefix": ValueMeaning(
        "path and name prefix of the converted records", "set dataset of the experiment"
    ),
    "record_tag": ValueMeaning("the prefix of the records' names", "it follows from annotations_file"),
    "export_file": ValueMeaning("the exported model", "set export_model to the checkpoint's name"),
    "export_type": ValueMeaning("fp32, fp16 or int8", "set export_type of the experiment"),
    "onnx_file": ValueMeaning("the exported model to build an engine from", "export first"),
    "engine_file": ValueMeaning("the TensorRT engine", "run gen_trt_engine first"),
    "pruned_file": ValueMeaning("the pruned model", "set export_model to the checkpoint's name"),
    "pruned_dir": ValueMeaning("the folder of the pruned model", "set export_model to the checkpoint's name"),
    "dataset_raw": ValueMeaning("the raw dataset's folder", "set dataset of the experiment"),
    "image_dir": _var("image_dir", "the folder of images", "any"),
    "label_dir": _var("label_dir", "the folder of labels", "any"),
    "image_file": _var("image_file", "one image", "file"),
    "annotations_file": _var("annotations_file", "the COCO annotations file", "file"),
    "class_names_file": _var("class_names_file", "a file with one class name per line", "file"),
    "classmap": _var("classmap", "the file that maps classes to numbers", "file"),
    "calibration_images": _var("calibration_images", "the folder of images for int8 calibration", "any"),
    "calibration_cache": _var("calibration_cache", "the file that keeps the int8 calibration"),
    "calibration_file": _var("calibration_file", "the calibration tensors to write"),
    "image_width": _var("image_width", "the network's input width in pixels"),
    "image_height": _var("image_height", "the network's input height in pixels"),
    "csv_file": _var("csv_file", "the CSV file with the true labels", "file"),
}
"""Every name that the arguments, value forms and artifacts of a contract may contain."""


class Argv(Value):
    """``tokens`` are complete when no finding is an error.

    ``values`` are those given plus those derived: ``model`` from ``checkpoint``, ``export_file`` from its form.
    """

    tokens: tuple[str, ...]
    findings: tuple[Finding, ...]
    values: Mapping[str, ArgumentValue]


def build_argv(contract: Contract, values: ArgumentValues) -> Argv:
    """The argument list of one action, with every problem found on the way.

    Raises ValueError for a value whose name is not in ``VALUES``: that is a mistake of the caller.
    """
    unknown = sorted(set(values.values) - set(VALUES))
    if unknown:
        raise ValueError(f"not names of argument values: {unknown}")
    known = derived_values(contract, {**values.values, **_annotations_by_hand(contract, values.extra)})
    findings: list[Finding] = []
    overrides = tuple(values.overrides)
    if overrides and contract.override_syntax is OverrideSyntax.NONE:
        findings += [_no_overrides(contract, override) for override in overrides]
        overrides = ()
    findings += _extra_findings(contract, values.extra)
    findings += _calibration_findings(contract, known, values.extra)
    tokens = list(contract.command)
    given: set[str] = set()
    for argument in contract.arguments:
        by_hand = next((token for token in (*overrides, *values.extra) if _gives(token, argument)), None)
        if by_hand is not None:
            findings += _reserved_findings(argument, by_hand)
            continue
        if _option(argument.tokens[0]) in given:
            continue
        missing = [name for name in argument_names(argument) if not known.get(name)]
        if missing:
            if argument.required:
                findings += [_missing(contract, argument, name) for name in missing]
            continue
        given.add(_option(argument.tokens[0]))
        filled = [filled for token in argument.tokens for filled in _filled(token, known)]
        findings += _unsafe_findings(contract, filled)
        tokens += [_escaped(contract, token) for token in filled]
    findings += _unsafe_findings(contract, (*overrides, *values.extra), by_hand=True)
    tokens += [*(_escaped(contract, override) for override in overrides), *values.extra]
    return Argv(tuple(tokens), tuple(findings), known)


def derived_values(contract: Contract, values: Mapping[str, ArgumentValue]) -> dict[str, ArgumentValue]:
    """``values`` plus those derived from them and from the contract's value forms."""
    known = {name: value for name, value in values.items() if value}
    if "num_gpus" not in known and "gpu_ids" in known:
        known["num_gpus"] = str(len(known["gpu_ids"]))
    for source in ("checkpoint", "onnx_file", "engine_file"):
        path = known.get(source)
        if "model" not in known and isinstance(path, str):
            known["model"] = PurePosixPath(path).stem
    annotations = known.get("annotations_file")
    if isinstance(annotations, str):
        known.setdefault("record_tag", _record_tag(PurePosixPath(annotations)))
    for name, form in contract.value_forms.items():
        text = fill(form, known)
        root = known.get("results_dir")
        if name not in known and text is not None and isinstance(root, str):
            known[name] = str(PurePosixPath(root) / text)
    return known


def _record_tag(annotations: PurePosixPath) -> str:
    """The name of the file, as TAO has it; of ``train/annotations.json``, which each subset has, that of its folder.

    Source: tao/layouts.md: two files of one name would write the same records.
    """
    subset = annotations.parent.name
    return subset if annotations.stem == "annotations" and subset not in ("", "..") else annotations.stem


def _annotations_by_hand(contract: Contract, extra: tuple[str, ...]) -> dict[str, ArgumentValue]:
    """The annotations file that is passed after ``--``, which decides what the records are called."""
    for argument in contract.arguments:
        if argument_names(argument) != ["annotations_file"]:
            continue
        for index, token in enumerate(extra):
            if _gives(token, argument):
                _, equals, value = token.partition("=")
                following = extra[index + 1] if index + 1 < len(extra) else ""
                return {"annotations_file": value if equals else following}
    return {}


def artifact_globs(contract: Contract, values: Mapping[str, ArgumentValue]) -> tuple[str, ...]:
    """The contract's artifacts with their values, relative to the results folder where they are inside it.

    Others stay absolute, as the process sees them. One with an unknown value is left out.
    """
    root = values.get("results_dir")
    globs: list[str] = []
    for template in contract.verdict.artifacts:
        text = fill(template, values)
        if text is None:
            continue
        if isinstance(root, str) and text.startswith(root.rstrip("/") + "/"):
            text = text[len(root.rstrip("/")) + 1 :]
        globs.append(text)
    return tuple(globs)


def argument_names(argument: Argument) -> list[str]:
    """The names of ``VALUES`` that its tokens hold."""
    return [match[1] for token in argument.tokens for match in _NAME.finditer(token)]


def given_by_hand(contract: Contract, name: str, typed: Iterable[str]) -> str | None:
    """The user's token that sets the same argument as the pieces with the value ``name``."""
    pieces = [argument for argument in contract.arguments if name in argument_names(argument)]
    return next((token for token in typed for piece in pieces if _gives(token, piece)), None)


def fill(template: str, values: Mapping[str, ArgumentValue]) -> str | None:
    """``template`` with its ``{names}``, lists joined by commas; None when one of them is unknown."""
    if any(not values.get(match[1]) for match in _NAME.finditer(template)):
        return None
    return _NAME.sub(lambda match: _joined(values[match[1]]), template)


def unsafe_character(contract: Contract, value: str) -> str | None:
    """The first character of ``value`` that would not arrive unchanged, or None.

    For secrets, which argv never contains. They are inserted unchanged when the process starts.
    """
    if contract.override_syntax is OverrideSyntax.HYDRA:
        match = _HYDRA_VALUE_UNSAFE.search(value) or (
            contract.shell_reads_arguments and _SHELL_UNSAFE.search(value)
        )
    else:
        match = contract.shell_reads_arguments and _SHELL_UNSAFE.search(value)
    return match[0] if match else None


_NAME = re.compile(r"\{([a-z_][a-z0-9_]*)\*?\}")
_SPREAD = re.compile(r"\{([a-z_][a-z0-9_]*)\*\}\Z")
_NUL = re.compile(r"\x00")
_SHELL_UNSAFE = re.compile(r"""[\s'"`$;&|<>()*?{}\\\x00-\x1f]|\A#|\A~""")
_SPLIT_UNSAFE = re.compile(r"""[\s'"\\\x00-\x1f]""")
_HYDRA_VALUE_UNSAFE = re.compile(r"[^A-Za-z0-9_/\-+.%@|:$*?]")
"""Characters that Hydra's grammar refuses in an unquoted value. Source: hydra OverrideLexer, UNQUOTED_CHAR."""


def _filled(token: str, values: Mapping[str, ArgumentValue]) -> Iterator[str]:
    spread = _SPREAD.match(token)
    if spread is not None:
        value = values[spread[1]]
        yield from (value,) if isinstance(value, str) else value
    else:
        yield _NAME.sub(lambda match: _joined(values[match[1]]), token)


def _escaped(contract: Contract, token: str) -> str:
    """Two backslashes: the entry point's splitting takes one, Hydra the other."""
    option, equals, value = token.partition("=")
    if contract.override_syntax is not OverrideSyntax.HYDRA or option.startswith("-") or not equals:
        return token
    return option + equals + value.replace("=", r"\\=")


def _joined(value: ArgumentValue) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _option(token: str) -> str:
    """``-m`` of ``-m``, ``results_dir`` of ``results_dir=…`` and of Hydra's ``+results_dir=…``."""
    name = token.partition("=")[0]
    return name if name.startswith("-") else name.lstrip("+~")


def _gives(token: str, argument: Argument) -> bool:
    """Whether a token of the user sets the same option. argparse also accepts abbreviated long options."""
    names = {_option(argument.tokens[0]), *argument.aliases}
    option = _option(token)
    if option in names:
        return True
    return option.startswith("--") and len(option) > 3 and any(name.startswith(option) for name in names)


def _missing(contract: Contract, argument: Argument, name: str) -> Finding:
    meaning = VALUES[name]
    option = _option(argument.tokens[0])
    hint = meaning.hint if meaning.reserved else f"{meaning.hint}; or pass {option} after --"
    return Finding(
        Severity.ERROR,
        "argument-missing",
        f'{contract.network} {contract.action} needs {meaning.text} ("{option}")',
        hint,
    )


def _reserved_findings(argument: Argument, token: str) -> Iterator[Finding]:
    for name in argument_names(argument):
        meaning = VALUES[name]
        if meaning.reserved:
            shown = _option(token)
            yield Finding(
                Severity.ERROR,
                "argument-reserved",
                f'"{shown}" is set by taorunner ({meaning.text})',
                meaning.hint if name not in ("spec", "results_dir") else f"leave it out: {meaning.hint}",
                typed=True,
            )
            return


def _extra_findings(contract: Contract, extra: tuple[str, ...]) -> Iterator[Finding]:
    if extra and not contract.extra_arguments:
        text = f'{contract.network} {contract.action} takes no further arguments, not "{extra[0]}"'
        yield Finding(Severity.ERROR, "argument-refused", text, "put it into the spec file", typed=True)
        return
    own = {
        name for argument in contract.arguments for name in (_option(argument.tokens[0]), *argument.aliases)
    }
    for token in extra:
        option = _option(token)
        reason = contract.refused_arguments.get(option)
        if reason is not None and option not in own:
            yield Finding(
                Severity.ERROR, "argument-refused", f'"{option}" must not be passed', reason, typed=True
            )
    if extra and contract.override_syntax is OverrideSyntax.NONE and not extra[0].startswith("-"):
        text = f'"{extra[0]}" is not an option: {contract.command[0]} would take it for another action'
        hint = "start with an option such as --name VALUE"
        yield Finding(Severity.ERROR, "argument-refused", text, hint, typed=True)


def _no_overrides(contract: Contract, override: str) -> Finding:
    return Finding(
        Severity.ERROR,
        "override-not-possible",
        f'{contract.network} has no key=value on its command line, not "{override}"',
        "set the key in the spec file, or with overrides of the experiment",
        typed=True,
    )


def _unsafe_findings(
    contract: Contract, tokens: tuple[str, ...] | list[str], *, by_hand: bool = False
) -> Iterator[Finding]:
    """Names the option, and the value only if it is a path from taorunner: a value of the user may be a secret."""
    hint = (
        "put the value into the spec file"
        if by_hand
        else "rename the file or folder; TAO's entry point cannot be given this character"
    )
    option = ""
    for token in tokens:
        name, equals, _ = token.partition("=")
        is_option = bool(equals) or token.startswith("-")
        match = _unsafe_match(contract, token, by_hand=by_hand)
        if match is not None:
            shown = f'"{match[0]}"' if match[0].isprintable() and match[0] != " " else repr(match[0])
            place = name if is_option else option
            where = f'the argument "{place}"' if place else "the arguments"
            value = "" if by_hand or is_option else f': "{_part_around(token, match.start())}"'
            yield Finding(
                Severity.ERROR, "argument-unsafe", f"{shown} in {where}{value}", hint, typed=by_hand
            )
        if is_option:
            option = name


def _part_around(path: str, at: int) -> str:
    """The name in ``path`` to change: messages may leave out the folders above the current one."""
    end = path.find("/", at)
    return path[path.rfind("/", 0, at) + 1 : end if end >= 0 else len(path)]


def _unsafe_match(contract: Contract, token: str, *, by_hand: bool) -> re.Match[str] | None:
    is_hydra = contract.override_syntax is OverrideSyntax.HYDRA
    match = _NUL.search(token)
    if match is None and contract.shell_reads_arguments:
        match = _SHELL_UNSAFE.search(token)
    if match is None and is_hydra:
        match = _SPLIT_UNSAFE.search(token)
    _, equals, value = token.partition("=")
    if match is None and is_hydra and equals and not by_hand:
        plain = value[1:-1].replace(",", "") if value.startswith("[") and value.endswith("]") else value
        match = _HYDRA_VALUE_UNSAFE.search(plain.replace("=", ""))
    return match


def _calibration_findings(
    contract: Contract, values: Mapping[str, ArgumentValue], extra: tuple[str, ...]
) -> Iterator[Finding]:
    """TensorRT calibrates int8 on images; without them the build fails after minutes."""
    wants = any("calibration_images" in argument_names(argument) for argument in contract.arguments)
    given = "calibration_images" in values or any(token.startswith("--cal_") for token in extra)
    if wants and values.get("export_type") == "int8" and not given:
        meaning = VALUES["calibration_images"]
        yield Finding(
            Severity.ERROR, "argument-missing", f'export_type "int8" needs {meaning.text}', meaning.hint
        )
