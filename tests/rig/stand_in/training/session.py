"""Training with TF1's session hooks: detectnet_v2, bpnet, fpenet, unet, mask_rcnn, efficientdet_tf1.

Source: tao/tensorflow.md sections 5 and 6.
"""

from __future__ import annotations

import re
import time

from context import Job
from training import measures

import faults

STEP_LOGS = {"mask_rcnn", "efficientdet_tf1"}


def train(job: Job) -> None:
    """A whole training; goes on silently from the newest checkpoint in the results folder."""
    faults.at_start(job)
    job.results_dir.mkdir(parents=True, exist_ok=True)
    epochs, steps, is_nan = job.epochs, job.settings.steps, job.settings.fail == "nan_pass"
    job.status.write("STARTED", "Starting Training Loop.")
    first = newest(job)
    last = max(1, epochs // 2) if job.settings.fail == "early_stop" else epochs
    taken_s = 0.0
    for done in range(first, last):
        began = time.monotonic()
        value = measures.loss(done + 1, 0, steps, is_nan)
        begin_epoch(job, done, epochs, value, taken_s)
        for step in range(steps):
            time.sleep(job.settings.epoch_s(done) / max(steps, 1))
            report_step(job, done, epochs, done * steps + step, steps, value)
        for line in range(job.settings.lines):
            job.log(f"step {line} of epoch {done + 1}")
        taken_s = time.monotonic() - began
        end_epoch(job, done + 1, epochs, value, taken_s)
        faults.in_the_middle(job, done + 1)
    finish(job, last)


def begin_epoch(job: Job, done: int, epochs: int, value: float, taken_s: float) -> None:
    """The hook of detectnet_v2, bpnet and fpenet: at the first step of an epoch, with the epochs completed."""
    if job.task in STEP_LOGS or job.task == "unet":
        return
    left = measures.span(taken_s * (epochs - done))
    taken = measures.span(taken_s)
    job.log(f"Epoch {done}/{epochs}: loss: {value:.5f} learning rate: 0.0005 Time taken: {taken} ETA: {left}")
    fields = {"epoch": done, "max_epoch": epochs, "time_per_epoch": taken, "eta": left}
    job.status.write("RUNNING", fields=fields, graphical={"loss": value, "learning_rate": "0.0005"})


def report_step(job: Job, done: int, epochs: int, step: int, steps: int, value: float) -> None:
    if job.task == "unet":
        part = done + (step % steps) / steps
        print(
            f"Epoch: {part:f}/{epochs}:, Cur-Step: {step}, loss(cross_entropy): {value:.5f}, "
            f"Running average loss:{value:.5f}, Time taken: 12.3 ETA: 600.1",
            flush=True,
        )
    elif job.task in STEP_LOGS:
        kind = "total loss" if job.task == "mask_rcnn" else "loss"
        job.log(f"Global step {step} (epoch {done + 1}/{epochs}): {kind}: {value:.5f} learning rate: 0.01")
    else:
        epoch = done + (step % steps) / steps
        print(
            f"INFO:tensorflow:epoch = {epoch}, learning_rate = 0.0005, loss = {value:.7f}, step = {step} (5.1 sec)"
        )
        job.log("Train Samples / sec: 123.456")


def end_epoch(job: Job, epoch: int, epochs: int, value: float, taken_s: float) -> None:
    times = {"time_per_epoch": measures.span(taken_s)}
    left = measures.span(taken_s * (epochs - epoch))
    saving = job.settings.fail != "no_artifact" and (epoch % interval(job) == 0 or epoch == epochs)
    if job.task == "unet":
        fields = {"epoch": epoch - 1, "max_epoch": epochs, **times, "ETA": left, "mini_batch_loss": value}
        job.status.write("RUNNING", fields={**fields, "running_average_loss": value})
    elif job.task in STEP_LOGS:
        taken = times["time_per_epoch"]
        job.log(
            f"Epoch {epoch}/{epochs}: loss: {value:.5f} learning rate: 0.01 Time taken: {taken} ETA: {left}"
        )
        fields = {"epoch": epoch, "max_epoch": epochs, **times, "eta": left}
        job.status.write("RUNNING", fields=fields, graphical={"loss": value})
    if job.task == "detectnet_v2" and saving:
        print_precision(epoch, epochs)
        job.status.write(
            "RUNNING",
            "Evaluation metrics generated.",
            kpi={"mean average precision": measures.precision(epoch) * 100},
        )
    if saving:
        save(job, epoch)


def print_precision(epoch: int, epochs: int) -> None:
    precision = measures.precision(epoch) * 100
    print(f"Epoch {epoch}/{epochs}\n=========================\n")
    print(f"Validation cost: {0.01 / epoch:.6f}")
    print(f"Mean average_precision (in %): {precision:.4f}\n")
    print("class name      average precision (in %)\n------------  --------------------------")
    print(f"| car | {precision:.4f} |\n\nMedian Inference Time: 0.004321", flush=True)


def save(job: Job, epoch: int) -> None:
    """Names: tao/tensorflow.md section 5.1. unet's are folders."""
    base = job.results_dir / f"model.epoch-{epoch}"
    content = f'{{"epoch": {epoch}}}\n'
    if job.task == "unet":
        base.with_name(base.name + ".tlt").mkdir(exist_ok=True)
        job.log(f"Saving checkpoints for step-{epoch}.")
        return
    if job.task in STEP_LOGS:
        job.log(f"Saving checkpoints for epoch {epoch} into {base}.tlt.")
        base.with_name(base.name + ".tlt").write_text(content)
        return
    job.log(f"Saving checkpoints for step-{epoch}.")
    base.with_name(base.name + ".hdf5").write_text(content)
    base.with_name(base.name + ".ckzip").write_text(content)


def finish(job: Job, epochs: int) -> None:
    """The final model and the last record."""
    name = job.options.get("model_name") or "model"
    if job.settings.fail != "no_artifact":
        if job.task == "unet":
            final = job.results_dir / "weights" / f"{name}.tlt"
            final.mkdir(parents=True)
            print(f"Saving the final step model to {final}", flush=True)
        elif job.task == "detectnet_v2":
            (job.results_dir / "weights").mkdir(exist_ok=True)
            (job.results_dir / "weights" / f"{name}.hdf5").write_text(f'{{"epoch": {epochs}}}\n')
            (job.results_dir / "experiment_spec.txt").write_text(job.spec_text)
    last = (
        "DetectNet_v2 training job complete."
        if job.task == "detectnet_v2"
        else "Training finished successfully."
    )
    job.status.write(job.generation.success, last)


def interval(job: Job) -> int:
    return max(int(job.value("checkpoint_interval", "10" if job.task == "detectnet_v2" else "1")), 1)


def newest(job: Job) -> int:
    """The epoch of the newest checkpoint in the results folder, 0 for none."""
    found = [
        re.search(r"epoch-(\d+)\.(?:ckzip|tlt)$", path.name) for path in job.results_dir.glob("model.epoch-*")
    ]
    return max((int(match[1]) for match in found if match), default=0)
