"""Runs and batches on disk: ``.taorunner/runs/<id>/`` and ``.taorunner/batches/<id>/``.

A run is a directory with its record, plan, events and log. ``RunPaths`` names every file. Records are replaced
atomically; events are appended line by line. Records, plans and batches decide what is executed, so their owner and
mode are checked by ``state_files``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from taorunner.atomic_files import write_fields, write_json
from taorunner.errors import MachineError, RunStateError
from taorunner.events import Event, from_json_line, to_json_line
from taorunner.planning.model.run_ids import newest_first
from taorunner.runs.state.batch_index import OpenBatches, batch_fields
from taorunner.runs.state.folders import checked_name
from taorunner.runs.state.record import RunRecord, WrongValueError, contradiction
from taorunner.state_files import (
    SHARING,
    LinkedFileError,
    Trust,
    UntrustedFileError,
    append_state,
    cut_open_line,
    read_json_state,
    read_state,
)
from taorunner.text import did_you_mean
from taorunner.values.value import Value, field

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from typing import Any, Literal

    from taorunner.planning.model.plan import RunPlan
    from taorunner.planning.model.plan_codec import Known
    from taorunner.runs.state.lookup.ended_runs import EndedRuns


class RunPaths(Value):
    """Every file of one run."""

    directory: Path

    @property
    def record(self) -> Path:
        return self.directory / "record.json"

    @property
    def plan(self) -> Path:
        return self.directory / "plan.json"

    @property
    def events(self) -> Path:
        return self.directory / "events.jsonl"

    @property
    def history(self) -> Path:
        """Every metric of every epoch; see ``runs.state.history``."""
        return self.directory / "history.jsonl"

    @property
    def console(self) -> Path:
        return self.directory / "console.log"

    @property
    def request(self) -> Path:
        return self.directory / "request.txt"

    @property
    def position(self) -> Path:
        """How much of the output is stored in ``console``; exists only until the run is over."""
        return self.directory / "position.json"

    @property
    def input_dir(self) -> Path:
        """The input of the process: the rendered spec, and secrets while it runs."""
        return self.directory / "input"

    @property
    def outputs(self) -> Path:
        """What the run wrote into its results folder; see ``runs.outputs.recorded``."""
        return self.directory / "outputs.json"

    @property
    def run_lock(self) -> Path:
        """What the run was made from; see ``runs.inputs.run_lock``."""
        return self.directory / "run.lock"

    @property
    def tracking(self) -> Path:
        """How much of the run was sent to a tracking server; see ``runs.state.tracking_state``."""
        return self.directory / "tracking.json"

    @property
    def stop_request(self) -> Path:
        return self.directory / "stop.json"


class BatchPaths(Value):
    """Every file of one batch."""

    directory: Path

    @property
    def batch(self) -> Path:
        return self.directory / "batch.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor while it lives; contains its pid once it is ready."""
        return self.directory / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        return self.directory / "supervisor.log"


class Batch(Value):
    """Runs that were launched together, in order. ``parallel`` is the maximum number of concurrent runs.

    ``lingers_s``: how long its supervisor waits for added runs, in seconds, once its last run has ended.
    ``environ`` selects the engine for a supervisor that is started from another terminal. It holds only the variables
    that ``open_batches`` keeps.
    """

    id: str
    runs: tuple[str, ...]
    parallel: int | None = None
    grace_s: float = 30.0
    environ: Mapping[str, str] = field(default_factory=dict)
    lingers_s: float = 0.0


class DamagedRun(Value):
    """A run's folder with an invalid record. It is listed but never acted on."""

    id: str
    reason: str
    place: str = "record.json"


class DamagedRunError(RunStateError):
    """The record of a run is no record, contradicts its folder, or is reached through a symbolic link.

    ``what`` is the fault without the name of the run, ``place`` where, in few words: ``record.json, line 1``.
    """

    def __init__(self, paths: RunPaths, what: str, place: str = "record.json") -> None:
        self.run_id, self.what = paths.directory.name, what
        super().__init__(
            f'the record of run "{paths.directory.name}" {what}',
            hint=f'taorunner does not change it; inspect it: ls -la "{paths.directory}"',
        )
        self.place = place


class RunStore:
    """Reads and writes the state folder of one workspace. Creates folders only when something is written.

    ``refused`` holds, by run id, why the record of a run was rejected while reading.
    """

    def __init__(self, state_dir: Path) -> None:
        self.runs_dir = state_dir / "runs"
        self.batches_dir = state_dir / "batches"
        self.state_dir = state_dir
        self.open_batches = OpenBatches(state_dir)
        self.refused: dict[str, str] = {}
        self._known_trust: Trust | None = None
        self._of_plans: Known | None = None

    @property
    def ended(self) -> EndedRuns:
        from taorunner.runs.state.lookup.ended_runs import EndedRuns

        return EndedRuns(self.state_dir)

    def paths(self, run_id: str) -> RunPaths:
        """Raises RunStateError for an invalid name."""
        return RunPaths(self.runs_dir / checked_name(run_id, "run"))

    def batch_paths(self, batch_id: str) -> BatchPaths:
        """Raises RunStateError for an invalid name."""
        return BatchPaths(self.batches_dir / checked_name(batch_id, "batch"))

    def trust(self) -> Trust:
        """The trusted file owners. Raises UntrustedFileError if another user owns the parent folders."""
        if self._known_trust is not None:
            return self._known_trust
        trust = Trust.in_folder(self.state_dir)
        for folder in (self.state_dir.resolve(), self.runs_dir, self.batches_dir):
            with suppress(FileNotFoundError):
                trust.check_folder(folder, is_shared_place=True)
        if self.runs_dir.exists():
            self._known_trust = trust
        return trust

    def save_batch(self, batch: Batch) -> None:
        """Survives a power failure, as a final record and a plan do: nothing writes them again."""
        body = {
            "id": batch.id, "runs": [*batch.runs], "parallel": batch.parallel, "grace_s": batch.grace_s,
            "lingers_s": batch.lingers_s,
        }  # fmt: skip
        path = self.batch_paths(batch.id).batch
        write_json(path, {**body, "environ": dict(batch.environ)}, durable=True)

    def load_batch(self, batch_id: str) -> Batch:
        """Raises UntrustedFileError for an untrusted file; other OSErrors when there is none; ValueError when it
        is damaged: also when it names another batch."""
        paths = self.batch_paths(batch_id)
        return Batch(batch_id, **batch_fields(self._read(paths.batch), batch_id, paths.batch))

    def load_plan(self, run_id: str) -> RunPlan:
        from taorunner.planning.model.plan import RunPlan

        return RunPlan.from_json(self.plan_body(run_id), self._known_of_plans())

    def plan_body(self, run_id: str) -> Any:
        """The plan as it is stored. Raises ValueError, OSError."""
        return self._read(self.paths(run_id).plan)

    def save_plan(self, run_id: str, plan: RunPlan, *, durable: bool = True) -> None:
        write_fields(self.paths(run_id).plan, plan.to_json(self._known_of_plans()), durable=durable)

    def _known_of_plans(self) -> Known:
        from taorunner.planning.model.plan_codec import Known

        self._of_plans = self._of_plans or Known()
        return self._of_plans

    def save(self, record: RunRecord) -> None:
        write_fields(self.paths(record.id).record, record.to_json(), durable=record.state.is_final)
        if record.state.is_final:
            self.ended.add([record], self.trust())

    def load(self, run_id: str) -> RunRecord:
        """Raises RunStateError when there is no such run, or its record cannot be read or is not trusted;
        DamagedRunError, a subclass, when the record is invalid."""
        paths = self.paths(run_id)
        try:
            record = RunRecord.from_json(self._read(paths.record))
        except LinkedFileError as error:
            raise DamagedRunError(paths, f"cannot be read: {error}") from error
        except UntrustedFileError as error:
            self.refused[run_id] = str(error)
            raise RunStateError(f'run "{run_id}" is not trusted: {error}', hint=SHARING) from error
        except FileNotFoundError:
            raise RunStateError(
                f'no run "{run_id}"',
                hint=did_you_mean(run_id, self.run_ids()) or "taorunner runs list shows the runs",
            ) from None
        except PermissionError as error:
            raise RunStateError(f'the record of run "{run_id}" cannot be read: {error.strerror}') from error
        except OSError as error:
            raise RunStateError(
                f'the record of run "{run_id}" cannot be read: {error}',
                hint=f'taorunner does not change it; inspect it: ls -la "{paths.directory}"',
            ) from error
        except WrongValueError as error:
            raise DamagedRunError(paths, f"is damaged: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            line = getattr(error, "line", None) or 1
            raise DamagedRunError(paths, f"cannot be read: {error}", f"record.json, line {line}") from error
        wrong = contradiction(record, run_id)
        if wrong is not None:
            raise DamagedRunError(paths, f"is damaged: {wrong}")
        return record

    def run_ids(self) -> list[str]:
        """All run ids, newest first. Reads only folder names, so it is cheap for thousands of runs."""
        return newest_first(name for name in self.folder_names() if name[0] != ".")

    def folder_names(self) -> list[str]:
        """The names of all run folders in no order, and of folders that are being removed."""
        try:
            return os.listdir(self.runs_dir)
        except OSError:
            return []

    def records(self) -> Iterator[RunRecord]:
        """All records, newest first, without damaged ones and folders without a record."""
        return (run for run in self.listed() if not isinstance(run, DamagedRun))

    def listed(self) -> Iterator[RunRecord | DamagedRun]:
        """As ``records``, but with damaged runs in their place."""
        return (run for run_id in self.run_ids() if (run := self.shown(run_id)) is not None)

    def shown(self, run_id: str) -> RunRecord | DamagedRun | None:
        """The run as lists show it: a damaged one as such, None for one that is not trusted or has no record."""
        try:
            return self.load(run_id)
        except DamagedRunError as error:
            return DamagedRun(run_id, error.message, error.place)
        except RunStateError:
            return None

    def find(self, name: str, project: str | None = None, near: str | None = None) -> RunRecord:
        """The run that ``name`` means; see ``runs.state.lookup.find_run``."""
        from taorunner.runs.state.lookup.find_run import find_run

        return find_run(self, name, project, near)

    def short_id(self, run_id: str) -> str:
        """The id as a person reads and types it; see ``runs.state.lookup.short_ids``."""
        from taorunner.runs.state.lookup.short_ids import short_ids

        return short_ids([run_id], self.folder_names())[run_id]

    def append_events(self, run_id: str, events: Iterable[Event]) -> None:
        """Appends all events in one write, so only the last line can be truncated."""
        text = "".join(to_json_line(event) + "\n" for event in events)
        append_state(self.paths(run_id).events, text.encode(), self.trust())

    def read_events(self, run_id: str, offset: int = 0) -> tuple[list[Event], int]:
        """Events from byte ``offset`` on, and the offset after them. Skips damaged lines and those of other runs."""
        try:
            data = read_state(self.paths(run_id).events, self.trust(), offset)
        except OSError:
            return [], offset
        whole = data[: data.rfind(b"\n") + 1]
        events = [from_json_line(line.decode("utf-8", "replace")) for line in whole.splitlines()]
        return [event for event in events if event and event.run == run_id], offset + len(whole)

    def repair_events(self, run_id: str) -> None:
        """Removes a last line that a crash truncated, so the next event starts a new line."""
        with suppress(OSError):
            cut_open_line(self.paths(run_id).events, self.trust())

    def unfinished(self) -> list[RunRecord]:
        """Unfinished runs, newest first. The cost grows with their number, not with that of all runs."""
        return self.open_runs()[0]

    def open_runs(self) -> tuple[list[RunRecord], list[DamagedRun]]:
        """Unfinished runs, newest first, and damaged runs of unfinished batches; whether these still run is unknown."""
        found: dict[str, RunRecord] = {}
        damaged: list[DamagedRun] = []
        for batch_id in self.open_batches.ids():
            runs, is_trusted = self._runs_of_open(batch_id)
            for run in map(self.shown, runs):
                if isinstance(run, DamagedRun):
                    damaged.append(run)
                elif is_trusted and run is not None and not run.state.is_final:
                    found[run.id] = run
        return [found[run_id] for run_id in newest_first(found)], damaged

    def _runs_of_open(self, batch_id: str) -> tuple[Sequence[str], bool]:
        """The runs of an open batch, and whether its file is trusted."""
        try:
            return self.load_batch(batch_id).runs, True
        except UntrustedFileError as error:
            self.refused[batch_id] = str(error)
            return self.open_batches.runs(batch_id), False
        except (OSError, ValueError, KeyError, TypeError):
            return self.open_batches.runs(batch_id), True

    def request_stop(
        self, run_id: str, at: datetime, *, only_queued: bool = False, kill: bool = False
    ) -> None:
        """Requests a stop of the run. ``only_queued``: not if it has started by then. ``kill``: without a grace
        period, also when it is stopping already. Idempotent."""
        body = {"at": at.isoformat(), "only_queued": only_queued, **({"kill": True} if kill else {})}
        write_json(self.paths(run_id).stop_request, body)

    def stop_request(self, run_id: str, *, is_queued: bool) -> Literal["stop", "kill"] | None:
        """What is requested. An only-queued request is withdrawn if the run has started."""
        path = self.paths(run_id).stop_request
        try:
            body = read_json_state(path, self.trust())
        except (FileNotFoundError, UntrustedFileError):
            return None
        except (OSError, ValueError):
            return "stop"  # a damaged request is still a request
        if not isinstance(body, dict):
            return "stop"
        if body.get("only_queued") and not is_queued:
            path.unlink(missing_ok=True)
            return None
        return "kill" if body.get("kill") is True else "stop"

    def _read(self, path: Path) -> Any:
        """Reads a file that decides what is executed; the owners of its parent folders are checked too."""
        trust = self.trust()
        trust.check_folder(path.parent)
        return read_json_state(path, trust)

    def check_is_ours(self) -> None:
        """Raises MachineError when the state folder belongs to another user and is not shared."""
        try:
            self.trust()
        except UntrustedFileError as error:
            raise MachineError(f"runs cannot be recorded: {error}", hint=SHARING) from error
