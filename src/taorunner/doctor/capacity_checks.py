"""Checks of capacity: memory, shared memory, cores, disk space of the engine and of the workspace."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from taorunner.doctor.check import Area, Check, error, info, ok, warning
from taorunner.doctor.host import Machine
from taorunner.doctor.requirements import (
    GB,
    IMAGE_BYTES,
    MIN_CORES,
    MIN_DISK_BYTES,
    MIN_RAM_BYTES,
    RECOMMENDED_RAM_BYTES,
    SMALL_IMAGE_BYTES,
    USUAL_SHM_BYTES,
    as_stated,
)
from taorunner.errors import Finding
from taorunner.text import size

_SPARE_BYTES = 5 * GB
"""What an engine needs for containers and logs when all images are present."""
_RESULTS_BYTES = 20 * GB
"""An estimate: room for some trainings with a checkpoint per epoch. NVIDIA states only the size of a disk."""
_FULL_BYTES = 1 * GB


def look_at_memory(machine: Machine) -> Iterator[Finding]:
    total = _ram(machine)
    if total is None:
        yield info("memory", "the memory of this machine is unknown: /proc/meminfo cannot be read")
        return
    text = f"{size(total)} of memory"
    if total < MIN_RAM_BYTES * 0.93:  # MemTotal does not include what the kernel reserves
        text += f": NVIDIA requires {as_stated(MIN_RAM_BYTES)}"
        yield warning("memory-small", f"{text}; use smaller batches and fewer workers in the specs")
    elif total < RECOMMENDED_RAM_BYTES * 0.93:
        yield ok("memory", f"{text}; NVIDIA recommends {as_stated(RECOMMENDED_RAM_BYTES)}")
    else:
        yield ok("memory", text)


def look_at_shared_memory(machine: Machine) -> Iterator[Finding]:
    """In containers it is ``shm_size`` of experiments.yml, 16G by default; it uses the machine's memory."""
    ram = _ram(machine)
    small = {name: given for name, given in machine.needs.shm_bytes.items() if given < USUAL_SHM_BYTES}
    if small:
        name, given = min(small.items(), key=lambda item: item[1])
        text = f'shm_size of "{name}" is {size(given)}: NVIDIA uses {size(USUAL_SHM_BYTES)} or more'
        yield warning("shared-memory-small", f"{text}; the default is 16G")
        return
    largest = max(machine.needs.shm_bytes.values(), default=0)
    if ram is not None and largest > ram:
        text = f"shm_size of {size(largest)} is more than the {size(ram)} of memory that this machine has"
        yield warning("shared-memory-large", f"{text}; use at most half of that")
        return
    try:
        host = machine.disk(machine.path("dev/shm"))
    except OSError:
        yield info("shared-memory", "no /dev/shm on this machine; containers have their own")
        return
    yield ok(
        "shared-memory", f"shared memory {size(host.f_blocks * host.f_frsize)}; containers have their own"
    )


def look_at_cores(machine: Machine) -> Iterator[Finding]:
    view = machine.engine_or_none()
    cores = view.facts.cpus if view is not None and view.facts.cpus else machine.cores
    text = f"{cores} CPU core{'s' if cores != 1 else ''}"
    if cores >= MIN_CORES:
        yield ok("cores", text)
        return
    yield warning("cores-few", f"{text}: NVIDIA requires {MIN_CORES}; use fewer workers in the specs")


def look_at_engine_disk(machine: Machine) -> Iterator[Finding]:
    view = machine.engine_or_none()
    if view is None or view.facts.data_root is None:
        return
    if view.is_remote or view.facts.is_desktop:
        where = "in a virtual machine" if view.facts.is_desktop else "on another machine"
        yield info("disk-engine", f"the engine is {where}: its disk cannot be checked from here")
        return
    missing = machine.missing_images() or ()
    root = Path(view.facts.data_root)
    try:
        state = machine.disk(_existing(root))
    except OSError as failure:
        yield info("disk-engine", f'"{root}" cannot be checked: {(failure.strerror or str(failure)).lower()}')
        return
    free = state.f_bavail * state.f_frsize
    where = f'{size(free)} free for images in "{root}"'
    for_what = _for_images(len(missing))
    # not "system prune": that removes containers of runs whose exit code is not read yet
    repair = "docker image prune -f && docker builder prune -f"
    if free < SMALL_IMAGE_BYTES * len(missing):
        yield error("disk-engine-full", f"{where}: not enough for {for_what}", repair)
    elif free < IMAGE_BYTES * len(missing):
        text = f"{where}: {for_what} may need {size(IMAGE_BYTES * len(missing))}"
        yield warning("disk-engine-small", text, repair)
    elif free < _FULL_BYTES:
        yield error("disk-engine-full", f"{where}: not enough for any container", repair)
    elif free < _SPARE_BYTES:
        yield warning("disk-engine-small", f"{where}: little room for containers and their logs", repair)
    else:
        yield ok("disk-engine", where + (f", {for_what} to pull" if missing else ""))


def look_at_workspace_disk(machine: Machine) -> Iterator[Finding]:
    place = Path.cwd() if machine.workspace is None else machine.workspace.root
    try:
        state = machine.disk(place)
    except OSError as failure:
        yield error(
            "disk-workspace-gone",
            f'"{place}" cannot be checked: {(failure.strerror or str(failure)).lower()}',
        )
        return
    free, whole = state.f_bavail * state.f_frsize, state.f_blocks * state.f_frsize
    where = f'{size(free)} free in "{place}"'
    largest = f"du -xhd2 {shlex.quote(str(place))} | sort -h | tail -n 15"
    if state.f_files and not state.f_favail:
        text = f'no file can be created in "{place}": the file system has no inodes left'
        yield error(
            "disk-workspace-full",
            text,
            f"du -x --inodes -d2 {shlex.quote(str(place))} | sort -n | tail -n 15",
        )
    elif free < _FULL_BYTES:
        yield error("disk-workspace-full", f"{where}: not enough for a checkpoint", largest)
    elif free < _RESULTS_BYTES:
        yield warning("disk-workspace-small", f"{where}: little room for checkpoints of every epoch", largest)
    elif whole < MIN_DISK_BYTES:
        yield ok("disk-workspace", f"{where}; NVIDIA requires a disk of {as_stated(MIN_DISK_BYTES)}")
    else:
        yield ok("disk-workspace", where)


def _for_images(count: int) -> str:
    return "one image" if count == 1 else f"{count} images"


def _existing(path: Path) -> Path:
    """The path or its nearest parent that can be accessed: the engine's own folder may not be readable."""
    for folder in (path, *path.parents):
        if os.path.exists(folder):  # noqa: PTH110 (Path.exists raises where a folder may not be read)
            return folder
    return path


def _ram(machine: Machine) -> int | None:
    view = machine.engine_or_none()
    if view is not None and view.is_remote:
        return view.facts.memory_bytes
    for line in (machine.text("proc/meminfo") or "").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "MemTotal:" and words[1].isdigit():
            return int(words[1]) * 1024
    return None


CHECKS = (
    Check("memory", Area.ROOM, look_at_memory),
    Check("shared-memory", Area.ROOM, look_at_shared_memory),
    Check("cores", Area.ROOM, look_at_cores),
    Check("disk-engine", Area.ROOM, look_at_engine_disk),
    Check("disk-workspace", Area.ROOM, look_at_workspace_disk),
)
