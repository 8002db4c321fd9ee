"""Preparation: what is done on disk right before a run starts, besides its record."""

from __future__ import annotations

import shutil
from datetime import datetime

from taorunner.backends.base import Launch
from taorunner.disk_room import naming
from taorunner.planning.plan import RunPlan


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
        path = launch.run_dir / "input" / plan.spec.file_name
        with naming(path):
            path.write_text(plan.spec.text, encoding="utf-8")
