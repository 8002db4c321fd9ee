"""Whether an engine answers, over real sockets: one that is there, none, a stuck one, and something that is no engine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taorunner.backends.docker import first_answer
from taorunner.backends.docker.first_answer import why_silent

PING = (
    b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: Docker/20.10.24 (linux)\r\nContent-Length: 2\r\n\r\nOK"
)


@contextmanager
def answering(server: socket.socket, answer: bytes | None) -> Iterator[None]:
    """``answer`` for each request; None accepts and says nothing."""
    server.listen()
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            held.append(client)
            if answer is not None:
                client.recv(4096)
                client.sendall(answer)
                client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for client in held:
            client.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "docker.sock"


def unix(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    return server


def test_an_engine_that_answers_is_asked_once_and_without_its_library(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taorunner.engine.client.connect", lambda _: pytest.fail("the library was loaded"))
    with answering(unix(path), PING):
        assert why_silent({"DOCKER_HOST": f"unix://{path}"}) is None


def test_an_engine_behind_an_address_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taorunner.engine.client.connect", lambda _: pytest.fail("the library was loaded"))
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    with answering(server, PING):
        assert why_silent({"DOCKER_HOST": f"tcp://127.0.0.1:{port}"}) is None


def test_no_socket_is_said_as_the_first_call_says_it(path: Path) -> None:
    error = why_silent({"DOCKER_HOST": f"unix://{path}"})
    assert error is not None
    assert (error.code, error.message) == ("engine", f'no docker engine answers at "unix://{path}"')


def test_a_stuck_engine_is_no_answer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_answer, "_WITHIN_S", 0.1)
    monkeypatch.setattr("taorunner.engine.client.CONNECT_TIMEOUT_S", 0.1)
    with answering(unix(path), None):
        error = why_silent({"DOCKER_HOST": f"unix://{path}"})
    assert error is not None and error.code == "engine"


def test_an_unknown_context_is_named(tmp_path: Path) -> None:
    error = why_silent({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "lab"})
    assert error is not None
    assert error.message == 'there is no docker context "lab" (named by DOCKER_CONTEXT)'


def test_an_address_that_makes_no_sense_is_named() -> None:
    error = why_silent({"DOCKER_HOST": "ftp://nobody"})
    assert error is not None and "ftp://nobody" in error.message
