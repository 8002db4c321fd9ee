"""Reads and validates the spec file of a run, with overrides.

``load_spec`` is the entry point. Unknown keys are errors that suggest the nearest key; numbers in quotes are numbers,
as in OmegaConf. ``${section.key}`` and ``${oc.env:NAME}`` are resolved as by OmegaConf.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .failures import SpecError
from .network import Normalisation

_MAXIMAL_SPEC_BYTES = 1 << 20
#: More values than any spec has; limits nested YAML aliases, which could expand endlessly.
_MAXIMAL_VALUES = 10_000
_INTERPOLATION = re.compile(r"\$\{(?:oc\.env:(?P<env>\w+)(?:,(?P<default>[^}]*))?|(?P<key>[\w.]+))\}")


def within(default: Any, lowest: float, highest: float) -> Any:
    """A field with a range, in the metadata that TAO's own dataclasses have: ``valid_min`` and ``valid_max``."""
    return field(default=default, metadata={"valid_min": lowest, "valid_max": highest})


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """``backbone`` is one of ``network.BACKBONES``; width and height are multiples of ``network.STRIDE``."""

    backbone: str = "small"
    input_width: int = within(96, 32, 2048)
    input_height: int = within(96, 32, 2048)


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """``test_tfrecords`` or ``test_kitti`` (a folder with image_2 and label_2, or images and labels) is what
    ``evaluate`` uses; the default is ``val_tfrecords``. ``input_mean`` and ``input_std`` are subtracted from and divide
    red, green and blue, 0..255; users of an exported model must do the same."""

    train_tfrecords: str | None = None
    val_tfrecords: str | None = None
    test_tfrecords: str | None = None
    test_kitti: str | None = None
    class_names: tuple[str, ...] = ()
    input_mean: tuple[float, ...] = Normalisation().mean
    input_std: tuple[float, ...] = Normalisation().std


@dataclass(frozen=True, slots=True)
class TrainSpec:
    num_epochs: int = within(24, 1, 999)
    batch_size: int = within(8, 1, 4096)
    learning_rate: float = within(0.008, 1e-9, 10)
    checkpoint_interval: int = 1
    validation_interval: int = 1
    seed: int = within(1234, 0, 2**32 - 1)
    resume_training_checkpoint_path: str | None = None
    pretrained_model_path: str | None = None
    results_dir: str | None = None
    num_gpus: int = 1
    gpu_ids: tuple[int, ...] = (0,)
    num_nodes: int = 1


@dataclass(frozen=True, slots=True)
class DatasetConvertSpec:
    """``val_split``: a percentage; ``output_filename``: the path prefix of every record file."""

    root_directory_path: str | None = None
    image_dir_name: str = "image_2"
    label_dir_name: str = "label_2"
    image_extension: str = ".png"
    val_split: float = within(10.0, 0, 99.999999)
    num_shards: int = within(2, 0, 10_000)
    output_filename: str | None = None
    results_dir: str | None = None


@dataclass(frozen=True, slots=True)
class EvaluateSpec:
    checkpoint: str | None = None
    iou_threshold: float = within(0.5, 0.01, 1)
    batch_size: int = within(16, 1, 4096)
    results_dir: str | None = None
    num_gpus: int = 1
    gpu_ids: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class InferenceSpec:
    checkpoint: str | None = None
    image_dir: str | None = None
    threshold: float = within(0.3, 0, 1)
    batch_size: int = within(16, 1, 4096)
    results_dir: str | None = None
    num_gpus: int = 1
    gpu_ids: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class ExportSpec:
    checkpoint: str | None = None
    onnx_file: str | None = None
    results_dir: str | None = None
    gpu_id: int = 0


@dataclass(frozen=True, slots=True)
class Spec:
    results_dir: str | None = None
    encryption_key: str | None = None
    model: ModelSpec = field(default_factory=ModelSpec)
    dataset: DatasetSpec = field(default_factory=DatasetSpec)
    train: TrainSpec = field(default_factory=TrainSpec)
    dataset_convert: DatasetConvertSpec = field(default_factory=DatasetConvertSpec)
    evaluate: EvaluateSpec = field(default_factory=EvaluateSpec)
    inference: InferenceSpec = field(default_factory=InferenceSpec)
    export: ExportSpec = field(default_factory=ExportSpec)


def load_spec(path: Path, overrides: Sequence[str]) -> Spec:
    """The spec in ``path`` with ``a.b=value`` overrides on top. Raises: SpecError."""
    tree = _read_yaml(path)
    for override in overrides:
        _apply_override(tree, override)
    try:
        _bound(tree, _MAXIMAL_VALUES)
        spec: Spec = _build(Spec, _interpolated(tree, tree, depth=0), "", str(path))
    except RecursionError as error:
        raise SpecError(f'spec file "{path}" is nested too deeply') from error
    normalisation_of(spec.dataset)  # refused before anything is read
    return spec


def required(value: str | None, key: str) -> str:
    """``value`` if it is set; the action requires it. Raises: SpecError."""
    if not value or value == "???":
        raise SpecError(
            f'"{key}" is missing in the spec (set it there, or append {key}=VALUE to the command)'
        )
    return value


def normalisation_of(spec: DatasetSpec) -> Normalisation:
    """Raises: SpecError when it is not that of three colours."""
    for key, values in (("input_mean", spec.input_mean), ("input_std", spec.input_std)):
        if len(values) != 3 or (key == "input_std" and min(values) <= 0):
            raise SpecError(
                f'"dataset.{key}" must have three numbers{", above 0" if key == "input_std" else ""}: '
                f"those of red, green and blue; found {list(values)}"
            )
    return Normalisation(spec.input_mean, spec.input_std)


def results_folder(spec: Spec, action: str) -> Path:
    """Where an action writes: ``<action>.results_dir``, else ``results_dir/<action>``.

    Source: tao/pytorch.md section 3.
    """
    own: str | None = getattr(spec, action).results_dir
    return Path(own) if own else Path(required(spec.results_dir, "results_dir")) / action


def write_resolved(spec: Spec, path: Path) -> None:
    """The spec with all defaults, as TAO's ``experiment.yaml``; the encryption key is masked, unlike there."""
    tree = _plain(spec)
    assert isinstance(tree, dict)
    if tree["encryption_key"]:
        tree["encryption_key"] = "***"
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(tree, file)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAXIMAL_SPEC_BYTES:
            raise SpecError(f'spec file "{path}" is larger than {_MAXIMAL_SPEC_BYTES} bytes')
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f'cannot read spec file "{path}": {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise SpecError(f'spec file "{path}" is not UTF-8 text') from error
    tree = _parse(text, f'spec file "{path}"')
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SpecError(f'spec file "{path}" must be a mapping of keys, found a {type(tree).__name__}')
    return tree


def _parse(text: str, where: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SpecError(f"{where}{place}: {problem}") from error


def _apply_override(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.\w+)*", key):
        raise SpecError(f'"{override}" is not an override (write key=value, for example train.num_epochs=5)')
    value = _parse(text, f'override "{override}"') if text else ""
    *parents, last = key.split(".")
    place: Any = tree
    for part in parents:
        if isinstance(place, list):
            place = place[_index(part, place, key)]
            continue
        if place.get(part) is None:
            place[part] = {}
        place = place[part]
        if not isinstance(place, dict | list):
            raise SpecError(f'"{part}" in override "{override}" has no keys below it')
    if isinstance(place, list):
        place[_index(last, place, key)] = value
    else:
        place[last] = value


def _index(part: str, items: list[Any], key: str) -> int:
    if not part.isdigit() or int(part) >= len(items):
        raise SpecError(f'"{part}" in "{key}" is not an index of a list of {len(items)}')
    return int(part)


def _bound(value: Any, left: int) -> int:
    """The number of values still allowed. Raises: SpecError."""
    if left <= 0:
        raise SpecError(f"the spec holds more than {_MAXIMAL_VALUES} values")
    left -= 1
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            left = _bound(item, left)
    return left


def _interpolated(value: Any, tree: dict[str, Any], depth: int) -> Any:
    if depth > 20:
        raise SpecError("interpolations in the spec are circular")
    if isinstance(value, dict):
        return {key: _interpolated(item, tree, depth) for key, item in value.items()}
    if isinstance(value, list):
        return [_interpolated(item, tree, depth) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    whole = _INTERPOLATION.fullmatch(value)
    if whole and whole["key"]:
        return _interpolated(_look_up(whole["key"], tree), tree, depth + 1)
    return _INTERPOLATION.sub(lambda match: str(_interpolation(match, tree, depth)), value)


def _interpolation(match: re.Match[str], tree: dict[str, Any], depth: int) -> Any:
    if match["env"]:
        found = os.environ.get(match["env"], match["default"])
        if found is None:
            raise SpecError(f'environment variable "{match["env"]}" in "{match[0]}" is not set')
        return found
    return _interpolated(_look_up(match["key"], tree), tree, depth + 1)


def _look_up(key: str, tree: dict[str, Any]) -> Any:
    place: Any = tree
    for part in key.split("."):
        if not isinstance(place, dict) or part not in place:
            raise SpecError(f'interpolation "${{{key}}}" names a key that the spec does not have')
        place = place[part]
    return place


def _build(cls: type[Any], tree: Any, prefix: str, source: str) -> Any:
    if not isinstance(tree, dict):
        raise SpecError(f'"{prefix.rstrip(".")}" in {source} must be a mapping of keys, found {tree!r}')
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if key not in hints:
            near = difflib.get_close_matches(str(key), list(hints), n=1, cutoff=0.5)
            hint = f'did you mean "{prefix}{near[0]}"?' if near else "known: " + ", ".join(hints)
            raise SpecError(f'unknown key "{prefix}{key}" in {source} ({hint})')
        wanted = hints[key]
        if dataclasses.is_dataclass(wanted):
            if value is not None:
                values[key] = _build(typing.cast("type[Any]", wanted), value, f"{prefix}{key}.", source)
        else:
            values[key] = _convert(value, wanted, f"{prefix}{key}", source)
    return cls(**values)


def _convert(value: Any, wanted: Any, key: str, source: str) -> Any:
    """``value`` as the type of its key; numbers may come as text, as OmegaConf allows."""
    if isinstance(wanted, types.UnionType):
        return None if value is None else _convert(value, typing.get_args(wanted)[0], key, source)
    if typing.get_origin(wanted) is tuple:
        if isinstance(value, list):
            return tuple(_convert(item, typing.get_args(wanted)[0], key, source) for item in value)
    elif wanted is str:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
            if wanted is float and abs(number) < float("inf"):
                return number
            if wanted is int and number == int(number):
                return int(number)
        except (ValueError, OverflowError):
            pass
    names = {int: "a whole number", float: "a number", str: "text"}
    expected = names.get(wanted, "a list")
    raise SpecError(f'"{key}" in {source} must be {expected}, found {value!r}')


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    return list(value) if isinstance(value, tuple) else value
