"""Chooses the image of a shell: the one given, or that of a network, group, experiment or source tree."""

from __future__ import annotations

import re

from taorunner.catalog.load import Catalog
from taorunner.errors import UnknownNameError, UserFilesError, has_errors
from taorunner.image_names import is_image_name
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.project.experiments import Experiment
from taorunner.project.load import load_project
from taorunner.shell.request import ShellPlanning
from taorunner.shell.source_tree import SourceTree
from taorunner.text import did_you_mean, printable

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")


def find_experiment(planning: ShellPlanning) -> Experiment | None:
    """The named experiment; None after reporting that it does not exist."""
    name = planning.request.experiment
    if name is None or planning.project is None:
        return None
    project = load_project(planning.workspace, planning.project)
    found = project.experiments.get(name)
    if found is None and name not in project.names:
        hint = did_you_mean(name, project.names) or f"add it to {project.paths.experiments_file}"
        planning.problem(f'there is no experiment "{name}" in project "{project.paths.name}"', hint)
    elif found is None:
        planning.files += [finding for finding in project.findings if finding.is_error]
    return found


def choose_image(
    planning: ShellPlanning, experiment: Experiment | None, source: SourceTree | None
) -> str | None:
    """The given image, or that of the network, group or experiment, or the base image of the source tree."""
    request = planning.request
    if request.head is not None and request.experiment is not None:
        planning.problem("--head cannot be combined with --experiment", "leave out one of them")
        return None
    if request.tag is not None and not _TAG.match(request.tag):
        planning.problem(f'--tag cannot be "{request.tag}"', "a tag has letters, digits, dots, - and _")
        return None
    try:
        image = request.image or None
        if image is not None and not is_image_name(image):
            hint = "write REPOSITORY:TAG in lower case"
            planning.problem(f'--image "{printable(image[:80])}" is not the name of an image', hint)
            return None
        head = request.head or (experiment.head if experiment is not None else None)
        if image is None and head:
            image = _network_image(planning, head, experiment)
        elif image is None and request.group is not None:
            image = Catalog().image_of_kind(request.group, request.release)
        elif image is None and source is not None:
            return source.base_image(request.tag)
    except UserFilesError as error:
        planning.take(error)
        return None
    if image is None and not planning.usage and not has_errors(planning.files):
        planning.problem(
            "no image given",
            "add --head HEAD, --group pyt, -e EXPERIMENT, --image IMAGE or --source DIR",
        )
    if image is None or request.tag is None:
        return image
    name = image.partition("@")[0]
    head, _, tail = name.rpartition(":")
    return f"{head if head and '/' not in tail else name}:{request.tag}"


def _network_image(planning: ShellPlanning, head: str, experiment: Experiment | None) -> str:
    request = planning.request
    network = Networks(planning.workspace.networks_dir).load(head)
    if network.groups[0].image is None:
        raise UserFilesError(
            f'"{head}" runs without a container', hint="choose another network, or add --image IMAGE"
        )
    names = [group.name for group in network.groups]
    group = request.group or names[0]
    if group not in names:
        raise UnknownNameError(f'"{head}" has no group "{group}"', hint=did_you_mean(group, names))
    if experiment is not None and experiment.image is not None and group != "deploy":
        return experiment.image
    release = network.release_name(request.release or (experiment.release if experiment else None))
    image = network.image(group, release)
    if image is None:
        raise UserFilesError(f'no image is known for "{head}" in release {release}', hint="add --image IMAGE")
    return image
