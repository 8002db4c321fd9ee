"""What a new experiment starts with: the dataset of the others, and the commands that lead to a trained network."""

from __future__ import annotations

import re

from taorunner.catalog.layouts import DataLayout, InputKind
from taorunner.contained_files import files_below
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.spec.spec_files import find_spec
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project, load_project
from taorunner.project.workspace import Workspace

_OWN_RECORDS = re.compile(r"\$\{?(?:dataset_tfrecord|tfrecords)\b")


def first_steps(workspace: Workspace, project_name: str, name: str) -> tuple[str, ...]:
    """The commands that train a new experiment, without ``taorunner``: a conversion first where its training reads
    records of its own."""
    experiment = load_project(workspace, project_name).experiments.get(name)
    networks = Networks(workspace.networks_dir)
    layout = networks.layout(experiment.head) if experiment is not None else None
    if experiment is None or layout is None or not _reads_own_records(networks, layout, experiment):
        return (f"train {name}",)
    return (f"convert {name} --then train",)


def has_data(workspace: Workspace, project_name: str, name: str) -> bool:
    """Whether the dataset of an experiment has files, so that its specs can be computed from it."""
    project = load_project(workspace, project_name)
    experiment = project.experiments.get(name)
    folder = project.paths.data_dir / experiment.dataset if experiment is not None else None
    return folder is not None and next(files_below(project.paths.data_dir, folder), None) is not None


def _reads_own_records(networks: Networks, layout: DataLayout, experiment: Experiment) -> bool:
    if all(one.kind is not InputKind.RECORDS for one in layout.inputs_of("train")):
        return False
    spec = networks.load(experiment.head).contract("train", experiment.release).spec
    path = find_spec(experiment.spec_dirs, spec) if spec is not None else None
    try:
        return path is not None and _OWN_RECORDS.search(path.read_text("utf-8", "replace")) is not None
    except OSError:
        return False


def to_convert(project: Project, networks: Networks, head: str | None) -> str | None:
    """The dataset of all experiments, where it has not the form that a network reads; None otherwise."""
    from taorunner.datasets.transform.for_network import FORMS

    layout = networks.layout(head) if head is not None else None
    if layout is None or layout.form not in FORMS:
        return None
    others = [networks.layout(one.head) for one in project.experiments.values()]
    forms = {one.form if one is not None else None for one in others}
    differs = len(forms) == 1 and None not in forms and layout.form not in forms
    return _usual_base(project, networks) if differs else None


def usual_dataset(project: Project, networks: Networks, head: str) -> str:
    """The dataset of the other experiments, where all have the same one, as this network names it."""
    base, layout = _usual_base(project, networks), networks.layout(head)
    if base and layout is not None:
        return f"{base}/{layout.dataset}" if layout.dataset else base
    used = {experiment.dataset for experiment in project.experiments.values()}
    return used.pop() if len(used) == 1 else "train"


def _usual_base(project: Project, networks: Networks) -> str | None:
    """The one folder that the datasets of all experiments are, or are a subset of; None where there is none."""
    bases: set[str] = set()
    for experiment in project.experiments.values():
        layout = networks.layout(experiment.head) if experiment.head in networks.names else None
        if layout is None:
            return None
        bases.add(
            experiment.dataset.removesuffix(f"/{layout.dataset}") if layout.dataset else experiment.dataset
        )
        if layout.dataset == experiment.dataset:
            return None  # a subset in data/ itself
    return bases.pop() if len(bases) == 1 else None
