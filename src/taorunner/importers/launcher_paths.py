"""Finds the dataset, results and weights among the paths of a launcher spec, and replaces them with variables.

For specs written for the TAO launcher. Their paths are container paths; the mounts map them to this host.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taorunner.importers.network_detection import SpecRead
from taorunner.planning.inputs.variables import VARIABLES
from taorunner.project.mounts import Mounts
from taorunner.specs.templates.template import parse_template

_DATA = re.compile(r"data|image|label|annot|tfrecord|json|root_dir|mask|video|pcd|lidar|kitti|split|_dir\Z")
_PRETRAINED = re.compile(r"pretrain", re.IGNORECASE)
_WEIGHTS = (
    ".hdf5",
    ".tlt",
    ".pth",
    ".pth.tar",
    ".pt",
    ".ckpt",
    ".safetensors",
    ".onnx",
    ".etlt",
    ".engine",
    ".trt",
)
_GLOB = re.compile(r"[*?\[$]")
_LEAVES = ("image_2", "label_2", "images", "labels", "image", "label", "image_dir", "annotations")


@dataclass(frozen=True, slots=True)
class PathUse:
    """A container path in a spec, with the key path of its value."""

    key: tuple[str, ...]
    path: str

    @property
    def is_pretrained(self) -> bool:
        return _PRETRAINED.search(self.key[-1]) is not None

    @property
    def is_weights(self) -> bool:
        return self.path.endswith(_WEIGHTS)

    @property
    def is_results(self) -> bool:
        return self.key[-1] == "results_dir" or self.key[-1].startswith("output")

    @property
    def is_data(self) -> bool:
        return not (self.is_pretrained or self.is_weights or self.is_results) and any(
            _DATA.search(name) for name in self.key
        )


def path_uses(spec: SpecRead) -> Iterator[PathUse]:
    """Absolute paths among the values of the spec."""
    for key, value in spec.section.walk():
        if isinstance(value, str) and value.startswith("/") and len(value) > 1 and "\n" not in value:
            yield PathUse(key, value)


def override_uses(overrides: Mapping[str, object]) -> Iterator[PathUse]:
    """Absolute paths among the values of overrides."""
    for key, value in overrides.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and one.startswith("/") and len(one) > 1:
                yield PathUse(tuple(key.split(".")), one)


def results_folders(uses: Sequence[PathUse], written: Iterable[str] = ()) -> list[str]:
    """The results folders of the specs, and those that commands wrote into, without those that also contain data and
    those that contain others."""
    in_specs = {use.path.rstrip("/") for use in uses if use.key in (("results_dir",), ("output_dir",))}
    folders = (in_specs | set(written)) - {""}
    free = {one for one in folders if not any(use.is_data and is_below(use.path, one) for use in uses)}
    return sorted(
        one
        for one in free
        if one in in_specs or not any(one != other and is_below(other, one) for other in free)
    )


def dataset_root(
    uses: Iterable[PathUse], mounts: Mounts, results: Sequence[str], source: Path | None = None
) -> str | None:
    """The container folder of the training data; None where no path in the specs is data.

    Where a mount also holds other files, or the folder holds ``source``, the specs themselves, it is the folder below
    it with most of the data.
    """
    folders: list[tuple[str, str]] = []
    others: set[str] = set()
    for use in uses:
        if any(is_below(use.path, one) for one in results):
            continue
        mount = _mount_of(use.path, mounts)
        if use.is_data:
            folders.append((mount, _folder(use.path)))
        else:
            others.add(mount)
    if not folders:
        return None
    mount = Counter(mount for mount, _ in folders).most_common(1)[0][0]
    inside = [folder for where, folder in folders if where == mount]
    if mount in others or mount == "/":
        first = Counter(_first_below(folder, mount) for folder in inside).most_common(1)[0][0]
        inside = [folder for folder in inside if is_below(folder, first)]
    root = posixpath.commonpath(inside)
    host = mounts.to_host(root)
    below = [_first_below(folder, root) for folder in inside if folder != root]
    if source is not None and host is not None and source.is_relative_to(host) and below:
        root = Counter(below).most_common(1)[0][0]
    if root != mount and posixpath.basename(root) in _LEAVES:
        root = posixpath.dirname(root)
    return None if root == "/" else root


def with_variables(spec: SpecRead, replacements: Mapping[str, str]) -> str:
    """The text with each path of ``replacements`` (container path → ``$variable``) replaced, also at the start of a
    longer path. Every other dollar is escaped."""
    template = parse_template(spec.text, spec.format)
    paths = sorted(replacements, key=len, reverse=True)
    found = "|".join(re.escape(path) for path in paths)
    pattern = re.compile(
        rf"(?P<dollar>\$)|(?<![A-Za-z0-9_./}}-])(?P<path>{found or '(?!)'})(?=[/\"'\s,\]}}]|\Z)"
    )
    out: list[str] = []
    position = 0
    for start, end in [*template.comments, (len(spec.text), len(spec.text))]:
        piece = spec.text[position:start]
        out.append(pattern.sub(lambda match: _written(match, spec.format, replacements), piece))
        out.append(spec.text[start:end])
        position = end
    return "".join(out)


def value_with_variables(value: object, replacements: Mapping[str, str]) -> object:
    """The value of an override, with the paths in it replaced in the same way."""
    if isinstance(value, list):
        return [value_with_variables(one, replacements) for one in value]
    if not isinstance(value, str):
        return value
    for path in sorted(replacements, key=len, reverse=True):
        if is_below(value, path):
            return replacements[path] + value[len(path.rstrip("/")) :]
    return value


def is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _written(match: re.Match[str], spec_format: str, replacements: Mapping[str, str]) -> str:
    if match["dollar"] is None:
        return replacements[match["path"]]
    behind = match.string[match.end() : match.end() + 80]
    if spec_format == "yaml" and behind.startswith("{"):
        name = re.match(r"\{([A-Za-z_][A-Za-z0-9_]*)\}", behind)
        is_ours = name is not None and name[1] in VARIABLES and name[1] != "results_dir"
        return "$$" if is_ours else "$"  # ${results_dir} is the same folder for OmegaConf and for us
    return "$$"


def _mount_of(path: str, mounts: Mounts) -> str:
    covering = [one.destination for one in mounts.entries if is_below(path, one.destination)]
    return max(covering, key=len, default="/")


def _folder(path: str) -> str:
    parts = path.rstrip("/").split("/")
    for index, part in enumerate(parts):
        if _GLOB.search(part):
            return "/".join(parts[:index]) or "/"
    return posixpath.dirname(path) if "." in parts[-1].lstrip(".") else "/".join(parts)


def _first_below(folder: str, mount: str) -> str:
    rest = folder[len(mount) :].strip("/").split("/")
    return posixpath.join(mount, rest[0]) if rest[0] else folder
