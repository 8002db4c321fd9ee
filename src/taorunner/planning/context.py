"""State shared by all experiments of one request while they are planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity
from taorunner.planning.checks.consistency import CrossChecks
from taorunner.planning.checks.dataset_preflight import DatasetPreflight
from taorunner.planning.inputs.gpu_access import MachineGpus
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.model.epoch_scores import Scores, no_scores
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.project.experiments import Experiment
from taorunner.project.image_lock import ImageLock
from taorunner.project.load import Project
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import Workspace
from taorunner.specs.memory import SpecMemory
from taorunner.values.value import replace


@dataclass(slots=True)
class Planning:
    """Files read once for the request, and the findings collected so far."""

    workspace: Workspace
    project: Project
    mounts: Mounts
    request: ActionRequest
    caller: Caller
    make_site: Callable[[str, str], Site]
    networks: Networks
    datasets: DatasetPreflight
    lock: ImageLock
    cross: CrossChecks
    memory: SpecMemory
    machine: MachineGpus
    scores: Scores = no_scores
    findings: list[Finding] = field(default_factory=list)
    contracts: dict[tuple[object, ...], Contract] = field(default_factory=dict)
    """Those that were chosen already, by what they were chosen for."""

    def add(self, found: list[Finding]) -> None:
        """Collects findings, without duplicates."""
        self.findings += [finding for finding in found if finding not in self.findings]

    def error(
        self, experiment: Experiment, keys: tuple[str, ...], code: str, message: str, hint: str | None
    ) -> Finding:
        """An error at the experiment's key, or at its name if the experiment does not have the key itself."""
        line, column = self.project.place(("experiments", experiment.name, *keys), of_key=not keys)
        return Finding(Severity.ERROR, code, message, hint, self.project.paths.experiments_file, line, column)

    def placed(self, experiment: Experiment, finding: Finding) -> Finding:
        """The finding, at the experiment's name if it has no file and is not about the command line."""
        if finding.file is not None or finding.typed:
            return finding
        line, column = self.project.place(("experiments", experiment.name), of_key=True)
        return replace(finding, file=self.project.paths.experiments_file, line=line, column=column)
