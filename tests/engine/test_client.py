"""Which engine is found, and what is said when there is none."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from private_daemon import write_program
from ssh_host import is_installed, ssh_host

from taorunner.backends.contract import LogPosition
from taorunner.backends.docker.backend import DockerBackend
from taorunner.engine import client
from taorunner.engine.ssh import ssh_command
from taorunner.errors import MachineError


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty DOCKER_CONFIG, and nothing else that names an engine."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "docker config"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


def write_context(config: Path, name: str, host: str) -> None:
    folder = config / "contexts" / "meta" / sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    body = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    (folder / "meta.json").write_text(json.dumps(body))


def test_the_local_socket_when_nothing_is_said(config: Path) -> None:
    assert client.find_address().url == "unix:///var/run/docker.sock"


def test_the_current_context_and_the_variables_above_it(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_context(config, "lab", "tcp://10.0.0.7:2375")
    write_context(config, "desk", "unix:///run/desk.sock")
    (config / "config.json").write_text('{"currentContext": "lab"}')
    assert client.find_address().url == "tcp://10.0.0.7:2375"
    monkeypatch.setenv("DOCKER_CONTEXT", "desk")
    assert client.find_address().url == "unix:///run/desk.sock"
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert client.find_address().url == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert client.find_address().url == "tcp://127.0.0.1:1"


def test_an_unknown_context_is_an_error(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_context(config, "laboratory", "tcp://10.0.0.7:2375")
    monkeypatch.setenv("DOCKER_CONTEXT", "labratory")
    with pytest.raises(MachineError) as caught:
        client.connect()
    assert caught.value.message == 'there is no docker context "labratory" (named by DOCKER_CONTEXT)'
    assert caught.value.hint == 'did you mean "laboratory"?'


def test_files_of_contexts_that_are_broken_are_no_names(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, text in enumerate(("[]", "{", '{"Name": 5}', '"lab"', '{"Name": "lab"}')):
        (config / "contexts/meta" / str(number)).mkdir(parents=True)
        (config / "contexts/meta" / str(number) / "meta.json").write_text(text)
    monkeypatch.setenv("DOCKER_CONTEXT", "zzz")
    with pytest.raises(MachineError) as caught:
        client.connect()
    assert caught.value.hint == "known: default, lab"


def test_the_address_of_ssh_is_kept_as_it_is_written(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, found in (
        ("ssh://alias", "ssh://alias"),
        ("tcp://10.0.0.7:2375", "tcp://10.0.0.7:2375"),
        ("tcp://10.0.0.7:2376", "tcp://10.0.0.7:2376"),
    ):
        monkeypatch.setenv("DOCKER_HOST", given)
        assert client.find_address().url == found
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(config))
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (config / name).touch()
    address = client.find_address()
    assert (address.said_by, address.tls is not None) == ("DOCKER_HOST", True)


def test_an_unknown_current_context_is_an_error(config: Path) -> None:
    (config / "config.json").write_text('{"currentContext": "gone"}')
    with pytest.raises(MachineError) as caught:
        client.connect()
    assert caught.value.message.startswith('there is no docker context "gone"')


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"Name": "lab"}', '{"Name": "lab", "Metadata": {}, "Endpoints": 3}']
)
def test_a_broken_context_file(config: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    write_context(config, "lab", "x")
    next(config.glob("contexts/meta/*/meta.json")).write_text(text)
    monkeypatch.setenv("DOCKER_CONTEXT", "lab")
    with pytest.raises(MachineError) as caught:
        client.connect()
    assert caught.value.message.startswith('the docker context "lab" cannot be read: ')


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("unix:///not/there.sock", 'no docker engine answers at "unix:///not/there.sock"'),
        ("tcp://127.0.0.1:1", 'no docker engine answers at "tcp://127.0.0.1:1"'),
        ("tcp://nosuch.invalid:2375", 'no docker engine answers at "tcp://nosuch.invalid:2375"'),
        ("bogus://x", '"bogus://x" is not an address of a docker engine'),
        ("npipe://x", '"npipe://x" is not an address of a docker engine'),
        ("tcp://:", '"tcp://:" is not an address of a docker engine'),
        ("ssh://-oProxyCommand=x", '"ssh://-oProxyCommand=x" is not an address of a docker engine'),
        ("ssh://host:port", '"ssh://host:port" is not an address of a docker engine'),
        (
            "npipe:////./pipe/docker_engine",
            '"npipe:////./pipe/docker_engine" is not an address of a docker engine',
        ),
    ],
)
def test_addresses_with_no_engine(
    config: Path, monkeypatch: pytest.MonkeyPatch, host: str, message: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(MachineError) as caught:
        client.connect()
    assert caught.value.message == message
    assert caught.value.hint


def test_certificates_that_are_not_there(
    config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    with pytest.raises(MachineError) as caught:
        client.connect()
    assert caught.value.hint == "put ca.pem, cert.pem and key.pem into DOCKER_CERT_PATH"


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that gives one fixed answer to each connection, or stays silent."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(request.param)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(100)


@pytest.mark.parametrize(
    "answering",
    [
        b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"",
    ],
    indirect=True,
)
def test_something_else_answers(config: Path, monkeypatch: pytest.MonkeyPatch, answering: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", answering)
    with pytest.raises(MachineError) as caught:
        client.connect()
    assert answering in caught.value.message


def test_an_ssh_address_leaves_the_port_to_ssh_unless_it_names_one() -> None:
    options = ["ssh", "-o", "ConnectTimeout=10", "-o", "BatchMode=yes", "-T"]
    command = ["docker", "system", "dial-stdio"]
    assert ssh_command("ssh://gpu-box") == [*options, "--", "gpu-box", *command]
    assert ssh_command("ssh://me@gpu-box:2222") == [
        *options,
        "-l",
        "me",
        "-p",
        "2222",
        "--",
        "gpu-box",
        *command,
    ]


@pytest.mark.parametrize("host", ["ssh://nosuch.invalid", "ssh://root@127.0.0.1:1"])
def test_an_unreachable_ssh_host_is_reported_with_sshs_reason(
    config: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("ssh is not installed")
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(MachineError) as caught:
        client.connect()
    assert caught.value.message.startswith(f'cannot reach the docker engine at "{host}": ')
    assert "resolve" in caught.value.message or "refused" in caught.value.message


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        ("sh: 1: docker: not found", 127, "sh: 1: docker: not found"),
        ("docker: 'dial-stdio' is not a docker command.", 1, "docker: 'dial-stdio' is not a docker command"),
        ("me@box: Permission denied (publickey).", 255, "me@box: Permission denied (publickey)"),
    ],
)
def test_what_is_missing_behind_ssh_is_said_with_the_line_to_try(
    config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, code: int, reason: str
) -> None:
    write_program(tmp_path / "ssh", f'#!/bin/sh\necho "{said}" >&2\nexit {code}\n')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@box:2222")
    with pytest.raises(MachineError) as caught:
        client.connect()
    assert (caught.value.message, caught.value.hint) == (
        f'cannot reach the docker engine at "ssh://me@box:2222": {reason}',
        "make this work first: ssh -p 2222 me@box docker version",
    )


def test_no_ssh_program(config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://box")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError) as caught:
        client.connect()
    assert (caught.value.message, caught.value.hint) == (
        "ssh cannot be started: no such file or directory",
        "install openssh-client",
    )


@pytest.fixture
def ssh_alias(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An alias of ~/.ssh/config with a port of its own, behind it a sshd whose docker is the test engine."""
    if not is_installed():
        pytest.skip("openssh-server is not installed")
    with ssh_host(tmp_path, "gpu-box", DOCKER_HOST=engine.url) as environ:
        monkeypatch.setenv("PATH", environ["PATH"])
        yield "gpu-box"


@pytest.mark.engine
def test_a_run_on_an_engine_behind_an_ssh_alias_with_a_port(
    config: Path,
    ssh_alias: str,
    noop_image: str,
    make_plan: Any,
    run_to_end: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"ssh://{ssh_alias}")
    backend = DockerBackend()
    handle, status, out, err = run_to_end(
        backend, make_plan("sh", "-c", "echo far; echo away >&2; exit 7", image=noop_image)
    )
    assert (status.exit_code, out, err) == (7, b"far\n", b"away\n")
    assert [chunk.data for chunk in backend.logs(handle, LogPosition(stdout=2, stderr=5))] == [b"r\n"]
    backend.remove(handle)


@pytest.mark.engine
def test_an_engine_of_a_context(
    config: Path,
    engine: Any,
    noop_image: str,
    make_plan: Any,
    run_to_end: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_context(config, "lab", engine.url)
    monkeypatch.setenv("DOCKER_CONTEXT", "lab")
    backend = DockerBackend()
    handle, status, out, _ = run_to_end(backend, make_plan("echo", "hi", image=noop_image))
    assert (status.exit_code, out) == (0, b"hi\n")
    backend.remove(handle)


def test_a_dry_run_loads_no_docker_library() -> None:
    code = (
        "import sys; from taorunner.backends.registry import load_backend; load_backend('docker');"
        "print(sorted({'docker', 'requests', 'pynvml', 'rich', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("text", ["[]", '{"currentContext": ""}', '{"currentContext": 5}', "{}"])
def test_a_configuration_without_a_context_means_the_default(config: Path, text: str) -> None:
    (config / "config.json").write_text(text)
    assert client.find_address().url == "unix:///var/run/docker.sock"
