"""Creates a new project from the scaffold and the catalog's entry for its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from taorunner.catalog.layouts import DataLayout
from taorunner.catalog.network import Network
from taorunner.contracts import Framework
from taorunner.errors import UserFilesError
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.spec.release_fit import fitting
from taorunner.planning.weights.spec_lines import Start, start_of
from taorunner.project.scaffold import create_project, scaffold_heads, spec_files
from taorunner.project.workspace import Workspace, find_workspace
from taorunner.specs.memory import SpecMemory
from taorunner.specs.templates.variables import is_mark


@dataclass(frozen=True, slots=True)
class NewProject:
    """``files`` is what was made in ``workspace``, for ``experiment``; ``next_step`` says what to do with it. ``start``
    says what it starts from. ``fill_ins`` are the lines with ``$FILL_IN`` of each file that has some.
    """

    files: tuple[Path, ...]
    experiment: str
    next_step: str
    start: Start
    workspace: Path
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
    networks: Networks | None = None,
    use_weights: bool = True,
    release: str | None = None,
) -> NewProject:
    """Makes ``projects/<name>`` in the workspace around ``start``, or in a new one there. ``networks`` are those of the
    workspace, unless given.

    Without ``use_weights`` the experiment starts from random values.

    ``release`` is written into the entry; the spec files hold only keys that it knows.

    Raises UserFilesError, UsageError or MachineError; then nothing was made.
    """
    workspace_root = root or workspace_around(start)
    networks = networks or Networks(Workspace(workspace_root).networks_dir)
    network = networks.load(head)
    if head not in scaffold_heads():
        hint = f"heads with spec files: {', '.join(scaffold_heads())}"
        raise UserFilesError(f'there are no spec files to start "{head}" with', hint=hint)
    chosen = started(network, networks.layout(head), backbone, release, use_weights=use_weights)
    needs = [key for key in network.needs if key not in ("head", "dataset")]
    files = create_project(
        workspace_root,
        name,
        head,
        chosen.label,
        experiment=experiment,
        dataset=dataset,
        needs=needs,
        values=chosen.keys if release is None else {**chosen.keys, "release": release},
        gpus=0 if network.framework is Framework.EMBEDDED else 1,
        heads=networks.names,
        specs=chosen.specs,
    )
    data = workspace_root / "projects" / name / "data" / dataset
    where = f'put images and labels into {data} as "taorunner networks {head}" says'
    made = files[-1].parent.name
    step = f"{where}, then: taorunner validate {name}"
    return NewProject(tuple(files), made, step, chosen, workspace_root, fill_ins(files))


def started(
    network: Network,
    layout: DataLayout | None,
    backbone: str | None,
    release: str | None,
    *,
    use_weights: bool,
) -> Start:
    """The spec files of a new experiment with its backbone and start weights, as ``release`` reads them. Where it does
    not know the key of the weights, there are none.

    Raises UsageError for an unknown backbone or release.
    """
    head, memory = network.name, SpecMemory()
    specs = fitting(spec_files(head), network, layout, release, memory)
    chosen = start_of(head, layout, specs, backbone, use_weights=use_weights)
    known = fitting(chosen.specs, network, layout, release, memory)
    if known != chosen.specs and use_weights:
        chosen = start_of(head, layout, specs, backbone, use_weights=False)
        known = fitting(chosen.specs, network, layout, release, memory)
    return replace(chosen, specs=known)


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
