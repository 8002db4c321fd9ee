"""Which runs a list shows: by project, experiment, action, state and age."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone

from taorunner.errors import UsageError
from taorunner.events import RunState
from taorunner.runs.state.lookup.short_ids import queued_at
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import DamagedRun, RunStore
from taorunner.values.value import Value

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DATES = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
CONVERT = {"convert": "dataset_convert"}
"""The command's name of an action that most networks call otherwise."""


class RunFilter(Value):
    """What a run must be to be shown; None and an empty set select everything.

    ``experiment`` is a name or a pattern with ``*``, ``?`` and ``[…]``, or PROJECT/EXPERIMENT of these. ``since`` is
    aware: runs that were queued then or later. ``action`` may be several, with commas.
    """

    project: str | None = None
    experiment: str | None = None
    action: str | None = None
    states: frozenset[RunState] = frozenset()
    since: datetime | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.needs_facts or self.since)

    @property
    def actions(self) -> frozenset[str]:
        """The names of ``action``, those that TAO has for them among them; empty for every action."""
        names = self.action.split(",") if self.action is not None else []
        return frozenset(one for name in names for one in (name, CONVERT.get(name, name)))

    @property
    def needs_facts(self) -> bool:
        """Whether the id of a run is not enough to decide."""
        return bool(self.project or self.experiment or self.action or self.states)

    def fits(self, run: RunRecord | DamagedRun) -> bool:
        """What a damaged run is of is unknown, so only its state and its age can be asked for."""
        if isinstance(run, DamagedRun):
            is_asked = not self.states or RunState.DAMAGED in self.states
            return is_asked and not (self.project or self.experiment or self.action)
        if self.since is not None and run.queued_at < self.since.replace(microsecond=0):
            return False
        return self.fits_facts(run.project, run.experiment, run.action, run.state.value)

    def fits_facts(self, project: str, experiment: str, action: str, state: str) -> bool:
        """As ``fits``, apart from the age."""
        return (
            (self.project is None or project == self.project)
            and (self.action is None or action in self.actions)
            and (not self.states or state in self.states)
            and (self.experiment is None or _is_like(self.experiment, project, experiment))
        )


def select(store: RunStore, ids: Sequence[str], wanted: RunFilter) -> Iterator[RunRecord | DamagedRun]:
    """The runs of ``ids`` that fit, in that order, damaged ones included.

    Of ten thousand ended runs only those that fit are read.
    """
    if wanted.since is not None:
        ids = list(_since(ids, wanted.since))
    facts: dict[str, str] = {}
    if wanted.needs_facts and RunState.DAMAGED not in wanted.states:
        facts = store.ended.facts(store.trust()) if store.runs_dir.is_dir() else {}
    verdicts: dict[str, bool] = {}
    unlisted: list[RunRecord] = []
    try:
        for run_id in ids:
            known = facts.get(run_id)
            if known is not None:
                if known not in verdicts:
                    project, experiment, action, state = known.split("\t")
                    verdicts[known] = wanted.fits_facts(project, experiment, action, state)
                if not verdicts[known]:
                    continue
            run = store.shown(run_id)
            if run is None:
                continue
            if wanted.needs_facts and known is None and isinstance(run, RunRecord):
                unlisted.append(run)
            if wanted.fits(run):
                yield run
    finally:
        store.ended.add(unlisted, store.trust())


def records_of(store: RunStore, wanted: RunFilter) -> list[RunRecord]:
    """The records of all runs that fit, newest first, without damaged ones."""
    return [run for run in select(store, store.run_ids(), wanted) if isinstance(run, RunRecord)]


_OTHER_STATES = {
    "done": "succeeded", "completed": "succeeded", "finished": "succeeded", "success": "succeeded", "ok": "succeeded",
    "passed": "succeeded", "error": "failed", "crashed": "failed", "killed": "stopped", "cancelled": "stopped",
    "canceled": "stopped", "pending": "queued", "active": "running",
}  # fmt: skip
"""States by what other programs call them."""


def parse_states(text: str) -> frozenset[RunState]:
    """``failed`` or ``failed,lost``. Raises UsageError with the words that are allowed."""
    words = [word.strip() for word in text.split(",")]
    known = [state.value.lower() for state in RunState]
    for word in words:
        if word.lower() not in known:
            from taorunner.text import nearest

            close = _OTHER_STATES.get(word.lower()) or nearest(word, known)
            raise UsageError(
                f'--state takes {", ".join(known[:-1])} or {known[-1]}, not "{word}"',
                hint=f'did you mean "{close}"?' if close else "several with commas: --state failed,lost",
            )
    return frozenset(RunState(word.upper()) for word in words)


def parse_actions(text: str) -> str:
    """``train`` or ``train,evaluate``, without blanks. Raises UsageError for an empty name."""
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise UsageError(
            f'--action takes names of actions, not "{text}"',
            hint="several with commas: --action train,evaluate",
        )
    return ",".join(words)


def age_in(text: str) -> timedelta | None:
    """``30d``, ``12h``, ``90m``, ``45s``, ``2w``; None for anything else."""
    match = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]]) if match is not None else None


def parse_since(text: str, now: datetime, option: str = "--since") -> datetime:
    """``2h``, ``3d`` or ``2026-11-01`` (local time, also with ``T22:30``) as an aware time that is not after ``now``.

    Raises UsageError for anything else.
    """
    wanted = f'{option} takes an age such as 2h or 3d, or a date such as 2026-11-01, not "{text}"'
    age = age_in(text)
    if age is not None:
        try:
            return now - age
        except OverflowError:
            raise UsageError(wanted, hint="ages are made of a number and s, m, h, d or w") from None
    for form in _DATES:
        try:
            at = datetime.strptime(text.strip(), form).astimezone()  # a time without a zone is local
        except (ValueError, OverflowError):
            continue
        if at > now:
            raise UsageError(f'{option}: "{text}" is in the future', hint=f"for example {option} 2h")
        return at
    raise UsageError(wanted, hint="ages are made of a number and s, m, h, d or w")


def _since(ids: Iterable[str], since: datetime) -> Iterator[str]:
    """Ids sort like times. One that does not begin with a time is kept: its record decides."""
    least = f"{since.astimezone(timezone.utc):%Y%m%d-%H%M%S}"
    return (run_id for run_id in ids if run_id >= least or queued_at(run_id) is None)


def _is_like(pattern: str, project: str, experiment: str) -> bool:
    name = f"{project}/{experiment}" if "/" in pattern else experiment
    if name == pattern:
        return True
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)
