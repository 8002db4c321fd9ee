"""Runs on a stand-in for a Kubernetes cluster, as a shell sees them: trained to the end, stopped, evicted, refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli
from kube_cluster import CLAIM, KubeCluster
from launch_workspaces import good_workspace

SECRET = "nvapi-canary-4711"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return good_workspace(tmp_path / "workspace", "dino")


@pytest.fixture
def run(
    cli: Cli, workspace: Path, kubernetes: KubeCluster, tao_image: Callable[..., str]
) -> Iterator[Callable[..., Any]]:
    """``run("train", "e1", …)`` on the cluster ``lab``; ``fakes`` steer the stand-in for TAO there."""
    file = workspace / "projects/p/experiments.yml"
    text = json.loads(file.read_text())
    text["experiments"]["e1"] |= {"image": tao_image("pyt_7"), "release": "7.0.1", "gpus": 1}
    file.write_text(json.dumps(text))

    def call(*words: str, fakes: dict[str, object] | None = None, **settings: object) -> Any:
        lab = {
            "backend": "kubernetes",
            "workspace": {"claim": CLAIM, "path": "workspace"},
            "env": fakes or {},
        }
        clusters = {"clusters": {"lab": {**lab, **settings}}}
        (workspace / "clusters.yml").write_text(json.dumps(clusters))
        return cli(*words, cwd=workspace, env=kubernetes.environment)

    yield call
    cli("stop", "--all", cwd=workspace, env=kubernetes.environment)


def test_a_training_runs_to_its_end_and_leaves_nothing_behind(
    run: Callable[..., Any], workspace: Path, kubernetes: KubeCluster
) -> None:
    done = run("train", "e1", "--cluster", "lab")
    assert done.code == 0, done.out + done.err
    (row,) = run("runs", "list", "--json").json
    assert (row["state"], row["epoch"], row["cluster"]) == ("SUCCEEDED", 2, "lab")
    with kubernetes.store.changed:
        assert [one for kind in ("jobs", "pods", "secrets") for one in kubernetes.store.all(kind)] == []


def test_secrets_are_in_no_manifest_and_no_log(
    run: Callable[..., Any], workspace: Path, kubernetes: KubeCluster
) -> None:
    file = workspace / "projects/p/experiments.yml"
    text = json.loads(file.read_text())
    text["experiments"]["e1"]["env"] = {"WANDB_API_KEY": f"literal:{SECRET}"}
    file.write_text(json.dumps(text))
    done = run("train", "e1", "--cluster", "lab", "--dry-run")
    assert done.code == 0 and "kind: Job" in done.out and SECRET not in done.out, done.out + done.err
