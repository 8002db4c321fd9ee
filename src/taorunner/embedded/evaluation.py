"""``evaluate``: mean average precision on test images; also used for validation during training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .checkpoint import load_network
from .console import Progress
from .dataset import Dataset, describe, load_kitti, load_tfrecords
from .failures import RunFailedError, SpecError
from .loss import assign, detection_loss
from .metrics import ClassResult, Detections, mean_average_precision, results_by_class, select
from .network import Architecture, Network, Normalisation, decode, normalise
from .run import Run
from .spec import Spec, normalisation_of, required
from .status_log import RUNNING

#: Detections below this score are left out; while training, more of them, as there are too many.
_LOWEST_SCORE, _LOWEST_IN_TRAINING = 0.001, 0.01


@dataclass(frozen=True, slots=True)
class Measurement:
    """``loss`` is the mean over batches."""

    mean_average_precision: float
    loss: float
    classes: tuple[ClassResult, ...]


def evaluate(spec: Spec, run: Run) -> None:
    checkpoint = Path(required(spec.evaluate.checkpoint, "evaluate.checkpoint"))
    run.status.write(RUNNING, f"Loading checkpoint: {checkpoint}")
    network = load_network(checkpoint)
    architecture = network.architecture
    dataset = _test_dataset(spec, architecture, run)
    run.console.line(f"test data: {describe(dataset, architecture)}")
    threshold = spec.evaluate.iou_threshold
    result = measure(
        network, dataset, normalisation_of(spec.dataset), spec.evaluate.batch_size, threshold, run,
        "Testing DataLoader 0",
    )  # fmt: skip
    name = f"mAP{round(100 * threshold)}"
    run.console.line()
    for line in table(architecture, result, threshold):
        run.console.line(line)
    run.status.kpi = {f"test_{name}": f"{result.mean_average_precision:.4f}", "test_loss": result.loss}
    run.status.write(RUNNING, "Test metrics generated.")


def measure(
    network: Network,
    dataset: Dataset,
    normalisation: Normalisation,
    batch_size: int,
    iou_threshold: float,
    run: Run,
    title: str | None = None,
) -> Measurement:
    """Mean average precision and loss of ``network`` on ``dataset``; shows a progress bar if ``title`` is set."""
    rows, columns = network.architecture.rows, network.architecture.columns
    starts = range(0, len(dataset), batch_size)
    progress = Progress(run.console, title, len(starts)) if title else None
    lowest = _LOWEST_SCORE if title else _LOWEST_IN_TRAINING
    found: list[Detections] = []
    losses: list[float] = []
    for start in starts:
        run.stop_if_asked()
        raw = network.forward(normalise(dataset.pictures[start : start + batch_size], normalisation))
        truth = dataset.objects[start : start + batch_size]
        losses.append(detection_loss(raw, assign(truth, rows, columns), rows, columns)[0])
        if not np.isfinite(losses[-1]):
            raise RunFailedError(
                "Parameter validation error", f"the network's loss is {losses[-1]}: its weights are unusable"
            )
        boxes, scores = decode(raw, rows, columns)
        found += [select(*pair, lowest) for pair in zip(boxes, scores, strict=True)]
        if progress:
            progress.advance()
    classes = results_by_class(dataset.objects, found, len(network.architecture.class_names), iou_threshold)
    return Measurement(mean_average_precision(classes), float(np.mean(losses)), tuple(classes))


def table(architecture: Architecture, result: Measurement, iou_threshold: float) -> list[str]:
    """Lines of a readable table: one per class, then the mean."""
    width = max(5, *(len(name) for name in architecture.class_names))
    lines = [f"{'class':<{width}}  objects  detections  AP@{iou_threshold:g}"]
    for name, item in zip(architecture.class_names, result.classes, strict=True):
        value = "-" if item.average_precision is None else f"{item.average_precision:.4f}"
        lines.append(f"{name:<{width}}  {item.objects:>7}  {item.detections:>10}  {value:>6}")
    return [*lines, f"{'mean':<{width}}  {'':>7}  {'':>10}  {result.mean_average_precision:.4f}"]


def _test_dataset(spec: Spec, architecture: Architecture, run: Run) -> Dataset:
    wanted = spec.dataset
    names = tuple(name.lower() for name in wanted.class_names)
    if names and names != tuple(name.lower() for name in architecture.class_names):
        raise SpecError(
            f'"dataset.class_names" says {", ".join(names)}, '
            f"the checkpoint was trained on {', '.join(architecture.class_names)}"
        )
    if wanted.test_kitti:
        run.console.line(f"measuring on the KITTI folder {wanted.test_kitti}")
        return load_kitti(Path(wanted.test_kitti), spec.dataset_convert.image_extension, architecture, run)
    pattern = required(wanted.test_tfrecords or wanted.val_tfrecords, "dataset.test_tfrecords")
    run.console.line(f"measuring on {pattern}")
    return load_tfrecords(pattern, architecture, run)
