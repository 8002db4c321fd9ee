"""Which disk was full: from TAO's own words, seen from inside a container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from plain_runs import plain_plan

from taorunner.catalog.load import load_network
from taorunner.container_options import Mount
from taorunner.planning.inputs.argv import ArgumentValues
from taorunner.planning.model.plan import RunPlan
from taorunner.progress.causes.cause import Place, SeenCause
from taorunner.progress.causes.table import find_cause
from taorunner.progress.verdict import Facts, Verdict, judge
from taorunner.runs.supervisor.full_disk import _emptiest, with_full_disk_named

TENSORFLOW = (
    "ResourceExhaustedError: {{node SaveV2}} /tmp/tmp5/part-0.tempstate1; No space left on device [Op:SaveV2]"
)
MOVED = "OSError: [Errno 28] No space left on device: '/tmp/tmpx' -> '/workspace/projects/p/models/e1/m.pth'"


def causes_of(line: str) -> tuple[SeenCause, ...]:
    found = find_cause(line, 2, Place.EXCEPTION)
    return () if found is None else (found,)


def judged(tmp_path: Path, line: str, env: dict[str, str] | None = None) -> Verdict:
    results = tmp_path / "projects/p/models/e1"
    results.mkdir(parents=True)
    plan = RunPlan(
        project="p", experiment="e1", action="train", backend="docker", argv=(), arguments=ArgumentValues({}),
        contract=load_network("dino").contract("train"), workspace=tmp_path, results_dir=results,
        results_inside="/workspace/projects/p/models/e1", run_inside="/taorunner/run", env=env or {},
        mounts=(Mount(tmp_path / "projects", "/workspace/projects"),),
    )  # fmt: skip
    facts = Facts(action="train", exit_code=1, traceback=line, epoch=2, causes=causes_of(line))
    verdict = judge(plan.contract.verdict, facts)

    def host_path(inside: str) -> Path | None:
        shared = "/workspace/projects/"
        return tmp_path / "projects" / inside.removeprefix(shared) if inside.startswith(shared) else None

    return with_full_disk_named(plan, verdict, facts, host_path, {"TMPDIR": "/of/the/host"})


def test_temporary_files_of_a_container_lie_on_the_disk_of_the_engine(tmp_path: Path) -> None:
    found = judged(tmp_path, TENSORFLOW)
    assert found.reason == 'the disk is full at epoch 2: temporary files in "/tmp"'
    assert found.hint == (
        '"/tmp/tmp5/part-0.tempstate1" lies inside the container, on the disk of the engine: docker system df; '
        'or set "TMPDIR" in "env" of the experiment to a folder on a larger disk'
    )


def test_results_are_named_as_they_lie_on_this_host(tmp_path: Path) -> None:
    found = judged(tmp_path, MOVED)
    assert found.reason == f'the disk is full at epoch 2: "{tmp_path}/projects/p/models/e1/m.pth"'
    assert found.hint is not None and found.hint.startswith('the file system "')
    assert found.hint.endswith(" free: free some, or point the mounts at a larger disk")


@pytest.mark.parametrize(
    "line", ["OSError: [Errno 28] No space left on device: '/dev/shm/torch_1'", "KeyError: 'x'"]
)
def test_other_causes_stay_as_they_are(line: str, tmp_path: Path) -> None:
    found = judged(tmp_path, line)
    facts = Facts(action="train", exit_code=1, traceback=line, epoch=2, causes=causes_of(line))
    assert found == judge(load_network("dino").contract("train").verdict, facts)


def test_where_no_file_is_named_it_is_the_disk_with_less_room(
    tmp_path: Path, mount: Callable[[str], Path]
) -> None:
    small, large = mount("size=1m"), mount("size=64m")
    plan = plain_plan(tmp_path, "e1", results_dir=large / "results")
    assert _emptiest(plan, small) == (small, True)
    assert _emptiest(plan, None) == (large / "results", False)
    assert _emptiest(plan, large / "tmp") == (large / "results", False)
    plan = plain_plan(tmp_path, "e1", results_dir=small / "results")
    assert _emptiest(plan, large) == (small / "results", False)
