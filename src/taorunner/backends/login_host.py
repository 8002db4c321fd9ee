"""Commands on the login host of a cluster: by ssh, which asks nothing, or on this machine where none is named."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from taorunner import host_commands
from taorunner.errors import MachineError
from taorunner.text import printable

SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
"""Never asks for a password, and accepts no host key by itself."""
_SSH_FAILED = 255


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
    words = list(argv) if host is None else [*SSH, "-T", "--", host, shlex.join(argv)]
    done = host_commands.run(words, timeout_s=timeout_s, env=env, stdin=stdin)
    if host is not None and done.code == _SSH_FAILED:
        said = printable(done.last_words.removeprefix("ssh: "))
        raise UnreachableError(f'"{host}" cannot be reached: {said}', hint=f"try: ssh {host} true")
    return done
