"""Links that appear in the results while a run on this machine goes on, with real processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from plain_runs import plain_plan

from taorunner.backends.process.backend import LocalBackend
from taorunner.events import Notice, RunState, now
from taorunner.gpu.inventory import Inventory
from taorunner.gpu.leases import Leases
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.batch_runner import BatchRunner
from taorunner.scheduling.gpu_allocator import FreeGpus

RUN = "20261120-000000-e1-evaluate-aaaaaa"


@pytest.mark.parametrize(
    ("link", "target", "forced", "is_named"),
    [
        ("train/latest", "../../../elsewhere", (), True),
        ("train/latest", "../../../elsewhere", ("link-in-results",), False),
        ("latest", "epoch_1.pth", (), False),
        ("latest", "/workspace/of/a/container", (), False),
    ],
)
def test_a_link_that_leads_out_is_named_at_the_end(
    tmp_path: Path, link: str, target: str, forced: tuple[str, ...], is_named: bool
) -> None:
    results = tmp_path / "models" / "e1"
    (results / "train").mkdir(parents=True)
    (results / "epoch_1.pth").touch()
    (tmp_path / "elsewhere").touch()
    plan = plain_plan(tmp_path, "e1", argv=("ln", "-s", target, str(results / link)), forced=forced)
    store = RunStore(tmp_path / ".taorunner")
    batch = create_batch(store, [(RUN, plan)], now(), environ={})
    gpus = FreeGpus(Leases(tmp_path / "leases"), Inventory)
    BatchRunner(store, batch, make_backend=lambda _: LocalBackend(), gpus=gpus, environ=os.environ).run()
    assert store.load(RUN).state is RunState.SUCCEEDED
    notices = [one for one in store.read_events(RUN)[0] if isinstance(one, Notice)]
    expected = (
        f'"{link}" in the results leads to "{tmp_path}/elsewhere", and did not when the run began: it may have '
        f"written there; remove what you did not make: find {results} -type l"
    )
    assert [(one.code, one.text) for one in notices] == ([("link-in-results", expected)] if is_named else [])
