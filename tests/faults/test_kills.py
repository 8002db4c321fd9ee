"""Viewers that hang, many viewers, and many that find a supervisor killed. At random moments: ``test_random_kills``."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import wait_for
from killing import child_of, kill


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
        here.is_left_clean()


def test_two_supervisors_race_for_one_batch(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    """Ten people look at once right after the supervisor died: one of them starts the one that goes on."""
    here = place(engine, tao_image("pyt_7"), {"e1": {}})
    viewer = here.cli.start("train", "e1", cwd=here.root, stdout=subprocess.DEVNULL)
    wait_for(lambda: "RUNNING" in here.states().values())
    kill(child_of(viewer.pid))
    kill(viewer.pid)
    viewer.communicate()
    lookers = [here.cli.start("attach", "--json", cwd=here.root) for _ in range(10)]
    for looker in lookers:
        looker.communicate(timeout=120)
        assert looker.returncode == 0
    assert here.states() == {"e1": "SUCCEEDED"}
    here.checks_whole("e1")
    assert len(here.events("e1", "RunStarted")) == 1
    here.is_left_clean()


@pytest.mark.slow
def test_fifty_viewers_see_the_same_and_the_run_does_not_mind(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str], tmp_path: Path
) -> None:
    here = place(engine, tao_image("pyt_7"), {"e1": {}}, epoch_s=0.3, gate=1)
    started = here.cli("train", "e1", "--detach", cwd=here.root)
    assert started.code == 0, started.err
    outputs = [tmp_path / f"seen-{number}" for number in range(50)]
    viewers = []
    for output in outputs:
        with output.open("wb") as file:
            viewers.append(
                here.cli.start("attach", "--json", cwd=here.root, stdout=file, stderr=subprocess.DEVNULL)
            )
    wait_for(lambda: all(output.stat().st_size for output in outputs))
    here.goes_on("e1")
    assert [viewer.wait(120) for viewer in viewers] == [0] * 50
    written = [output.read_bytes() for output in outputs]
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
