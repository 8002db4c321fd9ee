"""Takes the lock of a run right before it is started, and completes it at its end."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taorunner.atomic_files import write_bytes
from taorunner.backends.masking import Masking
from taorunner.catalog.knobs import choices_of
from taorunner.contained_files import open_file
from taorunner.project.clusters.far_place import far_place
from taorunner.runs.inputs.file_list import listed, save_list
from taorunner.runs.inputs.named_paths import NamedPaths, named_paths
from taorunner.runs.inputs.run_lock import DataRead, FileRead, RunLock, read_lock
from taorunner.runs.inputs.spec_values import raw_values, read_values, shown_values, texts_in
from taorunner.runs.outputs.recorded import stored_time
from taorunner.runs.outputs.scan import results_folder, sha256_of
from taorunner.values.stored import LARGEST
from taorunner.values.value import replace
from taorunner.version import __version__

if TYPE_CHECKING:
    from taorunner.planning.model.plan import RunPlan
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore

_HASHED_BYTES = 2 * 1024**3
_RESOLVED = "experiment.yaml"
"""The spec with all defaults, which TAO's PyTorch networks write. Source: tao/pytorch.md section 2."""
_LARGEST_SPEC = 256 * 1024
"""Bytes. TAO's own have 20 KiB; a list of a megabyte takes 300 MiB to read."""
_LARGEST_VALUES = 1024**2
"""Characters. With aliases a small text has very many."""


def take_lock(store: RunStore, run_id: str, plan: RunPlan) -> None:
    """Writes it, unless an earlier attempt of the run did: that is the one with the inputs. Raises OSError."""
    if read_lock(store, run_id) is None:
        _save(store, run_id, lock_of(store, plan))


def lock_of(store: RunStore, plan: RunPlan) -> RunLock:
    """The lock that a run of this plan would get now. Keeps the lists of files that it is made of."""
    raw = raw_values(plan)
    values = shown_values(plan, raw)
    seed = next(
        (values[key] for one in choices_of(plan.contract, "seed") for key in one.keys if key in values), None
    )
    named = _read(plan, [*texts_in(raw), *_words(plan.argv)])
    text = plan.spec.text.encode() if plan.spec is not None else None
    return RunLock(
        taorunner=__version__, network=plan.contract.network, action=plan.action, release=plan.contract.release,
        image=plan.image, argv=tuple(plan.argv), spec=values, host=socket.gethostname(),
        spec_file=f"input/{plan.spec.file_name}" if plan.spec is not None else None,
        spec_sha256=hashlib.sha256(text).hexdigest() if text is not None else None,
        data=tuple(_data(store, folder, parts, named.names[folder]) for folder, parts in named.data.items()),
        weights=tuple(_weights(plan, named.files)), seed=None if seed is None else str(seed),
    )  # fmt: skip


def complete_lock(store: RunStore, record: RunRecord, plan: RunPlan, secrets: Iterable[str]) -> None:
    """Adds what is known when the run is over. Raises OSError."""
    lock = read_lock(store, record.id)
    if lock is None:
        return
    resolved = _resolved(plan, record, tuple(secrets))
    _save(store, record.id, replace(
        lock, image_digest=record.image_digest, gpus=record.gpu_models, driver=record.driver, resolved=resolved,
    ))  # fmt: skip


def _save(store: RunStore, run_id: str, lock: RunLock) -> None:
    # ASCII: the escape of a name that is no UTF-8 can be read back
    write_bytes(store.paths(run_id).run_lock, (json.dumps(lock.to_json()) + "\n").encode())


def _words(argv: Iterable[str]) -> Iterable[str]:
    """The words of a command line, and the values in ``key=value``."""
    for token in argv:
        yield token
        yield token.partition("=")[2]


def _read(plan: RunPlan, texts: Iterable[str]) -> NamedPaths:
    named = named_paths(plan, texts)
    own = plan.workspace / ".taorunner"
    return replace(named, files=tuple(path for path in named.files if not path.is_relative_to(own)))


def _data(store: RunStore, folder: Path, parts: list[str], name: str) -> DataRead:
    files = listed(folder, parts)
    return DataRead(
        name,
        tuple(parts),
        len(files.rows),
        files.images,
        min(sum(row[1] for row in files.rows), LARGEST - 1),
        save_list(store, files),
    )


def _weights(plan: RunPlan, paths: Iterable[Path]) -> Iterable[FileRead]:
    left = _HASHED_BYTES
    for path in paths:
        with suppress(OSError, ValueError):
            facts = path.stat()
            digest = sha256_of(path.resolve(), facts.st_size) if facts.st_size <= left else None
            left -= facts.st_size if digest is not None else 0
            shown = path.relative_to(plan.workspace) if path.is_relative_to(plan.workspace) else path
            yield FileRead(str(shown), facts.st_size, stored_time(facts), digest)


def _resolved(plan: RunPlan, record: RunRecord, secrets: tuple[str, ...]) -> dict[str, Any] | None:
    """The values that TAO wrote down, if this run wrote them. A container may write anything there."""
    from taorunner.runs.outputs.run_times import began_at
    from taorunner.runs.results import CLOCK_SLACK_S

    if far_place(plan.workspace, plan.backend, plan.backend_options) is not None:
        return None
    path = results_folder(plan) / _RESOLVED
    try:
        descriptor = open_file(plan.results_dir, path)
    except OSError:
        return None
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if facts.st_size > _LARGEST_SPEC or facts.st_mtime < began_at(record).timestamp() - CLOCK_SLACK_S:
            return None
        text = file.read(_LARGEST_SPEC).decode("utf-8", "replace")
    masking = Masking(secrets)
    values = {
        key: value
        for key, value in shown_values(plan, read_values(text, "yaml"), secrets).items()
        if not masking.is_in(f"{key}: {value}".encode("utf-8", "surrogatepass"))
    }
    is_small = sum(len(key) + len(str(value)) for key, value in values.items()) <= _LARGEST_VALUES
    return values if is_small and values else None
