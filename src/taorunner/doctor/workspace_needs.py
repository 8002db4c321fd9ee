"""What a workspace's experiments need of the machine: images, GPUs, shared memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from taorunner.errors import TaorunnerError
from taorunner.gpu.driver_floors import Version, image_version
from taorunner.image_names import DOCKER_HUB, registry_of
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.spec.required_images import ContractsByRelease, images_of
from taorunner.project.experiments import Experiment
from taorunner.project.load import load_project
from taorunner.project.mounts import load_mounts
from taorunner.project.workspace import Workspace
from taorunner.targets import GpuSource, NetworkKind, sees_host_paths, target_of

REGISTRY = "nvcr.io"
_HUB_LOGIN = "https://index.docker.io/v1/"
"""Key of Docker Hub's login in config.json. Source: docker/cli cli/config."""


@dataclass(frozen=True, slots=True)
class Needs:
    """``images`` maps a reference to the experiments that need it (``project/experiment``).

    ``projects``: the projects that were read. ``is_known`` is False when no experiment could be read; then all of TAO
    is assumed to be needed. ``wants_embedded``: an experiment is of the network that runs on the CPU without a
    container.
    """

    is_known: bool = False
    projects: tuple[str, ...] = ()
    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wants_gpus: bool = True
    wants_embedded: bool = False
    shm_bytes: Mapping[str, int] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()

    @property
    def wants_engine(self) -> bool:
        return bool(self.images) or not self.is_known

    @property
    def versions(self) -> tuple[Version | None, ...]:
        return tuple(image_version(image) for image in self.images)

    @property
    def wants_7(self) -> bool:
        return any(version is not None and version >= (7,) for version in self.versions)

    @property
    def registries(self) -> tuple[str, ...]:
        """Keys of the images' registries in docker's config.json."""
        return tuple(dict.fromkeys(login_key(image) for image in self.images)) or (REGISTRY,)


def login_key(image: str) -> str:
    """The key in docker's config.json of the login for an image's registry.

    >>> login_key("nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt"), login_key("docker.io/library/ubuntu")
    ('nvcr.io', 'https://index.docker.io/v1/')
    """
    host, _ = registry_of(image)
    return _HUB_LOGIN if host == DOCKER_HUB else host


def find_needs(workspace: Workspace, projects: Sequence[str], environ: Mapping[str, str]) -> Needs:
    """Never raises for faulty user files: they are listed in ``unreadable``, and ``validate`` reports them."""
    networks = Networks(workspace.networks_dir)
    images: dict[str, list[str]] = {}
    contracts: ContractsByRelease = {}
    shm: dict[str, int] = {}
    unreadable: list[str] = []
    wants_gpus = wants_embedded = is_known = False
    mounted = load_mounts(workspace, environ).options.shm_bytes
    for name in projects:
        project = load_project(workspace, name)
        if project.has_errors:
            unreadable.append(name)
        for experiment in project.experiments.values():
            try:
                image, runs_inside = _image(networks, experiment)
                more = images_of(networks, contracts, experiment) if runs_inside else {}
            except TaorunnerError:
                unreadable.append(name)
                continue
            is_known = True
            wants_embedded = wants_embedded or networks.load(experiment.head).groups[0].image is None
            if not runs_inside:
                wants_gpus = wants_gpus or (_uses_gpus_here(experiment.backend) and experiment.gpus != 0)
                continue
            label = f"{name}/{experiment.name}"
            wants_gpus = wants_gpus or experiment.gpus != 0
            if image is not None:
                for one in dict.fromkeys((image, *more)):
                    images.setdefault(one, []).append(label)
            given = experiment.shm_bytes if experiment.shm_bytes is not None else mounted
            if given is not None:
                shm[label] = given
    return Needs(
        is_known=is_known and not unreadable,
        projects=tuple(projects),
        images={image: tuple(users) for image, users in images.items()},
        wants_gpus=wants_gpus or bool(unreadable) or not is_known,
        wants_embedded=wants_embedded,
        shm_bytes=shm,
        unreadable=tuple(dict.fromkeys(unreadable)),
    )


def _image(networks: Networks, experiment: Experiment) -> tuple[str | None, bool]:
    """The image, and whether the experiment runs in a container."""
    network = networks.load(experiment.head)
    main = network.groups[0]
    if main.image is None or sees_host_paths(experiment.backend, experiment.backend_options):
        return None, False
    return experiment.image or network.image(main.name, network.release_name(experiment.release)), True


def _uses_gpus_here(backend: str | None) -> bool:
    """True for a backend that starts programs of this machine on its GPUs."""
    if backend is None:
        return False
    target = target_of(backend)
    is_embedded = target.networks is NetworkKind.EMBEDDED
    return target.sees_host_paths and target.gpus is GpuSource.LEASED and not is_embedded
