"""Finds the workspace and its projects, and names all of their paths.

All paths are named here. It reads folder names only and imports only the standard library, because completion uses it
at each key press.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from taorunner.contained_files import UNSEEN
from taorunner.errors import UsageError, UserFilesError
from taorunner.text import did_you_mean, is_plain_name, printable
from taorunner.values.value import Value

PROJECTS = "projects"
STATE = UNSEEN
REPORT_FILE = "report.html"
EXPERIMENTS_FILE = "experiments.yml"
CLUSTERS_FILE = "clusters.yml"
WORKSPACE_VARIABLE = "TAORUNNER_WORKSPACE"
PROJECT_VARIABLE = "TAORUNNER_PROJECT"
NAME_RULE = "letters, digits, dots, dashes and underscores, the first a letter or digit"
MAX_NAME_LENGTH = 100
"""Names become folder names with a prefix or a time added; file systems allow 255 bytes."""

_MAKE_ONE = "taorunner init-project NAME makes one; --workspace DIR names another"


def is_name(name: str) -> bool:
    """True for a valid name of a project, an experiment or one segment of a dataset."""
    return len(name) <= MAX_NAME_LENGTH and is_plain_name(name)


class ProjectPaths(Value):
    """The paths of one project. They need not exist. Some are texts, too, for those who need thousands of them."""

    root: Path

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def data_text(self) -> str:
        return f"{self.root}/data"

    @property
    def models_dir(self) -> Path:
        return self.root / "models"

    @property
    def report_file(self) -> Path:
        """Where a report of the project is written."""
        return self.models_dir / REPORT_FILE

    def bundle_dir(self, experiment: str, use: str) -> Path:
        """Where ``bundle`` writes: beside the results of the experiment."""
        return self.models_dir / f"{experiment}.bundle-{use}"

    @property
    def specs_dir(self) -> Path:
        return self.root / "specs"

    @property
    def experiments_file(self) -> Path:
        return self.root / EXPERIMENTS_FILE

    def dataset_dir(self, dataset: str) -> Path:
        """``dataset`` as in experiments.yml: one or more segments joined by ``/``."""
        return Path(self.dataset_text(dataset))

    def dataset_text(self, dataset: str) -> str:
        return f"{self.root}/data/{dataset}"

    def tfrecords_dir(self, experiment: str) -> Path:
        return Path(self.tfrecords_text(experiment))

    def tfrecords_text(self, experiment: str) -> str:
        return f"{self.root}/data/tfrecords_{experiment}"

    def results_dir(self, experiment: str) -> Path:
        return Path(self.results_text(experiment))

    def results_text(self, experiment: str) -> str:
        return f"{self.root}/models/{experiment}"

    def spec_dir(self, experiment: str) -> Path:
        return self.root.joinpath("specs", experiment)


class Workspace(Value):
    """The folder with ``projects/``, ``repositories/`` and ``.taorunner/``. ``root`` is absolute."""

    root: Path

    @property
    def projects_dir(self) -> Path:
        return self.root / PROJECTS

    @property
    def repositories_dir(self) -> Path:
        return self.root / "repositories"

    @property
    def networks_dir(self) -> Path:
        """The workspace's own networks, see ``planning.inputs.workspace_networks``."""
        return self.root / "networks"

    @property
    def mounts_file(self) -> Path:
        return self.root / ".tao_mounts.json"

    @property
    def clusters_file(self) -> Path:
        """The engines elsewhere, see ``project.clusters``."""
        return self.root / CLUSTERS_FILE

    @property
    def lock_file(self) -> Path:
        """The digests of image tags, see ``project.image_lock``."""
        return self.root / "taorunner.lock"

    @property
    def state_dir(self) -> Path:
        return self.root / STATE

    @property
    def runs_dir(self) -> Path:
        return self.state_dir / "runs"

    @property
    def batches_dir(self) -> Path:
        return self.state_dir / "batches"

    @property
    def inside_dir(self) -> Path:
        """Files for containers besides the workspace's folders. The host never reads them."""
        return self.root / ".tao_inside"

    @property
    def homes_dir(self) -> Path:
        """HOME of containers, a folder for each repository of images: their caches are kept there."""
        return self.inside_dir / "homes"

    @property
    def hidden_dir(self) -> Path:
        """An empty folder that a container sees instead of the state folder."""
        return self.inside_dir / "hidden"

    @property
    def dry_run_dir(self) -> Path:
        return self.state_dir / "dry-run"

    @property
    def spec_schemas_dir(self) -> Path:
        """Spec schemas that were read from images, see ``specs.schema.image_schemas``."""
        return self.state_dir / "cache" / "spec-schemas"

    @property
    def schema_file(self) -> Path:
        """The JSON Schema with which editors complete experiments.yml."""
        return self.state_dir / "experiments.schema.json"

    def project(self, name: str) -> ProjectPaths:
        return ProjectPaths(self.projects_dir / name)

    def project_names(self) -> tuple[str, ...]:
        """The sorted folders below ``projects/`` with valid names. Empty when it cannot be read."""
        try:
            with os.scandir(self.projects_dir) as entries:
                return tuple(
                    sorted(entry.name for entry in entries if is_name(entry.name) and _is_dir(entry.path))
                )
        except OSError:
            return ()


def cluster_files(root: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where clusters are written: in the user's configuration folder, and beside ``projects/`` of the workspace.

    Source: XDG Base Directory Specification.
    """
    base = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):  # noqa: PTH117 (a text)
        home = environ.get("HOME", "")
        base = f"{home}/.config" if home else ""
    users = (Path(base, "taorunner", CLUSTERS_FILE),) if base else ()
    return (*users, root / CLUSTERS_FILE)


class UnnamedProjectError(UsageError):
    """No project is named, and there are several."""


def find_workspace(start: Path, explicit: Path | None, environ: Mapping[str, str]) -> Workspace:
    """The workspace of ``explicit`` (--workspace) or TAORUNNER_WORKSPACE, else the nearest at or above ``start``.

    Raises:
        UsageError: the named folder does not exist or is not a workspace.
        UserFilesError: none was named and none was found.
    """
    if explicit is not None:
        return _named_workspace(start, explicit, "--workspace")
    from_environ = environ.get(WORKSPACE_VARIABLE, "")
    if from_environ:
        return _named_workspace(start, Path(from_environ), WORKSPACE_VARIABLE)
    here = _absolute(start)
    for folder in (here, *here.parents):
        if _is_workspace(folder):
            return Workspace(folder)
    raise UserFilesError(
        f'no workspace here or above: no folder "{PROJECTS}" from "{here}" up', hint=_MAKE_ONE
    )


def open_workspace(folder: Path) -> Workspace:
    """The workspace in exactly this folder.

    Raises UsageError when the folder is not there or is no workspace.
    """
    return _named_workspace(Path(), folder, "workspace")


def find_project(workspace: Workspace, start: Path, explicit: str | None, environ: Mapping[str, str]) -> str:
    """The name of the project: ``explicit`` (``-p``), else the one around ``start``, TAORUNNER_PROJECT, or the only
    one.

    Raises:
        UsageError: the name is not valid, there is no such project, or there are several.
        UserFilesError: the workspace has no project.
    """
    if explicit is not None:
        return known_project(workspace, explicit, "--project")
    here = project_around(workspace, start)
    if here is not None:
        return known_project(workspace, here, "the current folder")
    from_environ = environ.get(PROJECT_VARIABLE, "")
    if from_environ:
        return known_project(workspace, from_environ, PROJECT_VARIABLE)
    names = workspace.project_names()
    if len(names) == 1:
        return names[0]
    if not names:
        raise UserFilesError(
            f'no project in "{workspace.projects_dir}"', hint="taorunner init-project NAME makes one"
        )
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    raise UnnamedProjectError(
        f"no project named, and there are {len(names)}: {shown}", hint="name one with -p PROJECT"
    )


def _named_workspace(start: Path, named: Path, origin: str) -> Workspace:
    folder = _absolute(start / _expand_home(named))
    if not os.path.lexists(folder):
        raise UsageError(f'{origin}: no folder "{_shown(folder)}"', hint=_MAKE_ONE)
    if not _is_dir(folder):
        raise UsageError(f'{origin}: "{_shown(folder)}" is not a folder that can be read')
    if not _is_dir(folder / PROJECTS) and not _is_dir(folder / STATE):
        raise UsageError(
            f'{origin}: "{_shown(folder)}" is not a workspace: it has no folder "{PROJECTS}"',
            hint=f"taorunner --workspace {_shown(folder)} init-project NAME makes one",
        )
    return Workspace(folder)


def _is_workspace(folder: Path) -> bool:
    """A folder named ``projects`` counts only with ``.taorunner/``, because a project may have that name too."""
    return _is_dir(folder / STATE) or (folder.name != PROJECTS and _is_dir(folder / PROJECTS))


def known_project(workspace: Workspace, name: str, origin: str) -> str:
    """``name``, of a project that exists. ``origin`` is where it was given, for the message.

    Raises UsageError when it cannot be a name, or there is no such project.
    """
    if not is_name(name):
        last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
        known = workspace.project_names()
        hint = f'did you mean "{last}"?' if last in known else f"a project's name is made of {NAME_RULE}"
        raise UsageError(f'{origin}: "{_shown(name)}" cannot be the name of a project', hint=hint)
    if not _is_dir(workspace.project(name).root):
        nearest_name = did_you_mean(name, workspace.project_names())
        raise UsageError(
            f'{origin}: no project "{name}" in "{workspace.projects_dir}"',
            hint=nearest_name or f"taorunner init-project {name} makes it",
        )
    return name


def nearest_project(workspace: Workspace, start: Path, environ: Mapping[str, str]) -> str | None:
    """The project whose experiments come first where none is named: the one around ``start``, else
    TAORUNNER_PROJECT, unchecked."""
    return project_around(workspace, start) or environ.get(PROJECT_VARIABLE) or None


def project_around(workspace: Workspace, start: Path) -> str | None:
    """The name of the folder below ``projects/`` that ``start`` is in; None outside of them."""
    here = _absolute(start)
    for folder, projects in (
        (here, workspace.projects_dir),
        (Path(os.path.realpath(here)), Path(os.path.realpath(workspace.projects_dir))),
    ):
        if folder != projects and folder.is_relative_to(projects):
            return folder.relative_to(projects).parts[0]
    return None


def _absolute(path: Path) -> Path:
    """Absolute and without ``..``. Links are kept, so the path is shown as the user knows it."""
    try:
        return Path(os.path.abspath(path))  # noqa: PTH100 (Path.absolute keeps "..")
    except FileNotFoundError:
        raise UsageError("the current folder no longer exists", hint="cd to a folder that exists") from None


def _expand_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _is_dir(path: Path | str) -> bool:
    """Also False for link loops and unreadable folders, for which Path.is_dir raises on old Pythons."""
    return os.path.isdir(path)  # noqa: PTH112


def _shown(path: Path | str) -> str:
    return printable(str(path)[:200])
