"""The information of one console line, as frozen values. Epochs are 1-based."""

from __future__ import annotations

from dataclasses import dataclass, field

from taorunner.progress.causes.cause import SeenCause
from taorunner.values.value import Value


@dataclass(frozen=True, slots=True)
class ProgressHint:
    """``epoch`` is the current one, or completed if ``completed``; ``step`` of ``steps`` within it."""

    epoch: int
    epochs: int | None = None
    step: int | None = None
    steps: int | None = None
    completed: bool = False
    epoch_s: float | None = None
    eta_s: float | None = None


@dataclass(frozen=True, slots=True)
class MetricHint:
    """``running``: one of many values within an epoch."""

    name: str
    value: float
    epoch: int | None = None
    running: bool = False


@dataclass(frozen=True, slots=True)
class CheckpointHint:
    """``path`` is None when TAO does not print it."""

    path: str | None = None
    epoch: int | None = None
    step: int | None = None


class FooterHint(Value):
    passed: bool


@dataclass(frozen=True, slots=True)
class BetrayalHint:
    """A text that means failure, whatever the exit code is."""

    text: str


@dataclass(frozen=True, slots=True)
class TracebackHint:
    """The last line of a Python traceback: ``RuntimeError: …``.

    ``frame`` is the innermost frame: the line with the file, and the source line below it if Python prints one.
    ``outer`` are the frames around it, the nearest first.
    ``is_chained``: raised while the exception before it was handled, or wrapped by it. ``is_ignored``: Python says
    itself that it goes on. These say where the line comes from, and do not make it another one.
    """

    line: str
    frame: str = field(default="", compare=False)
    outer: tuple[str, ...] = field(default=(), compare=False)
    is_chained: bool = field(default=False, compare=False)
    is_ignored: bool = field(default=False, compare=False)
    in_thread: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class DetailHint:
    """A further line of the exception before it."""

    text: str


class OmissionHint(Value):
    """One line that says that a part of the dataset was left out."""

    text: str


class CauseHint(Value):
    seen: SeenCause


Hint = (
    ProgressHint
    | MetricHint
    | CheckpointHint
    | FooterHint
    | BetrayalHint
    | OmissionHint
    | TracebackHint
    | DetailHint
    | CauseHint
)
