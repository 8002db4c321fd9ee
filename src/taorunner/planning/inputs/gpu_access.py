"""How many GPUs ``--gpus`` means, and whether the process can use them: none hidden, a driver that is new enough.

Source: CUDA C++ programming guide, environment variables: only the listed GPUs are visible, and the list ends at the
first one that does not exist. The engine gives a container its GPUs as 0 to n - 1.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from taorunner.contracts import GpuUse
from taorunner.errors import Finding, Severity
from taorunner.gpu.driver_floors import driver_floor, image_version, is_older
from taorunner.planning.model.request import ActionRequest
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.project.mounts import Mounts
from taorunner.targets import Files, GpuSource, Target
from taorunner.text import amount, printable, whole_number
from taorunner.values.value import MutableValue, field, replace

if TYPE_CHECKING:
    from taorunner.gpu.inventory import Inventory

_PATIENCE_S = 2.0
_SIGNS = ("/proc/driver/nvidia/version", "/dev/dxg")
"""Of a driver, on Linux and in WSL."""
_LIBRARY = "libnvidia-ml.so.1"
VARIABLE = "CUDA_VISIBLE_DEVICES"
_NO_ENV: Mapping[str, str] = MappingProxyType({})


def visible_gpus(
    project: Project, experiment: Experiment, mounts: Mounts, contract_env: Mapping[str, str], gpus: int,
    typed: Mapping[str, str] = _NO_ENV,
) -> Finding | None:  # fmt: skip
    """An error when fewer than ``gpus`` GPUs of the container stay visible; None where the variable hides none.

    ``typed`` are the variables of the command line.
    """
    in_file = VARIABLE in experiment.env and VARIABLE not in typed
    value = {**contract_env, **mounts.env, **experiment.env, **typed}.get(VARIABLE)
    if value is None or not gpus or value.startswith(("env:", "file:")):
        return None
    seen = _seen(value, gpus)
    if seen >= gpus:
        return None
    given = f"{amount(gpus, 'GPU')}, numbered from 0"
    left = "none of them" if not seen else f"only {seen} of them"
    message = f'{VARIABLE} is "{printable(value)}", and the container gets {given}: it sees {left}'
    hint = f"remove {VARIABLE}; gpus, gpu_indices and --gpu-indices choose GPUs"
    if in_file:
        path = ("experiments", experiment.name, "env", VARIABLE)
        return project.finding(Severity.ERROR, "gpus-hidden", message, path, hint=hint)
    if VARIABLE in typed:
        return Finding(Severity.ERROR, "gpus-hidden", message, f"leave --env {VARIABLE} out", typed=True)
    return Finding(Severity.ERROR, "gpus-hidden", message, hint, mounts.file)


def _seen(value: str, gpus: int) -> int:
    """How many of the container's GPUs a value shows. UUIDs may be those of the host: they are believed."""
    shown: list[str] = []
    for part in (one.strip() for one in value.split(",")):
        index = whole_number(part)
        if part.startswith(("GPU-", "MIG-")) or (index is not None and index < gpus and part not in shown):
            shown.append(part)
        else:
            break
    return len(shown)


class MachineGpus(MutableValue):
    """The GPUs of this machine, and its driver. ``environ`` is the caller's environment, which names the engine. NVML
    and the signs of a driver are asked once for each command, and only when needed."""

    environ: Mapping[str, str]
    _asked: list[Inventory | None] = field(default_factory=list)
    _drivers: list[str | None] = field(default_factory=list)
    _floors: dict[tuple[str | None, int], Finding | None] = field(default_factory=dict)

    def driver_finding(self, image: str | None, gpus: int) -> Finding | None:
        """An error where nothing works with this driver, a warning where NVIDIA gives no support; without a place.

        None without a driver, and for an engine on another machine.
        """
        if (image, gpus) not in self._floors:
            self._floors[image, gpus] = self._below_floor(image, gpus)
        return self._floors[image, gpus]

    def _below_floor(self, image: str | None, gpus: int) -> Finding | None:
        version = image_version(image) if image is not None and gpus else None
        driver = self._driver() if version is not None else None
        if driver is None:
            return None
        floor = driver_floor(version)
        hint = "taorunner doctor shows how to update it"
        if is_older(driver, floor.minimum):
            message = f'NVIDIA driver {driver} is older than {floor.minimum}, which is needed by "{image}"'
            return Finding(Severity.ERROR, "driver-old", message, hint)
        if is_older(driver, floor.stated):
            message = f'NVIDIA driver {driver}: NVIDIA requires {floor.stated} for "{image}"'
            return Finding(Severity.WARNING, "driver-old", message, hint)
        return None

    def counted(
        self, request: ActionRequest, use: GpuUse, target: Target
    ) -> tuple[ActionRequest, Finding | None]:
        """The request with the number that ``--gpus`` means for an action, and why it cannot have that many.

        Where no GPU can be seen, a number is taken as it is, and ``all`` is refused. The finding has no place.
        """
        asked = request.gpus
        if request.all_gpus and use is not GpuUse.MANY:
            return replace(request, gpus=1 if use is GpuUse.ONE else 0), None
        if use is not GpuUse.MANY or not (request.all_gpus or asked):
            return request, None
        has, why = self._number(target)
        if request.all_gpus and has:
            return replace(request, gpus=has), None
        if request.all_gpus:
            message = f"--gpus all: it is not known how many GPUs there are: {why}"
            hint = "give their number: --gpus 2"
            unknown = Finding(Severity.ERROR, "gpus-unknown", message, hint, typed=not _is_machine(target))
            return replace(request, gpus=1), unknown
        if has and asked is not None and asked > has:
            message = f"--gpus {asked}: this machine has {amount(has, 'GPU')}"
            hint = f"use --gpus {has}, or --gpus all"
            return replace(request, gpus=has), Finding(Severity.ERROR, "too-few-gpus", message, hint)
        return request, None

    def _number(self, target: Target) -> tuple[int, str]:
        """Of whole GPUs, 0 with the reason where it is not known."""
        if not _is_machine(target):
            return 0, f'the backend "{target.name}" chooses the machine'
        if not target.sees_host_paths and not _is_here(self.environ):
            return 0, "the engine is on another machine"
        found = self._inventory()
        if found is None:
            return 0, "the NVIDIA driver does not answer"
        return sum(not gpu.is_split for gpu in found.gpus), found.reason or "all of them are split (MIG)"

    def _driver(self) -> str | None:
        """The version; None where there is no driver here."""
        if not self._drivers:
            self._drivers.append(self._found_driver())
        return self._drivers[0]

    def _found_driver(self) -> str | None:
        if not _is_here(self.environ) or not self._may_have_driver():
            return None
        found = self._inventory()
        return found.driver if found is not None else None

    def _may_have_driver(self) -> bool:
        folders = self.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
        return any(map(os.path.exists, [*_SIGNS, *(f"{folder}/{_LIBRARY}" for folder in folders if folder)]))

    def _inventory(self) -> Inventory | None:
        if not self._asked:
            self._asked.append(_inventory())
        return self._asked[0]


def _is_machine(target: Target) -> bool:
    """Whether runs get GPUs of this machine."""
    return target.gpus is GpuSource.LEASED and target.files is Files.HERE


def _is_here(environ: Mapping[str, str]) -> bool:
    return environ.get("DOCKER_HOST", "unix://").startswith("unix://")


def _inventory() -> Inventory | None:
    """None where the driver does not answer: a driver that lost its GPU may never do."""
    answers: list[Inventory] = []

    def ask() -> None:
        from taorunner.gpu.inventory import inventory

        answers.append(inventory())

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    return answers[0] if answers else None
