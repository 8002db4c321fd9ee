"""Runs on record, as a test says: metrics by epoch, and what each was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import taorunner
from taorunner.events import MetricReported, RunState
from taorunner.runs.inputs.run_lock import DataRead, RunLock
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace

AT = datetime(2026, 11, 20, 10, 0, tzinfo=timezone.utc)
LOCK = RunLock(
    taorunner="0.2.0", network="dino", action="train", release="7.0.1", image="nvcr.io/nvidia/tao/t:7.0.1-pyt",
    spec={"train.optim.lr": 0.0002, "dataset.batch_size": 4, "results_dir": "$results_dir"}, seed="1234",
    data=(DataRead("cars", ("train",), 8412, 8412, 9_000_000, "5f3c91" * 10),),
)  # fmt: skip
KPI = [
    {"name": "val_mAP50", "direction": "up", "scale": "fraction", "ranks": True, "console": False},
    {"name": "val_loss", "direction": "down", "scale": "own", "ranks": False, "console": False},
]
DIRECTIONS = {"val_mAP50": ("up", 0), "val_loss": ("down", None), "lr": ("none", None)}


def ended(batch: taorunner.Batch) -> taorunner.Batch:
    """The batch, when its runs have succeeded and what they made is on record, which comes after their state."""
    assert batch.wait(timeout_s=120), [(run.reason, run.log(tail=20)) for run in batch.runs]
    for _ in batch.events():
        pass
    return batch


def made_run(
    state_dir: Path, name: str, metrics: Mapping[str, Sequence[float]] | None = None, *, number: int = 1,
    lock: RunLock | None = LOCK, state: RunState = RunState.SUCCEEDED, network: str = "dino", **fields: Any,
) -> RunRecord:  # fmt: skip
    """A training of the experiment ``name``; ``metrics`` are values of the epochs from 1 on. Of several the one with the
    highest ``number`` is the newest."""
    store = RunStore(state_dir)
    at = AT + timedelta(hours=number)
    run = f"{at:%Y%m%d-%H%M%S}-{name}-{fields.get('action', 'train')}-{number:06x}"
    store.paths(run).directory.mkdir(parents=True)
    record = RunRecord(
        id=run, batch="b", project="cars", experiment=name, action="train", backend="docker", state=state,
        queued_at=at, started_at=at, image=LOCK.image, finished_at=at + timedelta(hours=1) if state.is_final else None, nodes=1,
    )  # fmt: skip
    record = replace(record, **fields)
    store.save(record)
    events = []
    for metric, values in (metrics or {}).items():
        direction, rank = DIRECTIONS.get(metric, (None, None))
        events += [
            MetricReported(
                run=run, at=at, name=metric, value=value, epoch=epoch, direction=direction, rank=rank
            )
            for epoch, value in enumerate(values, 1)
        ]
    store.append_events(run, [record.queued_event(), *events])
    store.paths(run).plan.write_text(json.dumps({"contract": {"network": network, "kpi": KPI}}))
    if lock is not None:
        store.paths(run).run_lock.write_text(json.dumps(lock.to_json()))
    return record
