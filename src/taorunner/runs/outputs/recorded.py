"""What a run left in the results folder, as its supervisor recorded it at the end: ``outputs.json`` of its folder.

Light, so that lists stay fast: nothing is searched here, only what was recorded is compared with what is there now.
``runs.outputs.scan`` finds it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from taorunner.atomic_files import write_bytes
from taorunner.runs.state.store import RunStore
from taorunner.state_files import read_json_state
from taorunner.values.stored import LARGEST, fits, kinds_of
from taorunner.values.value import Value

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from typing import Any

CHECKPOINT = "checkpoint"
BYPRODUCTS = frozenset({"status", "spec", "log", "file", "folder"})
"""Kinds that a person does not go on with."""
ENTRIES_READ = 20_000
"""Files of a folder that are counted at most."""


def stored_time(facts: os.stat_result) -> int:
    """When a file was changed, in nanoseconds. A program can set a time that no record takes: then the nearest one."""
    return max(1 - LARGEST, min(LARGEST - 1, facts.st_mtime_ns))


class Output(Value):
    """A file, or a folder as a whole, that a run wrote.

    ``kind`` is checkpoint, onnx, engine, model, records, calibration, images, labels, table, status, spec, log, folder
    or file. ``bytes`` of a folder is the sum of its files, ``files`` their number; both stop at a limit. ``sha256`` is
    None where it was not computed. ``epoch`` is the 1-based epoch of a checkpoint, ``modified_ns`` the time of the last
    change in nanoseconds of the epoch.
    """

    path: Path
    kind: str
    bytes: int
    sha256: str | None = None
    epoch: int | None = None
    files: int | None = None
    modified_ns: int | None = None

    def to_json(self) -> dict[str, object]:
        """The stable shape: ``{"path", "kind", "bytes", "sha256"}``."""
        return {"path": str(self.path), "kind": self.kind, "bytes": self.bytes, "sha256": self.sha256}

    @property
    def is_there(self) -> bool:
        """Whether the path still holds it, judged by kind of file, size and time. Never follows a link."""
        try:
            facts = os.lstat(self.path)
        except (OSError, ValueError):
            return False
        if self.modified_ns is not None and stored_time(facts) != self.modified_ns:
            return False
        if self.files is not None:
            return stat.S_ISDIR(facts.st_mode)
        return stat.S_ISREG(facts.st_mode) and facts.st_size == self.bytes


class RunResults(Value):
    """``folder`` is where the run writes, ``outputs`` what it wrote there: checkpoints first, oldest epoch first.

    ``there`` is ``host:folder`` of results on a disk that this machine does not see; ``outputs`` are where a copy of
    them belongs.
    """

    folder: Path | None = None
    outputs: tuple[Output, ...] = ()
    there: str | None = None

    @property
    def checkpoints(self) -> tuple[Output, ...]:
        return tuple(one for one in self.outputs if one.kind == CHECKPOINT)

    @property
    def main_output(self) -> Output | None:
        """What a person goes on with: a model, an engine, records; else the newest checkpoint."""
        useful = (one for one in self.outputs if one.kind not in {CHECKPOINT, *BYPRODUCTS})
        return next(useful, self.checkpoints[-1] if self.checkpoints else None)

    @property
    def in_place(self) -> RunResults:
        """Without what was removed, replaced or set aside since. What lies elsewhere is as it was at the end."""
        if self.there is not None:
            return self
        return RunResults(self.folder, tuple(one for one in self.outputs if one.is_there))

    def to_json(self) -> dict[str, object]:
        """``results``, ``checkpoints`` and ``outputs`` of the JSON of a run."""
        return {
            "results": str(self.folder) if self.folder is not None else None,
            "checkpoints": [
                {"path": str(one.path), "epoch": one.epoch, "bytes": one.bytes} for one in self.checkpoints
            ],
            "outputs": [one.to_json() for one in self.outputs],
        }


def save_results(store: RunStore, run_id: str, results: RunResults) -> None:
    """Raises OSError."""
    body = {
        "results": str(results.folder) if results.folder is not None else None,
        "there": results.there,
        "outputs": [
            {**one.to_json(), "epoch": one.epoch, "files": one.files, "modified_ns": one.modified_ns}
            for one in results.outputs
        ],
    }  # fmt: skip
    # ASCII: the escape of a name that is no UTF-8 can be read back
    write_bytes(store.paths(run_id).outputs, json.dumps(body).encode())


def recorded_results(store: RunStore, run_id: str) -> RunResults | None:
    """What was recorded at the end of the run; None for a run that has not ended, an older one, or a damaged file."""
    try:
        body = read_json_state(store.paths(run_id).outputs, store.trust())
        folder, there = body["results"], body.get("there")
        outputs = tuple(map(_output, body["outputs"]))
        found = RunResults(Path(folder) if folder is not None else None, outputs)
        return found if there is None else RunResults(found.folder, outputs, str(there))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _output(body: Mapping[str, Any]) -> Output:
    known: dict[str, Any] = {name: body.get(name) for name in _KINDS}
    if not all(fits(known[name], kinds) for name, kinds in _KINDS.items()):
        raise ValueError("not an output")
    return Output(path=Path(body["path"]), **known)


_KINDS = {name: kinds for name, kinds in kinds_of(Output).items() if name != "path"}
