"""A docker engine at an ``ssh://`` address: each connection is one ``ssh HOST docker system dial-stdio`` process.

docker-py needs paramiko for this, ignores the ``Port`` of ``~/.ssh/config`` (it writes ``:22`` into the address) and
starts a process per call. Here ssh itself reads its configuration, agent, jump hosts and known hosts, the
process stands for a connection that is kept and used again, and what ssh says on stderr becomes the error.

The one place that overrides a private method of urllib3 (``_new_conn``) and an adapter of docker-py that is not part of
its documented interface. ``tests/engine/test_private_names.py`` fails when one of them changes.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO
from urllib.parse import urlsplit

import urllib3
import urllib3.connection
from docker.transport.unixconn import UnixHTTPAdapter

from taorunner.errors import MachineError

CONNECT_TIMEOUT_S = 20
"""Until the first response: a login over a slow connection, then the engine."""


def ssh_command(url: str, options: Sequence[str] = ()) -> list[str]:
    """The argv for ``ssh://[user@]host[:port]``. A port is passed only if the address has one.

    Raises:
        MachineError: the address has no host, or one that ssh would read as an option.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if (
        not parts.hostname
        or parts.hostname.startswith("-")
        or (parts.username or "").startswith("-")
        or port == -1
    ):
        raise MachineError(
            f'"{url}" is not an address of a docker engine', hint="use ssh://[user@]host[:port]"
        )
    argv = ["ssh", "-o", "ConnectTimeout=10", "-o", "BatchMode=yes", *options, "-T"]
    if parts.username:
        argv += ["-l", parts.username]
    if port is not None:
        argv += ["-p", str(port)]
    return [*argv, "--", parts.hostname, "docker", "system", "dial-stdio"]


def _by_hand(url: str) -> str:
    """What tries the same from a shell."""
    parts = urlsplit(url)
    at = f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname)
    return shlex.join(["ssh", *(("-p", str(parts.port)) if parts.port else ()), at, "docker", "version"])


class SshConnection(urllib3.connection.HTTPConnection):
    """An HTTP connection through the ssh process."""

    def __init__(self, url: str, options: Sequence[str]) -> None:
        super().__init__("localhost", timeout=CONNECT_TIMEOUT_S)
        self._url = url
        self._argv = ssh_command(url, options)
        self._last_words = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None

    def connect(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as opened:
            opened.enter_context(ours)
            said = opened.enter_context(tempfile.TemporaryFile())
            try:
                self._process = subprocess.Popen(
                    self._argv,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=said,
                    start_new_session=True,  # Ctrl-C must not end the connection
                )
            except OSError as error:
                raise MachineError(
                    f"ssh cannot be started: {(error.strerror or str(error)).lower()}",
                    hint="install openssh-client",
                ) from error
            opened.pop_all()
        ours.settimeout(CONNECT_TIMEOUT_S)
        self.sock, self._said = ours, said

    def getresponse(self) -> urllib3.response.HTTPResponse:  # type: ignore[override]  # urllib3 declares its base class
        try:
            return super().getresponse()
        except ConnectionError as error:
            self.close()
            raise MachineError(
                f'cannot reach the docker engine at "{self._url}": {self._last_words}',
                hint=f"make this work first: {_by_hand(self._url)}",
            ) from error

    def close(self) -> None:
        super().close()
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        said, self._said = self._said, None
        if said is not None:
            with said:
                said.seek(0)
                lines = [line.strip() for line in said.read(4096).decode("utf-8", "replace").splitlines()]
            lines = [line.removeprefix("ssh: ").rstrip(".") for line in lines if line]
            self._last_words = lines[-1] if lines else "the connection was closed"


class SshConnectionPool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, url: str, options: Sequence[str] = ()) -> None:
        super().__init__("localhost", timeout=CONNECT_TIMEOUT_S, maxsize=10)
        self._url, self._options = url, options

    def _new_conn(self) -> SshConnection:
        return SshConnection(self._url, self._options)


class SshAdapter(UnixHTTPAdapter):  # type: ignore[misc]  # docker-py has no types
    """Replaces docker-py's adapter for the local socket."""

    def __init__(self, url: str, options: Sequence[str] = ()) -> None:
        super().__init__("http+unix:///ssh", timeout=CONNECT_TIMEOUT_S)
        ssh_command(url)  # reports a malformed address early
        self._ssh_pool = SshConnectionPool(url, options)

    def get_connection(self, url: str, proxies: object = None) -> SshConnectionPool:
        return self._ssh_pool

    def close(self) -> None:
        self._ssh_pool.close()
        super().close()
