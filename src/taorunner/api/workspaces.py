"""``Workspace`` and ``Project``: the folders of a workspace and their content."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from taorunner.api.runs import Run
from taorunner.api.sweeps import Sweep
from taorunner.errors import Finding, UsageError
from taorunner.project import workspace as folders
from taorunner.project.load import load_project
from taorunner.runs.comparison.chosen import chosen_runs
from taorunner.runs.comparison.compare import Comparison, compare
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.checks.validation import all_findings
from taorunner.text import printable


class Workspace:
    """The folder that holds ``projects/``. Two of the same folder are equal.

    Example:
        >>> workspace = taorunner.Workspace.open(folder)
        >>> [project.name for project in workspace.projects]
        ['shapes']
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """``path`` need not exist; ``find`` and ``open`` check that it does."""
        self._inner = folders.Workspace(Path(path).absolute())

    @classmethod
    def find(cls, path: str | os.PathLike[str] | None = None) -> Workspace:
        """The nearest workspace around ``path``.

        By default TAORUNNER_WORKSPACE, else the nearest one around the current folder.

        Raises:
            TaorunnerError: none is found.

        Example:
            >>> taorunner.Workspace.find(folder / "projects" / "shapes" / "data").path == folder
            True
        """
        if path is None:
            return cls(folders.find_workspace(Path.cwd(), None, os.environ).root)
        return cls(folders.find_workspace(Path(path), None, {}).root)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Workspace:
        """The workspace in exactly this folder.

        Raises:
            TaorunnerError: the folder is not there or is no workspace.

        Example:
            >>> taorunner.Workspace.open(folder)
            Workspace('...')
        """
        return cls(folders.open_workspace(Path(path)).root)

    @classmethod
    def create_example(
        cls, path: str | os.PathLike[str], *, images: int = 320, held_out: int = 80
    ) -> Workspace:
        """Makes a workspace with generated images and a network that trains on the CPU, as ``quickstart`` does.

        Project ``shapes`` has the experiments ``small`` and ``tiny``. ``images`` are for training, ``held_out`` more
        for the evaluation. Needs the extra "embedded".

        Raises:
            TaorunnerError: the folder is not empty, the extra is not installed, or the disk refuses.

        Example:
            >>> taorunner.Workspace.create_example(new_folder, images=16, held_out=4).project("shapes").experiments
            ['small', 'tiny']
        """
        from taorunner.api.example_workspace import make_example_workspace

        return cls(make_example_workspace(Path(path).absolute(), images=images, held_out=held_out).root)

    @property
    def path(self) -> Path:
        """The absolute path of the folder."""
        return self._inner.root

    @property
    def projects(self) -> list[Project]:
        """All projects, sorted by name."""
        return [Project(self, name) for name in self._inner.project_names()]

    def project(self, name: str) -> Project:
        """One project.

        Raises:
            TaorunnerError: there is no project of that name.

        Example:
            >>> workspace.project("shapes").experiments
            ['small', 'tiny']
        """
        return Project(self, folders.find_project(self._inner, self.path, name, {}))

    def runs(self, project: str | Project | None = None, limit: int | None = None) -> list[Run]:
        """Recorded runs, the newest first; of one ``project`` only, and at most ``limit``.

        Example:
            >>> [run.action for run in workspace.runs("shapes")]
            ['train', 'dataset_convert']
            >>> len(workspace.runs(limit=1))
            1
        """
        name = project.name if isinstance(project, Project) else project
        found = (record.id for record in self._store().records() if name is None or record.project == name)
        return [Run(self._store(), run_id) for run_id in islice(found, limit)]

    def run(self, name: str) -> Run:
        """The run with this id or unique part of an id, or the newest run of an experiment of this name.

        Raises:
            TaorunnerError: there is no such run, or there are several.

        Example:
            >>> workspace.run("tiny").state
            <RunState.SUCCEEDED: 'SUCCEEDED'>
        """
        return Run(self._store(), self._store().find(name).id)

    def compare(self, *runs: str | Run, action: str = "train") -> Comparison:
        """What differs between runs, and what it did to their metrics. The first is what the others are compared with.

        A run is one of ``runs``, an id, or the name of an experiment: its newest success of ``action``, with ``@2``
        behind the name the one before. Without any: that of every experiment.

        Raises:
            TaorunnerError: a name means no run, or several.

        Example:
            >>> comparison = workspace.compare("tiny")
            >>> [metric.name for metric in comparison.metrics]
            ['val_mAP50', 'train_loss', 'val_loss']
            >>> comparison.differences
            ()
        """
        store = self._store()
        names = [run.id if isinstance(run, Run) else run for run in runs]
        return compare(store, chosen_runs(store, names, action))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workspace) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"Workspace({str(self.path)!r})"

    def _store(self) -> RunStore:
        return RunStore(self._inner.state_dir)


@dataclass(frozen=True)
class Project:
    """One project of a workspace, as its files are now.

    Example:
        >>> project = workspace.project("shapes")
        >>> project.experiments
        ['small', 'tiny']
        >>> sorted({finding.code for finding in project.findings})
        ['not-made-yet', 'results-exist']
    """

    workspace: Workspace
    name: str

    @property
    def path(self) -> Path:
        """The absolute path of the project's folder."""
        return self.workspace._inner.project(self.name).root

    @property
    def experiments(self) -> list[str]:
        """Names of the usable experiments, in the order of experiments.yml."""
        return list(load_project(self.workspace._inner, self.name).experiments)

    @property
    def sweeps(self) -> list[str]:
        """Names of the usable sweeps, in the order of experiments.yml."""
        return list(load_project(self.workspace._inner, self.name).sweeps)

    def sweep(self, name: str) -> Sweep:
        """One sweep, of experiments.yml or started before.

        Raises:
            TaorunnerError: the name cannot be that of a sweep.

        Example:
            >>> workspace.project("shapes").sweep("rates").trials
            []
        """
        if not folders.is_name(name):
            raise UsageError(f'"{printable(name)}" cannot be the name of a sweep')
        return Sweep(self.workspace._inner, self.name, name)

    @property
    def findings(self) -> list[Finding]:
        """Every problem of the project, as ``taorunner validate`` shows them."""
        return all_findings(self.workspace._inner, [self.name], os.environ)
