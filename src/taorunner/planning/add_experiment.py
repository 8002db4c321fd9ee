"""``taorunner add``: one more experiment in a project that exists.

Writes experiments.yml and spec files; nothing else of the project changes, and nothing is overwritten.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.atomic_files import write_bytes
from taorunner.catalog.network import Network
from taorunner.contracts import Framework
from taorunner.disk_room import is_no_room, no_room
from taorunner.errors import MachineError, Severity, UnknownNameError, UsageError, UserFilesError
from taorunner.planning.experiments_edit import CannotEditError, Edited, NewEntry, with_copy, with_entry
from taorunner.planning.first_steps import to_convert, usual_dataset
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.new_project import fill_ins, started
from taorunner.planning.spec.spec_files import find_spec
from taorunner.planning.weights.spec_lines import Start
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project, load_project
from taorunner.project.scaffold import (
    VARS_FILE,
    check_words,
    entry_lines,
    entry_of,
    scaffold_heads,
)
from taorunner.project.workspace import NAME_RULE, Workspace, is_name
from taorunner.specs.templates.variables import FILL_IN
from taorunner.text import did_you_mean, printable
from taorunner.yaml_reader import read_yaml

"""A variable that means records of this experiment alone."""
_LIKE_SET_ASIDE = re.compile(r"\.(?:[0-9]{8}[-T_]?[0-9]{4,6}[A-Za-z0-9.-]*|rerun-[0-9]+|sweeps)\Z")
"""Ends of the names of folders beside results: set aside by ``--overwrite``, reruns, trials."""
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class NewExperiment:
    """What is asked for. ``like`` is an experiment to copy; then nothing else is given."""

    name: str
    head: str | None = None
    backbone: str | None = None
    like: str | None = None
    dataset: str | None = None
    release: str | None = None
    use_weights: bool = True


@dataclass(frozen=True, slots=True)
class Added:
    """``line`` is that of the new entry in ``experiments_file``, None where the entry was there.

    ``made`` are the new spec files, ``fill_ins`` the lines with ``$FILL_IN`` of each changed file. ``to_convert`` is
    the dataset of the other experiments, where it has not the form that the new one reads.
    """

    experiments_file: Path
    line: int | None
    made: tuple[Path, ...]
    fill_ins: Mapping[Path, tuple[int, ...]] = field(default_factory=dict)
    to_convert: str | None = None

    def to_json(self) -> dict[str, object]:
        """``{"file", "line", "made", "fill_in": [{"file", "line"}]}``, paths of this host."""
        return {
            "file": str(self.experiments_file),
            "line": self.line,
            "made": [str(path) for path in self.made],
            "fill_in": [
                {"file": str(path), "line": line} for path, lines in self.fill_ins.items() for line in lines
            ],
        }


def add_experiment(workspace: Workspace, project_name: str, asked: NewExperiment) -> Added:
    """Adds an experiment, or writes the spec files that an existing one lacks.

    Raises:
        UsageError, UnknownNameError: a name or a combination of options is wrong.
        UserFilesError: experiments.yml is broken or read-only, or the experiment is complete.
        MachineError: a file cannot be written.
    """
    _check_name(asked.name)
    _check_options(asked)
    with _alone(workspace.project(project_name).root):
        project = load_project(workspace, project_name)
        _check_file(workspace, project)
        networks = Networks(workspace.networks_dir)
        if asked.name in project.names:
            return _complete(project, networks, asked)
        return _add(project, networks, asked)


def _add(project: Project, networks: Networks, asked: NewExperiment) -> Added:
    """A new entry and its spec files: both or none of them."""
    file, folder = project.paths.experiments_file, project.paths.spec_dir(asked.name)
    text, bom, mode = _read(file)
    if asked.like is not None:
        edited, specs = _copy(project, asked.name, asked.like, text)
    else:
        edited, specs = _new(project, networks, asked, text)
    made = _write_specs(folder, specs)
    try:
        with _named_errors(file):
            write_bytes(file.resolve(), bom + edited.text.encode("utf-8"), mode=mode)
    except BaseException:
        _remove(folder, made)
        raise
    marks = fill_ins([file, *made])
    own = tuple(line for line in marks.get(file, ()) if line >= edited.line)
    marks = {path: lines for path, lines in {**marks, file: own}.items() if lines}
    return Added(
        file,
        edited.line,
        made,
        marks,
        None if asked.like or asked.dataset else to_convert(project, networks, asked.head),
    )


def _check_name(name: str) -> None:
    if not is_name(name):
        raise UsageError(f'"{printable(name)}" cannot be the name of an experiment', hint=f"use {NAME_RULE}")
    end = _LIKE_SET_ASIDE.search(name)
    if end is not None:
        raise UsageError(
            f'"{name}" cannot be the name of an experiment: folders beside the results end with "{end[0]}"',
            hint=f"taorunner add {name[: end.start()] or 'NAME'}",
        )


def _check_options(asked: NewExperiment) -> None:
    given = {
        "--head": asked.head,
        "--backbone": asked.backbone,
        "--dataset": asked.dataset,
        "--release": asked.release,
    }
    for option, value in given.items():
        if asked.like is not None and value is not None:
            raise UsageError(
                f"{option} cannot be combined with --like",
                hint="the copy has the entry and specs of the other",
            )


def _check_file(workspace: Workspace, project: Project) -> None:
    """Raises UserFilesError for an experiments.yml that no entry can be put into."""
    file = project.paths.experiments_file
    usable = ("no-experiments", "empty-file", "missing-key")
    if not project.names:
        broken = [one for one in project.findings if one.is_error and one.code not in usable]
        if broken:
            raise UserFilesError(f'"{file.name}" has to be correct first', findings=broken)
    for path in (file, project.paths.specs_dir):
        real = path.resolve()
        if not real.is_relative_to(workspace.root.resolve()):
            message = f'"{path.name}" is a link that leads out of the workspace, to {printable(str(real))}'
            raise UserFilesError(message, hint=f"change {real} by hand, or put the file itself there")
    with suppress(OSError):
        if not stat.S_IMODE(file.stat().st_mode) & 0o222:
            raise UserFilesError(f'"{file}" is read-only', hint=f'chmod u+w "{file}"')


def _read(file: Path) -> tuple[str, bytes, int]:
    """The text, its byte order mark and the permissions of experiments.yml, which was read before."""
    with _named_errors(file):
        data = file.read_bytes()
        mode = stat.S_IMODE(file.stat().st_mode)
    bom = _BOM if data.startswith(_BOM) else b""
    return data[len(bom) :].decode("utf-8"), bom, mode


def _new(
    project: Project, networks: Networks, asked: NewExperiment, text: str
) -> tuple[Edited, dict[str, str | bytes]]:
    if asked.head is None:
        raise UsageError(
            f'"{asked.name}" is a new experiment, and --head says of which network',
            hint=f"taorunner add {asked.name} --head HEAD, or --like EXPERIMENT",
        )
    network = networks.load(asked.head)
    needs = [key for key in network.needs if key not in ("head", "dataset")]
    start = _start(networks, network, asked.backbone, asked.release, use_weights=asked.use_weights)
    release = {} if asked.release is None else {"release": asked.release}
    dataset = asked.dataset or usual_dataset(project, networks, network.name)
    entry = entry_of(asked.head, dataset, needs, {**start.keys, **release})
    check_words(asked.name, entry)
    specs = dict(start.specs)
    lines = entry_lines(asked.name, entry, specs.pop(VARS_FILE, ""))
    if network.framework is Framework.EMBEDDED:
        lines.insert(1, "    gpus: 0  # it runs on the CPU")
    elif project.default("gpus") == 0:
        lines.insert(1, "    gpus: 1  # the default of this project is 0")
    values = read_yaml("\n".join(["experiments:", *lines, ""])).value["experiments"][asked.name]
    return _edited(project, lambda: with_entry(text, NewEntry(asked.name, lines, values))), dict(specs)


def _copy(project: Project, name: str, like: str, text: str) -> tuple[Edited, dict[str, str | bytes]]:
    if like not in project.names:
        hint = did_you_mean(like, project.names) or f"there are: {', '.join(project.names)}"
        raise UnknownNameError(f'there is no experiment "{printable(like)}" in "{project.name}"', hint=hint)
    experiment = project.experiments.get(like)
    if experiment is None:
        errors = [finding for finding in project.findings if finding.is_error]
        raise UserFilesError(f'"{like}" has to be correct before it is copied', findings=errors)
    folder = project.paths.spec_dir(like)
    with _named_errors(folder):
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        specs: dict[str, str | bytes] = {file.name: file.read_bytes() for file in files if file.is_file()}
    if not specs and len(experiment.spec_dirs) == 1:
        hint = f"taorunner -p {project.name} add {like}"
        raise UserFilesError(f'"{like}" has no specs to copy', hint=hint)
    return _edited(project, lambda: with_copy(text, name, like)), specs


def _complete(project: Project, networks: Networks, asked: NewExperiment) -> Added:
    """Writes the spec files that an experiment of the file lacks."""
    file, name = project.paths.experiments_file, asked.name
    experiment = project.experiments.get(name)
    if experiment is None:
        errors = [finding for finding in project.findings if finding.is_error]
        raise UserFilesError(f'the entry of "{name}" has to be correct first', findings=errors)
    if asked.like is not None:
        raise UsageError(f'"{name}" is in {file.name} already', hint="--like is for a new name")
    for key in ("head", "backbone", "dataset", "release"):
        given, own = getattr(asked, key), getattr(experiment, key)
        if given is not None and given != own:
            has = f'has {key} "{own}"' if own is not None else f"has no {key}"
            raise UsageError(
                f'"{name}" {has} in {file.name}', hint=f"leave --{key} out, or choose another name"
            )
    if experiment.head not in networks.names:
        message, hint = (
            f'"{printable(experiment.head)}" is not a network',
            did_you_mean(experiment.head, networks.names),
        )
        place = ("experiments", name, "head")
        found = project.finding(Severity.ERROR, "unknown-head", message, place, hint=hint)
        raise UserFilesError(f'the entry of "{name}" has to be correct first', findings=[found])
    network = networks.load(experiment.head)
    layout = networks.layout(experiment.head)
    backbones = layout.backbones if layout is not None else None
    known = backbones.find(experiment.backbone) if backbones is not None and experiment.backbone else None
    start = _start(
        networks, network, known.name if known is not None else None, experiment.release,
        use_weights=experiment.repository is not None,
    )  # fmt: skip
    texts = dict(start.specs)
    texts.pop(VARS_FILE, None)
    missing = {
        one: _without_variables(text, experiment) for one, text in texts.items()
        if not _is_there(network, experiment, one)
    }  # fmt: skip
    if not missing:
        hint = f"choose another name, or check it: taorunner -p {project.name} validate"
        raise UserFilesError(f'there is an experiment "{name}" already, with all its spec files', hint=hint)
    made = _write_specs(project.paths.spec_dir(name), missing)
    return Added(file, None, made, fill_ins(made))


def _start(
    networks: Networks, network: Network, backbone: str | None, release: str | None, *, use_weights: bool
) -> Start:
    """The spec files that a new experiment of the network starts with, and ``vars.yml``; and what it starts from."""
    if network.name not in scaffold_heads():
        hint = f"heads with spec files: {', '.join(scaffold_heads())}"
        raise UserFilesError(f'there are no spec files to start "{network.name}" with', hint=hint)
    return started(network, networks.layout(network.name), backbone, release, use_weights=use_weights)


def _is_there(network: Network, experiment: Experiment, file_name: str) -> bool:
    """True where the experiment has a spec for the action that ``file_name`` is for, under any of its names."""
    stem = Path(file_name).stem
    specs = [one.spec for one in network.contracts(experiment.release).values() if one.spec is not None]
    return any(spec.stems[0] == stem and find_spec(experiment.spec_dirs, spec) is not None for spec in specs)


def _without_variables(text: str, experiment: Experiment) -> str:
    """The text with a mark where it uses a variable that the experiment does not have."""
    if "num_classes" in experiment.vars:
        return text
    text = text.replace(": vars in experiments.yml", "")
    return re.sub(r"(?m)\$num_classes$", f"${FILL_IN}  # as in train", text).replace(
        "$num_classes", f"${FILL_IN}"
    )


def _edited(project: Project, edit: Callable[[], Edited]) -> Edited:
    try:
        return edit()
    except CannotEditError as error:
        file = project.paths.experiments_file
        raise UserFilesError(f'"{file}" cannot be changed: {error}', hint="write the entry by hand") from None


def _write_specs(folder: Path, specs: Mapping[str, str | bytes]) -> tuple[Path, ...]:
    """Writes new files; those that are there stay. All of them or none."""
    made: list[Path] = []
    is_new = not folder.exists()
    try:
        with _named_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in specs.items():
                data = text.encode("utf-8") if isinstance(text, str) else text
                if not os.path.lexists(folder / name):
                    write_bytes(folder / name, data)
                    made.append(folder / name)
    except BaseException:
        _remove(folder, made if not is_new else None)
        raise
    return tuple(made)


def _remove(folder: Path, made: Sequence[Path] | None) -> None:
    """Removes the files that were made, and the folder when nothing else is in it."""
    for path in folder.iterdir() if made is None and folder.is_dir() else made or ():
        path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two commands that add to one project do so one after the other."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield  # what is wrong with the folder is a finding of the project
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """OSError as MachineError with the path."""
    try:
        yield
    except OSError as error:
        if is_no_room(error):
            raise no_room(error, path) from error
        problem = (error.strerror or str(error)).lower()
        hint = "check the owner of the folder (ls -ld) and the free space (df -h)"
        raise MachineError(
            f'cannot read or write "{error.filename or path}": {problem}', hint=hint
        ) from error
