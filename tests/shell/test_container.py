"""The container of a shell from its creation to its end."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_engine import Container, ScriptedEngine, frame

from taorunner.backends.contract import Launch
from taorunner.backends.docker.request import DockerRequest, docker_request
from taorunner.container_options import ContainerOptions
from taorunner.engine.client import connect
from taorunner.errors import EngineRefusedError, MachineError
from taorunner.shell.container import ShellContainer, end_container

TALK = """\
import pickle, sys
from taorunner.errors import TaorunnerError
from taorunner.shell.container import ShellContainer
container = ShellContainer(pickle.loads(bytes.fromhex(sys.argv[1])))
container.create()
try:
    sys.exit(container.talk())
except TaorunnerError as error:
    sys.exit(error.message)
"""


@pytest.fixture
def request_of(make_plan: Callable[..., Any], tmp_path: Path) -> Callable[..., DockerRequest]:
    def make(*, tty: bool = False) -> DockerRequest:
        options = ContainerOptions(tty=tty, interactive=True)
        plan = make_plan("sh", options=options, image="mine:1", action="shell")
        return docker_request(plan, Launch("r1", tmp_path / "r1", (), ()), "docker")

    return make


def talk(request: DockerRequest, path: str | None = None) -> subprocess.CompletedProcess[bytes]:
    """What the shell's process gets and says, with ``ls`` on its standard input."""
    command = [sys.executable, "-c", TALK, pickle.dumps(request).hex()]
    environ = os.environ | ({} if path is None else {"PATH": path})
    return subprocess.run(command, input=b"ls\n", env=environ, capture_output=True, timeout=60)


def test_pipes_are_connected_and_the_exit_code_is_the_commands(
    scripted: ScriptedEngine, request_of: Callable[..., DockerRequest]
) -> None:
    says = frame("stdout", b"out") + frame("stderr", b"err")
    made = scripted.template = Container(says=says, code=5, listens_for=3)
    done = talk(request_of())
    assert (done.returncode, done.stdout, done.stderr) == (5, b"out", b"err")
    assert made.heard == b"ls\n"


def test_a_name_that_is_taken_is_reported(
    scripted: ScriptedEngine, request_of: Callable[..., DockerRequest]
) -> None:
    container = ShellContainer(request_of())
    container.create()
    with pytest.raises(EngineRefusedError) as caught:
        container.create()
    assert (caught.value.message, caught.value.hint) == (
        'a container named "taorunner-r1" exists', "docker rm -f taorunner-r1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        ("running", ["POST /containers/x/kill", "DELETE /containers/x"]),
        ("created", ["DELETE /containers/x"]),
        ("exited", ["DELETE /containers/x"]),
    ],
)
def test_only_a_running_shell_is_hung_up_before_its_container_is_removed(
    scripted: ScriptedEngine, status: str, changes: list[str]
) -> None:
    scripted.containers["x"] = Container(status=status)
    engine = connect()
    assert end_container(engine, "x") is True
    assert scripted.changes == changes
    assert end_container(engine, "x") is False


def test_a_shell_that_does_not_hang_up_is_killed_after_a_moment(scripted: ScriptedEngine) -> None:
    scripted.containers["x"] = Container(status="running", is_deaf=True)
    began_s = time.monotonic()
    assert end_container(connect(), "x") is True
    assert 1.5 < time.monotonic() - began_s < 30
    assert ("POST", "/containers/x/kill", {"signal": "HUP"}) in scripted.calls
    assert scripted.containers == {}


def test_a_container_that_is_removed_meanwhile_is_reported(
    scripted: ScriptedEngine, request_of: Callable[..., DockerRequest]
) -> None:
    container = ShellContainer(request_of())
    with pytest.raises(MachineError, match="the container of the shell was removed while it ran"):
        container._exit_code()
    container.end()


DOCKER = """\
#!/bin/sh
{more}
"""


def docker(folder: Path, more: str) -> str:
    """A PATH with a docker program of ours."""
    program = folder / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER.format(more=more))
    program.chmod(0o755)
    return f"{program.parent}:/usr/bin:/bin"


def test_a_terminal_is_connected_by_the_docker_program(
    scripted: ScriptedEngine, request_of: Callable[..., DockerRequest], tmp_path: Path
) -> None:
    scripted.template = Container(code=3, status="exited")
    done = talk(request_of(tty=True), docker(tmp_path, 'echo "$@" >&2; cat; exit 3'))
    assert (done.returncode, done.stdout) == (3, b"ls\n")
    assert done.stderr.startswith(b"start --attach --interactive --detach-keys ")
    assert done.stderr.endswith(b" taorunner-r1\n")


@pytest.mark.parametrize(
    ("status", "more", "code", "message"),
    [
        ("created", "echo 'Error response from daemon: no room' >&2; exit 1", 1, "no room"),
        ("created", "exit 1", 1, "docker failed"),
        ("exited", "echo odd >&2; exit 1", 4, "odd"),
    ],
)
def test_what_the_docker_program_says_of_a_failure(
    scripted: ScriptedEngine, request_of: Callable[..., DockerRequest], tmp_path: Path,
    status: str, more: str, code: int, message: str,
) -> None:  # fmt: skip
    scripted.template = Container(code=4, status=status)
    done = talk(request_of(tty=True), docker(tmp_path, more))
    assert done.returncode == code
    assert message in done.stderr.decode()
    assert ("Error response" in done.stderr.decode()) is False


def test_without_the_docker_program_the_engine_is_asked(
    scripted: ScriptedEngine, request_of: Callable[..., DockerRequest], tmp_path: Path
) -> None:
    """Here there is no terminal to connect, but the container was attached to and started before that is seen."""
    scripted.template = Container(says=b"out")
    done = talk(request_of(tty=True), str(tmp_path))
    assert done.returncode != 0
    assert [change.rpartition("/")[2] for change in scripted.changes] == ["create", "attach", "start"]
