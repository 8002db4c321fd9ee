"""``Sweep``: a search over experiments, read from its files. Every property reads the disk when it is accessed."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from taorunner.api.runs import Run
from taorunner.errors import UserFilesError
from taorunner.project.workspace import Workspace
from taorunner.runs.state.store import RunStore
from taorunner.sweeps import control
from taorunner.sweeps.checks.preflight import prepare
from taorunner.sweeps.folder import SweepFolder
from taorunner.sweeps.loop import best_of
from taorunner.sweeps.trial import Trial
from taorunner.values.value import Value

_POLL_S = 0.2


class SweepTrial(Value):
    """One trial, as it was when it was read. ``ending`` is None until it is over, ``value`` where it reports none,
    ``run`` until it has one, and where another trial had the same values.
    """

    name: str
    values: Mapping[str, str | int | float | bool]
    ending: str | None
    value: float | None
    epoch: int | None
    reason: str | None
    run: Run | None


class Sweep:
    """One entry of ``sweeps``. Two of the same project and name are equal.

    Example:
        >>> sweep = workspace.project("shapes").sweep("rates")
        >>> sweep.start()
        >>> sweep.wait(timeout_s=300)
        True
        >>> [(trial.name, trial.values, trial.ending) for trial in sweep.trials]
        [('t000', {'train.learning_rate': 0.004}, 'succeeded'), ('t001', {'train.learning_rate': 0.008}, 'succeeded')]
        >>> sweep.best.value == max(trial.value for trial in sweep.trials)
        True
    """

    def __init__(self, workspace: Workspace, project: str, name: str) -> None:
        """``Project.sweep`` makes it."""
        self.project, self.name = project, name
        self._workspace, self._store = workspace, RunStore(workspace.state_dir)
        self._folder = SweepFolder(self._store, project, name)

    @property
    def is_running(self) -> bool:
        """Whether its process runs. It goes on when the interpreter ends."""
        return self._folder.is_owned

    @property
    def trials(self) -> list[SweepTrial]:
        """All trials in the order in which they were chosen."""
        return [self._of(trial) for trial in self._folder.trials()]

    @property
    def best(self) -> SweepTrial | None:
        """The trial with the best value so far; None without one."""
        stored = self._folder.stored()
        found = None if stored is None else best_of(self._folder.trials(), maximize=stored.maximize)
        return None if found is None else self._of(found)

    def start(self, *, new: bool = False, any_size: bool = False) -> None:
        """Starts it, or goes on with it, as ``sweep run`` does. Returns when its process runs.

        ``new`` begins again and keeps the earlier trials aside; ``any_size`` is the ``--yes`` of the command line.

        Raises:
            TaorunnerError: the sweep has errors, is being run, or was started with another definition.

        Example:
            >>> sweep.start()
            >>> sweep.is_running
            True
        """
        sweep = control.defined(self._workspace, self.project, self.name, os.environ)
        trials = () if new else self._folder.trials()
        prepared, findings = prepare(
            self._workspace, self.project, sweep, os.environ, trials=trials, is_confirmed=any_size
        )
        if prepared is None:
            raise UserFilesError(f'sweep "{self.name}" has errors', findings=findings)
        models = self._workspace.project(self.project).models_dir
        control.begin(self._folder, models, prepared, new=new)
        control.start_process(self._folder, self._workspace, os.environ)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Blocks until its process has ended. True when a trial has a value.

        Raises:
            TimeoutError: it has not ended after ``timeout_s`` seconds; it goes on.

        Example:
            >>> sweep.start()
            >>> sweep.wait(timeout_s=300)
            True
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self.is_running:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f'sweep "{self.name}" has not ended after {timeout_s:g} s')
            time.sleep(_POLL_S)
        return self.best is not None

    def stop(self, *, now: bool = False) -> None:
        """No further trial starts; with ``now`` those that run are stopped, too. Returns at once.

        Raises:
            TaorunnerError: it was never started.

        Example:
            >>> sweep.start()
            >>> sweep.stop(now=True)
        """
        control.stop(self._store, self._folder, at_once=now)

    def _of(self, trial: Trial) -> SweepTrial:
        run = None if trial.run is None or trial.ending == "same" else Run(self._store, trial.run)
        return SweepTrial(
            trial.name, dict(trial.values), trial.ending, trial.value, trial.epoch, trial.reason, run
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sweep) and self._folder.directory == other._folder.directory

    def __hash__(self) -> int:
        return hash(self._folder.directory)

    def __repr__(self) -> str:
        return f"Sweep({self.name!r})"
