"""The log of a run while the scheduler comes and goes."""

from __future__ import annotations

from pathlib import Path

from taorunner.backends.contract import EngineState, EngineStatus, LogPosition
from taorunner.backends.shared_log import SharedLog
from taorunner.backends.slurm.folder import Folder


def test_a_silent_scheduler_is_said_once_and_so_is_its_return(tmp_path: Path) -> None:
    running = EngineStatus(EngineState.RUNNING)
    silent = EngineStatus(EngineState.RUNNING, silent="the scheduler does not answer (since 22:08)")
    answers = iter([running, silent, silent, running, EngineStatus(EngineState.EXITED, exit_code=0)])
    log = SharedLog(Folder(tmp_path), LogPosition(), lambda: next(answers))
    assert [(chunk.data, chunk.notice) for chunk in log] == [
        (b"", "the scheduler does not answer (since 22:08)"),
        (b"", "the scheduler answers again"),
    ]
