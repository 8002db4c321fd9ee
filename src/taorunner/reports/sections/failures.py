"""The runs that failed, with the reason and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taorunner.console.base.formatting import clean, minute
from taorunner.progress.causes.cause import LAST_LINES_HINT
from taorunner.reports.contents import Failure
from taorunner.reports.sections.words import shortened
from taorunner.values.value import Value

MOST_FAILURES = 40


class Shown(Value):
    """``commands`` work in the workspace."""

    experiment: str
    action: str
    run: str
    state: str
    when: str
    reason: str
    hint: str
    commands: tuple[str, ...]


def failures_of(failures: Sequence[Failure], ids: Mapping[str, str]) -> list[Shown]:
    """At most ``MOST_FAILURES``, the newest."""
    return [_shown(one, ids) for one in failures[:MOST_FAILURES]]


def _shown(failure: Failure, ids: Mapping[str, str]) -> Shown:
    record = failure.record
    run, project = clean(ids[record.id]), clean(record.project)
    code = (
        f" (exit code {record.exit_code})"
        if record.exit_code and "exit code" not in (record.reason or "")
        else ""
    )
    commands = [f"taorunner -p {project} {clean(step)}" for step in failure.steps[:2]]
    hint = clean(record.hint or "") if record.hint != LAST_LINES_HINT else ""
    return Shown(
        shortened(record.experiment), clean(record.action), run, record.state.value.lower(),
        minute(record.finished_at or record.queued_at),
        f"{clean(record.reason or 'no reason is on record')}{code}", hint, (*commands, f"taorunner logs {run}"),
    )  # fmt: skip
