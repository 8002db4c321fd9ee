"""Imports projects from a checkout of the original tao-runner: specs, experiments.yml and links to the data.

The layout is the same, with four differences: conversion records lay in the dataset, variables were replaced as plain
text wherever their name begins, one mounts file was copied to the home folder, and nothing else was checked. Source:
jhoogstraat/tao-runner b28ea41: README, context.py, tasks/train.py, tasks/convert.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from taorunner.errors import Finding, Severity, TaorunnerError, UnknownNameError, UserFilesError
from taorunner.importers.imported_mounts import covering_entry, read_mounts, take_mounts
from taorunner.importers.project_writer import Arrival, place_projects, refuse_existing
from taorunner.importers.tao_launcher import Migrated
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.spec.spec_files import find_spec
from taorunner.project.load import load_project
from taorunner.project.mounts import load_mounts
from taorunner.project.mounts_file import MountsFile
from taorunner.project.workspace import EXPERIMENTS_FILE, NAME_RULE, ProjectPaths, Workspace, is_name
from taorunner.specs.spec_file import SpecFile, load_spec
from taorunner.specs.templates.template import parse_template
from taorunner.text import printable

MAX_COPIED_BYTES = 4 * 1024 * 1024
_REPLACED = ("project", "dataset", "tfrecords", "pretrained_model")
"""Source: tasks/train.py; the README names ``$experiment`` too, which was never replaced."""
_DOLLAR = re.compile(
    rf"\$(?:(?P<ours>{'|'.join(_REPLACED)})(?P<more>[A-Za-z0-9_])?|(?P<experiment>experiment\b))?"
)
_SUFFIXES = {".txt": "prototxt", ".yaml": "yaml", ".yml": "yaml"}


def migrate_from_tao_runner(
    workspace: Workspace, name: str | None, checkout: Path, environ: Mapping[str, str]
) -> tuple[list[str], Migrated]:
    """Creates the project ``name`` of the checkout, or all of its projects. Returns their names too.

    The only project of a checkout is imported under any name. Raises UserFilesError when there is no such checkout or
    project, or a project of that name exists; MachineError when the disk refuses. Then nothing was made.
    """
    original = Workspace(Path(os.path.abspath(checkout)))  # noqa: PTH100 (Path.absolute keeps "..")
    sources = _sources(original, name)
    if os.path.realpath(original.root) == os.path.realpath(workspace.root):
        raise UserFilesError(
            f'"{original.root}" is the workspace itself',
            hint="it can be used as it is: taorunner validate; or name another with --workspace",
        )
    refuse_existing(workspace, list(sources))
    arriving = _Arriving(workspace, original)
    arrivals = [arriving.project(new, paths) for new, paths in sources.items()]
    repositories = arriving.repositories()
    mounts = arriving.mounts(environ)
    made = place_projects(
        workspace,
        arrivals,
        repositories=repositories,
        mounts=mounts,
        heads=arriving.networks.names,
    )
    return list(sources), Migrated(tuple(made), tuple(arriving.findings))


def _sources(original: Workspace, name: str | None) -> dict[str, ProjectPaths]:
    """The projects to take, by their new names."""
    there = [one for one in original.project_names() if original.project(one).experiments_file.is_file()]
    if not there:
        hint = f"a checkout has projects/<name>/{EXPERIMENTS_FILE}; name its folder"
        kind = UserFilesError if original.root.exists() else UnknownNameError
        raise kind(f'"{original.root}" is not a checkout of tao-runner', hint=hint)
    if name is None:
        return {one: original.project(one) for one in there}
    if name in there or len(there) == 1:
        return {name: original.project(name if name in there else there[0])}
    hint = f"there are {', '.join(there[:12])}; without a name all of them are taken"
    raise UserFilesError(f'"{original.root}" has no project "{printable(name)}"', hint=hint)


class _Arriving:
    """Reads the checkout, and collects findings for the user."""

    def __init__(self, workspace: Workspace, original: Workspace) -> None:
        self._workspace, self._original = workspace, original
        self.findings: list[Finding] = []
        self._targets: list[Path] = []
        self._written: set[Path] = set()
        self.networks = Networks(workspace.networks_dir)

    def project(self, name: str, paths: ProjectPaths) -> Arrival:
        files = {PurePosixPath(EXPERIMENTS_FILE): paths.experiments_file.read_bytes()}
        files |= dict(self._specs(paths))
        self._others(paths)
        if name != paths.name:
            self._renamed(paths, files)
        links: dict[PurePosixPath, Path] = {}
        written = self._written_datasets(paths)
        for folder in self._folders(paths.data_dir):
            if folder.name.startswith("tfrecords_"):
                continue
            if not is_name(folder.name):
                message = f'"{printable(folder.name)}" cannot be the name of a dataset: it is left out'
                self._tell("wrong-name", message, f"use {NAME_RULE}", folder)
                continue
            links[PurePosixPath("data", folder.name)] = folder
            self._targets.append(folder)
            if folder.name in written:
                self._written.add(Path(os.path.realpath(folder)))
        if links:
            message = f"the datasets are used where they are, through links: {', '.join(path.name for path in links)}"
            self._note("data-linked", message, paths.data_dir)
        self._records(name, paths)
        results = [folder.name for folder in self._folders(paths.models_dir)]
        if results:
            message = f"results stay where they are: {', '.join(map(printable, results[:8]))}"
            hint = f"to evaluate or export one, copy it to {self._workspace.project(name).models_dir}/<experiment>"
            self._note("results-left", message, paths.models_dir, hint)
        return Arrival(name, files, links)

    def _written_datasets(self, paths: ProjectPaths) -> set[str]:
        """The datasets with a spec for an action that writes data, such as a conversion."""
        found = set()
        for experiment in load_project(self._original, paths.name).experiments.values():
            with suppress(TaorunnerError):
                contracts = self.networks.load(experiment.head).contracts().values()
                specs = [one.spec for one in contracts if not one.reads_data_only and one.spec is not None]
                if any(find_spec(experiment.spec_dirs, spec) is not None for spec in specs):
                    found.add(experiment.dataset.partition("/")[0])
        return found

    def repositories(self) -> dict[PurePosixPath, Path]:
        links: dict[PurePosixPath, Path] = {}
        for folder in self._folders(self._original.repositories_dir):
            there = self._workspace.repositories_dir / folder.name
            if not os.path.lexists(there):
                links[PurePosixPath(folder.name)] = folder
                self._targets.append(folder)
            elif there.resolve() != folder.resolve():
                message = (
                    f'the workspace has a repository "{printable(folder.name)}" of its own, which is used'
                )
                self._tell("other-weights", message, f"compare it with {folder}", there)
        if links:
            message = f"pretrained weights are used where they are, through links: {', '.join(p.name for p in links)}"
            self._note("weights-linked", message, self._original.repositories_dir)
        return links

    def mounts(self, environ: Mapping[str, str]) -> Mapping[str, object] | None:
        """The mounts file to write; None where the workspace's own file is kept."""
        wanted = [covering_entry(folder, read_only=True) for folder in self._mounted_folders()]
        if os.path.lexists(self._workspace.mounts_file):
            known = load_mounts(self._workspace, environ)
            for entry in wanted:
                if all(one.source != entry.source for one in known.entries):
                    message = f'no mount covers "{entry.source}", where data or weights are'
                    places = f'"source": "{entry.source}", "destination": "{entry.destination}"'
                    hint = f'add {{{places}, "read_only": true}}'
                    self._tell("not-mounted", message, hint, self._workspace.mounts_file)
            return None
        content = MountsFile()
        if os.path.lexists(self._original.mounts_file):
            home = Path(environ.get("HOME") or Path.home())
            content, _, findings = read_mounts(self._original.mounts_file, environ, home)
            self.findings += findings
        read = [one for one in wanted if one.source not in self._written]
        written = [covering_entry(folder, read_only=False) for folder in sorted(self._written)]
        taken = take_mounts(
            self._workspace, content, [*read, *written], without=self._original_places(content)
        )
        self.findings += taken.findings
        self._note("mounts-written", "the workspace gets mounts of its own", self._workspace.mounts_file)
        return taken.content

    def _specs(self, paths: ProjectPaths) -> Iterator[tuple[PurePosixPath, bytes]]:
        for folder in self._folders(paths.specs_dir):
            for here, folders, names in os.walk(folder):
                for link in [one for one in folders if Path(here, one).is_symlink()]:
                    self._tell(
                        "left-out",
                        "links to folders are not followed",
                        "copy what is needed",
                        Path(here, link),
                    )
                folders[:] = sorted(one for one in folders if not one.startswith("."))
                for file in sorted(names):
                    path = Path(here, file)
                    content = None if file.startswith(".") else self._content(path)
                    if content is not None:
                        yield PurePosixPath("specs", path.relative_to(paths.specs_dir).as_posix()), content

    def _content(self, path: Path) -> bytes | None:
        spec_format = _SUFFIXES.get(path.suffix.lower())
        loaded = load_spec(path) if spec_format is not None else None
        if isinstance(loaded, SpecFile) and spec_format is not None:
            return self._with_our_variables(path, loaded.text, spec_format).encode()
        try:
            if path.stat().st_size > MAX_COPIED_BYTES or not path.is_file():
                self._tell(
                    "left-out", "this is not a small file, so it is not copied", f"it is at {path}", path
                )
                return None
            return path.read_bytes()
        except OSError as error:
            self._tell("left-out", f"this cannot be read: {(error.strerror or '').lower()}", None, path)
            return None

    def _with_our_variables(self, path: Path, text: str, spec_format: str) -> str:
        """The original replaced plain text: ``$dataset2`` was the dataset followed by 2, ``$x`` stayed ``$x``."""
        template = parse_template(text, spec_format)
        out: list[str] = []
        position = 0
        for start, end in [*template.comments, (len(text), len(text))]:
            out.append(_DOLLAR.sub(_rewritten, text[position:start]))
            out.append(text[start:end])
            position = end
        written = "".join(out)
        if written != text:
            self._note(
                "variables-rewritten",
                '"$" signs are written so that taorunner reads what tao-runner read ("$$" for a plain one)',
                path,
            )
        return written

    def _others(self, paths: ProjectPaths) -> None:
        """Files that the original ignored."""
        known = {"data", "models", "specs", EXPERIMENTS_FILE}
        left = [one for one in _listed(paths.root) if one.name not in known]
        left += [
            one for folder in (paths.data_dir, paths.specs_dir) for one in _listed(folder) if not one.is_dir()
        ]
        if left:
            names = ", ".join(printable(one.relative_to(paths.root).as_posix()) for one in left[:8])
            more = ", …" if len(left) > 8 else ""
            self._note(
                "left-out", f"not imported, because projects have no place for it: {names}{more}", paths.root
            )

    def _renamed(self, paths: ProjectPaths, files: Mapping[PurePosixPath, bytes]) -> None:
        old = re.compile(
            rf"/workspace/(?:projects|experiments)/{re.escape(paths.name)}(?![A-Za-z0-9._-])".encode()
        )
        for path, content in files.items():
            if old.search(content):
                message = f'this names the project "{paths.name}" in a path, but the project has a new name'
                self._tell(
                    "old-name", message, "write $dataset, $tfrecords or $results_dir", paths.root / path
                )

    def _records(self, name: str, paths: ProjectPaths) -> None:
        """The original wrote records below the dataset, taorunner writes them beside it. Conversions are repeated."""
        for dataset in self._folders(paths.data_dir):
            for folder in self._folders(dataset) if not dataset.name.startswith("tfrecords_") else [dataset]:
                if folder.name.startswith("tfrecords_"):
                    experiment = folder.name.removeprefix("tfrecords_")
                    message = "these records are not used"
                    self._note(
                        "records-left",
                        message,
                        folder,
                        f"convert again: taorunner -p {name} convert {experiment}",
                    )

    def _mounted_folders(self) -> list[Path]:
        """The checkout's folders that contain link targets, and the targets of links inside the checkout."""
        found: list[Path] = []
        for target in self._targets:
            real = Path(os.path.realpath(target))
            for folder in (self._original.projects_dir, self._original.repositories_dir):
                root = Path(os.path.realpath(folder))
                if real.is_relative_to(root):
                    real = root
            if not any(real.is_relative_to(one) for one in found):
                found = [one for one in found if not one.is_relative_to(real)] + [real]
        return found

    def _original_places(self, content: MountsFile) -> Iterator[str]:
        """The mount points of the original for the folders that taorunner now mounts itself."""
        ours = ("/workspace/projects", "/workspace/experiments", "/workspace/repositories")
        yield from (one.destination for one in content.mounts if one.destination in ours)

    def _folders(self, folder: Path) -> list[Path]:
        try:
            with os.scandir(folder) as entries:
                return sorted(
                    Path(one.path) for one in entries if one.is_dir() and not one.name.startswith(".")
                )
        except OSError:
            return []

    def _tell(self, code: str, message: str, hint: str | None, path: Path) -> None:
        self.findings.append(Finding(Severity.WARNING, code, message, hint, path))

    def _note(self, code: str, message: str, path: Path, hint: str | None = None) -> None:
        self.findings.append(Finding(Severity.INFO, code, message, hint, path))


def _listed(folder: Path) -> list[Path]:
    """The entries of a folder, sorted, without hidden files; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(one.path) for one in entries if not one.name.startswith("."))
    except OSError:
        return []


def _rewritten(match: re.Match[str]) -> str:
    if match["ours"] is not None:
        return f"${{{match['ours']}}}{match['more']}" if match["more"] else match[0]
    return match[0] if match["experiment"] is not None else "$$"
