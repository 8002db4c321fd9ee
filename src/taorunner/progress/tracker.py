"""Merges console and status.json into events: everything once, and never backwards.

Epochs become 1-based here, whatever TAO writes. Time is a parameter; no files are read or written.
Source: tao/pytorch.md sections 3 and 4, tao/tensorflow.md sections 5.2 and 6.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from taorunner.contracts import TRAININGS, Contract, EpochMark
from taorunner.events import CheckpointSaved, EpochProgress, Event, MetricReported, Notice
from taorunner.progress.causes.table import Place, SeenCause, find_cause
from taorunner.progress.console.lines import (
    BetrayalHint,
    CauseHint,
    CheckpointHint,
    ConsoleParser,
    DetailHint,
    FooterHint,
    Hint,
    MetricHint,
    OmissionHint,
    ProgressHint,
    TracebackHint,
)
from taorunner.progress.epoch_position import Position, ReportedMetrics
from taorunner.progress.figures import Figure
from taorunner.progress.metric_table import MetricNames, MetricTable
from taorunner.progress.raised import RaisedErrors
from taorunner.progress.status_json import StatusRecord
from taorunner.progress.value_watch import ValueWatch
from taorunner.progress.verdict import Facts, without_label

SURVIVED_AFTER = timedelta(minutes=1)
"""status.json is read a moment after the console, so its epoch may be older than an error just printed."""

_NOTICE_LIMIT = 20
_CAUSE_LIMIT = 200
_NOTED_READINGS = 2000


class Tracker:
    """Follows one attempt of one run. Not thread-safe.

    ``feed_console`` and ``feed_status`` may be called in any order and at any rate. ``at`` is an aware UTC time; it
    also limits the rate of step events. ``resumed_at`` is the epoch that a resumed training completes first.
    """

    def __init__(
        self,
        contract: Contract,
        run_id: str,
        epochs_planned: int | None = None,
        resumed_at: int | None = None,
    ) -> None:
        self._contract = contract
        self._run = run_id
        self._trains = epochs_planned is not None or contract.action in TRAININGS
        self._parser = ConsoleParser(
            contract.progress, contract.verdict.betrayals, contract.verdict.omissions, trains=self._trains
        )
        self._planned = epochs_planned
        self._progress = Position(epochs_planned)
        self._status_epoch: int | None = None
        self._metrics = ReportedMetrics(epochs_agree=contract.progress.kpi_is_cumulative)
        self._table = MetricTable(contract.kpi, guesses=contract.guesses_metrics)
        self._names = MetricNames(contract.progress.percent_metrics, trains=self._trains)
        self._generated: set[str] = set()
        self._checkpoints: set[str] = set()
        self._notices: set[str] = set()
        self._footers: list[bool] = []
        self._betrayals: dict[str, None] = {}
        self._raised = RaisedErrors()
        self._causes: list[SeenCause] = []
        self._trouble_at: datetime | None = None
        self._read_until: deque[tuple[datetime, int]] = deque(maxlen=_NOTED_READINGS)
        self._survived_until = 0
        self._records = 0
        self._success: str | None = None
        self._failure: str | None = None
        self._success_is_last = False
        self._omissions: Counter[str] = Counter()
        self._values = ValueWatch()
        self._resumed, self._resumed_at = False, resumed_at
        self._events: list[Event] = []
        self._at = datetime.min

    def feed_console(self, data: bytes, at: datetime, stream: str = "stdout") -> list[Event]:
        """``stream`` separates stdout and stderr, so that their lines do not mix."""
        self._at = at
        self._read_hints(self._parser.feed(data, stream))
        self._read_until.append((at, self._parser.bytes_read))
        self._emit_step(force=False)
        return self._taken()

    def feed_status(self, records: Iterable[StatusRecord], at: datetime) -> list[Event]:
        """Takes the new records of this attempt, in order."""
        self._at = at
        for record in records:
            self._read_record(record)
        self._emit_step(force=False)
        return self._taken()

    def feed_figures(self, figures: Iterable[Figure], at: datetime) -> list[Event]:
        """Takes the figures of result and event files that neither the console nor status.json reported."""
        self._at = at
        for figure in figures:
            name, value = self._names.in_common(figure.name, figure.value)
            if not self._trains:
                name = self._table.name_in_status(name)
            if self._metrics.is_new(name, value, figure.epoch, "results", repeats=False):
                self._emit_metric(name, value, figure.epoch)
        return self._taken()

    def flush(self, at: datetime) -> list[Event]:
        """The events of incomplete lines, and held-back steps. Call it once, at the end of both sources."""
        self._at = at
        self._read_hints(self._parser.flush())
        self._emit_step(force=True)
        return self._taken()

    @property
    def tail(self) -> tuple[str, ...]:
        """The last 200 console lines."""
        return self._parser.tail()

    @property
    def facts(self) -> Facts:
        """The printed facts for the verdict. The caller adds exit code, artifacts and so on."""
        last_lines = self._parser.tail()
        return Facts(
            action=self._contract.action,
            footer_passed=all(self._footers) if self._footers else None,
            betrayals=tuple(self._betrayals),
            status_records=self._records,
            success_message=self._success,
            failure_message=self._failure,
            success_is_last=self._success_is_last,
            traceback=self._raised.text,
            raised_in=self._raised.place,
            causes=tuple(dict.fromkeys((*self._raised.causes(), *self._causes, *self._causes_of_tail()))),
            last_lines=last_lines,
            epochs_planned=self._planned if self._planned is not None else self._progress.epochs,
            epochs_done=self._progress.done,
            epoch=self._progress.epoch,
            nan_epoch=self._values.nan_epoch,
            nan_seen=self._values.nan_seen,
            zero_score=self._values.zero_score,
            omissions=tuple(self._omissions.items()),
            resumed=self._resumed,
            batch_key=self._contract.spec.keys.get("batch_size") if self._contract.spec else None,
        )

    def _causes_of_tail(self) -> list[SeenCause]:
        """The causes in the last lines, without those that training survived."""
        found: list[SeenCause] = []
        epoch: int | None = None
        for hint in self._parser.read_tail_again(self._survived_until):
            if isinstance(hint, ProgressHint):
                if epoch is not None and hint.epoch > epoch:
                    found.clear()
                epoch = hint.epoch
            elif isinstance(hint, CauseHint):
                found.append(replace(hint.seen, epoch=hint.seen.epoch or self._progress.epoch))
        return found

    def _read_hints(self, hints: Sequence[Hint]) -> None:
        for hint in hints:
            if isinstance(hint, ProgressHint):
                self._advance(hint, is_in_order=True)
            elif isinstance(hint, MetricHint):
                self._console_metric(hint)
            elif isinstance(hint, CheckpointHint):
                self._checkpoint(hint)
            elif isinstance(hint, FooterHint):
                self._footers.append(hint.passed)
                del self._footers[:-_NOTICE_LIMIT]
            elif isinstance(hint, BetrayalHint):
                self._betrayals.setdefault(hint.text)
            elif isinstance(hint, OmissionHint):
                self._omissions[hint.text] += 1
            elif isinstance(hint, TracebackHint):
                self._raised.add(hint, self._progress.epoch)
                self._trouble_at = self._at
            elif isinstance(hint, DetailHint):
                self._raised.add_detail(hint.text)
            elif isinstance(hint, CauseHint):
                self._remember(hint.seen)

    def _advance(self, hint: ProgressHint, *, is_in_order: bool = False) -> None:
        """``is_in_order``: the hint is later than everything printed so far."""
        before = self._progress.epoch
        for progress in self._progress.advance(hint):
            self._emit_progress(progress)
        if self._progress.epoch == before:
            return
        if not is_in_order:
            while self._read_until and self._at - self._read_until[0][0] > SURVIVED_AFTER:
                self._survived_until = self._read_until.popleft()[1]
        if self._trouble_at is None:
            return
        if is_in_order or self._at - self._trouble_at > SURVIVED_AFTER:
            # Training continued, so earlier errors did not end the run.
            self._raised.clear()
            self._causes.clear()
            self._trouble_at = None

    def _emit_progress(self, hint: ProgressHint) -> None:
        self._events.append(
            EpochProgress(
                run=self._run, at=self._at, epoch=hint.epoch, epochs=hint.epochs,
                step=hint.step, steps=hint.steps, completed=hint.completed, epoch_s=hint.epoch_s,
                eta_s=hint.eta_s,
            )
        )  # fmt: skip

    def _emit_step(self, *, force: bool) -> None:
        step = self._progress.take_step(self._at, force)
        if step is None:
            return
        self._emit_progress(step)
        for name, value in self._metrics.take_running():
            self._emit_metric(name, value, step.epoch)

    def _console_metric(self, hint: MetricHint) -> None:
        name = self._names.common(hint.name)
        if not self._trains:
            name = self._table.name_in_status(name)
        if hint.running:
            if "loss" in name:
                self._watch_nan(name, hint.value, hint.epoch)
                if name == "loss" or name == "train_loss":
                    self._metrics.keep_running(name, hint.value)
            return
        if self._metrics.is_new(name, hint.value, hint.epoch, "console", repeats=False):
            self._emit_metric(name, hint.value, hint.epoch)

    def _emit_metric(self, name: str, value: float, epoch: int | None) -> None:
        self._watch_nan(name, value, epoch)
        meaning = self._table.meaning(name)
        self._values.take_score(name, value, meaning)
        direction = meaning.direction.value if meaning.direction is not None else None
        self._events.append(
            MetricReported(
                run=self._run, at=self._at, name=name, value=value, epoch=epoch, direction=direction,
                rank=meaning.rank,
            )
        )  # fmt: skip

    def _watch_nan(self, name: str, value: float, epoch: int | None) -> None:
        epoch = epoch or self._progress.epoch
        if self._values.take_loss(name, value, epoch):
            at = f" at epoch {epoch}" if epoch else ""
            self._notice("warning", "nan-loss", f"{name} became {value}{at}")

    def _checkpoint(self, hint: CheckpointHint) -> None:
        epoch = hint.epoch
        if epoch is None and hint.step:
            epoch = self._progress.epoch_of_step(hint.step)
        of_step = f"step {hint.step}" if hint.step is not None else ""
        path = hint.path or self._checkpoint_name(epoch) or of_step
        untrained = self._contract.checkpoints.untrained_pattern
        is_of_step_0 = hint.path is None and hint.step == 0
        if is_of_step_0 or (untrained and re.search(untrained, path.rpartition("/")[2])):
            return  # written before training starts
        if path and path not in self._checkpoints:
            self._checkpoints.add(path)
            at_epoch = epoch if epoch is not None else self._progress.epoch
            self._events.append(CheckpointSaved(run=self._run, at=self._at, path=path, epoch=at_epoch))

    def _checkpoint_name(self, epoch: int | None) -> str | None:
        """The file of an epoch, for families with the plain epoch number in the name."""
        for glob in self._contract.checkpoints.globs:
            if epoch is not None and glob.count("*") == 1 and not set("?[") & set(glob):
                return glob.replace("*", str(epoch))
        return None

    def _remember(self, seen: SeenCause) -> None:
        self._trouble_at = self._at
        if len(self._causes) < _CAUSE_LIMIT:
            self._causes.append(seen)

    def _notice(self, level: str, code: str, text: str) -> None:
        if text not in self._notices and len(self._notices) < _NOTICE_LIMIT:
            self._notices.add(text)
            self._events.append(Notice(run=self._run, at=self._at, level=level, code=code, text=text))

    def _read_record(self, record: StatusRecord) -> None:
        self._records += 1
        self._read_outcome(record)
        self._read_status_progress(record)
        self._read_status_metrics(record)

    def _read_outcome(self, record: StatusRecord) -> None:
        verdict, message = self._contract.verdict, record.message
        for text in verdict.betrayals:
            if text in message:
                self._betrayals.setdefault(text)
        if "was interrupted" in message and (seen := find_cause(message, self._progress.epoch)):
            self._remember(seen)
        if record.status == "FAILURE":
            self._failure, self._success_is_last = message or "FAILURE", False
            if seen := find_cause(without_label(message), self._progress.epoch, Place.STATUS):
                self._remember(seen)
            if verdict.failure_is_final or record.verbosity in ("ERROR", "CRITICAL"):
                level = "info" if seen and seen.cause.code == "interrupted" else "error"  # a stop is no error
                self._notice(level, "tao-failure", f"TAO: {message or 'FAILURE'}")
        elif record.status in verdict.success_statuses or (
            verdict.success_suffix is not None and message.rstrip().endswith(verdict.success_suffix)
        ):
            self._success, self._success_is_last = message or record.status, True
            for progress in self._progress.finish(self._contract.progress.epoch_mark is EpochMark.START):
                self._emit_progress(progress)
        elif record.status == "STARTED":
            self._success, self._success_is_last = None, False
        if message.startswith("Resuming training from"):
            self._resumed = True
            self._notice("info", "resumed", message[0].lower() + message[1:])

    def _read_status_progress(self, record: StatusRecord) -> None:
        contract = self._contract.progress
        if record.epoch is None or not self._trains:
            return
        epoch_s, eta_s = record.time_per_epoch_s or None, record.eta_s
        if contract.epoch_is_iteration:
            epoch = self._progress.epoch or 1
            self._advance(ProgressHint(epoch, None, record.epoch, record.max_epoch, eta_s=record.eta_s))
            return
        epoch = max(1, record.epoch - contract.first_epoch + 1)
        epochs = record.max_epoch
        if epochs is not None and contract.max_epoch_is_last:
            epochs = epochs - contract.first_epoch + 1
        self._status_epoch = epoch
        if contract.epoch_mark is EpochMark.END:
            self._advance(ProgressHint(epoch, epochs or None, completed=True, epoch_s=epoch_s, eta_s=eta_s))
            return
        if epoch > 1:
            self._advance(
                ProgressHint(epoch - 1, epochs or None, completed=True, epoch_s=epoch_s, eta_s=eta_s)
            )
        self._advance(ProgressHint(epoch, epochs or None, eta_s=record.eta_s))

    def _read_status_metrics(self, record: StatusRecord) -> None:
        epoch = self._metric_epoch(record)
        if self._contract.progress.epoch_is_iteration:
            for raw, value in record.own_metrics.items():
                self._console_metric(MetricHint(raw, value, epoch, running=True))
            record = replace(record, own_metrics={})
        is_epoch_record = record.epoch is not None
        for raw, value in record.metrics.items():
            if self._table.means_nothing_there(raw, value):
                continue
            name, value = self._names.in_common(raw, value)
            if record.generates_metrics:
                self._generated.add(name)
            fresh = record.generates_metrics or (
                is_epoch_record
                and name not in self._generated
                and not self._contract.progress.kpi_is_cumulative
            )
            self._status_metric(name, value, epoch, repeats=not fresh)
        for raw, value in record.own_metrics.items():
            name, value = self._names.in_common(raw, value)
            self._status_metric(name, value, epoch, repeats=not is_epoch_record)

    def _status_metric(self, name: str, value: float, epoch: int | None, *, repeats: bool) -> None:
        if self._metrics.is_new(name, value, epoch, "status", repeats=repeats):
            self._emit_metric(name, value, epoch)

    def _metric_epoch(self, record: StatusRecord) -> int | None:
        """The epoch of a record's metrics.

        Source: tao/pytorch.md section 3, the sequence of a Lightning train.
        """
        if not self._trains:
            return None
        contract = self._contract.progress
        if record.epoch is not None and not contract.epoch_is_iteration:
            return self._status_epoch
        if contract.epoch_is_iteration:
            return self._progress.epoch
        done = self._status_epoch
        if contract.validation_follows_epoch and record.generates_metrics:
            return done if done is not None else self._progress.epoch
        evaluates = record.message.lower().startswith(("eval", "valid"))
        if contract.epoch_mark is EpochMark.END and evaluates and contract.console != "tf_step":
            # written before the record of its epoch
            if done is None:
                return self._progress.first or self._resumed_at or (None if self._resumed else 1)
            return min(done + 1, self._progress.epochs or done + 1)
        return done if done is not None else self._progress.epoch

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events
