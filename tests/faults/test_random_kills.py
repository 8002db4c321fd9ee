"""kill -9 at random moments, on three backends: whichever process dies, each run comes to its right end, each line is
there once, nothing is left.

``TAORUNNER_FAULT_ROUNDS`` says how often on each backend, ``TAORUNNER_FAULT_SEED`` repeats a seed that was printed.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import PATIENCE_S, Cli, end_what_runs, wait_for
from killing import child_of, is_ended, kill, processes_with

from taorunner.api.example_workspace import make_example_workspace

ROUNDS = int(os.environ.get("TAORUNNER_FAULT_ROUNDS", "2"))
LONGEST_S = 4.0
FINAL = {"SUCCEEDED", "FAILED", "STOPPED", "LOST"}
OF_ALL = ("viewer", "supervisor", "viewer+supervisor", "second viewer", "second viewer+supervisor")
OF_CONTAINERS = ("run", "run+supervisor", "run+viewer+supervisor")
OF_PROCESSES = (*OF_CONTAINERS, "reaper", "reaper+supervisor", "run+reaper", "run+reaper+viewer+supervisor")
KILLED = "killed (SIGKILL), but not by taorunner"
NO_EXIT_CODE = ("the run ended without leaving an exit code", "the engine no longer knows this run")
WHILE_ALIVE = {"position.json", "reserve", "stop.json", "process", "engine-mark.json"}


@dataclass(frozen=True)
class Ground:
    """Where a backend's runs are started. ``whole`` checks the log and events of a run that succeeded."""

    root: Path
    cli: Cli
    words: Sequence[str]
    names: Sequence[str]
    victims: Sequence[str]
    whole: Callable[[str], None]
    containers: Callable[[], Sequence[str]]
    kill_container: Callable[[str], bool] | None = None
    env: Mapping[str, str] | None = None

    def records(self) -> dict[str, dict[str, Any]]:
        """Of the trainings, by experiment."""
        found = {}
        for path in sorted((self.root / ".taorunner/runs").glob("*-train-*/record.json")):
            body = json.loads(path.read_text())
            found[body["experiment"]] = {**body, "directory": path.parent}
        return found

    def states(self) -> dict[str, str]:
        return {name: body["state"] for name, body in self.records().items()}

    def clear(self) -> None:
        """As it was before the first training."""
        shutil.rmtree(self.root / ".taorunner", ignore_errors=True)
        for models in self.root.glob("projects/*/models"):
            shutil.rmtree(models)
            models.mkdir()

    def left(self) -> list[str]:
        """What should have gone with the runs: open batches, containers, processes, files, leases."""
        state = self.root / ".taorunner"
        found = [f"open batch {path.name}" for path in (state / "open").glob("*")]
        found += [f"container {name}" for name in self.containers()]
        found += [f"process {pid}" for pid in processes_with(f"{state}/")]
        for record in self.records().values():
            there = {path.name for path in record["directory"].iterdir()} & WHILE_ALIVE
            found += [f"{record['experiment']}: {name}" for name in sorted(there)]
            found += [str(path) for path in (record["directory"] / "input").glob("secrets/*")]
        return found


class Printed:
    """What the processes of local runs print, kept open so that it can be read after its files are removed."""

    def __init__(self) -> None:
        self._files: dict[str, list[Any]] = {}

    def look(self, records: Mapping[str, Mapping[str, Any]]) -> None:
        for name, record in records.items():
            paths = [record["directory"] / "process" / stream for stream in ("stdout", "stderr")]
            if name not in self._files and all(path.exists() for path in paths):
                self._files[name] = [path.open("rb") for path in paths]

    def check(self, records: Mapping[str, Mapping[str, Any]]) -> int:
        """Each byte that was printed is in the log once. Returns of how many runs that is known."""
        for name, files in self._files.items():
            out, err = (file.read() for file in files)
            log = (records[name]["directory"] / "console.log").read_bytes()
            if not err:
                assert log.rstrip(b"\n") == out.rstrip(b"\n"), name
            else:
                assert sorted(log.split()) == sorted((out + b"\n" + err).split()), name
        return len(self._files)

    def close(self) -> None:
        for files in self._files.values():
            for file in files:
                file.close()


def reaper_of(run_dir: Path) -> int | None:
    """The process that watches a local run."""
    for pid in processes_with(str(run_dir / "process")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended in between
            continue
        if any(word.endswith(b"reaper.py") for word in words):
            return pid
    return None


def process_of(run_dir: Path) -> int | None:
    try:
        return int(json.loads((run_dir / "process/started.json").read_text())["pid"])
    except (OSError, ValueError):
        return None


def one_round(ground: Ground, chance: random.Random, number: int) -> bool:
    """Starts a batch, kills, and checks what became of it. Whether every kill met a batch under way."""
    victims = chance.choice(ground.victims).split("+")
    waits_for_record = chance.random() < 0.9  # the others may come before there is anything to find again
    moment_s = chance.uniform(0.0, LONGEST_S)
    ground.clear()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    viewers = [ground.cli.start(*ground.words, cwd=ground.root, env=ground.env, **quiet)]
    printed = Printed()
    try:
        if waits_for_record or "second viewer" in victims or {"run", "reaper"} & {*victims}:
            wait_for(lambda: len(ground.states()) == len(ground.names))
        if "second viewer" in victims:
            viewers.append(ground.cli.start("attach", cwd=ground.root, env=ground.env, **quiet))
        time.sleep(moment_s)
        records = ground.records()
        printed.look(records)
        running = [name for name, record in records.items() if record["state"] == "RUNNING"]
        struck = chance.choice(sorted(running)) if running else None
        struck_dir = records[struck]["directory"] if struck else None
        supervisor = child_of(viewers[0].pid)
        reaper = None if struck_dir is None else reaper_of(struck_dir)
        killers: dict[str, Callable[[], bool]] = {
            "viewer": lambda: kill(viewers[0].pid),
            "second viewer": lambda: kill(viewers[-1].pid),
            "supervisor": lambda: kill(supervisor),
            "reaper": lambda: kill(reaper),
            "run": lambda: struck_dir is not None and kill(process_of(struck_dir)),
        }
        if ground.kill_container is not None:
            strike = ground.kill_container
            killers["run"] = lambda: struck is not None and strike(records[struck]["handle"])
        chance.shuffle(victims)
        killed = {victim: killers[victim]() for victim in victims}
        if supervisor is not None and killed.get("supervisor"):
            wait_for(lambda: is_ended(supervisor))  # until then it has its batch
        states = ground.states()
        is_hit = (
            all(killed.values()) and len(states) == len(ground.names) and not set(states.values()) <= FINAL
        )
        print(f"round {number}: {'+'.join(victims)} after {moment_s:.2f} s: {states} {'hit' if is_hit else ''}", flush=True)  # fmt: skip
        again = ground.cli("attach", cwd=ground.root, env=ground.env)
        for viewer in viewers:
            viewer.wait(120)
        deadline = time.monotonic() + PATIENCE_S
        while (left := ground.left()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == []
        printed.look({})
        check_ends(ground, struck, killed, waits_for_record, again)
        printed.check(ground.records())
        return is_hit
    finally:
        printed.close()
        for viewer in viewers:
            kill(viewer.pid)
            viewer.wait()


def check_ends(
    ground: Ground, struck: str | None, killed: Mapping[str, bool], was_recorded: bool, again: Any
) -> None:
    records = ground.records()
    strikes = {victim for victim in ("run", "reaper") if killed.get(victim)}
    if not was_recorded and set(ground.states().values()) <= {"STOPPED"}:
        return  # killed before the batch was handed over
    for name in ground.names:
        record = records[name]
        ended = (record["state"], record["reason"])
        if name == struck and strikes:
            allowed = (
                [("FAILED", KILLED)] if strikes == {"run"} else [("LOST", reason) for reason in NO_EXIT_CODE]
            )
            if "reaper" in strikes:
                allowed += [("FAILED", KILLED)]  # it was the reaper's last moment: the end was recorded
            if ended[0] == "SUCCEEDED":  # the last moment: its exit code was known already
                assert record["exit_code"] == 0, (name, ended)
                ground.whole(name)
            else:
                assert ended in allowed, (name, ended)
        else:
            assert ended[0] == "SUCCEEDED", (name, ended)
            ground.whole(name)
    if not strikes:
        assert again.code == 0, again.out + again.err
    assert "Traceback" not in again.err + again.out


def rounds(ground: Ground, seed: int) -> None:
    chance = random.Random(seed)
    hits = number = 0
    while hits < ROUNDS:
        number += 1
        assert number <= 3 * ROUNDS + 10, f"only {hits} of {number} kills met a batch under way"
        hits += one_round(ground, chance, number)
    print(f"{hits} kills in {number} rounds")


THREE: Mapping[str, Mapping[str, Any]] = {
    "e1": {"gpu_indices": [0]},
    "e2": {"gpu_indices": [1]},
    "e3": {"gpu_indices": [0]},
}


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_random_kills_of_containers(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str], seed: int
) -> None:
    here = place(engine, tao_image("pyt_7"), THREE)

    def kill_container(handle: str) -> bool:
        return bool(engine.docker("kill", "-s", "KILL", handle).returncode == 0)

    rounds(
        Ground(
            here.root, here.cli, ("train", *THREE), tuple(THREE), (*OF_ALL, *OF_CONTAINERS), here.checks_whole,
            here.containers, kill_container,
        ),
        seed,
    )  # fmt: skip


class NoEngine:
    """For runs that are processes: nothing is asked of an engine."""

    def environment(self) -> dict[str, str]:
        return {}

    def docker(self, *words: str) -> Any:
        return subprocess.CompletedProcess(words, 0, "", "")


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_random_kills_of_local_processes(
    place: Callable[..., Any], tao_commands: Callable[..., dict[str, str]], seed: int
) -> None:
    here = place(NoEngine(), None, {name: {**body, "backend": "local"} for name, body in THREE.items()})
    rounds(
        Ground(
            here.root, here.cli, ("train", *THREE), tuple(THREE), (*OF_ALL, *OF_PROCESSES), here.checks_whole,
            tuple, env=tao_commands("pyt_7", gpus=1),
        ),
        seed,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_random_kills_of_embedded_trainings(tmp_path: Path, seed: int) -> None:
    home, root = tmp_path / "home", tmp_path / "demo"
    home.mkdir()
    make_example_workspace(root, images=40, held_out=4)
    cli = Cli(home, {"TAORUNNER_LEASES": str(tmp_path / "leases")})
    names, epochs = ("small", "tiny"), 10
    assert cli("convert", *names, cwd=root, timeout_s=120).code == 0

    def whole(name: str) -> None:
        record = next(
            json.loads(path.read_text()) | {"directory": path.parent}
            for path in (root / ".taorunner/runs").glob("*-train-*/record.json")
            if json.loads(path.read_text())["experiment"] == name
        )
        log = (record["directory"] / "console.log").read_text()
        ends = [int(found) for found in re.findall(r"Epoch (\d+): 100%", log)]
        assert ends == list(range(epochs)), name
        assert log.count("Execution status: PASS\n") == log.count("training data: ") == 1, name
        events = [
            json.loads(line) for line in (record["directory"] / "events.jsonl").read_text().splitlines()
        ]
        done = [one["epoch"] for one in events if one["event"] == "EpochProgress" and one["completed"]]
        assert done == list(range(1, epochs + 1)), name
        reported = [
            (one["name"], one["epoch"], one["value"]) for one in events if one["event"] == "MetricReported"
        ]  # a figure of an epoch once
        assert len(set(reported)) == len(reported), name
        assert sum(one["event"] == "RunFinished" for one in events) == 1, name

    words = ("train", *names, "--epochs", str(epochs))
    try:
        rounds(Ground(root, cli, words, names, (*OF_ALL, *OF_PROCESSES), whole, tuple), seed)
    finally:
        end_what_runs(tmp_path)
