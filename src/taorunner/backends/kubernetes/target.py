"""What the rest of taorunner knows of the backend ``kubernetes``: its settings, which are those of a cluster.

Most are words of Kubernetes, passed on as they are. The workspace of this machine lies on a claim of the cluster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from taorunner.backends.setting_values import are_variables, from_to, text_like, texts_like
from taorunner.project.limits import size_bytes
from taorunner.targets import Files, GpuSource, Resource, Setting, SettingProblem, Target
from taorunner.text import did_you_mean, printable

DEFAULT_GPU_RESOURCE = "nvidia.com/gpu"
DEFAULT_REQUEUES = 20
DEFAULT_UNKNOWN_S = 600

_NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_KEY = r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
_CONTEXT = r"(?!-)[^\0\n]{1,253}"
_INSIDE = r"(?!/)[^\0\n\\]{1,1000}"

_PLACE_KEYS = ("claim", "path")
_VOLUME_KEYS = ("here", "claim", "path")
_TOLERATION_KEYS = ("key", "operator", "value", "effect", "tolerationSeconds")
_OPERATORS, _EFFECTS = ("Exists", "Equal"), ("NoSchedule", "PreferNoSchedule", "NoExecute")


def _is_labels(values: Any) -> bool:
    return all(
        isinstance(key, str)
        and re.fullmatch(_KEY, key) is not None
        and isinstance(value, str)
        and re.fullmatch(_VALUE, value) is not None
        for key, value in values.items()
    )


SETTINGS: Mapping[str, Setting] = {
    "context": Setting(str, "the name of a context of kubectl", text_like(_CONTEXT)),
    "namespace": Setting(str, "the name of a namespace", text_like(_LABEL)),
    "workspace": Setting(dict, "a mapping with claim, and path where the workspace is a folder in it"),
    "volumes": Setting(list, "a list of mappings with here, claim and path"),
    "queue": Setting(str, "the name of a LocalQueue of Kueue", text_like(_LABEL)),
    "priority_class": Setting(str, "the name of a PriorityClass", text_like(_NAME)),
    "service_account": Setting(str, "the name of a ServiceAccount", text_like(_NAME)),
    "runtime_class": Setting(str, "the name of a RuntimeClass, such as nvidia", text_like(_NAME)),
    "image_pull_secrets": Setting(list, "a list of names of Secrets", texts_like(_NAME)),
    "node_selector": Setting(dict, "a mapping of labels of nodes to values in quotes", _is_labels),
    "tolerations": Setting(list, "a list of mappings with key, operator, value and effect"),
    "labels": Setting(dict, "a mapping of labels to values in quotes", _is_labels),
    "gpu_resource": Setting(str, "the name of a resource, such as nvidia.com/gpu", text_like(_KEY)),
    "shm_size": Setting(str, "a size such as 16G", lambda size: (size_bytes(size) or 0) > 0),
    "env": Setting(dict, "a mapping of names of variables to values", are_variables),
    "requeue": Setting(int, "a whole number from 0 to 1000", from_to(0, 1000)),
    "max_submitted": Setting(int, "a whole number from 1 to 100000", from_to(1, 100_000)),
    "unknown_after_s": Setting(int, "a whole number of seconds from 10 to 86400", from_to(10, 86_400)),
}


def _check(settings: Mapping[str, Any]) -> Iterator[SettingProblem]:
    place = settings.get("workspace")
    if place is None:
        message = 'the backend "kubernetes" needs "backend_options.workspace"'
        hint = "workspace: {claim: NAME, path: FOLDER}, the claim on which this workspace lies"
        yield SettingProblem("missing-key", message, (), hint)
    else:
        yield from _of_mapping(place, ("workspace",), _PLACE_KEYS, ("claim",), _place_problem)
    for index, volume in enumerate(settings.get("volumes") or ()):
        yield from _of_mapping(volume, ("volumes", index), _VOLUME_KEYS, ("here", "claim"), _place_problem)
    for index, toleration in enumerate(settings.get("tolerations") or ()):
        path = ("tolerations", index)
        yield from _of_mapping(toleration, path, _TOLERATION_KEYS, (), _toleration_problem)


def _of_mapping(
    value: Any, path: tuple[str | int, ...], keys: tuple[str, ...], needed: tuple[str, ...],
    problem: Callable[[str, Any], str | None],
) -> Iterator[SettingProblem]:  # fmt: skip
    shown = "backend_options." + ".".join(str(part) for part in path)
    if not isinstance(value, Mapping):
        message = f'"{shown}" must be a mapping with {", ".join(keys)}'
        yield SettingProblem("wrong-type", message, path)
        return
    for key, found in value.items():
        if key not in keys:
            hint = did_you_mean(str(key), keys) or "it takes " + ", ".join(keys)
            message = f'"{shown}.{printable(str(key))}" is no setting'
            yield SettingProblem("unknown-key", message, (*path, key), hint, of_key=True)
        elif (expected := problem(key, found)) is not None:
            yield SettingProblem("wrong-value", f'"{shown}.{key}" must be {expected}', (*path, key))
    for key in needed:
        if key not in value:
            yield SettingProblem("missing-key", f'"{shown}" needs "{key}"', path, f"write {key}: below it")


def _place_problem(key: str, value: Any) -> str | None:
    """What it must be, where it is not that."""
    if key == "claim":
        is_right, expected = _is_text(value, _NAME), "the name of a PersistentVolumeClaim"
    elif key == "here":
        is_right, expected = _is_text(value, r"/[^\0\n]*"), "an absolute path of this machine"
    else:
        expected = "a folder in the claim, without .. and without a slash at its start"
        is_right = _is_text(value, _INSIDE) and ".." not in value.split("/")
    return None if is_right else expected


def _toleration_problem(key: str, value: Any) -> str | None:
    if key == "key":
        return None if _is_text(value, _KEY) else "the key of a taint, such as nvidia.com/gpu"
    if key == "operator":
        return None if value in _OPERATORS else "Exists or Equal"
    if key == "value":
        return None if _is_text(value, _VALUE) else "the value of a taint, in quotes"
    if key == "effect":
        return None if value in _EFFECTS else "one of " + ", ".join(_EFFECTS)
    return None if type(value) is int and value >= 0 else "a whole number of seconds"


def _is_text(value: Any, pattern: str) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


KUBERNETES = Target(
    "kubernetes",
    "jobs of a Kubernetes cluster",
    sees_host_paths=False,
    needs_image=True,
    gpus=GpuSource.SCHEDULED,
    files=Files.SHARED,
    resources=frozenset({Resource.NODES, Resource.CPUS, Resource.MEMORY, Resource.TIME}),
    settings=SETTINGS,
    check=_check,
)
