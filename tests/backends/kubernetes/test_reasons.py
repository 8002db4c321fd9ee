"""Words of Kubernetes that no stand-in says: each is a sentence with a next step."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from taorunner.backends.kubernetes import reasons
from taorunner.backends.kubernetes.folder import Cluster
from taorunner.backends.kubernetes.objects import Event, Job, Pod, Terminated

CLUSTER = Cluster(None, None, "r", 600, "data", "x/tao:1", 8)
JOB, NOW = Job("tr-r", "u", "r"), datetime(2026, 11, 30, tzinfo=timezone.utc)


def pod(**fields: Any) -> Pod:
    return Pod("tr-r-abcde", "tr-r", **{"phase": "Pending", "created_at": NOW, **fields})


@pytest.mark.parametrize(
    ("found", "reason", "hint"),
    [
        (pod(blocked=("InvalidImageName", "couldn't parse")), '"x/tao:1" is no name of an image', "image:, or --image IMAGE"),
        (
            pod(blocked=("CreateContainerConfigError", 'secret "tr-r" not found')),
            'a Secret of the run was removed: secret "tr-r" not found', "start the run again",
        ),
        (
            pod(blocked=("CreateContainerConfigError", "container has runAsNonRoot and image will run as root: non-root")),
            "the container cannot be made: container has runAsNonRoot and image will run as root: non-root",
            "kubectl describe pod tr-r-abcde",
        ),
        (
            pod(blocked=("RunContainerError", "exec /bin/sh: no such file")),
            "the container cannot be made: exec /bin/sh: no such file", "kubectl describe pod tr-r-abcde",
        ),
    ],
)  # fmt: skip
def test_what_can_never_start_is_given_up_at_once(found: Pod, reason: str, hint: str) -> None:
    end = reasons.never_starts(JOB, [found], [], CLUSTER, NOW)
    assert end is not None and (end.reason, end.hint) == (reason, hint)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            pod(unscheduled=("Unschedulable", "0/1 nodes are available: pod has unbound immediate persistentvolumeclaims.")),
            "the claim cannot be used: 0/1 nodes are available: pod has unbound immediate persistentvolumeclaims",
        ),
        (pod(blocked=("ContainerCreating", ""), node="h1"), reasons.STARTS),
        (pod(), reasons.CREATED),
        (
            pod(blocked=("ErrImagePull", "dial tcp: lookup x: i/o timeout"), node="h1"),
            'the image "x/tao:1" cannot be pulled: dial tcp: lookup x: i/o timeout',
        ),
    ],
)  # fmt: skip
def test_what_may_still_start_waits(found: Pod, text: str) -> None:
    assert reasons.never_starts(JOB, [found], [], CLUSTER, NOW) is None
    assert reasons.waiting_text(JOB, [found], [], CLUSTER) == text


def test_a_pod_that_no_node_takes_for_half_an_hour_is_overdue() -> None:
    waits = pod(unscheduled=("Unschedulable", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."))
    assert reasons.overdue([waits], NOW + timedelta(minutes=29)) is None
    assert reasons.overdue([pod(node="h1")], NOW + timedelta(minutes=31)) is None
    said = reasons.overdue([waits], NOW + timedelta(minutes=31))
    assert said == (
        "no node has taken it for 30 minutes: fewer gpus, or another cluster, may start sooner; "
        "kubectl describe pod tr-r-abcde says more"
    )


def test_a_secret_that_cannot_be_mounted_and_a_suspended_job_are_said() -> None:
    event = Event(
        "tr-r-abcde", "FailedMount", 'MountVolume.SetUp failed for volume "secrets" : secret "tr-r" not found'
    )
    found = reasons.waiting_text(JOB, [pod(node="h1")], [event], CLUSTER)
    assert found == f"a volume is missing: {event.message}"
    suspended = Job("tr-r", "u", "r", is_suspended=True)
    text = "the Job is suspended: it waits until somebody resumes it"
    assert reasons.waiting_text(suspended, [], [], CLUSTER) == text


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod(phase="Failed", terminated=Terminated(128, "StartError", "no such file")), "the container cannot start: no such file"),
        (pod(phase="Failed", reason="NodeLost", node="h1"), "the node was lost"),
        (pod(phase="Failed", disrupted=("PreemptionByScheduler", "x")), "preempted for a run with a higher priority"),
        (pod(phase="Failed", node="h1"), "the pod was lost on the node h1 (BackoffLimitExceeded)"),
        (None, "the pod was lost (BackoffLimitExceeded)"),
    ],
)  # fmt: skip
def test_a_pod_without_an_exit_code_has_a_reason(found: Pod | None, reason: str) -> None:
    failed = Job("tr-r", "u", "r", ended="Failed", reason="BackoffLimitExceeded")
    end = reasons.end_of(failed, [] if found is None else [found], None, CLUSTER, was_started=False)
    assert end is not None and end.reason == reason
