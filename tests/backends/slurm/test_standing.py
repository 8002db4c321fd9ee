"""A waiting run's folder is read once, and again when something was made in it."""

from __future__ import annotations

import os
from pathlib import Path

from private_daemon import write_program

from taorunner.backends.contract import EngineState, Handle
from taorunner.backends.slurm.backend import SlurmBackend
from taorunner.backends.slurm.folder import Cluster, Folder
from taorunner.backends.slurm.script import job_name
from taorunner.backends.slurm.states import Asked

RUN = "20260101-000000-e1-train-abc123"


class Waiting:
    """A run whose job the programs of ``bin`` show as ``state``; its folder has not changed for a minute."""

    def __init__(self, root: Path) -> None:
        run_dir, self._bin = root / "run", root / "bin"
        run_dir.mkdir()
        self._bin.mkdir()
        self.folder = Folder(run_dir)
        self.folder.write({}, Cluster(None, RUN, 600, Asked()))
        self.folder.keep_job("7")
        self.handle = Handle("slurm", RUN, "7", run_dir)
        self.is_as_before()
        self.says("PENDING|Priority")
        self.backend = SlurmBackend({"PATH": f"{self._bin}:/usr/bin:/bin"})

    def says(self, state: str) -> None:
        write_program(self._bin / "squeue", f"#!/bin/sh\necho '7|{state}|n1|now|{job_name(RUN)}'\n")

    def is_as_before(self) -> None:
        os.utime(self.folder.path, (1, 1))

    @property
    def state(self) -> tuple[EngineState, str | None]:
        status = self.backend.inspect([self.handle])[RUN]
        return status.state, status.waiting


def test_the_folder_of_a_waiting_run_is_read_once(tmp_path: Path) -> None:
    run = Waiting(tmp_path)
    assert run.state == (EngineState.WAITING, "Priority")
    (run.folder.path / "cluster.json").write_text("")
    assert run.state == (EngineState.WAITING, "Priority")
    (run.folder.path / "another").touch()
    assert run.state == (EngineState.MISSING, None)


def test_a_job_that_has_begun_is_looked_at_in_its_folder(tmp_path: Path) -> None:
    run = Waiting(tmp_path)
    assert run.state == (EngineState.WAITING, "Priority")
    started = '{"at":"2026-01-01T00:00:00.000Z","attempt":0,"event":"started"}\n'
    (run.folder.path / "slurm.jsonl").write_text(f"{started}{started.replace('started', 'ended:0:term')}")
    run.is_as_before()  # a disk whose clock has coarse steps
    run.says("RUNNING|None")
    assert run.state == (EngineState.RUNNING, None)
    assert run.backend.inspect([run.handle])[RUN].started_at is not None


def test_a_run_that_slurm_does_not_know_is_read_again(tmp_path: Path) -> None:
    run = Waiting(tmp_path)
    assert run.state == (EngineState.WAITING, "Priority")
    write_program(tmp_path / "bin" / "squeue", "#!/bin/sh\nexit 0\n")
    write_program(tmp_path / "bin" / "sacct", "#!/bin/sh\nexit 0\n")
    (run.folder.path / "exit").write_text("4 2026-01-01T00:00:00.000Z\n")
    run.is_as_before()
    status = run.backend.inspect([run.handle])[RUN]
    assert (status.state, status.exit_code) == (EngineState.EXITED, 4)
