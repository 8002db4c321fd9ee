"""Lines that are cut, hosts that are gone for a while, keepers that are killed: runs go on, and their logs are whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable

import pytest
from remote_runs import Runs

from taorunner.backends.contract import EngineState, LogPosition
from taorunner.errors import MachineError

CUTS = int(os.environ.get("TAORUNNER_TEST_CUTS", "3"))
"""How often a line is cut; more of them by hand."""


def numbered(text: str) -> str:
    """The lines that such a run has printed."""
    return "".join(f"line {number}\n" for number in range(1, text.count("\n") + 1))


def has_grown(runs: Runs) -> Callable[[], bool]:
    """Whether more was read since this call."""
    seen = len(runs.output)
    return lambda: len(runs.output) > seen


def test_a_log_is_whole_after_the_line_was_cut_while_it_was_read(runs: Runs) -> None:
    counts = runs.gated("exit 7")
    handle = runs.submit(counts)
    reader = runs.followed(handle)
    for _ in range(CUTS):
        runs.until(has_grown(runs))
        runs.host.cut()
    runs.open_gate()
    assert runs.becomes(handle, EngineState.EXITED).exit_code == 7
    reader.join(60)
    assert runs.output == numbered(runs.output) and len(runs.output) > 0
    printed = next(iter(runs.there.glob(".taorunner/runs/*/docker/console.log"))).read_text()
    assert runs.output == printed
    runs.backend.remove(handle)
    assert not list(runs.there.glob(".taorunner/runs/*"))


def test_a_run_goes_on_while_its_host_cannot_be_reached(runs: Runs) -> None:
    handle = runs.submit(runs.gated("exit 7"))
    reader = runs.followed(handle)
    runs.until(lambda: bool(runs.output))
    runs.host.down()
    status = runs.status(handle)
    assert (status.state, "cannot be reached" in (status.silent or "")) == (EngineState.RUNNING, True)
    assert " (since " in (status.silent or "")
    with pytest.raises(MachineError, match="cannot be reached"):
        runs.backend.stop(handle, 1)
    runs.until(lambda: any(chunk.notice for chunk in runs.chunks))
    runs.open_gate()
    runs.until(lambda: bool(list(runs.there.glob(".taorunner/runs/*/docker/exit"))))
    assert runs.status(handle).state is EngineState.RUNNING
    runs.host.up()
    assert runs.becomes(handle, EngineState.EXITED).exit_code == 7
    reader.join(60)
    assert runs.output == numbered(runs.output)
    notices = [chunk.notice for chunk in runs.chunks if chunk.notice]
    assert (len(notices), notices[1]) == (2, "the host answers again")
    runs.backend.remove(handle)


def test_a_killed_keeper_is_started_again_and_goes_on_in_the_log(
    runs: Runs, person: Callable[[str], Runs]
) -> None:
    handle = runs.submit(runs.gated("exit 7", gpus=2))
    runs.becomes(handle, EngineState.RUNNING)
    reader = runs.followed(handle)
    runs.until(lambda: bool(runs.output))
    (killed,) = runs.keepers(handle)
    os.kill(killed, signal.SIGKILL)
    other = person("bob")
    waiting = other.start("echo mine", gpus=1)
    assert "GPU 0 (run" in (said := other.waits(waiting)) and said.count("whose keeper was killed") == 2
    again = runs.another()
    assert again.inspect([handle])[handle.run_id].state is EngineState.RUNNING  # it looks after keepers
    runs.until(lambda: len(runs.keepers(handle)) == 1)
    runs.open_gate()
    assert runs.becomes(handle, EngineState.EXITED).exit_code == 7
    reader.join(60)
    assert runs.output == numbered(runs.output)
    assert other.becomes(waiting, EngineState.EXITED).exit_code == 0
    whole = b"".join(chunk.data for chunk in other.backend.logs(waiting, LogPosition()))
    assert whole == b"mine\n"
    for one, run in ((runs, handle), (other, waiting)):
        one.backend.remove(run)


def test_what_was_removed_there_has_ended(runs: Runs) -> None:
    gone, cleared = runs.submit(runs.gated("exit 7")), runs.submit(runs.gated("exit 7"))
    for handle in (gone, cleared):
        runs.becomes(handle, EngineState.RUNNING)
    subprocess.run(["docker", "-H", runs.engine_url, "rm", "-f", gone.id], check=True, capture_output=True)
    end = runs.becomes(gone, EngineState.EXITED).end
    assert end is not None and end.reason == 'its container was removed on "gpu-box"'
    (killed,) = runs.keepers(cleared)
    os.kill(killed, signal.SIGKILL)
    shutil.rmtree(runs.there / ".taorunner/runs" / cleared.run_id)
    end = runs.another().inspect([cleared])[cleared.run_id].end
    assert end is not None and end.reason == 'its folder was removed on "gpu-box"'
    for handle in (gone, cleared):
        runs.backend.remove(handle)
