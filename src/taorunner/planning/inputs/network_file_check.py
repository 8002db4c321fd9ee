"""Checks a workspace's network file: every key, type and name, each problem with its place.

The catalog trusts its own files; files of a workspace are checked here first. The fields of a section come from the
contract's dataclasses, so a new field is accepted without a change here. ``catalog/data/README.md`` describes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from taorunner.catalog.knobs import KNOBS, parse_knob
from taorunner.catalog.layers import LAYER_KEYS, parse_argument, parse_metric, parse_version, version_matches
from taorunner.contracts import (
    CheckpointContract,
    Contract,
    ProgressContract,
    SpecContract,
    VerdictContract,
)
from taorunner.planning.inputs.argv import VALUES
from taorunner.progress.console.lines import FAMILIES as CONSOLE_FAMILIES
from taorunner.project.diagnostics import FindingList, described, shown

NETWORK_KEYS = (
    "like", "title", "purpose", "sources", "trainable", "needs", "optional", "words", "groups", "traps",
)  # fmt: skip
BLOCK_KEYS = ("base", "actions", "versions")
GROUP_KEYS = (*BLOCK_KEYS, "family", "uses", "image", "since", "until")
GROUPS = ("model", "deploy", "dataset")
PARTS: Mapping[str, type[Any]] = {
    "spec": SpecContract, "progress": ProgressContract, "verdict": VerdictContract, "checkpoints": CheckpointContract,
}  # fmt: skip
EXPERIMENT_KEYS = ("dataset", "backbone", "repository", "model_key", "export_model", "export_type")
ROLES = (
    "epochs", "iterations", "batch_size", "checkpoint_interval", "validation_interval", "num_gpus", "gpu_ids", "gpu_id",
    "results_dir", "pretrained", "pretrained_backbone", "resume", "pruned", "encryption_key", "checkpoint", "onnx_file",
    "trt_engine", "export_type", "tfrecords", "image_dir", "label_dir", "annotations_file",
)  # fmt: skip
"""The roles of a spec key."""

_RELATIVE = ("status_files", "result_files", "event_files", "globs", "latest", "results_subdir")
_NAMES = re.compile(r"\{([a-z_][a-z0-9_]*)(?:\*|\?)?\}")
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*\Z")
_KEY_PATH = re.compile(r"(?:[A-Za-z_][\w-]*|\{[a-z_][a-z0-9_]*\})(?:\.(?:[\w-]+|\{[a-z_][a-z0-9_]*\}))*\Z")
_COMMAND = re.compile(r"[\w{}.-]+(?: [\w{}.-]+)*\Z")
_FORMATS = ("yaml", "prototxt")
_SPECIAL = frozenset({"arguments", "kpi", "uses", "since", "until", "source"})

Path = tuple[Any, ...]


def is_network_name(name: str) -> bool:
    return len(name) <= 60 and _IDENTIFIER.match(name) is not None


def check_network_file(
    body: Any,
    to: FindingList,
    *,
    networks: Iterable[str],
    families: Mapping[str, Iterable[str]],
    images: Iterable[str],
) -> None:
    """``families`` maps a family to its tables, ``networks`` are those that ``like`` may name."""
    _Checker(
        to, tuple(networks), {name: tuple(tables) for name, tables in families.items()}, tuple(images)
    ).network(body)


_CLASSES: Mapping[str, type[Any]] = {**PARTS, "": Contract}
_HINTS: Mapping[str, Mapping[str, Any]] = {
    key: {name: hint for name, hint in get_type_hints(cls).items() if name in {f.name for f in fields(cls)}}
    for key, cls in _CLASSES.items()
}
"""The fields of each part of a layer with their types; those of the contract itself under the empty name."""


class _Checker:
    def __init__(
        self,
        to: FindingList,
        networks: tuple[str, ...],
        families: Mapping[str, tuple[str, ...]],
        images: tuple[str, ...],
    ) -> None:
        self.to, self.networks, self.families, self.images = to, networks, families, images

    def network(self, body: Any) -> None:
        known = self.mapping(body, (), NETWORK_KEYS, "a network file")
        if known is None:
            return
        if "like" in known:
            self.choice(known["like"], ("like",), self.networks, "a network")
        required = () if "like" in known else ("title", "purpose", "sources", "groups")
        for key in required:
            if key not in known:
                hint = 'a file that is "like" another network needs only what is different'
                self.to.error("missing-key", f'"{key}" is missing', (), hint=hint)
        for key in ("title", "purpose"):
            if key in known:
                self.text(known[key], (key,))
        for key in ("sources", "traps"):
            self.texts(known.get(key), (key,))
        for key in ("needs", "optional"):
            self.choices(known.get(key), (key,), EXPERIMENT_KEYS, "a key of an experiment")
        if "trainable" in known:
            self.flag(known["trainable"], ("trainable",))
        self.names(known.get("words"), ("words",), self.word)
        groups = self.mapping(known.get("groups", {}), ("groups",), GROUPS, "groups")
        if known.get("groups") == {}:
            self.to.error(
                "missing-key", '"groups" is empty', ("groups",), hint="the first one is usually model"
            )
        for name, group in (groups or {}).items():
            self.group(group, ("groups", name), is_whole="like" not in known)

    def group(self, body: Any, path: Path, *, is_whole: bool) -> None:
        known = self.mapping(body, path, GROUP_KEYS, "a group")
        if known is None:
            return
        for key in ("family", "actions") if is_whole else ():
            if known.get(key) is None:
                self.to.error("missing-key", f'"{path[-1]}" needs "{key}"', path, of_key=True)
        family = known.get("family")
        if "family" in known:
            self.choice(family, (*path, "family"), tuple(self.families), "a family")
        if known.get("image") is not None:
            self.choice(known["image"], (*path, "image"), self.images, "a kind of image")
        tables = self.families.get(family) if isinstance(family, str) else None
        self.uses(known.get("uses"), (*path, "uses"), tables)
        self.limits(known, path)
        self.block(known, path, tables)

    def block(self, body: Mapping[Any, Any], path: Path, tables: tuple[str, ...] | None) -> None:
        self.layer(body.get("base"), (*path, "base"), tables)
        actions = body.get("actions")
        if actions is not None:
            self.names(actions, (*path, "actions"), lambda layer, at: self.layer(layer, at, tables))
        versions = body.get("versions")
        if versions is None:
            return
        if not isinstance(versions, list):
            self.wrong(versions, (*path, "versions"), "a list")
            return
        for index, part in enumerate(versions):
            at = (*path, "versions", index)
            known = self.mapping(part, at, ("when", "base", "actions"), "a version")
            if known is not None:
                self.when(known.get("when"), at)
                self.block({**known, "versions": None}, at, tables)

    def layer(self, body: Any, path: Path, tables: tuple[str, ...] | None) -> None:
        if body is None:
            return
        known = self.mapping(body, path, sorted(LAYER_KEYS), "a layer")
        if known is None:
            return
        self.limits(known, path)
        self.uses(known.get("uses"), (*path, "uses"), tables)
        self.names(known.get("arguments"), (*path, "arguments"), self.argument)
        self.names(known.get("kpi"), (*path, "kpi"), self.metric)
        for key, value in known.items():
            if value is None or key in _SPECIAL:
                continue
            if key in PARTS:
                hints = _HINTS[key]
                for inner, each in (
                    self.mapping(value, (*path, key), tuple(hints), f'"{key}"') or {}
                ).items():
                    self.field(each, (*path, key, inner), hints[inner])
            elif key == "command":
                if self.text(value, (*path, key)) and not _COMMAND.match(value):
                    self.to.error(
                        "wrong-value",
                        f'"{shown(value)}" is not a command',
                        (*path, key),
                        hint="words with single blanks",
                    )
            else:
                self.field(value, (*path, key), _HINTS[""][key])

    def field(self, value: Any, path: Path, hint: Any) -> None:
        """``hint`` is the type in the contract; null takes a value away, so it is always right."""
        name = path[-1]
        if value is None:
            return
        if get_origin(hint) in (Union, UnionType):
            hint = next(part for part in get_args(hint) if part is not type(None))
        if isinstance(hint, type) and issubclass(hint, Enum):
            self.choice(value, path, tuple(member.value for member in hint), f'"{name}"')
        elif hint is bool:
            self.flag(value, path)
        elif hint is int:
            if isinstance(value, bool) or not isinstance(value, int):
                self.wrong(value, path, "a whole number")
        elif hint is str:
            self.plain(value, path)
        elif get_origin(hint) is tuple:
            if name in ("needs", "optional"):
                self.choices(value, path, EXPERIMENT_KEYS, "a key of an experiment")
            elif self.texts(value, path):
                for index, each in enumerate(value):
                    self.plain(each, (*path, index))
        else:
            self.names(value, path, self.entry)

    def entry(self, value: Any, path: Path) -> None:
        """One item of a mapping from texts to texts."""
        owner, name = path[-2], path[-1]
        if value is None or not self.text(value, path):
            return
        if owner == "keys":
            self.choice(name, path, ROLES, "what a spec key is for", of_key=True)
            if not _KEY_PATH.match(value):
                hint = "names with dots between them, such as train.num_epochs"
                self.to.error("wrong-value", f'"{shown(value)}" is not a key of a spec', path, hint=hint)
        elif owner == "knobs":
            self.choice(name, path, tuple(KNOBS), "a short option", of_key=True)
            self.knob(value, path)
        elif owner == "value_forms":
            self.choice(name, path, tuple(VALUES), "a value", of_key=True)
            self.placeholders(value, path)
            self.relative(value, path)

    def plain(self, value: Any, path: Path) -> None:
        """One text, checked by the rules for its name."""
        owner = next(step for step in reversed(path) if isinstance(step, str))
        if not self.text(value, path):
            return
        if owner in _RELATIVE:
            self.relative(value, path)
        elif owner == "format":
            self.choice(value, path, _FORMATS, "a format")
        elif owner == "console":
            self.choice(value, path, tuple(CONSOLE_FAMILIES), "a kind of console lines")
        elif owner in ("epoch_pattern", "untrained_pattern", "best_pattern"):
            self.pattern(value, path, has_epoch=owner == "epoch_pattern")
        elif owner == "artifacts":
            self.placeholders(value, path, more=("checkpoints",))
        elif owner == "stems" and ("/" in value or value.startswith(".")):
            self.to.error(
                "wrong-value", f'"{shown(value)}" is not a file name', path, hint="without folder and suffix"
            )

    def argument(self, text: Any, path: Path) -> None:
        if text is None or not self.text(text, path):
            return
        if not text.split():
            self.to.error("wrong-value", "the argument is empty", path, hint="null takes an argument away")
            return
        parse_argument(text)
        self.placeholders(text, path)

    def knob(self, text: str, path: Path) -> None:
        try:
            parse_knob(text)
        except ValueError as error:
            hint = "a key such as train.optim.lr, several with blanks between them, choices with |"
            self.to.error("wrong-value", str(error), path, hint=hint)

    def metric(self, text: Any, path: Path) -> None:
        if text is None or not self.text(text, path):
            return
        try:
            parse_metric(path[-1], text)
        except ValueError:
            message = f'"{shown(text)}" does not say what the metric means'
            hint = "up, down or none; then fraction, percent or own; then ranks where runs are compared by it"
            self.to.error("wrong-value", message, path, hint=hint)

    def placeholders(self, text: str, path: Path, more: tuple[str, ...] = ()) -> None:
        """Words of the network are replaced first; which there are is only known of the whole network."""
        if "{" in _NAMES.sub("", text) or "}" in _NAMES.sub("", text):
            hint = "a value is written {checkpoint}, {image_dir?} or {gpu_ids*}"
            self.to.error(
                "wrong-value", f'"{shown(text)}" has a brace that belongs to no value', path, hint=hint
            )

    def relative(self, text: str, path: Path) -> None:
        if text.startswith("/") or ".." in text.split("/") or "\0" in text:
            hint = "it is relative to the results folder and cannot lead out of it"
            self.to.error("wrong-value", f'"{shown(text)}" leads out of the results folder', path, hint=hint)

    def pattern(self, text: str, path: Path, *, has_epoch: bool) -> None:
        try:
            groups = re.compile(text).groups
        except (re.error, OverflowError, RecursionError) as error:
            self.to.error("wrong-value", f'"{shown(text)}" is not a regular expression: {shown(error)}', path)
            return
        if has_epoch and groups != 1:
            hint = r"such as _epoch_(\d+)\.hdf5$"
            self.to.error("wrong-value", f'"{shown(text)}" must have one group, the epoch', path, hint=hint)

    def limits(self, body: Mapping[Any, Any], path: Path) -> None:
        for key in ("since", "until"):
            value = body.get(key)
            if value is None:
                continue
            try:
                if not isinstance(value, str):
                    raise ValueError
                parse_version(value)
            except ValueError:
                self.wrong(value, (*path, key), "a version such as 6.0.0")

    def when(self, value: Any, path: Path) -> None:
        try:
            if not isinstance(value, str) or not value.strip():
                raise ValueError
            version_matches(value, (5, 5, 0))
        except ValueError:
            at = (*path, "when") if value is not None else path
            self.wrong(value, at, 'a comparison of versions such as ">=5.5 <6.0"', name="when")

    def uses(self, value: Any, path: Path, tables: tuple[str, ...] | None) -> None:
        if tables is None:
            self.texts(value, path)
        else:
            self.choices(value, path, tables, "a table of the family")

    def word(self, value: Any, path: Path) -> None:
        self.text(value, path)

    def mapping(self, value: Any, path: Path, known: Iterable[str], what: str) -> dict[str, Any] | None:
        """The known keys; unknown ones are reported. None for anything but a mapping."""
        if not isinstance(value, dict):
            self.wrong(value, path, "a mapping", name=what if not path else None)
            return None
        names = tuple(known)
        for key in value:
            if key not in names:
                message = f'"{shown(key)}" is not a key of {what}'
                self.to.error(
                    "unknown-key", message, (*path, key), hint=self.to.suggestion(key, names), of_key=True
                )
        return {key: each for key, each in value.items() if key in names}

    def names(self, value: Any, path: Path, check: Callable[[Any, Path], None]) -> None:
        """A mapping from names to what ``check`` looks at."""
        if value is None:
            return
        if not isinstance(value, dict):
            self.wrong(value, path, "a mapping")
            return
        is_strict = path[-1] in ("words", "actions", "arguments")
        for key, each in value.items():
            if not isinstance(key, str) or not key or (is_strict and not _IDENTIFIER.match(key)):
                what = "small letters, digits and underscores" if is_strict else "a text"
                message = f'"{shown(key)}" cannot be a name in "{path[-1]}"'
                self.to.error("wrong-name", message, (*path, key), hint=f"a name is {what}", of_key=True)
            else:
                check(each, (*path, key))

    def choice(
        self, value: Any, path: Path, known: tuple[str, ...], what: str, *, of_key: bool = False
    ) -> None:
        if not isinstance(value, str):
            self.wrong(value, path, "a text")
        elif value not in known:
            message = (
                f'"{shown(value)}" is not {what}' if what[0] != '"' else f'{what} cannot be "{shown(value)}"'
            )
            self.to.error("wrong-value", message, path, hint=self.to.suggestion(value, known), of_key=of_key)

    def choices(self, value: Any, path: Path, known: tuple[str, ...], what: str) -> None:
        if self.texts(value, path):
            for index, each in enumerate(value):
                self.choice(each, (*path, index), known, what)

    def texts(self, value: Any, path: Path) -> bool:
        if value is None:
            return False
        if not isinstance(value, list):
            self.wrong(value, path, "a list")
            return False
        wrong = [index for index, each in enumerate(value) if not self.text(each, (*path, index))]
        return not wrong

    def text(self, value: Any, path: Path) -> bool:
        if isinstance(value, str):
            return True
        self.wrong(value, path, "a text")
        return False

    def flag(self, value: Any, path: Path) -> None:
        if not isinstance(value, bool):
            self.wrong(value, path, "true or false")

    def wrong(self, value: Any, path: Path, expected: str, *, name: str | None = None) -> None:
        called = name or f'"{shown(next((step for step in reversed(path) if isinstance(step, str)), "it"))}"'
        self.to.error("wrong-type", f"{called} must be {expected}, not {described(value)}", path)
