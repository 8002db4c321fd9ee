"""Which experiments are being worked on: by runs that have not ended."""

from __future__ import annotations

from collections.abc import Iterator

from taorunner.errors import RunStateError
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore


def training_runs(store: RunStore, project: str) -> Iterator[RunRecord]:
    """Runs that have not ended and that write results of a training, or are of a chain that still reads them."""
    for record in store.unfinished():
        if record.project == project and (record.action == "train" or record.after is not None):
            yield record


def refuse_while_running(store: RunStore, project: str, experiment: str) -> None:
    """Raises RunStateError when a run of the experiment, of any action, has not ended."""
    for record in store.unfinished():
        if (record.project, record.experiment) == (project, experiment):
            run = store.short_id(record.id)
            raise RunStateError(
                f'run "{run}" of "{experiment}" has not ended ({record.state.value.lower()})',
                hint=f"taorunner attach {run} shows it, taorunner stop {run} ends it",
            )
