"""Which GPUs are free: leases of others, containers whose supervisor is gone, foreign processes; and which message each run gets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from taorunner.errors import MachineError
from taorunner.gpu.inventory import Gpu, GpuProcess, Inventory
from taorunner.gpu.leases import Holder, Lease, Leases
from taorunner.scheduling.allocator import Decision, Impossible, Queued
from taorunner.scheduling.gpu_allocator import (
    LOOK_EVERY_S,
    LOOK_LEAST_EVERY_S,
    LOOK_MOST_EVERY_S,
    TELL_EVERY_S,
    FreeGpus,
    look_every_s,
)
from taorunner.scheduling.machine_queue import LEFT_FOR_S
from taorunner.scheduling.policy import PATIENCE, Start

OTHER = Holder("r-other", "bert", "docker")


class Engine:
    """As much of a backend as is asked: which GPUs its containers use."""

    def __init__(self, in_use: Mapping[str, str] | MachineError) -> None:
        self.in_use = in_use

    def gpus_in_use(self) -> Mapping[str, str]:
        if isinstance(self.in_use, MachineError):
            raise self.in_use
        return self.in_use


class Machine:
    def __init__(self, directory: Path, count: int = 2) -> None:
        self.directory = directory
        self.gpus = [Gpu(index, f"GPU-{index}", "H100") for index in range(count)]
        self.engine = Engine({})
        self.now_s = 100.0
        self.free = self.supervisor()

    def supervisor(self) -> FreeGpus:
        return FreeGpus(
            Leases(self.directory), lambda: Inventory(tuple(self.gpus)), user="anna", clock=lambda: self.now_s
        )

    def uses(self, index: int, *pids: int) -> None:
        self.gpus[index] = Gpu(
            index, f"GPU-{index}", "H100", processes=tuple(GpuProcess(pid) for pid in pids)
        )

    def hold(self, *names: str) -> Lease:
        lease = Leases(self.directory).take(names)
        assert lease is not None
        lease.sign(OTHER)
        return lease

    def decide(
        self,
        *waiting: Queued,
        active: Mapping[str, tuple[str, ...]] | None = None,
        by: FreeGpus | None = None,
        parallel: int | None = None,
    ) -> Decision:
        self.now_s += 1
        backend: Any = lambda _name: self.engine  # noqa: E731
        return (by or self.free).decide(
            waiting, active or {}, backend, parallel=parallel, parallel_without_gpu=1
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "leases")


def run(name: str, count: int = 1, ids: tuple[str, ...] | None = None) -> Queued:
    return Queued(name, "docker", count, ids)


def test_any_gpu_is_a_free_one(machine: Machine) -> None:
    lease = machine.hold("GPU-0")
    assert machine.decide(run("a"), run("b")).starts == [Start("a", ("1",))]
    lease.release()
    assert machine.decide(run("b"), active={"a": ("1",)}).starts == [Start("b", ("0",))]


def test_what_starts_is_leased_until_it_is_released(machine: Machine) -> None:
    machine.decide(run("a", 2))
    holder = Leases(machine.directory).holder("GPU-1")
    assert holder == Holder("a", "anna", "docker")
    assert str(holder) == "run a of anna"
    machine.free.release("a")
    machine.free.release("a")
    assert Leases(machine.directory).holder("GPU-1") is None


def test_two_supervisors_never_get_the_same_gpu(machine: Machine) -> None:
    machine.decide(run("a", 1, ("0",)))
    machine.free = machine.supervisor()
    decision = machine.decide(run("b", 1, ("GPU-0",)))
    assert decision == Decision(notices=[("b", "gpu-wait", "waits for GPU GPU-0 (run a of anna)")], known=2)


def test_what_a_run_waits_for_is_reported_once_and_again_when_it_changed(machine: Machine) -> None:
    lease = machine.hold("GPU-0", "GPU-1")
    text = "waits for 1 GPU: GPU 0 (run r-other of bert); GPU 1 (run r-other of bert)"
    assert machine.decide(run("a")).notices == [("a", "gpu-wait", text)]
    assert machine.decide(run("a")).notices == []
    lease.release()
    lease = machine.hold("GPU-0")
    machine.now_s += 60
    assert machine.decide(run("a", 2)).notices == [
        ("a", "gpu-wait", "waits for 2 GPUs: GPU 0 (run r-other of bert)")
    ]
    lease.release()


def test_waiting_for_ones_own_batch_is_no_news(machine: Machine) -> None:
    assert machine.decide(run("b", 2), active={"a": ("0",)}) == Decision(known=2)


def test_a_container_without_supervisor_keeps_its_gpu(machine: Machine) -> None:
    machine.engine.in_use = {"GPU-0": "r-orphan"}
    decision = machine.decide(run("any"), run("named", 1, ("0",)))
    assert decision.starts == [Start("any", ("1",))]
    text = "waits for GPU 0 (used by run r-orphan, which continues without its supervisor)"
    assert decision.notices == [("named", "gpu-wait", text)]
    assert Leases(machine.directory).holder("GPU-0") is None
    machine.engine.in_use = {}
    assert machine.decide(run("named", 1, ("0",)), active={"any": ("1",)}).starts == [Start("named", ("0",))]


def test_the_engine_of_one_that_was_killed_is_asked_by_runs_of_another_backend(machine: Machine) -> None:
    dead = machine.hold("GPU-0")
    for descriptor in dead.descriptors:
        os.close(descriptor)  # as the kernel does
    asked: list[str] = []

    def backend(name: str) -> Any:
        asked.append(name)
        return Engine({"0": "r-other"} if name == "docker" else {})

    for _ in range(2):
        machine.now_s += 1
        decision = machine.free.decide(
            [Queued("mine", "local", 1, ("0",))], {}, backend, parallel=None, parallel_without_gpu=1
        )
        assert decision.starts == []
    assert asked == ["docker", "local"] * 2


def test_an_engine_that_does_not_answer_keeps_no_run_waiting(machine: Machine) -> None:
    machine.engine.in_use = MachineError("no engine answers")
    assert machine.decide(run("a")).starts == [Start("a", ("0",))]


def test_a_gpu_that_a_foreign_process_uses_is_not_any_gpu(machine: Machine) -> None:
    machine.uses(0, os.getpid())
    machine.uses(1, 99999999)
    name = Path("/proc/self/comm").read_text().strip()
    (notice,) = machine.decide(run("a")).notices
    assert notice[2].startswith(f"waits for 1 GPU: GPU 0 (used by {name} (process {os.getpid()} of ")
    assert notice[2].endswith("GPU 1 (used by process 99999999)")


def test_who_names_it_gets_it_with_a_word(machine: Machine) -> None:
    machine.uses(0, 99999999)
    decision = machine.decide(run("a", 1, ("0",)))
    assert decision.starts == [Start("a", ("0",))]
    assert decision.notices == [("a", "gpu-shared", "GPU 0 is also used by process 99999999")]


def test_more_than_there_are_is_impossible(machine: Machine) -> None:
    hint = "lower gpus: or correct gpu_indices:; nvidia-smi lists the GPUs"
    refused = Impossible("a", "3 GPUs requested, this machine has 2", hint)
    assert machine.decide(run("a", 3)) == Decision(impossible=[refused], known=2)


def test_a_gpu_that_is_split_is_not_any_gpu_and_its_parts_can_be_named(machine: Machine) -> None:
    machine.gpus[0] = Gpu(0, "GPU-0", "H100", is_split=True)
    machine.free = machine.supervisor()
    part = "MIG-GPU-0/1/0"
    assert machine.decide(run("any"), run("part", 1, (part,))).starts == [
        Start("any", ("1",)),
        Start("part", (part,)),
    ]
    machine.free = machine.supervisor()
    other = machine.decide(
        run("same", 1, (part,)), run("other", 1, ("MIG-GPU-0/2/0",)), run("whole", 1, ("0",))
    )
    assert other.starts == [Start("other", ("MIG-GPU-0/2/0",))]


def test_without_a_driver_numbers_are_leased(tmp_path: Path) -> None:
    def supervisor() -> FreeGpus:
        return FreeGpus(Leases(tmp_path), Inventory, user="anna")

    def decide(free: FreeGpus, *waiting: Queued) -> list[Start]:
        backend: Any = lambda _name: Engine({})  # noqa: E731
        return free.decide(waiting, {}, backend, parallel=None, parallel_without_gpu=1).starts

    first, second = supervisor(), supervisor()
    assert decide(first, run("a", 1, ("1",)), run("b")) == [Start("a", ("1",)), Start("b", ("0",))]
    assert decide(second, run("c"), run("d", 1, ("1",)), run("e", 1, ("2",))) == [Start("e", ("2",))]
    for free, name in ((first, "a"), (first, "b"), (second, "e")):
        free.release(name)


def test_a_run_that_is_gone_on_with_has_its_gpus_again(machine: Machine) -> None:
    machine.free.adopt("a", "docker", ("1",))
    assert Leases(machine.directory).holder("GPU-1") == Holder("a", "anna", "docker")
    machine.free.adopt("a", "docker", ("0",))  # it is held already: no other lease
    machine.free.adopt("cpu", "docker", ())
    assert Leases(machine.directory).holder("GPU-0") is None
    machine.free = machine.supervisor()
    machine.free.adopt("b", "docker", ("1",))  # taken over already: no error
    assert machine.decide(run("c"), run("d")).starts == [Start("c", ("0",))]


def test_leases_are_looked_at_ten_times_a_second_by_who_is_in_front_and_runs_without_gpu_do_not_wait_for_that(
    machine: Machine,
) -> None:
    lease = machine.hold("GPU-0", "GPU-1")
    machine.decide(run("a"))
    lease.release()
    machine.now_s -= 0.95
    decision = machine.decide(run("a"), run("cpu", 0))
    assert decision.starts == [Start("cpu", ())]
    machine.now_s -= 0.95
    assert machine.decide(run("a")).starts == [Start("a", ("0",))]


# between batches


def test_what_comes_free_is_for_the_batch_that_asked_first(machine: Machine) -> None:
    lease = machine.hold("GPU-0", "GPU-1")
    first, second = machine.supervisor(), machine.supervisor()
    assert machine.decide(run("a", 2), by=first).starts == []
    assert machine.decide(run("b"), by=second).starts == []
    lease.release()
    assert machine.decide(run("b"), by=second).starts == []
    assert machine.decide(run("a", 2), by=first).starts == [Start("a", ("0", "1"))]
    first.release("a")
    assert machine.decide(run("b"), by=second).starts == [Start("b", ("0",))]


def test_a_batch_that_asks_now_comes_after_those_that_wait(machine: Machine) -> None:
    lease = machine.hold("GPU-0", "GPU-1")
    first = machine.supervisor()
    machine.decide(run("a", 1, ("GPU-1",)), by=first)
    lease.release()
    assert machine.decide(run("b", 1, ("1",))).starts == []
    assert machine.decide(run("b", 1, ("1",)), run("c")).starts == [Start("c", ("0",))]
    assert machine.decide(run("a", 1, ("GPU-1",)), by=first).starts == [Start("a", ("GPU-1",))]


def test_another_batchs_large_run_is_passed_until_its_patience_is_over(machine: Machine) -> None:
    """Two batches have a new small run whenever one of theirs ends; one or the other always runs."""
    large, odd, even = machine.supervisor(), machine.supervisor(), machine.supervisor()
    assert machine.decide(run("s0"), by=even).starts == [Start("s0", ("0",))]
    assert machine.decide(run("large", 2), by=large).starts == []
    started = 0
    for number in range(1, 100):
        now, before = (odd, even) if number % 2 else (even, odd)
        if not machine.decide(run(f"s{number}"), by=now).starts:
            break
        started += 1
        before.release(f"s{number - 1}")
        assert machine.decide(run("large", 2), by=large).starts == []
    assert started == PATIENCE
    before.release(f"s{started}")
    assert machine.decide(run(f"s{started + 1}"), by=now).starts == []
    assert machine.decide(run("large", 2), by=large).starts == [Start("large", ("0", "1"))]


def test_who_does_not_take_what_is_left_to_it_loses_its_place(machine: Machine) -> None:
    lease = machine.hold("GPU-0", "GPU-1")
    stuck = machine.supervisor()
    machine.decide(run("stuck", 2), by=stuck)
    lease.release()
    waited = 0
    while not machine.decide(run("b")).starts:
        waited += 1
    assert LEFT_FOR_S <= waited <= LEFT_FOR_S + 2


def test_a_supervisor_that_left_keeps_no_run_waiting(machine: Machine) -> None:
    lease = machine.hold("GPU-0", "GPU-1")
    gone = machine.supervisor()
    machine.decide(run("a", 2), by=gone)
    gone.leave_queue()
    lease.release()
    assert machine.decide(run("b")).starts == [Start("b", ("0",))]


def test_a_batch_waits_in_the_queue_with_as_many_runs_as_it_may_start(machine: Machine) -> None:
    lease = machine.hold("GPU-0", "GPU-1")
    bounded = machine.supervisor()
    machine.decide(run("a"), run("b"), by=bounded, parallel=1)
    lease.release()
    assert machine.decide(run("c"), run("d")).starts == [Start("c", ("1",))]
    assert machine.decide(run("a"), run("b"), by=bounded, parallel=1).starts == [Start("a", ("0",))]


def test_a_gpu_that_the_first_will_not_take_because_of_a_foreign_process_is_for_the_next(
    machine: Machine,
) -> None:
    lease = machine.hold("GPU-0", "GPU-1")
    first = machine.supervisor()
    machine.decide(run("any", 2), by=first)
    machine.uses(0, 99999999)
    lease.release()
    assert machine.decide(run("named", 1, ("0",))).starts == [Start("named", ("0",))]


@pytest.mark.parametrize(
    ("ahead", "gpus", "seconds"),
    [
        (0, 4, LOOK_MOST_EVERY_S), (3, 4, LOOK_MOST_EVERY_S), (0, 0, LOOK_MOST_EVERY_S),
        (4, 4, LOOK_EVERY_S * 1.25), (16, 4, LOOK_EVERY_S * 2), (1, 0, LOOK_EVERY_S * 1.25), (1, 1, LOOK_EVERY_S * 1.25),
        (100_000, 4, LOOK_LEAST_EVERY_S),
    ],
)  # fmt: skip
def test_who_is_far_behind_looks_seldom(ahead: int, gpus: int, seconds: float) -> None:
    assert look_every_s(ahead, gpus) == seconds
    assert LOOK_MOST_EVERY_S <= LOOK_EVERY_S < LOOK_LEAST_EVERY_S


def test_a_change_within_a_minute_is_not_reported(machine: Machine) -> None:
    lease = machine.hold("GPU-0", "GPU-1")
    assert len(machine.decide(run("a")).notices) == 1
    lease.release()
    lease = machine.hold("GPU-0")
    assert machine.decide(run("a", 2)).notices == []
    machine.now_s += TELL_EVERY_S
    assert [text for *_, text in machine.decide(run("a", 2)).notices] == [
        "waits for 2 GPUs: GPU 0 (run r-other of bert)"
    ]
    lease.release()


@pytest.mark.parametrize(("held", "more"), [(4, ""), (5, "; and 1 more"), (6, "; and 2 more")])
def test_four_gpus_are_named_and_the_others_counted(tmp_path: Path, held: int, more: str) -> None:
    machine = Machine(tmp_path / "leases", held)
    lease = machine.hold(*(f"GPU-{index}" for index in range(held)))
    ((_, _, text),) = machine.decide(run("a")).notices
    named = "; ".join(f"GPU {index} (run r-other of bert)" for index in range(4))
    assert text == f"waits for 1 GPU: {named}{more}"
    lease.release()


@pytest.mark.parametrize("left", [(), (run("cpu", 0),)])
def test_a_batch_without_runs_for_gpus_leaves_the_queue(machine: Machine, left: tuple[Queued, ...]) -> None:
    lease = machine.hold("GPU-0", "GPU-1")
    first = machine.supervisor()
    machine.decide(run("stopped", 2), by=first)
    machine.decide(*left, by=first)
    lease.release()
    assert machine.decide(run("b")).starts == [Start("b", ("0",))]


def test_what_starts_now_leaves_the_queue_only_the_rest_of_parallel(machine: Machine) -> None:
    lease = machine.hold("GPU-1")
    bounded = machine.supervisor()
    assert machine.decide(run("a"), run("b"), run("c"), by=bounded, parallel=2).starts == [Start("a", ("0",))]
    lease.release()
    bounded.release("a")
    # "b" alone waits for a place in the queue of this machine, so one of the two free GPUs is left to it
    assert machine.decide(run("d"), run("e")).starts == [Start("d", ("1",))]


def test_the_driver_is_not_asked_for_runs_without_a_gpu(machine: Machine) -> None:
    asked: list[Inventory] = []

    def inventory() -> Inventory:
        asked.append(Inventory(tuple(machine.gpus)))
        return asked[-1]

    free = FreeGpus(Leases(machine.directory), inventory, clock=lambda: machine.now_s)
    assert machine.decide(run("cpu", 0), by=free).starts == [Start("cpu", ())]
    assert len(asked) == 1  # when it was made
