"""What is different where the engine is podman, or rootless: what it lacks, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from taorunner.doctor.check import info, ok, problem, warning
from taorunner.doctor.host import EngineView, Machine
from taorunner.doctor.remedies import describe_gpus, install_toolkit, user_name
from taorunner.errors import Finding
from taorunner.text import version_text

CDI_FOLDERS = ("etc/cdi", "run/cdi", "var/run/cdi")
"""Source: the specification of CDI."""
_GPUS = "nvidia.com/gpu"
_MOST_BYTES = 1 << 20


def look_at_podman(machine: Machine, view: EngineView, text: str) -> Iterator[Finding]:
    """``text`` says which engine it is."""
    from taorunner.engine.create.on_podman import GPU_VERSION, USER_VERSION

    version = view.engine.version
    wants_gpus = machine.needs.wants_engine and machine.needs.wants_gpus
    if version < GPU_VERSION:
        lacks = f"{text}: podman gives GPUs to containers from version {version_text(GPU_VERSION)} on"
        yield problem(wants_gpus, "engine-old", lacks, "update podman, or use a docker engine")
    else:
        yield ok("engine", text)
    if not view.facts.is_rootless:
        return
    yield from look_at_rootless(machine, view)
    if version < USER_VERSION:
        number = version_text(version)
        lacks = f"podman {number} gives you the results only where the user inside has your uid or is root"
        yield info("engine-rootless", lacks)
    if view.facts.cgroups == "1":
        yield warning(
            "engine-limits",
            "a rootless podman applies no limits of CPUs and memory with cgroups version 1: runs with them are refused",
            f"{machine.sudo}grubby --update-kernel=ALL --args=systemd.unified_cgroup_hierarchy=1"
            f" && {machine.sudo}reboot",
        )


def look_at_rootless(machine: Machine, view: EngineView) -> Iterator[Finding]:
    """Of podman and of Docker: results belong to the caller, whose groups and logins matter."""
    yield info(
        "engine-rootless",
        "the engine runs rootless: results belong to you, and folders that only your other groups may read are closed",
    )
    lingers = machine.path(f"var/lib/systemd/linger/{machine.environ.get('USER', '')}")
    if machine.has_systemd and not view.is_remote and not lingers.is_file():
        yield warning(
            "engine-lingers",
            "the engine runs rootless, and systemd may end its containers when you log out",
            f"loginctl enable-linger {user_name(machine)}",
        )


def look_at_cdi(machine: Machine, view: EngineView) -> Iterator[Finding]:
    """Whether podman finds GPUs described: it does not list them itself."""
    found = next((path for path in _descriptions(machine) if _describes_gpus(path)), None)
    if found is not None:
        yield ok("runtime", f'the GPUs are described for podman in "{found}" (CDI)')
    elif view.is_remote:
        yield info("runtime", "podman is on another machine: whether it has GPUs shows in a container")
    elif not machine.has_gpu:
        yield info("runtime", "no GPU is described for podman (CDI), and there is no NVIDIA GPU")
    else:
        repair = describe_gpus(machine) if machine.program("nvidia-ctk") else install_toolkit(machine)
        matters = machine.needs.wants_engine and machine.needs.wants_gpus
        text = "the GPUs are not described for podman (CDI): no GPUs in containers"
        yield problem(matters, "runtime-missing", text, repair)


def _descriptions(machine: Machine) -> Iterator[Path]:
    for folder in CDI_FOLDERS:
        for pattern in ("*.yaml", "*.json"):
            yield from sorted(machine.path(folder).glob(pattern))


def _describes_gpus(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MOST_BYTES)
    except OSError:
        return False
    return _GPUS in text
