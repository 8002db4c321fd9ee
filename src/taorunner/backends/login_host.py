"""Commands on the login host of a cluster: by ssh, which asks nothing, or on this machine where none is named.

``LoginHost`` keeps one connection for many calls: a new one costs a login each time, and sites count logins.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import socket
import stat
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from taorunner import host_commands
from taorunner.errors import MachineError
from taorunner.text import printable

SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
"""Never asks for a password, and accepts no host key by itself."""
_ALIVE = ("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3")
"""A line that was cut without a word is given up after 45 seconds."""
_KEPT_S = 60
"""How long a connection that nobody uses is kept."""
_SSH_FAILED = 255
_LOGIN_S = 30.0
_LONGEST_PATH = 90
"""The name of a socket has room for about 100 bytes, and ssh appends some."""


class UnreachableError(MachineError):
    """ssh could not reach the host, or was refused there."""


def run_at(
    host: str | None,
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> host_commands.CommandResult:
    """As ``host_commands.run``; a shell of the host gets each word quoted. ``env`` is that of this machine.

    Raises:
        UnreachableError: see there.
        MachineError: as ``host_commands.run``.
    """
    data = None if stdin is None else stdin.encode("utf-8")
    return _run(host, argv, (), timeout_s=timeout_s, env=env, stdin=data).as_text


class LoginHost:
    """One login host, or this machine. Thread-safe. Calls of all processes of a user share a connection.

    Where the user's own configuration of ssh keeps connections, those are used.
    """

    def __init__(self, host: str | None, environ: Mapping[str, str] | None = None) -> None:
        self.host, self._environ = host, environ
        self._lock = threading.Lock()
        self._place: Path | None = None
        self._has_looked = False

    def run(
        self, argv: Sequence[str], *, timeout_s: float, stdin: str | None = None
    ) -> host_commands.CommandResult:
        """Raises as ``run_at``."""
        return self.run_raw(
            argv, timeout_s=timeout_s, stdin=None if stdin is None else stdin.encode("utf-8")
        ).as_text

    def run_raw(
        self, argv: Sequence[str], *, timeout_s: float, stdin: bytes | None = None
    ) -> host_commands.RawResult:
        """As ``run``, in bytes."""
        return _run(self.host, argv, self.kept(), timeout_s=timeout_s, env=self._environ, stdin=stdin)

    def kept(self) -> tuple[str, ...]:
        """Options of ssh that use the kept connection, which is opened when there is none; none on this machine."""
        if self.host is None:
            return ()
        with self._lock:
            if not self._has_looked:
                self._place, self._has_looked = _socket_of(self.host, self._environ), True
            place = self._place
            if place is None or not (_answers(place) or self._open(place)):
                return ()
        return ("-o", "ControlMaster=no", "-o", f"ControlPath={place}")

    def _open(self, place: Path) -> bool:
        """False where there is none: the call itself says why. Of several processes one opens it."""
        try:
            lock = os.open(f"{place}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _answers(place):
                return True
            with suppress(OSError):
                place.unlink()
            words = [
                *SSH,
                *_ALIVE,
                "-M",
                "-N",
                "-f",
                "-o",
                f"ControlPersist={_KEPT_S}",
                "-o",
                f"ControlPath={place}",
            ]
            quiet = ["sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", *words, "--", self.host or ""]
            with suppress(
                MachineError
            ):  # the connection goes on in the background and must hold no pipe of ours
                host_commands.run(quiet, timeout_s=_LOGIN_S, env=self._environ)
            return _answers(place)
        finally:
            os.close(lock)


def _run(
    host: str | None, argv: Sequence[str], options: Sequence[str], *,
    timeout_s: float, env: Mapping[str, str] | None, stdin: bytes | None,
) -> host_commands.RawResult:  # fmt: skip
    words = list(argv) if host is None else [*SSH, *options, "-T", "--", host, shlex.join(argv)]
    done = host_commands.run_raw(words, timeout_s=timeout_s, env=env, stdin=stdin)
    if host is not None and done.code == _SSH_FAILED:
        said = printable(done.as_text.last_words.removeprefix("ssh: "))
        raise UnreachableError(f'"{host}" cannot be reached: {said}', hint=f"try: ssh {host} true")
    return done


def _socket_of(host: str, environ: Mapping[str, str] | None) -> Path | None:
    """A place for the socket of a connection to ``host`` as ssh is configured now; None where there is none."""
    try:
        done = host_commands.run([*SSH, "-G", "--", host], timeout_s=_LOGIN_S, env=environ)
    except MachineError:
        return None
    own = [line.split(None, 1)[1] for line in done.stdout.splitlines() if line.startswith("controlpath ")]
    if not done.succeeded or (own and own[-1] != "none"):
        return None
    values = os.environ if environ is None else environ
    folder = Path(values.get("XDG_RUNTIME_DIR") or "/tmp") / f"taorunner-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError:
        return None
    is_ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o077
    place = folder / hashlib.sha256(done.stdout.encode()).hexdigest()[:16]
    return place if is_ours and len(str(place)) <= _LONGEST_PATH else None


def _answers(place: Path) -> bool:
    """Whether a connection is behind the socket: its process may have been killed."""
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(str(place))
        return True
    return False
