"""Plans whose exit code alone decides, and the part of a test backend that is the same for all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from taorunner.backends.contract import EngineRequest, Launch, Report
from taorunner.catalog.load import load_network
from taorunner.errors import Finding
from taorunner.planning.model.plan import RunPlan


def plain_plan(root: Path, name: str, **changes: Any) -> RunPlan:
    """An evaluation by the embedded network's contract that needs no status file, artifact or last line."""
    contract = load_network("tinydet").contract("evaluate")
    verdict = replace(
        contract.verdict, success_suffix=None, success_statuses=(), status_required=False, artifacts=()
    )
    results = root / "models" / name
    plan = RunPlan(
        project="p", experiment=name, action="evaluate", backend="local", contract=replace(contract, verdict=verdict),
        argv=("tool", "evaluate"), workspace=root, results_dir=results, results_inside=str(results),
        run_inside="/taorunner/run",
    )  # fmt: skip
    return replace(plan, **changes)


class PlainBackend:
    """A backend without findings and without preparation, whose request runs the plan's arguments."""

    name: str = "local"

    def check(self) -> list[Finding]:
        return []

    def prepare(self, plan: RunPlan, report: Report) -> str | None:
        return None

    def request(self, plan: RunPlan, launch: Launch) -> EngineRequest:
        return EngineRequest(
            run_id=launch.run_id, backend=self.name, argv=plan.argv, command=plan.argv, run_dir=launch.run_dir,
            gpus=launch.gpu_ids,
        )  # fmt: skip

    def command_line(self, request: EngineRequest) -> str:
        return "paste me"
