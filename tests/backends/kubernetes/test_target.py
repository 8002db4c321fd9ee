"""Each wrong setting of a Kubernetes cluster is found at its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from taorunner.project.clusters.cluster_file import load_clusters
from taorunner.project.workspace import Workspace

GOOD = "    workspace: {claim: vision-data, path: ws}\n"


def found(tmp_path: Path, lines: str) -> list[tuple[int | None, int | None, str, str | None]]:
    workspace = Workspace(tmp_path)
    text = f"clusters:\n  lab:\n    backend: kubernetes\n{lines}"
    workspace.clusters_file.write_text(text)
    environ = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "none")}
    return [
        (one.line, one.column, one.message, one.hint) for one in load_clusters(workspace, environ).findings
    ]


def test_all_settings_at_once_are_right(tmp_path: Path) -> None:
    lines = GOOD + (
        "    context: lab-admin\n    namespace: vision\n    queue: team-a\n    priority_class: high\n"
        "    volumes: [{here: /data/coco, claim: datasets, path: coco}]\n    service_account: tao\n"
        "    runtime_class: nvidia\n    image_pull_secrets: [ngc]\n    labels: {team: vision}\n"
        "    node_selector: {nvidia.com/gpu.product: NVIDIA-H100-80GB-HBM3}\n    shm_size: 16G\n"
        "    tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]\n    requeue: 3\n"
        "    gpu_resource: amd.com/gpu\n    env: {NCCL_DEBUG: INFO}\n    max_submitted: 10\n"
        "    unknown_after_s: 60\n    memory: 64G\n    nodes: 2\n    cpus: 8\n    time: 12h\n"
    )
    assert found(tmp_path, lines) == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (GOOD + "    quue: team-a\n", (5, 5, 'the backend "kubernetes" has no setting "quue"', 'did you mean "queue"?')),
        (GOOD + "    namespace: Vision\n", (5, 16, '"namespace" must be the name of a namespace, not "Vision"', None)),
        ("    workspace: {clain: x}\n", (4, 17, '"workspace.clain" is no setting', 'did you mean "claim"?')),
        (
            "    workspace: {claim: x, path: ../y}\n",
            (4, 33, '"workspace.path" must be a folder in the claim, without .. and without a slash at its start', None),
        ),
        (
            GOOD + "    tolerations:\n      - {key: gpu, operator: Is}\n",
            (6, 30, '"tolerations.0.operator" must be Exists or Equal', None),
        ),
        (
            GOOD + "    volumes:\n      - {here: data, claim: x}\n",
            (6, 16, '"volumes.0.here" must be an absolute path of this machine', None),
        ),
        (
            GOOD + "    node_selector: {gpu: 8}\n",
            (5, 20, '"node_selector" must be a mapping of labels of nodes to values in quotes, not a mapping', None),
        ),
        (
            "    queue: q\n",
            (3, 5, 'the backend "kubernetes" needs "workspace"',
             "workspace: {claim: NAME, path: FOLDER}, the claim on which this workspace lies"),
        ),
    ],
)  # fmt: skip
def test_a_wrong_setting_has_its_line(
    tmp_path: Path, lines: str, expected: tuple[int, int, str, str | None]
) -> None:
    assert expected in found(tmp_path, lines)
