"""Files of a run are its own, whatever the machine's clock does meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from taorunner.backends.base import EngineState, EngineStatus
from taorunner.catalog.load import load_network
from taorunner.events import RunState
from taorunner.planning.plan import RunPlan
from taorunner.runs.evidence import Evidence

LAUNCHED_S = 1_800_000_000.0
HOUR_S = 3600.0


@pytest.fixture
def ends(tmp_path: Path) -> Callable[..., RunState]:
    """How a training is judged that wrote its model ``wrote_after_s`` by the steady clock and then said PASS."""

    def run(*, set_by_s: float, wrote_after_s: float = 60.0) -> RunState:
        contract = load_network("dino").contract("train")
        plan = RunPlan(
            project="p", experiment="e", action="train", backend="docker", contract=contract, argv=("x",),
            workspace=tmp_path, results_dir=tmp_path, results_inside=str(tmp_path), run_inside="/r",
        )  # fmt: skip
        steady, wall = [500.0], [LAUNCHED_S]
        evidence = Evidence(
            plan, "r", datetime.fromtimestamp(LAUNCHED_S, timezone.utc),
            wall_clock=lambda: wall[0], steady_clock=lambda: steady[0],
        )  # fmt: skip
        steady[0] += 90.0
        wall[0] += 90.0 + set_by_s
        model = tmp_path / "train" / "model_epoch_000_step_00004.pth"
        model.parent.mkdir()
        model.write_bytes(b"weights")
        stamped = LAUNCHED_S + wrote_after_s + set_by_s
        os.utime(model, (stamped, stamped))
        at = datetime.fromtimestamp(wall[0], timezone.utc)
        told = {
            "date": "1/1/2027",
            "time": "0:0:0",
            "status": "SUCCESS",
            "message": "Train finished successfully.",
        }
        (model.parent / "status.json").write_text(json.dumps(told) + "\n")
        evidence.printed(b"Execution status: PASS\n", at)
        verdict, _ = evidence.judge(EngineStatus(EngineState.EXITED, 0), stop_requested=False, at=at)
        assert verdict.state is RunState.SUCCEEDED or "nothing was trained" in verdict.reason, verdict
        return verdict.state

    return run


@pytest.mark.parametrize("set_by_s", [0.0, -HOUR_S, -26 * HOUR_S, HOUR_S])
def test_a_clock_that_is_set_changes_no_verdict(ends: Callable[..., RunState], set_by_s: float) -> None:
    assert ends(set_by_s=set_by_s) is RunState.SUCCEEDED


@pytest.mark.parametrize("set_by_s", [0.0, -HOUR_S])
def test_a_model_from_before_the_launch_is_still_not_this_runs(
    ends: Callable[..., RunState], set_by_s: float
) -> None:
    assert ends(set_by_s=set_by_s, wrote_after_s=-10 * 60.0) is RunState.FAILED
