"""Creates a new project that validates at once. Never overwrites anything.

The caller gives the needs of the network; the spec files come from ``scaffolds/<head>/``. A ``vars.yml`` there is not a
spec: it holds the lines below ``vars`` in experiments.yml, for values that actions read only from the command line.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from taorunner.atomic_files import write_json
from taorunner.disk_room import is_no_room, no_room
from taorunner.errors import MachineError, UsageError, UserFilesError
from taorunner.project import keys, models
from taorunner.project.diagnostics import shown
from taorunner.project.schema import experiments_schema
from taorunner.project.workspace import NAME_RULE, ProjectPaths, Workspace, is_name
from taorunner.text import did_you_mean
from taorunner.yaml_reader import resolve_scalar

if TYPE_CHECKING:
    from importlib.abc import Traversable

_PLAIN = re.compile(r"[A-Za-z0-9_./-]+\Z")
_GIVEN = {"model_key": "tlt_encode", "export_model": "model", "export_type": "fp16"}
"""Defaults for required keys that the caller does not give. Source of the key: tao/tensorflow.md section 9."""

_REMARKS = {
    "head": 'the network; "taorunner networks" lists them',
    "backbone": "with repository: the version of the pretrained weights",
    "repository": "folder of pretrained weights below repositories/",
    "model_key": "key of encrypted models: the key, env:NAME or file:PATH",
    "dataset": "the folder below data/",
    "release": "the TAO release",
    "export_model": "the checkpoint to evaluate and export",
    "export_type": "fp32, fp16 or int8",
}
_LATER = {"model_key": "env:TAO_MODEL_KEY", "export_model": "name", "export_type": "fp16"}
_ORDER = ("head", "backbone", "repository", "model_key", "dataset", "release", "export_model", "export_type")
_COLUMN = 36
VARS_FILE = "vars.yml"


def create_project(
    workspace_root: Path,
    name: str,
    head: str,
    backbone: str | None = None,
    *,
    experiment: str | None = None,
    dataset: str = "train",
    needs: Sequence[str] = (),
    values: Mapping[str, str] | None = None,
    gpus: int = 1,
    heads: Sequence[str] = (),
    specs: Mapping[str, str] | None = None,
) -> list[Path]:
    """Creates ``projects/<name>``, and its workspace if there is none. Returns the new files.

    ``needs`` are the keys that the network requires in experiments.yml, ``values`` known values; ``backbone`` is the
    part of the experiment's name that says it. ``heads`` are all networks, for the editor's schema. ``specs`` are the
    texts of the spec files, by default those of ``spec_files``. The project is created completely or not at all.

    Raises:
        UsageError: a name is not valid.
        UserFilesError: the project exists, or there are no spec files for the head.
        MachineError: a file cannot be written.
    """
    if not is_name(name):
        raise UsageError(f'"{shown(name)}" cannot be the name of a project', hint=f"use {NAME_RULE}")
    entry = entry_of(head, dataset, needs, values or {})
    experiment = experiment or "_".join(part for part in (head, backbone, "01") if part)
    check_words(experiment, entry)
    texts = dict(spec_files(head) if specs is None else specs)
    own_vars = texts.pop(VARS_FILE, "")
    workspace = Workspace(Path(os.path.abspath(workspace_root)))  # noqa: PTH100 (Path.absolute keeps "..")
    paths = workspace.project(name)
    if os.path.lexists(paths.root):
        hint = f'choose another name, or check it with "taorunner validate {name}"'
        raise UserFilesError(f'there is already a project "{name}" ({paths.root})', hint=hint)
    text = _experiments_text(name, experiment, entry, gpus, own_vars)
    try:
        made = make_workspace(workspace, experiments_schema(heads))
        return [*made, *_make_project(paths, experiment, dataset, text, texts)]
    except OSError as error:
        if is_no_room(error):
            raise no_room(error, workspace.root) from error
        problem = (error.strerror or str(error)).lower()
        where = error.filename or workspace.root
        raise MachineError(
            f'cannot write "{where}": {problem}',
            hint="check the owner of the folder (ls -ld) and the free space (df -h)",
        ) from error


def entry_of(head: str, dataset: str, needs: Sequence[str], values: Mapping[str, str]) -> dict[str, str]:
    """The keys of a new experiment in experiments.yml: ``needs`` with usual values, and ``values``."""
    known = {**_GIVEN, **values, "head": head, "dataset": dataset}
    wanted = {"head", "dataset", *needs, *values}
    return {key: known[key] for key in _ORDER if key in wanted and key in known}


def create_example(workspace_root: Path, name: str, *, heads: Sequence[str] = ()) -> Path:
    """Creates a workspace with the project of ``quickstart``. Returns the project's folder.

    Raises UserFilesError when the project exists, MachineError when a file cannot be written.
    """
    workspace = Workspace(Path(os.path.abspath(workspace_root)))  # noqa: PTH100 (Path.absolute keeps "..")
    target = workspace.project(name).root
    if os.path.lexists(target):
        raise UserFilesError(f'there is already a project "{name}" ({target})', hint="choose another folder")
    try:
        make_workspace(workspace, experiments_schema(heads))
        with resources.as_file(resources.files("taorunner.project").joinpath("quickstart")) as source:
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        for folder in ("data", "models"):
            (target / folder).mkdir()
    except OSError as error:
        if is_no_room(error):
            raise no_room(error, target) from error
        problem = (error.strerror or str(error)).lower()
        raise MachineError(f'cannot write "{error.filename or target}": {problem}') from error
    return target


def scaffold_heads() -> tuple[str, ...]:
    """The heads that have spec files here."""
    folder = _scaffolds()
    return tuple(sorted(each.name for each in folder.iterdir() if each.is_dir())) if folder.is_dir() else ()


def _scaffolds() -> Traversable:
    return resources.files("taorunner.project").joinpath("scaffolds")


def spec_files(head: str) -> dict[str, str]:
    """The texts of the spec files by name, with ``vars.yml``. Raises UserFilesError for a head without any."""
    folder = _scaffolds().joinpath(head)
    files = sorted(folder.iterdir(), key=lambda each: each.name) if is_name(head) and folder.is_dir() else []
    texts = {each.name: each.read_text(encoding="utf-8") for each in files if each.is_file()}
    if not texts:
        hint = did_you_mean(head, scaffold_heads())
        raise UserFilesError(f'there are no spec files to start "{shown(head)}" with', hint=hint)
    return texts


def has_spec_file(head: str, name: str) -> bool:
    """Whether a new project of ``head`` has a spec file of that name."""
    return is_name(head) and _scaffolds().joinpath(head).joinpath(name).is_file()


def check_words(experiment: str, entry: Mapping[str, str]) -> None:
    """Raises UsageError for a name or a value that experiments.yml does not take."""
    if not is_name(experiment):
        raise UsageError(
            f'"{shown(experiment)}" cannot be the name of an experiment', hint=f"use {NAME_RULE}"
        )
    try:
        models.check_experiment(dict(entry))
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        value = "" if key in keys.SECRET_KEYS else f', not "{shown(entry[key])}"'
        raise UsageError(f'"{key}" must be {keys.EXPECTED[key]}{value}') from None


def make_workspace(workspace: Workspace, schema: Mapping[str, object]) -> list[Path]:
    """Creates the missing folders of a workspace, and the editor's schema. Returns the new folders."""
    made: list[Path] = []
    for folder in (workspace.projects_dir, workspace.repositories_dir, workspace.state_dir):
        if not os.path.lexists(folder):
            folder.mkdir(parents=True)
            made.append(folder)
    ignore = workspace.state_dir / ".gitignore"
    if not os.path.lexists(ignore):
        ignore.write_text("*\n", encoding="utf-8")
    # Always overwritten: the schema belongs to the program, not to the user.
    write_json(workspace.schema_file, schema, indent=2)
    return made


def _make_project(
    paths: ProjectPaths, experiment: str, dataset: str, text: str, specs: Mapping[str, str]
) -> list[Path]:
    """Builds the project beside its place and renames it, so that it is never seen incomplete."""
    beside = ProjectPaths(paths.root.with_name(f".new-{paths.name}-{os.getpid()}"))
    try:
        beside.root.mkdir()
        beside.models_dir.mkdir()
        beside.dataset_dir(dataset).mkdir(parents=True)
        beside.spec_dir(experiment).mkdir(parents=True)
        for file_name, spec in specs.items():
            (beside.spec_dir(experiment) / file_name).write_text(spec, encoding="utf-8")
        beside.experiments_file.write_text(text, encoding="utf-8")
        beside.root.rename(paths.root)
    except OSError:
        shutil.rmtree(beside.root, ignore_errors=True)
        raise
    folder = paths.spec_dir(experiment)
    return [
        paths.experiments_file,
        paths.dataset_dir(dataset),
        paths.models_dir,
        *(folder / one for one in specs),
    ]


def _experiments_text(
    project: str, experiment: str, entry: Mapping[str, str], gpus: int, own_vars: str
) -> str:
    lines = [
        "# yaml-language-server: $schema=../../.taorunner/experiments.schema.json",
        f'# Experiments of the project "{project}". After a change: taorunner validate {project}',
        "",
        "# Defaults of all experiments; an experiment may override them.",
        "tao_config:",
        _line("  gpus", str(gpus), "how many GPUs a run takes; 0 for none"),
        _line("  # gpu_indices", "[0]", "which ones, as in nvidia-smi; default: any free ones"),
        _line("  # shm_size", "16G", "shared memory of the container"),
        _line("  # cpus", "8", "maximum number of CPUs; default: all"),
        _line("  # memory", "64G", "maximum main memory; default: all"),
        "",
        "experiments:",
        *entry_lines(experiment, entry),
    ]
    lines += [
        _line(f"    # {key}", value, _REMARKS[key]) for key, value in _LATER.items() if key not in entry
    ]
    lines += [
        _line("    # description", "first try", "a sentence for people"),
        *_vars_lines(own_vars),
        "    # overrides:                    # keys set in the rendered spec, instead of the values in the file",
        "    #   some.dotted.key: 12",
        "",
        "  # A variation: inherits keys and spec files of the first one, except those given here.",
        f"  # {experiment.removesuffix('_01')}_02:",
        f"  #   extends: {plain_scalar(experiment)}",
        "  #   description: what is different",
        "  #   overrides: {}",
        "",
    ]
    return "\n".join(lines)


def entry_lines(experiment: str, entry: Mapping[str, str], own_vars: str = "") -> list[str]:
    """The lines of an experiment below ``experiments:``, with two blanks for each step."""
    lines = [f"  {plain_scalar(experiment)}:"]
    lines += [_line(f"    {key}", plain_scalar(value), _REMARKS[key]) for key, value in entry.items()]
    return [*lines, *_vars_lines(own_vars)] if own_vars else lines


def _vars_lines(own_vars: str) -> list[str]:
    if not own_vars:
        return [
            "    # vars:                         # your own $variables in the spec files",
            "    #   batch_size: 8",
        ]
    lines = [
        "    vars:                           # your own $variables, in the spec files and on command lines"
    ]
    for line in own_vars.splitlines():
        key, _, rest = line.partition(": ")
        value, _, remark = rest.partition("  # ")
        lines.append(_line(f"      {key}", value, remark) if remark else f"      {line}")
    return lines


def _line(key: str, value: str, remark: str) -> str:
    return (
        f"{f'{key}: {value}':<{_COLUMN}}# {remark}"
        if len(key) + len(value) + 4 <= _COLUMN
        else f"{key}: {value}  # {remark}"
    )


def plain_scalar(text: str) -> str:
    """``text`` as a YAML scalar that reads back unchanged: ``01`` and ``true`` get quotes."""
    is_plain = _PLAIN.match(text) is not None and resolve_scalar(text) == text
    return text if is_plain else json.dumps(text, ensure_ascii=False)
