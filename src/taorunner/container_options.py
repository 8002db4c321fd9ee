"""What a container may be given: folders of this host, ports, a user, limits. Pure data.

A plan holds the options of its run, the docker backend's request the same ones, and ``engine.containers`` creates a
container with the settings that both are part of.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from taorunner.values.value import Value, field


class Mount(Value):
    """``source`` on this host, ``target`` an absolute POSIX path inside."""

    source: Path
    target: str
    read_only: bool = False


class PublishedPort(Value):
    """The port ``inside`` of the container, reached at ``address`` and ``outside`` on this host."""

    inside: int
    outside: int
    address: str = "127.0.0.1"
    protocol: str = "tcp"


class ContainerOptions(Value):
    """Settings of a container. For a run they come from .tao_mounts.json, tao_config and the experiment.

    ``ports`` maps container ports to host ports. ``hard_ulimits`` are the hard limits that differ from the soft one of
    that name in ``ulimits``. ``interactive``: with a standard input, which ends when the attached client does, and
    without a stored log. ``terminal`` are rows and columns at its start.
    """

    user: str | None = None
    groups: tuple[int, ...] = ()
    shm_bytes: int | None = None
    ulimits: Mapping[str, int] = field(default_factory=dict)
    hard_ulimits: Mapping[str, int] = field(default_factory=dict)
    ports: Mapping[int, int] = field(default_factory=dict)
    published: tuple[PublishedPort, ...] = ()
    network: str | None = None
    privileged: bool = False
    tty: bool = False
    interactive: bool = False
    terminal: tuple[int, int] | None = None
    workdir: str | None = None

    @property
    def no_new_privileges(self) -> bool:
        """Whether setuid programs inside gain nothing: true unless the container is privileged."""
        return not self.privileged


class ContainerSettings(Value):
    """A new container. ``gpus`` are ids on the engine's machine, never a count."""

    name: str
    image: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    gpus: tuple[str, ...] = ()
    cpus: int | None = None
    memory_bytes: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    options: ContainerOptions = field(default_factory=ContainerOptions)
