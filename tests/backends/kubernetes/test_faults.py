"""A server that refuses, is busy, forgets, or answers into the void: the right sentence, and never two runs of one."""

from __future__ import annotations

import pytest
from api_server import Body, Refused
from kube_cluster import KubeCluster
from kube_runs import KubeRuns

from taorunner.backends.contract import EngineState
from taorunner.backends.kubernetes import kubectl
from taorunner.backends.kubernetes.backend import KubernetesBackend
from taorunner.backends.kubernetes.manifest import kube_job
from taorunner.errors import EngineRefusedError, MachineError

FORBIDDEN = 'jobs.batch is forbidden: User "me" cannot create resource "jobs" in API group "batch" in the namespace "vision"'


@pytest.mark.parametrize(
    ("code", "reason", "said", "expected", "hint"),
    [
        (403, "Forbidden", FORBIDDEN, 'your login for the context "stand-in" may not do that: jobs.batch is forbidden: ',
         "kubectl auth can-i create jobs"),
        (403, "Forbidden", 'jobs "x" is forbidden: exceeded quota: jobs, requested: 1, used: 2, limited: 2',
         'the quota of the namespace is used up: jobs "x" is forbidden: exceeded quota: ', "kubectl describe quota"),
        (404, "NotFound", 'namespaces "vision" not found', 'there is no such namespace: namespaces "vision" not found',
         "namespace:, one of kubectl get namespaces"),
        (422, "Invalid", 'Job.batch "x" is invalid: spec: Required value',
         'the cluster does not take such a Job: The Job "x" is invalid: spec: Required value',
         "taorunner train --dry-run shows it"),
    ],
)  # fmt: skip
def test_a_refusal_is_a_sentence_with_a_next_step(
    kube_runs: KubeRuns, code: int, reason: str, said: str, expected: str, hint: str
) -> None:
    stop = kube_runs.cluster.refuse(code, reason, said, "POST")
    with pytest.raises(EngineRefusedError) as caught:
        kube_runs.start(kube_runs.made("echo done"))
    assert (caught.value.message.startswith(expected), caught.value.hint) == (True, hint), (
        caught.value.message
    )
    stop()
    assert kube_runs.ended(kube_runs.start(kube_runs.made("echo done"))).exit_code == 0


def test_a_field_that_the_cluster_does_not_know_is_refused_with_its_name(
    kube_runs: KubeRuns,
) -> None:
    backend = KubernetesBackend()
    client = backend._client(None, None)
    request = backend.request(kube_runs.made("echo done"), kube_runs.launch())
    body = kube_job(request.job)
    body["spec"]["backofLimit"] = 0
    found = client.create(body)
    assert found == kubectl.Refusal("BadRequest", 'strict decoding error: unknown field "spec.backofLimit"')


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (401, "Unauthorized", 'the login for the context "stand-in" has expired: '),
        (429, "TooManyRequests", 'the server of the context "stand-in" asks to be asked later (since '),
        (503, "ServiceUnavailable", 'the server of the context "stand-in" asks to be asked later (since '),
    ],
)
def test_while_the_server_does_not_answer_no_state_changes(
    kube_runs: KubeRuns, code: int, reason: str, words: str
) -> None:
    handle = kube_runs.start(kube_runs.made("echo up; exec sleep 600"))
    kube_runs.prints(handle, "up")
    answer_again = kube_runs.cluster.refuse(code, reason, "no", "GET", "POST", "DELETE")
    status = kube_runs.status(handle)
    assert (status.state, str(status.silent).startswith(words)) == (EngineState.RUNNING, True), status
    with pytest.raises(MachineError):
        KubernetesBackend().stop(handle, 1)
    answer_again()
    status = kube_runs.status(handle)
    assert (status.state, status.silent) == (EngineState.RUNNING, None)
    KubernetesBackend().stop(handle, 1)
    assert kube_runs.status(handle).state is EngineState.EXITED


def test_a_list_that_was_too_old_is_read_again(kube_runs: KubeRuns) -> None:
    handle = kube_runs.start(kube_runs.made("echo up; exec sleep 600"))
    kube_runs.prints(handle, "up")
    once: list[int] = []

    def fault(verb: str, resource: str, path: str) -> Refused | None:
        if verb == "GET" and resource == "pods" and not once:
            once.append(1)
            return refused
        return None

    refused = Refused(410, "Expired", "The provided continue parameter is too old")
    kube_runs.cluster.store.faults.append(fault)
    assert (kube_runs.status(handle).state, once) == (EngineState.RUNNING, [1])
    KubernetesBackend().remove(handle)


def test_a_job_whose_answer_never_came_back_is_found_again(kube_runs: KubeRuns) -> None:
    cluster, plan = kube_runs.cluster, kube_runs.made("echo up; exec sleep 600")
    backend, launch = KubernetesBackend(), kube_runs.launch()
    request = backend.request(plan, launch)
    (launch.run_dir / "input").mkdir()
    swallow_answers(cluster)
    with pytest.raises(MachineError):
        backend.submit(request)
    cluster.store.faults.clear()
    handle = KubernetesBackend().find(launch.run_id, launch.run_dir)
    assert handle is not None
    assert KubernetesBackend().submit(request).handle == handle
    assert len(cluster.store.all("jobs")) == 1
    KubernetesBackend().remove(handle)


def swallow_answers(cluster: KubeCluster) -> None:
    """The server takes Jobs, and the line breaks before its answer."""
    create = cluster.store.create

    def taken(resource: str, namespace: str, body: Body, *, strict: bool, dry_run: bool = False) -> Body:
        made = create(resource, namespace, body, strict=strict, dry_run=dry_run)
        if resource == "jobs":
            cluster.store.create = create
            raise Refused(504, "Timeout", "the server was unable to return a response in the time allotted")
        return made

    cluster.store.create = taken


def test_a_foreign_job_of_the_same_name_is_left_alone(kube_runs: KubeRuns) -> None:
    backend, launch = KubernetesBackend(), kube_runs.launch()
    request = backend.request(kube_runs.made("echo done"), launch)
    body = kube_job(request.job)
    body["metadata"]["annotations"] = {}
    with kube_runs.cluster.store.changed:
        kube_runs.cluster.store.create("jobs", "vision", body, strict=True)
    (launch.run_dir / "input").mkdir()
    with pytest.raises(EngineRefusedError, match="already, which is not of this run"):
        backend.submit(request)
    assert len(kube_runs.cluster.store.all("jobs")) == 1


def test_without_kubectl_the_next_step_is_named() -> None:
    (found,) = KubernetesBackend({"PATH": "/nowhere"}).check()
    assert found.message.startswith('there is no command "kubectl" on PATH')
    assert found.hint == "install kubectl, and try: kubectl get jobs"
