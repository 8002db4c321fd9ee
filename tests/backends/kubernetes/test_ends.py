"""Each way in which a cluster holds, interrupts or ends a run, as a state and a sentence."""

from __future__ import annotations

import time
from pathlib import Path

from kube_runs import KubeRuns

from taorunner.backends.contract import EngineEnd, EngineState, Handle, LogPosition
from taorunner.backends.kubernetes.backend import KubernetesBackend
from taorunner.backends.kubernetes.judging import UNCONFIRMED
from taorunner.errors import EngineRefusedError
from taorunner.planning.model.plan import RunPlan

STAYS = "echo up; exec sleep 600"
STATE = "/taorunner/state"


def why_not(kube_runs: KubeRuns, plan: RunPlan) -> tuple[str, str | None]:
    """Why a run never starts: refused at its submit, or ended right after it. With the next step."""
    try:
        end = kube_runs.ended(kube_runs.start(plan)).end
    except EngineRefusedError as error:
        return error.message, error.hint
    assert end is not None
    return end.reason, end.hint


def test_a_run_waits_for_gpus_and_says_of_how_many_nodes(kube_runs: KubeRuns) -> None:
    handle = kube_runs.start(kube_runs.made("echo done", gpus=8))
    status = kube_runs.becomes(handle, EngineState.WAITING, "no node has")
    assert status.waiting == "no node has 8 free GPUs (of 2 nodes: 2 Insufficient nvidia.com/gpu)"
    kube_runs.cluster.machinery.nodes["h1"].gpus = 8
    assert kube_runs.ended(handle).exit_code == 0


def test_taints_and_selectors_are_named(kube_runs: KubeRuns) -> None:
    for node in kube_runs.cluster.machinery.nodes.values():
        node.taints = (("nvidia.com/gpu", "present", "NoSchedule"),)
    handle = kube_runs.start(kube_runs.made("echo done"))
    assert kube_runs.becomes(handle, EngineState.WAITING, "taint").waiting == (
        "every node has a taint (tolerations:) (of 2 nodes: 2 node(s) had untolerated taint {nvidia.com/gpu: present})"
    )
    tolerates = {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
    fits = kube_runs.start(kube_runs.made("echo done", options=tolerates))
    assert kube_runs.ended(fits).exit_code == 0
    selects = kube_runs.start(
        kube_runs.made("echo done", options={**tolerates, "node_selector": {"gpu": "h100"}})
    )
    kube_runs.becomes(selects, EngineState.WAITING, "no node fits node_selector:")


def test_a_queue_of_kueue_holds_a_run_until_it_admits_it(kube_runs: KubeRuns) -> None:
    handle = kube_runs.start(kube_runs.made("echo done", options={"queue": "team-a"}))
    waits = 'waits for the queue "team-a" (kubectl get workloads)'
    assert kube_runs.becomes(handle, EngineState.WAITING).waiting == waits
    kube_runs.cluster.machinery.queues.add("team-a")
    assert kube_runs.ended(handle).exit_code == 0


def test_a_missing_claim_ends_a_run_at_once(kube_runs: KubeRuns) -> None:
    plan = kube_runs.made("echo done", options={"workspace": {"claim": "other"}})
    hint = "workspace: {claim: NAME}, one of kubectl get pvc"
    assert why_not(kube_runs, plan) == ('there is no claim "other"', hint)


def test_a_claim_that_holds_something_else_ends_a_run_before_it_begins(kube_runs: KubeRuns) -> None:
    plan = kube_runs.made("echo done", options={"workspace": {"claim": "vision-data", "path": "elsewhere"}})
    assert why_not(kube_runs, plan) == (
        'the claim "vision-data" at "elsewhere" does not hold this workspace',
        "workspace: {claim: NAME, path: FOLDER} of clusters.yml",
    )


def patience_ends(kube_runs: KubeRuns, handle: Handle) -> None:
    """The pod of the run has had its node for long."""
    pod = kube_runs.cluster.pod(kube_runs.name(handle))
    with kube_runs.cluster.store.changed:
        (scheduled,) = (one for one in pod["status"]["conditions"] if one["type"] == "PodScheduled")
        scheduled["lastTransitionTime"] = "2026-01-01T00:00:00Z"


def test_an_image_that_cannot_be_pulled_is_waited_for_and_then_given_up(kube_runs: KubeRuns) -> None:
    kube_runs.cluster.runner.pull_errors["nvcr.io/x/tao:1"] = "401 Unauthorized"
    handle = kube_runs.start(kube_runs.made("echo done", image="nvcr.io/x/tao:1"))
    kube_runs.becomes(handle, EngineState.WAITING, 'no right to pull "nvcr.io/x/tao:1": ')
    patience_ends(kube_runs, handle)
    end = kube_runs.ended(handle).end
    assert end is not None and end.hint == "image_pull_secrets: [NAME], a Secret of the registry"
    handle = kube_runs.start(kube_runs.made("echo done", image="nowhere/none:1"))
    kube_runs.becomes(handle, EngineState.WAITING, 'there is no image "nowhere/none:1": ')
    patience_ends(kube_runs, handle)
    end = kube_runs.ended(handle).end
    assert end is not None and end.reason.startswith('there is no image "nowhere/none:1": ')
    assert end.hint == "image:, or --image IMAGE"


def test_a_used_up_quota_is_waited_for_and_a_forbidden_pod_is_not(kube_runs: KubeRuns) -> None:
    machinery = kube_runs.cluster.machinery
    machinery.admission = lambda pod: "exceeded quota: gpus, requested: 1, used: 4, limited: 4"
    handle = kube_runs.start(kube_runs.made("echo done"))
    status = kube_runs.becomes(handle, EngineState.WAITING, "no room")
    assert (
        status.waiting == "the namespace has no room: exceeded quota: gpus, requested: 1, used: 4, limited: 4"
    )
    machinery.admission = lambda pod: None
    assert kube_runs.ended(handle).exit_code == 0
    machinery.admission = lambda pod: 'violates PodSecurity "restricted:latest": runAsNonRoot != true'
    reason, _ = why_not(kube_runs, kube_runs.made("echo done"))
    text = 'the namespace does not allow such a pod: violates PodSecurity "restricted:latest": runAsNonRoot != true'
    assert reason == text


def test_a_claim_that_another_node_has_is_a_reason(kube_runs: KubeRuns) -> None:
    kube_runs.cluster.runner.mount_errors["vision-data"] = 'Multi-Attach error for volume "pvc-1"'
    handle = kube_runs.start(kube_runs.made("echo done"))
    text = "the claim is ReadWriteOnce and used on another node: a claim with ReadWriteMany, or that node"
    assert kube_runs.becomes(handle, EngineState.WAITING, "ReadWriteOnce").waiting == text
    kube_runs.cluster.runner.mount_errors.clear()
    assert kube_runs.ended(handle).exit_code == 0


def test_memory_that_is_used_up_is_said(kube_runs: KubeRuns) -> None:
    handle = kube_runs.start(
        kube_runs.made("head -c 400m /dev/zero | tail >/dev/null; exit 9", memory_bytes=64 << 20)
    )
    status = kube_runs.ended(handle)
    assert (status.exit_code == 0, status.oom_killed) == (False, True)
    assert status.end == EngineEnd(
        "the memory limit of 64Mi was used up; /dev/shm counts, too",
        "memory:, a larger one, fewer workers, or a smaller shm_size:",
    )


def test_a_time_limit_ends_one_start(kube_runs: KubeRuns) -> None:
    status = kube_runs.ended(kube_runs.start(kube_runs.made(STAYS, time_s=2)))
    assert (status.exit_code, status.end) == (
        143,
        EngineEnd("the time limit of 2s is over", "time:, a longer one"),
    )


def test_an_evicted_run_starts_again_and_keeps_its_log(kube_runs: KubeRuns) -> None:
    handle = kube_runs.start(
        kube_runs.made("echo start; [ -e $0/seen ] && exit 0; : >$0/seen; sleep 600 & wait", STATE)
    )
    kube_runs.prints(handle, "start")
    kube_runs.cluster.disrupt(kube_runs.cluster.pod(kube_runs.name(handle)))
    status = kube_runs.ended(handle)
    assert (status.exit_code, status.end, status.unconfirmed) == (0, None, None)
    chunks = KubernetesBackend().logs(handle, LogPosition())
    assert b"".join(chunk.data for chunk in chunks) == b"start\nstart\n"


def test_an_eviction_that_may_not_start_again_is_the_end(kube_runs: KubeRuns) -> None:
    handle = kube_runs.start(kube_runs.made(STAYS, options={"requeue": 0}))
    kube_runs.prints(handle, "up")
    message = "The node was low on resource: ephemeral-storage"
    kube_runs.cluster.evict(kube_runs.cluster.pod(kube_runs.name(handle)), message)
    end = kube_runs.ended(handle).end
    assert end == EngineEnd(f"evicted: {message}", "taorunner resume RUN", is_transient=True)


def test_a_lost_node_is_said_and_the_run_goes_on_elsewhere(kube_runs: KubeRuns) -> None:
    handle = kube_runs.start(kube_runs.made(STAYS))
    kube_runs.prints(handle, "up")
    (pod,) = kube_runs.cluster.lose_node("h1")
    status = kube_runs.status(handle)
    assert (status.state, status.silent) == (EngineState.RUNNING, "the node h1 does not answer")
    kube_runs.cluster.collect(pod)
    kube_runs.prints(handle, "up\nup\n")
    status = kube_runs.becomes(handle, EngineState.RUNNING)
    assert (status.silent, status.exit_code) == (None, None)
    KubernetesBackend().remove(handle)


def test_an_exit_code_that_only_the_run_knows_is_unconfirmed(kube_runs: KubeRuns) -> None:
    handle = kube_runs.start(kube_runs.made("while [ ! -e $0/go ]; do sleep 0.1; done; exit 3", STATE))
    kube_runs.becomes(handle, EngineState.RUNNING)
    cluster, place = kube_runs.cluster, handle.run_dir / "kubernetes/pod"
    answer_again = cluster.refuse(
        503, "ServiceUnavailable", "the server is currently unable to handle it", "GET"
    )
    (place / "go").touch()
    appears(place / "exit")
    status = kube_runs.status(handle)
    assert (status.state, "asks to be asked later" in str(status.silent)) == (EngineState.RUNNING, True)
    answer_again()
    with cluster.store.changed:
        for kind in ("jobs", "pods"):
            for one in cluster.store.all(kind):
                cluster.store.remove(kind, one["metadata"]["namespace"], one["metadata"]["name"])
    status = kube_runs.status(handle)
    assert (status.state, status.exit_code, status.unconfirmed) == (EngineState.EXITED, 3, UNCONFIRMED)


def appears(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_job_that_somebody_deletes_is_stopped(kube_runs: KubeRuns) -> None:
    handle = kube_runs.start(kube_runs.made(STAYS))
    kube_runs.prints(handle, "up")
    name = kube_runs.name(handle)
    with kube_runs.cluster.store.changed:
        kube_runs.cluster.store.delete("jobs", "vision", name, {"propagationPolicy": "Foreground"})
    end = kube_runs.ended(handle).end
    assert end is not None and end.was_stopped
    assert end.reason == f'somebody deleted the Job "{name}"'
