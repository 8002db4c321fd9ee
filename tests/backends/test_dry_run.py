"""The request and the files of a dry run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from taorunner.backends.dry_run import dry_run_sites, simulate
from taorunner.container_options import ContainerOptions, Mount
from taorunner.planning.model.plan import GpuRequest, RenderedSpec, Resources, RunPlan


def test_one_folder_for_each_action(tmp_path: Path) -> None:
    site = dry_run_sites(tmp_path, "p")("e", "train")
    assert (site.run_id, site.run_dir) == ("dry-run-p-e-train", tmp_path / "p-e-train")


def test_a_dry_run_writes_the_spec_and_changes_nothing_else(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    plan = make_plan(
        "dino", "train", image="tao:5", results_dir=results, mounts=(Mount(results, "/results"),),
        spec=RenderedSpec(Path("t.yaml"), "train.yaml", "a: 1\n", "/taorunner/run/train.yaml"),
        resources=Resources(gpus=GpuRequest(2)), options=ContainerOptions(user="1:2"),
    )  # fmt: skip
    site = dry_run_sites(tmp_path / ".taorunner/dry-run", "p")("e", "train")
    done = simulate(plan, site)
    assert done.spec is not None and done.spec.read_text() == "a: 1\n"
    assert done.spec.is_relative_to(site.run_dir)
    assert done.request.gpus == ("0", "1")
    assert done.command_line.startswith(f"mkdir -p {results} && docker run ")
    assert not results.exists()
    body = done.to_json()
    assert (body["image"], body["gpus"], body["user"], body["spec"]) == (
        "tao:5",
        ["0", "1"],
        "1:2",
        str(done.spec),
    )
    assert body["docker_run"] == done.command_line
    assert {"source": str(results), "target": "/results", "read_only": False} in body["mounts"]
    results.mkdir()
    assert simulate(plan, site).command_line.startswith("docker run ")


def test_named_gpus_are_kept_and_a_process_has_no_docker_command(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    plan = make_plan("sh", "-c", "a b", backend="local", resources=Resources(gpus=GpuRequest(1, ("3",))))
    done = simulate(plan, dry_run_sites(tmp_path / "d", "p")("e", "train"))
    body = done.to_json()
    assert (body["gpus"], body["spec"], body["docker_run"], body["backend"]) == (["3"], None, None, "local")
    assert "'a b'" in done.command_line and "mkdir" not in done.command_line
