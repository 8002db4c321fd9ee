"""Which sweep is meant: the arguments and options that the subcommands of ``sweep`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from taorunner.errors import RunStateError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from taorunner.project.sweeps.definition import Sweep
    from taorunner.project.workspace import Workspace
    from taorunner.sweeps.folder import StoredSweep, SweepFolder

Name = Annotated[
    str, typer.Argument(help='A name below "sweeps:" of experiments.yml', metavar="SWEEP", show_default=False)
]


def place_of(
    context: typer.Context, name: str, project: str | None, workspace: Path | None
) -> tuple[Workspace, str, SweepFolder]:
    """The workspace, the project, and what the sweep has on disk."""
    from taorunner.project.workspace import NAME_RULE, is_name
    from taorunner.runs.state.store import RunStore
    from taorunner.sweeps.folder import SweepFolder

    context.obj.refuse_extra()
    if not is_name(name):
        raise UsageError(f'"{name}" cannot be the name of a sweep', hint=f"use {NAME_RULE}")
    root = context.obj.open_workspace(workspace)
    found = context.obj.project_name(root, project)
    return root, found, SweepFolder(RunStore(root.state_dir), found, name)


def started_sweep(root: Workspace, project: str, folder: SweepFolder) -> tuple[Sweep, StoredSweep]:
    """As it was started, whatever experiments.yml says by now.

    Raises:
        UserFilesError: it is neither on disk nor in experiments.yml.
        RunStateError: it was never started, or is damaged.
    """
    import os

    stored = folder.stored()
    if stored is not None:
        return folder.definition_of(stored), stored
    from taorunner.sweeps.control import defined

    defined(root, project, folder.name, os.environ)
    raise never_started(folder.name)


def never_started(name: str) -> RunStateError:
    return RunStateError(f'sweep "{name}" was never started', hint=f"taorunner sweep run {name}")
