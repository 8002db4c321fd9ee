"""The embedded backend: runs the package's small CPU network as a process with TAO's interface.

``taorunner.embedded`` is started as a process and never imported, so an error in it only fails the run.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec

from taorunner.backends.contract import Launch, Report
from taorunner.backends.process.backend import HostBackend
from taorunner.errors import Finding, MachineError, Severity
from taorunner.planning.model.plan import RunPlan

NEEDS = {"numpy": "numpy", "PIL": "pillow", "onnx": "onnx"}
"""Each required module, and the package that provides it."""


class EmbeddedBackend(HostBackend):
    name = "embedded"

    def check(self) -> list[Finding]:
        missing = missing_packages()
        if missing:
            return [Finding(Severity.ERROR, "embedded-packages", _says(missing), _HINT)]
        return [Finding(Severity.OK, "embedded-packages", "the embedded CPU network can run")]

    def prepare(self, plan: RunPlan, report: Report) -> str | None:
        missing = missing_packages()
        if missing:
            raise MachineError(_says(missing), hint=_HINT)
        return None

    def host_command(self, plan: RunPlan) -> tuple[str, ...]:
        return (sys.executable, "-m", "taorunner.embedded", *plan.argv)

    def workdir(self, plan: RunPlan, launch: Launch) -> str:
        """The run's folder, because ``-m`` looks for modules in the working directory first."""
        return plan.options.workdir or str(launch.run_dir)


def missing_packages() -> list[str]:
    return [package for module, package in NEEDS.items() if find_spec(module) is None]


_HINT = "pip install 'taorunner[embedded]'"


def _says(missing: list[str]) -> str:
    verb = "is" if len(missing) == 1 else "are"
    return f"the embedded network needs {', '.join(missing)}, which {verb} not installed"


def create(environ: Mapping[str, str] | None = None) -> EmbeddedBackend:
    """What ``registry`` calls."""
    return EmbeddedBackend(environ)
