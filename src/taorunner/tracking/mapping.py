"""What a run is on an MLflow server: names, parameters, tags and points. Pure."""

from __future__ import annotations

import hashlib
import json
import math
import posixpath
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from taorunner.events import MetricReported, RunState
from taorunner.runs.inputs.run_lock import RunLock
from taorunner.runs.state.record import RunRecord
from taorunner.tracking.mlflow import LONGEST_NAME, LONGEST_PARAM, LONGEST_TAG

STATUS = {
    RunState.SUCCEEDED: "FINISHED", RunState.FAILED: "FAILED", RunState.STOPPED: "KILLED", RunState.LOST: "FAILED",
}  # fmt: skip
PREFIX = "taorunner."
_REFUSED = r"[^\w/. :-]"
"""Source: validation of names in MLflow 3.17: letters, digits, ``_ - . : /`` and blanks, and no path that leads up."""


def name_there(name: str, taken: Mapping[str, str]) -> str:
    """The name that the server takes: ``[bbox] val_mAP@0.5`` is ``bbox/val_mAP_at_0.5``.

    ``taken`` are the original names of those that were changed, by the new one: two metrics never share a name there.
    """
    plain = re.sub(r"\[([^\[\]]*)\]\s*", r"\1/", name).replace("@", "_at_")
    plain = re.sub(_REFUSED, "_", plain, flags=re.ASCII)
    parts = [part for part in plain.split("/") if part not in ("", ".", "..")]
    plain = posixpath.normpath("/".join(parts))[:LONGEST_NAME] if parts else "_"
    if plain == name or taken.get(plain) == name:
        return plain
    if plain in taken:
        plain = f"{plain[: LONGEST_NAME - 7]}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"
    return plain


def point(event: MetricReported, name: str) -> dict[str, Any]:
    """JSON of protobuf has words for what no number is."""
    value = event.value
    shown: Any = (
        value if math.isfinite(value) else ("NaN" if value != value else f"{'-' * (value < 0)}Infinity")
    )
    return {"key": name, "value": shown, "timestamp": milliseconds(event.at), "step": event.epoch or 0}


def parameters(lock: RunLock) -> dict[str, str]:
    """The values of the spec, which hold no secret, by dotted key."""
    found: dict[str, str] = {}
    for key, value in lock.spec.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        found.setdefault(name_there(key, {}), _short(text, LONGEST_PARAM))
    return found


def first_tags(record: RunRecord) -> dict[str, str]:
    tags = {
        "project": record.project, "experiment": record.experiment, "action": record.action,
        "backend": record.backend, "cluster": record.cluster, "resumed_from": record.resumed_from,
        "results": record.results_dir,
    }  # fmt: skip
    return {"mlflow.source.name": f"taorunner {record.action}", **_named(tags)}


def lock_tags(record: RunRecord, lock: RunLock | None) -> dict[str, str]:
    """What the run was made from."""
    tags: dict[str, str | None] = {
        "image": record.image, "image_digest": record.image_digest, "gpus": ", ".join(record.gpu_models) or None,
        "driver": record.driver,
    }  # fmt: skip
    if lock is not None:
        tags |= {
            "network": lock.network,
            "release": lock.release,
            "seed": lock.seed,
            "version": lock.taorunner,
        }
        tags |= {"host": lock.host or None}
        for data in lock.data:
            tags[f"data.{data.name}"] = f"{data.images} images, {data.fingerprint or 'not fingerprinted'}"
        for weights in lock.weights:
            tags["weights"] = f"{weights.path} {weights.sha256 or ''}".strip()
    return _named(tags)


def end_tags(record: RunRecord, best: Iterator[tuple[str, float, int | None]]) -> dict[str, str]:
    tags: dict[str, str | None] = {"state": record.state.value, "reason": record.reason}
    for name, value, epoch in best:
        tags[f"best.{name}"] = f"{value:g}" + (f" at epoch {epoch}" if epoch is not None else "")
    return _named(tags)


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _named(tags: Mapping[str, str | None]) -> dict[str, str]:
    return {
        name_there(PREFIX + key, {}): _short(value, LONGEST_TAG)
        for key, value in tags.items()
        if value is not None
    }


def _short(text: str, most_bytes: int) -> str:
    """Cut by bytes, which is what servers count."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= most_bytes else data[: most_bytes - 3].decode("utf-8", "ignore") + "…"
