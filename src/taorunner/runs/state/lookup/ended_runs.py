"""EndedRuns: one line per ended run in ``.taorunner/ended-runs.tsv``, so that a filtered list reads few records.

A line is the run's id, project, experiment, action and state. ``RunStore.save`` adds it when a run ends; a filtered
list adds those that are missing, such as the runs of an older version. The last line of a run counts. The file can be
removed at any time: it is only a copy of what the records say, and a run that it lists is read again before it is
shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from taorunner.state_files import Trust, append_state, read_state

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from taorunner.runs.state.record import RunRecord

_SPARE_LINES = 1000


class EndedRuns:
    """The file in ``state_dir``, the ``.taorunner`` of a workspace."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "ended-runs.tsv"

    def add(self, records: Iterable[RunRecord], trust: Trust) -> None:
        """Adds the ended ones. Nothing depends on the file, so one that cannot be written is left as it is."""
        text = "".join(_line(record) for record in records if record.state.is_final)
        if text:
            with suppress(OSError):
                append_state(self._path, text.encode(), trust)

    def facts(self, trust: Trust) -> dict[str, str]:
        """By run id: project, experiment, action and state, with tabs between. Empty without a readable file."""
        try:
            text = read_state(self._path, trust).decode("utf-8", "replace")
        except OSError:
            return {}
        lines = (line.partition("\t") for line in text.split("\n"))
        return {run_id: facts for run_id, _, facts in lines if facts.count("\t") == 3}

    def forget(self, known: Iterable[str], trust: Trust) -> None:
        """Removes the file when most of its lines are of runs that were removed. The next list makes it again."""
        known = set(known)
        listed = self.facts(trust)
        if len(listed) > 2 * len(known) + _SPARE_LINES:
            with suppress(OSError):
                self._path.unlink()


def _line(record: RunRecord) -> str:
    """Empty for a record with a tab or line end in a name, which is then read each time."""
    cells = (record.id, record.project, record.experiment, record.action, record.state.value)
    if any(not isinstance(cell, str) or not cell.isprintable() for cell in cells):
        return ""
    return "\t".join(cells) + "\n"
