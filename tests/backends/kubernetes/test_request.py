"""What is submitted: accepted by three versions of Kubernetes, and without a secret."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube_runs import KubeRuns
from published_schemas import VERSIONS, problems

from taorunner.backends.contract import Launch
from taorunner.backends.kubernetes.backend import KubernetesBackend
from taorunner.backends.kubernetes.manifest import kube_job, object_name, secret, service
from taorunner.backends.kubernetes.request import KubernetesRequest, kubernetes_request
from taorunner.backends.secrets import write_secrets
from taorunner.container_options import Mount
from taorunner.contracts import CheckpointContract
from taorunner.errors import EngineRefusedError
from taorunner.planning.model.plan import GpuRequest, RenderedSpec, Resources, RunPlan, SecretSource
from taorunner.values.value import replace

CANARY = "nvapi-canary-4711"
EVERYTHING = {
    "workspace": {"claim": "vision-data", "path": "team/ws"}, "queue": "team-a", "priority_class": "high",
    "service_account": "tao", "runtime_class": "nvidia", "image_pull_secrets": ["ngc"], "labels": {"team": "vision"},
    "node_selector": {"gpu": "h100"}, "tolerations": [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 5}],
    "volumes": [{"here": "/data/coco", "claim": "datasets", "path": "coco"}], "env": {"NCCL_DEBUG": "INFO"},
}  # fmt: skip


@pytest.fixture
def made(
    make_plan: Callable[..., RunPlan], make_launch: Callable[..., Launch]
) -> Callable[..., KubernetesRequest]:
    def make(*argv: str, options: dict[str, Any] | None = None, **fields: Any) -> KubernetesRequest:
        settings = {"workspace": {"claim": "vision-data"}, **(options or {})}
        words = argv or ("dino", "train")
        fields = {"image": "nvcr.io/x/tao:1", **fields}
        plan = make_plan(*words, backend="kubernetes", backend_options=settings, **fields)
        return kubernetes_request(plan, make_launch(), "kubernetes")

    return make


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_accepts_all_of_it(
    made: Callable[..., KubernetesRequest], tmp_path: Path, version: str
) -> None:
    resources = Resources(nodes=2, gpus=GpuRequest(8), cpus=16, memory_bytes=64 << 30, time_s=3600)
    secrets = (SecretSource("key", f"literal:{CANARY}", variable="NGC_KEY"),)
    mounts = (
        Mount(Path("/data/coco/train"), "/data", read_only=True),
        Mount(tmp_path / "results", "/results"),
    )
    small = made()
    whole = made(options=EVERYTHING, resources=resources, secrets=secrets, mounts=mounts)
    whole = replace_job(whole, user=(1000, 1000), groups=(44,), workdir="/workspace")
    for request in (small, whole):
        files = {name: CANARY.encode() for name in request.job.secrets}
        for body in (kube_job(request.job), service(request.job), secret(request.job, files)):
            assert body is None or problems(body, version) == []


def replace_job(request: KubernetesRequest, **changes: Any) -> KubernetesRequest:
    return dataclasses.replace(request, job=replace(request.job, **changes))


def test_a_misspelt_field_is_found_by_each_version(made: Callable[..., KubernetesRequest]) -> None:
    body = kube_job(made().job)
    body["spec"]["template"]["spec"]["containers"][0]["resorces"] = {}
    for version in VERSIONS:
        assert problems(body, version) == ['unknown field "spec.template.spec.containers.0.resorces"']


def test_the_manifest_of_a_dry_run_is_the_job_that_is_sent(made: Callable[..., KubernetesRequest]) -> None:
    request = made("dino", "train", "$(HOME)", "$$", resources=Resources(nodes=2, gpus=GpuRequest(1)))
    found = list(yaml.safe_load_all(request.scripts["kubernetes/job.yaml"]))
    assert found == [json.loads(json.dumps(body)) for body in (service(request.job), kube_job(request.job))]
    container = found[1]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["dino", "train", "$$(HOME)", "$$$"]
    script = container["command"][2].replace("$$(", "$(")
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


def test_paths_of_the_workspace_become_paths_of_its_claim(
    made: Callable[..., KubernetesRequest], tmp_path: Path
) -> None:
    mounts = (
        Mount(tmp_path / "projects", "/workspace", read_only=True),
        Mount(Path("/data/coco/a"), "/data"),
    )
    request = made(options=EVERYTHING, mounts=mounts)
    name = request.run_id
    assert [(one.claim, one.path, one.target, one.read_only) for one in request.job.mounts] == [
        ("vision-data", "team/ws/projects", "/workspace", True),
        ("datasets", "coco/a", "/data", False),
        ("vision-data", f"team/ws/.taorunner/runs/{name}/input", "/taorunner/run", True),
        ("vision-data", f"team/ws/.taorunner/runs/{name}/kubernetes/pod", "/taorunner/state", False),
    ]
    with pytest.raises(EngineRefusedError, match='"/elsewhere/x" is on no claim of the cluster'):
        made(mounts=(Mount(Path("/elsewhere/x"), "/x"),))


@pytest.mark.parametrize(
    ("globs", "nodes", "action"), [((), 1, "Ignore"), (("*.pth",), 1, "FailJob"), ((), 2, "FailJob")]
)
def test_an_eviction_starts_only_what_can_go_on(
    made: Callable[..., KubernetesRequest], globs: tuple[str, ...], nodes: int, action: str,
    make_plan: Callable[..., RunPlan],
) -> None:  # fmt: skip
    contract = replace_contract(make_plan("x"), globs)
    request = made(contract=contract, resources=Resources(nodes=nodes))
    assert kube_job(request.job)["spec"]["podFailurePolicy"]["rules"][0]["action"] == action


def replace_contract(plan: RunPlan, globs: tuple[str, ...]) -> Any:
    return dataclasses.replace(plan.contract, checkpoints=CheckpointContract(globs=globs))


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("20261130-101010-dino-train-ab12cd", "tr-20261130-101010-dino-train-ab12cd"),
        ("20261130-101010-Dino_01-train-ab12cd", "tr-20261130-101010-dino-01-train-ab12-"),
        ("x" * 80, "tr-" + "x" * 34 + "-"),
    ],
)
def test_names_are_valid_and_distinct(run_id: str, name: str) -> None:
    found = object_name(run_id)
    assert found.startswith(name) and len(found) <= 46 and found == found.lower()
    assert object_name(run_id + "y") != found


def test_a_canary_is_in_no_object_but_the_secret_and_the_run_has_it(
    kube_runs: KubeRuns, tmp_path: Path
) -> None:
    spec = RenderedSpec(tmp_path / "s.yaml", "train.yaml", "encryption_key: x\n", "/taorunner/run/train.yaml")
    secrets = (
        SecretSource("key", f"literal:{CANARY}", variable="NGC_KEY"),
        SecretSource("word", f"literal:{CANARY}-word"),
        SecretSource("of_spec", f"literal:{CANARY}-spec", spec_key="encryption_key"),
    )
    script = (
        'echo "${#NGC_KEY} ${#0}"; wc -c </taorunner/run/secrets/spec/train.yaml; '
        "stat -c %a /taorunner/run/secrets/key; touch /taorunner/state/up; sleep 600 & wait"
    )
    plan = kube_runs.made(script, "@TAORUNNER_SECRET_word@", secrets=secrets, spec=spec)
    backend, launch = KubernetesBackend(), kube_runs.launch()
    write_secrets(plan, launch.run_dir, {})
    handle = backend.submit(backend.request(plan, launch)).handle
    kube_runs.prints(handle, "400")
    console = (handle.run_dir / "kubernetes/pod/console.log").read_text()
    assert console == f"{len(CANARY)} {len(CANARY) + 5}\n{len('encryption_key: ') + len(CANARY) + 6}\n400\n"
    store = kube_runs.cluster.store
    with store.changed:
        for resource in ("jobs", "pods", "events", "services"):
            assert CANARY not in json.dumps(store.all(resource))
        (kept,) = store.all("secrets")
        assert [one["kind"] for one in kept["metadata"]["ownerReferences"]] == ["Job"]
    name = kube_runs.name(handle)
    for words in (
        ("describe", "job", name),
        ("describe", "pods"),
        ("describe", "secret", name),
        ("logs", f"job/{name}"),
    ):
        shown = subprocess.run(["kubectl", *words], capture_output=True, text=True, check=False)
        assert CANARY not in shown.stdout + shown.stderr, words
    manifest = (handle.run_dir / "kubernetes/job.yaml").read_text()
    assert CANARY not in manifest and f"a Secret {name} with 5 files" in manifest
    backend.remove(handle)
    with store.changed:
        assert store.all("secrets") == []
