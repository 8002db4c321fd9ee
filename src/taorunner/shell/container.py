"""The container of a shell: created from the same request as that of a run, connected, and removed afterwards.

A terminal is connected by the docker program if it is installed and the engine is Docker's, otherwise through the
engine's API. Pipes always use the API.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from taorunner.backends.docker.request import DockerRequest, container_settings
from taorunner.engine import containers, dialogue
from taorunner.engine.client import Engine, connect
from taorunner.engine.refusals import translate
from taorunner.errors import EngineRefusedError, MachineError
from taorunner.shell import terminal

HANG_UP_GRACE_S = 2.0
"""Time for a shell to save its history after SIGHUP before it is killed."""
_SETTLE_S = 10.0
_RESIZE_WAITS_S = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Retries of the first resize, which fails while the container starts."""


class ShellContainer:
    """One container, from ``create`` to ``end``."""

    def __init__(self, request: DockerRequest) -> None:
        self._request = request
        self._engine = connect()

    def create(self) -> None:
        """Creates the container without starting it. After MachineError or EngineRefusedError nothing was created."""
        name = self._request.name
        if containers.create(self._engine, container_settings(self._request)) is None:
            raise EngineRefusedError(f'a container named "{name}" exists', hint=f"docker rm -f {name}")

    def talk(self) -> int:
        """Starts it, connects it to the terminal or pipes of this process until it ends, and returns its exit code.

        Raises:
            MachineError, EngineRefusedError: it could not be started, or the connection to the engine was lost.
        """
        if not self._request.options.tty:
            self._talk_through_pipes()
        elif (docker := self._program()) is None or not self._talk_through(docker):
            self._talk_on_terminal()
        return self._exit_code()

    def end(self) -> None:
        """Sends SIGHUP, then SIGKILL, and removes the container. Idempotent.

        Raises:
            MachineError: the engine does not answer, so the container may still exist.
        """
        end_container(self._engine, self._request.name)

    def _program(self) -> str | None:
        return None if self._engine.is_podman else docker_program()

    def _talk_through_pipes(self) -> None:
        name = self._request.name
        peer = dialogue.converse(self._engine, name, tty=False)
        try:
            self._start()
            terminal.talk_through_pipes(peer, lambda signal_name: self._signal(signal_name))
        finally:
            peer.close()

    def _talk_on_terminal(self) -> None:
        name = self._request.name
        peer = dialogue.converse(self._engine, name, tty=True)
        try:
            self._start()
            terminal.talk_on_terminal(peer, self._resize)
        finally:
            peer.close()

    def _talk_through(self, docker: str) -> bool:
        """False when the program cannot be started."""
        command = [docker, "start", "--attach", "--interactive", "--detach-keys", dialogue.NEVER_DETACH]
        with terminal.restored(), terminal.left_to_a_child(), tempfile.TemporaryFile() as said:
            try:
                child = subprocess.Popen([*command, self._request.name], stderr=said)
            except OSError:
                return False
            try:
                child.wait()
            except BaseException:
                with suppress(OSError):
                    child.send_signal(signal.SIGHUP)
                raise
            if child.returncode:
                self._raise_if_refused(_text(said))
        return True

    def _raise_if_refused(self, said: str) -> None:
        """Raises the engine's refusal with its explanation; other errors with docker's text."""
        state = containers.look(self._engine, self._request.name)
        if state is not None and state.status == "created":
            asked = self._engine.asked(self._request.image, self._request.gpus)
            raise translate(
                state.error or said.removeprefix("Error response from daemon: ") or "docker failed", asked
            )
        if said:
            with suppress(OSError):
                os.write(terminal.STDERR, f"{said}\n".encode())

    def _start(self) -> None:
        containers.start(self._engine, self._request.name, self._request.image, self._request.gpus)

    def _resize(self, rows: int, columns: int) -> None:
        for wait_s in _RESIZE_WAITS_S:
            time.sleep(wait_s)
            if dialogue.resize(self._engine, self._request.name, rows, columns):
                return

    def _signal(self, name: str) -> None:
        with suppress(MachineError, EngineRefusedError):  # the container may have ended
            dialogue.signal(self._engine, self._request.name, name)

    def _exit_code(self) -> int:
        """Waits for the exit code, which the engine knows only after the stream has ended."""
        until_s = time.monotonic() + _SETTLE_S
        while True:
            state = containers.look(self._engine, self._request.name)
            if state is None:
                raise MachineError(
                    "the container of the shell was removed while it ran",
                    hint="docker events --since 10m shows when",
                )
            if state.exit_code is not None:
                return state.exit_code
            if time.monotonic() > until_s:
                raise MachineError(
                    "the connection to the container was lost", hint="taorunner doctor --only engine"
                )
            time.sleep(0.02)


def docker_program() -> str | None:
    """The path of the docker program, or None."""
    return shutil.which("docker")


def end_container(engine: Engine, name: str) -> bool:
    """Like ``ShellContainer.end``, by name. False when there was no such container."""
    state = containers.look(engine, name)
    if state is None:
        return False
    if state.status == "running":
        dialogue.signal(engine, name, "HUP")
        until_s = time.monotonic() + HANG_UP_GRACE_S
        while state is not None and not state.is_over and time.monotonic() < until_s:
            time.sleep(0.02)
            state = containers.look(engine, name)
    containers.remove(engine, name)
    return True


def _text(file: IO[bytes], limits: Sequence[int] = (0, 4096)) -> str:
    file.seek(limits[0])
    return file.read(limits[1]).decode("utf-8", "replace").strip()
