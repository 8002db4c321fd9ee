"""Makes the plan of a rerun from the plan of the run: the same spec, arguments and image, with results of its own.

What the run read of its results folder (a checkpoint) is read from there again; what it wrote goes to
``models/<experiment>.rerun-<n>``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from taorunner.errors import RunStateError, UserFilesError
from taorunner.image_names import is_pinned, pinned
from taorunner.planning.model.arguments import ArgumentValues
from taorunner.planning.model.rerun_name import base_name
from taorunner.targets import Files, target_of
from taorunner.values.value import replace

if TYPE_CHECKING:
    from taorunner.container_options import Mount
    from taorunner.planning.model.plan import RunPlan, SecretSource
    from taorunner.planning.model.request import Site
    from taorunner.project.experiments import Experiment
    from taorunner.project.workspace import Workspace
    from taorunner.runs.inputs.run_lock import RunLock
    from taorunner.runs.state.record import RunRecord

_ENDS = r"(?=[/\s\"',;:\]})]|\Z)"

_WRITTEN_OUT = "literal:"
"""The origin, in a stored plan, of a secret that experiments.yml has as it is."""


def next_name(plan: RunPlan) -> str:
    """The first free name for results beside those of the run."""
    base, number = base_name(plan.experiment), 1
    while os.path.lexists(plan.results_dir.parent / f"{base}.rerun-{number}"):
        number += 1
    return f"{base}.rerun-{number}"


def repeated(
    workspace: Workspace, record: RunRecord, lock: RunLock, plan: RunPlan, site: Site, name: str
) -> RunPlan:
    """The plan of the rerun ``name``.

    Raises:
        RunStateError: the run cannot be repeated: it resumed another one, or waited for files of its chain.
        UserFilesError: a secret is not on record, and not in experiments.yml either.
    """
    if plan.resume is not None:
        raise RunStateError(
            "a resumed training cannot be repeated alone: its checkpoint is in the results of the run before",
            hint=f"taorunner rerun {record.resumed_from or 'RUN'} repeats the first one",
        )
    if plan.awaits:
        raise RunStateError("the run never got the files of its chain, so there is nothing to repeat")
    if target_of(plan.backend).with_settings(plan.backend_options).files is Files.FAR:
        raise RunStateError("a run on a disk that this machine does not see cannot be repeated yet")
    moved = _Moved(plan, record, lock, site, name)
    image = plan.image
    if image is not None and record.image_digest is not None and not is_pinned(image):
        image = pinned(image, record.image_digest)
    spec = plan.spec
    if spec is not None:
        spec = replace(spec, text=moved.text(spec.text), inside=moved.text(spec.inside))
    return replace(
        plan, experiment=name, image=image, argv=tuple(map(moved.text, plan.argv)), spec=spec,
        results_dir=moved.results_dir, results_inside=moved.results_inside, run_inside=moved.text(plan.run_inside),
        mounts=tuple(map(moved.mount, plan.mounts)), make_dirs=tuple(map(moved.path, plan.make_dirs)),
        arguments=moved.arguments(plan.arguments), overwrite=False, set_aside=(), after=None,
        secrets=_secrets(workspace, plan),
    )  # fmt: skip


class _Moved:
    """Replaces the results folder, but not in paths of files that were read there, and the folder of the run."""

    def __init__(self, plan: RunPlan, record: RunRecord, lock: RunLock, site: Site, name: str) -> None:
        self._plan, self._old_id, self._new_id = plan, record.id, site.run_id
        self.results_dir = plan.results_dir.parent / name
        self.results_inside = str(PurePosixPath(plan.results_inside).parent / name)
        read = (plan.workspace / file.path for file in lock.weights)
        self._read = [
            f"{plan.results_inside}/{path.relative_to(plan.results_dir).as_posix()}"
            for path in read
            if path.is_relative_to(plan.results_dir)
        ]
        self._pattern = re.compile(re.escape(plan.results_inside) + _ENDS)

    def text(self, text: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            is_read = any(re.match(re.escape(path) + _ENDS, text[match.start() :]) for path in self._read)
            return match[0] if is_read else self.results_inside

        return self._pattern.sub(replaced, text).replace(self._old_id, self._new_id)

    def path(self, path: Path) -> Path:
        if path == self._plan.results_dir or path.is_relative_to(self._plan.results_dir):
            path = self.results_dir / path.relative_to(self._plan.results_dir)
        return Path(str(path).replace(self._old_id, self._new_id))

    def mount(self, mount: Mount) -> Mount:
        return replace(mount, source=self.path(mount.source), target=self.text(str(mount.target)))

    def arguments(self, arguments: ArgumentValues) -> ArgumentValues:
        values: Mapping[str, str | tuple[str, ...]] = {
            name: tuple(map(self.text, value)) if isinstance(value, tuple) else self.text(value)
            for name, value in arguments.values.items()
        }
        return replace(
            arguments, values=values, overrides=tuple(map(self.text, arguments.overrides)),
            extra=tuple(map(self.text, arguments.extra)),
        )  # fmt: skip


def _secrets(workspace: Workspace, plan: RunPlan) -> tuple[SecretSource, ...]:
    """A secret that was written out is on no record: it is the one that experiments.yml has now in the same place."""
    if not any(one.origin == _WRITTEN_OUT for one in plan.secrets):
        return plan.secrets
    from taorunner.project.load import load_project

    experiment = load_project(workspace, plan.project).experiments.get(base_name(plan.experiment))
    return tuple(
        replace(one, origin=_origin(one, experiment)) if one.origin == _WRITTEN_OUT else one
        for one in plan.secrets
    )


def _origin(secret: SecretSource, experiment: Experiment | None) -> str:
    """Where it is read from now."""
    now = None
    if experiment is not None:
        now = experiment.env.get(secret.variable) if secret.variable else experiment.model_key
    if now is None:
        raise UserFilesError(
            f'the secret "{secret.name}" of the run was written out, and experiments.yml does not have it now',
            hint="write it there again, or as env:NAME",
        )
    return now if now.startswith(("env:", "file:")) else f"{_WRITTEN_OUT}{now}"
