"""Interaction with a running container: standard input, terminal size, signals.

Functions raise only ``TaorunnerError``, and ``OSError`` for a connection that breaks.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from taorunner.engine.client import ENGINE_ERRORS, Engine, translated
from taorunner.engine.frames import READ_BYTES, FrameStream, close_attached, socket_of
from taorunner.engine.refusals import is_missing, is_not_running
from taorunner.errors import MachineError

NEVER_DETACH = "ctrl-@,ctrl-^,ctrl-@,ctrl-]"
"""Replaces Docker's detach keys (ctrl-p ctrl-q), which delay ctrl-p and leave the container running. They cannot be
switched off. Source: Docker CLI reference, docker attach --detach-keys."""


class Dialogue:
    """Input and output of an attached container. Use ``send`` from one thread, and iterate in one thread."""

    def __init__(self, raw: Any, *, framed: bool) -> None:
        self._raw = raw
        self._socket = socket_of(raw)
        self._socket.settimeout(None)
        self._output = FrameStream(self._read, self._wake, self._release, framed=framed)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """``(stream name, bytes)`` until the container or the connection ends."""
        return iter(self._output)

    def send(self, data: bytes) -> None:
        """Blocks while the container's process does not read. Raises OSError when the connection is closed."""
        self._socket.sendall(data)

    def end_input(self) -> None:
        """Closes the container's standard input; its output continues."""
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
    """Attaches to a container that was created with a standard input. Call it before the start.

    Raises:
        MachineError: no engine, or a connection that cannot close one direction alone.
    """
    if engine.address.tls and not tty:
        raise MachineError(
            "a TLS connection cannot pass on the end of standard input to a container",
            hint="use a terminal, or reach the engine with DOCKER_HOST=ssh://HOST",
        )
    params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1, "detachKeys": NEVER_DETACH}
    with translated(engine.asked()):
        raw = engine.api.attach_socket(container, params)
    return Dialogue(raw, framed=not tty)


def resize(engine: Engine, container: str, rows: int, columns: int) -> bool:
    """Sets the size of the container's terminal. False when this is not possible at the moment."""
    with suppress(*ENGINE_ERRORS):
        engine.api.resize(container, rows, columns)
        return True
    return False


def signal(engine: Engine, container: str, name: str) -> None:
    """Sends a signal (``HUP``, ``INT``, …) to the main process; no error if the container has ended or is gone."""
    with translated(engine.asked()):
        try:
            engine.api.kill(container, name)
        except ENGINE_ERRORS as error:
            if not (is_missing(error) or is_not_running(error)):
                raise
