"""What is different now from what a run was made from: the image, the data, weights, GPUs, the driver, and what the
project says today. Only reads.

A rerun takes its spec, seed and image from the record. So what experiments.yml and the specs say by now is named, and
stops nothing; what the record cannot bring back (data, weights, GPUs) does, until it is allowed by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taorunner.catalog.knobs import choices_of
from taorunner.errors import TaorunnerError
from taorunner.planning.model.request import ActionRequest
from taorunner.planning.model.rerun_name import base_name
from taorunner.runs.inputs.file_list import changes, dataset_folder_of, fingerprint_of, listed, saved_list
from taorunner.runs.inputs.run_lock import DataRead, FileRead, RunLock, own_path
from taorunner.runs.inputs.spec_values import raw_values, shown_values
from taorunner.runs.outputs.recorded import stored_time
from taorunner.runs.outputs.scan import sha256_of
from taorunner.text import amount
from taorunner.values.same_value import is_same
from taorunner.values.value import Value
from taorunner.version import __version__

if TYPE_CHECKING:
    from taorunner.gpu.inventory import Inventory
    from taorunner.planning.model.plan import RunPlan
    from taorunner.project.workspace import Workspace
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore

KINDS = ("image", "spec", "data", "weights", "gpus", "driver", "seed", "taorunner")
ALLOWABLE = ("image", "data", "weights", "gpus")
"""What can be different and still be started, by its name."""
_NAMED = 3
_UNSET = "not set"


class Deviation(Value):
    """``is_blocking``: a rerun would not be the same, and has to be allowed."""

    kind: str
    text: str
    is_blocking: bool = False


class Check(Value):
    """``same`` are the kinds without a deviation, ``unknown`` those that are not on record of the run."""

    deviations: tuple[Deviation, ...]
    same: tuple[str, ...]
    unknown: tuple[str, ...]

    def blocking(self, allowed: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """The kinds that have to be allowed."""
        kinds = dict.fromkeys(
            one.kind for one in self.deviations if one.is_blocking and one.kind not in allowed
        )
        return tuple(kinds)


class Surroundings(Value):
    """What this machine has. ``local_digest`` gives the digest of an image on this machine, None where it has none."""

    workspace: Workspace
    inventory: Inventory
    environ: Mapping[str, str]
    local_digest: Callable[[str], str | None] = lambda _image: None


def check_run(store: RunStore, record: RunRecord, lock: RunLock, plan: RunPlan, now: Surroundings) -> Check:
    """Never raises for files of the user or of the run."""
    today, refusal = _planned_now(store, record, plan, now)
    new = shown_values(today, raw_values(today)) if today is not None else None
    found = [
        *_image(record, lock, today, now),
        *_spec(lock, plan, new, refusal),
        *(one for data in lock.data for one in _data(store, now.workspace.root, plan.project, data)),
        *(one for file in lock.weights for one in _weights(now.workspace.root, file)),
        *_gpus(record, now.inventory),
        *_driver(record, now.inventory),
        *_seed(lock, plan, new),
        *_version(lock),
    ]
    unknown = _unknown(record, lock)
    different = {one.kind for one in found}
    same = tuple(kind for kind in KINDS if kind not in different and kind not in unknown)
    return Check(tuple(found), same, unknown)


def _unknown(record: RunRecord, lock: RunLock) -> tuple[str, ...]:
    """Of a run without an image, without GPUs or without a seed nothing is missing."""
    unknown = []
    if lock.image is not None and record.image_digest is None:
        unknown.append("image")
    if any(one.fingerprint is None for one in lock.data):
        unknown.append("data")
    if any(one.sha256 is None for one in lock.weights):
        unknown.append("weights")
    if record.gpus and not record.gpu_models:
        unknown += ["gpus", "driver"]
    return tuple(unknown)


def _planned_now(
    store: RunStore, record: RunRecord, plan: RunPlan, now: Surroundings
) -> tuple[RunPlan | None, str | None]:
    """The plan that the project gives today for the same command, or why it gives none."""
    from taorunner.runs.control.launch import plan_request

    typed = plan.typed
    request = ActionRequest(
        action=record.action, experiments=(base_name(record.experiment),), backend=typed.backend, cluster=typed.cluster,
        gpus=typed.gpus, all_gpus=typed.all_gpus, gpu_ids=typed.gpu_ids, limits=typed.limits, release=typed.release,
        image=typed.image, overrides=typed.overrides, knobs=typed.knobs, extra=typed.extra, env=typed.env,
        volumes=typed.volumes, overwrite=True, force=True, dry_run=True,
    )  # fmt: skip
    try:
        planned = plan_request(now.workspace, record.project, request, now.environ)
        return planned.items[0].plan, None
    except TaorunnerError as error:
        first = next((one.message for one in error.findings if one.is_error), None)
        return None, first or error.message


def _image(record: RunRecord, lock: RunLock, today: RunPlan | None, now: Surroundings) -> Iterator[Deviation]:
    if lock.image is None:
        return
    is_lost = record.image_digest is None
    if today is not None and today.image != lock.image:
        yield Deviation("image", f"{today.image}, was {lock.image}", is_lost)
        return
    digest = None if is_lost else now.local_digest(lock.image)
    if digest is not None and digest != record.image_digest:
        yield Deviation("image", f"{lock.image} is {digest[:19]} now, was {(record.image_digest or '')[:19]}")


def _spec(
    lock: RunLock, plan: RunPlan, new: Mapping[str, Any] | None, refusal: str | None
) -> Iterator[Deviation]:
    """``new`` are the values of today, None where there are none."""
    if new is None:
        yield Deviation("spec", f"cannot be compared with the project of today: {refusal}")
        return
    seeds = _seed_keys(plan)
    for key in dict.fromkeys([*lock.spec, *new]):
        was, now = lock.spec.get(key), new.get(key)
        if key not in seeds and not is_same(was, now) and not (_is_result(was) and _is_result(now)):
            yield Deviation("spec", f"{key}: {_text(new, key)}, was {_text(lock.spec, key)}")


def _seed(lock: RunLock, plan: RunPlan, new: Mapping[str, Any] | None) -> Iterator[Deviation]:
    if new is None:
        return
    for key in _seed_keys(plan):
        if not is_same(lock.spec.get(key), new.get(key)):
            yield Deviation("seed", f"{_text(new, key)}, was {_text(lock.spec, key)}")


def _seed_keys(plan: RunPlan) -> list[str]:
    return [key for choice in choices_of(plan.contract, "seed") for key in choice.keys]


def _is_result(value: Any) -> bool:
    """Each command chooses which checkpoint of the results it reads."""
    return isinstance(value, str) and value.startswith("$results_dir/")


def _text(values: Mapping[str, Any], key: str) -> str:
    return str(values[key]) if key in values else _UNSET


def _data(store: RunStore, root: Path, project: str, data: DataRead) -> Iterator[Deviation]:
    if data.fingerprint is None:
        return
    after = listed(dataset_folder_of(root, project, data), data.paths)
    if fingerprint_of(after) == data.fingerprint:
        return
    before = saved_list(store, data.fingerprint)
    if before is None:
        yield Deviation("data", f"{data.name}: {amount(len(after.rows), 'file')}, was {data.files}", True)
        return
    found = changes(before, after)
    counts = [
        f"{len(paths)} {word}"
        for word, paths in (("added", found.added), ("removed", found.removed), ("changed", found.changed))
        if paths
    ]
    names = [path.rpartition("/")[2] for path in (*found.added, *found.removed, *found.changed)]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    yield Deviation("data", f"{data.name}: {', '.join(counts)} ({', '.join(names[:_NAMED])}{more})", True)


def _weights(root: Path, file: FileRead) -> Iterator[Deviation]:
    path = own_path(root, file.path)
    try:
        facts = path.stat()
        path = path.resolve()
    except (OSError, ValueError):
        yield Deviation("weights", f"{file.path} is not there", True)
        return
    if facts.st_size == file.bytes and stored_time(facts) == file.modified_ns:
        return
    digest = sha256_of(path, facts.st_size) if file.sha256 is not None else None
    if file.sha256 is None or digest != file.sha256:
        was = f", was {file.sha256[:6]}" if file.sha256 is not None else ""
        yield Deviation(
            "weights", f"{file.path} has changed{f' to {digest[:6]}' if digest else ''}{was}", True
        )


def _gpus(record: RunRecord, inventory: Inventory) -> Iterator[Deviation]:
    """A run on a cluster, whose GPUs are not those of this machine, is not judged."""
    if not record.gpu_models:
        return
    there = [gpu.name for gpu in inventory.gpus]
    lacking = [
        name for name in dict.fromkeys(record.gpu_models) if there.count(name) < record.gpu_models.count(name)
    ]
    if lacking:
        now = ", ".join(f"{there.count(name)} × {name}" for name in dict.fromkeys(there)) or "no GPU"
        was = ", ".join(
            f"{record.gpu_models.count(name)} × {name}" for name in dict.fromkeys(record.gpu_models)
        )
        yield Deviation("gpus", f"{now}, was {was}", True)


def _driver(record: RunRecord, inventory: Inventory) -> Iterator[Deviation]:
    if record.driver is not None and inventory.driver is not None and record.driver != inventory.driver:
        yield Deviation("driver", f"{inventory.driver}, was {record.driver}")


def _version(lock: RunLock) -> Iterator[Deviation]:
    if lock.taorunner != __version__:
        yield Deviation("taorunner", f"{__version__}, was {lock.taorunner}")
