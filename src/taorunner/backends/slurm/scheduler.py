"""The commands of Slurm, on this host or behind ssh, and what they answer.

Reads their text formats only, because their JSON changed between releases.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from taorunner import host_commands
from taorunner.backends.login_host import LoginHost, UnreachableError
from taorunner.backends.shared_call import SharedCall
from taorunner.backends.silence import Silence, SilentError
from taorunner.errors import MachineError, TaorunnerError
from taorunner.text import printable
from taorunner.values.value import Value

T = TypeVar("T")

COMMAND_TIMEOUT_S = 60.0
SILENT_PAUSE_S = 60.0
"""A controller that is down is asked once a minute: each call takes nine seconds until it fails."""
_SQUEUE = "%i|%T|%r|%N|%V|%j"
_SACCT = "JobID,State,ExitCode,End,JobName"
_DOWN = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Connection refused",
    "Zero Bytes were transmitted",
)


class JobRow(NamedTuple):  # made for each job of a user in each poll: a Value takes ten times as long
    """One job as ``squeue`` has it. ``state`` is Slurm's first word of it, ``reason`` as Slurm says it."""

    id: str
    state: str
    reason: str
    nodes: str
    name: str


class EndRow(Value):
    """One job as ``sacct`` has it. ``by`` is the user id that cancelled it."""

    id: str
    state: str
    exit_code: int
    signal: int
    name: str
    by: str | None = None


def read_squeue(text: str) -> list[JobRow]:
    rows = []
    for line in text.splitlines():
        parts = printable(line).split("|", 5)
        if len(parts) == 6:
            job, state, reason, nodes, _submitted, name = parts
            rows.append(JobRow(job, first_word(state), reason, nodes, name))
    return rows


def read_sacct(text: str) -> list[EndRow]:
    """The rows in their order; the last one of a job that was requeued is that of its last start."""
    rows = []
    for line in text.splitlines():
        parts = printable(line).split("|", 4)
        if len(parts) != 5:
            continue
        job, state, code, _end, name = parts
        exit_code, _, signal = code.partition(":")
        _, _, by = state.partition(" by ")
        rows.append(
            EndRow(job, first_word(state), _number(exit_code), _number(signal), name, by.strip() or None)
        )
    return rows


def first_word(state: str) -> str:
    """``CANCELLED by 1000`` and the shortened ``CANCELLED+`` are CANCELLED."""
    words = state.split()
    return words[0].rstrip("+") if words else ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0


class Scheduler:
    """The commands of one cluster. ``host`` is None for those of this machine. Thread-safe."""

    def __init__(
        self,
        host: str | None,
        environ: Mapping[str, str] | None = None,
        silent_pause_s: float = SILENT_PAUSE_S,
    ) -> None:
        self.host = host
        self.login = LoginHost(host, {**(os.environ if environ is None else environ), "TZ": "UTC"})
        self._silence = Silence(silent_pause_s)
        self._interruptions: dict[tuple[str, int], str | None] = {}
        self._shared = SharedCall(self._jobs)

    @property
    def where(self) -> str:
        return f'of "{self.host}"' if self.host else "of this machine"

    def run(self, argv: Sequence[str], *, stdin: str | None = None) -> host_commands.CommandResult:
        """Raises SilentError when the scheduler or its host does not answer, MachineError without the command."""
        words = argv if self.host is None else ["env", "TZ=UTC", *argv]
        done = self._reached(lambda: self.login.run(words, timeout_s=COMMAND_TIMEOUT_S, stdin=stdin))
        if not done.succeeded and any(words in done.stderr for words in _DOWN):
            raise self._silence.error("the scheduler does not answer")
        if self.host is not None and done.code == 127:
            raise MachineError(
                f'there is no command "{argv[0]}" on "{self.host}"', hint="host: a login node of the cluster"
            )
        self._silence.end()
        return done

    def ask(self, argv: Sequence[str]) -> host_commands.CommandResult:
        """As ``run``, for questions: while nothing answers, only one a minute is really asked."""
        self._silence.check()
        return self.run(argv)

    def reach(self, call: Callable[[], T]) -> T:
        """The answer of a call to the login host, asked as rarely as ``ask`` where nothing answers."""
        self._silence.check()
        return self._reached(call)

    def _reached(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except UnreachableError as error:
            raise self._silence.error(error.message) from error
        except MachineError as error:
            if "took longer" in error.message:
                raise self._silence.error(error.message) from error
            hint = "name a login node of the cluster: host: login1" if self.host is None else error.hint
            raise MachineError(error.message, hint=hint) from error

    def jobs(self) -> list[JobRow]:
        """All jobs of this user that Slurm's controller knows, ended ones for some minutes.

        Runs that are submitted side by side share the answers: each alone would ask for all jobs.
        """
        return self._shared()

    def _jobs(self) -> list[JobRow]:
        done = self.ask(["squeue", "-h", "-a", "-r", "-t", "all", "--me", "-o", _SQUEUE])
        if not done.succeeded:
            raise MachineError(f"squeue {self.where} failed: {done.last_words}")
        return read_squeue(done.stdout)

    def ends(self, ids: Sequence[str]) -> dict[str, EndRow]:
        """What the accounting knows of jobs; nothing where a cluster keeps none."""
        if not ids:
            return {}
        try:
            done = self.ask(["sacct", "-X", "-n", "-P", f"--format={_SACCT}", "-j", ",".join(ids)])
        except SilentError:
            raise
        except TaorunnerError:
            return {}
        return {row.id: row for row in read_sacct(done.stdout)} if done.succeeded else {}

    def end_in_memory(self, row: JobRow) -> EndRow | None:
        """The end of a job that the controller still knows. Accounting trails by seconds, and may know no code yet.

        Who cancelled a job only accounting tells.
        """
        done = self.ask(["scontrol", "-o", "show", "job", row.id])
        match = re.search(r"(?<!\S)ExitCode=(\d{1,8}):(\d{1,8})(?!\S)", done.stdout)
        if not done.succeeded or match is None:
            return self.ends([row.id]).get(row.id)
        by = self.ends([row.id]).get(row.id) if row.state == "CANCELLED" else None
        return EndRow(
            row.id, row.state, int(match[1]), int(match[2]), row.name, by.by if by is not None else None
        )

    def interruption(self, job: str, attempt: int) -> str | None:
        """Slurm's word for the end of a start that was interrupted, from 0 on: PREEMPTED, REQUEUED or NODE_FAIL.

        None while accounting does not know it, or where a cluster keeps none.
        """
        key = (job, attempt)
        if key not in self._interruptions:
            try:
                done = self.ask(["sacct", "-D", "-X", "-n", "-P", "--format=State", "-j", job])
            except TaorunnerError:
                return None
            words = [first_word(line) for line in done.stdout.splitlines()]
            if done.succeeded and len(words) <= attempt + 1:
                return None  # it trails by some seconds
            self._interruptions[key] = words[attempt] if done.succeeded else None
        return self._interruptions[key]

    def cancel(self, *words: str) -> None:
        """Raises as ``run``; a job that is gone is no error."""
        self.run(["scancel", *words])

    def end_step(self, job: str) -> bool:
        """Ends what a task of an array runs, with TERM. False where it has not begun. Raises as ``run``.

        Its script must not be signalled: while other tasks of the array wait, Slurm 22.05 says each time that it is
        too early, does it all the same, and scancel tries for 95 seconds (measured).
        """
        return self.run(["scancel", "--signal=TERM", f"{job}.0"]).succeeded
