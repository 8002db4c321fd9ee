"""The order of precedence: command line, then experiment, then catalog. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from taorunner.catalog.network import Network
from taorunner.contracts import Contract, GpuUse, OverrideSyntax
from taorunner.planning.model.plan import GpuRequest, Resources
from taorunner.planning.model.request import ACTION_OF_COMMAND, ActionRequest
from taorunner.project.experiments import Experiment
from taorunner.project.image_lock import ImageLock
from taorunner.targets import default_target
from taorunner.values.value import replace


def choose_contract(network: Network, experiment: Experiment, request: ActionRequest) -> Contract:
    """Raises UserFilesError when the network has no such action in that release, or it is not known."""
    release = request.release or experiment.release
    action = ACTION_OF_COMMAND.get(request.action, request.action)
    if request.action == "convert" and action not in network.actions(release):
        action = "convert"  # some networks have an action of that very name
    contract = network.contract(action, release)
    return replace(contract, image=named_image(contract, experiment, _typed_image(contract, request)))


def _typed_image(contract: Contract, request: ActionRequest) -> str | None:
    """``--image``. In a chain it holds for its first action, and for later ones but those of the deploy image."""
    return None if request.earlier and contract.group == "deploy" else request.image


def named_image(contract: Contract, experiment: Experiment, typed: str | None = None) -> str | None:
    """The image typed, else the experiment's (for training, not for deploy), else the catalog's."""
    return typed or (experiment.image if contract.group != "deploy" else None) or contract.image


def with_image(contract: Contract, image: str | None) -> Contract:
    """With the image that the experiment names; it replaces the training image, not the deploy image."""
    return contract if image is None or contract.group == "deploy" else replace(contract, image=image)


def choose_image(contract: Contract, request: ActionRequest, lock: ImageLock) -> str | None:
    """By its locked digest, unless the command line names the image."""
    if contract.image is None or _typed_image(contract, request) is not None:
        return contract.image
    return lock.resolved(contract.image)


def default_backend(contract: Contract) -> str:
    return default_target(contract.framework).name


def choose_gpus(experiment: Experiment, request: ActionRequest, contract: Contract) -> GpuRequest:
    """The command line beats the file. An action for one GPU takes the first of those named."""
    if contract.gpu_use is GpuUse.NONE:
        return GpuRequest()
    ids = experiment.gpu_ids
    count = experiment.gpus
    if request.gpu_ids is not None:
        ids = request.gpu_ids or None
        count = len(request.gpu_ids) or count
    if request.gpus is not None:
        count = request.gpus
        ids = ids if ids is not None and len(ids) == count else None
    count = 1 if count is None else count
    if contract.gpu_use is GpuUse.ONE and count > 1:
        count, ids = 1, ids[:1] if ids else None
    return GpuRequest(count, ids if count else None)


def choose_resources(experiment: Experiment, request: ActionRequest, contract: Contract) -> Resources:
    """The command line beats the file, which beats the cluster's own limits."""
    typed, own, last = request.limits, experiment.limits, experiment.cluster_limits
    nodes = typed.nodes or own.nodes or last.nodes or 1
    if not takes_nodes(contract) and typed.nodes is None and own.nodes is None:
        nodes = 1  # what the cluster gives by default is for those that can use it
    return Resources(
        nodes=nodes,
        gpus=choose_gpus(experiment, request, contract),
        cpus=typed.cpus or own.cpus or last.cpus,
        memory_bytes=typed.memory_bytes or own.memory_bytes or last.memory_bytes,
        time_s=typed.time_s or own.time_s or last.time_s,
    )


def takes_nodes(contract: Contract) -> bool:
    """Whether the action can run on several nodes."""
    return contract.several_nodes and contract.gpu_use is GpuUse.MANY


def key_in_spec(contract: Contract) -> str | None:
    """The spec's own key for the model key, where a Hydra override would set it: no command line has to show it."""
    if contract.spec is None or contract.spec.format != "yaml":
        return None
    for argument in contract.arguments:
        match = re.fullmatch(r"([A-Za-z_.]+)=\{key\}", " ".join(argument.tokens))
        if match is not None:
            return match[1]
    return None


def override_tokens(contract: Contract, sets: Mapping[str, str]) -> tuple[str, ...]:
    """``--set`` goes to argv where the program reads ``key=value``, else into the rendered spec."""
    if contract.override_syntax is OverrideSyntax.NONE:
        return ()
    return tuple(f"{key}={value}" for key, value in sets.items())
