"""The container of a shell: made from the same request as a run's, talked with, and gone afterwards.

A terminal is joined to it by the docker program where that is installed, and through the engine's API where it is not;
pipes need no terminal and always go through the API.
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
"""What a shell gets to write down its history after SIGHUP, before it is killed."""
_SETTLE_S = 10.0
_RESIZE_WAITS_S = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)
"""The terminal of a container that is just starting cannot be resized yet."""


class ShellContainer:
    """One container, from ``create`` to ``end``."""

    def __init__(self, request: DockerRequest) -> None:
        self._request = request
        self._engine = connect()

    def create(self) -> None:
        """Nothing is started yet. Raises MachineError or EngineRefusedError: nothing was created."""
        name = self._request.name
        if containers.create(self._engine, container_settings(self._request)) is None:
            raise EngineRefusedError(
                f'there is another container named "{name}"', hint=f"docker rm -f {name}"
            )

    def talk(self) -> int:
        """Starts it and joins it to our own terminal or pipes until it has ended; gives its exit code.

        Raises:
            MachineError, EngineRefusedError: it could not be started, or the engine was lost on the way.
        """
        if not self._request.options.tty:
            self._talk_through_pipes()
        elif (docker := docker_program()) is None or not self._talk_through(docker):
            self._talk_on_terminal()
        return self._exit_code()

    def end(self) -> None:
        """Hangs up, kills after a moment what does not listen, and removes it. Idempotent.

        Raises:
            MachineError: the engine cannot be asked: it may still be there.
        """
        end_container(self._engine, self._request.name)

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
        """False when that program cannot be started at all."""
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
        """The engine's refusal in our own words; docker's own words, where it has something else to say."""
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
        with suppress(MachineError, EngineRefusedError):  # it may have ended meanwhile
            dialogue.signal(self._engine, self._request.name, name)

    def _exit_code(self) -> int:
        """A stream ends a moment before the engine knows the exit code."""
        until_s = time.monotonic() + _SETTLE_S
        while True:
            state = containers.look(self._engine, self._request.name)
            if state is None:
                raise MachineError(
                    "the container of the shell was removed while it ran", hint="docker events tells by whom"
                )
            if state.exit_code is not None:
                return state.exit_code
            if time.monotonic() > until_s:
                raise MachineError(
                    "the connection to the container is lost", hint="is the docker engine well?"
                )
            time.sleep(0.02)


def docker_program() -> str | None:
    """Where the docker program is, None where there is none."""
    return shutil.which("docker")


def end_container(engine: Engine, name: str) -> bool:
    """As ``ShellContainer.end``, by name. False when there was none."""
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
