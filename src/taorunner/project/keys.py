"""The keys of experiments.yml, and a fast check that accepts ordinary values without pydantic.

``models`` checks the same keys completely, but importing pydantic takes 0.1 s, as long as all other imports of a
launch. ``are_plain`` accepts ordinary values; all others, valid or not, are left to ``models``. Whatever is accepted
here is also accepted there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from taorunner.project import limits
from taorunner.project.diagnostics import shown
from taorunner.project.limits import SIZE_PATTERN, size_bytes
from taorunner.project.tracking.words import track_problems
from taorunner.project.workspace import NAME_RULE, is_name
from taorunner.target_names import BUILT_IN_NAMES, target_names
from taorunner.text import nearest

MAX_GPUS = 64
MAX_ENTRIES = 500
"""Maximum number of env, vars, overrides or tags of one experiment."""
MIN_SHM_BYTES = 1024 * 1024
MAX_GPU_INDEX = 1023
PRECISIONS = ("fp32", "fp16", "int8")

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
DATASET_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"
EXPORT_MODEL_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.=+@-]*(/[A-Za-z0-9_][A-Za-z0-9_.=+@-]*)*$"
RELEASE_PATTERN = r"^[0-9]+(\.[0-9]+){1,3}$"
OVERRIDE_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.\[\]/@+~-]*$"

EXPECTED: dict[str, str] = {
    "head": "the name of a network",
    "backbone": "a plain name such as resnet18",
    "repository": "the name of a folder below repositories/",
    "model_key": "a text, env:NAME or file:PATH",
    "dataset": "a folder below data/, such as kitti_detection/train",
    "export_model": "the name of a checkpoint",
    "export_type": "fp32, fp16 or int8",
    "gpus": f"a whole number from 0 to {MAX_GPUS}",
    "gpu_indices": 'a list of GPU numbers or UUIDs, such as [0, 1], or "auto"',
    **limits.EXPECTED,
    "release": 'a TAO release in text, such as "5.0.0"',
    "image": "the name of a container image, without blanks",
    "backend": "the name of a backend",
    "cluster": "the name of a cluster of clusters.yml",
    "backend_options": "a mapping of the backend's settings to values",
    "shm_size": "a size of at least 1 MiB, such as 16G",
    "env": "a mapping of variable names to texts",
    "user": 'a text such as "1000:1000"',
    "track": "a mapping such as {mlflow: {}}",
    "extends": "the name of another experiment",
    "vars": "a mapping of names to texts, numbers, true, false or lists of these",
    "overrides": "a mapping of dotted spec keys to values",
    "description": "a text",
    "tags": "a list of plain words",
}
"""What each key takes; the text after "must be"."""

FILE_KEYS = ("tao_config", "experiments", "sweeps")
EXPERIMENT_KEYS = tuple(EXPECTED)
TAO_CONFIG_KEYS = (
    "gpus",
    "gpu_indices",
    "nodes",
    "cpus",
    "memory",
    "time",
    "release",
    "image",
    "backend",
    "cluster",
    "backend_options",
    "shm_size",
    "env",
    "user",
    "track",
)
SECRET_KEYS = frozenset({"model_key", "env"})
"""Keys whose values are secret."""


def are_plain(entry: Mapping[Any, Any], keys: tuple[str, ...]) -> bool:
    """True when every key is one of ``keys`` and every value is ordinary. False decides nothing."""
    return all(key in keys and _PLAIN[key](value) for key, value in entry.items())


def _is_plain_name(value: object) -> bool:
    return type(value) is str and is_name(value)


def _fits(pattern: str, limit: int = 100) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        return type(value) is str and len(value) <= limit and re.fullmatch(pattern, value) is not None

    return fits


def _is_short_text(value: object) -> bool:
    return type(value) is str and 0 < len(value) <= 500 and value.isascii() and value.isprintable()


def _is_scalar(value: object) -> bool:
    if type(value) is float or type(value) is int:
        return -1e15 < value < 1e15  # excludes infinity, NaN and huge values
    return type(value) is bool or value == "" or _is_short_text(value)


def _is_option(value: object) -> bool:
    is_list = isinstance(value, list) and len(value) <= MAX_ENTRIES
    return all(map(_is_scalar, value)) if is_list and isinstance(value, list) else _is_scalar(value)


def _is_gpu_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_GPUS


def _are_gpu_indices(value: object) -> bool:
    if not isinstance(value, list):
        return value == "auto" and type(value) is str
    return 0 < len(value) <= MAX_GPUS and all(type(i) is int and 0 <= i <= MAX_GPU_INDEX for i in value)


def _is_shm_size(value: object) -> bool:
    is_size = _fits(SIZE_PATTERN, 30)(value)
    return is_size and type(value) is str and (size_bytes(value) or 0) >= MIN_SHM_BYTES


def _count_up_to(maximum: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and 1 <= value <= maximum


def _is_memory(value: object) -> bool:
    return type(value) is str and _fits(SIZE_PATTERN, 30)(value) and limits.memory_bytes(value) is not None


def _is_time(value: object) -> bool:
    return type(value) is str and limits.time_limit_s(value) is not None


def _one_of(words: tuple[str, ...]) -> Callable[[object], bool]:
    return lambda value: type(value) is str and value in words


def _mapping(
    is_key: Callable[[object], bool], is_value: Callable[[object], bool]
) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        return (
            isinstance(value, dict)
            and len(value) <= MAX_ENTRIES
            and all(is_key(key) and is_value(item) for key, item in value.items())
        )

    return fits


def _are_tags(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MAX_ENTRIES and all(_is_plain_name(tag) for tag in value)


_IS_VARIABLE = _fits(VARIABLE_PATTERN)
_PLAIN: dict[str, Callable[[Any], bool]] = {
    "head": _is_plain_name,
    "backbone": _is_plain_name,
    "repository": _is_plain_name,
    "model_key": _is_short_text,
    "dataset": _fits(DATASET_PATTERN),
    "export_model": _fits(EXPORT_MODEL_PATTERN),
    "export_type": _one_of(PRECISIONS),
    "gpus": _is_gpu_count,
    "gpu_indices": _are_gpu_indices,
    "nodes": _count_up_to(limits.MAX_NODES),
    "cpus": _count_up_to(limits.MAX_CPUS),
    "memory": _is_memory,
    "time": _is_time,
    "release": _fits(RELEASE_PATTERN),
    "image": _fits(r"[A-Za-z0-9][A-Za-z0-9./:@_-]*", 200),
    "backend": _one_of(BUILT_IN_NAMES),
    "cluster": _is_plain_name,
    "backend_options": _mapping(_IS_VARIABLE, _is_option),
    "shm_size": _is_shm_size,
    "env": _mapping(_IS_VARIABLE, lambda value: value == "" or _is_short_text(value)),
    "user": _fits(r"[A-Za-z0-9_]+(:[A-Za-z0-9_]+)?"),
    "track": lambda value: not any(track_problems(value)),
    "extends": _is_plain_name,
    "vars": _mapping(_IS_VARIABLE, _is_scalar),
    "overrides": _mapping(_fits(OVERRIDE_PATTERN), _is_scalar),
    "description": _is_short_text,
    "tags": _are_tags,
}


def value_hint(key: str, value: object) -> str | None:
    """The next step, when the intended value is known."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if key in ("gpus", "nodes", "cpus", "gpu_indices") and isinstance(value, str) and value.isdigit():
        return f"a list: [{shown(value)}]" if key == "gpu_indices" else f"without quotes: {shown(value)}"
    if key == "gpu_indices" and number:
        return f"a list: [{value}]" if isinstance(value, int) and 0 <= value < 1024 else None
    if key == "time":
        return limits.time_hint(value)
    if key in ("shm_size", "memory"):
        return limits.size_hint(value)
    if key in ("release", "user", "image", "description", "tags", "backbone", "export_model") and number:
        return f'put it in quotes: "{shown(value)}"'
    if key == "tags" and isinstance(value, str):
        return f"a list: [{shown(value)}]"
    if key == "backend" and isinstance(value, str):
        meant = nearest(value, target_names())
        return f'did you mean "{meant}"?' if meant else None
    if key == "dataset" and isinstance(value, str):
        return _dataset_hint(value)
    return None


def _dataset_hint(value: str) -> str | None:
    parts = [part for part in value.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    if parts and parts[0] == "data":
        parts = parts[1:]
    meant = "/".join(parts)
    if ".." in value.split("/") or not meant or not all(is_name(part) for part in parts):
        return f"it is looked for below data/; a folder's name is made of {NAME_RULE}"
    if Path(value).is_absolute():
        return "it is looked for below data/: put the dataset, or a link to it, there and write its name"
    return f'did you mean "{shown(meant)}"?'
