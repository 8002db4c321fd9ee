"""Jobs, pods and events as the API has them, read into what is asked of them. Nothing that is missing is an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from taorunner.backends.kubernetes.manifest import CONTAINER, RUN_ID, RUN_LABEL
from taorunner.backends.run_folder import time_of
from taorunner.values.value import Value

_INDEX = "batch.kubernetes.io/job-completion-index"


class Job(Value):
    """``ended`` is Complete or Failed, ``reason`` and ``message`` those of that end."""

    name: str
    uid: str
    run_id: str | None
    is_suspended: bool = False
    is_deleting: bool = False
    ended: str | None = None
    reason: str = ""
    message: str = ""
    ended_at: datetime | None = None


class Terminated(Value):
    code: int
    reason: str = ""
    message: str = ""
    at: datetime | None = None


class Pod(Value):
    """``blocked`` is why its container does not start, ``unscheduled`` why no node has it. ``disrupted`` is what the
    cluster says of an eviction. ``index`` counts the pods of several nodes."""

    name: str
    run: str
    index: int = 0
    phase: str = ""
    reason: str = ""
    message: str = ""
    node: str | None = None
    created_at: datetime | None = None
    is_deleting: bool = False
    is_ready: bool | None = None
    scheduled_at: datetime | None = None
    unscheduled: tuple[str, str] | None = None
    disrupted: tuple[str, str] | None = None
    blocked: tuple[str, str] | None = None
    started_at: datetime | None = None
    terminated: Terminated | None = None

    @property
    def is_over(self) -> bool:
        return self.phase in ("Succeeded", "Failed")


class Event(Value):
    """``about`` is the name of the object."""

    about: str
    reason: str
    message: str
    at: datetime | None = None


def read_objects(body: Mapping[str, Any]) -> tuple[list[Job], list[Pod], list[Event]]:
    jobs, pods, events = [], [], []
    for item in _list(body, "items"):
        kind = item.get("kind")
        if kind == "Job":
            jobs.append(read_job(item))
        elif kind == "Pod":
            pods.append(read_pod(item))
        elif kind == "Event":
            events.append(_event(item))
    return jobs, pods, events


def read_job(body: Mapping[str, Any]) -> Job:
    about, status = _map(body, "metadata"), _map(body, "status")
    end = next((one for one in _true(status) if one.get("type") in ("Complete", "Failed")), None)
    found = end or {}
    return Job(
        name=_text(about, "name"),
        uid=_text(about, "uid"),
        run_id=_map(about, "annotations").get(RUN_ID),
        is_suspended=_map(body, "spec").get("suspend") is True,
        is_deleting=bool(about.get("deletionTimestamp")),
        ended=None if end is None else _text(end, "type"),
        reason=_text(found, "reason"),
        message=_text(found, "message"),
        ended_at=time_of(_text(found, "lastTransitionTime")),
    )


def read_pod(body: Mapping[str, Any]) -> Pod:
    about, status = _map(body, "metadata"), _map(body, "status")
    labels = {**_map(about, "annotations"), **_map(about, "labels")}
    index = str(labels.get(_INDEX, "0"))
    conditions = {_text(one, "type"): one for one in _list(status, "conditions")}
    scheduled, disrupted = conditions.get("PodScheduled", {}), conditions.get("DisruptionTarget", {})
    ready = conditions.get("Ready")
    state: Mapping[str, Any] = {}
    for one in _list(status, "containerStatuses"):
        if one.get("name") == CONTAINER:
            state = _map(one, "state")
    waiting, running, ended = _map(state, "waiting"), _map(state, "running"), _map(state, "terminated")
    return Pod(
        name=_text(about, "name"),
        run=_text(labels, RUN_LABEL),
        index=int(index) if index.isascii() and index.isdecimal() and len(index) < 6 else 0,
        phase=_text(status, "phase"),
        reason=_text(status, "reason"),
        message=_text(status, "message"),
        node=_text(_map(body, "spec"), "nodeName") or None,
        created_at=time_of(_text(about, "creationTimestamp")),
        is_deleting=bool(about.get("deletionTimestamp")),
        is_ready=None if ready is None else ready.get("status") == "True",
        scheduled_at=time_of(_text(scheduled, "lastTransitionTime")) if scheduled.get("status") == "True" else None,
        unscheduled=_said(scheduled) if scheduled.get("status") == "False" else None,
        disrupted=_said(disrupted) if disrupted.get("status") == "True" else None,
        blocked=_said(waiting) if waiting else None,
        started_at=time_of(_text(running or ended, "startedAt")),
        terminated=_terminated(ended) if ended else None,
    )  # fmt: skip


def _terminated(body: Mapping[str, Any]) -> Terminated:
    code = body.get("exitCode")
    return Terminated(
        code if type(code) is int else 255, _text(body, "reason"), _text(body, "message"),
        time_of(_text(body, "finishedAt")),
    )  # fmt: skip


def _event(body: Mapping[str, Any]) -> Event:
    at = (
        _text(body, "lastTimestamp")
        or _text(body, "eventTime")
        or _text(_map(body, "metadata"), "creationTimestamp")
    )
    return Event(
        _text(_map(body, "involvedObject"), "name"),
        _text(body, "reason"),
        _text(body, "message"),
        time_of(at),
    )


def _said(body: Mapping[str, Any]) -> tuple[str, str]:
    return _text(body, "reason"), _text(body, "message")


def _true(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (one for one in _list(status, "conditions") if one.get("status") == "True")


def _map(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key)
    return value if isinstance(value, Mapping) else {}


def _list(body: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = body.get(key)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""
