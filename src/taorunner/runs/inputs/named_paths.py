"""What of this host a planned run reads: datasets and files that its spec and its command line name. Only reads."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.planning.model.plan_dataset import dataset_folder, host_path
from taorunner.values.value import Value, field

if TYPE_CHECKING:
    from taorunner.planning.model.plan import RunPlan

_PATTERN = re.compile(r"[*?\[]")


class NamedPaths(Value):
    """``data`` are the parts of each dataset that are named, below its folder; ``names`` how each is called.
    ``files`` are those that are no part of one."""

    data: dict[Path, list[str]] = field(default_factory=dict)
    names: dict[Path, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


def named_paths(plan: RunPlan, texts: Iterable[str]) -> NamedPaths:
    """``texts`` are the values of the spec and the words of the command line. What is not there is left out, and what
    the run itself writes into: its results folder, and the folders that it makes."""
    found = dict.fromkeys(path for text in texts for path in _paths(plan, text))
    places = [path for path in found if path.exists() and not _is_own(plan, path)]
    named = NamedPaths()
    files: list[Path] = []
    for path in places:
        dataset = _dataset_of(plan, path)
        if dataset is not None:
            _add(named, plan, dataset, path)
        elif path.is_file():
            files.append(path)
    whole = dataset_folder(plan)
    if not named.data and whole is not None and whole.is_dir() and not _is_own(plan, whole):
        dataset = _dataset_of(plan, whole)
        if dataset is not None:
            _add(named, plan, dataset, whole)
    return NamedPaths(
        {folder: _outermost(parts) for folder, parts in named.data.items()}, named.names, tuple(files)
    )


def _paths(plan: RunPlan, text: str) -> Iterator[Path]:
    """The host path that a text is; of a pattern the folder in which its matches are."""
    if not text.startswith("/") or "\0" in text or len(text) > 4096:
        return
    inside = posixpath.normpath(text)
    match = _PATTERN.search(inside)
    path = host_path(plan, posixpath.dirname(inside[: match.start()]) if match else inside)
    if path is not None:
        yield path


def _dataset_of(plan: RunPlan, path: Path) -> Path | None:
    """The folder directly below ``data/`` of a project that has ``path`` in it; for a folder that is mounted from
    elsewhere that one. None for what is no data."""
    projects = plan.workspace / "projects"
    if path.is_relative_to(projects):
        parts = path.relative_to(projects).parts
        return projects.joinpath(*parts[:3]) if len(parts) > 2 and parts[1] == "data" else None
    if path.is_relative_to(plan.workspace) or plan.workspace.is_relative_to(path):
        return None
    mounted = [Path(mount.source) for mount in plan.mounts]
    inside = [one for one in mounted if path.is_relative_to(one) and one.is_dir()]
    return max(inside, key=lambda one: len(one.parts)) if inside and path.is_dir() else None


def _add(named: NamedPaths, plan: RunPlan, dataset: Path, path: Path) -> None:
    named.data.setdefault(dataset, []).append(str(path.relative_to(dataset)))
    named.names[dataset] = _name(plan, dataset)


def _name(plan: RunPlan, dataset: Path) -> str:
    projects = plan.workspace / "projects"
    if not dataset.is_relative_to(projects):
        return str(dataset)
    project, _, name = dataset.relative_to(projects).parts
    return name if project == plan.project else f"{project}/{name}"


def _outermost(parts: Iterable[str]) -> list[str]:
    """Without those in another one, sorted. ``.`` is the whole dataset."""
    kept: list[str] = []
    for part in sorted(set(parts), key=lambda one: (one != ".", one)):
        if kept[:1] != ["."] and not any(Path(part).is_relative_to(one) for one in kept):
            kept.append(part)
    return kept


def _is_own(plan: RunPlan, path: Path) -> bool:
    """Whether the run writes there, or everything of the project is there."""
    if path.is_dir() and plan.results_dir.is_relative_to(path):
        return True
    written = [folder for folder in plan.make_dirs if folder != plan.results_dir]
    return any(path == one or path.is_relative_to(one) for one in written) or (
        path.is_dir() and path.is_relative_to(plan.results_dir)
    )
