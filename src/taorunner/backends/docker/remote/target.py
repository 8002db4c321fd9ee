"""What the rest of taorunner knows of docker on another host: the settings of such an entry of clusters.yml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from taorunner.backends.setting_values import from_to, text_like
from taorunner.errors import MachineError
from taorunner.targets import Files, GpuSource, Resource, Setting, SettingProblem, Target
from taorunner.text import printable

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
    "context": Setting(str, "the name of a docker context, in clusters.yml"),
    "workspace": Setting(str, "the absolute path of this workspace on the host", text_like(_ABSOLUTE)),
    "shared": Setting(bool, "false, or true where the host sees the disk of this machine"),
    "leases": Setting(str, "the absolute path of the folder of GPU leases on the host", text_like(_ABSOLUTE)),
    "max_submitted": Setting(int, "a whole number from 1 to 100000", from_to(1, 100_000)),
}


def _look_up(settings: Mapping[str, Any], environ: Mapping[str, str]) -> Mapping[str, Any] | SettingProblem:
    """The address of a docker context in the place of its name, as the docker command has it."""
    name = settings.get("context")
    if not isinstance(name, str):
        return settings
    from taorunner.engine.contexts import read_context

    if "host" in settings:
        message = '"backend_options.context": "host" is there, too'
        return SettingProblem("wrong-value", message, ("context",), "write one of them")
    try:
        address = read_context(name, "clusters.yml", environ).host
    except MachineError as error:
        return SettingProblem(
            "wrong-value",
            f'"backend_options.context": {error.message}',
            ("context",),
            error.hint or "docker context ls",
        )
    if not address.startswith("ssh://") or not is_host(address):
        shown = f'at "{printable(address)}"' if address else "of this machine"
        message = f'"backend_options.context": the engine of "{printable(name)}" is {shown}, not at an address of ssh'
        hint = "host: a name of ssh, or ssh://USER@HOST:PORT; or remove context, and type: docker context use"
        return SettingProblem("wrong-value", message, ("context",), hint)
    return {**{key: value for key, value in settings.items() if key != "context"}, "host": address}


def _changes(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"files": Files.SHARED} if settings.get("shared") is True else {}


def _check(settings: Mapping[str, Any]) -> Iterator[SettingProblem]:
    if "context" in settings:
        message = '"backend_options.context": a docker context is read in clusters.yml only'
        yield SettingProblem(
            "wrong-value", message, ("context",), "an entry of clusters.yml with that context"
        )
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
    look_up=_look_up,
    check=_check,
    changes=_changes,
)
