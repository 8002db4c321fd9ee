"""The one home of Optuna: chooses by TPE or CMA-ES from what is known of earlier trials, and writes its journal.

``trials.jsonl`` is the truth. The study is made from it anew for each choice, in memory: 500 trials take a tenth of a
second, no state can disagree with the trials, and no lock of the library is ever held. ``export_journal`` writes the
same study as a file for optuna-dashboard.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taorunner.errors import MachineError
from taorunner.project.sweeps.definition import Axis, Sweep, Values
from taorunner.sweeps.choosing import MAX_DRAWS, meets, nothing_meets
from taorunner.sweeps.trial import Trial

if TYPE_CHECKING:
    import optuna

FEWEST_AT_RANDOM, MOST_AT_RANDOM = 4, 10
"""TPE draws a fifth of the trials at random first, within these bounds: with a third of 24 it was hardly better than
random values."""
CANDIDATES = 64
_MISSING = 'sweeps with "sampler: {}" need Optuna'
_HINT = "pip install 'taorunner[sweep]', or write sampler: random"


class Study:
    """A chooser by Optuna."""

    def __init__(self, sweep: Sweep, *, maximize: bool) -> None:
        """Raises MachineError without the library."""
        self._sweep, self._maximize = sweep, maximize
        with _quiet(sweep):
            self._space = {axis.key: _distribution(axis) for axis in sweep.space}

    def next_values(self, number: int, trials: Sequence[Trial], gpus: int) -> Values | None:
        with _quiet(self._sweep):
            study = self._study(trials, _sampler(self._sweep, number))
            for _ in range(MAX_DRAWS):
                asked = study.ask(self._space)
                values = {axis.key: _typed(axis, asked.params[axis.key]) for axis in self._sweep.space}
                if meets(self._sweep, values, gpus):
                    return values
                study.tell(asked, state=_state("FAIL"))
        raise nothing_meets(self._sweep)

    def export_journal(self, path: Path, trials: Sequence[Trial]) -> None:
        """Replaces the journal file ``path`` by one with these trials.

        Raises:
            OSError: it cannot be written.
        """
        with _quiet(self._sweep):
            import optuna
            from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

            new = path.absolute().with_name(f".{path.name}.{os.getpid()}")
            new.unlink(missing_ok=True)
            lock = JournalFileOpenLock(str(new))
            storage = optuna.storages.JournalStorage(JournalFileBackend(str(new), lock_obj=lock))
            self._study(trials, None, storage)
            new.replace(path)

    def _study(self, trials: Sequence[Trial], sampler: Any, storage: Any = None) -> optuna.Study:
        import optuna

        directions = optuna.study.StudyDirection
        direction = directions.MAXIMIZE if self._maximize else directions.MINIMIZE
        study = optuna.create_study(
            study_name=self._sweep.name, direction=direction, sampler=sampler, storage=storage,
            pruner=optuna.pruners.NopPruner(),
        )  # fmt: skip
        study.add_trials([frozen for one in trials if (frozen := self._frozen(one)) is not None])
        return study

    def _frozen(self, trial: Trial) -> optuna.trial.FrozenTrial | None:
        """The trial as Optuna has it; None where its values do not fit the axes, as those of a base may not."""
        import optuna

        axes = {axis.key: axis for axis in self._sweep.space}
        if set(trial.values) != set(axes) or not all(
            axes[key].holds(value) for key, value in trial.values.items()
        ):
            return None
        state = "COMPLETE" if trial.counts else ("FAIL" if trial.is_over else "RUNNING")
        if trial.ending == "pruned":
            state = "PRUNED"
        return optuna.trial.create_trial(
            params=dict(trial.values), distributions=self._space, state=_state(state),
            value=trial.value if trial.counts else None,
            intermediate_values=dict(trial.curve) if trial.counts else None,
            user_attrs={"trial": trial.name, "run": trial.run, "reason": trial.reason},
        )  # fmt: skip


@contextlib.contextmanager
def _quiet(sweep: Sweep) -> Iterator[None]:
    """Optuna prints a line a trial, and warns of what is meant so."""
    try:
        import optuna
    except ImportError:
        raise MachineError(_MISSING.format(sweep.sampler), hint=_HINT) from None
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _sampler(sweep: Sweep, number: int) -> Any:
    """Seeded by the number of the trial: the same one is chosen again after a crash."""
    import optuna

    seed = (sweep.seed * 1_000_003 + number) % 2**32
    if sweep.sampler == "cmaes":
        if find_spec("cmaes") is None:  # Optuna imports it late
            raise MachineError(_MISSING.format("cmaes") + " and cmaes", hint=_HINT)
        return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
    return optuna.samplers.TPESampler(
        seed=seed, multivariate=True, constant_liar=True, n_ei_candidates=CANDIDATES,
        n_startup_trials=max(FEWEST_AT_RANDOM, min(MOST_AT_RANDOM, sweep.trials // 5)),
    )  # fmt: skip


def _distribution(axis: Axis) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.kind == "choice":
        return CategoricalDistribution(axis.choices)
    if axis.kind == "int":
        return IntDistribution(int(axis.low), int(axis.high), step=int(axis.step or 1))
    return FloatDistribution(axis.low, axis.high, log=axis.kind == "log", step=axis.step)


def _typed(axis: Axis, value: Any) -> Any:
    return int(value) if axis.kind == "int" else value


def _state(name: str) -> Any:
    import optuna

    return getattr(optuna.trial.TrialState, name)


def importances(sweep: Sweep, trials: Sequence[Trial], *, maximize: bool) -> Mapping[str, float]:
    """How much each key matters, in shares of 1 (PED-ANOVA); empty where too few trials ended."""
    study = Study(sweep, maximize=maximize)
    with _quiet(sweep):
        import optuna

        made = study._study(trials, None)
        try:
            return dict(optuna.importance.get_param_importances(made))
        except (ValueError, RuntimeError, ZeroDivisionError):
            return {}
