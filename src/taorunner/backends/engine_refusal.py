"""What is refused before anything is recorded, because this machine has no engine for it: a run that is recorded and
fails at once helps nobody. What runs elsewhere is not asked for here; it waits for its engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from taorunner.errors import Finding, Severity, TaorunnerError

if TYPE_CHECKING:
    from taorunner.planning.model.plan import RunPlan

_ON_THIS_MACHINE = ("local", "embedded")


def refuse_without_engine(plans: Sequence[RunPlan], environ: Mapping[str, str]) -> None:
    """Raises the error with which a run would fail, where Docker does not answer or a program of TAO or a package of
    the embedded network is not installed. Its message says that nothing was started, its findings why.

    Raises MachineError, or EngineRefusedError with what an engine says that answers and refuses.
    """
    errors = [*_of_docker(plans, environ), *_of_programs(plans, environ)]
    if not errors:
        return
    names = dict.fromkeys(plan.experiment for plan in plans if plan.set_aside)
    stay = f"; the results of {', '.join(names)} are where they were" if names else ""
    found = [Finding(Severity.ERROR, error.code, error.message, error.hint) for error in errors]
    raise type(errors[0])(f"nothing was started{stay}", findings=dict.fromkeys(found))


def _of_docker(plans: Sequence[RunPlan], environ: Mapping[str, str]) -> list[TaorunnerError]:
    if all(plan.backend != "docker" for plan in plans):
        return []
    from taorunner.backends.docker.first_answer import why_silent

    error = why_silent(environ)
    return [] if error is None else [error]


def _of_programs(plans: Sequence[RunPlan], environ: Mapping[str, str]) -> list[TaorunnerError]:
    """Those of backends whose ``prepare`` does nothing but look for what a plan needs."""
    errors: list[TaorunnerError] = []
    for name in _ON_THIS_MACHINE:
        of_backend = [plan for plan in plans if plan.backend == name]
        if not of_backend:
            continue
        from taorunner.backends.registry import load_backend

        backend = load_backend(name, environ)
        for plan in of_backend:
            try:
                backend.prepare(plan, lambda _: None)
            except TaorunnerError as error:
                errors.append(error)
    return errors
