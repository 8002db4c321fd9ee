"""Where pretrained weights of a launcher setup are on this host, and the links in repositories/ that lead to them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from taorunner.contracts import Framework
from taorunner.importers.launcher_paths import PathUse
from taorunner.planning.checkpoints.checkpoint_files import find_pretrained
from taorunner.pretrained.bundled_list import known_models
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import is_name

_NUMBERS = re.compile(r"[0-9.]+\Z")


@dataclass(frozen=True, slots=True)
class WeightsPlace:
    """``repositories/<repository>/<repository>_v<backbone>`` is a link to ``folder``; where the folder holds other
    weights too, it is a folder with a link to ``file``. ``inside`` is the path in the spec."""

    repository: str
    backbone: str
    folder: Path
    inside: str
    file: Path | None = None

    @property
    def link(self) -> tuple[PurePosixPath, Path]:
        """Below repositories/, and its target."""
        folder = PurePosixPath(self.repository, f"{self.repository}_v{self.backbone}")
        return (folder, self.folder) if self.file is None else (folder / self.file.name, self.file)


def weights_place(
    use: PathUse, mounts: Mounts, framework: Framework, *, any_layout: bool
) -> WeightsPlace | None:
    """The weights that ``use`` names, where they are on this host and ``$pretrained_model`` will be the same file.

    ``any_layout``: also where NGC's downloader did not put them there.
    """
    inside = posixpath.dirname(use.path) if use.is_weights else use.path
    host, exact = mounts.to_host(inside), mounts.to_host(use.path)
    if host is None or exact is None or not host.is_dir() or not exact.exists():
        return None
    found, _ = find_pretrained(host, framework)
    is_same = found is not None and (found == exact or found.resolve() == exact.resolve())
    names = downloaded_as(posixpath.basename(inside.rstrip("/")))
    if names is not None and is_same:
        return WeightsPlace(*names, host, use.path)
    if not any_layout or not exact.is_file():
        return None
    repository = host.name if is_name(host.name) else "imported"
    backbone = re.sub(r"[^A-Za-z0-9._-]", "_", exact.name.partition(".")[0])
    if not is_name(backbone):
        return None
    return WeightsPlace(repository, backbone, host, use.path, None if is_same else exact)


def downloaded_as(folder: str) -> tuple[str, str] | None:
    """Model and version of a folder that NGC's downloader made, ``<model>_v<version>``.

    Both may have ``_v`` in them (``pretrained_classification_vmobilenet_v2``): a model that is known decides, else the
    last place whose version is more than a number.
    """
    splits = list(_splits(folder))
    if not splits:
        return None
    known = {tuple(model.name.rpartition("/")[2].partition(":")[::2]) for model in known_models()}
    models = {name for name, _ in known}
    for one in splits:
        if one in known:
            return one
    for repository, version in reversed(splits):
        if repository in models:
            return repository, version
    words = [one for one in splits if _NUMBERS.match(one[1]) is None]
    return (words or splits)[-1]


def _splits(folder: str) -> Iterator[tuple[str, str]]:
    at = folder.find("_v", 1)
    while at > 0:
        repository, version = folder[:at], folder[at + 2 :]
        if is_name(repository) and version and is_name(version):
            yield repository, version
        at = folder.find("_v", at + 1)
