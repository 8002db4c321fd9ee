"""What a run's own folder says of it: the job, its starts and its end. Read first, and believed more than Slurm.

``run_dir/slurm`` holds ``cluster.json`` (how to reach its cluster), ``submitting`` (written before the job is handed
over), ``job.json``, what ``run.sbatch`` writes (``slurm.jsonl``, ``exit``, ``console.log``), ``stop``, ``end.json``:
what Slurm said of the end, kept because Slurm forgets it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from taorunner.backends.contract import EngineEnd
from taorunner.backends.slurm.far.run import FarRun
from taorunner.backends.slurm.script import (
    BATCH_SCRIPT,
    CONSOLE,
    EVENTS,
    EXIT,
    MESSAGES,
    NODE_SCRIPT,
    STOP,
)
from taorunner.backends.slurm.states import Asked
from taorunner.backends.slurm.target import is_host
from taorunner.state_files import append_state, read_json_state, read_some, read_state, write_new
from taorunner.text import printable, whole_number
from taorunner.values.bounded_reading import parse_json
from taorunner.values.stored import fits, kinds_of
from taorunner.values.value import Value

FOLDER = "slurm"
_CLUSTER, _SUBMITTING, _JOB, _END = "cluster.json", "submitting", "job.json", "end.json"
_RELEASED = "released"
_EARLIER = "slurm.jobs"
"""Beside the folder: the ids of jobs of earlier attempts, which have the same name."""
_MAX_LOG_BYTES = 1 << 20
_MESSAGE_BYTES = 16 * 1024
_OWN = frozenset({"end"})
"""Fields of a class of their own."""
_KEPT = (BATCH_SCRIPT, NODE_SCRIPT, EXIT)
"""The end stays: a scheduler that starts the job again finds it."""


class Cluster(Value):
    """How a run's cluster is reached, and what the run asked of it. ``far`` where only the cluster sees its folder."""

    host: str | None
    run_id: str
    unknown_after_s: int
    asked: Asked
    far: FarRun | None = None


class KeptEnd(Value):
    """What Slurm said of the end."""

    exit_code: int | None
    oom_killed: bool
    at: datetime
    end: EngineEnd | None


class Start(Value):
    """The last start in ``slurm.jsonl``. ``ended`` is None while it runs, else how: ``limit``, ``term`` or empty."""

    attempt: int
    at: datetime | None
    ended: str | None = None
    was_near_limit: bool = False
    was_requeued: bool = False
    without_checkpoint: bool = False
    fault: str = ""
    """Why a run of a chain gave up: ``no_model:ACTION`` or ``in_the_way:PATH``."""


class Folder:
    """The files of one run."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.path = run_dir / FOLDER

    @property
    def console(self) -> Path:
        return self.path / CONSOLE

    @property
    def has_output(self) -> bool:
        """Whether the run itself printed anything, in any of its starts."""
        with suppress(OSError):
            return self.console.stat().st_size > 0
        return False

    @property
    def messages(self) -> str | None:
        """The end of what Slurm and the container runtime said; None where Slurm could not write it."""
        try:
            path = self.path / MESSAGES
            at = max(0, path.stat().st_size - _MESSAGE_BYTES)
            text = read_some(path, None, at, _MESSAGE_BYTES).decode("utf-8", "replace")
            return "\n".join(map(printable, text.splitlines()))
        except OSError:
            return None

    def write(self, scripts: Mapping[str, str], cluster: Cluster) -> None:
        body = {
            "host": cluster.host,
            "run_id": cluster.run_id,
            "unknown_after_s": cluster.unknown_after_s,
            "asked": vars(cluster.asked),
            "far": None if cluster.far is None else cluster.far.to_json(),
        }
        (self.path / EXIT).unlink(missing_ok=True)  # of an earlier attempt
        for name, text in scripts.items():
            write_new(self.run_dir, name, text.encode(), mode=0o700)
        self._write(_CLUSTER, json.dumps(body).encode())

    def cluster(self) -> Cluster | None:
        body = _json(self.path / _CLUSTER)
        if body is None:
            return None
        try:
            asked, far = Asked(**body["asked"]), body.get("far")
            known = None if far is None else FarRun.from_json(far)
            if not _fits(asked) or not (body["host"] is None or is_host(body["host"])):
                return None
            return Cluster(body["host"], str(body["run_id"]), int(body["unknown_after_s"]), asked, known)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def begin_submit(self) -> None:
        self._write(_SUBMITTING, b"")

    @property
    def is_answer_unknown(self) -> bool:
        """Whether a job was handed over, and its number never came back."""
        return (self.path / _SUBMITTING).exists() and self.job() is None

    def job(self) -> str | None:
        body = _json(self.path / _JOB)
        job = None if body is None else body.get("id")
        return job if isinstance(job, str) and is_job(job) else None

    def submitted_s(self) -> float:
        with suppress(OSError):
            return (self.path / _JOB).stat().st_mtime
        return 0.0

    def keep_job(self, job: str) -> None:
        append_state(self.run_dir / _EARLIER, f"{job}\n".encode())
        self._write(_JOB, json.dumps({"id": job}).encode())

    def forget_submit(self) -> None:
        """The job was refused, and none was made."""
        (self.path / _SUBMITTING).unlink(missing_ok=True)

    def earlier_jobs(self) -> set[str]:
        with suppress(OSError):
            return set(read_state(self.run_dir / _EARLIER).decode().split())
        return set()

    def exit(self) -> tuple[int, datetime] | None:
        """The exit code that the batch script wrote, and when."""
        with suppress(OSError, ValueError):
            code, _, at = read_state(self.path / EXIT, most_bytes=200).decode().partition(" ")
            number = whole_number(code)
            if number is not None and number < 256:
                return number, _time(at.strip()) or datetime.now(timezone.utc)
        return None

    def kept_end(self) -> KeptEnd | None:
        body = _json(self.path / _END)
        if body is None:
            return None
        try:
            end = EngineEnd(**body["end"]) if body.get("end") else None
            at = _time(str(body["at"])) or datetime.now(timezone.utc)
            found = KeptEnd(body["exit_code"], bool(body["oom_killed"]), at, end)
        except (KeyError, TypeError):
            return None
        return found if _fits(found) and (end is None or _fits(end)) else None

    def keep_end(self, found: KeptEnd) -> KeptEnd:
        if (known := self.kept_end()) is not None:
            return known
        end = None if found.end is None else vars(found.end)
        body = {
            "exit_code": found.exit_code,
            "oom_killed": found.oom_killed,
            "at": found.at.isoformat(),
            "end": end,
        }
        if self.path.is_dir():
            self._write(_END, json.dumps(body).encode())
        return self.kept_end() or found

    def begin_release(self) -> bool:
        """True once: a job that Slurm holds after a failed start is released one time."""
        if (self.path / _RELEASED).exists():
            return False
        self._write(_RELEASED, b"")
        return True

    def request_stop(self) -> None:
        self._write(STOP, b"")

    @property
    def is_stop_requested(self) -> bool:
        return (self.path / STOP).exists()

    def starts(self) -> tuple[datetime | None, Start | None]:
        """When the run was started first, and its last start."""
        first: datetime | None = None
        last: Start | None = None
        for event in self._events():
            name, at = str(event.get("event")), _time(str(event.get("at")))
            word, _, rest = name.partition(":")
            if word == "started":
                first = first or at
                attempt = event.get("attempt")
                last = Start(attempt if type(attempt) is int else 0, at)
            elif last is not None:
                last = _after(last, word, rest)
        return first, last

    @property
    def has_begun(self) -> bool:
        """Whether the batch script, or a stop, has written anything."""
        return any((self.path / name).exists() for name in (EVENTS, EXIT, STOP, MESSAGES))

    def models_read(self) -> list[str]:
        """The models of its chain that the run has found, below its results, in the order of what it follows."""
        names = (str(event.get("event")).partition("reads:") for event in self._events())
        return [rest for before, mark, rest in names if mark and not before]

    def last_written_s(self) -> float:
        """When the run last wrote something, as seconds since the epoch."""
        times = [self.submitted_s()]
        for name in (CONSOLE, EVENTS):
            with suppress(OSError):
                times.append((self.path / name).stat().st_mtime)
        return max(times)

    def silent_for_s(self) -> float:
        return max(0.0, time.time() - self.last_written_s())

    def remove(self) -> None:
        """The scripts stay for those who want to read them; the log is in the run's own ``console.log``."""
        with suppress(FileNotFoundError):
            for name in os.listdir(self.path):
                if name in _KEPT or name.startswith("console."):
                    continue
                with suppress(OSError):
                    (self.path / name).unlink()
            (self.path / CONSOLE).unlink(missing_ok=True)

    def _events(self) -> list[dict[str, Any]]:
        try:
            text = read_state(self.path / EVENTS, most_bytes=_MAX_LOG_BYTES).decode("utf-8", "replace")
        except OSError:
            return []
        found = []
        for line in text.splitlines():
            with suppress(ValueError):
                body = parse_json(line.encode())
                if isinstance(body, dict):
                    found.append(body)
        return found

    def _write(self, name: str, data: bytes, mode: int = 0o600) -> None:
        write_new(self.run_dir, f"{FOLDER}/{name}", data, mode=mode)


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


def is_job(text: object) -> bool:
    """Whether it is the number of a job: it becomes a word of Slurm's commands."""
    return isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 20


def _fits(read: Value) -> bool:
    """Whether each field is what it says."""
    return all(
        fits(getattr(read, name), kinds) for name, kinds in kinds_of(type(read)).items() if name not in _OWN
    )


def _json(path: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        body = read_json_state(path)
        if isinstance(body, dict):
            return body
    return None


def _time(text: str) -> datetime | None:
    """A time in UTC as ``date`` writes it."""
    with suppress(ValueError):
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return found if found.tzinfo is not None else None
    return None
