"""Does the engine of this machine answer? Asked before a run is recorded: a start without an engine leaves none.

The usual case is one short exchange over a socket. The client's library, which takes longer to import than the engine
takes to answer, is loaded only for an engine that did not answer, to say why.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from taorunner.engine.contexts import current_context, read_context
from taorunner.errors import MachineError, TaorunnerError

_WITHIN_S = 2.0
_LOCAL_SOCKET = "/var/run/docker.sock"
_PING = b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"


def why_silent(environ: Mapping[str, str]) -> TaorunnerError | None:
    """The error of a first call to the engine; None where it answers. Never raises, and waits some seconds at most."""
    if _answers(environ):
        return None
    from taorunner.engine.client import connect

    try:
        connect(environ).api.close()
    except TaorunnerError as error:
        return error
    return None


def _answers(environ: Mapping[str, str]) -> bool:
    """False where that is not known: over ssh and TLS, and for an address that makes no sense."""
    try:
        kind, address = _place(environ)
        with socket.socket(kind) as engine:
            engine.settimeout(_WITHIN_S)
            engine.connect(address)
            engine.sendall(_PING)
            return engine.recv(5) == b"HTTP/"
    except (OSError, ValueError, MachineError):
        return False


def _place(environ: Mapping[str, str]) -> tuple[int, str | tuple[str, int]]:
    """The family and the address of the socket. Raises ValueError where it is not a plain one."""
    url = environ.get("DOCKER_HOST")
    if not url:
        context = read_context(*current_context(environ), environ)
        url = context.host or f"unix://{_LOCAL_SOCKET}"
    parts = urlsplit(url)
    if parts.scheme in ("unix", "http+unix"):
        return socket.AF_UNIX, url.partition("://")[2]
    if parts.scheme not in ("tcp", "http") or parts.hostname is None or parts.port is None:
        raise ValueError(url)
    return socket.AF_INET, (parts.hostname, parts.port)
