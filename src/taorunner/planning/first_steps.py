"""The commands that lead from a new experiment to a trained one."""

from __future__ import annotations

import re

from taorunner.catalog.layouts import DataLayout, InputKind
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.spec.spec_files import find_spec
from taorunner.project.experiments import Experiment
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace

_OWN_RECORDS = re.compile(r"\$\{?(?:dataset_tfrecord|tfrecords)\b")


def first_steps(workspace: Workspace, project_name: str, name: str) -> tuple[str, ...]:
    """The commands that train a new experiment, without ``taorunner``: a conversion first where its training reads
    records of its own, twice where a conversion takes one subset."""
    experiment = load_project(workspace, project_name).experiments.get(name)
    networks = Networks(workspace.networks_dir)
    layout = networks.layout(experiment.head) if experiment is not None else None
    if experiment is None or layout is None or not _reads_own_records(networks, layout, experiment):
        return (f"train {name}",)
    again = layout.facts.get("conversion", {}).get("again")
    if again is None:
        return (f"convert {name} --then train",)
    dataset = f"/workspace/projects/{project_name}/data/{experiment.dataset}"
    return f"convert {name}", f"convert {name} {again.format(dataset=dataset)}", f"train {name}"


def _reads_own_records(networks: Networks, layout: DataLayout, experiment: Experiment) -> bool:
    if all(one.kind is not InputKind.RECORDS for one in layout.inputs_of("train")):
        return False
    spec = networks.load(experiment.head).contract("train", experiment.release).spec
    path = find_spec(experiment.spec_dirs, spec) if spec is not None else None
    try:
        return path is not None and _OWN_RECORDS.search(path.read_text("utf-8", "replace")) is not None
    except OSError:
        return False
