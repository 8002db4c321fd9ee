"""Which files and figures of an experiment go into a bundle: its newest export, and what belongs to it. Only reads."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taorunner.catalog.handover import HandoverFacts, InputScale
from taorunner.errors import RunStateError, UserFilesError
from taorunner.events import RunState
from taorunner.handover.model import Preprocessing
from taorunner.handover.onnx_header import OnnxHeader
from taorunner.runs.inputs.run_lock import RunLock, read_lock
from taorunner.runs.outputs.recorded import Output, recorded_results
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.resume_origin import records_of
from taorunner.state_files import read_state
from taorunner.text import printable
from taorunner.values.bounded_reading import parse_json
from taorunner.values.value import Value

if TYPE_CHECKING:
    from taorunner.runs.state.store import RunStore

_ONNX, _CALIBRATION = "onnx", "calibration"
_PRECISION = "gen_trt_engine.tensorrt.data_type"
_PRECISIONS = ("fp32", "fp16", "int8")
_MOST_LABELS, _LONGEST_LABEL = 10_000, 200


class Sources(Value):
    """``export`` wrote ``model``. ``inference`` and ``training`` are the newest that succeeded; ``calibration`` is of
    the newest engine, whose numbers are ``precision``."""

    export: RunRecord
    model: Output
    lock: RunLock | None
    network: str
    inference: RunRecord | None
    training: RunRecord | None
    precision: str = "fp32"
    calibration: Output | None = None


def find_sources(store: RunStore, project: str, experiment: str) -> Sources:
    """Raises RunStateError where there is no exported ONNX model that is still as it was written."""
    export = _newest(store, project, experiment, "export")
    if export is None:
        raise RunStateError(
            f'"{printable(experiment)}" has no export that succeeded',
            hint=f"taorunner -p {project} export {experiment}",
        )
    results = recorded_results(store, export.id)
    models = [one for one in results.outputs if one.kind == _ONNX] if results is not None else []
    there = [one for one in models if one.is_there]
    if not there:
        what = "wrote no ONNX model" if not models else "wrote a model that was moved or changed since"
        raise RunStateError(
            f"the newest export of {printable(experiment)} ({store.short_id(export.id)}) {what}",
            hint=f"taorunner -p {project} export {experiment} --overwrite",
        )
    precision, calibration = _engine(store, project, experiment)
    lock = read_lock(store, export.id)
    return Sources(
        export, there[-1], lock, lock.network if lock is not None else store.load_plan(export.id).contract.network,
        _newest(store, project, experiment, "inference"), _newest(store, project, experiment, "train"),
        precision, calibration,
    )  # fmt: skip


def preprocessing_of(store: RunStore, sources: Sources, facts: HandoverFacts) -> Preprocessing:
    """From the spec of the export, else from that of the training, else what TAO takes without a value."""
    training = read_lock(store, sources.training.id) if sources.training is not None else None
    locks = [("export", sources.lock), ("train", training)]
    mean, where = _values(facts.mean, locks)
    std, _ = _values(facts.std, locks)
    if min(std) <= 0:
        raise UserFilesError(f"the input would be divided by {min(std):g} ({', '.join(facts.std.keys)})")
    return Preprocessing(mean, std, facts.is_rgb, where)


def labels_of(
    store: RunStore, sources: Sources, facts: HandoverFacts | None, header: OnnxHeader
) -> tuple[str, ...]:
    """The class of each output, in order; empty where they are not known."""
    if facts is None:
        return ()
    if facts.classes == "metadata":
        try:
            names = parse_json(header.metadata.get("class_names", "[]").encode())
        except ValueError:
            return ()
        return _clean(names if isinstance(names, list) else [])
    return _from_class_map(store, sources, header)


def thresholds_of(store: RunStore, sources: Sources) -> dict[str, float]:
    """By class the score of the best F1, from the newest inference that was scored here."""
    body = evaluation_of(store, sources)
    rows = json.loads(body).get("per_class", []) if body is not None else []
    return {
        row["name"]: float(row["at_score"])
        for row in rows
        if isinstance(row, dict)
        and isinstance(row.get("at_score"), (int, float))
        and isinstance(row.get("name"), str)
    }


def evaluation_of(store: RunStore, sources: Sources) -> bytes | None:
    """``evaluation.json`` of the inference, None where it was not scored."""
    if sources.inference is None:
        return None
    try:
        data = read_state(store.paths(sources.inference.id).directory / "evaluation.json", store.trust())
        return data if isinstance(parse_json(data), dict) else None
    except (OSError, ValueError):
        return None


def set_values(lock: RunLock | None) -> dict[str, Any]:
    """The values that the process took: its spec, with the defaults that TAO wrote down where it did."""
    return {**(lock.resolved or {}), **lock.spec} if lock is not None else {}


def _newest(store: RunStore, project: str, experiment: str, action: str) -> RunRecord | None:
    found = records_of(store, experiment, action)
    return next((one for one in found if one.project == project and one.state is RunState.SUCCEEDED), None)


def _engine(store: RunStore, project: str, experiment: str) -> tuple[str, Output | None]:
    """INT8 counts only with its calibration: without one DeepStream could not build the engine."""
    built = _newest(store, project, experiment, "gen_trt_engine")
    if built is None:
        return "fp32", None
    precision = str(set_values(read_lock(store, built.id)).get(_PRECISION, "fp32")).lower()
    results = recorded_results(store, built.id)
    found = [one for one in results.outputs if one.kind == _CALIBRATION and one.is_there] if results else []
    if precision == "int8" and not found:
        return "fp16", None
    return (precision if precision in _PRECISIONS else "fp32"), (found[-1] if precision == "int8" else None)


def _values(
    scale: InputScale, locks: Sequence[tuple[str, RunLock | None]]
) -> tuple[tuple[float, float, float], str]:
    for action, lock in locks:
        values = set_values(lock)
        for key in scale.keys:
            found = _three(values.get(key))
            if found is not None:
                red, green, blue = (scale.times * one for one in found)
                return (red, green, blue), f"{key} of {action}"
    red, green, blue = scale.default
    return (red, green, blue), f"the default of {scale.keys[0]}" if scale.keys else "the network's own"


def _three(value: object) -> list[float] | None:
    """A list of three numbers, also as the text that a command line has."""
    if isinstance(value, str):
        try:
            value = parse_json(value.encode())
        except ValueError:
            return None
    if not isinstance(value, list) or len(value) != 3:
        return None
    fits = all(
        isinstance(one, (int, float)) and not isinstance(one, bool) and math.isfinite(one) for one in value
    )
    return [float(one) for one in value] if fits else None


def _from_class_map(store: RunStore, sources: Sources, header: OnnxHeader) -> tuple[str, ...]:
    """Line n of the class map of inference is the class of id n; ids that it does not name are numbered."""
    from taorunner.planning.model.plan_dataset import host_path

    if sources.inference is None:
        return ()
    plan = store.load_plan(sources.inference.id)
    spec = plan.contract.spec
    inside = (
        set_values(read_lock(store, sources.inference.id)).get(spec.classmap)
        if spec and spec.classmap
        else None
    )
    path = host_path(plan, inside) if isinstance(inside, str) else None
    count = next((one.shape[-1] for one in header.outputs if "logits" in one.name and one.shape), None)
    if spec is None or spec.classmap_first_id is None or path is None or not path.is_file():
        return ()
    with path.open("rb") as file:
        lines = file.read(_MOST_LABELS * _LONGEST_LABEL).decode("utf-8", "replace").splitlines()
    names = {number: line.strip() for number, line in enumerate(lines, spec.classmap_first_id) if number >= 0}
    highest = count if count is not None else max(names, default=-1) + 1
    return _clean([names.get(number, f"id_{number}") for number in range(min(highest, _MOST_LABELS))])


def _clean(names: Sequence[object]) -> tuple[str, ...]:
    """One line for each class, whatever its name."""
    return tuple(_one_line(name) for name in names[:_MOST_LABELS])


def _one_line(name: object) -> str:
    return " ".join(str(name).split())[:_LONGEST_LABEL] or "unnamed"


def images_read(store: RunStore, workspace: Path, record: RunRecord) -> Iterator[Path]:
    """The images that an inference read and that are unchanged since."""
    from taorunner.datasets.files.image_header import IMAGE_SUFFIXES
    from taorunner.runs.inputs.file_list import dataset_folder_of, saved_list
    from taorunner.runs.outputs.recorded import stored_time

    lock = read_lock(store, record.id)
    for data in lock.data if lock is not None else ():
        folder, files = (
            dataset_folder_of(workspace, record.project, data),
            saved_list(store, data.fingerprint),
        )
        for name, size, modified_ns, _ in files.rows if files is not None else ():
            path = folder / name
            if path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
                continue
            facts = path.stat()
            if (facts.st_size, stored_time(facts)) == (size, modified_ns):
                yield path
