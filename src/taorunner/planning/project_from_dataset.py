"""Creates a project that is ready to train, from a dataset: data, specs, weights, and the check of all of it.

Everything is built beside the project's place and renamed at the end: the project is complete, or there is none.
"""

from __future__ import annotations

import glob
import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from taorunner.catalog.layouts import DataLayout
from taorunner.contained_files import walk
from taorunner.contracts import Contract, Framework
from taorunner.datasets.files.atomic_swap import is_alive
from taorunner.datasets.files.output_folders import Way
from taorunner.datasets.transform.archive_source import source_folder
from taorunner.datasets.transform.for_network import FORMS, LaidOut, Wish, lay_out_for_network
from taorunner.errors import Finding, Severity, UsageError, UserFilesError, has_errors
from taorunner.planning.derived.derive import Change, DataFacts, read_facts, with_data
from taorunner.planning.derived.numbers import held_out_percent
from taorunner.planning.derived.spec_texts import SpecTexts
from taorunner.planning.experiment_variables import set_variables, variables_of
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.new_project import new_project, workspace_around
from taorunner.planning.paired_lists import with_lists
from taorunner.planning.validate import validate_projects
from taorunner.planning.weights.pull import pull_start_weights
from taorunner.pretrained.pull import Watcher
from taorunner.project.diagnostics import shown
from taorunner.project.mount_editing import add_read_only
from taorunner.project.mounts import Mounts, load_mounts
from taorunner.project.scaffold import make_workspace
from taorunner.project.schema import experiments_schema
from taorunner.project.workspace import NAME_RULE, ProjectPaths, Workspace, find_project, is_name
from taorunner.text import amount, printable

_WEIGHTS_MISSING = "pretrained-missing"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class FromDataset:
    """What ``init-project --from-dataset`` was asked for."""

    name: str
    source: Path
    head: str
    backbone: str | None = None
    experiment: str | None = None
    dataset: str | None = None
    val: float = 0.2
    format: str | None = None
    way: Way = Way.LINK
    with_weights: bool = True
    skip_bad: bool = False
    release: str | None = None


@dataclass(frozen=True, slots=True)
class ReadyProject:
    """``data`` is the folder that was written, ``mounts`` the changed mounts file, ``changes`` what was set in the
    specs, ``weights`` a sentence about what the training starts from, ``findings`` those of ``validate``. A training
    validates on ``percent_of_train`` instead of val, where its conversion sets a part of train aside."""

    paths: ProjectPaths
    experiment: str
    laid_out: LaidOut
    data: Path
    mounts: Path | None
    changes: tuple[Change, ...]
    weights: str
    weights_hint: str | None
    findings: tuple[Finding, ...]
    next_steps: tuple[str, ...]
    is_without_weights: bool = False
    percent_of_train: int | None = None


def project_from_dataset(
    start: Path,
    root: Path | None,
    wanted: FromDataset,
    environ: Mapping[str, str],
    progress: Progress,
    watcher: Watcher,
) -> ReadyProject:
    """Makes ``projects/<name>`` in the workspace around ``start``, or in a new one there.

    Raises UserFilesError with all findings, UsageError or MachineError; then no project was made.
    """
    workspace = Workspace(Path(os.path.abspath(root or workspace_around(start))))  # noqa: PTH100 (keeps links)
    networks = Networks(workspace.networks_dir)
    network = networks.load(wanted.head)
    is_contained = network.framework is not Framework.EMBEDDED
    layout = networks.layout(wanted.head)
    layout, form = written_form(layout, wanted.head)
    paths = _free_place(workspace, wanted.name)
    dataset = wanted.dataset or wanted.name
    source = Path(os.path.realpath(wanted.source)) if wanted.way is Way.REFER else wanted.source
    make_workspace(workspace, experiments_schema(networks.names))
    mapped = load_mounts(workspace, environ) if is_contained else Mounts.identity()
    inside = mapped.to_inside(paths.data_dir / dataset)
    with _beside(paths) as beside:
        made = new_project(
            beside.root, beside.root, wanted.name, head=wanted.head, backbone=wanted.backbone,
            experiment=wanted.experiment, dataset=dataset_name(layout, dataset), networks=networks,
            use_weights=wanted.with_weights, release=wanted.release,
        )  # fmt: skip
        built = beside.project(wanted.name)
        laid_out = _lay_out(source, built.data_dir / dataset, form, wanted, progress)
        train = network.contracts(wanted.release).get("train")
        changes, facts = _fill_in(built, made.experiment, layout, dataset, inside, train)
        if layout.dataset is not None:
            unlearnt = _unlearnt(facts, paths.data_dir / dataset)
            laid_out = replace(laid_out, findings=(*laid_out.findings, *unlearnt))
        mounts = None
        if wanted.way is Way.REFER and is_contained:
            _refuse_outside(built.data_dir / dataset, source)
            mounts = add_read_only(workspace, source, environ)
        pulled = None
        if made.start.weights is not None:
            home = Path(environ.get("HOME") or Path.home())
            pulled = pull_start_weights(made.start.weights, workspace, watcher, environ, home)
        built.root.rename(paths.root)
    findings = _judged(workspace, paths, environ, wanted.source)
    is_missing = pulled is not None and pulled.folder is None
    return ReadyProject(
        paths, made.experiment, laid_out, paths.data_dir / dataset, mounts, changes,
        pulled.says if pulled else made.start.says, made.start.hint, findings,
        _next_steps(start, paths, made.experiment, layout, environ, is_missing=is_missing),
        is_missing,
        _set_aside(paths.spec_dir(made.experiment)) if layout.dataset is not None else None,
    )  # fmt: skip


def _set_aside(specs: Path) -> int | None:
    """The percentage of the training images that the conversion sets aside for validation; None for none of them."""
    files = {file.name: file.read_text(encoding="utf-8") for file in sorted(specs.glob("convert.*"))}
    return int(held_out_percent(SpecTexts(files, {}, is_new=True)) or 0) or None


def _judged(
    workspace: Workspace, paths: ProjectPaths, environ: Mapping[str, str], source: Path
) -> tuple[Finding, ...]:
    """The findings of ``validate`` without those that the report of the weights has. With another error the project is
    removed again, as it could not be trained, and UserFilesError raised."""
    findings = [
        one for one in validate_projects(workspace, [paths.name], environ) if one.code != _WEIGHTS_MISSING
    ]
    if has_errors(findings):
        findings = list(_at_source(findings, paths, source))
        shutil.rmtree(paths.root, ignore_errors=True)
        raise UserFilesError(
            "no project was made, because its first training would stop",
            hint="correct the dataset, or make the project without --from-dataset",
            findings=findings,
        )
    return tuple(findings)


def _at_source(findings: Iterable[Finding], paths: ProjectPaths, source: Path) -> Iterator[Finding]:
    """The findings about data of a project that is removed again, at the files of ``source`` it was made from."""
    findings = list(findings)
    written = {one.file for one in findings if one.file and one.file.is_relative_to(paths.data_dir)}
    identities = {_identity(file): file for file in written}
    identities.pop(None, None)  # what is gone
    places: dict[Path | None, Path] = {}
    for folder, _, names in walk(source):
        for file in (Path(folder, name) for name in names):
            if (copy := identities.get(_identity(file))) is not None:
                places[copy] = file
    command = f"taorunner dataset check {shlex.quote(str(source))} shows them"
    for one in findings:
        if one.file in places:
            yield replace(one, file=places[one.file])
        elif one.file in written:
            is_rest = one.hint is not None and one.hint.startswith("taorunner dataset check ")
            hint = command if is_rest else one.hint
            yield replace(one, file=source, line=None, column=None, hint=hint)
        else:
            yield one


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _next_steps(
    start: Path, paths: ProjectPaths, experiment: str, layout: DataLayout,
    environ: Mapping[str, str], *, is_missing: bool,
) -> tuple[str, ...]:  # fmt: skip
    """The commands to a trained network: missing weights, and the training, behind a conversion where it reads
    records."""
    workspace = Workspace(paths.root.parent.parent)
    try:
        is_found = find_project(workspace, start, None, environ) == paths.name
    except (UserFilesError, UsageError):
        is_found = False
    program = "taorunner" if is_found else f"taorunner -p {paths.name}"
    train = f"{program} train {experiment}"
    first = (f"taorunner -p {paths.name} pretrained pull",) if is_missing else ()
    if not layout.trains_on_records:
        return *first, train
    return *first, f"{program} convert {experiment} --then train"


def _lay_out(source: Path, data: Path, form: str, wanted: FromDataset, progress: Progress) -> LaidOut:
    """Of an archive, findings name the archive."""
    wish = Wish(form, wanted.val, wanted.format, wanted.way, wanted.skip_bad)
    with source_folder(source, data, progress=progress) as read:
        laid_out = lay_out_for_network(read.folder, data, wish, progress)
    return replace(laid_out, findings=read.named(laid_out.findings))


def written_form(layout: DataLayout | None, head: str) -> tuple[DataLayout, str]:
    """The layout, and the form that is written for it.

    Raises UserFilesError for a network whose data nothing here writes.
    """
    if layout is None or layout.form not in FORMS:
        raise UserFilesError(
            f'no command writes the data of "{head}"',
            hint=f'"taorunner networks {head}" says what to put where; taorunner init-project NAME --head {head} '
            "makes the project",
        )
    return layout, layout.form


def dataset_name(layout: DataLayout, dataset: str) -> str:
    """What experiments.yml names: the folder, or its subset where the network counts paths from there."""
    return f"{dataset}/{layout.dataset}" if layout.dataset else dataset


def _free_place(workspace: Workspace, name: str) -> ProjectPaths:
    if not is_name(name):
        raise UsageError(f'"{shown(name)}" cannot be the name of a project', hint=f"use {NAME_RULE}")
    paths = workspace.project(name)
    if os.path.lexists(paths.root):
        hint = f"choose another name, or add an experiment to it: taorunner -p {name} add --help"
        raise UserFilesError(f'there is already a project "{name}" ({paths.root})', hint=hint)
    return paths


@contextmanager
def _beside(paths: ProjectPaths) -> Iterator[Workspace]:
    """A workspace for the time of the work, on the same file system as the project. What a killed process left is
    removed first."""
    start = f".new-{paths.name}-"
    for old in paths.root.parent.glob(f"{glob.escape(start)}*"):
        pid = old.name.removeprefix(start)
        if pid.isdigit() and not is_alive(int(pid)):
            shutil.rmtree(old, ignore_errors=True)
    folder = paths.root.with_name(f"{start}{os.getpid()}")
    try:
        folder.mkdir()
        yield Workspace(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_outside(data: Path, source: Path) -> None:
    """Raises UserFilesError for an image that a link of the dataset leads out of ``source``, which alone is mounted."""
    for folder, _, files in walk(data):
        for file in files:
            path = Path(folder, file)
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(source):
                raise UserFilesError(
                    f'"{printable(os.path.realpath(path))}" is outside of "{printable(str(source))}"',
                    hint="leave --in-place out: then the images are linked or copied",
                )


def _fill_in(
    paths: ProjectPaths,
    experiment: str,
    layout: DataLayout,
    dataset: str,
    inside: str,
    train: Contract | None,
) -> tuple[tuple[Change, ...], DataFacts]:
    """Sets in the specs what follows from the data. ``inside`` is the path of the dataset in a container."""
    folder = paths.spec_dir(experiment)
    specs = {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.iterdir())}
    data = paths.dataset_dir(dataset_name(layout, dataset))
    file = paths.experiments_file
    variables = variables_of(file, experiment)
    facts = read_facts(layout, data, specs, variables)
    result = with_data(layout, facts, specs, variables, is_new=True, train=train)
    for name, spec in with_lists(layout, data, inside, result.specs).items():
        (folder / name).write_text(spec, encoding="utf-8")
    set_variables(file, experiment, result.variables)
    return result.changes, facts


def _unlearnt(facts: DataFacts, data: Path) -> Iterator[Finding]:
    """Classes of val that train has not: a network that trains on one subset learns none of them."""
    for name, count in sorted(facts.val.boxes.items()):
        if name not in facts.train.boxes:
            boxes = amount(count, "box", "boxes")
            message = f'class "{printable(name)}" ({boxes}) is missing in "train": it is not learnt'
            hint = "add images of it, or give a dataset whose split has every class in both"
            yield Finding(Severity.WARNING, "class-missing-in-subset", message, hint, data)
