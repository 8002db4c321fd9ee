"""Training in the PyTorch containers. Source: tao/pytorch.md sections 3 and 4."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import entry
import gpus
from context import Job
from training import measures

import faults

WITHOUT_STEP = {"rtdetr", "classification_pyt", "radio"}
NAMES = {
    "dino": "DINO",
    "rtdetr": "RT-DETR",
    "deformable_detr": "Deformable DETR",
    "segformer": "Segformer",
    "ocrnet": "OCRNet",
}


class MisconfigurationException(Exception):  # noqa: N818
    """Lightning's, by name."""


MisconfigurationException.__module__ = "lightning_fabric.utilities.exceptions"


def train(job: Job) -> None:
    """A whole training. From 5.5 it goes on from ``*_latest.pth`` when the folder has one; there is no switch."""
    title = NAMES.get(job.task, job.task)
    job.status.write("STARTED", f"Starting {title} {job.action}.")
    job.log(f"{job.action.capitalize()} results will be saved at: {job.results_dir}")
    faults.at_start(job)
    require_gpus()
    epochs, steps = job.epochs, job.settings.steps
    for key in ("checkpoint_interval", "validation_interval"):
        asked = job.value(f"train.{key}", "1")
        assert int(asked) <= epochs, f"{key} ({asked}) must be <= num_epochs ({epochs})"
    first = resumed_epoch(job)
    job.status.write("STARTED", "Starting Training Loop.")
    last = max(1, epochs // 2) if job.settings.fail == "early_stop" else epochs
    epoch = first
    try:
        for epoch in range(first, last):
            began = time.monotonic()
            print_bar(job, epoch, steps)
            for line in range(job.settings.lines):
                job.log(f"step {line} of epoch {epoch}")
            report_epoch(job, epoch, epochs, time.monotonic() - began)
            if (epoch + 1) % int(job.value("train.checkpoint_interval", "1")) == 0 or epoch + 1 == epochs:
                save(job, epoch, steps)
            faults.in_the_middle(job, epoch + 1)
    except Exception:
        save(job, epoch, steps)  # Lightning leaves a checkpoint when something is thrown
        raise
    job.status.write("RUNNING", "Training loop complete.")
    job.status.write(job.generation.success, f"{job.action.capitalize()} finished successfully.")


def require_gpus() -> None:
    """The ids the entrypoint passed on must exist in here. Raises MisconfigurationException, which leaves no record."""
    asked = [int(word) for word in os.environ.get("TAO_VISIBLE_DEVICES", "0").split(",")]
    there = list(range(len(gpus.visible())))
    if not there:
        raise MisconfigurationException("No supported gpu backend found!")
    if not set(asked) <= set(there):
        raise MisconfigurationException(f"You requested gpu: {asked}\n But your machine only has: {there}")


def print_bar(job: Job, epoch: int, steps: int) -> None:
    """tqdm's bar, which repeats its line with CR. 7.x has Rich's, which a pipe does not show."""
    is_nan = job.settings.fail == "nan_pass"
    for step in range(1, steps + 1):
        time.sleep(job.settings.epoch_s(epoch) / max(steps, 1))
        if job.generation.name == "pyt_7":
            continue
        value = measures.loss(epoch + 1, step, steps, is_nan)
        bar = "█" * (10 * step // steps)
        done = f"{100 * step // steps:>3}%|{bar:<10}| {step}/{steps}"
        print(
            f"\rEpoch {epoch}: {done} [00:01<00:02, 48.50it/s, v_num=1, train_loss_step={value:.3f}]",
            end="",
            flush=True,
        )
    if job.generation.name != "pyt_7":
        print(flush=True)


def report_epoch(job: Job, epoch: int, epochs: int, taken_s: float) -> None:
    """Validation, progress and training metrics, in the order Lightning calls the hooks. ``epoch`` counts from 0."""
    is_nan = job.settings.fail == "nan_pass"
    value, precision = measures.loss(epoch + 1, 0, 1, is_nan), measures.precision(epoch + 1)
    left = measures.span(taken_s * (epochs - epoch - 1))
    kpi: dict[str, str | float] = {"val_loss": value}
    if "classification" in job.task or job.task == "ocrnet":
        kpi["val_acc"] = precision
    elif job.task == "segformer":
        kpi["val_miou"] = precision
    else:
        kpi.update({"val_mAP": str(precision), "val_mAP50": str(precision)})
    fields = {
        "epoch": epoch + job.generation.first_epoch,
        "max_epoch": epochs - 1 if job.generation.last_is_max else epochs,
        "time_per_epoch": measures.span(taken_s),
        "eta": left,
    }
    if job.generation.last_is_max:
        steps = job.settings.steps
        fields = {
            "epoch": fields["epoch"], "step": (epoch + 1) * steps, "max_epoch": fields["max_epoch"],
            "max_step": epochs * steps, "time_per_epoch": fields["time_per_epoch"],
            "time_per_step": measures.span(taken_s / max(steps, 1)), "eta": left,
        }  # fmt: skip
    if (epoch + 1) % int(job.value("train.validation_interval", "1")) == 0:
        job.status.write("RUNNING", "Eval metrics generated.", kpi=kpi)
    job.status.write("RUNNING", "Training loop in progress", fields=fields)
    job.status.write("RUNNING", "Train metrics generated.", kpi={"train_loss": value})


def save(job: Job, epoch: int, steps: int) -> None:
    """The checkpoint of an epoch (0-based in its name) and, from 5.5, the relative link to it."""
    if job.settings.fail == "no_artifact":
        return
    number = f"{epoch:03d}"
    if job.generation.name == "pyt_5.2":
        name = f"{job.task}_model_epoch={number}.pth"
    elif job.generation.name == "pyt_5.5" or job.task in WITHOUT_STEP:
        name = f"model_epoch_{number}.pth"
    else:
        name = f"model_epoch_{number}_step_{(epoch + 1) * steps:05d}.pth"
    (job.results_dir / name).write_text(json.dumps({"epoch": epoch}))
    if job.generation.name != "pyt_5.2":
        latest = job.results_dir / latest_name(job.task)
        latest.unlink(missing_ok=True)
        latest.symlink_to(name)


def latest_name(task: str) -> str:
    named: str = entry.tasks()["hydra"][task].get("latest") or f"{task}_model_latest.pth"
    return named.replace("*", task)


def resumed_epoch(job: Job) -> int:
    """The first epoch to train (0-based): behind the checkpoint named in the spec or found in the folder."""
    named = job.value("train.resume_training_checkpoint_path")
    found = [Path(named)] if named and named != "null" else []
    if not found and job.generation.name != "pyt_5.2":
        found = sorted(job.results_dir.glob("*_latest.pth"))
    if not found:
        return 0
    job.status.write("RUNNING", f"Resuming training from checkpoint: {found[0]}")
    return int(json.loads(found[0].read_text())["epoch"]) + 1
