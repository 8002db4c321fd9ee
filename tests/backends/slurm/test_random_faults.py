"""A batch behind ssh while its supervisor, ssh, nodes and the controller are killed at random: each run ends well, once.

``TAORUNNER_SLURM_RUNS`` says how many runs, ``TAORUNNER_FAULT_SEED`` repeats a seed that was printed.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, end_what_runs
from killing import kill_supervisors
from slurm_rig import Cluster

RUNS = int(os.environ.get("TAORUNNER_SLURM_RUNS", "0"))
EPOCHS, LINES = 3, 20
SPEC = f"train:\n  num_epochs: {EPOCHS}\n"
FAULTS = ("supervisor", "ssh", "slurmd", "node", "slurmctld")


def kill_ssh(login: str) -> None:
    """Those on this side that talk to the login node of this cluster."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if words[0].endswith(b"ssh") and login.encode() in words:
                os.kill(int(path.parent.name), signal.SIGKILL)


def harm(cluster: Cluster, cli: Cli, workspace: Path, chance: random.Random) -> str:
    fault, node = chance.choice(FAULTS), chance.choice(cluster.nodes)
    if fault == "supervisor":
        kill_supervisors(workspace)
        cli("ps", cwd=workspace)  # any command starts another one
    elif fault == "ssh":
        kill_ssh(cluster.login)
    elif fault == "node":
        cluster.kill_node(node)
        time.sleep(chance.uniform(0, 2))
        cluster.start(node)
    else:
        daemon = node if fault == "slurmd" else fault
        cluster.kill(daemon)
        time.sleep(chance.uniform(0, 3))
        cluster.start(daemon)
    return fault


def records(workspace: Path) -> dict[str, dict[str, Any]]:
    paths = workspace.glob(".taorunner/runs/*/record.json")
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


if RUNS:

    @pytest.mark.slow
    @pytest.mark.timeout(300 + 20 * RUNS)
    def test_runs_end_well_whatever_is_killed(
        own_slurm: Cluster,
        tmp_path: Path,
        tao_commands: Callable[..., dict[str, str]],
        workspace_factory: Callable[..., Path],
        seed: int,
    ) -> None:
        own_slurm.reconfigure(SlurmdTimeout="3")
        chance, home = random.Random(seed), tmp_path / "home"
        home.mkdir()
        cli = Cli(home, {**own_slurm.elsewhere, "HOME": str(home)})
        env = {**tao_commands("pyt7"), "FAKE_EPOCH_S": "1", "FAKE_LINES": str(LINES)}
        options = json.dumps({"partition": "low", "host": own_slurm.login, "requeue": 9, "env": env})
        names = [f"e{number}" for number in range(RUNS)]
        first = f"  e0: {{head: dino, dataset: d, backend: slurm, gpus: 0, backend_options: {options}}}\n"
        more = "".join(f"  {name}: {{extends: e0}}\n" for name in names[1:])
        workspace = workspace_factory(
            f"experiments:\n{first}{more}", specs={"e0/train.yaml": SPEC}, data={"d/": ""}
        )
        harmed: Counter[str] = Counter()
        try:
            done = cli("train", *names, "--detach", cwd=workspace, timeout_s=120)
            assert done.code == 0, done.out + done.err
            until_s = time.monotonic() + 120 + 8 * RUNS
            while time.monotonic() < until_s:
                states = Counter(record["state"] for record in records(workspace).values())
                if not states.keys() - {"SUCCEEDED", "FAILED", "LOST", "STOPPED"}:
                    break
                if sum(harmed.values()) < RUNS:
                    harmed[harm(own_slurm, cli, workspace, chance)] += 1
                else:
                    cli("ps", cwd=workspace)
                time.sleep(chance.uniform(1, 4))
        finally:
            end_what_runs(tmp_path)
        wrong = []
        for run_id, record in records(workspace).items():
            text = (workspace / ".taorunner/runs" / run_id / "console.log").read_text()
            lines = Counter(re.findall(r"step (\d+) of epoch (\d+)", text))
            twice = [line for line, times in lines.items() if times > 1 + record.get("requeues", 0)]
            if record["state"] != "SUCCEEDED" or len(lines) != LINES * EPOCHS or twice:
                wrong.append((run_id, record["state"], record.get("reason"), len(lines), twice[:3]))
        print(f"{RUNS} runs; killed {dict(harmed)}; started again: "
              f"{sum(record.get('requeues', 0) for record in records(workspace).values())}")  # fmt: skip
        assert wrong == []
