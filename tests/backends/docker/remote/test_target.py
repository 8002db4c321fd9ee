"""Entries of clusters.yml for docker on another host: what they may say, and where a mistake is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.backends.docker.remote.target import DOCKER_SSH, is_host
from taorunner.project.clusters.cluster_file import load_clusters
from taorunner.project.workspace import Workspace
from taorunner.targets import Files


@pytest.mark.parametrize(
    ("host", "is_right"),
    [
        ("gpu-box", True),
        ("me@gpu-box.example.org", True),
        ("ssh://gpu-box", True),
        ("ssh://me@10.0.0.7:2222", True),
        ("ssh://me@[fe80::1]:22", True),
        ("gpu-box:2222", False),  # ssh takes a port only in an address
        ("ssh://gpu-box/run/docker.sock", False),
        ("tcp://gpu-box:2375", False),
        ("-oProxyCommand=x", False),
        ("ssh://-oProxyCommand=x", False),
        ("me@-x", False),
        ("a b", False),
        ("$(id)", False),
        (7, False),
    ],
)
def test_a_host_is_a_word_of_ssh_and_no_option_of_it(host: object, is_right: bool) -> None:
    assert is_host(host) is is_right


def test_docker_with_a_host_is_the_engine_there(tmp_path: Path) -> None:
    (tmp_path / "clusters.yml").write_text(
        "clusters:\n  desk: {backend: docker, memory: 8G}\n  box: {backend: docker, host: gpu-box}\n"
        "  same: {backend: docker-ssh, host: gpu-box, shared: true}\n"
    )
    found = load_clusters(Workspace(tmp_path), {"HOME": str(tmp_path)})
    assert found.findings == ()
    assert {name: one.backend for name, one in found.usable.items()} == {
        "box": "docker-ssh",
        "desk": "docker",
        "same": "docker-ssh",
    }
    far, shared = (DOCKER_SSH.with_settings(found.usable[name].settings) for name in ("box", "same"))
    assert (far.files, shared.files) == (Files.FAR, Files.SHARED)


def test_mistakes_are_reported_at_their_places(tmp_path: Path) -> None:
    (tmp_path / "clusters.yml").write_text(
        "clusters:\n  a:\n    backend: docker\n    host: tcp://box:2375\n  b:\n    backend: docker\n"
        "    context: gpu-box\n  c: {backend: docker-ssh}\n  d: {backend: docker, host: box, worksapce: /d}\n"
    )
    found = load_clusters(Workspace(tmp_path), {"HOME": str(tmp_path)}).findings
    assert [(one.line, one.column, one.message, one.hint) for one in found] == [
        (
            4, 11, '"host" must be a host that ssh knows, such as gpu-box, or ssh://me@gpu-box:2222, not "tcp://box:2375"',
            None,
        ),
        (
            7, 14, '"context": a docker context is not read',
            "host: its address, which docker context inspect gpu-box shows",
        ),
        (8, 6, 'docker on another host needs "host"', "host: a name of ssh, or ssh://USER@HOST:PORT"),
        (9, 35, 'the backend "docker-ssh" has no setting "worksapce"', 'did you mean "workspace"?'),
    ]  # fmt: skip
