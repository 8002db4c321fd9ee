"""Imports a TAO launcher setup: a folder with specs, scripts and notebooks, and a mounts file.

Each spec that trains becomes an experiment. Every other spec goes to the experiment with the most similar name; what
the commands of scripts and notebooks say counts more than names. A file that is not recognised is kept unchanged. Each
line of the source is reported as taken or left out. Nothing outside the workspace is changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from taorunner.errors import Finding, Severity, UnknownNameError, UserFilesError
from taorunner.importers.imported_mounts import launcher_file, read_mounts, take_mounts
from taorunner.importers.launcher_commands import LinkedCommand, known_network, link_commands
from taorunner.importers.launcher_entries import experiments_text
from taorunner.importers.launcher_mounts import found_mounts, refused_mounts
from taorunner.importers.launcher_paths import (
    PathUse,
    dataset_root,
    is_below,
    override_uses,
    path_uses,
    results_folders,
    value_with_variables,
    with_variables,
)
from taorunner.importers.launcher_runs import LauncherExperiment, experiments_of, image_lines
from taorunner.importers.launcher_settings import CommandSettings
from taorunner.importers.launcher_specs import read_specs
from taorunner.importers.launcher_weights import weights_place
from taorunner.importers.network_detection import (
    SpecRead,
    named_heads,
    recognise_networks,
)
from taorunner.importers.project_writer import Arrival, place_projects, refuse_existing
from taorunner.importers.scripts.reading import ScriptContent, read_scripts
from taorunner.importers.scripts.source_files import SourceFiles, find_files
from taorunner.importers.source_report import Outcome, SourceLine, in_order
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.weights.use import takes_weights_by_argument
from taorunner.project.mounts import Mounts, load_mounts
from taorunner.project.mounts_file import MountsFile
from taorunner.project.workspace import Workspace, is_name
from taorunner.text import printable

_SUFFIXES = {"prototxt": ".txt", "yaml": ".yaml"}


@dataclass(frozen=True, slots=True)
class Migrated:
    """``made`` are the created paths; ``findings`` report what was not recognised and what the user has to know;
    ``lines`` say what became of each line of the source."""

    made: tuple[Path, ...]
    findings: tuple[Finding, ...]
    lines: tuple[SourceLine, ...] = ()


def migrate_from_launcher(
    workspace: Workspace,
    name: str,
    folder: Path,
    *,
    mounts_file: Path | None,
    head: str | None,
    environ: Mapping[str, str],
) -> Migrated:
    """Creates the project ``name`` from the specs in ``folder``.

    Raises UserFilesError when no spec can be recognised, the folder or the given mounts file cannot be read, or the
    project exists; MachineError when the disk refuses. Then nothing was made.
    """
    refuse_existing(workspace, [name])
    networks = Networks(workspace.networks_dir)
    if head is not None:
        networks.load(head)
    home = Path(environ.get("HOME") or Path.home())
    migration = _Migration(workspace, name, Path(os.path.abspath(folder)), networks)  # noqa: PTH100
    migration.read(head, home)
    migration.read_mounts(mounts_file, environ, home)
    return migration.place()


class _Migration:
    def __init__(self, workspace: Workspace, name: str, folder: Path, networks: Networks) -> None:
        self._workspace, self._name, self._folder, self._networks = workspace, name, folder, networks
        self._findings: list[Finding] = []
        self._lines: list[SourceLine] = []
        self._experiments: list[LauncherExperiment] = []
        self._others: list[tuple[Path, str]] = []
        self._unclear: list[SpecRead] = []
        self._files = SourceFiles()
        self._scripts = ScriptContent()
        self._settings = CommandSettings(workspace, name, self._lines.append)
        self._content = MountsFile()
        self._outside = Mounts(())
        self._writes_mounts = True

    def read(self, head: str | None, home: Path) -> None:
        self._files = find_files(self._folder, self._unreadable)
        self._scripts = read_scripts(self._folder, self._files, self._is_network, home)
        self._lines += [*self._files.lines, *self._scripts.lines]
        read = read_specs(self._folder, self._files, self._scripts)
        self._lines += read.lines
        linked = link_commands(
            self._scripts.commands, [*read.specs, *read.others], self._folder, self._networks
        )
        specs = [*read.specs, *(one for one in read.others if one.head is not None)]
        recognise_networks(specs, self._networks, head, self._folder)
        by_head: dict[str, list[SpecRead]] = {}
        for spec in specs:
            if spec.head is None:
                self._unknown(spec)
            else:
                by_head.setdefault(spec.head, []).append(spec)
        if not by_head:
            self._refuse(specs, linked)
        self._keep([one for one in read.others if one.head is None], by_head)
        taken: set[str] = set()
        for name, ones in sorted(by_head.items(), key=lambda item: (-len(item[1]), item[0])):
            network = self._networks.load(name)
            images = [one.command.image for one in linked if one.network == name and one.command.image]
            release = self._release_of(name, images)
            self._lines += image_lines([one for one in linked if one.network == name], network, release)
            self._experiments += experiments_of(
                network, ones, self._folder, taken, self._findings.append, release
            )
        self._settings.take_all(linked, self._experiments)
        self._tell_weights_of_ngc()

    def _is_network(self, word: str) -> bool:
        return known_network(word, self._networks) is not None

    def _refuse(self, specs: Sequence[SpecRead], linked: Sequence[LinkedCommand]) -> None:
        choice = sorted(
            {
                name
                for spec in specs
                for name in spec.candidates or named_heads(spec, self._networks, self._folder)
            }
        )
        said = [one.network for one in linked if one.network is not None]
        if choice:
            hint = f"say which network it is, with --head {' or '.join(choice[:6])}"
        elif said:
            hint = f"its commands run {said[0]}; begin with: taorunner init-project {self._name} --head {said[0]}"
        else:
            hint = "say which network it is with --head; taorunner networks lists them"
        raise UserFilesError(
            f'no spec in "{self._folder}" could be recognised', hint=hint, findings=self._findings
        )

    def _release_of(self, head: str, images: Sequence[str]) -> str | None:
        """The release whose image a container was started from; later releases may have the image of an earlier one."""
        network = self._networks.load(head)
        fitting = [
            release
            for release in reversed(network.releases)
            if any(network.image(group.name, release) in images for group in network.groups)
            and network.contracts(release)
        ]
        named = [one for one in fitting if any(f":{one}-" in image for image in images)]
        if named or fitting:
            return (named or fitting)[0]
        for image in dict.fromkeys(images):
            message = f'no release of {head} is known to have the image "{printable(image)}"'
            hint = f"experiments.yml takes another one with image: {printable(image)}"
            self._findings.append(Finding(Severity.WARNING, "other-image", message, hint))
        return None

    def _tell_weights_of_ngc(self) -> None:
        for file, line, model in self._scripts.weights:
            note = f"type it: taorunner pretrained pull {printable(model)}"
            self._lines.append(SourceLine(file, line, "download from NGC", Outcome.LEFT_OUT, note))

    def read_mounts(self, given: Path | None, environ: Mapping[str, str], home: Path) -> None:
        if os.path.lexists(self._workspace.mounts_file):
            self._outside = load_mounts(self._workspace, environ)
            self._writes_mounts = False
            self._lines += refused_mounts(self._files.mounts, self._scripts)
            if given is not None:
                message = "the existing mounts file of the workspace is kept"
                self._tell(
                    "mounts-kept",
                    message,
                    f"copy from {given} what is missing",
                    self._workspace.mounts_file,
                )
            return
        file = launcher_file(given, environ, home)
        base: MountsFile | None = None
        if os.path.lexists(file):
            base, _, findings = read_mounts(file, environ, home)
            self._findings += findings
        elif given is not None or file != home / ".tao_mounts.json":
            raise (UnknownNameError if given is not None else UserFilesError)(
                f'there is no mounts file "{file}"', hint="name it with --mounts-file FILE"
            )
        found = found_mounts(base, self._files.mounts, self._scripts, environ, home)
        self._findings += found.findings
        self._lines += found.lines
        self._content, self._outside = found.content, found.mounts
        if base is None and not found.content.mounts:
            message = f'there is no mounts file ("{file}"), so no path of the specs is known on this host'
            self._tell("no-mounts", message, "name it with --mounts-file FILE, in a new project", None)
            self._writes_mounts = found.content != MountsFile()  # variables and options of containers

    def place(self) -> Migrated:
        uses = [use for one in self._experiments for spec in one.specs.values() for use in path_uses(spec)]
        uses += [use for one in self._experiments for use in override_uses(one.overrides)]
        written = [path.rstrip("/") for one in self._experiments for path in one.results]
        results = results_folders(uses, written)
        root = dataset_root(uses, self._outside, results, self._folder)
        dataset, target = self._dataset(root)
        self._find_weights()
        taken = take_mounts(self._workspace, self._content, ())
        self._findings += taken.findings
        links: dict[PurePosixPath, Path] = {}
        replacements = dict.fromkeys(results, "$results_dir")
        if root is not None and target is not None:
            links[PurePosixPath("data", dataset)] = target
            replacements[root] = "$dataset_raw"
        self._tell_paths(uses, [*replacements, *([root] if root is not None else [])])
        for experiment in self._experiments:
            experiment.overrides = {
                key: value_with_variables(value, replacements) for key, value in experiment.overrides.items()
            }
        self._tell_missing_weights()
        text = experiments_text(self._name, self._folder, self._experiments, dataset)
        files = {PurePosixPath("experiments.yml"): text.encode()}
        for experiment in self._experiments:
            files |= self._spec_files(experiment, replacements)
        repositories = self._repository_links()
        arrival = Arrival(self._name, files, links, (PurePosixPath("data", dataset),) if not links else ())
        made = place_projects(
            self._workspace,
            [arrival],
            repositories=repositories,
            mounts=taken.content if self._writes_mounts else None,
            secrets={one.name: one.text.encode() for one in self._settings.key_files.values()},
            heads=self._networks.names,
        )
        return Migrated(tuple(made), tuple(self._findings), tuple(in_order(self._lines)))

    def _unreadable(self, error: OSError) -> None:
        self._tell(
            "unreadable",
            f"the folder cannot be read: {(error.strerror or '').lower()}",
            None,
            Path(error.filename),
        )

    def _unknown(self, spec: SpecRead) -> None:
        self._unclear.append(spec)
        path = self._folder / spec.name
        if spec.candidates:
            message = f"this may be a spec of {', '.join(spec.candidates[:6])}"
            self._tell("ambiguous-network", message, f"say which: --head {spec.candidates[0]}", path)

    def _keep(self, others: Sequence[SpecRead], by_head: Mapping[str, Sequence[SpecRead]]) -> None:
        """Files beside specs may be read by them, such as lists of classes; the others are left out."""
        near = {spec.name.parent for specs in by_head.values() for spec in specs}
        for one in (*others, *self._unclear):
            path = self._folder / one.name
            if one.name.parent not in near and not one.candidates:
                note = "not recognised as a spec of TAO, and no spec is in its folder"
                self._lines.append(SourceLine(path, None, one.name.name, Outcome.LEFT_OUT, note))
                continue
            self._others.append((one.name, one.text))
            if one in self._unclear and not one.candidates:
                self._tell(
                    "unknown-network", "no known network has such a spec", "say which it is with --head", path
                )
            elif one not in self._unclear:
                message = "this is not recognised as a TAO spec; it is kept beside the specs"
                self._findings.append(Finding(Severity.INFO, "no-spec", message, None, path))

    def _dataset(self, root: str | None) -> tuple[str, Path | None]:
        """The name of the dataset's folder in the project, and its link target."""
        if root is None:
            message = "no spec says where its data is"
            self._tell("no-dataset", message, "put the dataset into data/train of the project", None)
            return "train", None
        host = self._outside.to_host(root)
        base = root.rpartition("/")[2]
        name = base if is_name(base) and not base.startswith("tfrecords_") else "train"
        if host is None:
            message = f'no mount covers "{root}", where the specs have their data'
            self._tell(
                "not-mounted",
                message,
                f"put it into data/{name} of the project, and write $dataset_raw",
                None,
            )
            return name, None
        if not host.is_dir():
            message = (
                f'"{root}", where the specs have their data, is "{host}", which is not a folder of this host'
            )
            self._tell(
                "missing-data",
                message,
                f"put it into data/{name} of the project, and write $dataset_raw",
                None,
            )
            return name, None
        return name, host

    def _find_weights(self) -> None:
        """Weights on this host, for the networks that name them in experiments.yml."""
        for experiment in self._experiments:
            network = experiment.network
            if not {"repository", "backbone"}.issubset((*network.needs, *network.optional)):
                continue
            by_argument = takes_weights_by_argument(network)
            uses = [use for spec in experiment.specs.values() for use in path_uses(spec)]
            uses = [PathUse(("pretrained",), path) for path in experiment.weights_named] + uses
            for use in uses:
                if experiment.weights is None and (use.is_pretrained or use.is_weights):
                    experiment.weights = weights_place(
                        use, self._outside, network.framework, any_layout=by_argument
                    )

    def _tell_missing_weights(self) -> None:
        for one in self._experiments:
            if one.weights is None and one.base is None and takes_weights_by_argument(one.network):
                message = f'no weights were found for "{one.name}", which names them on the command line'
                hint = f'set repository and backbone: "taorunner networks {one.network.name}" lists weights'
                file = self._workspace.project(self._name).experiments_file
                self._tell("weights-not-found", message, hint, file)

    def _tell_paths(self, uses: Iterable[PathUse], known: Sequence[str]) -> None:
        """Paths that the container will not see, without those below ``known``."""
        weights = {one.weights.inside for one in self._experiments if one.weights is not None}
        foreign: dict[str, None] = {}
        for use in self._settings.not_given(uses):
            if use.path in weights or any(is_below(use.path, path) for path in known):
                continue
            if self._outside.to_host(use.path) is None:
                foreign.setdefault(use.path)
        for path in list(foreign)[:20]:
            message = f'no mount covers "{printable(path)}", a path in the specs'
            self._tell("not-mounted", message, "add a mount for it, or correct the path", None)

    def _spec_files(
        self, experiment: LauncherExperiment, replacements: Mapping[str, str]
    ) -> dict[PurePosixPath, bytes]:
        folder = PurePosixPath("specs", experiment.name)
        own = dict(replacements)
        if experiment.weights is not None:
            own[experiment.weights.inside] = "$pretrained_model"
        contracts = experiment.contracts
        files: dict[PurePosixPath, bytes] = {}
        for action, spec in experiment.specs.items():
            contract = contracts[action].spec
            stem = contract.stems[0] if contract is not None else action
            path = folder / f"{stem}{_SUFFIXES[spec.format]}"
            files[path] = with_variables(spec, own).encode()
            self._lines.append(
                SourceLine(self._folder / spec.name, None, spec.name.name, Outcome.TAKEN, str(path))
            )
        beside = [(spec.name, with_variables(spec, own)) for spec in experiment.beside]
        if experiment is self._experiments[0]:
            beside += self._others
        for name, text in beside:
            path = self._free(folder / name.name, files)
            files[path] = text.encode()
            note = f"{path}, which no action reads"
            self._lines.append(SourceLine(self._folder / name, None, name.name, Outcome.TAKEN, note))
        return files

    @staticmethod
    def _free(path: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> PurePosixPath:
        number = 2
        free = path
        while free in files:
            free = path.with_name(f"{path.stem}_{number}{path.suffix}")
            number += 1
        return free

    def _repository_links(self) -> dict[PurePosixPath, Path]:
        links: dict[PurePosixPath, Path] = {}
        for experiment in self._experiments:
            if experiment.weights is None:
                continue
            path, target = experiment.weights.link
            there = self._workspace.repositories_dir / path
            if not os.path.lexists(there):
                links[path] = target
            elif there.resolve() != target.resolve():
                message = f'"{there}" holds other weights than "{target}", which the specs name'
                self._tell("other-weights", message, "compare the two", there)
        return links

    def _tell(self, code: str, message: str, hint: str | None, path: Path | None) -> None:
        self._findings.append(Finding(Severity.WARNING, code, message, hint, path))
