"""What a sweep leaves on disk: ``.taorunner/sweeps/<project>/<name>/``.

``sweep.json`` is its definition, ``trials.jsonl`` the truth about its trials, one line per thing that happened:

- ``{"trial": 7, "values": {…}, "base": false}``: values were chosen;
- ``{"trial": 7, "run": "…"}``: the id under which its run is recorded next. It is written before the run is made, so
  that after a crash the run is found by it; where nothing is recorded under it, another id follows;
- ``{"trial": 7, "again": "…"}``: its run was lost, for that reason, and another one is to be made;
- ``{"trial": 7, "back": true}``: its run was stopped before it began, and another one is made when the sweep goes on;
- ``{"trial": 7, "pruning": "…"}``: its run is told to end next, with the reason;
- ``{"trial": 7, "ended": "pruned", "value": 0.41, "epoch": 8, "curve": [[1, 0.2]], "reason": "…"}``.

A line that a crash cut off is removed before the next one is written.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from taorunner import contained_files
from taorunner.atomic_files import write_json
from taorunner.errors import RunStateError, TaorunnerError
from taorunner.events import RunState
from taorunner.project.diagnostics import FindingList
from taorunner.project.sweeps.definition import Sweep
from taorunner.project.sweeps.reading import read_sweeps
from taorunner.project.workspace import is_name
from taorunner.runs.state.store import RunStore
from taorunner.state_files import (
    append_state,
    cut_open_line,
    is_locked,
    open_state,
    read_json_state,
    read_state,
)
from taorunner.sweeps.names import is_results_folder, results_folder
from taorunner.sweeps.trial import Ending, Trial
from taorunner.text import printable
from taorunner.values.bounded_reading import parse_json
from taorunner.values.stored import fits, kinds_of
from taorunner.values.value import Value, replace

VERSION = 1
_KINDS = kinds_of(Trial)
GROWING = frozenset({"trials", "parallel", "stop", "keep", "start_with"})
"""Keys of a definition that may change under a study: they decide how long it goes on, not what its values mean."""


_KEPT_ASIDE = re.compile(r"\.\d{8}-\d{6}\Z")
"""How the name of a folder ends that ``set_aside`` renamed."""


class StoredSweep(Value):
    """``body`` is the definition when it was started; ``maximize`` and ``metric`` are what its trials are judged by.
    ``results`` is the folder below models/ that has those of its trials."""

    body: Mapping[str, Any]
    metric: str
    maximize: bool
    started_at: str
    results: str


class SweepFolder:
    """Reads and writes the files. Only the process that holds ``owning`` may write ``trials.jsonl``."""

    def __init__(self, store: RunStore, project: str, name: str) -> None:
        self._store = store
        self.project, self.name = project, name
        self.directory = store.state_dir / "sweeps" / project / name

    @property
    def definition(self) -> Path:
        return self.directory / "sweep.json"

    @property
    def journal(self) -> Path:
        return self.directory / "trials.jsonl"

    @property
    def study(self) -> Path:
        """For optuna-dashboard; made from ``trials.jsonl``."""
        return self.directory / "study.journal"

    @property
    def log(self) -> Path:
        return self.directory / "sweep.log"

    @property
    def stop_request(self) -> Path:
        return self.directory / "stop"

    @property
    def lock(self) -> Path:
        return self.directory / "sweep.lock"

    @property
    def is_owned(self) -> bool:
        """True while a process runs the sweep."""
        return is_locked(self.lock)

    def stored(self) -> StoredSweep | None:
        """None for a sweep that was never started.

        Raises RunStateError for a damaged definition.
        """
        try:
            body = read_json_state(self.definition, self._store.trust())
            results = str(body.get("results") or results_folder(body["definition"]["base"], self.name))
            if not is_results_folder(results):
                raise ValueError(f'"{results}" is no folder of trials')
            return StoredSweep(
                body=dict(body["definition"]), metric=str(body["metric"]), maximize=bool(body["maximize"]),
                started_at=str(body["started_at"]),
                results=results,
            )  # fmt: skip
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._damaged(self.definition, error) from None

    def _damaged(self, path: Path, error: Exception) -> RunStateError:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return RunStateError(
            f'sweep "{self.name}" is damaged: {path}: {printable(what)}',
            hint=f"taorunner sweep rm {self.name} --yes removes it; its runs stay",
        )

    def definition_of(self, stored: StoredSweep) -> Sweep:
        """The sweep as it was started, whatever experiments.yml says by now.

        Raises RunStateError for a damaged definition.
        """
        to = FindingList(self.definition, lambda *_, **__: (1, 1))
        try:
            entry = _as_written(stored.body)
            found = read_sweeps({self._written_name: entry}, [entry.get("base")], to).usable
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise self._damaged(self.definition, error) from None
        if not found:
            raise self._damaged(
                self.definition, ValueError(to.findings[0].message if to.findings else "it is no sweep")
            )
        return found[self._written_name]

    @property
    def _written_name(self) -> str:
        """As in experiments.yml, also of a sweep that ``--new`` kept aside."""
        return _KEPT_ASIDE.sub("", self.name)

    def save(self, sweep: StoredSweep) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        body = {
            "version": VERSION, "definition": sweep.body, "metric": sweep.metric, "maximize": sweep.maximize,
            "started_at": sweep.started_at, "results": sweep.results,
        }  # fmt: skip
        write_json(self.definition, body, durable=True)

    def trials(self) -> list[Trial]:
        """All trials in order, as far as lines can be read. Raises RunStateError for a file that counts as damaged."""
        try:
            data = read_state(self.journal, self._store.trust())
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise self._damaged(self.journal, error) from None
        found: dict[int, Trial] = {}
        for line in data.splitlines():
            try:
                body = parse_json(line)
                number = body["trial"]
                if type(number) is int and number >= 0:
                    found[number] = after(found.get(number) or Trial(number=number), body)
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
                continue
        return [found[number] for number in sorted(found)]

    def seen_trials(self) -> list[Trial]:
        """As ``trials``, and which of them wait for their run to begin."""
        return [replace(trial, is_waiting=self._is_waiting(trial)) for trial in self.trials()]

    def _is_waiting(self, trial: Trial) -> bool:
        if trial.is_over or trial.run is None:
            return False
        try:
            return self._store.load(trial.run).state in (RunState.QUEUED, RunState.WAITING)
        except (TaorunnerError, OSError, ValueError):
            return True

    def add(self, number: int, **said: Any) -> None:
        """Appends a line that a power cut does not lose.

        Raises:
            OSError: it cannot be written.
        """
        with contextlib.suppress(FileNotFoundError):
            cut_open_line(self.journal, self._store.trust())
        line = json.dumps({"trial": number, **said})
        append_state(self.journal, f"{line}\n".encode(), self._store.trust())
        descriptor = open_state(self.journal)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def ask_to_stop(self) -> None:
        """No further trial starts. Idempotent."""
        os.close(open_state(self.stop_request, os.O_WRONLY | os.O_CREAT))

    def withdraw_stop(self) -> None:
        self.stop_request.unlink(missing_ok=True)

    def is_asked_to_stop(self) -> bool:
        return self.stop_request.exists()

    def say_end(self, reason: str) -> None:
        """Keeps why the loop ended."""
        write_json(self.directory / "end.json", {"reason": reason})

    def end(self) -> str | None:
        """Why the loop ended last; None while it runs, or where it was killed."""
        try:
            body = read_json_state(self.directory / "end.json", self._store.trust())
            return str(body["reason"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remove(self) -> None:
        """Removes the folder of the sweep. Links are removed, not their targets."""
        with contained_files.opened_folder(self._store.state_dir, self.directory.parent) as parent:
            contained_files.remove_tree(self.name, parent)

    def set_aside(self, at: datetime) -> Path:
        """Renames the folder, so that a sweep of that name begins anew; the runs stay where they are."""
        target = self.directory.with_name(f"{self.name}.{at:%Y%m%d-%H%M%S}")
        self.directory.rename(target)
        return target

    @contextlib.contextmanager
    def owning(self) -> Iterator[bool]:
        """Takes the lock; yields False when another process has it. The kernel releases it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        descriptor = open_state(self.lock, os.O_WRONLY | os.O_CREAT)
        with os.fdopen(descriptor, "wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            (self.directory / "end.json").unlink(missing_ok=True)
            yield True


def stored_sweeps(store: RunStore, project: str, *, with_aside: bool = False) -> list[SweepFolder]:
    """Those of the project that have something on disk, by name; ``with_aside`` also those that ``--new`` kept."""
    try:
        names = sorted(os.listdir(store.state_dir / "sweeps" / project))
    except OSError:
        return []
    wanted = (name for name in names if is_name(name) and (with_aside or not _KEPT_ASIDE.search(name)))
    folders = (SweepFolder(store, project, name) for name in wanted)
    return [folder for folder in folders if folder.definition.exists()]


def _as_written(body: Mapping[str, Any]) -> dict[str, Any]:
    """A stored definition as experiments.yml would have it, so that it is checked in the same way."""
    entry = {key: value for key, value in body.items() if key not in ("name", "space") and value is not None}
    entry["space"] = {one["key"]: _axis_as_written(one) for one in body["space"]}
    entry["stop"] = {key: value for key, value in body["stop"].items() if value is not None}
    if body["pruner"] is not None and body["pruner"]["kind"] == "median":
        entry["pruner"] = {key: value for key, value in body["pruner"].items() if key != "factor"}
    return entry


def _axis_as_written(axis: Mapping[str, Any]) -> dict[str, Any]:
    if axis["kind"] == "choice":
        return {"choice": list(axis["choices"])}
    step = {} if axis["step"] is None else {"step": axis["step"]}
    return {axis["kind"]: [axis["low"], axis["high"]], **step}


def changed_keys(stored: StoredSweep, sweep: Sweep) -> list[str]:
    """Keys of the definition that are different now and change what earlier trials mean."""
    now = json.loads(json.dumps(sweep.body()))
    keys = [*now, *(key for key in stored.body if key not in now)]
    return [key for key in keys if key not in GROWING and now.get(key) != stored.body.get(key)]


def after(trial: Trial, body: Mapping[str, Any]) -> Trial:
    if "values" in body:
        values = {
            str(key): value for key, value in body["values"].items() if isinstance(value, str | int | float)
        }
        return replace(trial, values=values, is_base=body.get("base") is True)
    found = trial
    if "run" in body:
        found = replace(trial, run=body["run"])
    elif "again" in body:
        found = replace(trial, run=None, pruning=None, attempt=min(trial.attempt, 9) + 1)
    elif "back" in body:
        found = replace(trial, run=None, pruning=None)
    elif "pruning" in body:
        found = replace(trial, pruning=body["pruning"])
    elif "ended" in body:
        value = body.get("value")
        found = replace(
            trial, ending=body["ended"], curve={epoch: float(value) for epoch, value in body.get("curve", ())},
            epoch=body.get("epoch"), value=value if value is None else float(value), reason=body.get("reason"),
        )  # fmt: skip
    _check(found)
    return found


def _check(trial: Trial) -> None:
    """Raises ValueError for what a trial cannot be."""
    numbers = [trial.value or 0.0, *trial.curve.values()]
    is_fine = trial.ending in (None, *get_args(Ending)) and all(map(math.isfinite, numbers))
    is_fine = is_fine and all(fits(epoch, _KINDS["epoch"]) for epoch in (trial.epoch, *trial.curve))
    if not is_fine or not all(
        fits(getattr(trial, name), _KINDS[name]) for name in ("run", "pruning", "reason")
    ):
        raise ValueError("not of a trial")
