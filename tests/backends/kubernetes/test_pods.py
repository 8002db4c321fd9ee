"""What a pod is given: its user, its memory, its files, its rank on several nodes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from kube_runs import KubeRuns

from taorunner.backends.contract import EngineEnd, EngineState, LogPosition
from taorunner.backends.kubernetes.backend import KubernetesBackend
from taorunner.backends.secrets import write_secrets
from taorunner.container_options import ContainerOptions
from taorunner.planning.model.plan import SecretSource

USER = 1500


def test_another_user_reads_its_secrets_and_writes_only_its_own_folder(
    kube_runs: KubeRuns, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root starts runs of another user")
    for folder in (tmp_path, *tmp_path.parents):  # another user must reach the files
        if (
            folder.parent != folder
            and folder.stat().st_uid == 0
            and folder.name.startswith(("test", "pytest", "popen", "tao"))
        ):
            folder.chmod(0o755)
    secrets = (SecretSource("key", "literal:word", variable="NGC_KEY"),)
    script = (
        "id -u; echo $NGC_KEY; stat -c '%a %u' /taorunner/run/secrets/env/NGC_KEY; df -m /dev/shm | tail -n1 | tr -s ' ' | cut -d' ' -f2; "
        "touch /taorunner/run/x 2>/dev/null && echo wrote; umask"
    )
    plan = kube_runs.made(script, secrets=secrets, options={"shm_size": "64M"})
    plan = plan.__class__(**{**vars(plan), "options": ContainerOptions(user=f"{USER}:{USER}")})
    backend, launch = KubernetesBackend(), kube_runs.launch()
    write_secrets(plan, launch.run_dir, {})
    handle = backend.submit(backend.request(plan, launch)).handle
    assert kube_runs.ended(handle).exit_code is not None
    chunks = b"".join(chunk.data for chunk in backend.logs(handle, LogPosition()))
    assert chunks.decode().splitlines() == [str(USER), "word", "444 0", "64", "0077"]


def test_each_node_has_its_rank_and_a_log_of_its_own_and_the_first_decides(kube_runs: KubeRuns) -> None:
    script = (
        'echo "$NODE_RANK of $WORLD_SIZE at $MASTER_ADDR:$MASTER_PORT, $NUM_GPU_PER_NODE GPUs on $(hostname)"'
    )
    handle = kube_runs.start(kube_runs.made(script, nodes=2, gpus=4))
    name = kube_runs.name(handle)
    services = kube_runs.cluster.store.all("services")
    assert [(one["spec"]["clusterIP"], one["metadata"]["name"]) for one in services] == [("None", name)]
    status = kube_runs.ended(handle)
    assert (status.exit_code, status.end) == (0, None)
    place = handle.run_dir / "kubernetes/pod"
    for rank, file in ((0, "console.log"), (1, "console.log.1")):
        text = f"{rank} of 2 at {name}-0.{name}:29500, 4 GPUs on {name}-{rank}\n"
        assert (place / file).read_text() == text
    KubernetesBackend().remove(handle)
    assert [one for kind in ("jobs", "pods", "services") for one in kube_runs.cluster.store.all(kind)] == []


def test_one_node_that_fails_ends_all(kube_runs: KubeRuns) -> None:
    script = 'echo up; [ "$NODE_RANK" = 0 ] || exit 7; exec sleep 600'
    handle = kube_runs.start(kube_runs.made(script, nodes=2))
    status = kube_runs.ended(handle)
    hint = "read kubernetes/pod/console.log.1 in the run's folder"
    assert (status.exit_code, status.end) == (7, EngineEnd("node 2 failed first, with exit code 7", hint))


def test_a_run_that_has_ended_is_not_run_again(kube_runs: KubeRuns) -> None:
    """A cluster that restores a Job from an old backup starts its pod again."""
    handle = kube_runs.start(kube_runs.made("echo once; exit 4"))
    assert kube_runs.ended(handle).exit_code == 4
    store, name = kube_runs.cluster.store, kube_runs.name(handle)
    with store.changed:
        job = store.get("jobs", "vision", name)
        for pod in kube_runs.cluster.machinery.pods_of(job):
            store.remove("pods", "vision", pod["metadata"]["name"])
        job["status"] = {}
        store.touch(job)
    (handle.run_dir / "kubernetes/end.json").unlink()
    assert kube_runs.becomes(handle, EngineState.EXITED).exit_code == 4
    place = handle.run_dir / "kubernetes/pod"
    assert (place / "console.log").read_text() == "once\n"
    events = [json.loads(line)["event"] for line in (place / "events.jsonl").read_text().splitlines()]
    assert events == ["started", "ended:4:", "not_started_again:4"]
