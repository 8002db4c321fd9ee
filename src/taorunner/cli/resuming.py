"""``resume``: training goes on from its newest checkpoint, as a run of its own."""

from __future__ import annotations

import typer

from taorunner.cli.action_options import (
    BackendOption,
    Detach,
    DryRun,
    GpuIndices,
    Gpus,
    Grace,
    Image,
    Join,
    OnFinish,
    Parallel,
    Release,
    Retries,
    Sets,
    StopOnNan,
    distinct,
    gpu_ids,
)
from taorunner.cli.actions import Wishes, act
from taorunner.cli.options import (
    ExperimentsArgument,
    JsonOption,
    PlainOption,
    ProjectOption,
    WorkspaceOption,
    split_pairs,
)  # fmt: skip


def register(app: typer.Typer) -> None:
    app.command("resume", help="Train on from the newest checkpoint.")(_resume)


def _resume(
    context: typer.Context,
    experiments: ExperimentsArgument,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    dry_run: DryRun = False,
    detach: Detach = False,
    backend: BackendOption = None,
    gpus: Gpus = None,
    gpu_indices: GpuIndices = None,
    release: Release = None,
    image: Image = None,
    sets: Sets = None,
    parallel: Parallel = None,
    grace: Grace = 30.0,
    json: JsonOption = False,
    plain: PlainOption = False,
    retries: Retries = 0,
    stop_on_nan: StopOnNan = False,
    on_finish: OnFinish = None,
    join: Join = None,
) -> int:
    from taorunner.planning.request import ActionRequest

    request = ActionRequest(
        action="train", experiments=distinct(experiments), backend=backend, gpus=gpus,
        gpu_ids=gpu_ids(gpu_indices), release=release, image=image, overrides=split_pairs(sets or ()),
        extra=context.obj.extra, resume=True,
    )  # fmt: skip
    wishes = Wishes(dry_run, detach, json, plain, parallel, grace, retries, stop_on_nan, on_finish, join)
    return act(context.obj, request, project, workspace, wishes)
