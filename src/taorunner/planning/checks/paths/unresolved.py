"""Finds values that no container resolves: paths of the shell, relative paths, and paths that no mount covers."""

from __future__ import annotations

import os
from collections.abc import Iterator

from taorunner.catalog.layouts import Input, InputKind
from taorunner.planning.checks.paths.host_paths import CONTAINERS_OWN, HOMES
from taorunner.planning.checks.spec_view import HostVariables, SpecReader
from taorunner.project.mounts import INSIDE, Mounts
from taorunner.text import printable
from taorunner.values.value import Value

KINDS = (InputKind.FILE, InputKind.FOLDER, InputKind.ANY)
"""What is looked for before a start; records and results of other actions are made on the way."""
RELATIVE = "relative-path"
_ROOTS = ("root_dir", "data_root", "root_directory_path", "root_data_path", "root_dataset_dir", "data_path")
"""Keys of folders that TAO joins other paths of the same spec to (``ann_file`` of bevfusion, records of bpnet)."""
_NO_PATHS = ("", "???", "none", "null", "None")
_EMPTY = ("/tmp/", "/var/tmp/", "/run/user/")
"""Folders of containers that hold nothing when they start."""
_WRITE = "write $dataset_raw/..., or the whole path inside the container"


class Unresolved(Value):
    """A value at a key that leads nowhere, and which of the key's values it is."""

    index: int
    value: str
    code: str
    message: str
    hint: str


def unresolved(one: Input, spec: SpecReader) -> Iterator[Unresolved]:
    """The values at the key of an input that are no absolute paths. Names of weights without a suffix are none."""
    for index, value in _written(one, spec):
        found = no_path(value, spec.variables, spec.mounts)
        if found is None or (found[0] == RELATIVE and _is_no_path(one, value, spec)):
            continue
        code, message, hint = found
        if one.kind is InputKind.RECORDS:
            hint = hint.replace("$dataset_raw/...", "$dataset_tfrecord/...")
        yield Unresolved(index, value, code, message, hint)


def _is_no_path(one: Input, value: str, spec: SpecReader) -> bool:
    """Whether a relative value is the name of weights, or below a folder that another key names."""
    is_name = "weights" in one.holds and not os.path.splitext(value)[1]  # noqa: PTH122 (a str)
    return is_name or any(key != one.key and key.rpartition(".")[2] in _ROOTS for key in _keys(spec))


def no_path(value: str, variables: HostVariables, mounts: Mounts) -> tuple[str, str, str] | None:
    """Code, message and hint for a path of the shell, and for a relative one that leads to nothing from where
    containers and processes start. None for anything else.

    Source: tao/tensorflow.md section 2 (containers start in /workspace), tao/pytorch.md (newer ones in /opt/nvidia).
    """
    shown = printable(value)
    if value.startswith("~/"):
        return "missing-input", f'"{shown}" is no path: the shell alone knows "~"', _WRITE
    if value.startswith("/") or value.strip() in _NO_PATHS or "://" in value or "\\" in value:
        return None
    below = f"{variables.workspace if mounts.is_identity else INSIDE}/{value}"
    found = mounts.to_host(below)
    if found is not None and os.path.lexists(found):
        return None
    where = "the workspace" if mounts.is_identity else "a folder of its image"
    message = f'"{shown}" is relative: TAO starts in {where}, and finds nothing there'
    return RELATIVE, message, _instead(value, str(variables["dataset_raw"]))


def unmounted(one: Input, spec: SpecReader) -> Unresolved | None:
    """The first value of a key that no mount covers, and that is no folder of every container with files of its image.

    Every container has an empty ``/tmp`` of its own, so what lies there on this host is not in it.
    """
    if spec.mounts.is_identity:
        return None
    for index, value in _written(one, spec):
        is_of_image = value.startswith(CONTAINERS_OWN) and not value.startswith(_EMPTY)
        if not value.startswith("/") or is_of_image or spec.mounts.to_host(value) is not None:
            continue
        is_reported = not value.startswith(_EMPTY)
        if is_reported and (HOMES.match(value) or os.path.exists(value)):  # noqa: PTH110 (a str); see host_paths
            return None
        message = f'no mount covers "{printable(value)}"'
        hint = "put it below the project's data/, or mount its folder in .tao_mounts.json"
        return Unresolved(index, value, "not-mounted", message, hint)
    return None


def _written(one: Input, spec: SpecReader) -> Iterator[tuple[int, str]]:
    """The texts at the key of an input that begin with no folder of taorunner. Other variables are not read."""
    if one.key not in spec or None not in (starts := spec.starts(one.key)):
        return
    for index, (value, start) in enumerate(zip(spec.values(one.key), starts, strict=False)):
        if isinstance(value, str) and start is None:
            yield index, value


def _keys(spec: SpecReader) -> Iterator[str]:
    yield from spec.outline.shape.fixed
    yield from spec.outline.shape.open
    yield from spec.overlay


def _instead(value: str, dataset: str) -> str:
    """What to write for a relative path: behind the variable of the folder that has it."""
    parts = value.removeprefix("./").split("/")
    for index in range(len(parts)):
        rest = "/".join(parts[index:])
        if rest and os.path.exists(f"{dataset}/{rest}"):  # noqa: PTH110 (a str)
            return f"write $dataset_raw/{printable(rest)}"
    return _WRITE
