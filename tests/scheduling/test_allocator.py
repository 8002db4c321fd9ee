"""Runs of engines that schedule themselves go to them at once; the others wait for GPUs of this host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.backends.contract import Backend
from taorunner.gpu.inventory import Gpu, Inventory
from taorunner.gpu.leases import Leases
from taorunner.planning.model.plan import RunPlan
from taorunner.scheduling.allocator import AllocatorPerBackend, Decision, Queued
from taorunner.scheduling.delegated import Delegated, within_max_submitted
from taorunner.scheduling.gpu_allocator import FreeGpus


def no_backend(_name: str) -> Backend:
    raise AssertionError("asked for a backend")


class ForeignEngine:
    """Only asked which GPUs it uses, which it does not know."""


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(tmp_path / "leases")


@pytest.fixture
def gpus(leases: Leases) -> AllocatorPerBackend:
    host = FreeGpus(leases, lambda: Inventory((Gpu(0, "GPU-0", "H100"), Gpu(1, "GPU-1", "H100"))))
    return AllocatorPerBackend(host, Delegated(), lambda name: name == "queue")


def decide(
    gpus: AllocatorPerBackend, *waiting: Queued, parallel: int | None = None, **active: tuple[str, ...]
) -> Decision:
    return gpus.decide(
        waiting, active, lambda _name: ForeignEngine(), parallel=parallel, parallel_without_gpu=1  # type: ignore[arg-type, return-value]
    )  # fmt: skip


def started(decision: Decision) -> dict[str, tuple[str, ...]]:
    return {start.run_id: start.gpu_ids for start in decision.starts}


def test_an_engine_that_schedules_gets_every_run_and_no_gpu_of_this_host(
    gpus: AllocatorPerBackend, leases: Leases
) -> None:
    runs = [Queued(f"q{number}", "queue", 8, ("7",)) for number in range(20)]
    decision = gpus.decide(runs, {}, no_backend, parallel=None, parallel_without_gpu=1)
    assert started(decision) == {f"q{number}": () for number in range(20)}
    assert decision.impossible == [] and gpus.lease("q1") == ()
    assert leases.holder("GPU-0") is None and leases.holder("GPU-1") is None


def test_runs_of_this_host_are_leased_gpus_beside_them(gpus: AllocatorPerBackend) -> None:
    runs = [Queued("here1", "docker", 1), Queued("there", "queue", 4), Queued("here2", "docker", 2)]
    assert started(decide(gpus, *runs)) == {"here1": ("0",), "there": ()}
    assert gpus.lease("here1") and not gpus.lease("there")
    gpus.release("here1")
    assert gpus.lease("here1") == ()


def test_parallel_bounds_both_together(gpus: AllocatorPerBackend) -> None:
    runs = [
        Queued("t1", "queue", 1),
        Queued("t2", "queue", 1),
        Queued("h1", "docker", 1),
        Queued("h2", "docker", 1),
    ]
    first = started(decide(gpus, *runs, parallel=3))
    assert first == {"h1": ("0",), "h2": ("1",), "t1": ()}
    assert started(decide(gpus, runs[1], parallel=3, **first)) == {}
    gpus.release("h1")
    del first["h1"]
    assert started(decide(gpus, runs[1], parallel=3, **first)) == {"t2": ()}


def test_runs_of_the_engine_do_not_take_the_turn_of_runs_without_gpu(gpus: AllocatorPerBackend) -> None:
    """This host runs one of those at a time, however many wait elsewhere."""
    assert started(decide(gpus, Queued("t1", "queue", 1))) == {"t1": ()}
    assert started(decide(gpus, Queued("cpu", "local", 0), t1=())) == {"cpu": ()}


def test_a_run_that_is_taken_over_is_the_engines_still(gpus: AllocatorPerBackend) -> None:
    gpus.adopt("t1", "queue", ())
    gpus.adopt("h1", "docker", ("0",))
    assert gpus.lease("h1") and not gpus.lease("t1")
    assert started(decide(gpus, Queued("t2", "queue", 1), parallel=2, t1=(), h1=("0",))) == {}


@pytest.mark.parametrize(("parallel", "expected"), [(3, {"t1": ()}), (2, {}), (1, {})])
def test_runs_of_this_host_leave_the_engine_only_what_is_left_of_parallel(
    gpus: AllocatorPerBackend, parallel: int, expected: dict[str, tuple[str, ...]]
) -> None:
    there = [Queued("t1", "queue", 1), Queued("t2", "queue", 1)]
    assert started(decide(gpus, *there, parallel=parallel, h1=("0",), h2=("1",))) == expected


@pytest.mark.parametrize(("parallel", "expected"), [(1, {}), (2, {"h1": ("0",)})])
def test_runs_of_the_engine_leave_this_host_only_what_is_left_of_parallel(
    gpus: AllocatorPerBackend, parallel: int, expected: dict[str, tuple[str, ...]]
) -> None:
    gpus.adopt("t1", "queue", ())
    here = [Queued("h1", "docker", 1), Queued("h2", "docker", 1)]
    assert started(decide(gpus, *here, parallel=parallel, t1=())) == expected


def test_a_run_that_is_taken_over_takes_no_turn_of_runs_without_gpu(gpus: AllocatorPerBackend) -> None:
    gpus.adopt("t1", "queue", ())
    assert started(decide(gpus, Queued("cpu", "local", 0), t1=())) == {"cpu": ()}


def test_a_cluster_gets_no_more_runs_at_once_than_it_may(make_plan: Callable[..., RunPlan]) -> None:
    small = make_plan("x", backend="slurm", cluster="small", backend_options={"max_submitted": 2})
    large = make_plan("x", backend="slurm", cluster="large")
    plans = {name: small if name.startswith("s") else large for name in ("s1", "s2", "s3", "l1", "l2")}
    runs = [Queued(name, "slurm", 1) for name in plans]
    assert [run.run_id for run in within_max_submitted(runs, [], plans)] == ["s1", "s2", "l1", "l2"]
    assert [run.run_id for run in within_max_submitted(runs[2:], ["s1", "s2"], plans)] == ["l1", "l2"]
    assert [run.run_id for run in within_max_submitted(runs[2:], ["s2", "l1"], plans)] == ["s3", "l1", "l2"]
