"""Checks the folder tree of a project: misplaced and missing files and folders are findings.

It reads names only, never files. ``data/<dataset>`` and ``models/<experiment>`` are not
listed, because their content belongs to the user and to TAO. A misplaced file in the project folder or in ``specs/`` is
an error, because nothing reads it there; in ``data/`` and ``models/``, where other tools write, it is a warning.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from taorunner.errors import Finding, Severity
from taorunner.project.diagnostics import Suggestions, shown
from taorunner.project.load import Project
from taorunner.project.workspace import (
    EXPERIMENTS_FILE,
    NAME_RULE,
    REPORT_FILE,
    ProjectPaths,
    Workspace,
    is_name,
)
from taorunner.text import nearest
from taorunner.values.value import MutableValue, Value, field

SPEC_STEMS = (
    "train", "convert", "dataset_convert", "evaluate", "prune", "retrain", "export", "inference",
    "gen_trt_engine", "quantize", "distill", "calibration_tensorfile", "kmeans", "visualize", )  # fmt: skip
"""Names of spec files that are recognised in a wrong place; the catalog may know more."""

SPEC_SUFFIXES = (".txt", ".cfg", ".prototxt", ".pbtxt", ".yaml", ".yml")
MAX_FINDINGS = 200
_MAX_NEAREST = 20

_FOLDERS = ("data", "models", "specs")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".tfrecord", ".tfrecords")
_WEIGHTS = (".hdf5", ".tlt", ".pth", ".onnx", ".etlt", ".engine", ".trt")
_RESULT_FOLDERS = ("results", "weights", "output", "outputs", "checkpoints")
_LEFT_ALONE = ("~", ".bak", ".orig")
_BESIDE = re.compile(r".+\.(?:[0-9]{8}[-T_]?[0-9]{4,6}[A-Za-z0-9.-]*|rerun-[0-9]+|sweeps|bundle-[a-z]+)\Z")
"""Names of folders beside the results of an experiment: what was set aside, reruns, trials of sweeps, bundles."""
_OWN_FOLDER = "each experiment has its own folder"
_WHY_NOT = "TAO's shell would split or change it"
_RESULTS_HINT = "results belong in models/<experiment>, pretrained weights in repositories/"


def check_layout(
    project: Project,
    spec_names: Mapping[str, Collection[str]] | None = None,
    listed: Mapping[str, Collection[str]] | None = None,
) -> list[Finding]:
    """All misplaced and missing files and folders of the project.

    ``spec_names`` maps an experiment to the names of spec files (without suffix) that its network reads. ``listed`` has
    the names in folders that the caller has listed, by the text of the path.
    """
    by_experiment = spec_names or {}
    known = frozenset(SPEC_STEMS).union(*by_experiment.values())
    check = _Check(project, frozenset(project.names), known, by_experiment, listed or {})
    found = check.findings_of_all()
    if len(found) > MAX_FINDINGS:
        message = f"{len(found) - MAX_FINDINGS} more problems of the layout, not shown"
        last = Finding(
            Severity.ERROR,
            "too-many-findings",
            message,
            "correct the first ones and run it again",
            project.paths.root,
        )
        found[MAX_FINDINGS:] = [last]
    return found


def check_projects_folder(workspace: Workspace) -> list[Finding]:
    """Everything in ``projects/`` that cannot be a project."""
    listing = _listed(workspace.projects_dir)
    if isinstance(listing, Finding):
        return [listing]
    found: list[Finding] = []
    for entry in listing:
        path = workspace.projects_dir / entry.name
        if not entry.is_folder and not entry.is_note:
            message = f'{entry.kind} "{shown(entry.name)}" does not belong in projects/'
            found.append(Finding(Severity.WARNING, "misplaced-file", message, "move it into a project", path))
        elif entry.is_folder and not is_name(entry.name):
            message = f'"{shown(entry.name)}" cannot be the name of a project: {_WHY_NOT}'
            found.append(Finding(Severity.ERROR, "wrong-name", message, f"use {NAME_RULE}", path))
    return found[:MAX_FINDINGS]


class _Entry(Value):
    """``suffix`` is in small letters."""

    name: str
    stem: str
    suffix: str
    is_folder: bool
    is_dangling: bool = False

    @property
    def kind(self) -> str:
        return "the folder" if self.is_folder else "the broken link" if self.is_dangling else "the file"

    @property
    def is_note(self) -> bool:
        """Notes for people are allowed everywhere."""
        return not self.is_folder and (self.suffix == ".md" or self.stem.upper() in ("README", "LICENSE"))


def _listed(folder: Path) -> list[_Entry] | Finding:
    """The sorted content of a folder, without backup files of editors; a finding when it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            listing = [_entry(entry) for entry in entries if not _is_left_alone(entry.name)]
    except OSError as error:
        problem = (error.strerror or "unknown").lower()
        message = f'the folder "{folder.name}" cannot be read: {problem}'
        hint = f'make it readable: chmod u+rx "{folder}"' if isinstance(error, PermissionError) else None
        return Finding(Severity.ERROR, "unreadable", message, hint, folder)
    return sorted(listing, key=lambda entry: entry.name)


def _entry(entry: os.DirEntry[str]) -> _Entry:
    try:
        is_folder = entry.is_dir()
        dangling = not is_folder and entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110
    except OSError:  # a circle of links
        is_folder, dangling = False, True
    stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122 (a name, not a path)
    return _Entry(entry.name, stem, suffix.lower(), is_folder, dangling)


def _is_left_alone(name: str) -> bool:
    return name.startswith(".") or name.endswith(_LEFT_ALONE) or name == "__pycache__"


class _Check(MutableValue):
    project: Project
    names: frozenset[str]
    spec_names: frozenset[str]
    spec_names_of: Mapping[str, Collection[str]]
    listed: Mapping[str, Collection[str]]
    found: list[Finding] = field(default_factory=list)
    suggestions: Suggestions = field(default_factory=Suggestions)

    @property
    def paths(self) -> ProjectPaths:
        return self.project.paths

    def findings_of_all(self) -> list[Finding]:
        listing = _listed(self.paths.root)
        if isinstance(listing, Finding):
            return [listing]
        there = {entry.name for entry in listing if entry.is_folder and entry.name in _FOLDERS}
        for entry in listing:
            if entry.name not in there and entry.name != EXPERIMENTS_FILE and not entry.is_note:
                self._stray_at_root(entry, there)
        for name in ("data", "specs"):
            if name not in there:
                path = self.paths.root / name
                hint = f'make it with: mkdir "{path}"'
                self.found.append(
                    Finding(Severity.ERROR, "missing-folder", f'the folder "{name}" is missing', hint, path)
                )
        if "data" in there:
            self._data()
        spec_folders = self._specs() if "specs" in there else []
        if "models" in there:
            self._models()
        self._missing_datasets()
        self._missing_specs(spec_folders)
        return self.found

    def _stray_at_root(self, entry: _Entry, there: set[str]) -> None:
        if entry.name in _FOLDERS:
            self._error("not-a-folder", f'"{entry.name}" must be a folder', "move it away", entry.name)
            return
        code = "misplaced-folder" if entry.is_folder else "misplaced-file"
        hint = self._folder_hint(entry, there) if entry.is_folder else self._file_hint(entry)
        self._error(code, f'{entry.kind} "{shown(entry.name)}" has no place in a project', hint, entry.name)

    def _folder_hint(self, entry: _Entry, there: set[str]) -> str:
        name = shown(entry.name)
        meant = nearest(entry.name, [each for each in _FOLDERS if each not in there])
        if meant is not None:
            return f'did you mean "{meant}"? rename it'
        if entry.name in self.names:
            return f'specs belong in "specs/{name}", results in "models/{name}"'
        if entry.name.lower() in _RESULT_FOLDERS:
            return _RESULTS_HINT
        taken = nearest(entry.name, _FOLDERS)
        if taken is not None:
            return f'did you mean "{taken}"? it exists too: move the content there'
        return f'move a dataset to "data/{name}", spec files to "specs/{self._only_experiment}"'

    def _file_hint(self, entry: _Entry) -> str:
        if entry.suffix in SPEC_SUFFIXES and entry.stem in self.spec_names:
            return f'move it to "specs/{self._only_experiment}/{entry.name}"'
        if entry.suffix in (".yml", ".yaml") and nearest(entry.stem, ["experiments"]):
            return f'experiments are read from "{EXPERIMENTS_FILE}" only: rename it, or move it away'
        if entry.suffix in _ARCHIVES:
            return "unpack a dataset into a folder of data/"
        if entry.suffix in _WEIGHTS:
            return _RESULTS_HINT
        return f'spec files belong in "specs/{self._only_experiment}", datasets in "data/", notes are *.md'

    @property
    def _only_experiment(self) -> str:
        return shown(next(iter(self.names))) if len(self.names) == 1 else "<experiment>"

    def _data(self) -> None:
        for entry in self._entries("data"):
            name = shown(entry.name)
            if not entry.is_folder:
                is_spec = entry.suffix in SPEC_SUFFIXES and entry.stem in self.spec_names
                hint = (
                    f'move it to "specs/{self._only_experiment}/{name}"'
                    if is_spec
                    else "put it into a folder"
                )
                message = f'{entry.kind} "{name}" has no place in data/: each dataset has its own folder'
                self._warning("misplaced-file", message, hint, "data", entry.name)
            elif entry.name.startswith("tfrecords_"):
                self._is_known(entry, "data", "tfrecords_")
            elif not is_name(entry.name):
                message = f'"{name}" cannot be the name of a dataset: {_WHY_NOT}'
                self._warning("wrong-name", message, f"use {NAME_RULE}", "data", entry.name)

    def _models(self) -> None:
        for entry in self._entries("models"):
            if entry.is_folder:
                self._is_known(entry, "models")
            elif entry.name != REPORT_FILE:
                message = f'{entry.kind} "{shown(entry.name)}" has no place in models/: {_OWN_FOLDER}'
                self._warning("misplaced-file", message, _RESULTS_HINT, "models", entry.name)

    def _specs(self) -> list[str]:
        """The existing folders below ``specs/``."""
        folders: list[str] = []
        for entry in self._entries("specs"):
            if not entry.is_folder:
                message = f'{entry.kind} "{shown(entry.name)}" has no place in specs/: {_OWN_FOLDER}'
                hint = f'move it to "specs/{self._only_experiment}/{shown(entry.name)}"'
                self._error("misplaced-file", message, hint, "specs", entry.name)
                continue
            folders.append(entry.name)
            if self._is_known(entry, "specs"):
                self._spec_files(entry.name)
        return folders

    def _spec_files(self, experiment: str) -> None:
        """Warns only of names close to a spec's; other files (label lists, anchors) may lie beside the specs."""
        known = self.spec_names_of.get(experiment, self.spec_names)
        there = self.listed.get(f"{self.paths.root}/specs/{experiment}")
        if there and all(name.rpartition(".")[0] in known for name in there):
            return
        for entry in self._entries(f"specs/{experiment}"):
            if entry.is_folder or entry.suffix not in SPEC_SUFFIXES or entry.stem in known:
                continue
            import difflib  # imported only for a file that no action reads

            meant = difflib.get_close_matches(entry.stem[:100], sorted(known), n=1, cutoff=0.8)
            if meant:
                message = f'no action reads the spec "{shown(entry.name)}"'
                hint = f'did you mean "{meant[0]}{entry.suffix}"?'
                self._warning("unknown-spec", message, hint, "specs", experiment, entry.name)

    def _is_known(self, entry: _Entry, folder: str, prefix: str = "") -> bool:
        """Warns of a folder whose experiment is not in experiments.yml.

        Folders set aside by ``--overwrite``, with a time in their name, reruns and trials are accepted.
        """
        name = entry.name.removeprefix(prefix)
        if name in self.names or (folder != "specs" and _BESIDE.match(name)):
            return True
        if self.names:
            message = f'"{folder}/{shown(entry.name)}" belongs to no experiment of {EXPERIMENTS_FILE}'
            known = [one for one in self.project.names if is_name(one)]
            hint = self.suggestions.find(name, known) or "rename or remove it"
            self._warning("unknown-experiment", message, hint, folder, entry.name)
        return False

    def _missing_datasets(self) -> None:
        """Reports each missing dataset at its place in the file, once for all experiments that inherit it."""
        exists: dict[str, bool] = {}
        reported: set[tuple[int, int]] = set()
        for name, experiment in self.project.experiments.items():
            dataset = experiment.dataset
            if dataset not in exists:
                exists[dataset] = os.path.isdir(self.paths.dataset_dir(dataset))  # noqa: PTH112 (Path.is_dir may raise)
            path = ("experiments", name, "dataset")
            if exists[dataset] or (place := self.project.place(path)) in reported:
                continue
            reported.add(place)
            folder = self.paths.dataset_dir(dataset)
            meant = self._nearest_dataset(dataset) if len(reported) < _MAX_NEAREST else None
            hint = f'did you mean "{meant}"?' if meant else f'move it there, or make it: mkdir -p "{folder}"'
            problem = "is not a folder" if os.path.lexists(folder) else "does not exist in data/"
            message = f'the dataset "{shown(dataset)}" {problem}'
            self.found.append(
                self.project.finding(Severity.ERROR, "missing-dataset", message, path, hint=hint)
            )

    def _nearest_dataset(self, dataset: str) -> str | None:
        """``dataset`` with its first missing segment replaced by the nearest folder name, or without a ``data/`` that
        it has twice."""
        below = dataset.removeprefix("data/")
        if below != dataset and os.path.isdir(self.paths.dataset_dir(below)):  # noqa: PTH112 (Path.is_dir may raise)
            return below
        parts, here = dataset.split("/"), self.paths.data_dir
        for position, part in enumerate(parts):
            if os.path.isdir(here / part):  # noqa: PTH112 (Path.is_dir may raise)
                here = here / part
                continue
            listing = _listed(here)
            folders = (
                [] if isinstance(listing, Finding) else [each.name for each in listing if each.is_folder]
            )
            near = self.suggestions.nearest(part, folders)
            return "/".join([*parts[:position], near, *parts[position + 1 :]]) if near else None
        return None

    def _missing_specs(self, there: list[str]) -> None:
        folders = set(there)
        unused = [folder for folder in there if folder not in self.names]
        for name, experiment in self.project.experiments.items():
            if folders.isdisjoint(folder.name for folder in experiment.spec_dirs):
                message = f'the folder "specs/{name}" is missing: experiment "{name}" has no specs'
                near = self.suggestions.nearest(name, unused)
                hint = (
                    f'rename "specs/{shown(near)}"?' if near else f"taorunner -p {self.paths.name} add {name}"
                )
                path = ("experiments", name)
                self.found.append(
                    self.project.finding(
                        Severity.ERROR, "missing-specs", message, path, hint=hint, of_key=True
                    )
                )

    def _entries(self, folder: str) -> list[_Entry]:
        listing = _listed(self.paths.root / folder)
        if isinstance(listing, Finding):
            self.found.append(listing)
            return []
        return [entry for entry in listing if not entry.is_note]

    def _error(self, code: str, message: str, hint: str | None, *parts: str) -> None:
        self.found.append(Finding(Severity.ERROR, code, message, hint, self.paths.root.joinpath(*parts)))

    def _warning(self, code: str, message: str, hint: str | None, *parts: str) -> None:
        self.found.append(Finding(Severity.WARNING, code, message, hint, self.paths.root.joinpath(*parts)))
