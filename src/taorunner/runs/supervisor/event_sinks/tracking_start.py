"""Starts the process that sends a run to its tracking server. Nothing of it is imported here, and nobody waits for it.

The process reads the run's folder. Whatever becomes of it changes nothing for the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from taorunner.events import Event, RunStarted
from taorunner.planning.model.plan import RunPlan
from taorunner.project.tracking.words import is_tracked, mlflow_target
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.sinks import Problems

_CODE = """import os, sys
if "--once" not in sys.argv:
    os.nice(10)
sys.path[:] = [*filter(None, sys.path), sys.argv.pop(1)]
from taorunner.tracking.__main__ import main
sys.exit(main())"""
"""Not ``-m``, which would put the current folder first on the import path. Beside a training it has a low priority from
the start: its imports take 0.35 s of CPU time, which a training would miss on a full machine."""


class TrackingStart:
    """The event sink that starts it with each start of a run; a second one ends at once."""

    name = "tracking"

    def __init__(
        self,
        store: RunStore,
        environ: Mapping[str, str],
        known: Callable[[str], tuple[RunRecord, RunPlan]],
        problems: Problems,
    ) -> None:
        self._store, self._environ, self._known, self._problems = store, environ, known, problems

    def write(self, run_id: str, events: Sequence[Event]) -> None:
        """Raises OSError when no process can be started."""
        if not any(isinstance(event, RunStarted) for event in events):
            return
        track = self._known(run_id)[1].track
        if not is_tracked(track):
            return
        target = mlflow_target(track)
        if target is not None and target.address(self._environ) is None:
            text = f"the run is not sent to MLflow: {target.variable} is not set. Later: taorunner track sync"
            self._problems.add(run_id, self.name, text)
        start_tracking(os.fspath(self._store.paths(run_id).directory), self._environ)

    def close(self) -> None:
        """Does nothing: the process goes on without the supervisor."""


def tracking_command(words: Sequence[str]) -> list[str]:
    """The process with these words on its command line; see ``taorunner.tracking.__main__``."""
    package = os.path.abspath(__file__).rsplit(os.sep, 5)[0]  # noqa: PTH100 (as runs.control.spawn)
    return [sys.executable, "-c", _CODE, package, *words]


def start_tracking(run_folder: str, environ: Mapping[str, str]) -> None:
    """Returns at once. Raises OSError."""
    process = subprocess.Popen(
        tracking_command([run_folder]),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=dict(environ), cwd="/", start_new_session=True,
    )  # fmt: skip
    threading.Thread(target=process.wait, name=f"tracking-{process.pid}", daemon=True).start()  # no zombie
