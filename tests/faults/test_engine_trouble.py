"""What engines, kernels and disks do to runs: each comes to an end that is true, and its log is whole."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import images
import private_daemon
import pytest
from command_line import wait_for
from killing import kill_supervisors

import rig


@pytest.fixture
def mortal_engine() -> Iterator[rig.Engine]:
    """An engine of this test alone, which takes its containers with it."""
    home = Path(f"/tmp/taor-{secrets.token_hex(4)}")
    try:
        yield rig.up(home, os.getpid(), live_restore=False)
    except private_daemon.RigError as error:
        pytest.skip(str(error))
    finally:
        rig.down(home)


def start(here: Any, *experiments: str) -> Any:
    viewer = here.cli.start("train", *experiments, "--plain", cwd=here.root)
    wait_for(lambda: all(here.states().get(name) == "RUNNING" for name in experiments))
    return viewer


def kill_with_supervisor(here: Any, viewer: subprocess.Popen[bytes]) -> None:
    """The viewer first: it would start another supervisor."""
    viewer.kill()
    viewer.communicate()
    assert kill_supervisors(here.root) == 1


@pytest.mark.slow
def test_training_goes_on_while_the_engine_is_restarted(place: Callable[..., Any], own_engine: Any) -> None:
    here = place(own_engine, images.tao_image(own_engine, "pyt_7"), {"e1": {}}, epoch_s=1.0)
    viewer = start(here, "e1")
    rig.restart(own_engine.home)
    out, err = viewer.communicate(timeout=120)
    assert viewer.returncode == 0, (out + err).decode()
    assert here.states() == {"e1": "SUCCEEDED"}
    if any(notice["code"] == "log-gap" for notice in here.events("e1", "Notice")):
        seen = here.numbered("e1")  # what the engine had in its memory is lost with it, and that is said
        assert seen == sorted(set(seen))
    else:
        here.checks_whole("e1")
    here.is_left_clean()


@pytest.mark.slow
def test_a_supervisor_that_died_before_the_engine_was_restarted_leaves_a_whole_log(
    place: Callable[..., Any], own_engine: Any
) -> None:
    """Its successor knows what was shown of the line that the engine then forgot. Nothing is printed meanwhile: what
    an engine forgets and no process had read cannot be had back.
    """
    here = place(own_engine, images.tao_image(own_engine, "pyt_7"), {"e1": {}}, epoch_s=0.3, gate=1)
    viewer = start(here, "e1")
    wait_for(lambda: here.events("e1", "CheckpointSaved"))  # the last thing of an epoch
    time.sleep(0.5)  # the last line of an epoch has no end yet
    kill_with_supervisor(here, viewer)
    rig.restart(own_engine.home)
    here.goes_on("e1")
    attached = here.cli("attach", cwd=here.root, timeout_s=120)
    assert attached.code == 0, attached.err
    assert here.states() == {"e1": "SUCCEEDED"}
    here.checks_whole("e1")
    here.is_left_clean()


@pytest.mark.slow
def test_an_engine_that_takes_its_containers_along_leaves_a_failed_run(
    place: Callable[..., Any], mortal_engine: Any
) -> None:
    here = place(mortal_engine, images.tao_image(mortal_engine, "pyt_7"), {"e1": {}}, epoch_s=30)
    viewer = start(here, "e1")
    rig.restart(mortal_engine.home)
    out, err = viewer.communicate(timeout=120)
    assert viewer.returncode == 1, (out + err).decode()
    assert here.records()["e1"]["reason"] in (
        "ended by SIGTERM, which did not come from taorunner", "killed (SIGKILL), but not by taorunner",
    )  # fmt: skip
    assert here.states() == {"e1": "FAILED"}
    here.is_left_clean()


def test_a_container_removed_by_hand_is_a_lost_run(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    here = place(engine, tao_image("pyt_7"), {"watched": {}, "alone": {"gpu_indices": [1]}}, epoch_s=30)
    viewer = start(here, "watched", "alone")
    watched, alone = (here.records()[name]["handle"] for name in ("watched", "alone"))
    engine.docker("rm", "-f", watched)
    wait_for(lambda: here.states()["watched"] == "LOST")
    kill_with_supervisor(here, viewer)
    engine.docker("rm", "-f", alone)
    shown = here.cli("ps", cwd=here.root)
    wait_for(lambda: here.states()["alone"] == "LOST")
    assert shown.code == 0
    assert here.records()["alone"]["reason"] == "the engine no longer knows this run"
    here.is_left_clean()


def test_a_run_killed_for_memory_says_so(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    here = place(
        engine, tao_image("pyt_7"), {"e1": {}}, epoch_s=2, env={"FAKE_FAIL": "oom_killed", "FAKE_MEMORY_MIB": "900"}
    )  # fmt: skip
    viewer = start(here, "e1")
    limited = engine.docker(
        "update", "--memory", "200m", "--memory-swap", "200m", here.records()["e1"]["handle"]
    )
    assert limited.returncode == 0, limited.stderr
    viewer.communicate(timeout=120)
    record = here.records()["e1"]
    assert record["state"] == "FAILED"
    assert "memory limit was reached" in record["reason"]
    here.is_left_clean()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_a_full_disk_of_results_fails_the_run_and_nothing_else(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    here = place(engine, tao_image("pyt_7"), {"e1": {}}, epoch_s=0.5)
    models = here.root / "projects" / "example_01" / "models"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "tmpfs", str(models)], check=True)
    try:
        viewer = start(here, "e1")
        with pytest.raises(OSError, match="No space"), (models / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 1024)
        out, _ = viewer.communicate(timeout=120)
        record = here.records()["e1"]
        assert (viewer.returncode, record["state"]) == (1, "FAILED"), out.decode()
        assert "disk" in record["reason"] or "space" in record["reason"], record["reason"]
    finally:
        subprocess.run(["umount", "-l", str(models)], check=True)
    here.is_left_clean()


def test_a_torn_record_of_events_is_repaired(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    here = place(engine, tao_image("pyt_7"), {"e1": {}}, epoch_s=0.3, gate=1)
    viewer = start(here, "e1")
    kill_with_supervisor(here, viewer)
    with (here.records()["e1"]["directory"] / "events.jsonl").open("ab") as file:
        file.write(b'{"event": "EpochProgress", "run"')
    with (here.records()["e1"]["directory"] / "console.log").open("ab") as file:
        file.write(b"a line that was written, but not its posit")
    here.goes_on("e1")
    attached = here.cli("attach", cwd=here.root)
    assert attached.code == 0, attached.err
    assert here.states() == {"e1": "SUCCEEDED"}
    here.checks_whole("e1")
    assert "not its posit" not in (here.records()["e1"]["directory"] / "console.log").read_text()
