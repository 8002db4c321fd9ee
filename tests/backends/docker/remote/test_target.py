"""Entries of clusters.yml for docker on another host: what they may say, and where a mistake is reported."""

from __future__ import annotations

import json
from hashlib import sha256
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
            7, 14, '"context": there is no docker context "gpu-box" (named by clusters.yml)', "known: default",
        ),
        (8, 6, 'docker on another host needs "host"', "host: a name of ssh, or ssh://USER@HOST:PORT"),
        (9, 35, 'the backend "docker-ssh" has no setting "worksapce"', 'did you mean "workspace"?'),
    ]  # fmt: skip


def make_context(home: Path, name: str, host: str) -> None:
    """As the docker command writes one."""
    folder = home / "contexts" / "meta" / sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": False}
    (folder / "meta.json").write_text(
        json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}})
    )


def test_a_docker_context_gives_its_address(tmp_path: Path) -> None:
    make_context(tmp_path / "docker", "box", "ssh://me@gpu-box:2222")
    (tmp_path / "clusters.yml").write_text(
        "clusters:\n  a: {backend: docker, context: box, workspace: /data}\n"
    )
    found = load_clusters(
        Workspace(tmp_path), {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path / "docker")}
    )
    assert found.findings == ()
    assert (found.usable["a"].backend, found.usable["a"].settings) == (
        "docker-ssh", {"workspace": "/data", "host": "ssh://me@gpu-box:2222"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        (
            "context: plain",
            'the engine of "plain" is at "tcp://box:2375", not at an address of ssh',
            "host: a name of ssh",
        ),
        (
            "context: socket",
            'the engine of "socket" is at "ssh://box/run/x.sock", not at an address of ssh',
            "host: ",
        ),
        (
            "context: default",
            'the engine of "default" is of this machine, not at an address of ssh',
            "host: ",
        ),
        (
            "context: plian",
            'there is no docker context "plian" (named by clusters.yml)',
            'did you mean "plain"?',
        ),
        ("context: plain, host: box", '"host" is there, too', "write one of them"),
    ],
)
def test_a_context_that_is_none_of_ssh_is_refused_at_its_place(
    tmp_path: Path, entry: str, message: str, hint: str
) -> None:
    make_context(tmp_path / "docker", "plain", "tcp://box:2375")
    make_context(tmp_path / "docker", "socket", "ssh://box/run/x.sock")
    (tmp_path / "clusters.yml").write_text(f"clusters:\n  a: {{backend: docker, {entry}}}\n")
    environ = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path / "docker")}
    (finding,) = load_clusters(Workspace(tmp_path), environ).findings
    assert (finding.line, finding.column) == (2, 33)
    assert finding.message == f'"context": {message}'
    assert (finding.hint or "").startswith(hint)
