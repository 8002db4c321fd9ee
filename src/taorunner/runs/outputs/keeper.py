"""Applies ``--keep-checkpoints`` of a training: after each new checkpoint, and once more at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from taorunner.events import CheckpointSaved, Event, now
from taorunner.planning.checkpoints.checkpoint_files import find_checkpoints
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.outputs.measured import measured_epochs
from taorunner.runs.outputs.old_checkpoints import old_checkpoints, parse_keep_rule, remove_checkpoint
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.resume_origin import with_resumed
from taorunner.runs.state.store import RunStore
from taorunner.text import size

Report = Callable[[str, str, str, str], None]
"""``report(run id, level, code, text)``: records a notice of the run."""


class CheckpointKeeper:
    """An event sink that removes old checkpoints while a training runs.

    ``known`` gives the record and the plan of a run of the batch.
    """

    name = "checkpoints"

    def __init__(
        self, store: RunStore, known: Callable[[str], tuple[RunRecord, RunPlan]], report: Report
    ) -> None:
        self._store, self._known, self._report = store, known, report
        self._failed: set[str] = set()

    def write(self, run_id: str, events: Sequence[Event]) -> None:
        """Raises OSError when the results of the run cannot be read."""
        if not any(isinstance(event, CheckpointSaved) for event in events):
            return
        record, plan = self._known(run_id)
        for level, code, text in removed_by_rule(self._store, record, plan, now(), is_running=True):
            if level == "info" or run_id not in self._failed:
                self._report(run_id, level, code, text)
            if level != "info":
                self._failed.add(run_id)

    def close(self) -> None:
        """Does nothing: the end of each run is handled with the run."""


def removed_by_rule(
    store: RunStore, record: RunRecord, plan: RunPlan, at: datetime, *, is_running: bool
) -> list[tuple[str, str, str]]:
    """Removes what the run's rule does not keep; gives ``(level, code, text)`` of each notice.

    Raises OSError when the results cannot be read.
    """
    contract = plan.contract.checkpoints
    if record.keep_checkpoints is None or plan.action != "train":
        return []
    rule = parse_keep_rule(record.keep_checkpoints)
    option = f"--keep-checkpoints {rule.text}"
    found = find_checkpoints(plan.results_dir, contract)
    measured = measured_epochs(store, with_resumed(store, record), found, contract, at)
    if not is_running and found and (contract.is_directory or (rule.is_best and measured is None)):
        why = (
            "this network's checkpoints are folders"
            if contract.is_directory
            else "no metric says which is best"
        )
        return [("warning", "checkpoints-kept", f"{option} removed nothing: {why}")]
    resumed_from = plan.resume.checkpoint if plan.resume is not None else None
    old = old_checkpoints(
        found, plan.results_dir, contract, rule, measured, resumed_from=resumed_from, is_running=is_running
    )
    notices = []
    for one in old:
        try:
            is_removed = remove_checkpoint(plan.results_dir, one.path)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            notices.append(
                ("warning", "checkpoint-not-removed", f"{one.path.name} cannot be removed: {reason}")
            )
            break
        if is_removed:
            text = f"removed {one.path.name} ({size(one.bytes)}): {option}"
            notices.append(("info", "checkpoint-removed", text))
    return notices
