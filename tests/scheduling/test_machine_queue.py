"""One queue for all batches of a machine, with real processes: who asked first starts first, and who is killed or stopped
keeps no run waiting.

This file is also the program of those processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from taorunner.gpu.inventory import Gpu, Inventory
from taorunner.gpu.leases import Lease, Leases
from taorunner.scheduling import machine_queue
from taorunner.scheduling.allocator import Queued
from taorunner.scheduling.gpu_allocator import FreeGpus
from taorunner.scheduling.machine_queue import LEFT_FOR_S, MachineQueue
from taorunner.scheduling.policy import PATIENCE, Fairness, Waiting
from taorunner.scheduling.queue_tickets import Tickets, Wish, since_boot_ns

GPUS = ("GPU-0", "GPU-1")
LONG_S = 100.0
"""How long a batch leaves GPUs to another one where a test is to tell that from a moment, on any machine."""


class Batches:
    """Each is a process with one run of 50 ms, which waits before the next one is started."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stack = ExitStack()
        self.all: list[subprocess.Popen[str]] = []

    def wait(self, count: int, left_for_s: float = LEFT_FOR_S) -> subprocess.Popen[str]:
        argv = [sys.executable, __file__, str(self._root), str(len(self.all)), str(count), str(left_for_s)]
        batch = self._stack.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        self.all.append(batch)
        assert batch.stdout is not None
        assert batch.stdout.readline() == "waits\n"
        return batch

    def started(self, but: tuple[subprocess.Popen[str], ...] = ()) -> list[str]:
        """The order, when all but these are over."""
        for batch in self.all:
            if batch not in but:
                assert batch.wait(120) == 0
        return (self._root / "started").read_text().split()

    def close(self) -> None:
        for batch in self.all:
            batch.kill()
        self._stack.close()


@pytest.fixture
def batches(tmp_path: Path) -> Iterator[Batches]:
    batches = Batches(tmp_path)
    yield batches
    batches.close()


@pytest.fixture
def machine_is_full(tmp_path: Path) -> Lease:
    lease = Leases(tmp_path / "leases").take(GPUS)
    assert lease is not None
    return lease


def test_who_asked_first_starts_first(batches: Batches, machine_is_full: Lease) -> None:
    for _ in range(6):
        batches.wait(2)
    machine_is_full.release()
    assert batches.started() == ["0", "1", "2", "3", "4", "5"]


def test_a_batch_that_is_killed_while_it_waits_is_passed_at_once(
    batches: Batches, machine_is_full: Lease
) -> None:
    killed = batches.wait(2)
    batches.wait(2, left_for_s=LONG_S)
    killed.kill()
    killed.wait(120)
    machine_is_full.release()
    began_s = time.monotonic()
    assert batches.started((killed,)) == ["1"]
    assert time.monotonic() - began_s < LONG_S - 20


def test_a_batch_that_is_stopped_while_it_waits_is_passed_after_a_while_and_goes_on_later(
    batches: Batches, machine_is_full: Lease
) -> None:
    stopped = batches.wait(2)
    batches.wait(2)
    stopped.send_signal(signal.SIGSTOP)
    machine_is_full.release()
    assert batches.started((stopped,)) == ["1"]
    stopped.send_signal(signal.SIGCONT)
    assert batches.started() == ["1", "0"]


@pytest.fixture
def now_s() -> list[float]:
    """What the clock of ``here`` shows."""
    return [0.0]


@pytest.fixture
def here(tmp_path: Path, now_s: list[float]) -> Iterator[MachineQueue]:
    tickets = Tickets(tmp_path / "queue")
    yield MachineQueue(tickets, key=str, name=str, clock=lambda: now_s[0])
    tickets.drop()


MINE = Waiting("mine", 1)


def test_only_a_run_that_asked_later_and_took_a_gpu_of_ones_own_overtakes(
    here: MachineQueue, tmp_path: Path
) -> None:
    fairness = Fairness({})
    asked_ns = since_boot_ns()
    here.look([MINE, Waiting("named", 1, ("GPU-7",))], {"GPU-9": "before"}, fairness)
    theirs = Tickets(tmp_path / "queue")
    theirs.hold([Wish("earlier", 1, None, asked_ns - 1), Wish("later", 1, None, since_boot_ns())])
    own = [MINE, Waiting("named", 1, ("GPU-7",))]
    here.look(own, {"GPU-9": "before"}, fairness)
    assert [run.run_id for run in here.merged(own)] == ["earlier", "mine", "named", "later"]
    assert (here.ahead, sorted(here.others)) == (1, ["earlier", "later"])
    here.look(own, {"GPU-9": "before", "GPU-0": "earlier"}, fairness)
    assert fairness.overtaken == {}
    holders = {"GPU-9": "before", "GPU-0": "earlier", "GPU-1": "later"}
    for _ in range(2):  # each start counts once
        here.look([*own, Waiting("new", 1)], holders, fairness)
    assert fairness.overtaken == {"mine": 1}
    here.look([*own, Waiting("new", 1)], {**holders, "GPU-7": "unknown"}, fairness)
    assert fairness.overtaken == {"mine": 2, "named": 1, "new": 1}
    theirs.drop()


def test_a_run_of_others_that_does_not_start_in_time_loses_its_place(
    here: MachineQueue, tmp_path: Path, now_s: list[float]
) -> None:
    theirs = Tickets(tmp_path / "queue")
    theirs.hold([Wish("slow", 1, None, 1), Wish("other", 1, None, 2, is_due=True)])
    here.look([MINE], {}, Fairness({}))
    assert here.fairness(Fairness({"mine": 1})).overtaken == {"mine": 1, "other": PATIENCE}
    now_s[0] = 100.0
    assert here.leave_to(["slow"]) is True
    now_s[0] += LEFT_FOR_S
    assert here.leave_to(["slow"]) is True
    now_s[0] += 0.1
    assert here.leave_to(["slow"]) is False
    assert list(here.others) == ["other"]
    here.look([MINE], {}, Fairness({}))
    assert list(here.others) == ["other"]  # it does not come back
    theirs.drop()
    assert here.leave_to(["other"]) is False  # its batch has ended


def test_what_a_batch_waits_for_is_what_the_others_see(tmp_path: Path) -> None:
    """By the names of leases, which are the same for all; each names the GPUs in its own way."""

    def queue(tickets: Tickets, prefix: str) -> MachineQueue:
        return MachineQueue(
            tickets, key=lambda gpu: gpu.removeprefix(prefix), name=lambda lease: prefix + lease, clock=lambda: 0.0
        )  # fmt: skip

    mine, theirs = Tickets(tmp_path / "queue"), Tickets(tmp_path / "queue")
    here, there = queue(mine, "my-"), queue(theirs, "their-")
    own = [Waiting("any", 2), Waiting("named", 2, ("my-7", "my-3"))]
    before_ns = since_boot_ns()
    here.look(own, {}, Fairness())
    after_ns = since_boot_ns()
    here.wait(own, Fairness({"named": PATIENCE, "any": PATIENCE - 1}))
    seen = theirs.others()
    assert [(one.run_id, one.gpu_count, one.leases, one.is_due) for one in seen] == [
        ("any", 2, None, False),
        ("named", 2, ("7", "3"), True),
    ]
    assert all(before_ns <= one.asked_ns <= after_ns for one in seen)
    there.look([], {}, Fairness())
    assert there.merged([]) == [Waiting("any", 2), Waiting("named", 2, ("their-7", "their-3"))]
    assert there.ahead == 0  # of nothing
    there.look([MINE], {}, Fairness())
    assert there.ahead == 2
    here.look([], {}, Fairness())
    here.wait([], Fairness())
    there.look([MINE], {}, Fairness())
    assert (there.ahead, list(there.others), there.merged([MINE])) == (0, [], [MINE])


def test_runs_of_others_that_have_started_ended_or_are_ones_own_do_not_wait(
    here: MachineQueue, tmp_path: Path
) -> None:
    theirs = Tickets(tmp_path / "queue")
    theirs.hold([Wish(name, 1, None, 1, is_due=name == "due") for name in ("mine", "runs", "due", "waits")])
    here.look([MINE], {"GPU-0": "runs"}, Fairness())
    assert sorted(here.others) == ["due", "waits"]
    theirs.drop()
    here.look([MINE], {}, Fairness())
    assert list(here.others) == []


def test_a_run_that_asks_now_is_not_overtaken_by_one_that_started_meanwhile(here: MachineQueue) -> None:
    fairness = Fairness()
    here.look([], {}, fairness)
    here.look([MINE], {"GPU-0": "unknown"}, fairness)
    assert fairness.overtaken == {}


def test_only_runs_before_all_of_this_batch_are_ahead_of_it(here: MachineQueue, tmp_path: Path) -> None:
    theirs = Tickets(tmp_path / "queue")
    before_ns = since_boot_ns()
    here.look([MINE], {}, Fairness())
    theirs.hold([Wish("before", 1, None, before_ns - 1), Wish("between", 1, None, since_boot_ns())])
    own = [MINE, Waiting("mine too", 1)]
    here.look(own, {}, Fairness())
    assert [run.run_id for run in here.merged(own)] == ["before", "mine", "between", "mine too"]
    assert here.ahead == 1
    theirs.drop()


def test_the_time_since_which_others_are_waited_for_starts_anew(
    here: MachineQueue, tmp_path: Path, now_s: list[float]
) -> None:
    theirs = Tickets(tmp_path / "queue")
    theirs.hold([Wish("slow", 1, None, 1)])
    here.look([MINE], {}, Fairness())
    assert here.leave_to(["slow"]) is True
    now_s[0] = LEFT_FOR_S
    assert here.leave_to([]) is True  # nothing is left to it in between
    now_s[0] = LEFT_FOR_S + 1
    assert here.leave_to(["slow"]) is True
    now_s[0] = 2 * LEFT_FOR_S + 1
    assert here.leave_to(["slow"]) is True
    theirs.drop()


def main(root: Path, name: str, count: int) -> None:
    gpus = tuple(Gpu(index, uuid, "H100") for index, uuid in enumerate(GPUS))
    free = FreeGpus(Leases(root / "leases"), lambda: Inventory(gpus))
    backend: Any = lambda _name: None  # noqa: E731
    said = False
    while not free.decide(
        [Queued(name, "local", count)], {}, backend, parallel=None, parallel_without_gpu=1
    ).starts:
        if not said:
            print("waits", flush=True)
            said = True
        time.sleep(0.02)
    with (root / "started").open("a") as file:
        file.write(f"{name}\n")
    time.sleep(0.05)
    free.release(name)
    free.leave_queue()
    os._exit(0)


if __name__ == "__main__":
    machine_queue.LEFT_FOR_S = float(sys.argv[4])
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
