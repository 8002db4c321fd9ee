"""Workspaces for reports: trainings with smooth curves, and one with everything that a report can show."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from made_runs import DIRECTIONS, LOCK, made_run

from taorunner.events import MetricReported, RunState
from taorunner.runs.inputs.run_lock import FileRead, RunLock
from taorunner.runs.outputs.recorded import CHECKPOINT, Output, RunResults, save_results
from taorunner.runs.state.history import HistoryWriter
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace

DIRECTIONS.update({"val_mAP": ("up", 1), "train_loss": ("down", None), "val_loss_bbox": ("down", None)})
MIB = 1 << 20
HOSTILE = "<script>alert(1)</script>"
RIGHT_TO_LEFT = "a\u202egnp.exe"
LONG = "n" * 200
OTHER_DATA = (replace(LOCK.data[0], images=480, files=480, fingerprint="91aa" * 16),)


def workspace(root: Path) -> Path:
    (root / "projects/cars/models").mkdir(parents=True)
    (root / "projects/cars/experiments.yml").write_text("experiments: {}\n")
    return root


def curves(seed: int, epochs: int) -> dict[str, list[float]]:
    """Six metrics of a training that learns, with noise."""
    of = random.Random(seed)
    top, speed = of.uniform(0.6, 0.8), of.uniform(3, 12) / epochs

    def by_epoch(start: float, end: float, pace: float, noise: float) -> list[float]:
        return [
            end + (start - end) * math.exp(-speed * pace * epoch) + of.gauss(0, noise)
            for epoch in range(epochs)
        ]

    return {
        "val_mAP50": by_epoch(0.0, top, 1, 0.006), "val_mAP": by_epoch(0.0, 0.7 * top, 1, 0.006),
        "val_loss": by_epoch(8, 2, 1, 0.05), "train_loss": by_epoch(9.5, 1.5, 1.2, 0.03),
        "val_loss_bbox": [abs(one) + 0.001 for one in by_epoch(5, 0.02, 3, 0.003)],
        "lr": [2e-4 * 0.1 ** (3 * epoch // epochs) for epoch in range(epochs)],
    }  # fmt: skip


def with_history(root: Path, record: RunRecord) -> RunRecord:
    """Writes ``history.jsonl``, as a supervisor does."""
    store = RunStore(root / ".taorunner")
    events = store.read_events(record.id)[0]
    found = [event for event in events if isinstance(event, MetricReported)]
    HistoryWriter(store).write(
        record.id, [*sorted(found, key=lambda one: one.epoch or 0), record.queued_event()]
    )
    return record


def trainings(root: Path, runs: int, epochs: int) -> list[RunRecord]:
    """Trainings of ``runs`` experiments with six metrics each."""
    found = []
    for number in range(runs):
        spec = {
            **LOCK.spec,
            "train.optim.lr": (1e-4, 2e-4, 5e-5)[number % 3],
            "dataset.batch_size": 4 + number % 2,
        }
        found.append(with_history(root, made_run(
            root / ".taorunner", f"dino_{number:02}", curves(number, epochs), number=number + 1,
            lock=replace(LOCK, spec=spec), gpus=("0", "1"), gpu_models=("NVIDIA H100 80GB HBM3",) * 2, driver="570.86",
        )))  # fmt: skip
    return found


def everything(root: Path) -> list[RunRecord]:
    """Trainings with all that can go wrong in a curve, a failure, a tree from training to engine, and scores with
    images."""
    found = trainings(workspace(root), 4, 60)
    state = root / ".taorunner"
    lost = curves(7, 60)
    lost["train_loss"][20], lost["val_loss"][30:33] = math.nan, [math.inf] * 3
    found.append(with_history(root, made_run(
        state, "dino_nan", {name: values[:40] for name, values in lost.items()}, number=11, state=RunState.FAILED,
        reason="CUDA out of memory: 2.4 GiB more were needed", exit_code=1, gpus=("0",),
        hint="use a smaller batch: taorunner train dino_nan --batch-size 2",
    )))  # fmt: skip
    found.append(with_history(root, made_run(
        state, "dino_other_data", curves(9, 60), number=12, lock=replace(LOCK, data=OTHER_DATA),
    )))  # fmt: skip
    best = found[0]
    pruned = _stage(
        root, best.experiment, "prune", 21, reads="epoch_055.pth", makes="pruned.pth", size=98 * MIB
    )
    again = _stage(root, "dino_00_pruned", "train", 22, reads="pruned.pth", makes="epoch_011.pth", size=98 * MIB,
                   metrics={"val_mAP50": [0.6, 0.66, 0.69]})  # fmt: skip
    _stage(root, "dino_00_pruned", "export", 23, reads="epoch_011.pth", makes="model.onnx", size=84 * MIB)
    _stage(
        root,
        "dino_00_pruned",
        "gen_trt_engine",
        24,
        reads="model.onnx",
        makes="model_int8.engine",
        size=43 * MIB,
    )
    _stage(root, "dino_00_pruned", "evaluate", 25, reads="model_int8.engine", metrics={"test_mAP50": [0.684]})
    _made(root, best, "epoch_055.pth", 214 * MIB)
    scored(root, "dino_00", 31)
    scored(root, "dino_01", 32, factor=0.9)
    return [*found, pruned, again]


def scored(
    root: Path, experiment: str, number: int, factor: float = 1.0, lock: RunLock | None = None
) -> RunRecord:
    """An inference that was scored, with images of the dataset ``parts``."""
    record = made_run(root / ".taorunner", experiment, number=number, action="inference", lock=lock)
    folder = root / "projects/cars/data/parts"
    images = [_image(folder, name) for name in range(4)]
    path = RunStore(root / ".taorunner").paths(record.id).directory / "evaluation.json"
    path.write_text(json.dumps(evaluation(images, factor)))
    return record


def evaluation(images: Sequence[str], factor: float = 1.0) -> dict[str, Any]:
    names = ["car", "truck", "bicycle", HOSTILE, LONG, RIGHT_TO_LEFT]
    classes = [
        {"name": name, "truths": 812 - 100 * place, "AP": round(factor * (0.62 - 0.07 * place), 4),
         "AP50": round(factor * (0.86 - 0.06 * place), 4), "best_f1": round(0.8 - 0.05 * place, 4), "at_score": 0.41}
        for place, name in enumerate(names)
    ]  # fmt: skip
    classes[-1].update({"AP": None, "AP50": None, "best_f1": None, "at_score": None})
    size = len(names) + 1
    matrix = [
        [400 - 50 * row if row == column else (7 * row + 11 * column) % 23 for column in range(size)]
        for row in range(size)
    ]
    pr = {
        name: [[r / 100, max(0.0, 1 - (r / 100) ** (6 - place)), 0.5] for r in range(101)]
        for place, name in enumerate(names)
    }
    return {
        "protocol": {"library": "hotcoco", "version": "1.3.0", "iou": [0.5, 0.95], "max_dets": 100, "min_score": 0.001},
        "data": {"name": "parts", "split": "val", "images": 482},
        "overall": {"AP": 0.5035 * factor, "AP50": 0.7377 * factor, "AP75": 0.55, "APs": None, "APm": 0.48, "APl": 0.6, "AR100": 0.61},
        "per_class": classes, "errors": {"Cls": 0.031, "Loc": 0.042, "Both": 0.001, "Dupe": 0.0, "Bkg": 0.02, "Miss": 0.06},
        "confusion": {"classes": names, "score": 0.41, "matrix": matrix}, "pr": pr,
        "worst": [{"image": image, "width": 640, "height": 400, "tp": 3, "fp": 4 - place, "fn": place, "boxes": _boxes()}
                  for place, image in enumerate(images)] + [{"image": "val/gone.jpg", "tp": 0, "fp": 2, "fn": 9}],
    }  # fmt: skip


def _boxes() -> list[dict[str, Any]]:
    return [
        {"kind": "right", "name": "car", "score": 0.9, "box": [60, 60, 240, 220]},
        {"kind": "wrong", "name": HOSTILE, "score": 0.7, "box": [300, 90, 420, 300]},
        {"kind": "missed", "name": "truck", "score": None, "box": [450, 40, 620, 180]},
    ]


def _image(folder: Path, number: int) -> str:
    from PIL import Image, ImageDraw

    name = f"val/{'x' * 60 if number == 3 else 'image'}_{number}.jpg"
    (folder / "val").mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (640, 400), (70 + 30 * number, 110, 120))
    draw = ImageDraw.Draw(image)
    for place, box in enumerate(((60, 60, 240, 220), (300, 90, 420, 300), (450, 40, 620, 180))):
        draw.rectangle(box, fill=(200 - 40 * place, 90 + 50 * place, 60))
    image.save(folder / name)
    return name


def _stage(
    root: Path, experiment: str, action: str, number: int, *, reads: str, makes: str | None = None, size: int = 0,
    metrics: Mapping[str, Sequence[float]] | None = None,
) -> RunRecord:  # fmt: skip
    digest = hashlib.sha256(reads.encode()).hexdigest()
    weights = (FileRead(f"projects/cars/models/{reads}", 7, 7, digest),)
    record = made_run(
        root / ".taorunner", experiment, metrics, number=number, action=action,
        lock=replace(LOCK, weights=weights, action=action, data=()),
    )  # fmt: skip
    if makes is not None:
        _made(root, record, makes, size)
    return record


def _made(root: Path, record: RunRecord, name: str, size: int) -> None:
    kind = CHECKPOINT if name.endswith(".pth") else name.rpartition(".")[2]
    path = root / "projects/cars/models" / name
    output = Output(path, kind, size, hashlib.sha256(name.encode()).hexdigest(), modified_ns=7)
    save_results(RunStore(root / ".taorunner"), record.id, RunResults(root, (output,)))
