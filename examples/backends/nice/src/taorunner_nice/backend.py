"""Runs TAO as the local backend does, started through ``nice -n N``, and through ``timeout`` with a time limit."""

from __future__ import annotations

from collections.abc import Mapping

from taorunner.backends.process.backend import LocalBackend
from taorunner.planning.model.plan import RunPlan
from taorunner_nice.target import DEFAULT_NICENESS, TARGET


class NiceBackend(LocalBackend):
    """Only the command differs: starting, watching and stopping a process are inherited."""

    name = TARGET.name

    def host_command(self, plan: RunPlan) -> tuple[str, ...]:
        niceness = plan.backend_options.get("niceness", DEFAULT_NICENESS)
        command = ("nice", "-n", str(niceness), *plan.argv)
        if plan.resources.time_s is None:
            return command
        return ("timeout", "--signal=TERM", "--kill-after=30", str(plan.resources.time_s), *command)


def create(environ: Mapping[str, str] | None = None) -> NiceBackend:
    """The entry point. ``environ`` is what processes of this machine get; None for taorunner's own."""
    return NiceBackend(environ)
