"""Finds the docker engine and connects to it.

The engine is found as the docker command finds it: ``DOCKER_HOST``, then ``DOCKER_CONTEXT``, then the current context
of ``~/.docker/config.json``, then the local socket. Unlike docker-py, an unknown context is an error here, and ``ssh://``
goes through the ssh program with all of its configuration. One round trip (a ping) settles the API version.

Functions of docker-py that are not public are called in ``Engine`` here and in ``frames`` (sockets), nowhere else.
``tests/engine/test_private_names.py`` fails when one of them changes.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import requests
from docker.api.client import APIClient
from docker.errors import DockerException
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from taorunner.engine.contexts import current_context, read_context
from taorunner.engine.refusals import Asked, translate
from taorunner.errors import MachineError, TaorunnerError
from taorunner.text import version_text
from taorunner.values.bounded_reading import MAX_JSON_BYTES, JsonError, lines, parse_json
from taorunner.values.value import Value

LOCAL_SOCKET = "unix:///var/run/docker.sock"
CONNECT_TIMEOUT_S = 10
"""For the connection and the first response. An engine that takes longer is stuck."""
CALL_TIMEOUT_S = 120
"""For one ordinary call. Starting a container takes long when disk caches are cold or the driver is not loaded."""

ENGINE_ERRORS = (DockerException, requests.exceptions.RequestException, OSError)
"""All exceptions that a call to the engine may raise."""


class Address(Value):
    """The engine's address, and where it is configured (for error messages)."""

    url: str
    said_by: str
    tls: Any = None

    @property
    def is_ssh(self) -> bool:
        return self.url.startswith("ssh://")

    @property
    def is_remote(self) -> bool:
        """True when bind mounts use folders of another machine."""
        return not self.url.startswith(("unix://", "http+unix://", "npipe://"))


class Engine(Value):
    """A connected engine. ``api`` is docker-py's low-level client, which is thread-safe for the calls made here."""

    api: Any
    address: Address
    product: str
    """``Docker/20.10.24`` or ``Libpod/4.3.1``, as the engine reports it."""

    @property
    def is_podman(self) -> bool:
        return self.product.startswith("Libpod")

    @property
    def kind(self) -> str:
        """As sentences name it."""
        return "podman engine" if self.is_podman else "docker engine"

    @property
    def version(self) -> tuple[int, ...]:
        """``(4, 3, 1)``; empty where the engine does not say it."""
        found = re.search(r"/(\d+(?:\.\d+)*)", self.product)
        return tuple(int(part) for part in found[1].split(".")) if found else ()

    @property
    def api_version(self) -> str:
        return str(self.api._version)

    def url(self, path: str, *names: str) -> str:
        """The address of a call: ``/containers/{0}/start`` with names quoted, below the API version."""
        return str(self.api._url(path, *names))

    def podman_url(self, path: str) -> str:
        """The address of a call of podman's own API, below the version of this engine."""
        return f"{self.api.base_url}/v{version_text(self.version)}/libpod{path}"

    def raise_for_status(self, answer: Any) -> None:
        """Raises docker-py's APIError with what the engine says, where the answer is an error."""
        self.api._raise_for_status(answer)

    def add_logins(self, headers: dict[str, str]) -> None:
        """Adds the stored logins of all registries, for a build."""
        self.api._set_auth_headers(headers)

    def asked(self, image: str | None = None, gpus: tuple[str, ...] = ()) -> Asked:
        return Asked(address=self.address.url, image=image, gpus=gpus)


def connect(environ: Mapping[str, str] = os.environ, ssh_options: Sequence[str] = ()) -> Engine:
    """A connection to the engine that the docker command would use. Takes one round trip. ``ssh_options`` are those of
    a connection of ssh that is kept.

    Raises:
        MachineError: no engine, no permission, unknown context, unusable certificates.
    """
    address = find_address(environ)
    if address.url.startswith("npipe://") and os.name != "nt":  # docker-py would break while it closes
        raise MachineError(
            f'"{address.url}" is not an address of a docker engine',
            hint="unix://PATH, tcp://HOST:PORT or ssh://HOST",
        )
    with translated(Asked(address=address.url)), ExitStack() as opened:
        _knock(address)
        api = _client(address, ssh_options)
        opened.callback(api.close)
        answer = api.get(f"{api.base_url}/_ping", timeout=CONNECT_TIMEOUT_S)
        version = answer.headers.get("Api-Version")
        if version is None:
            raise MachineError(
                f'the server at "{address.url}" is not a docker engine',
                hint=f"correct the address in {address.said_by}",
            )
        answer.raise_for_status()
        api._version = version
        api.timeout = CALL_TIMEOUT_S
        opened.pop_all()
    return Engine(api, address, answer.headers.get("Server", ""))


def find_address(environ: Mapping[str, str] = os.environ) -> Address:
    """Where the docker command would look, without connecting.

    Raises:
        MachineError: an unknown or broken context, missing certificates.
    """
    url = environ.get("DOCKER_HOST")
    if url:
        with translated(Asked(address=url)):
            found = kwargs_from_env(environment=environ)
        if not url.startswith("ssh://"):  # docker-py writes :22 behind an alias
            url = str(found.get("base_url", url))
        return Address(url, "DOCKER_HOST", found.get("tls"))
    name, said_by = current_context(environ)
    context = read_context(name, said_by, environ)
    tls = None
    if context.certificates is not None:
        with translated(Asked(address=context.host)):
            folder = context.certificates
            tls = TLSConfig(
                client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")),
                ca_cert=str(folder / "ca.pem") if (folder / "ca.pem").exists() else None,
                verify=not context.skip_verify,
            )
    return Address(context.host or LOCAL_SOCKET, said_by, tls)


@contextmanager
def translated(asked: Asked) -> Iterator[None]:
    """Turns any exception of the engine or the connection into a ``TaorunnerError``."""
    try:
        yield
    except TaorunnerError:
        raise
    except ENGINE_ERRORS as error:
        raise translate(error, asked) from error


def json_lines(response: Any) -> Iterator[Mapping[str, Any]]:
    """The objects that the engine sends, one a line, while it pulls, pushes or builds.

    Raises:
        MachineError: another form, or more than a line may have.
    """
    try:
        for line in lines(response.iter_content(chunk_size=None), most_bytes=MAX_JSON_BYTES):
            if line.strip():
                body = parse_json(line)
                if not isinstance(body, dict):
                    raise JsonError("not an object")
                yield body
    except JsonError as error:
        raise MachineError(f"the engine sent an unreadable message: {error}") from error


def _knock(address: Address) -> None:
    """Raises the operating system's error for a local socket; docker-py would leave it open on failure."""
    scheme, _, path = address.url.partition("://")
    if scheme in ("unix", "http+unix"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(CONNECT_TIMEOUT_S)
            probe.connect("/" + path.lstrip("/"))


def _client(address: Address, ssh_options: Sequence[str]) -> Any:
    # Any version is fine for the ping, which carries none; docker-py would call /version, which takes 50 ms.
    settings: dict[str, Any] = {"version": "1.44", "timeout": CONNECT_TIMEOUT_S}
    if address.is_ssh:
        from taorunner.engine.ssh import SshAdapter  # rarely needed

        api = APIClient(base_url=LOCAL_SOCKET, **settings)
        api.mount("http+docker://", SshAdapter(address.url, ssh_options))
        return api
    return APIClient(base_url=address.url, tls=address.tls or False, **settings)
