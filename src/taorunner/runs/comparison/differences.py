"""What is different in what runs were made from: values of their specs, data, weights, image, GPUs and versions. Pure.

Values of the spec are those that TAO wrote down with all its defaults where every run has them, else those of the
rendered specs. What is not on record of a run counts as unknown: it is neither the same nor different.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from taorunner.planning.model.rerun_name import base_name
from taorunner.runs.comparison.read_run import ComparedRun
from taorunner.values.same_value import is_same
from taorunner.values.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KINDS = ("spec", "data", "weights", "image", "gpus", "versions", "measure")
"""``measure`` is how the figures that were measured on this machine came about."""
_OWN_RECORDS = "/data/tfrecords_$experiment"


class NoValue(Value):
    """Stands where a run has no value, for the reason."""

    reason: str


UNSET = NoValue("unset")
"""The run's spec does not have the key: TAO's default counts; the run does not read that dataset or file."""
UNKNOWN = NoValue("unknown")
"""It is not on record."""


class Difference(Value):
    """One value of each run. ``key`` is the dotted key of a spec, the name of a dataset, the place of weights in the
    list, or what is compared of GPUs and versions; empty for the image. A value may be ``UNSET`` or
    ``UNKNOWN``. ``is_same``: all known ones are equal."""

    kind: str
    key: str
    values: tuple[Any, ...]
    is_same: bool = False

    @property
    def is_known(self) -> bool:
        """Whether every run has it on record."""
        return not any(value is UNKNOWN for value in self.values)


def differences(runs: Sequence[ComparedRun]) -> tuple[Difference, ...]:
    """All values that are compared, different or not, in the order of ``KINDS``."""
    rows = [*_spec(runs), *_data(runs), *_weights(runs), *_machine(runs), *_measure(runs)]
    return tuple(
        Difference(kind, key, tuple(values), _all_same(values))
        for kind, key, values in rows
        if not all(value is UNKNOWN or value is UNSET for value in values)
    )


def spec_of(runs: Sequence[ComparedRun]) -> list[Mapping[str, Any] | None]:
    """The values of each run's spec, all of the same kind; None where none are on record."""
    resolved = [run.lock.resolved if run.lock is not None else None for run in runs]
    if all(one is not None for one in resolved) and len({run.record.action for run in runs}) == 1:
        return list(resolved)
    return [run.lock.spec if run.lock is not None else None for run in runs]


def _spec(runs: Sequence[ComparedRun]) -> Iterable[tuple[str, str, list[Any]]]:
    specs = spec_of(runs)
    keys = dict.fromkeys(key for spec in specs if spec is not None for key in spec)
    names = [base_name(run.record.experiment) for run in runs]
    for key in keys:
        yield (
            "spec",
            key,
            [
                UNKNOWN if spec is None else _without_name(spec.get(key, UNSET), name)
                for spec, name in zip(specs, names, strict=True)
            ],
        )


def _without_name(value: Any, experiment: str) -> Any:
    """Each experiment has records of its own: their folder says nothing of what differs."""
    if isinstance(value, list):
        return [_without_name(one, experiment) for one in value]
    own = f"/data/tfrecords_{experiment}"
    if not isinstance(value, str) or own not in value:
        return value
    before, _, after = value.partition(own)
    return f"{before}{_OWN_RECORDS}{after}" if after[:1] in ("", "/") else value


def _data(runs: Sequence[ComparedRun]) -> Iterable[tuple[str, str, list[Any]]]:
    """Of records that an experiment converted for itself the dataset that they were made from."""
    each = [{one.key: one.data for one in run.data} if run.data is not None else None for run in runs]
    for key in dict.fromkeys(key for data in each if data is not None for key in data):
        found = [data.get(key) if data is not None else None for data in each]
        name, is_converted = key
        yield "data", f"{name}, converted" if is_converted else name, [
            (UNSET if data is not None else UNKNOWN) if one is None else
            {"images": one.images, "files": one.files, "bytes": one.bytes, "fingerprint": one.fingerprint}
            for data, one in zip(each, found, strict=True)
        ]  # fmt: skip


def _weights(runs: Sequence[ComparedRun]) -> Iterable[tuple[str, str, list[Any]]]:
    each = [run.lock.weights if run.lock is not None else None for run in runs]
    for number in range(max((len(one) for one in each if one is not None), default=0)):
        yield "weights", "" if number == 0 else str(number + 1), [
            UNKNOWN if one is None else
            {"path": one[number].path, "sha256": one[number].sha256, "bytes": one[number].bytes}
            if number < len(one) else UNSET
            for one in each
        ]  # fmt: skip


def _machine(runs: Sequence[ComparedRun]) -> Iterable[tuple[str, str, list[Any]]]:
    locks = [run.lock for run in runs]
    each: list[tuple[str, str, list[Any]]] = [
        ("image", "", [_image(run) for run in runs]),
        ("gpus", "models", [_gpus(run) for run in runs]),
        ("gpus", "nodes", [run.record.nodes for run in runs]),
        ("versions", "driver", [run.record.driver for run in runs]),
        ("versions", "release", [lock.release if lock is not None else None for lock in locks]),
        ("versions", "network", [run.network for run in runs]),
        ("versions", "backend", [run.record.backend for run in runs]),
        ("versions", "taorunner", [lock.taorunner if lock is not None else None for lock in locks]),
    ]
    for kind, key, values in each:
        yield kind, key, [UNKNOWN if value is None else value for value in values]


def _measure(runs: Sequence[ComparedRun]) -> Iterable[tuple[str, str, list[Any]]]:
    each = [run.metrics.host.settings if run.metrics.host is not None else None for run in runs]
    for key in dict.fromkeys(key for one in each if one is not None for key in one):
        yield "measure", key, [UNKNOWN if one is None else one.get(key, UNSET) for one in each]


def _image(run: ComparedRun) -> dict[str, str | None] | None:
    planned = run.lock.image if run.lock is not None else None
    image = run.record.image or planned
    return None if image is None else {"name": image, "digest": run.record.image_digest}


def _gpus(run: ComparedRun) -> str | None:
    """``2 × H100 80GB HBM3``; the number alone where the models are not known; None without GPUs."""
    models = dict.fromkeys(name.removeprefix("NVIDIA ") for name in run.record.gpu_models)
    count = len(run.record.gpus)
    if run.record.started_at is None or not count:
        return None
    return f"{count} × {', '.join(models)}" if models else str(count)


def _all_same(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not UNKNOWN]
    return all(_equal(known[0], value) for value in known[1:])


def _equal(one: Any, other: Any) -> bool:
    if one is UNSET or other is UNSET:
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        for strong in ("fingerprint", "sha256", "digest"):
            if one.get(strong) is not None and other.get(strong) is not None:
                return bool(one[strong] == other[strong])
        weak = ("name", "bytes", "files") if "digest" in one or "fingerprint" in one else ("path", "bytes")
        return all(one.get(key) == other.get(key) for key in weak)
    return is_same(one, other)
