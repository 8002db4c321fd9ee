"""A worker reads every byte that its run printed, once."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from broken_attach import broken_attach

from taorunner.backends.contract import EngineState, Launch
from taorunner.backends.docker.backend import DockerBackend
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.supervisor.poller import Poller
from taorunner.runs.supervisor.worker import Ended, Message, Printed, Worker

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("pause_s", ["0", "0.2", "1"])
@pytest.mark.parametrize("after", [b"", b"one"])
def test_output_is_whole_when_the_live_connection_breaks(
    docker: DockerBackend, make_plan: Callable[..., RunPlan], make_launch: Callable[..., Launch],
    noop_image: str, engine: Any, tmp_path: Path, pause_s: str, after: bytes,
) -> None:  # fmt: skip
    bars = "i=0; while [ $i -lt 6000 ]; do printf '\\342\\226\\210'; i=$((i+1)); done"
    plan = make_plan("sh", "-c", f"echo one; {bars}; sleep {pause_s}; printf '\\rlast'", image=noop_image)
    inbox: queue.Queue[Message] = queue.Queue()
    with broken_attach(engine.url, tmp_path, after) as address:
        backend = DockerBackend({"DOCKER_HOST": address})
        launch = make_launch()
        worker = Worker(
            backend, plan, launch, inbox, lambda: (launch.run_dir / "input").mkdir(), statuses=Poller(backend)
        )
        worker.start()
        worker.join(60)
        if backend._engine is not None:
            backend._engine.api.close()
    messages: list[Message] = []
    while not inbox.empty():
        messages.append(inbox.get())
    printed = b"".join(message.data for message in messages if isinstance(message, Printed))
    assert not any(message.unkept for message in messages if isinstance(message, Printed))
    replaced = "\u2588" * 5461 + "\ufffd" * 3 + "\u2588" * 538
    assert printed.decode() == f"one\n{replaced}\rlast"
    ended = messages[-1]
    assert isinstance(ended, Ended) and ended.status is not None
    assert (ended.status.state, ended.status.exit_code) == (EngineState.EXITED, 0)
