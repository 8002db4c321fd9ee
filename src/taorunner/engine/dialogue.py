"""Talking with a container that is at work: its standard input, its terminal's size, signals.

Every function raises ``TaorunnerError`` only, but for what a connection says that breaks off: that is ``OSError``.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from taorunner.engine.client import ENGINE_ERRORS, Engine, translated
from taorunner.engine.frames import READ_BYTES, FrameStream, close_attached, socket_of
from taorunner.engine.refusals import is_missing
from taorunner.errors import MachineError

NEVER_DETACH = "ctrl-@,ctrl-^,ctrl-@,ctrl-]"
"""Docker's own keys to detach (ctrl-p ctrl-q) hold back ctrl-p, which shells use, and leave the container behind.
There is no way to have none. Source: Docker CLI reference, docker attach --detach-keys."""


class Dialogue:
    """Both directions of one attached container. ``send`` and the iteration belong to one thread each."""

    def __init__(self, raw: Any, *, framed: bool) -> None:
        self._raw = raw
        self._socket = socket_of(raw)
        self._socket.settimeout(None)
        self._output = FrameStream(self._read, self._wake, self._release, framed=framed)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """``(stream name, bytes)`` until the container has ended or the connection has."""
        return iter(self._output)

    def send(self, data: bytes) -> None:
        """Blocks while the process inside does not read. Raises OSError when nobody is there any more."""
        self._socket.sendall(data)

    def end_input(self) -> None:
        """The process inside sees the end of its standard input; its output goes on."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Ends the iteration, from any thread. Idempotent."""
        self._output.close()

    def _read(self) -> bytes:
        return bytes(self._socket.recv(READ_BYTES))

    def _wake(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        with suppress(OSError, ValueError):
            close_attached(self._raw)


def converse(engine: Engine, container: str, *, tty: bool) -> Dialogue:
    """Attaches to a container that was created with a standard input; to be called before it is started.

    Raises:
        MachineError: also where the connection is one that cannot end one direction alone.
    """
    if engine.address.tls and not tty:
        raise MachineError(
            "through TLS the end of standard input cannot be told to a container",
            hint="use a terminal, or reach the engine with DOCKER_HOST=ssh://HOST",
        )
    params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1, "detachKeys": NEVER_DETACH}
    with translated(engine.asked()):
        raw = engine.api.attach_socket(container, params)
    return Dialogue(raw, framed=not tty)


def resize(engine: Engine, container: str, rows: int, columns: int) -> bool:
    """Gives the container's terminal that size. False when it cannot be done at this moment."""
    with suppress(*ENGINE_ERRORS):
        engine.api.resize(container, rows, columns)
        return True
    return False


def signal(engine: Engine, container: str, name: str) -> None:
    """Sends a signal (``HUP``, ``INT``, …) to its first process; one that is over or gone is no error."""
    with translated(engine.asked()):
        try:
            engine.api.kill(container, name)
        except ENGINE_ERRORS as error:
            if not is_missing(error) and getattr(error, "status_code", None) != 409:  # 409: it does not run
                raise
