"""Two hundred batches at once, in four processes, want eight GPUs. Whether one is given twice is seen from outside: every
run, a process of its own, writes down when it begins and ends, with the GPUs it was given.

This file is also the program of those four processes.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
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

PROCESSES, GPUS = 4, 8
BATCHES = int(os.environ.get("TAORUNNER_FAULT_BATCHES", "100"))
"""Each reads the tickets of all others: twice as many take four times as long."""
NEIGHBOURED = int(os.environ.get("TAORUNNER_FAULT_BATCHES", "40"))
"""Batches beside a neighbour who disturbs: each of them takes longer."""
REPORTING = (
    'echo "$$ begin $CUDA_VISIBLE_DEVICES" >> "$0"; sleep 0.0$1; echo "$$ end $CUDA_VISIBLE_DEVICES" >> "$0"'
)


@pytest.mark.slow
def test_no_gpu_is_held_twice_by_many_batches_in_four_processes(
    tmp_path: Path, fake_nvml: Callable[..., dict[str, str]], seed: int
) -> None:
    began_s = time.monotonic()
    codes, lines = crowded(tmp_path, fake_nvml(GPUS), seed, [None], BATCHES)
    print(f"{BATCHES} batches, {len(lines) // 2} runs in {time.monotonic() - began_s:.1f} s")
    assert codes == [0] * PROCESSES
    most = most_at_once(lines, seed)
    assert len(lines) == 2 * sum(len(wishes(index, seed)) for index in range(BATCHES))
    assert most >= 3, "they waited for each other although there were GPUs"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv of util-linux is not installed")
def test_a_neighbour_who_owns_the_folder_of_two_users_gives_no_gpu_twice(
    tmp_path: Path, fake_nvml: Callable[..., dict[str, str]], seed: int
) -> None:
    """He removes and replaces what he likes; what he plants may keep runs from a GPU, never give one to two."""
    nvml = fake_nvml(GPUS)
    for folder in (tmp_path, *tmp_path.parents, *Path(nvml["LD_LIBRARY_PATH"], "x").parents):
        if folder.stat().st_uid == os.geteuid() and str(folder).startswith(("/tmp/", "/dev/shm/")):
            folder.chmod(folder.stat().st_mode | 0o055)
    tmp_path.chmod(0o1777)
    command = [*as_user(NEIGHBOURS_UID), sys.executable, "-c", NEIGHBOUR, str(tmp_path / "leases"), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as neighbour:
        assert neighbour.stdout is not None and neighbour.stdout.readline() == "ready\n"
        try:
            codes, lines = crowded(tmp_path, nvml, seed, [54321, 54322], NEIGHBOURED)
        finally:
            neighbour.kill()
    print(f"{NEIGHBOURED} batches of two users: {len(lines) // 2} runs had GPUs; {codes}")
    most_at_once(lines, seed)
    assert len(lines) > NEIGHBOURED / 4, "hardly any run had a GPU"
    users = {path.stat().st_uid for path in tmp_path.glob("state-*")}
    assert users == {54321, 54322}


NEIGHBOURS_UID = 54323
NEIGHBOUR = """
import os, random, sys, time
from pathlib import Path
folder, chance = Path(sys.argv[1]), random.Random(sys.argv[2])
folder.mkdir()
folder.chmod(0o1777)
print("ready", flush=True)
def remove(path):
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
def nested(path):
    path.write_bytes(b"[" * 100_000)
    path.chmod(0o666)
def closed(path):
    path.touch()
    path.chmod(0o600)
while True:
    for path in list(folder.glob("*.lock")):
        try:
            remove(path)
            plant = chance.choice([None, None, None, nested, closed, lambda p: p.symlink_to("/etc/passwd"), os.mkfifo])
            if plant:
                plant(path)
                if plant not in (nested, closed):
                    remove(path)
        except OSError:
            pass
    time.sleep(chance.uniform(0, 0.02))
"""


def as_user(uid: int | None) -> list[str]:
    """A command line's beginning. The user may read what root may, because Python may be one of root's alone."""
    words = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
    capability = "+dac_read_search"
    caps = ["--inh-caps", capability, "--ambient-caps", capability]
    return [] if uid is None else ["setpriv", *words, *caps, "--"]


def crowded(
    root: Path, nvml: dict[str, str], seed: int, users: Sequence[int | None], batches: int
) -> tuple[list[int], list[str]]:
    """The exit codes of the four processes, of these users in turn, and what their runs reported."""
    environ = {**os.environ, **nvml, "TAORUNNER_LEASES": str(root / "leases")}
    (root / "models").mkdir()
    (root / "models").chmod(0o1777)
    (root / "reports").touch()
    (root / "reports").chmod(0o666)
    crowd = [
        subprocess.Popen(
            [*as_user(users[index % len(users)]), sys.executable, __file__, str(root), str(index), str(seed), str(batches)],
            env=environ,
        )
        for index in range(PROCESSES)
    ]  # fmt: skip
    codes = [one.wait(280) for one in crowd]
    return codes, (root / "reports").read_text().splitlines()


def most_at_once(lines: Sequence[str], seed: int) -> int:
    """How many GPUs were in use at once at most. Fails when one is given to two runs."""
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
    return most


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


def main(root: Path, process: int, seed: int, count: int) -> int:
    contract = load_network("tinydet").contract("evaluate")
    verdict = replace(
        contract.verdict, success_suffix=None, success_statuses=(), status_required=False, artifacts=()
    )
    contract = replace(contract, verdict=verdict)
    batches = []
    for index in range(process, count, PROCESSES):
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
    sys.exit(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
