"""Causes in PyTorch Lightning: its settings, what it monitors, and how it was started by a scheduler."""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, Weight, row

LIGHTNING: tuple[Cause, ...] = (
    row(
        "slurm-tasks",
        "SLURM `--",
        r"(?P<what>You set `\w{1,20}=\d{1,5}` in Lightning, but the number of (?:tasks per node|nodes) "
        r"configured in "
        r"SLURM `--[\w-]{1,30}=\d{1,5}` does not match)",
        "Slurm started another number of tasks than the run has GPUs: {what}",
        "leave --ntasks and --ntasks-per-node of the job to taorunner, or make them equal to the GPUs and "
        "nodes of the run",
    ),
    row(
        "monitored-value-missing",
        "not found in the returned metrics",
        r"\(monitor='(?P<what>[\w./@-]{1,80})'\) not found in the returned metrics",
        'no validation computed the metric "{what}", which decides on checkpoints or the end of the training',
        "set train.validation_interval to train.num_epochs or less, so that there is a validation",
    ),
    row(
        "no-data-of-kind",
        "_dataloader()` method defined",
        r"[Nn]o `(?P<what>\w{1,20})_dataloader\(\)` method defined",
        'the run has no data of the kind "{what}"',
        "name the data of this action in the spec (data sources or paths of train, val, test), as in "
        "NVIDIA's example",
    ),
    row(
        "cuda-before-fork",
        "create new processes if CUDA",
        r"can't create new processes if CUDA is already initialized",
        "the run would start its processes in a way that does not work after CUDA was used",
        "set train.distributed_strategy: ddp in the spec, or train on one GPU",
    ),
    row(
        "interval-beyond-batches",
        "must be less than or equal to the number of the training batches",
        r"`(?P<what>\w{1,30}` \(\d{1,9}\) must be less than or equal to the number of the training batches "
        r"\(\d{1,9}\))",
        "an epoch has fewer batches than the interval of the spec: {what}",
        "lower that interval, or use a smaller batch size{batch_key}",
    ),
)

LIGHTNING_IN_GENERAL: tuple[Cause, ...] = (
    row(
        "lightning-refused",
        "MisconfigurationException|ValueError: |RuntimeError: ",
        r"^(?:[A-Za-z_]\w{0,80}\.){0,8}(?:MisconfigurationException|ValueError|RuntimeError): "
        r"(?P<what>[^\n]{1,260})",
        "PyTorch Lightning refused what it was given: {what}",
        "correct the value of the spec that it names (training, data, checkpoint); if it names none, "
        "packages of the "
        'image do not fit together: use another "release"',
        weight=Weight.GENERAL,
        frame=r'File "[^"\n]{0,300}/(?:pytorch_lightning|lightning|lightning_fabric)/[^\n]{1,200}\n *raise ',
    ),
)
"""Compared after all special rows."""
