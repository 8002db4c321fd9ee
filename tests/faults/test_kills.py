"""kill -9 at random moments: whichever process dies, each run comes to its right end, each line is there once, nothing is left.

``TAORUNNER_FAULT_ROUNDS`` says how often, ``TAORUNNER_FAULT_SEED`` repeats a seed that was printed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import wait_for

ROUNDS = int(os.environ.get("TAORUNNER_FAULT_ROUNDS", "4"))
LONGEST_S = 4.0
FINAL = {"SUCCEEDED", "FAILED", "STOPPED", "LOST"}


def child_of(process: subprocess.Popen[bytes]) -> int | None:
    """The supervisor that a viewer started."""
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def kill(pid: int | None) -> bool:
    """Whether there was a process to kill; one that has ended and only waits to be collected does not count."""
    if pid is None or is_ended(pid):
        return False
    os.kill(pid, signal.SIGKILL)
    return True


def is_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True


@pytest.mark.slow
@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_random_kills_of_viewer_and_supervisor(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str], seed: int
) -> None:
    chance = random.Random(seed)
    gpus = {"e1": [0], "e2": [1], "e3": [0]}
    here = place(engine, tao_image("pyt_7"), {name: {"gpu_indices": ids} for name, ids in gpus.items()})
    hits = number = 0
    while hits < ROUNDS:
        number += 1
        assert number <= 2 * ROUNDS + 10, f"only {hits} of {number} kills met a batch under way"
        victims = chance.choice([("viewer",), ("supervisor",), ("viewer", "supervisor")])
        waits_for_record = chance.random() < 0.9  # the others may come before there is anything to find again
        moment_s = chance.uniform(0.0, LONGEST_S)
        shutil.rmtree(here.root / ".taorunner", ignore_errors=True)
        shutil.rmtree(here.root / "projects/example_01/models", ignore_errors=True)
        (here.root / "projects/example_01/models").mkdir()
        viewer = here.cli.start(
            "train", *gpus, cwd=here.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if waits_for_record:
            wait_for(lambda: len(here.states()) == len(gpus))
        time.sleep(moment_s)
        supervisor = child_of(viewer)
        pids = {"supervisor": supervisor, "viewer": viewer.pid}
        killed = [kill(pids[victim]) for victim in sorted(victims)]
        try:
            states = here.states()
            under_way = all(killed) and len(states) == len(gpus) and not set(states.values()) <= FINAL
            hits += under_way
            print(f"round {number}, hit {hits}: {'+'.join(victims)} after {moment_s:.2f} s: {states}")
            again = here.cli("attach", cwd=here.root)
            viewer.wait(60)
            assert again.code == 0, again.out + again.err
            states = here.states()
            if waits_for_record or set(states.values()) - {
                "STOPPED"
            }:  # else: killed before it was handed over
                assert states == dict.fromkeys(gpus, "SUCCEEDED")
                for name in gpus:
                    here.checks_whole(name)
            wait_for(lambda: here.open_batches() == [], 10)
            assert here.containers() == []
        finally:
            kill(viewer.pid)
            viewer.wait()


def test_a_viewer_that_is_hung_up_or_halted_changes_nothing(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    here = place(engine, tao_image("pyt_7"), {"e1": {}})
    for number in (signal.SIGSTOP, signal.SIGHUP):
        viewer = here.cli.start("train", "e1", "--overwrite", cwd=here.root, stdout=subprocess.DEVNULL)
        wait_for(lambda: "RUNNING" in here.states().values())
        viewer.send_signal(number)
        attached = here.cli("attach", cwd=here.root)
        assert attached.code == 0, attached.err
        assert here.states() == {"e1": "SUCCEEDED"}
        here.checks_whole("e1")
        kill(viewer.pid)
        viewer.communicate()
        assert here.open_batches() == here.containers() == []


def test_two_supervisors_race_for_one_batch(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    """Ten people look at once right after the supervisor died: one of them starts the one that goes on."""
    here = place(engine, tao_image("pyt_7"), {"e1": {}})
    viewer = here.cli.start("train", "e1", cwd=here.root, stdout=subprocess.DEVNULL)
    wait_for(lambda: "RUNNING" in here.states().values())
    kill(child_of(viewer))
    kill(viewer.pid)
    viewer.communicate()
    lookers = [here.cli.start("attach", "--json", cwd=here.root) for _ in range(10)]
    for looker in lookers:
        looker.communicate(timeout=60)
        assert looker.returncode == 0
    assert here.states() == {"e1": "SUCCEEDED"}
    here.checks_whole("e1")
    assert len(here.events("e1", "RunStarted")) == 1
    wait_for(lambda: here.open_batches() == [], 10)
    assert here.containers() == []


@pytest.mark.slow
def test_fifty_viewers_see_the_same_and_the_run_does_not_mind(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    here = place(engine, tao_image("pyt_7"), {"e1": {}}, epoch_s=6.0)
    started = here.cli("train", "e1", "--detach", cwd=here.root)
    assert started.code == 0, started.err
    viewers = [here.cli.start("attach", "--json", cwd=here.root) for _ in range(50)]
    written = [viewer.communicate(timeout=120)[0] for viewer in viewers]
    assert [viewer.returncode for viewer in viewers] == [0] * 50
    assert here.states() == {"e1": "SUCCEEDED"}
    here.checks_whole("e1")
    assert len(here.events("e1", "RunStarted")) == 1

    def reported(output: bytes) -> list[tuple[Any, ...]]:
        events = [json.loads(line) for line in output.splitlines()]
        said = [{key: value for key, value in event.items() if key != "at"} for event in events]
        return sorted(tuple(sorted(map(str, each.items()))) for each in said)  # a line's time is its reader's

    first = reported(written[0])
    assert first == reported(
        here.cli("attach", "--json", here.records()["e1"]["id"], cwd=here.root).out.encode()
    )
    assert all(reported(each) == first for each in written[1:])
