"""The results of a run on a disk that this machine does not see, as far as its backend has looked at them.

The view in the state folder has the names, sizes and times of the far side; ``LocalResults`` reads it as any results.
All paths that come in or go out are those of the plan.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from taorunner.planning.model.plan import RunPlan
from taorunner.project.clusters.far_place import FarPlace, far_place
from taorunner.runs.results import LocalResults, ResultsAccess, ScalarSource, StatusSource
from taorunner.values.value import replace


def results_of(plan: RunPlan) -> ResultsAccess:
    """The access to the results of a run with this plan."""
    place = far_place(plan.workspace, plan.backend, plan.backend_options)
    return LocalResults(plan) if place is None else FarResults(plan, place)


def seen_plan(plan: RunPlan, place: FarPlace) -> RunPlan:
    """The plan with the view in the place of its results and of what it mounts."""
    mounts = tuple(replace(mount, source=place.seen(mount.source)) for mount in plan.mounts)
    return replace(plan, results_dir=place.seen(plan.results_dir), mounts=mounts)


class FarResults:
    """See ``ResultsAccess``."""

    is_here = False

    def __init__(self, plan: RunPlan, place: FarPlace) -> None:
        self._place, self._own = place, LocalResults(plan)
        self._seen = LocalResults(seen_plan(plan, place))

    def status_source(self, path: Path, start_offset: int) -> StatusSource:
        return self._seen.status_source(self._place.seen(path), start_offset)

    def size(self, path: Path) -> int:
        return self._seen.size(self._place.seen(path))

    def modified_s(self, path: Path) -> float | None:
        return self._seen.modified_s(self._place.seen(path))

    def checkpoints(self) -> list[Path]:
        return [self._place.own(path) for path in self._seen.checkpoints()]

    def is_torn(self, path: Path) -> bool:
        return self._seen.is_torn(self._place.seen(path))

    def artifacts(self) -> Iterator[Path]:
        return map(self._place.own, self._seen.artifacts())

    def event_files(self) -> list[Path]:
        return [self._place.own(path) for path in self._seen.event_files()]

    def scalar_source(self, path: Path) -> ScalarSource:
        return self._seen.scalar_source(self._place.seen(path))

    def content(self, path: Path, most_bytes: int) -> bytes | None:
        return self._seen.content(self._place.seen(path), most_bytes)

    def host_path(self, inside: str) -> Path | None:
        return self._own.host_path(inside)

    def free_bytes(self) -> int:
        raise OSError(errno.ENOTSUP, "the disk is not seen from here")
