"""Checks that an experiment's backend runs its network and accepts its ``backend_options``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from taorunner.contracts import Framework
from taorunner.errors import Finding, Severity
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.targets import Target, default_target


def backend_options_for(experiment: Experiment, target: Target, framework: Framework) -> Mapping[str, Any]:
    """``backend_options`` are for the backend of the file; one that the command line names gets none of them."""
    own = experiment.backend or default_target(framework).name
    return experiment.backend_options if own == target.name else {}


def backend_findings(
    project: Project, experiment: Experiment, target: Target, network: str, framework: Framework,
    typed: str | None = None,
) -> Iterator[Finding]:  # fmt: skip
    """Errors at ``backend``, or at each wrong setting; without a place for a backend that was ``typed``."""
    path = ("experiments", experiment.name)
    if not target.runs(framework):
        is_embedded = framework is Framework.EMBEDDED
        own = default_target(framework).name
        message = f'"{network}" is not an embedded network'
        if is_embedded:
            message = f'"{network}" runs only on the {own} backend, not on "{target.name}"'
        hint = "leave backend out" if is_embedded else 'only "tinydet" runs on it; use docker or local'
        if typed is not None:
            hint = "leave --backend out" if is_embedded else hint
            yield Finding(Severity.ERROR, "wrong-backend", message, hint, typed=True)
            return
        yield project.finding(Severity.ERROR, "wrong-backend", message, (*path, "backend"), hint=hint)
        return
    for problem in target.check_settings(backend_options_for(experiment, target, framework)):
        place = (*path, "backend_options", *problem.path)
        yield project.finding(
            Severity.ERROR, problem.code, problem.message, place, hint=problem.hint, of_key=problem.of_key
        )
