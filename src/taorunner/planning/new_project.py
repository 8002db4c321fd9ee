"""Creates a new project from the scaffold and the catalog's entry for its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.contracts import Framework
from taorunner.errors import UserFilesError
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.spec.release_fit import fitting
from taorunner.project.scaffold import create_project, scaffold_heads, spec_files
from taorunner.project.workspace import Workspace, find_workspace
from taorunner.specs.templates.variables import is_mark


@dataclass(frozen=True, slots=True)
class NewProject:
    """``files`` is what was made; ``next_step`` says what to do with it.

    ``fill_ins`` are the lines with ``$FILL_IN`` of each file that has some.
    """

    files: tuple[Path, ...]
    next_step: str
    fill_ins: Mapping[Path, tuple[int, ...]] = field(default_factory=dict)


def new_project(
    start: Path,
    root: Path | None,
    name: str,
    *,
    head: str,
    backbone: str | None,
    experiment: str | None,
    dataset: str,
    release: str | None = None,
) -> NewProject:
    """Makes ``projects/<name>`` in the workspace around ``start``, or in a new one there.

    ``release`` is written into the entry; the spec files hold only keys that it knows.

    Raises UserFilesError, UsageError or MachineError; then nothing was made.
    """
    workspace_root = root or workspace_around(start)
    networks = Networks(Workspace(workspace_root).networks_dir)
    network = networks.load(head)
    if head not in scaffold_heads():
        hint = f"heads with spec files: {', '.join(scaffold_heads())}"
        raise UserFilesError(f'there are no spec files to start "{head}" with', hint=hint)
    needs = [key for key in network.needs if key not in ("head", "dataset")]
    specs = fitting(spec_files(head, backbone), network, networks.layout(head), release)
    files = create_project(
        workspace_root,
        name,
        head,
        backbone,
        experiment=experiment,
        dataset=dataset,
        needs=needs,
        values={} if release is None else {"release": release},
        specs=specs,
        gpus=0 if network.framework is Framework.EMBEDDED else 1,
        heads=networks.names,
    )
    data = workspace_root / "projects" / name / "data" / dataset
    where = f'put images and labels into {data} as "taorunner networks {head}" says'
    return NewProject(tuple(files), f"{where}, then: taorunner validate {name}", fill_ins(files))


def fill_ins(files: Sequence[Path]) -> dict[Path, tuple[int, ...]]:
    """The lines of ``files`` with a value that is still to be written; files without one are left out."""
    found: dict[Path, tuple[int, ...]] = {}
    for file in files:
        if file.is_file():
            lines = file.read_text(encoding="utf-8").splitlines()
            marked = (number for number, line in enumerate(lines, 1) if is_mark(line.partition("#")[0]))
            found[file] = tuple(marked)
    return {file: lines for file, lines in found.items() if lines}


def workspace_around(start: Path) -> Path:
    """The workspace that ``start`` lies in; ``start`` itself where there is none."""
    try:
        return find_workspace(start, None, {}).root
    except UserFilesError:
        return start
