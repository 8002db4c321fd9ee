"""Runs a program of this machine with a time limit and returns a typed result. All calls of ``git`` or ``sbatch`` use
it."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from taorunner.errors import MachineError
from taorunner.text import size
from taorunner.values.value import Value

MOST_BYTES = 256 * 1024**2
"""Of the output of a program: far more than a queue of 10^6 jobs, or all that is read of a host at once."""
_MOST_ERRORS = 1024 * 1024
_BLOCK = 256 * 1024


class _TooMuchError(Exception):
    """A program printed more than ``MOST_BYTES``."""


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
    with _started(words, cwd, env, subprocess.DEVNULL if stdin is None else subprocess.PIPE) as process:
        try:
            out, err = _exchanged(process, stdin, timeout_s)
        except BaseException as error:
            _end(process, grace_s)
            if isinstance(error, subprocess.TimeoutExpired):
                raise MachineError(f'"{shlex.join(words)}" took longer than {timeout_s:g} s') from error
            if isinstance(error, _TooMuchError):
                raise MachineError(f'"{shlex.join(words)}" printed more than {size(MOST_BYTES)}') from error
            raise
    return RawResult(words, _code(process), out, err)


def run_followed(
    argv: Sequence[str | Path],
    said: Callable[[bytes], None],
    *,
    env: Mapping[str, str] | None = None,
    grace_s: float = 0,
) -> RawResult:
    """As ``run_raw``, for work that may take days: ``said`` gets what it prints, as it comes."""
    words = tuple(str(word) for word in argv)
    with (
        tempfile.TemporaryFile() as errors,
        _started(words, None, env, subprocess.DEVNULL, errors) as process,
    ):
        assert process.stdout is not None
        try:
            while block := os.read(process.stdout.fileno(), _BLOCK):
                said(block)
            process.wait()
        except BaseException:
            _end(process, grace_s)
            raise
        errors.seek(0)
        return RawResult(words, _code(process), b"", errors.read(_MOST_ERRORS))


def _started(
    words: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: int,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            words,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
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


def _exchanged(
    process: subprocess.Popen[bytes], stdin: bytes | None, timeout_s: float
) -> tuple[bytes, bytes]:
    """As ``communicate``, up to ``MOST_BYTES`` of output. Raises TimeoutExpired, _TooMuchError."""
    deadline = time.monotonic() + timeout_s
    out, err, left = bytearray(), bytearray(), memoryview(stdin or b"")
    with selectors.DefaultSelector() as ready:
        for stream, into in ((process.stdout, out), (process.stderr, err)):
            assert stream is not None
            ready.register(stream, selectors.EVENT_READ, into)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            ready.register(process.stdin, selectors.EVENT_WRITE)
        while ready.get_map():
            rest_s = deadline - time.monotonic()
            if rest_s <= 0:
                raise subprocess.TimeoutExpired(process.args, timeout_s)
            for key, _ in ready.select(rest_s):
                if key.data is None:
                    left = _written(key.fd, left)
                    is_over = not left
                else:
                    data = os.read(key.fd, _BLOCK)
                    key.data.extend(data)
                    is_over = not data
                    if len(out) + len(err) > MOST_BYTES:
                        raise _TooMuchError
                if is_over:
                    ready.unregister(key.fileobj)
                    if process.stdin is not None and key.data is None:
                        process.stdin.close()
    process.wait(max(0.0, deadline - time.monotonic()))
    return bytes(out), bytes(err)


def _written(descriptor: int, data: memoryview) -> memoryview:
    """What is left to write; nothing where nobody reads it any more."""
    try:
        return data[os.write(descriptor, data[:_BLOCK]) :] if data else data
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return data[:0]


def _end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    if grace_s:
        with suppress(OSError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(grace_s)
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _code(process: subprocess.Popen[bytes]) -> int:
    return process.returncode if process.returncode >= 0 else 128 - process.returncode
