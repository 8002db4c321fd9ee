"""The options of a container."""

from __future__ import annotations

from pathlib import Path

from taorunner.container_options import ContainerOptions, Mount, PublishedPort


def test_only_a_privileged_container_may_gain_privileges() -> None:
    assert ContainerOptions().no_new_privileges
    assert not ContainerOptions(privileged=True).no_new_privileges


def test_nothing_is_allowed_unless_it_is_asked_for() -> None:
    plain = ContainerOptions()
    assert (plain.privileged, plain.tty, plain.interactive) == (False, False, False)
    assert not plain.groups and not plain.ulimits and not plain.hard_ulimits and not plain.ports
    assert not Mount(Path("/data"), "/data").read_only
    assert (PublishedPort(80, 8080).address, PublishedPort(80, 8080).protocol) == ("127.0.0.1", "tcp")
