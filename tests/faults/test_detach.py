"""``--detach`` comes back when the run is really started, or says why it is not; no process watches after that."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def test_detach_returns_when_the_run_has_started(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    gpus: dict[str, dict[str, Any]] = {"e1": {"gpu_indices": [0]}, "e2": {"gpu_indices": [0]}}
    here = place(engine, tao_image("pyt_7"), gpus, epoch_s=0.1, gate=1)
    done = here.cli("train", "e1", "e2", "--detach", "--json", cwd=here.root)
    states = here.states()
    assert done.code == 0, done.err
    assert [run["run"] for run in done.json] == [record["id"] for record in here.records().values()]
    assert states == {"e1": "RUNNING", "e2": "QUEUED"}
    for name in gpus:
        here.goes_on(name)
    here.is_left_clean()
    assert here.states() == dict.fromkeys(gpus, "SUCCEEDED")
    for name in gpus:
        here.checks_whole(name)


def test_detach_says_why_a_run_was_not_started(place: Callable[..., Any], engine: Any) -> None:
    here = place(engine, "127.0.0.1:1/nothing:1", {"e1": {}})
    done = here.cli("train", "e1", "--detach", cwd=here.root)
    record = here.records()["e1"]
    assert (done.code, record["state"]) == (record["error_code"], "FAILED")
    assert done.code in (4, 5)
    assert f"{record['id'][-6:]} could not be started: {record['reason']}" in done.err


def test_ps_goes_on_with_a_batch_that_was_never_handed_over(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    """The viewer was killed between the last record and the handover: no process has the batch, and it is not forgotten."""
    here = place(engine, tao_image("pyt_7"), {"e1": {"model_key": "env:TAO_KEY_OF_MINE"}})
    code = """
import os, signal, sys
from taorunner.runs.control.spawn import Supervisor
Supervisor.give = lambda *_args, **_named: os.kill(os.getpid(), signal.SIGKILL)
from taorunner.cli.app import run
run(sys.argv[1:])
"""
    from command_line import PROGRAM

    killed = here.cli(
        "train", "e1", cwd=here.root, env={"TAO_KEY_OF_MINE": "k"}, program=(PROGRAM[0], "-c", code)
    )
    assert (killed.code, here.states()) == (-9, {"e1": "QUEUED"})
    shown = here.cli("ps", "--json", cwd=here.root, env={"DOCKER_HOST": "unix:///not/the/engine.sock"})
    assert [json.loads(shown.out)[0]["experiment"]] == ["e1"]
    attached = here.cli("attach", cwd=here.root)
    assert attached.code == 0, attached.err
    assert here.states() == {"e1": "SUCCEEDED"}
    here.checks_whole("e1")
    here.is_left_clean()
