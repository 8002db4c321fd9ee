"""The options that actions and ``resume`` share, and how their words are read."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from taorunner.errors import UsageError

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the exact request and the rendered spec; start nothing.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Move earlier results aside (never deletes), then start afresh.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Train on from the newest checkpoint (train only).")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Return once what can start now has started.")]
BackendOption = Annotated[
    Optional[str], typer.Option("--backend", help="docker, local or embedded.", show_default=False)
]
Gpus = Annotated[
    Optional[int], typer.Option("--gpus", min=0, max=64, help="How many GPUs.", show_default=False)
]
GpuIndices = Annotated[
    Optional[str],
    typer.Option("--gpu-indices", help="Host ids as in nvidia-smi, 0,1 or auto.", show_default=False),
]
Release = Annotated[
    Optional[str], typer.Option("--release", help="TAO release, such as 5.0.0.", show_default=False)
]
Image = Annotated[
    Optional[str], typer.Option("--image", help="Container image to use instead.", show_default=False)
]
Sets = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the rendered spec.", show_default=False),
]
Checkpoint = Annotated[
    Optional[str],
    typer.Option(
        "--checkpoint", help="Weights to read: a path, or a name in the results.", show_default=False
    ),
]
Parallel = Annotated[
    Optional[int],
    typer.Option("--parallel", min=1, help="At most so many runs at once.", show_default=False),
]
Grace = Annotated[
    float, typer.Option("--grace", min=0, help="Seconds between asking a run to stop and killing it.")
]

Join = Annotated[
    Optional[str],
    typer.Option(
        "--join",
        metavar="RUN",
        help="Add to the batch of this run, which is not over: one attach, one --parallel.",
        show_default=False,
    ),
]
Retries = Annotated[
    int,
    typer.Option(
        "--retries", min=0, max=100, help="Start again so often after an end that came from outside."
    ),
]
StopOnNan = Annotated[
    bool, typer.Option("--stop-on-nan", help="Stop a run whose loss is no longer a number.")
]
OnFinish = Annotated[
    Optional[str],
    typer.Option(
        "--on-finish",
        metavar="CMD",
        help="Started at each run's end, the run as JSON on its standard input.",
        show_default=False,
    ),
]


def distinct(names: list[str]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f'experiment "{twice[0]}" is named twice', hint="name each one once")
    return tuple(names)


def gpu_ids(text: str | None) -> tuple[str, ...] | None:
    """``0,1`` to ids, ``auto`` to an empty tuple, None when nothing was said."""
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
