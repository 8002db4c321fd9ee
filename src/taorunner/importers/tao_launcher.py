"""Imports a TAO launcher setup: a folder of spec files and a mounts file.

Each spec that trains becomes an experiment. Every other spec goes to the experiment with the most similar name. A file
that is not recognised is kept unchanged and reported. Nothing outside the workspace is changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from taorunner.errors import Finding, Severity, UnknownNameError, UserFilesError
from taorunner.importers.imported_mounts import launcher_file, read_mounts, take_mounts
from taorunner.importers.launcher_paths import (
    PathUse,
    WeightsPlace,
    dataset_root,
    is_below,
    path_uses,
    results_folders,
    weights_place,
    with_variables,
)
from taorunner.importers.launcher_runs import LauncherExperiment, experiments_of
from taorunner.importers.network_detection import (
    SpecRead,
    named_heads,
    read_spec,
    recognise_networks,
)
from taorunner.importers.project_writer import Arrival, place_projects, refuse_existing
from taorunner.planning.checkpoints.checkpoint_files import find_pretrained
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.weights.use import takes_weights_by_argument
from taorunner.project.mounts import Mounts, load_mounts
from taorunner.project.mounts_file import MountsFile
from taorunner.project.scaffold import plain_scalar
from taorunner.project.workspace import Workspace, is_name
from taorunner.specs.memory import SpecMemory
from taorunner.specs.spec_file import SpecFile, load_spec
from taorunner.text import printable

MAX_FILES = 500
_SUFFIXES = {"prototxt": ".txt", "yaml": ".yaml"}
_READABLE = (".txt", ".cfg", ".prototxt", ".pbtxt", ".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Migrated:
    """``made`` are the created paths; ``findings`` report what was not recognised and what the user has to know."""

    made: tuple[Path, ...]
    findings: tuple[Finding, ...]


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
    migration = _Migration(workspace, name, Path(os.path.abspath(folder)), networks)  # noqa: PTH100
    migration.read_specs(head)
    migration.read_mounts(mounts_file, environ)
    return migration.place()


class _Migration:
    def __init__(self, workspace: Workspace, name: str, folder: Path, networks: Networks) -> None:
        self._workspace, self._name, self._folder, self._networks = workspace, name, folder, networks
        self._findings: list[Finding] = []
        self._experiments: list[LauncherExperiment] = []
        self._others: list[tuple[Path, str]] = []
        self._content = MountsFile()
        self._outside = Mounts(())
        self._writes_mounts = True

    def read_specs(self, head: str | None) -> None:
        specs: list[SpecRead] = []
        memory = SpecMemory()
        for path in self._files():
            loaded = load_spec(path)
            if not isinstance(loaded, SpecFile):
                self._findings += [_softer(finding) for finding in loaded]
                continue
            spec = read_spec(path.relative_to(self._folder), loaded.text, memory)
            if spec is None:
                self._others.append((path.relative_to(self._folder), loaded.text))
                message = "this is not recognised as a TAO spec; it is kept beside the specs"
                self._findings.append(Finding(Severity.INFO, "no-spec", message, None, path))
            else:
                specs.append(spec)
        recognise_networks(specs, self._networks, head, self._folder)
        by_head: dict[str, list[SpecRead]] = {}
        for spec in specs:
            if spec.head is None:
                self._unknown(spec)
            else:
                by_head.setdefault(spec.head, []).append(spec)
        if not by_head:
            choice = sorted(
                {
                    name
                    for spec in specs
                    for name in spec.candidates or named_heads(spec, self._networks, self._folder)
                }
            )
            raise UserFilesError(
                f'no spec in "{self._folder}" could be recognised',
                hint=f"say which network it is, with --head {' or '.join(choice[:6])}" if choice
                else "say which network it is with --head; taorunner networks lists them",
                findings=self._findings,
            )  # fmt: skip
        taken: set[str] = set()
        for name, ones in sorted(by_head.items(), key=lambda item: (-len(item[1]), item[0])):
            network = self._networks.load(name)
            self._experiments += experiments_of(network, ones, self._folder, taken, self._findings.append)

    def read_mounts(self, given: Path | None, environ: Mapping[str, str]) -> None:
        home = Path(environ.get("HOME") or Path.home())
        if os.path.lexists(self._workspace.mounts_file):
            self._outside = load_mounts(self._workspace, environ)
            self._writes_mounts = False
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
        if not os.path.lexists(file):
            if given is not None or file != home / ".tao_mounts.json":
                raise (UnknownNameError if given is not None else UserFilesError)(
                    f'there is no mounts file "{file}"', hint="name it with --mounts-file FILE"
                )
            message = f'there is no mounts file ("{file}"), so no path of the specs is known on this host'
            self._tell("no-mounts", message, "name it with --mounts-file FILE, in a new project", None)
            self._writes_mounts = False
            return
        self._content, self._outside, findings = read_mounts(file, environ, home)
        self._findings += findings

    def place(self) -> Migrated:
        uses = [use for one in self._experiments for spec in one.specs.values() for use in path_uses(spec)]
        results = results_folders(uses)
        root = dataset_root(uses, self._outside, results)
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
        files = {PurePosixPath("experiments.yml"): self._experiments_text(dataset).encode()}
        for experiment in self._experiments:
            files |= self._spec_files(experiment, replacements)
        repositories = self._repository_links()
        arrival = Arrival(self._name, files, links, (PurePosixPath("data", dataset),) if not links else ())
        made = place_projects(
            self._workspace,
            [arrival],
            repositories=repositories,
            mounts=taken.content if self._writes_mounts else None,
            heads=self._networks.names,
        )
        return Migrated(tuple(made), tuple(self._findings))

    def _files(self) -> list[Path]:
        """The text files below the folder; links to folders are not followed."""
        if not self._folder.is_dir():
            kind = UserFilesError if self._folder.exists() else UnknownNameError
            raise kind(f'"{self._folder}" is not a folder of specs', hint="name the folder that holds them")
        found: list[Path] = []
        left: list[str] = []
        for here, folders, names in os.walk(self._folder, onerror=self._unreadable):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(here, name)
                if name.startswith("."):
                    continue
                if path.suffix.lower() in _READABLE:
                    found.append(path)
                else:
                    left.append(path.relative_to(self._folder).as_posix())
            if len(found) > MAX_FILES:
                raise UserFilesError(
                    f'"{self._folder}" holds more than {MAX_FILES} text files',
                    hint="name the folder of the specs itself",
                )
        if left:
            shown = ", ".join(printable(one) for one in left[:8]) + (", …" if len(left) > 8 else "")
            message = f"not imported, because these are not spec files: {shown}"
            self._findings.append(Finding(Severity.INFO, "left-out", message, None, self._folder))
        return found

    def _unreadable(self, error: OSError) -> None:
        self._tell(
            "unreadable",
            f"the folder cannot be read: {(error.strerror or '').lower()}",
            None,
            Path(error.filename),
        )

    def _unknown(self, spec: SpecRead) -> None:
        path = self._folder / spec.name
        self._others.append((spec.name, spec.text))
        if spec.candidates:
            message = f"this may be a spec of {', '.join(spec.candidates[:6])}"
            self._tell("ambiguous-network", message, f"say which: --head {spec.candidates[0]}", path)
        else:
            message = "no known network has such a spec"
            self._tell("unknown-network", message, "say which it is with --head", path)

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
        """Weights from NGC's downloader, for the networks that name them in experiments.yml."""
        for experiment in self._experiments:
            if not {"repository", "backbone"}.issubset(
                (*experiment.network.needs, *experiment.network.optional)
            ):
                continue
            for spec in experiment.specs.values():
                for use in path_uses(spec):
                    place = weights_place(use, self._outside) if use.is_pretrained or use.is_weights else None
                    if (
                        place is not None
                        and experiment.weights is None
                        and self._is_found_again(place, experiment)
                    ):
                        experiment.weights = place

    def _is_found_again(self, place: WeightsPlace, experiment: LauncherExperiment) -> bool:
        """True when ``$pretrained_model`` will be the same file as the one in the spec."""
        found, _ = find_pretrained(place.folder, experiment.network.framework)
        return found is not None and found == self._outside.to_host(place.inside)

    def _tell_paths(self, uses: Iterable[PathUse], known: Sequence[str]) -> None:
        """Paths that the container will not see, without those below ``known``."""
        weights = {one.weights.inside for one in self._experiments if one.weights is not None}
        foreign: dict[str, None] = {}
        for use in uses:
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
        contracts = experiment.network.contracts(experiment.release)
        files: dict[PurePosixPath, bytes] = {}
        for action, spec in experiment.specs.items():
            contract = contracts[action].spec
            stem = contract.stems[0] if contract is not None else action
            files[folder / f"{stem}{_SUFFIXES[spec.format]}"] = with_variables(spec, own).encode()
        beside = [(spec.name, with_variables(spec, own)) for spec in experiment.beside]
        if experiment is self._experiments[0]:
            beside += self._others
        for name, text in beside:
            files[self._free(folder / name.name, files)] = text.encode()
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
            place = experiment.weights
            if place is None:
                continue
            path = PurePosixPath(place.repository, place.folder.name)
            there = self._workspace.repositories_dir / path
            if not os.path.lexists(there):
                links[path] = place.folder
            elif there.resolve() != place.folder.resolve():
                message = f'"{there}" holds other weights than "{place.folder}", which the specs name'
                self._tell("other-weights", message, "compare the two", there)
        return links

    def _experiments_text(self, dataset: str) -> str:
        lines = [
            "# yaml-language-server: $schema=../../.taorunner/experiments.schema.json",
            f'# Experiments of the project "{self._name}", made of the TAO launcher\'s spec files in',
            f"# {printable(str(self._folder))}",
            "tao_config:",
            "  gpus: 1",
            "",
            "experiments:",
        ]
        for experiment in self._experiments:
            lines.append(f"  {plain_scalar(experiment.name)}:")
            entry = self._entry(experiment, dataset)
            lines += [f"    {key}: {plain_scalar(value)}" for key, value in entry.items()]
            if "model_key" in experiment.network.optional and experiment.base is None:
                lines.append(
                    "    # model_key: env:TAO_MODEL_KEY  # what the launcher was given with -k, if anything"
                )
            lines.append("")
        return "\n".join(lines)

    def _entry(self, experiment: LauncherExperiment, dataset: str) -> dict[str, str]:
        entry: dict[str, str] = {}
        if experiment.base is not None:
            entry["extends"] = experiment.base
        else:
            entry |= {"head": experiment.network.name, "dataset": dataset}
            if experiment.release is not None:
                entry["release"] = experiment.release
        if experiment.weights is not None:
            entry |= {"repository": experiment.weights.repository, "backbone": experiment.weights.backbone}
        elif experiment.base is None and takes_weights_by_argument(experiment.network):
            message = f'no weights were found for "{experiment.name}", which names them on the command line'
            hint = (
                f'set repository and backbone: "taorunner networks {experiment.network.name}" lists weights'
            )
            self._tell(
                "weights-not-found", message, hint, self._workspace.project(self._name).experiments_file
            )
        return entry

    def _tell(self, code: str, message: str, hint: str | None, path: Path | None) -> None:
        self._findings.append(Finding(Severity.WARNING, code, message, hint, path))


def _softer(finding: Finding) -> Finding:
    return Finding(
        Severity.WARNING,
        finding.code,
        finding.message,
        finding.hint,
        finding.file,
        finding.line,
        finding.column,
    )
