"""Writes the backbone and the pretrained weights of a new experiment into the texts of its spec files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taorunner.catalog.backbones import Backbone, Backbones
from taorunner.catalog.layouts import DataLayout
from taorunner.planning.weights.choice import StartWeights, choose_backbone, start_weights
from taorunner.specs.editing import prototxt_edit, yaml_edit
from taorunner.specs.syntax.text_position import SpecProblemError

VARIABLE = "$pretrained_model"
_PROTOBUF = ".txt"
_USE = re.compile(r"^(?P<indent>[ \t]*)(?P<line>[^#\n]*\$pretrained_model\b[^\n]*)$", re.MULTILINE)
_REMARK = re.compile(r"[ \t]*#[^\n]*\$pretrained_model[^\n]*$", re.MULTILINE)
_BARE = re.compile(r"(?<=[:\s\[,])\$([A-Za-z_][A-Za-z0-9_]*)")
_WORD = re.compile(r"\bVARIABLE_(\w+)_(?!\w)")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_GOES_WITH = re.compile(r"(goes with the backbone )[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Start:
    """What a new experiment starts from.

    ``keys`` belong into experiments.yml. ``label`` is the part of the experiment's name that says the backbone, None
    where it goes without saying. ``says`` is for the user, ``hint`` where more is written.
    """

    specs: Mapping[str, str]
    keys: Mapping[str, str]
    backbone: str | None
    label: str | None
    weights: StartWeights | None
    says: str
    hint: str | None = None


def start_of(
    head: str,
    layout: DataLayout | None,
    specs: Mapping[str, str],
    wanted: str | None,
    *,
    use_weights: bool = True,
) -> Start:
    """The spec files of a new experiment with the chosen backbone, and with weights where the catalog knows some.

    ``specs`` are texts by file name, ``wanted`` is what ``--backbone`` says. Without ``use_weights`` the files and
    experiments.yml use none.

    Raises:
        UsageError: the network has no such backbone.
    """
    backbones = layout.backbones if layout is not None else None
    usual = named_backbone(backbones, specs) if backbones is not None else None
    backbone = choose_backbone(head, layout, wanted, usual)
    name = backbone.name if backbone is not None else None
    weights = start_weights(layout, name) if use_weights else None
    texts = dict(specs)
    if backbones is not None and backbone is not None:
        texts = {file: _with_backbone(file, text, backbones, backbone) for file, text in texts.items()}
    texts = {file: _with_weights(file, text, weights) for file, text in texts.items()}
    plain = _UNSAFE.sub("_", name) if name is not None else None
    keys: dict[str, str] = {}
    if weights is not None:
        keys = {"backbone": weights.version, "repository": weights.repository}
    elif wanted is not None and plain is not None:
        keys = {"backbone": plain}
    label = plain if wanted is not None or keys.get("backbone") == plain else None
    has_some = use_weights and weights is None and layout is not None and layout.backbones is not None
    has_some = has_some and any(row.backbone and not row.only for row in layout.weights) if layout else False
    hint = f"taorunner networks {head}: backbones with weights" if has_some else None
    return Start(texts, keys, name, label, weights, _sentence(layout, name, weights, use_weights), hint)


def named_backbone(backbones: Backbones, specs: Mapping[str, str]) -> Backbone | None:
    """The backbone that the training spec names; None where it names none of the list."""
    for file, text in specs.items():
        if file.startswith("train."):
            return backbones.named_in({key: _read(file, text, key) for key in backbones.keys})
    return None


def _sentence(
    layout: DataLayout | None, backbone: str | None, weights: StartWeights | None, use_weights: bool
) -> str:
    if weights is not None:
        return weights.model
    if not use_weights:
        return "none: starts from random values"
    note = layout.facts.get("without_weights") if layout is not None else None
    if isinstance(note, str) and "fetch" in note:
        return f"none from NGC: {note}"
    of = f"known for backbone {backbone}" if backbone is not None else "known that fit every dataset"
    return f"none {of}: starts from random values"


def _is_protobuf(file: str) -> bool:
    return file.endswith(_PROTOBUF)


def _read(file: str, text: str, key: str) -> Any:
    try:
        if _is_protobuf(file):
            return prototxt_edit.read_value(_readable(text), key)
        return yaml_edit.read_value(text, key)
    except SpecProblemError:
        return None


def _set(file: str, text: str, key: str, value: Any) -> str:
    if _is_protobuf(file):
        return _WORD.sub(r"$\1", prototxt_edit.set_value(_readable(text), key, value))
    return yaml_edit.set_value(text, key, value)


def _readable(text: str) -> str:
    """Protobuf text with each variable that stands for a number as a word, which its parser takes."""
    return _BARE.sub(r"VARIABLE_\1_", text)


def _with_backbone(file: str, text: str, backbones: Backbones, backbone: Backbone) -> str:
    """The text with the backbone, where it names one at all."""
    present = {key: _read(file, text, key) for key in backbones.keys}
    if present[backbones.keys[0]] is None or backbones.named_in(present) == backbone:
        return text
    for key in backbones.keys:
        if key not in backbone.named_by and present[key] is not None:
            text = _without(text, key.rpartition(".")[2], present[key])
    for key, value in {**backbone.named_by, **backbone.sets}.items():
        text = _set(file, text, key, value)
    return _GOES_WITH.sub(lambda match: match[1] + backbone.name, text)


def _without(text: str, name: str, value: object) -> str:
    """``text`` without the line that sets this field, such as the layers of a backbone that has one size."""
    line = rf"^[ \t]*{re.escape(name)}:[ \t]*{re.escape(str(value))}[ \t]*(#[^\n]*)?\n"
    return re.sub(rf"# with {name}: ", "# ", re.sub(line, "", text, count=1, flags=re.MULTILINE))


def _with_weights(file: str, text: str, weights: StartWeights | None) -> str:
    if weights is None or weights.is_argument:
        return _USE.sub(
            lambda match: f"{match['indent']}# {_plain(match['line'])}  # starts from random values", text
        )
    if not file.startswith("train."):
        return text
    text = _uncommented(file, text, weights.key)
    for key, value in (weights.sets or {}).items():
        text = _set(file, text, key, value)
    return text


def _plain(line: str) -> str:
    """A line without its remark."""
    return re.sub(r"[ \t]+#[^\n]*$", "", line)


def _uncommented(file: str, text: str, key: str) -> str:
    """``text`` with ``key`` set to the weights; a line that was prepared for it loses its comment sign."""
    if VARIABLE in str(_read(file, text, key)):
        return text
    name = key.rpartition(".")[2]
    for match in re.finditer(rf"^([ \t]*)# ({re.escape(name)}: \$pretrained_model)\b", text, re.MULTILINE):
        tried = text[: match.start()] + match[1] + match[2] + text[match.end() :]
        if _read(file, tried, key) == VARIABLE:
            return tried
    changed = _set(file, text, key, VARIABLE)
    line = next(
        (one for one in changed.splitlines() if f"{name}: " in one and VARIABLE in one and "#" in one), None
    )
    return changed if line is None else changed.replace(line, _REMARK.sub("", line))
