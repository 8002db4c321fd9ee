"""How long does a GPU stand idle between two runs: of one batch, and of two batches of different terminals?

From the recorded end of the run that had the GPU to the recorded start of the next one, which includes what the engine
(here: a local process) needs to start it. Supervisors are real; the only GPU is one that is believed by its number.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from taorunner.catalog.load import load_network
from taorunner.events import RunState, now
from taorunner.planning.model.plan import GpuRequest, RunPlan
from taorunner.runs.control.spawn import Supervisor
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.store import RunStore


def measure(times: int) -> None:
    print("from a GPU that comes free to the next run started")
    for what, batches in (("of the same batch", 1), ("of another batch", 2)):
        gaps = [_gap_s(batches) for _ in range(times)]
        shown = f"{statistics.median(gaps) * 1000:.0f} ms (most {max(gaps) * 1000:.0f} ms)"
        print(f"  {what:<20} {shown}, wanted < 1 s beyond the engine's own   (load {os.getloadavg()[0]:.1f})")
    print(flush=True)


def _gap_s(batches: int) -> float:
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        root = Path(folder)
        store = RunStore(root / ".taorunner")
        plans = [("r0", _plan(root, "r0", "sleep 2")), ("r1", _plan(root, "r1", "true"))]
        for part in [plans] if batches == 1 else [plans[:1], plans[1:]]:
            batch = create_batch(
                store, part, now(), environ={**os.environ, "TAORUNNER_LEASES": str(root / "leases")}
            )
            supervisor = Supervisor({**os.environ, "TAORUNNER_LEASES": str(root / "leases")})
            supervisor.give(batch.id, str(store.state_dir))
            store.open_batches.handed_over(batch.id)
            while store.load(part[0][0]).state is RunState.QUEUED and batches == 2 and part == plans[:1]:
                time.sleep(0.01)
        while not (last := store.load("r1")).state.is_final or store.open_batches.ids():
            time.sleep(0.02)
        first = store.load("r0")
        if first.finished_at is None or last.started_at is None:
            raise RuntimeError(f"not started: {last.reason or first.reason}")
        return (last.started_at - first.finished_at).total_seconds()


def _plan(root: Path, name: str, script: str) -> RunPlan:
    contract = load_network("tinydet").contract("evaluate")
    verdict = replace(
        contract.verdict, success_suffix=None, success_statuses=(), status_required=False, artifacts=()
    )
    results = root / "models" / name
    return RunPlan(
        project="p", experiment=name, action="evaluate", backend="local", argv=("sh", "-c", script, "sh"),
        contract=replace(contract, verdict=verdict), workspace=root, results_dir=results,
        results_inside=str(results), run_inside="/r", gpus=GpuRequest(1, ("0",)),
    )  # fmt: skip
