"""What the rest of taorunner knows of docker on another host: the settings of such an entry of clusters.yml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from taorunner.backends.setting_values import from_to, text_like
from taorunner.targets import Files, GpuSource, Resource, Setting, SettingProblem, Target

_HOST = r"(ssh://)?(?!-)([A-Za-z0-9_.%+-]{1,64}@)?(?!-)([A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.%]{2,60}\])"
_PORT = r"(:[1-9][0-9]{0,4})?"
_ABSOLUTE = r"/[^\0\n]*"


def is_host(value: object) -> bool:
    """Whether it can be a host of ssh: no option of it, and no word of a shell. A port goes with ``ssh://`` only."""
    if not isinstance(value, str):
        return False
    return re.fullmatch(_HOST + (_PORT if value.startswith("ssh://") else ""), value) is not None


SETTINGS: Mapping[str, Setting] = {
    "host": Setting(str, "a host that ssh knows, such as gpu-box, or ssh://me@gpu-box:2222", is_host),
    "context": Setting(str, "left out: host is the address of a docker context"),
    "workspace": Setting(str, "the absolute path of this workspace on the host", text_like(_ABSOLUTE)),
    "shared": Setting(bool, "false, or true where the host sees the disk of this machine"),
    "leases": Setting(str, "the absolute path of the folder of GPU leases on the host", text_like(_ABSOLUTE)),
    "max_submitted": Setting(int, "a whole number from 1 to 100000", from_to(1, 100_000)),
}


def _changes(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"files": Files.SHARED} if settings.get("shared") is True else {}


def _check(settings: Mapping[str, Any]) -> Iterator[SettingProblem]:
    if "context" in settings:
        message = '"backend_options.context": a docker context is not read'
        hint = f"host: its address, which docker context inspect {settings['context']} shows"
        yield SettingProblem("wrong-value", message, ("context",), hint)
    elif "host" not in settings:
        message = 'docker on another host needs "backend_options.host"'
        yield SettingProblem("missing-key", message, (), "host: a name of ssh, or ssh://USER@HOST:PORT")


DOCKER_SSH = Target(
    "docker-ssh",
    "containers of a Docker engine on another host, over ssh",
    sees_host_paths=False,
    needs_image=True,
    gpus=GpuSource.SCHEDULED,
    files=Files.FAR,
    resources=frozenset({Resource.CPUS, Resource.MEMORY}),
    settings=SETTINGS,
    check=_check,
    changes=_changes,
)
