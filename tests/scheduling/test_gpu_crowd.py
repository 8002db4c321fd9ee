"""Two hundred batches at once, in four processes, want eight GPUs. Whether one is given twice is seen from outside: every
run, a process of its own, writes down when it begins and ends, with the GPUs it was given.

This file is also the program of those four processes.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from taorunner.backends.process.backend import LocalBackend
from taorunner.catalog.load import load_network
from taorunner.events import now
from taorunner.gpu.inventory import inventory
from taorunner.gpu.leases import Leases
from taorunner.planning.model.plan import GpuRequest, Resources, RunPlan
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.batch_runner import BatchRunner
from taorunner.scheduling.gpu_allocator import FreeGpus

BATCHES, PROCESSES, GPUS = 200, 4, 8
REPORTING = (
    'echo "$$ begin $CUDA_VISIBLE_DEVICES" >> "$0"; sleep 0.0$1; echo "$$ end $CUDA_VISIBLE_DEVICES" >> "$0"'
)


@pytest.mark.slow
def test_no_gpu_is_held_twice_by_two_hundred_batches_in_four_processes(
    tmp_path: Path, fake_nvml: Callable[..., dict[str, str]], seed: int
) -> None:
    environ = {**os.environ, **fake_nvml(GPUS), "TAORUNNER_LEASES": str(tmp_path / "leases")}
    began_s = time.monotonic()
    crowd = [
        subprocess.Popen([sys.executable, __file__, str(tmp_path), str(index), str(seed)], env=environ)
        for index in range(PROCESSES)
    ]
    codes = [one.wait(150) for one in crowd]
    lines = (tmp_path / "reports").read_text().splitlines()
    print(f"{BATCHES} batches, {len(lines) // 2} runs in {time.monotonic() - began_s:.1f} s")
    assert codes == [0] * PROCESSES
    using: dict[str, str] = {}
    most = 0
    for line in lines:
        pid, what, ids = line.split()
        for gpu in map(number, ids.split(",")):
            if what == "begin":
                assert gpu not in using, f"GPU {gpu} is given twice (seed {seed})"
                using[gpu] = pid
            else:
                assert using.pop(gpu) == pid
        most = max(most, len(using))
    assert using == {}
    assert len(lines) == 2 * sum(len(wishes(index, seed)) for index in range(BATCHES))
    assert most >= 3, "they waited for each other although there were GPUs"


def number(gpu_id: str) -> str:
    """The fake driver's UUIDs end in the number."""
    return str(int(gpu_id.rpartition("-")[2], 16)) if gpu_id.startswith("GPU-") else gpu_id


def uuid(index: int) -> str:
    return f"GPU-{0xFA4E0000 + index:08x}-0000-4000-8000-{index:012x}"


def wishes(batch: int, seed: int) -> list[GpuRequest]:
    """One or two runs, small and large, for any GPUs, by number and by UUID."""
    rng = random.Random(f"{seed}-{batch}")
    found = []
    for _ in range(rng.choice([1, 1, 2])):
        count = rng.choices([1, 2, 4, 8], [60, 25, 12, 3])[0]
        ids = rng.sample(range(GPUS), count)
        way = rng.choice(["any", "number", "uuid"])
        named = {"any": None, "number": tuple(map(str, ids)), "uuid": tuple(map(uuid, ids))}[way]
        found.append(GpuRequest(count, named))
    return found


def main(root: Path, process: int, seed: int) -> int:
    contract = load_network("tinydet").contract("evaluate")
    verdict = replace(
        contract.verdict, success_suffix=None, success_statuses=(), status_required=False, artifacts=()
    )
    contract = replace(contract, verdict=verdict)
    batches = []
    for index in range(process, BATCHES, PROCESSES):
        store = RunStore(root / f"state-{index}")
        plans = []
        for order, gpus in enumerate(wishes(index, seed)):
            results = root / "models" / f"{index}-{order}"
            argv = ("sh", "-c", REPORTING, str(root / "reports"), str(index % 5))
            plan = RunPlan(
                project="p", experiment="e", action="evaluate", backend="local", contract=contract, argv=argv,
                workspace=root, results_dir=results, results_inside=str(results), run_inside="/r",
                resources=Resources(gpus=gpus),
            )  # fmt: skip
            plans.append((f"20261120-000000-{index}-{order}", plan))
        batches.append((store, create_batch(store, plans, now(), environ={})))
    runners = [
        BatchRunner(
            store, batch, make_backend=lambda _name: LocalBackend(), gpus=FreeGpus(Leases(), inventory), environ={}
        )
        for store, batch in batches
    ]  # fmt: skip
    threads = [threading.Thread(target=runner.run) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states = [store.load(run_id) for store, batch in batches for run_id in batch.runs]
    bad = [(record.id, record.state.value, record.reason) for record in states if record.exit_code != 0]
    print(bad, file=sys.stderr) if bad else None
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
