"""Runs a program of this machine with a time limit and returns a typed result. All calls of ``git`` or ``sbatch`` use
it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from taorunner.errors import MachineError
from taorunner.values.value import Value


def service_command(verb: str, name: str = "docker", root: Path = Path("/")) -> str:
    """What starts or restarts a service of this machine: ``sudo systemctl restart docker``, without systemd ``sudo
    service docker restart``.

    Source: sd_booted(3), systemd runs where ``/run/systemd/system`` is a folder.
    """
    if (root / "run/systemd/system").is_dir():
        return f"sudo systemctl {verb} {name}"
    return f"sudo service {name} {verb}"


class CommandResult(Value):
    """The end of a program. ``code`` is 128 + n after signal n; the text is UTF-8 with bad bytes replaced."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def succeeded(self) -> bool:
        return self.code == 0

    @property
    def last_words(self) -> str:
        """The last non-blank line of stderr, or else of stdout."""
        for text in (self.stderr, self.stdout):
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if lines:
                return lines[-1]
        return f"ended with code {self.code}"


class RawResult(Value):
    """The end of a program, with what it printed as bytes. ``code`` as in ``CommandResult``."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes

    @property
    def as_text(self) -> CommandResult:
        out, err = (data.decode("utf-8", "replace") for data in (self.stdout, self.stderr))
        return CommandResult(self.argv, self.code, out, err)


def run(
    argv: Sequence[str | Path],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    grace_s: float = 0,
) -> CommandResult:
    """Runs a program to its end. A failure is a result, not an exception.

    The program gets its own session: Ctrl-C does not reach it, and at the time limit its children are killed too. With
    ``grace_s`` it is asked to end first (SIGTERM), then and after an interrupt, and killed that much later.

    Raises:
        MachineError: the program is missing, cannot be started, or took longer than ``timeout_s``.
    """
    data = None if stdin is None else stdin.encode("utf-8")
    return run_raw(argv, timeout_s=timeout_s, cwd=cwd, env=env, stdin=data, grace_s=grace_s).as_text


def run_raw(
    argv: Sequence[str | Path],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    grace_s: float = 0,
) -> RawResult:
    """As ``run``, in bytes."""
    words = tuple(str(word) for word in argv)
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise MachineError(f'there is no folder "{cwd}"') from error
        raise MachineError(f'there is no command "{words[0]}" on PATH', hint=f"install {words[0]}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MachineError(f'"{words[0]}" cannot be started: {reason.lower()}') from error
    with process:
        try:
            out, err = process.communicate(stdin, timeout=timeout_s)
        except BaseException as error:
            if grace_s:
                with suppress(OSError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, signal.SIGTERM)
                    process.wait(grace_s)
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise MachineError(f'"{shlex.join(words)}" took longer than {timeout_s:g} s') from error
            raise
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    return RawResult(words, code, out, err)
