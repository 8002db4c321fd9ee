"""Checks of GPUs: driver, generation, memory, other processes, and whether a container sees them."""

from __future__ import annotations

import pwd
import shlex
import sys
from collections.abc import Iterator

from taorunner.doctor.check import Area, Check, error, info, ok, problem, warning
from taorunner.doctor.host import PATIENCE_S, EngineView, Machine, StillWaitingError
from taorunner.doctor.remedies import (
    install_driver,
    install_toolkit,
    register_runtime,
    restart_warning,
    service,
    user_name,
)
from taorunner.doctor.requirements import (
    MIN_GPU_BYTES,
    RECOMMENDED_GPU_BYTES,
    as_stated,
    capability_floor,
)
from taorunner.errors import Finding, MachineError, TaorunnerError
from taorunner.gpu import inventory
from taorunner.gpu.driver_floors import driver_floor, image_version, is_older, parse_version
from taorunner.gpu.inventory import Gpu, GpuProcess, Inventory
from taorunner.gpu.leases import Leases, default_directory
from taorunner.text import size

_USUAL_BRANCH = 580
_PROBE_LIMIT_S = 20.0
_PROBE_PATIENCE_S = 15.0


def _is_elsewhere(machine: Machine) -> bool:
    view = machine.engine_or_none()
    return view is not None and view.is_remote


def look_at_driver(machine: Machine) -> Iterator[Finding]:
    matters = machine.needs.wants_gpus
    if _is_elsewhere(machine):
        yield info(
            "driver", "the engine is on another machine: its driver and GPUs are visible only in a container"
        )
        return
    try:
        found = machine.gpus()
    except StillWaitingError:
        text = f"the NVIDIA driver does not answer within {PATIENCE_S:g} s"
        yield problem(matters, "driver-hangs", text, f"{machine.sudo}reboot")
        return
    if found.reason is not None:
        yield _no_gpu(machine, found)
        return
    driver = found.driver or ""
    old = _old_for(machine, driver)
    if old:
        yield from old
    elif not driver:
        yield warning("driver-unknown", "the NVIDIA driver does not report its version", "nvidia-smi")
    elif not machine.needs.images and is_older(driver, driver_floor((5,)).minimum):
        text = f"NVIDIA driver {driver}: TAO 5 needs {driver_floor((5,)).minimum}, TAO 7 {driver_floor((7,)).minimum}"
        yield warning("driver-old", text, _newer_driver(machine, driver_floor((7,)).minimum))
    else:
        yield ok("driver", f"NVIDIA driver {driver}")


def _old_for(machine: Machine, driver: str) -> list[Finding]:
    """One finding for all images with the same requirement; updating for the highest fixes all."""
    needed: dict[str, list[str]] = {}
    stated: dict[str, list[str]] = {}
    wanted = ""
    for image in machine.needs.images:
        floor = driver_floor(image_version(image))
        for version, images_by_version in ((floor.minimum, needed), (floor.stated, stated)):
            if is_older(driver, version):
                images_by_version.setdefault(version, []).append(f'"{image}"')
                wanted = max(wanted, floor.stated, key=parse_version)
                break
    if not wanted:
        return []
    repair = _newer_driver(machine, wanted)
    return [
        error(
            "driver-old",
            f"NVIDIA driver {driver} is older than {version}, which is needed by {', '.join(images)}",
            repair,
        )
        for version, images in needed.items()
    ] + [
        warning(
            "driver-old", f"NVIDIA driver {driver}: NVIDIA requires {version} for {', '.join(images)}", repair
        )
        for version, images in stated.items()
    ]


def _newer_driver(machine: Machine, version: str) -> str:
    if machine.is_wsl:
        return "update the NVIDIA driver of Windows, then in PowerShell: wsl --shutdown"
    return install_driver(machine, (parse_version(version) or (_USUAL_BRANCH,))[0])


def _no_gpu(machine: Machine, found: Inventory) -> Finding:
    matters, reason = machine.needs.wants_gpus, found.reason or ""
    if reason == inventory.NO_PACKAGE:
        return problem(matters, "driver-unseen", reason, f'"{sys.executable}" -m pip install nvidia-ml-py')
    if reason == inventory.MISMATCH:
        return problem(matters, "driver-mismatch", reason, f"{machine.sudo}reboot")
    if reason == inventory.NOT_LOADED:
        return problem(matters, "driver-not-loaded", reason, f"{machine.sudo}modprobe nvidia")
    if reason == inventory.NO_PERMISSION:
        repair = f"{machine.sudo}chmod a+rw /dev/nvidia* && {machine.sudo}usermod -aG video,render {user_name(machine)}"
        return problem(matters, "driver-permission", reason, repair)
    if reason != inventory.NO_DRIVER:
        return problem(matters, "driver-trouble", reason, "nvidia-smi")
    if machine.is_wsl:
        return problem(matters, "driver-missing", reason, _newer_driver(machine, str(_USUAL_BRANCH)))
    if machine.has_gpu:
        text = "there is an NVIDIA GPU, but no driver for it"
        return problem(matters, "driver-missing", text, install_driver(machine, _USUAL_BRANCH))
    text = "there is no NVIDIA GPU in this machine; for a machine with GPUs set DOCKER_HOST=ssh://…"
    return problem(matters, "gpu-missing", text)


def look_at_gpus(machine: Machine) -> Iterator[Finding]:
    found = None if _is_elsewhere(machine) else machine.gpus_or_none()
    if found is None:
        return
    floor = max(
        (capability_floor(version) for version in machine.needs.versions), default=capability_floor(None)
    )
    for gpu in found.gpus:
        memory = gpu.memory_total_bytes
        name = f"GPU {gpu.index}: {gpu.name}" + (f", {size(memory)}" if memory else "")
        capability = gpu.compute_capability
        if capability is not None and capability < floor:
            text = f"{name} has compute capability {_dotted(capability)}: TAO needs {_dotted(floor)}"
            yield error("gpu-too-old", text + _others(found, gpu))
        elif memory is not None and memory < MIN_GPU_BYTES:
            text = f"{name} is less than NVIDIA requires: {as_stated(MIN_GPU_BYTES)}"
            yield warning("gpu-memory", text + _others(found, gpu))
        elif gpu.is_split:
            text = f"{name} is split into MIG devices: write the UUID of one of them into gpu_indices"
            yield info("gpu-split", text, "nvidia-smi -L")
        elif memory is not None and memory < RECOMMENDED_GPU_BYTES:
            yield ok("gpu", f"{name}; NVIDIA recommends {as_stated(RECOMMENDED_GPU_BYTES)}")
        else:
            yield ok("gpu", name)
    off = [gpu for gpu in found.gpus if gpu.keeps_driver_loaded is False]
    if off and not machine.is_wsl:
        which = ", ".join(str(gpu.index) for gpu in off)
        text = f"persistence mode is off on GPU {which}: each container start waits for the driver to load"
        yield info("gpu-persistence", text, f"{machine.sudo}nvidia-smi -pm 1")


def _others(found: Inventory, gpu: Gpu) -> str:
    others = [str(other.index) for other in found.gpus if other is not gpu]
    return f" (use others in experiments.yml: gpu_indices: [{', '.join(others)}])" if others else ""


def look_for_other_processes(machine: Machine) -> Iterator[Finding]:
    """Reports processes that use GPUs outside of taorunner: TAO would run out of memory beside them."""
    found = None if _is_elsewhere(machine) else machine.gpus_or_none()
    if found is None or not found.gpus:
        return
    is_found = False
    for gpu in found.gpus:
        if gpu.processes and not _is_leased(machine, gpu):
            is_found = True
            people = "; ".join(_process(machine, process) for process in gpu.processes)
            used = f" ({size(gpu.memory_used_bytes)} used)" if gpu.memory_used_bytes else ""
            pids = ",".join(str(process.pid) for process in gpu.processes)
            text = f"GPU {gpu.index} is in use by other processes{used}: {people}"
            yield warning("gpu-in-use", text, f"ps -o pid,user,etime,args -p {pids}")
    if not is_found:
        yield ok("gpu-foreign", "no other processes on the GPUs")


def _is_leased(machine: Machine, gpu: Gpu) -> bool:
    folder = default_directory(machine.environ)
    if not folder.is_dir():
        return False
    try:
        return Leases(folder).holder(gpu.uuid or str(gpu.index)) is not None
    except MachineError:
        return False


def _process(machine: Machine, process: GpuProcess) -> str:
    name = (machine.text(f"proc/{process.pid}/comm") or "?").strip()
    try:
        user = pwd.getpwuid(machine.path(f"proc/{process.pid}").stat().st_uid).pw_name
    except (OSError, KeyError):
        user = "?"
    memory = f", {size(process.memory_bytes)}" if process.memory_bytes else ""
    return f"{name} of {user}, pid {process.pid}{memory}"


def look_inside_a_container(machine: Machine) -> Iterator[Finding]:
    view = machine.engine_or_none()
    if view is None or not machine.needs.wants_gpus or not machine.needs.wants_engine:
        return
    from taorunner.engine.gpu_probe import look_inside

    image = _present_image(machine, view)
    if image is None:
        wanted = next(iter(machine.needs.images), "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt")
        text = "whether a container sees the GPUs is unknown: no TAO image is present to check with"
        yield info("gpu-in-container", text, f"docker pull {shlex.quote(wanted)}")
        return
    try:
        seen = look_inside(view.engine, image, patience_s=_PROBE_PATIENCE_S)
    except TaorunnerError as failure:
        yield _refused(machine, failure)
        return
    if seen.gpus:
        count = "one GPU" if len(seen.gpus) == 1 else f"{len(seen.gpus)} GPUs"
        here = None if view.is_remote else machine.gpus_or_none()
        if here is not None and len(seen.gpus) < len(here.gpus):
            text = f'a container of "{image}" sees {count} of {len(here.gpus)}'
            yield warning("gpu-not-in-container", text, "nvidia-container-cli --load-kmods info")
        else:
            yield ok("gpu-in-container", f'a container of "{image}" sees {count}')
        return
    said = seen.words.splitlines()[-1] if seen.words else f"nvidia-smi ended with code {seen.exit_code}"
    repair = register_runtime(machine) if machine.program("nvidia-ctk") else install_toolkit(machine)
    text = f'a container of "{image}" sees no GPU: {said}{restart_warning(machine)}'
    yield error("gpu-not-in-container", text, repair)


def _present_image(machine: Machine, view: EngineView) -> str | None:
    """A present image that the experiments need, else any TAO or CUDA image."""
    from taorunner.engine.facts import image_names

    missing = machine.missing_images()
    needed = [image for image in machine.needs.images if missing is not None and image not in missing]
    if needed:
        return needed[0]
    try:
        names = image_names(view.engine)
    except TaorunnerError:
        return None
    return next(
        (name for name in names if "/tao" in name or "/cuda" in name or name.startswith("cuda:")), None
    )


def _refused(machine: Machine, failure: TaorunnerError) -> Finding:
    view = machine.engine_or_none()
    is_known = view is not None and view.facts.has_nvidia
    if "has no NVIDIA runtime" in failure.message and machine.program("nvidia-ctk"):
        text = (
            "the engine gives containers no GPUs: the NVIDIA toolkit was installed after the engine started"
        )
        return error("gpu-not-in-container", text + restart_warning(machine), service(machine, "restart"))
    if "nvidia-smi" in failure.message and is_known:
        text = f"the NVIDIA driver is not mounted into containers: {failure.message}"
        return error("gpu-not-in-container", text + restart_warning(machine), register_runtime(machine))
    text = f"a container with GPUs cannot start: {failure.message}"
    return error("gpu-not-in-container", text, failure.hint)


def _dotted(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"


CHECKS = (
    Check("driver", Area.GPUS, look_at_driver),
    Check("gpu", Area.GPUS, look_at_gpus),
    Check("gpu-foreign", Area.GPUS, look_for_other_processes),
    Check("gpu-in-container", Area.GPUS, look_inside_a_container, limit_s=_PROBE_LIMIT_S),
)
