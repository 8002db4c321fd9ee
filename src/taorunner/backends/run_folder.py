"""What a run that a scheduler started writes into its folder, and what is kept of its end. Read first, and believed
more than the scheduler, which forgets jobs.

``run_dir/<folder>`` holds ``cluster.json`` (how the cluster is reached), ``submitting`` (written before the job is
handed over), ``job.json``, and ``end.json``: what the scheduler said of the end. The run itself writes a line for each
start and end (``events_file``), the exit code (``exit_file``) and its output; ``stop_file`` asks it to stop.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar

from taorunner.atomic_files import flush_all
from taorunner.backends.contract import EngineEnd, EngineState, EngineStatus
from taorunner.state_files import Trust, read_json_state, read_state, write_new
from taorunner.text import whole_number
from taorunner.values.bounded_reading import parse_json
from taorunner.values.stored import fits, kinds_of
from taorunner.values.value import Value

CLUSTER, SUBMITTING, JOB, END = "cluster.json", "submitting", "job.json", "end.json"
STOPPED_BEFORE_START = EngineEnd("stopped before it started", was_stopped=True)
_MAX_LOG_BYTES = 1 << 20
_OWN = frozenset({"end"})
"""Fields of a class of their own."""


class KeptEnd(Value):
    """What the scheduler said of the end. ``unconfirmed`` as in ``EngineStatus``."""

    exit_code: int | None
    oom_killed: bool
    at: datetime
    end: EngineEnd | None
    unconfirmed: str | None = None


class Start(Value):
    """The last start of a run. ``ended`` is None while it runs, else how: ``limit``, ``term`` or empty."""

    attempt: int
    at: datetime | None
    ended: str | None = None
    was_near_limit: bool = False
    was_requeued: bool = False
    without_checkpoint: bool = False
    fault: str = ""
    """Why a run of a chain gave up: ``no_model:ACTION`` or ``in_the_way:PATH``."""


class RunFolder(ABC):
    """The files of one run. ``written`` is the folder below ``folder`` in which the run itself writes."""

    folder: ClassVar[str]
    events_file: ClassVar[str]
    console_file: ClassVar[str]
    exit_file: ClassVar[str]
    stop_file: ClassVar[str]
    written: ClassVar[str] = ""
    messages_file: ClassVar[str] = ""
    """What the engine said of the run, of which a far side gives the end."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.path = run_dir / self.folder
        self.inner = self.path / self.written
        self.trust: Trust | None = None  # who may have written what the run itself writes

    @abstractmethod
    def job(self) -> object | None:
        """The job in the form of its scheduler; None where none is known."""

    def begin_submit(self) -> None:
        """It is on disk on return: a job that was handed over is searched for also after a power cut."""
        begin_submits([self])

    def write_submitting(self) -> Sequence[Path]:
        """As ``begin_submit``, once the files and folders that it returns are flushed."""
        return self._written(SUBMITTING, b"")

    @property
    def is_answer_unknown(self) -> bool:
        """Whether a job was handed over, and the answer never came back."""
        return (self.path / SUBMITTING).exists() and self.job() is None

    def forget_submit(self) -> None:
        """The job was refused, and none was made."""
        (self.path / SUBMITTING).unlink(missing_ok=True)

    @property
    def console(self) -> Path:
        return self.inner / self.console_file

    @property
    def has_output(self) -> bool:
        """Whether the run itself printed anything, in any of its starts."""
        with suppress(OSError):
            return self.console.stat().st_size > 0
        return False

    def exit(self) -> tuple[int, datetime] | None:
        """The exit code that the run's script wrote, and when."""
        with suppress(OSError, ValueError):
            data = read_state(self.inner / self.exit_file, self.trust, most_bytes=200)
            code, _, at = data.decode().partition(" ")
            number = whole_number(code)
            if number is not None and number < 256:
                return number, time_of(at.strip()) or datetime.now(timezone.utc)
        return None

    def kept_end(self) -> KeptEnd | None:
        body = json_object(self.path / END)
        if body is None:
            return None
        try:
            end = EngineEnd(**body["end"]) if body.get("end") else None
            at = time_of(str(body["at"])) or datetime.now(timezone.utc)
            unconfirmed = body.get("unconfirmed")
            found = KeptEnd(body["exit_code"], bool(body["oom_killed"]), at, end, unconfirmed)
        except (KeyError, TypeError):
            return None
        return found if all_fit(found) and (end is None or all_fit(end)) else None

    def keep_end(self, found: KeptEnd) -> KeptEnd:
        if (known := self.kept_end()) is not None:
            return known
        end = None if found.end is None else vars(found.end)
        body = {
            "exit_code": found.exit_code,
            "oom_killed": found.oom_killed,
            "at": found.at.isoformat(),
            "end": end,
            "unconfirmed": found.unconfirmed,
        }
        if self.path.is_dir():
            self._write(END, json.dumps(body).encode())
        return self.kept_end() or found

    def exited(self, kept: KeptEnd) -> EngineStatus:
        """The status of a run that has ended like this."""
        first, _ = self.starts()
        return EngineStatus(
            EngineState.EXITED,
            exit_code=kept.exit_code,
            oom_killed=kept.oom_killed,
            started_at=first,
            finished_at=kept.at,
            end=kept.end,
            unconfirmed=kept.unconfirmed,
        )

    def ended(self, found: KeptEnd) -> EngineStatus:
        """As ``exited``; the end is kept. One that was kept before counts."""
        return self.exited(self.keep_end(found))

    def request_stop(self) -> None:
        """For the run, and for us: what a container may write says nothing of what was asked for."""
        for name in dict.fromkeys((self.stop_file, Path(self.written, self.stop_file).as_posix())):
            self._write(name, b"")

    @property
    def is_stop_requested(self) -> bool:
        return (self.path / self.stop_file).exists()

    def starts(self) -> tuple[datetime | None, Start | None]:
        """When the run was started first, and its last start."""
        first: datetime | None = None
        last: Start | None = None
        for event in self._events():
            name, at = str(event.get("event")), time_of(str(event.get("at")))
            word, _, rest = name.partition(":")
            if word == "started":
                first = first or at
                attempt = event.get("attempt")
                last = Start(attempt if type(attempt) is int else 0, at)
            elif last is not None:
                last = _after(last, word, rest)
        return first, last

    def _events(self) -> list[dict[str, Any]]:
        try:
            text = read_state(self.inner / self.events_file, self.trust, most_bytes=_MAX_LOG_BYTES).decode(
                "utf-8", "replace"
            )
        except OSError:
            return []
        found = []
        for line in text.splitlines():
            with suppress(ValueError):
                body = parse_json(line.encode())
                if isinstance(body, dict):
                    found.append(body)
        return found

    def _written(self, name: str, data: bytes) -> Sequence[Path]:
        """Writes a file. It lasts once the paths that it returns are flushed."""
        self._write(name, data)
        return self.path / name, self.path, self.run_dir

    def _write(self, name: str, data: bytes, mode: int = 0o600) -> None:
        write_new(self.run_dir, f"{self.folder}/{name}", data, mode=mode)


def begin_submits(folders: Sequence[RunFolder]) -> None:
    """``begin_submit`` of many, of which the disk writes several at once."""
    flush_all([path for folder in folders for path in folder.write_submitting()])


def _after(last: Start, word: str, rest: str) -> Start:
    changes: dict[str, Any] = {}
    if word == "ended":
        changes["ended"] = rest.partition(":")[2]
    elif word == "near_the_end" and rest == "limit":
        changes["was_near_limit"] = True
    elif word in ("no_model", "in_the_way"):
        changes["fault"] = f"{word}:{rest}"
    elif word == "requeue":
        changes["was_requeued"] = True
    elif word == "no_checkpoint":
        changes["without_checkpoint"] = True
    return Start(**{**vars(last), **changes})


def all_fit(read: Value) -> bool:
    """Whether each field of what was read is what it says."""
    return all(
        fits(getattr(read, name), kinds) for name, kinds in kinds_of(type(read)).items() if name not in _OWN
    )


def json_object(path: Path) -> dict[str, Any] | None:
    """What a state file of ours holds; None where there is none."""
    with suppress(OSError, ValueError):
        body = read_json_state(path)
        if isinstance(body, dict):
            return body
    return None


def time_of(text: str) -> datetime | None:
    """A time in UTC as ``date`` writes it. A container may have written another one."""
    with suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        is_sound = found.tzinfo is not None and 1 < found.year < 9999
        return found.astimezone(timezone.utc) if is_sound else None
    return None
