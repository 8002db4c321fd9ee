"""Training in the Keras family: TF1's detectors and classifiers, and both TF2 networks.

Source: tao/tensorflow.md sections 5 and 6.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from context import Job
from training import measures

import faults

STARS = "*" * 30
NUMBERED = {"resnet", "darknet", "vgg"}
SAVES_LAST = {"retinanet", "yolo_v3", "yolo_v4", "yolo_v4_tiny", "lprnet"}
FILE_NAMES = {
    "retinanet": "weights/retinanet_{arch}_epoch_{epoch:03d}.hdf5",
    "yolo_v3": "weights/yolov3_{arch}_epoch_{epoch:03d}.hdf5",
    "yolo_v4": "weights/yolov4_{arch}_epoch_{epoch:03d}.hdf5",
    "yolo_v4_tiny": "weights/yolov4_{arch}_epoch_{epoch:03d}.hdf5",
    "multitask_classification": "weights/multitask_cls_{arch}_epoch_{epoch:03d}.hdf5",
    "classification_tf1": "weights/{plain}_{epoch:03d}.hdf5",
    "lprnet": "weights/lprnet_epoch-{epoch:03d}.hdf5",
    "faster_rcnn": "frcnn_{underscored}.epoch_{epoch}.hdf5",
}
SILENT = {"faster_rcnn", "classification_tf1"}  # they save without saying so


def train(job: Job) -> None:
    """A whole training; each epoch leaves its bar, its records and its checkpoint."""
    is_tf2 = job.generation.family == "tf2"
    faults.at_start(job)
    pretrained = job.options.get("resume_model_weights")
    if pretrained and not Path(pretrained).exists():
        raise OSError(f"Unable to open file (unable to open file: name = '{pretrained}', errno = 2)")
    job.results_dir.mkdir(parents=True, exist_ok=True)
    epochs, steps, is_nan = job.epochs, job.settings.steps, job.settings.fail == "nan_pass"
    job.status.write("STARTED", "Starting Training Loop.")
    first = resumed_epoch(job) + 1
    last = max(1, epochs // 2) if job.settings.fail == "early_stop" else epochs
    for epoch in range(first, last + 1):
        began = time.monotonic()
        print(f"Epoch {epoch}/{epochs}", flush=True)
        print_bar(job, epoch, steps, is_nan)
        for line in range(job.settings.lines):
            job.log(f"step {line} of epoch {epoch}")
        value = measures.loss(epoch, steps, steps, is_nan)
        if is_nan and epoch > 1:
            print(f"Batch {steps}: Invalid loss, terminating training", flush=True)
        report_epoch(job, epoch, epochs, value, time.monotonic() - began)
        if job.settings.fail != "no_artifact":
            save(job, epoch, epochs)
        faults.in_the_middle(job, epoch)
        if is_nan and epoch > 1:
            break
    job.status.write("RUNNING", "Training loop complete.")
    job.status.write(job.generation.success, f"{'Train' if is_tf2 else 'Training'} finished successfully.")


def print_bar(job: Job, epoch: int, steps: int, is_nan: bool) -> None:
    """Keras' bar without a terminal: each update begins on a new line."""
    epoch_s = job.settings.epoch_s(epoch - 1)
    width, pause_s = len(str(steps)), epoch_s / max(steps, 1)
    for step in range(1, steps + 1):
        time.sleep(pause_s)
        filled = 30 * step // steps
        value = measures.loss(epoch, step, steps, is_nan)
        if step < steps:
            bar = "=" * max(filled - 1, 0) + ">" + "." * (30 - max(filled, 1))
            left = clock(pause_s * (steps - step))
            print(f"\n{step:>{width}}/{steps} [{bar}] - ETA: {left} - loss: {value:.4f}", end="", flush=True)
        else:
            taken = f"{epoch_s:.0f}s {pause_s * 1000:.0f}ms/step"
            print(f"\n{step}/{steps} [{'=' * 30}] - {taken} - loss: {value:.4f}", flush=True)


def clock(seconds: float) -> str:
    """Keras' ETA: 9s, 1:02 or 1:02:03."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def report_epoch(job: Job, epoch: int, epochs: int, value: float, taken_s: float) -> None:
    """Validation on the console, then the two records TAO writes for an epoch."""
    precision = measures.precision(epoch)
    times = {"time_per_epoch": measures.span(taken_s), "eta": measures.span(taken_s * (epochs - epoch))}
    if job.task == "efficientdet_tf2":
        fields = {"epoch": epoch, "max_epoch": epochs, **times, "loss": value, "learning_rate": 0.01}
        job.status.write(
            "RUNNING", "Training loop in progress", fields=fields, kpi={"AP": precision, "AP50": precision}
        )
        return
    if job.task == "classification_tf2":
        kpi = {"training_accuracy": precision, "loss": value, "validation_accuracy": precision}
        job.status.write("RUNNING", "Training loop in progress", fields={"epoch": epoch, **times}, kpi=kpi)
        return
    if "classification" in job.task or job.task == "lprnet":
        metric = "validation_accuracy"
    else:
        metric = "mean average precision"
        print_precision(job, epoch, precision)
        job.status.write(
            "RUNNING", "Evaluation metrics generated.", kpi={metric: precision}, graphical={metric: precision}
        )
    fields = {"epoch": epoch, "max_epoch": epochs, **times}
    graphical = {
        "loss": str(value),
        "validation_loss": str(value),
        "learning_rate": "0.0005",
        metric: str(precision),
    }
    job.status.write(
        "RUNNING",
        "Training loop in progress",
        fields=fields,
        kpi={metric: str(precision)},
        graphical=graphical,
    )


def print_precision(job: Job, epoch: int, precision: float) -> None:
    if job.task == "faster_rcnn":
        print(f"Doing validation at epoch {epoch}(1-based index)...")
        print(f"{'Class':<20}{'AP':<20}{'precision':<20}{'recall':<20}{'RPN_recall':<20}")
        print(f"{'car':<20}{precision:<20.4f}{precision:<20.4f}{precision:<20.4f}{precision:<20.4f}")
        print(f"{f'mAP@0.5 = {precision:.4f}':<80}")
        print("Validation done!", flush=True)
        return
    print(STARS)
    for name in ("car", "pedestrian", "traffic_light_red"):
        print(f"{name:<14}{'AP':<6}{precision:.5f}")
    print(f"{'':<14}{'mAP':<6}{precision:.5f}")
    print(STARS)
    print("Validation loss: 1.234", flush=True)


def save(job: Job, epoch: int, epochs: int) -> None:
    """The checkpoint of this epoch, when its interval or the network says so."""
    interval = int(job.value("train.checkpoint_interval", "1") if job.values else interval_of(job))
    if epoch % max(interval, 1) and not (epoch == epochs and job.task in SAVES_LAST):
        return
    path = job.results_dir / checkpoint_name(job, epoch)
    path.parent.mkdir(parents=True, exist_ok=True)
    if job.task not in SILENT and job.generation.family == "tf1":
        print(f"\nEpoch {epoch:05d}: saving model to {path}", flush=True)
    path.write_text(f'{{"epoch": {epoch}}}\n')


def interval_of(job: Job) -> str:
    return job.value("checkpoint_interval", "5" if job.task == "lprnet" else "1")


def checkpoint_name(job: Job, epoch: int) -> str:
    """Relative to the results folder. Source: tao/tensorflow.md section 5.1."""
    if job.generation.family == "tf2":
        name = job.value("model.name") or job.value("model.backbone") or job.task.removesuffix("_tf2")
        return f"{name}_{epoch:03d}.tlt"
    plain = job.value("arch", "resnet")
    arch = plain + (job.value("nlayers", job.value("n_layers", "18")) if plain in NUMBERED else "")
    if job.task in ("ssd", "dssd"):
        kind = "dssd" if "dssd_config" in job.spec_text else "ssd"
        return f"weights/{kind}_{arch}_epoch_{epoch:03d}.hdf5"
    return FILE_NAMES[job.task].format(
        arch=arch, plain=plain, epoch=epoch, underscored=plain.replace(":", "_")
    )


def resumed_epoch(job: Job) -> int:
    """TF2 goes on from the newest checkpoint in its folder, the others where ``--initial_epoch`` says."""
    if job.generation.family == "tf2":
        numbers = [
            int(found[1])
            for path in job.results_dir.glob("*_*.tlt")
            if (found := re.search(r"_(\d+)\.tlt$", path.name))
        ]
        return max(numbers, default=0)
    return int(job.options.get("initial_epoch") or job.options.get("init_epoch") or 1) - 1
