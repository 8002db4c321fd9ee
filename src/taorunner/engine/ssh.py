"""A docker engine behind ``ssh://``: each connection is one ``ssh HOST docker system dial-stdio``.

docker-py needs paramiko for this, ignores the ``Port`` of ``~/.ssh/config`` (it writes ``:22`` into the address) and
starts a process per call. Here ssh itself reads its configuration, agent, jump hosts and known hosts, the
process stands for a connection that is kept and used again, and what ssh says on stderr becomes the error.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from typing import IO
from urllib.parse import urlsplit

import urllib3
import urllib3.connection
from docker.transport.unixconn import UnixHTTPAdapter

from taorunner.errors import MachineError


def ssh_command(url: str) -> list[str]:
    """The argv for ``ssh://[user@]host[:port]``. A port is only given when the address names one.

    Raises:
        MachineError: the address names no host, or one that ssh would read as an option.
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
        raise MachineError(f'"{url}" is not an address of a docker engine', hint="ssh://[user@]host[:port]")
    argv = ["ssh", "-o", "ConnectTimeout=10", "-o", "BatchMode=yes", "-T"]
    if parts.username:
        argv += ["-l", parts.username]
    if port is not None:
        argv += ["-p", str(port)]
    return [*argv, "--", parts.hostname, "docker", "system", "dial-stdio"]


class SshConnection(urllib3.connection.HTTPConnection):
    """An HTTP connection whose other end is the ssh process."""

    def __init__(self, argv: list[str], environ: Mapping[str, str], timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._argv = argv
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None

    def connect(self) -> None:
        ours, theirs = socket.socketpair()
        self._said = tempfile.TemporaryFile()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    self._argv,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._said,
                    env=dict(self._environ),
                    start_new_session=True,  # Ctrl-C is for us, not for the connection
                )
            except OSError as error:
                ours.close()
                self._said.close()
                raise MachineError(
                    f"ssh cannot be started: {error.strerror}", hint="install openssh-client"
                ) from error
        ours.settimeout(60)
        self.sock = ours

    def getresponse(self) -> urllib3.response.HTTPResponse:  # type: ignore[override]
        try:
            return super().getresponse()
        except (OSError, urllib3.exceptions.HTTPError) as error:
            reason = self._reason()
            if reason:
                raise OSError(f"ssh: {reason}") from error
            raise

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
        if self._said is not None:
            self._said.close()
            self._said = None

    def _reason(self) -> str:
        if self._process is None or self._said is None:
            return ""
        try:
            self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return ""
        self._said.seek(0)
        lines = self._said.read(4096).decode("utf-8", "replace").splitlines()
        lines = [line.removeprefix("ssh: ").strip() for line in lines if line.strip()]
        return lines[-1] if lines else f"ended with code {self._process.returncode}"


class SshConnectionPool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, argv: list[str], environ: Mapping[str, str], timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s, maxsize=10)
        self._argv = argv
        self._environ = environ
        self._timeout_s = timeout_s

    def _new_conn(self) -> SshConnection:
        return SshConnection(self._argv, self._environ, self._timeout_s)


class SshAdapter(UnixHTTPAdapter):  # type: ignore[misc]
    """Mounted in place of docker-py's adapter for the local socket."""

    def __init__(self, url: str, environ: Mapping[str, str] | None = None) -> None:
        super().__init__("http+unix:///ssh", timeout=60)
        environ = os.environ if environ is None else environ
        self._ssh_pool = SshConnectionPool(ssh_command(url), environ, 60)

    def get_connection(self, url: str, proxies: object = None) -> SshConnectionPool:
        return self._ssh_pool

    def close(self) -> None:
        self._ssh_pool.close()
        super().close()
