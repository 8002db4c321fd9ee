"""Preparation: what is done on disk right before a run starts, besides its record."""

from __future__ import annotations

import shutil
from datetime import datetime

from taorunner.backends.base import Launch
from taorunner.backends.secrets import INPUT_DIR
from taorunner.planning.plan import RunPlan
from taorunner.state_files import write_new


def make_room(plan: RunPlan, at: datetime) -> list[str]:
    """``--overwrite`` moves, it never deletes; folders that the action expects are made. Says what was moved.

    Raises:
        OSError: the folder of the results cannot be made or moved.
    """
    moved: list[str] = []
    for path in plan.set_aside:
        if path.exists():
            aside = path.with_name(f"{path.name}.{at:%Y%m%d-%H%M%S}")
            shutil.move(path, aside)
            moved.append(f"moved {path} aside to {aside.name}")
    for folder in (plan.results_dir, *plan.make_dirs):
        folder.mkdir(parents=True, exist_ok=True)
    return moved


def write_spec(plan: RunPlan, launch: Launch) -> None:
    """The rendered spec in the run's own folder. Not secret: secrets are put in beside it."""
    if plan.spec is not None:
        write_new(launch.run_dir, f"{INPUT_DIR}/{plan.spec.file_name}", plan.spec.text.encode())
