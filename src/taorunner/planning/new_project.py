"""Creates a new project from the scaffold and the catalog's entry for its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taorunner.contracts import Framework
from taorunner.errors import UserFilesError
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.project.scaffold import create_project, scaffold_heads
from taorunner.project.workspace import Workspace, find_workspace


@dataclass(frozen=True, slots=True)
class NewProject:
    """``files`` is what was made, for ``experiment``; ``next_step`` says what to do with it."""

    files: tuple[Path, ...]
    experiment: str
    next_step: str


def new_project(
    start: Path,
    root: Path | None,
    name: str,
    *,
    head: str,
    backbone: str | None,
    experiment: str | None,
    dataset: str,
    networks: Networks | None = None,
) -> NewProject:
    """Makes ``projects/<name>`` in the workspace around ``start``, or in a new one there. ``networks`` are those of the
    workspace, unless given.

    Raises UserFilesError, UsageError or MachineError; then nothing was made.
    """
    workspace_root = root or workspace_around(start)
    networks = networks or Networks(Workspace(workspace_root).networks_dir)
    network = networks.load(head)
    if head not in scaffold_heads():
        hint = f"heads with spec files: {', '.join(scaffold_heads())}"
        raise UserFilesError(f'there are no spec files to start "{head}" with', hint=hint)
    needs = [key for key in network.needs if key not in ("head", "dataset")]
    files = create_project(
        workspace_root,
        name,
        head,
        backbone,
        experiment=experiment,
        dataset=dataset,
        needs=needs,
        gpus=0 if network.framework is Framework.EMBEDDED else 1,
        heads=networks.names,
    )
    data = workspace_root / "projects" / name / "data" / dataset
    where = f'put images and labels into {data} as "taorunner networks {head}" says'
    made = files[-1].parent.name
    return NewProject(tuple(files), made, f"{where}, then: taorunner validate {name}")


def workspace_around(start: Path) -> Path:
    """The workspace that ``start`` lies in; ``start`` itself where there is none."""
    try:
        return find_workspace(start, None, {}).root
    except UserFilesError:
        return start
