"""The names of docker-py, urllib3 and requests that are not public, and that we use, are what we take them for.

A failure here means that a new version changed one. Each sentence says which function of ours must follow.
"""

from __future__ import annotations

import http.client
import inspect
import io
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from docker.api.client import APIClient
from docker.errors import APIError, NotFound
from docker.transport.unixconn import UnixHTTPAdapter

import taorunner
from taorunner.engine.client import Address, Engine
from taorunner.engine.frames import body_of, close_attached, socket_of
from taorunner.engine.ssh import SshAdapter, SshConnectionPool

PACKAGE = Path(taorunner.__file__).parent
ENGINE = "adapt taorunner/engine/client.py, class Engine"


def parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.fixture
def unconnected() -> Engine:
    return Engine(APIClient(version="1.44"), Address("unix:///nowhere", "a test"), "Docker/1")


def test_docker_py_makes_the_address_of_a_call(unconnected: Engine) -> None:
    path = unconnected.url("/containers/{0}/start", "a b")
    assert path.endswith("/v1.44/containers/a%20b/start"), f"APIClient._url changed: {ENGINE}.url"


def test_docker_py_keeps_the_version_where_it_is_set(unconnected: Engine) -> None:
    unconnected.api._version = "1.40"
    assert (unconnected.api_version, unconnected.api.api_version) == ("1.40", "1.40"), (
        f"APIClient._version changed: adapt connect() and {ENGINE}.api_version"
    )


def test_docker_py_turns_an_answer_into_its_error(unconnected: Engine) -> None:
    answer = requests.Response()
    answer.status_code, answer.raw = 404, io.BytesIO(b'{"message": "No such container: x"}')
    answer.headers["Content-Type"] = "application/json"
    with pytest.raises(NotFound, match="No such container: x"):
        unconnected.raise_for_status(answer)
    answer = requests.Response()
    answer.status_code, answer.raw = 500, io.BytesIO(b"")
    with pytest.raises(APIError):
        unconnected.raise_for_status(answer)


def test_docker_py_takes_the_headers_that_it_adds_logins_to() -> None:
    assert parameters(APIClient._set_auth_headers) == ["headers"], (
        f"APIClient._set_auth_headers changed: {ENGINE}.add_logins"
    )


def test_docker_py_hangs_the_answer_on_the_attached_socket() -> None:
    source = inspect.getsource(APIClient._get_raw_response_socket)
    assert "sock._response = response" in source, (
        "APIClient.attach_socket no longer keeps its answer: adapt close_attached in taorunner/engine/frames.py"
    )


def test_a_socket_is_found_below_its_reader_and_is_itself_without_one() -> None:
    ours, theirs = socket.socketpair()
    with theirs, ours, ours.makefile("rb", buffering=0) as reader:
        assert socket_of(reader) is ours, (
            "SocketIO._sock changed: adapt socket_of in taorunner/engine/frames.py"
        )
        assert socket_of(ours) is ours
        close_attached(reader)
        assert reader.closed


def test_the_body_below_an_answer_of_requests_is_http_clients() -> None:
    ours, theirs = socket.socketpair()
    with theirs, ours:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        body = http.client.HTTPResponse(ours)
        body.begin()
        answer = requests.Response()
        answer.raw = urllib3.HTTPResponse(body, preload_content=False)
        where = "changed: adapt body_of in taorunner/engine/frames.py and read_log in taorunner/engine/containers.py"
        assert body_of(answer) is body, f"urllib3's HTTPResponse._fp {where}"
        assert body.chunked and body.fp.read1(64) == b"3\r\nabc\r\n", f"http.client's HTTPResponse.fp {where}"  # type: ignore[attr-defined]
        assert socket_of(body.fp.raw) is ours, f"http.client's HTTPResponse.fp {where}"  # type: ignore[attr-defined]
        body.close()


def test_urllib3_asks_the_pool_for_a_new_connection() -> None:
    pool = urllib3.HTTPConnectionPool
    assert parameters(pool._new_conn) == [] and "_new_conn()" in inspect.getsource(pool._get_conn), (
        "urllib3's pool makes its connections another way: adapt SshConnectionPool in taorunner/engine/ssh.py"
    )
    assert type(SshConnectionPool("ssh://somewhere")._get_conn()).__name__ == "SshConnection"


def test_requests_asks_docker_pys_adapter_for_the_pool() -> None:
    adapter = SshAdapter("ssh://somewhere")
    prepared = requests.Request("GET", "http+docker://localhost/_ping").prepare()
    where = "adapt SshAdapter in taorunner/engine/ssh.py"
    pool = adapter.get_connection_with_tls_context(prepared, verify=True)
    assert pool is adapter._ssh_pool, f"docker-py's adapter no longer calls get_connection: {where}"
    assert parameters(UnixHTTPAdapter.get_connection)[:2] == ["url", "proxies"], where
    adapter.close()


def test_they_are_used_in_no_other_place() -> None:
    private = re.compile(
        r"\bapi\._\w+|getattr\(\w+, \"_(?:sock|response)\"|\.(?:_sock|_fp|_new_conn|_response)\b|def _new_conn"
    )
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if private.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"engine/client.py", "engine/frames.py", "engine/ssh.py"}
