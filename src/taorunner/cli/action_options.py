"""The options of the actions and of ``resume``, defined once, and the parsing of their values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, Optional

from taorunner.cli.options import JsonOption, PlainOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import UsageError
from taorunner.project.limits import MAX_CPUS, MAX_NODES

DryRun = Annotated[bool, option("--dry-run", "Show what would run; start nothing", group="How it runs")]
Overwrite = Annotated[
    bool, option("--overwrite", "Set earlier results aside first (nothing is deleted)", group="How it runs")
]
All = Annotated[
    bool,
    option("--all", "Take every experiment of the project that has this spec", group="How it runs"),
]
Then = Annotated[
    Optional[list[str]],
    option("--then", "Run these after it, each on its result", word="ACTION,...", group="How it runs"),
]
Force = Annotated[
    bool,
    option("--force", "Start despite errors in data, paths and weights", group="How it runs"),
]
Resume = Annotated[
    bool, option("--resume", "Continue from the newest checkpoint (train only)", group="Training")
]
Detach = Annotated[bool, option("--detach", "-d", "Return when the runs have started", group="How it runs")]
BackendOption = Annotated[
    Optional[str],
    option(
        "--backend",
        "Run with docker, local, slurm, kubernetes or another",
        word="BACKEND",
        group="Where it runs",
    ),
]
ClusterOption = Annotated[
    Optional[str],
    option("--cluster", "Run on this cluster of clusters.yml", word="NAME", group="Where it runs"),
]
Gpus = Annotated[
    Optional[str],
    option("--gpus", "Use this number of GPUs; 0 for none", word="N|all", group="Where it runs"),
]
GpuIndices = Annotated[
    Optional[str],
    option(
        "--gpu-indices",
        "Use these GPUs: ids as in nvidia-smi (0,1) or auto",
        word="IDS",
        group="Where it runs",
    ),
]
Nodes = Annotated[
    Optional[int],
    option("--nodes", "Use this number of nodes", word="N", group="Where it runs", min=1, max=MAX_NODES),
]
Cpus = Annotated[
    Optional[int],
    option("--cpus", "Use at most N CPUs", word="N", group="Where it runs", min=1, max=MAX_CPUS),
]
Memory = Annotated[
    Optional[str],
    option("--memory", "Use at most this much memory, such as 64G", word="SIZE", group="Where it runs"),
]
TimeLimit = Annotated[
    Optional[str],
    option(
        "--time",
        "End the run after this time, such as 12h or 2d",
        word="TIME",
        group="Where it runs",
    ),
]
Release = Annotated[
    Optional[str],
    option(
        "--release", "Use the image of this TAO release, such as 7.0.1", word="RELEASE", group="Where it runs"
    ),
]
Image = Annotated[
    Optional[str], option("--image", "Use this container image", word="IMAGE", group="Where it runs")
]
Sets = Annotated[
    Optional[list[str]],
    option("--set", "Set any key of the spec; may be repeated", word="KEY=VALUE", group="Training"),
]
Env = Annotated[
    Optional[list[str]],
    option("--env", "Set a variable; may be repeated", word="NAME[=VALUE]", group="Where it runs"),
]
Volume = Annotated[
    Optional[list[str]],
    option("--volume", "Mount one more folder; may be repeated", word="SRC:DST[:ro]", group="Where it runs"),
]
Epochs = Annotated[
    Optional[int],
    option("--epochs", "Set the number of epochs (the network's own key)", word="N", group="Training", min=1),
]
BatchSize = Annotated[
    Optional[int],
    option("--batch-size", "Set the batch size of one GPU", word="N", group="Training", min=1),
]
LearningRate = Annotated[Optional[float], option("--lr", "Set the learning rate", word="X", group="Training")]
Seed = Annotated[Optional[int], option("--seed", "Set the seed", word="N", group="Training", min=0)]
MinScore = Annotated[
    Optional[float],
    option(
        "--min-score",
        "Write boxes of at least this score (0 to 1)",
        word="X",
        group="Training",
    ),
]
Checkpoint = Annotated[
    Optional[str],
    option(
        "--checkpoint",
        "Read these weights: best, latest, epoch=N or a file",
        word="WHICH",
        group="Training",
    ),
]
OnHost = Annotated[
    bool,
    option("--on-host", "Infer, then score the boxes here as COCO does", group="Training"),
]
Engine = Annotated[
    bool,
    option("--engine", "With --on-host: infer with the TensorRT engine", group="Training"),
]
Truth = Annotated[
    Optional[str],
    option("--truth", "With --on-host: compare with this dataset", word="DATASET", group="Training"),
]
Split = Annotated[
    Optional[str],
    option("--split", "With --on-host: compare with this subset", word="NAME", group="Training"),
]
Parallel = Annotated[
    Optional[int],
    option("--parallel", "Run at most N of them at once", word="N", group="How it runs", min=1),
]
Grace = Annotated[
    float,
    option("--grace", "Wait this long between stop and kill", word="SECONDS", group="How it runs", min=0),
]

Join = Annotated[
    Optional[str],
    option("--join", "Add to the batch of this run, which has not ended", word="RUN", group="How it runs"),
]
Retries = Annotated[
    Optional[int],
    option(
        "--retries",
        "Restart up to N times after an external failure",
        word="N",
        group="How it runs",
        min=0,
        max=100,
    ),
]
StopOnNan = Annotated[
    bool, option("--stop-on-nan", "Stop a run whose loss is not a number", group="How it runs")
]
OnFinish = Annotated[
    Optional[str],
    option(
        "--on-finish", "Run CMD when each run ends: no shell, JSON on stdin", word="CMD", group="How it runs"
    ),
]


KeepCheckpoints = Annotated[
    Optional[str],
    option(
        "--keep-checkpoints", "Keep last:N or best:N, remove the others", word="WHICH", group="How it runs"
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionOptions:
    """The options of ``train``, ``evaluate`` … and ``resume``, one per field."""

    epochs: Epochs = None
    batch_size: BatchSize = None
    lr: LearningRate = None
    seed: Seed = None
    min_score: MinScore = None
    sets: Sets = None
    checkpoint: Checkpoint = None
    on_host: OnHost = False
    engine: Engine = False
    truth: Truth = None
    split: Split = None
    resume: Resume = False
    backend: BackendOption = None
    cluster: ClusterOption = None
    gpus: Gpus = None
    gpu_indices: GpuIndices = None
    nodes: Nodes = None
    cpus: Cpus = None
    memory: Memory = None
    time: TimeLimit = None
    release: Release = None
    image: Image = None
    env: Env = field(default=None, repr=False)
    volume: Volume = None
    everything: All = False
    then: Then = None
    dry_run: DryRun = False
    detach: Detach = False
    overwrite: Overwrite = False
    force: Force = False
    parallel: Parallel = None
    retries: Retries = None
    grace: Grace = 30.0
    stop_on_nan: StopOnNan = False
    on_finish: OnFinish = None
    keep_checkpoints: KeepCheckpoints = None
    join: Join = None
    json: JsonOption = False
    plain: PlainOption = False
    project: ProjectOption = None
    workspace: WorkspaceOption = None


def chain_actions(words: Sequence[str] | None) -> tuple[str, ...]:
    """``evaluate,export`` to names of actions; of several words, one after the other.

    Raises UsageError for an empty name.
    """
    names: list[str] = []
    for word in words or ():
        parts = [part.strip() for part in word.split(",")]
        if not all(parts):
            raise UsageError(
                f'--then takes names of actions, not "{word}"', hint="for example --then evaluate,export"
            )
        names += parts
    return tuple(names)


def gpu_count(text: str | None) -> int | Literal["all"] | None:
    """The number of ``--gpus``, or ``all``; None for None. It means the same in every command."""
    if text is None:
        return None
    from taorunner.project.keys import MAX_GPUS  # slow to import, and help pages do without

    if text == "all":
        return "all"
    if text == "none":  # as tao_pt has it
        return 0
    if re.fullmatch(r"[0-9]{1,4}", text) and int(text) <= MAX_GPUS:
        return int(text)
    hint = "for example --gpus 2, --gpus all, or --gpus 0 for none"
    if re.fullmatch(r"(?:[0-9]+|GPU-[\w-]+|MIG-[\w/-]+)(?:,[\w/-]+)+|(?:GPU|MIG)-.+", text):
        hint = f"ids go with --gpu-indices {text}"
    raise UsageError(f'--gpus cannot be "{text}": it takes a number from 0 to {MAX_GPUS}, or all', hint=hint)


def gpu_ids(text: str | None) -> tuple[str, ...] | None:
    """``0,1`` to ids, ``auto`` to an empty tuple, None to None."""
    if text is None:
        return None
    if text == "auto":
        return ()
    ids = tuple(part.strip() for part in text.split(","))
    if not all(part.isdigit() or part.startswith(("GPU-", "MIG-")) for part in ids) or len(set(ids)) != len(
        ids
    ):
        raise UsageError(
            f'--gpu-indices takes distinct ids such as 0,1, or auto, not "{text}"',
            hint="nvidia-smi -L lists the GPUs",
        )
    return ids
