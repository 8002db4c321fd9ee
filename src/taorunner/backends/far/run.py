"""A run whose workspace only its cluster sees: its folder there, what must be there, what is read of it. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from taorunner.backends.contract import Launch
from taorunner.backends.far.view import Shown
from taorunner.container_options import Mount
from taorunner.planning.model.plan import RunPlan
from taorunner.project.clusters.far_place import VIEWS, FarPlace
from taorunner.project.workspace import Workspace
from taorunner.values.value import Value

_NAMED = re.compile(r"/[^\s\"',\[\]{}:;=]+")
"""What looks like a path in a spec or on a command line; it counts only where such a file is here."""
_MOST_NAMED = 500


class FarRun(Value):
    """``run_dir`` is the run's folder on the far side, ``shown`` the folders that are looked at there."""

    run_dir: str
    shown: tuple[Shown, ...] = ()

    def to_json(self) -> dict[str, Any]:
        shown = [{**vars(one), "seen": str(one.seen)} for one in self.shown]
        return {"run_dir": self.run_dir, "shown": shown}

    def is_below(self, run_dir: Path) -> bool:
        """Whether each view may be made there, for a run with this folder: what it no longer shows is removed."""
        views = run_dir.parent.parent / VIEWS
        return all(one.seen.is_relative_to(views) and ".." not in one.seen.parts for one in self.shown)

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> FarRun:
        """Raises KeyError, TypeError for what is none."""
        shown = tuple(
            Shown(str(one["there"]), Path(one["seen"]), tuple(one["whole"]), tuple(one["ends"]))
            for one in body["shown"]
        )
        return FarRun(str(body["run_dir"]), shown)


class Delivery(Value):
    """What a run needs on the far side before it is submitted.

    ``needed`` are pairs of a path here and there: what is here must be there. ``folders`` are made. ``earlier`` are
    patterns of the shell: files of an earlier training that would be in the way. ``aside`` is moved away; ``views``
    show it here. ``sync`` is the command that copies what is missing. ``is_shared``: both sides see the same disk, so
    that nothing is carried.
    """

    workspace: str
    run_dir: str
    folders: tuple[str, ...]
    needed: tuple[tuple[Path, str], ...]
    earlier: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    views: tuple[Path, ...] = ()
    sync: str = ""
    is_shared: bool = False


def far_run(plan: RunPlan, launch: Launch, place: FarPlace) -> FarRun:
    contract = plan.contract
    progress, weights = contract.progress, contract.checkpoints
    whole = (*progress.status_files, *progress.event_files, *progress.result_files)
    ends = (*weights.globs, *weights.resume_globs, *contract.verdict.artifacts)
    inside = [tuple(one for one in names if not one.startswith("/")) for names in (whole, ends)]
    shown = [Shown(place.path(plan.results_dir), place.seen(plan.results_dir), inside[0], inside[1])]
    for pattern in dict.fromkeys(one for one in ends if one.startswith("/")):
        found = _elsewhere(plan.mounts, pattern)
        if found is not None and found[0].is_relative_to(plan.workspace):
            shown.append(Shown(place.path(found[0]), place.seen(found[0]), (), (found[1],)))
    return FarRun(place.path(launch.run_dir), tuple(shown))


def delivery(plan: RunPlan, launch: Launch, place: FarPlace, mounts: Sequence[Mount]) -> Delivery:
    workspace = Workspace(plan.workspace)
    own = (plan.results_dir, *plan.make_dirs, workspace.inside_dir, launch.run_dir)
    project = workspace.project(plan.project)
    # folders of every workspace are made, also where a project needs nothing of them; files in them must be there
    layout = {
        workspace.root,
        workspace.projects_dir,
        workspace.repositories_dir,
        project.root,
        project.data_dir,
    }
    mounted = [mount.source for mount in mounts]
    made = [plan.results_dir, *plan.make_dirs]
    made += [path for path in mounted if path in layout or path.is_relative_to(workspace.inside_dir)]
    named = [path for path in [*mounted, *_named(plan, mounts)] if path not in layout]
    needed = [path for path in dict.fromkeys(named) if not any(path.is_relative_to(one) for one in own)]
    is_fresh = plan.contract.action == "train" and plan.resume is None
    results = shlex.quote(place.path(plan.results_dir))
    return Delivery(
        workspace=place.there,
        run_dir=place.path(launch.run_dir),
        folders=tuple(dict.fromkeys(place.path(path) for path in made)),
        needed=tuple((path, place.path(path)) for path in needed),
        earlier=tuple(f"{results}/{_pattern(one)}" for one in plan.contract.checkpoints.globs)
        if is_fresh
        else (),
        aside=tuple(place.path(path) for path in plan.set_aside),
        views=tuple(place.seen(path) for path in plan.set_aside),
        sync=shlex.join(["taorunner", "clusters", "sync", plan.cluster or "CLUSTER", plan.project]),
    )


def _named(plan: RunPlan, mounts: Sequence[Mount]) -> list[Path]:
    """Files that the spec and the command line name, as paths of this machine."""
    text = "\n".join([*plan.argv, plan.spec.text if plan.spec is not None else ""])
    found: list[Path] = []
    for name in dict.fromkeys(_NAMED.findall(text)):
        path = _on_this_machine(name, mounts)
        if path is not None and path.is_relative_to(plan.workspace) and path != plan.workspace:
            found.append(path)
    return found[:_MOST_NAMED]


def _on_this_machine(name: str, mounts: Sequence[Mount]) -> Path | None:
    if not mounts:
        return Path(name)
    best = max(
        (one for one in mounts if _is_below(name, one.target)), key=lambda one: len(one.target), default=None
    )
    return None if best is None else best.source / name[len(best.target.rstrip("/")) :].lstrip("/")


def _is_below(name: str, folder: str) -> bool:
    return name.startswith(folder.rstrip("/") + "/")


def _elsewhere(mounts: Sequence[Mount], pattern: str) -> tuple[Path, str] | None:
    """The folder of an absolute pattern up to its first star, on this machine, and the rest of the pattern."""
    parts = PurePosixPath(pattern).parts
    plain = next((at for at, part in enumerate(parts) if set(part) & set("*?[")), len(parts) - 1)
    folder = _on_this_machine(str(PurePosixPath(*parts[:plain])) + "/x", mounts)
    return None if folder is None else (folder.parent, str(PurePosixPath(*parts[plain:])))


def _pattern(pattern: str) -> str:
    """For the shell: only its stars are left unquoted."""
    return "".join(
        part if part in "*?" else shlex.quote(part) for part in re.split(r"([*?])", pattern) if part
    )
