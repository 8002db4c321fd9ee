"""A line to the login host that is cut while a far run goes on, and what is left there at its end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm_rig import Cluster
from slurm_runs import SlurmRuns

from taorunner.backends.contract import EngineState, Launch, LogChunk, LogPosition
from taorunner.backends.secrets import write_secrets
from taorunner.backends.slurm.backend import SlurmBackend
from taorunner.errors import MachineError
from taorunner.planning.model.plan import RunPlan, SecretSource
from taorunner.values.value import replace

SECRET = "hunter2-is-my-secret"


def test_a_run_goes_on_while_its_login_host_is_down(
    own_slurm: Cluster, make_plan: Callable[..., RunPlan], make_launch: Callable[..., Launch], tmp_path: Path,
) -> None:  # fmt: skip
    there = own_slurm.own_folder(tmp_path)
    environ = {**os.environ, **own_slurm.elsewhere}
    runs = SlurmRuns(own_slurm, make_plan, make_launch, environ)
    script = f"for i in $(seq 8); do echo line $i; sleep 1; done; cat {tmp_path}/.taorunner/runs/*/input/secrets/env/KEY; exit 7"
    plan = runs.made(script, options={"host": own_slurm.login, "shared": False})
    plan = replace(plan, secrets=(SecretSource("key", f"literal:{SECRET}", variable="KEY"),))
    launch = make_launch()
    write_secrets(plan, launch.run_dir, os.environ)
    backend = SlurmBackend(environ, silent_pause_s=1.0)
    handle = backend.submit(backend.request(plan, launch)).handle
    chunks: list[LogChunk] = []

    def follow() -> None:
        """As a supervisor does: the end of a stream is not that of the run."""
        is_over = False
        while True:
            at = sum(len(chunk.data) for chunk in chunks)
            for chunk in backend.logs(handle, LogPosition(stdout=at)):
                chunks.append(chunk)
            if is_over:
                return
            is_over = backend.inspect([handle])[handle.run_id].state is EngineState.EXITED

    reader = threading.Thread(target=follow)
    runs.becomes(handle, EngineState.RUNNING)
    (secret,) = there.glob(".taorunner/runs/*/input/secrets/key")
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == (SECRET, 0o600)
    reader.start()
    while not chunks:
        assert reader.is_alive()
        time.sleep(0.05)
    own_slurm.kill("sshd")
    for pid in own_slurm.processes("login"):
        os.kill(pid, 9)
    status = backend.inspect([handle])[handle.run_id]
    assert (status.state, "cannot be reached" in (status.silent or "")) == (EngineState.RUNNING, True)
    with pytest.raises(MachineError, match="cannot be reached"):
        backend.stop(handle, 1)
    while not list(there.glob(".taorunner/runs/*/slurm/exit")):
        assert reader.is_alive()
        time.sleep(0.05)
    assert backend.inspect([handle])[handle.run_id].state is EngineState.RUNNING
    own_slurm.start("sshd")
    own_slurm.hide("sshd", tmp_path, there)

    assert runs.becomes(handle).exit_code == 7
    reader.join(60)
    output = b"".join(chunk.data for chunk in chunks).decode()
    assert output == "".join(f"line {number}\n" for number in range(1, 9)) + SECRET
    notices = [chunk.notice for chunk in chunks if chunk.notice]
    assert len(notices) == 2
    assert notices[1] == "the scheduler answers again"
    assert not list(there.glob(".taorunner/runs/*/input/secrets"))
    runs.backend().remove(handle)
    assert list(there.glob(".taorunner/runs/*")) == []
