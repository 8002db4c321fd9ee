"""``taorunner`` as a process of its own without the start of a Python, most of the time of a short command.

``fork_server.py`` is started once for each user that types commands, by the first of them, and ends with this process.
What must be a real start names its program: ``cli(…, program=PROGRAM)``, ``cli.start(…)``, a terminal.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SERVER = Path(__file__).with_name("fork_server.py")
AT_START = {"LANG": "C.UTF-8"}
"""What Python, the linker or a module reads when it starts, as the servers have it."""
READ_AT_START = (
    "PYTHON", "LD_", "LC_", "LANG", "GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS", "TERMINAL_WIDTH", "TYPER_", "_TYPER_",
)  # fmt: skip
"""How the names of such variables begin."""


@dataclass(frozen=True)
class ForkServer:
    """A running server; several threads may use it at once."""

    requests: socket.socket
    process: subprocess.Popen[bytes]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(
        self, words: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: bytes, timeout_s: float
    ) -> tuple[int, bytes, bytes]:
        """The exit code, stdout and stderr of a command, as ``subprocess.run`` gives them. Raises TimeoutExpired."""
        pipes = [os.pipe() for _ in range(4)]
        (in_read, in_write), (out_read, out_write), (err_read, err_write), (end_read, end_write) = pipes
        theirs = [in_read, out_write, err_write, end_write]
        request = {"words": words, "cwd": str(cwd), "env": env, "umask": current_umask()}
        body = json.dumps(request).encode()
        with self.lock:
            socket.send_fds(self.requests, [b"%8d" % len(body)], theirs)
            self.requests.sendall(body)
        for number in theirs:
            os.close(number)
        told = os.read(end_read, 64)  # the number of the process; a first command waits here for its server
        feeder = threading.Thread(target=feed, args=(in_write, stdin))
        feeder.start()
        try:
            read = read_all([out_read, err_read, end_read], timeout_s)
        finally:
            for number in (out_read, err_read, end_read):
                os.close(number)
        child, *code = map(int, (told + read[end_read]).split())
        if not code:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            raise subprocess.TimeoutExpired(["taorunner", *words], timeout_s, read[out_read], read[err_read])
        feeder.join()
        return code[0], read[out_read], read[err_read]


def serves(env: Mapping[str, str]) -> bool:
    """Whether a command with ``env`` can be forked from a server."""
    return {name: value for name, value in env.items() if name.startswith(READ_AT_START)} == AT_START


@functools.cache
def server_of(prefix: tuple[str, ...]) -> ForkServer:
    """The server whose commands run with ``prefix`` (``setpriv``, another user)."""
    mine, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [*prefix, sys.executable, str(SERVER), str(theirs.fileno()), "taorunner"],
            cwd="/", env={"PATH": os.environ["PATH"], **AT_START}, pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,  # as those of each command
        )  # fmt: skip
    return ForkServer(mine, process)


def current_umask() -> int:
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask:")
    )
    return int(line.split()[1], 8)


def feed(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as file:
        file.write(data)


def read_all(descriptors: Sequence[int], timeout_s: float) -> dict[int, bytes]:
    """What is written to each until its last writer closes it, or the time is over."""
    deadline = time.monotonic() + timeout_s
    read = dict.fromkeys(descriptors, b"")
    with selectors.DefaultSelector() as selector:
        for number in descriptors:
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                data = os.read(key.fd, 1 << 16)
                read[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
    return read
