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
from taorunner.scheduling.allocator import Queued
from taorunner.scheduling.gpu_allocator import FreeGpus
from taorunner.scheduling.machine_queue import LEFT_FOR_S

GPUS = ("GPU-0", "GPU-1")


class Batches:
    """Each is a process with one run of 50 ms, which waits before the next one is started."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stack = ExitStack()
        self.all: list[subprocess.Popen[str]] = []

    def wait(self, count: int) -> subprocess.Popen[str]:
        argv = [sys.executable, __file__, str(self._root), str(len(self.all)), str(count)]
        batch = self._stack.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        self.all.append(batch)
        assert batch.stdout is not None
        assert batch.stdout.readline() == "waits\n"
        return batch

    def started(self, but: tuple[subprocess.Popen[str], ...] = ()) -> list[str]:
        """The order, when all but these are over."""
        for batch in self.all:
            if batch not in but:
                assert batch.wait(60) == 0
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
    batches.wait(2)
    killed.kill()
    killed.wait(10)
    machine_is_full.release()
    began_s = time.monotonic()
    assert batches.started((killed,)) == ["1"]
    assert time.monotonic() - began_s < LEFT_FOR_S - 2


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
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
