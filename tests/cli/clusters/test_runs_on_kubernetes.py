"""Runs on a stand-in for a Kubernetes cluster, as a shell sees them: trained to the end, waiting, stopped, resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, wait_for
from kube_cluster import CLAIM, KubeCluster
from launch_workspaces import good_workspace


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
    text["experiments"]["e1"] |= {
        "image": tao_image("pyt_7"),
        "release": "7.0.1",
        "gpus": 1,
        "cluster": "lab",
    }
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
    run: Callable[..., Any], kubernetes: KubeCluster
) -> None:
    shown = run("train", "e1", "--dry-run")
    assert (shown.code, "kind: Job" in shown.out, "kubectl create -f" in shown.out) == (0, True, True)
    found = run("validate")
    assert found.code == 0, found.out + found.err
    done = run("train", "e1")
    assert done.code == 0, done.out + done.err
    (row,) = run("runs", "list", "--json").json
    assert (row["state"], row["epoch"], row["cluster"]) == ("SUCCEEDED", 2, "lab")
    with kubernetes.store.changed:
        assert [one for kind in ("jobs", "pods", "secrets") for one in kubernetes.store.all(kind)] == []


def test_a_run_that_waits_says_why_and_trains_when_it_may(
    run: Callable[..., Any], kubernetes: KubeCluster
) -> None:
    for node in kubernetes.machinery.nodes.values():
        node.gpus = 0
    assert run("train", "e1", "-d").code == 0
    text = "no node has 1 free GPU (of 2 nodes: 2 Insufficient nvidia.com/gpu)"
    wait_for(lambda: text in json.dumps(run("ps", "--json").json), 60)
    assert "no node has 1 free GPU" in run("ps").out
    for node in kubernetes.machinery.nodes.values():
        node.gpus = 4
    done = run("attach")
    assert done.code == 0, done.out + done.err
    (row,) = run("runs", "list", "--json").json
    assert row["state"] == "SUCCEEDED"
    assert run("logs", row["id"]).out.endswith("Execution status: PASS\n")


def test_a_stopped_training_is_resumed_from_its_checkpoint(
    run: Callable[..., Any], kubernetes: KubeCluster, workspace: Path
) -> None:
    slow = {"FAKE_EPOCH_S": "1"}
    assert run("train", "e1", "-d", "--epochs", "30", fakes=slow).code == 0
    results = workspace / "projects/p/models/e1"
    wait_for(lambda: any(results.rglob("*.pth")), 90)
    (row,) = run("ps", "--json").json
    stopped = run("stop", row["id"])
    assert stopped.code == 0, stopped.out + stopped.err
    (row,) = run("runs", "list", "--json").json
    assert row["state"] == "STOPPED"
    with kubernetes.store.changed:
        assert kubernetes.store.all("jobs") == []
    shown = run("resume", "e1", "--dry-run")
    assert (shown.code, "resumes after epoch" in shown.err) == (0, True), shown.out + shown.err


def test_a_run_that_no_node_takes_for_half_an_hour_says_so_once(
    run: Callable[..., Any], workspace: Path, kubernetes: KubeCluster
) -> None:
    for node in kubernetes.machinery.nodes.values():
        node.is_cordoned = True
    done = run("train", "e1", "-d")
    assert done.code == 0, done.out + done.err
    wait_for(lambda: any(pod["status"]["conditions"] for pod in kubernetes.store.all("pods")))
    with kubernetes.store.changed:
        (pod,) = kubernetes.store.all("pods")
        pod["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
        kubernetes.store.touch(pod)
    (events,) = workspace.glob(".taorunner/runs/*/events.jsonl")
    wait_for(lambda: "long-wait" in events.read_text())
    for node in kubernetes.machinery.nodes.values():
        node.is_cordoned = False
    wait_for(lambda: run("runs", "list", "--json").json[0]["state"] == "SUCCEEDED")
    assert (
        events.read_text().count("no node has taken it for 30 minutes: fewer gpus, or another cluster") == 1
    )
