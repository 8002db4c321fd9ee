"""RunLock: what a run was made from, in ``run.lock`` of its folder: enough to compare it, and to repeat it.

Written right before the run is started, completed at its end. Paths below the workspace are relative to it. It holds no
secret. Runs of 0.1.0 and runs that never started have none. Light, because ``runs diff`` reads it.
"""

from __future__ import annotations

from pathlib import Path

from taorunner.state_files import read_json_state
from taorunner.values.stored import LARGEST
from taorunner.values.value import Value, field

TYPE_CHECKING = False  # importing typing takes as long as reading a lock
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taorunner.runs.state.store import RunStore

VERSION = 1


class DataRead(Value):
    """A dataset, as far as the run's spec and command line name parts of it: ``paths``, relative to the dataset.

    ``name`` is that below ``data/``, with the project in front where it is another one; else the path of the folder.
    ``fingerprint`` is the SHA-256 of the list of its files (``runs.inputs.file_list``), None where there are too many.
    """

    name: str
    paths: tuple[str, ...]
    files: int
    images: int
    bytes: int
    fingerprint: str | None = None


class FileRead(Value):
    """A file that is no part of a dataset: weights, a checkpoint, a model. ``sha256`` is None where it is too large."""

    path: str
    bytes: int
    modified_ns: int
    sha256: str | None = None


class RunLock(Value):
    """``spec`` are the values of the rendered spec by dotted key, those of the command line in their place, without
    secrets; ``resolved`` those that TAO wrote down itself, with all defaults. The results folder is ``$results_dir``.

    ``gpus`` are the models of the GPUs, one for each; they, ``driver`` and ``image_digest`` are known at the end.
    """

    taorunner: str
    network: str
    action: str
    release: str
    image: str | None = None
    image_digest: str | None = None
    argv: tuple[str, ...] = ()
    spec_file: str | None = None
    spec_sha256: str | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)
    resolved: Mapping[str, Any] | None = None
    data: tuple[DataRead, ...] = ()
    weights: tuple[FileRead, ...] = ()
    gpus: tuple[str, ...] = ()
    driver: str | None = None
    seed: str | None = None
    host: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            **{name: getattr(self, name) for name in _PLAIN},
            "argv": list(self.argv),
            "gpus": list(self.gpus),
            "spec": dict(self.spec),
            "resolved": None if self.resolved is None else dict(self.resolved),
            "data": [{name: getattr(one, name) for name in _DATA} for one in self.data],
            "weights": [{name: getattr(one, name) for name in _FILE} for one in self.weights],
        }

    @staticmethod
    def from_json(body: Any) -> RunLock:
        """Unknown keys are ignored. Raises ValueError for what is no lock."""
        if not isinstance(body, dict):
            raise ValueError("not an object")
        plain = {name: _checked(name, body.get(name), kinds) for name, kinds in _PLAIN.items()}
        spec, resolved = body.get("spec"), body.get("resolved")
        if not isinstance(spec, dict) or not (resolved is None or isinstance(resolved, dict)):
            raise ValueError('"spec" is not an object')
        return RunLock(
            **plain, argv=_texts("argv", body), gpus=_texts("gpus", body), spec=spec, resolved=resolved,
            data=tuple(
                DataRead(paths=_texts("paths", one), **{
                    name: _checked(name, one.get(name), kinds) for name, kinds in _DATA.items() if name != "paths"
                })
                for one in _objects("data", body)
            ),
            weights=tuple(
                FileRead(**{name: _checked(name, one.get(name), kinds) for name, kinds in _FILE.items()})
                for one in _objects("weights", body)
            ),
        )  # fmt: skip


_TEXT, _MAYBE, _COUNT = (str,), (str, type(None)), (int,)
_PLAIN: dict[str, tuple[type, ...]] = {
    "taorunner": _TEXT, "network": _TEXT, "action": _TEXT, "release": _TEXT, "image": _MAYBE, "image_digest": _MAYBE,
    "spec_file": _MAYBE, "spec_sha256": _MAYBE, "driver": _MAYBE, "seed": _MAYBE, "host": _TEXT,
}  # fmt: skip
_DATA: dict[str, tuple[type, ...]] = {
    "name": _TEXT, "paths": (list,), "files": _COUNT, "images": _COUNT, "bytes": _COUNT, "fingerprint": _MAYBE,
}  # fmt: skip
_FILE: dict[str, tuple[type, ...]] = {
    "path": _TEXT, "bytes": _COUNT, "modified_ns": _COUNT, "sha256": _MAYBE,
}  # fmt: skip


def read_lock(store: RunStore, run_id: str) -> RunLock | None:
    """None for a run without one, and for one that cannot be used."""
    try:
        return RunLock.from_json(read_json_state(store.paths(run_id).run_lock, store.trust()))
    except (OSError, ValueError):
        return None


def own_path(workspace: Path, text: str) -> Path:
    """The path on this host that a lock writes as ``text``."""
    return workspace / text


def _checked(name: str, value: object, kinds: tuple[type, ...]) -> Any:
    is_fine = type(value) in kinds and not (isinstance(value, str) and "\0" in value)
    if not is_fine or (isinstance(value, int) and not -LARGEST < value < LARGEST):
        raise ValueError(f'"{name}" has another type')
    return value


def _texts(name: str, body: Mapping[str, Any]) -> tuple[str, ...]:
    found = body.get(name)
    if not isinstance(found, list) or not all(isinstance(one, str) and "\0" not in one for one in found):
        raise ValueError(f'"{name}" is not a list of texts')
    return tuple(found)


def _objects(name: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = body.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError(f'"{name}" is not a list of objects')
    return found
