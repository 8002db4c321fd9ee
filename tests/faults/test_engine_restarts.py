"""The engine is restarted while containers go on: each line is in the log once, or the gap is reported with its size.

``TAORUNNER_FAULT_ROUNDS`` says how often, ``TAORUNNER_FAULT_SEED`` repeats a seed that was printed.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any

import images
import pytest
from command_line import wait_for
from killing import child_of, kill

import rig

ROUNDS = int(os.environ.get("TAORUNNER_FAULT_ROUNDS", "1"))
LONGEST_S = 5.0
WAYS = ("twice", "supervisor killed before", "watched", "supervisor killed after")
EXPECTED = [(epoch, line) for epoch in range(4) for line in range(150)]


def stored_lines(path: Any) -> list[tuple[int, int]]:
    text = "".join(json.loads(line)["log"] for line in path.read().splitlines())
    return [(int(epoch), int(line)) for line, epoch in re.findall(r"step (\d+) of epoch (\d+)", text)]


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_restarts_of_the_engine_lose_no_line_without_a_word(
    place: Callable[..., Any], own_engine: Any, seed: int
) -> None:
    chance = random.Random(seed)
    here = place(own_engine, images.tao_image(own_engine, "pyt_7"), {"e1": {}}, epoch_s=1.5)
    wrong = []
    for number in range(ROUNDS):
        way = WAYS[number % len(WAYS)]
        moment_s = chance.uniform(0.2, LONGEST_S)
        shutil.rmtree(here.root / ".taorunner", ignore_errors=True)
        shutil.rmtree(here.root / "projects/example_01/models", ignore_errors=True)
        (here.root / "projects/example_01/models").mkdir()
        viewer = here.cli.start("train", "e1", cwd=here.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        wait_for(lambda: here.states().get("e1") == "RUNNING")
        handle = here.records()["e1"]["handle"]
        with (own_engine.home / f"data/containers/{handle}/{handle}-json.log").open() as stored:
            time.sleep(moment_s)
            if way == "supervisor killed before":
                kill(child_of(viewer.pid))
            rig.restart(own_engine.home)
            if way == "twice":
                time.sleep(chance.uniform(0.1, 1.5))
                rig.restart(own_engine.home)
            if way == "supervisor killed after":
                kill(child_of(viewer.pid))
            again = here.cli("attach", cwd=here.root, timeout_s=120)
            viewer.wait(120)
            here.is_left_clean()
            kept = stored_lines(stored)
        seen = here.numbered("e1")
        gap = [event for event in here.events("e1", "Notice") if event["code"] == "log-gap"]
        missing = len(set(EXPECTED) - set(seen))
        result = (
            f"round {number + 1}: {way} after {moment_s:.2f} s: {here.states()['e1']}, lines missing: "
            f"{missing} of 600, of the engine's own file: {len(set(EXPECTED) - set(kept))}; "
            f"twice: {len(seen) - len(set(seen))}; reported: {[one['text'] for one in gap]}"
        )
        print(result, flush=True)
        assert again.code == 0, again.err
        if seen != EXPECTED and not (gap and seen == sorted(set(seen))):
            wrong.append(result)
    assert wrong == []
