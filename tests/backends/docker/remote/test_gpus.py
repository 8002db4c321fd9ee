"""Who gets which GPU of another host, and what is said of a run that gets none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from remote_hosts import uuid_of
from remote_runs import Runs

from taorunner.backends.contract import EngineState
from taorunner.errors import EngineRefusedError
from taorunner.gpu.leases import Holder, Leases

STAYS = "exec sleep 600"


def test_two_people_never_get_the_same_gpu(person: Callable[[str], Runs]) -> None:
    ann, bob = person("ann"), person("bob")
    first = ann.start(STAYS, gpus=1)
    second = bob.start(STAYS, gpus=1)
    assert [ann.becomes(first, EngineState.RUNNING).where, bob.becomes(second, EngineState.RUNNING).where] == [
        "GPU 0", "GPU 1",
    ]  # fmt: skip
    third = bob.start("exit 4", gpus=2)
    assert bob.waits(third) == (
        f"2 GPUs: GPU 0 (run {first.run_id} of root); GPU 1 (run {second.run_id} of root)"
    )
    ann.backend.stop(first, 1)
    bob.backend.remove(second)
    assert bob.becomes(third, EngineState.EXITED).exit_code == 4
    for one, run in ((ann, first), (bob, third)):
        one.backend.remove(run)


def test_gpus_of_others_are_left_alone(runs: Runs) -> None:
    """One has a lease of a taorunner on that host, on the other one a process computes."""
    lease = Leases(runs.host.leases).take([uuid_of(0)])
    assert lease is not None
    lease.sign(Holder("r9", "eve", "docker"))
    runs.host.compute(f"{uuid_of(1)}, 4711")
    handle = runs.start("exit 3", gpus=1)
    assert runs.waits(handle) == "1 GPU: GPU 0 (run r9 of eve); GPU 1 (used by process 4711)"
    runs.host.compute()
    assert runs.becomes(handle, EngineState.EXITED).exit_code == 3
    waiting = runs.start("exit 3", gpus=2)
    assert "GPU 0 (run r9 of eve)" in runs.waits(waiting)
    runs.backend.stop(waiting, 5)
    status = runs.status(waiting)
    assert (status.state, status.exit_code) == (EngineState.EXITED, None)
    assert status.end is not None and status.end.was_stopped
    lease.release()


def test_what_a_host_cannot_give_is_refused_in_a_sentence(runs: Runs) -> None:
    with pytest.raises(EngineRefusedError) as refused:
        runs.start("exit 0", gpus=3)
    assert (refused.value.message, refused.value.hint) == (
        '3 GPUs asked for, there are 2 on "gpu-box"', "lower gpus:, or choose another cluster",
    )  # fmt: skip
    (runs.host.folder / "far-bin/nvidia-smi").write_text(
        "#!/bin/sh\necho 'NVIDIA-SMI has failed: no driver'\nexit 9\n"
    )
    with pytest.raises(EngineRefusedError) as refused:
        runs.start("exit 0", gpus=1)
    assert (refused.value.message, refused.value.hint) == (
        'no GPU can be seen on "gpu-box": NVIDIA-SMI has failed: no driver',
        "make this work first: ssh gpu-box nvidia-smi",
    )
