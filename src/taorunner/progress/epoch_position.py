"""Tracks what was reported: a position that only moves forward, and metrics that are reported once."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

from taorunner.progress.hints import ProgressHint

STEP_INTERVAL = timedelta(seconds=0.5)
"""Minimum time between two step events. Each may add a running loss: at most four events per second."""

_SAME = 2e-3
_HISTORY = 4
_NAMES_LIMIT = 2000
_NAMES = {
    "mean average precision": "mAP",
    "mean_average_precision": "mAP",
    "average_precision": "AP",
    "validation_loss": "val_loss",
    "training_accuracy": "train_acc",
    "all_acc": "ACC_all",
    "validation_accuracy": "val_acc",
    "val_accuracy": "val_acc",
    "lr": "learning_rate",
    "learning rate": "learning_rate",
}


class Position:
    """A position that only moves forward: in epoch e, then e completed, then in epoch e + 1."""

    def __init__(self, epochs: int | None) -> None:
        self.epochs = epochs
        self.epoch: int | None = None
        self.first: int | None = None
        self.done = 0
        self._step: int | None = None
        self._steps: int | None = None
        self._eta_s: float | None = None
        self._held: ProgressHint | None = None
        self._last_step_at: datetime | None = None

    def advance(self, hint: ProgressHint) -> list[ProgressHint]:
        """The hints to report now; steps are held back for ``take_step``.

        An ETA of 0 before the end is one that TAO does not know yet.
        """
        if hint.eta_s == 0 and not (hint.completed and self._is_last(hint)):
            hint = replace(hint, eta_s=None)
        if hint.epochs:
            self.epochs = hint.epochs
        self._eta_s = hint.eta_s if hint.eta_s is not None else self._eta_s
        epoch = max(1, min(hint.epoch, self.epochs) if self.epochs else hint.epoch)
        if epoch <= self.done:
            return []
        if self.epoch is not None and epoch < self.epoch:
            if hint.completed:  # by the slower source
                self.done = epoch
            return []
        self.first = self.first or epoch
        found: list[ProgressHint] = []
        if self.epoch is not None and epoch > self.epoch and self.done < epoch - 1:
            found.append(self._complete(epoch - 1, None, None))
        if hint.completed:
            self.epoch = epoch
            found.append(self._complete(epoch, hint.epoch_s, hint.steps))
            return found
        if self.epoch != epoch:
            self.epoch, self._step, self._steps, self._held = epoch, hint.step, hint.steps, None
            found.append(ProgressHint(epoch, self.epochs, hint.step, hint.steps, eta_s=self._eta_s))
        elif hint.step is not None and (self._step is None or hint.step > self._step):
            self._step, self._steps = hint.step, hint.steps or self._steps
            self._held = ProgressHint(epoch, self.epochs, self._step, self._steps)
        return found

    def finish(self, marks_start: bool) -> list[ProgressHint]:
        """At a successful end, completes the last epoch of families that report only the start of epochs."""
        if marks_start and self.epoch is not None and self.epoch == self.epochs and self.done < self.epoch:
            return [self._complete(self.epoch, None, None)]
        return []

    def take_step(self, at: datetime, force: bool) -> ProgressHint | None:
        if self._held is None:
            return None
        if (
            not force
            and self._last_step_at is not None
            and timedelta(0) <= at - self._last_step_at < STEP_INTERVAL
        ):
            return None
        held, self._held, self._last_step_at = self._held, None, at
        return ProgressHint(held.epoch, self.epochs, held.step, held.steps, eta_s=self._eta_s)

    def epoch_of_step(self, step: int) -> int | None:
        """The epoch that ends at ``step``, counted over the whole training."""
        if self._steps and step % self._steps == 0:
            return step // self._steps or None
        return None

    def _is_last(self, hint: ProgressHint) -> bool:
        epochs = hint.epochs or self.epochs
        return epochs is not None and hint.epoch >= epochs

    def _complete(self, epoch: int, epoch_s: float | None, steps: int | None) -> ProgressHint:
        self.done, self._held = epoch, None
        steps = steps or self._steps
        return ProgressHint(epoch, self.epochs, steps, steps, True, epoch_s, self._eta_s)


class ReportedMetrics:
    """The values reported so far, by either source."""

    def __init__(self, *, epochs_agree: bool = False) -> None:
        """``epochs_agree``: both sources number epochs equally, so an equal value of another epoch is new."""
        self._epoch_slack = 0 if epochs_agree else 1
        self._said: dict[tuple[str, str], float] = {}
        self._history: dict[str, dict[int | None, tuple[float, str]]] = {}
        self._running: dict[str, float] = {}
        self._running_sent: dict[str, float] = {}

    def is_new(self, name: str, value: float, epoch: int | None, source: str, *, repeats: bool) -> bool:
        """``repeats``: the source repeats older values, so only a changed value is new.

        Both sources may report a value at different times, with epochs that differ by one.
        """
        if name not in self._history and len(self._history) >= _NAMES_LIMIT:
            return False
        before = self._said.get((source, name))
        self._said[source, name] = value
        if repeats and before is not None and _same(before, value):
            return False
        history = self._history.setdefault(name, {})
        if any(self._is_repeated(other, epoch, earlier, source, value) for other, earlier in history.items()):
            return False
        if epoch is not None and any(other is not None and other > epoch for other in history):
            return False
        history[epoch] = (value, source)
        if len(history) > _HISTORY:
            del history[next(iter(history))]
        return True

    def _is_repeated(
        self, other: int | None, epoch: int | None, earlier: tuple[float, str], source: str, value: float
    ) -> bool:
        if (
            source == "console"
            and earlier[1] == "status"
            and other == epoch
            and _is_rounded(value, earlier[0])
        ):
            return True
        if not _same(earlier[0], value):
            return False
        if other == epoch:
            return True
        slack = self._epoch_slack
        return earlier[1] != source and (other is None or epoch is None or abs(other - epoch) <= slack)

    def keep_running(self, name: str, value: float) -> None:
        self._running[name] = value

    def take_running(self) -> list[tuple[str, float]]:
        new = [
            (name, value) for name, value in self._running.items() if self._running_sent.get(name) != value
        ]
        self._running_sent.update(new)
        self._running.clear()
        return new[:1]


def canonical_name(name: str) -> str:
    """The common name of a metric that families name differently: ``mAP``, ``val_loss``, ``AP/car``."""
    head, slash, rest = name.partition("/")
    return _NAMES.get(head, head) + slash + rest


def _is_rounded(value: float, exact: float) -> bool:
    """Whether ``value`` is ``exact`` rounded to three or four decimals, as on the console."""
    return math.isfinite(exact) and value in (round(exact, 3), round(exact, 4))


def _same(a: float, b: float) -> bool:
    return a == b or (a != a and b != b) or math.isclose(a, b, rel_tol=_SAME, abs_tol=1e-9)
