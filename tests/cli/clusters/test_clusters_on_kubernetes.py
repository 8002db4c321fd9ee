"""``clusters check`` on a stand-in for Kubernetes: what is well is proved, and each fault is a sentence with a next step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli
from kube_cluster import CLAIM, NAMESPACE, KubeCluster

Said = dict[str, tuple[str, str]]
FIELD = "strict decoding error: unknown field"


@pytest.fixture
def checked(
    cli: Cli, kubernetes: KubeCluster, workspace_factory: Callable[..., Path]
) -> Callable[..., tuple[int, Said]]:
    """The exit code; by code the severity of a line, and its message or, of an error, also its hint."""
    root = workspace_factory("experiments:\n  e: {head: dino, dataset: d}\n", data={"d/": ""})

    def check(**settings: Any) -> tuple[int, Said]:
        entry = {"backend": "kubernetes", "workspace": {"claim": CLAIM}, **settings}
        (root / "clusters.yml").write_text(json.dumps({"clusters": {"site": entry}}))
        done = cli("clusters", "check", "site", "--json", cwd=root, env=kubernetes.environment)
        found: Said = {}
        for one in json.loads(done.out):
            hint = f"; {one['hint']}" if one["severity"] != "ok" and one["hint"] else ""
            found[one["code"]] = (one["severity"], one["message"] + hint)
        return done.code, found

    return check


def test_each_line_of_a_good_cluster_is_true_and_nothing_is_made(
    checked: Callable[..., tuple[int, Said]], kubernetes: KubeCluster
) -> None:
    with kubernetes.store.changed:
        body = {"kind": "LocalQueue", "apiVersion": "kueue.x-k8s.io/v1beta1", "metadata": {"name": "team-a"}}
        kubernetes.store.create("localqueues", NAMESPACE, body, strict=False)
    code, said = checked(queue="team-a", nodes=2, memory="64G")
    assert (code, said) == (
        0,
        {
            "cluster-login": ("ok", 'context "stand-in", namespace "vision", Kubernetes v1.33.0'),
            "cluster-rights": ("ok", "your login may create and delete jobs, pods and secrets"),
            "cluster-claim": ("ok", 'the claim "vision-data" is bound, ReadWriteMany'),
            "cluster-queue": ("ok", 'the queue "team-a"'),
            "cluster-job": ("ok", "the server takes such a Job (tried, not made)"),
            "cluster-folder": (
                "info", "not proved: that the claim holds this workspace; each run looks at its start",
            ),
        },
    )  # fmt: skip
    assert kubernetes.store.all("jobs") == []


@pytest.mark.parametrize(
    ("settings", "code", "severity", "text"),
    [
        ({"context": "nope"}, "cluster-login", "error",
         'kubectl cannot use the context "nope": cannot locate context nope; '
         "context: one of those that kubectl config get-contexts lists"),
        ({"workspace": {"claim": "other"}}, "cluster-claim", "error", 'there is no claim "other"; kubectl get pvc'),
        ({"queue": "team-b"}, "cluster-queue", "error",
         'there is no queue "team-b": a run would wait for ever; kubectl get localqueues'),
        ({"image_pull_secrets": ["ngc"]}, "cluster-pull-secret", "error",
         'there is no Secret "ngc" for pulling images; kubectl create secret docker-registry ngc, or another '
         "image_pull_secrets:"),
        ({"namespace": "nowhere"}, "cluster-job", "error",
         'there is no such namespace: namespaces "nowhere" not found; namespace:, one of kubectl get namespaces'),
    ],
)  # fmt: skip
def test_each_fault_is_a_sentence_with_a_next_step(
    checked: Callable[..., tuple[int, Said]], settings: dict[str, Any], code: str, severity: str, text: str
) -> None:
    exit_code, said = checked(**settings)
    assert (exit_code, said.get(code)) == (4, (severity, text)), said


def test_missing_rights_and_a_login_that_has_run_out(
    checked: Callable[..., tuple[int, Said]], kubernetes: KubeCluster
) -> None:
    allow = kubernetes.refuse(403, "Forbidden", "no", "create", resource="jobs")
    code, said = checked()
    text = "your login may not create jobs; kubectl auth can-i create jobs"
    assert (code, said["cluster-rights"]) == (4, ("error", text))
    allow()
    kubernetes.refuse(403, "Forbidden", "no", "create", resource="secrets")
    code, said = checked()
    assert (code, said["cluster-rights"][0], "cluster-shell" in said) == (0, "warning", False)
    kubernetes.refuse(403, "Forbidden", "no", "create", resource="pods/exec")
    code, said = checked()
    text = "your login may not create pods/exec: shell --cluster is refused, runs are not; kubectl auth can-i create pods/exec"
    assert (code, said["cluster-shell"]) == (0, ("warning", text))
    kubernetes.refuse(401, "Unauthorized", "Unauthorized", "GET")
    code, said = checked()
    assert (
        code,
        said["cluster-login"][1].startswith('the login for the context "stand-in" has expired'),
    ) == (4, True)
