"""Reports in ``validate`` the earlier results that would stop a launch of this experiment.

These are not errors yet: the launch itself refuses (``planning.inputs.earlier_results``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from taorunner.catalog.network import Network
from taorunner.contracts import Contract, Framework, ResumeRule
from taorunner.errors import Finding, Severity
from taorunner.planning.inputs.argv import derived_values
from taorunner.planning.inputs.earlier_results import earlier_results
from taorunner.planning.inputs.values import ValueFinder
from taorunner.planning.model.arguments import ArgumentValue
from taorunner.planning.model.plan import GpuRequest
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import Workspace
from taorunner.targets import sees_host_paths


def existing_results(
    workspace: Workspace, project: Project, experiment: Experiment, network: Network, contracts: Mapping[str, Contract],
    mounts: Mounts,
) -> Iterator[Finding]:  # fmt: skip
    """Checkpoints that TAO would silently resume from, and the file that an export would not overwrite.

    Source: tao/pytorch.md section 3, tao/tensorflow.md sections 0 rule 9 and 2.4. ``mounts`` are the container's.
    """
    is_embedded = network.framework is Framework.EMBEDDED
    on_host = is_embedded or sees_host_paths(experiment.backend, experiment.backend_options)
    seen = Mounts.identity() if on_host else mounts
    results = project.paths.results_dir(experiment.results)
    for action in ("train", "export"):
        contract = contracts.get(action)
        if contract is None or (action == "train" and contract.checkpoints.resume is not ResumeRule.AUTO):
            continue
        values: Mapping[str, ArgumentValue] = {}
        if action == "export":
            finder = ValueFinder(workspace, project.paths, experiment, network, seen)
            values = derived_values(contract, finder.find(contract, GpuRequest(), None).arguments)
        met = earlier_results(
            contract, results, values, seen, experiment=experiment.name, overwrite=False, network=network
        ).findings
        line, column = project.place(("experiments", experiment.name), of_key=True)
        for finding in met:
            yield replace(
                finding, severity=Severity.INFO, file=project.paths.experiments_file, line=line, column=column
            )
