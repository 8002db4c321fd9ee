"""Checks of the container engine: reachable, recent enough, able to run containers with GPUs."""

from __future__ import annotations

import grp
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from taorunner.doctor.check import Area, Check, error, info, ok, problem, warning
from taorunner.doctor.host import PATIENCE_S, EngineView, Machine, StillWaitingError
from taorunner.doctor.podman_checks import look_at_cdi, look_at_podman, look_at_rootless
from taorunner.doctor.remedies import (
    install_docker,
    install_toolkit,
    newer_docker,
    register_runtime,
    restart_warning,
    service,
    user_name,
    without_json_key,
)
from taorunner.doctor.requirements import DOCKER, DOCKER_7, DOCKER_API, TOOLKIT, TOOLKIT_7
from taorunner.errors import Finding, TaorunnerError
from taorunner.gpu.driver_floors import is_older

_DEFAULT_SOCKET = "/var/run/docker.sock"
_PODMAN_SOCKET = "systemctl --user enable --now podman.socket"
_UNSEEN = "rootless, users, runtime, GPUs in a container, disk and clock of the engine"


def look_at_engine(machine: Machine) -> Iterator[Finding]:
    matters = machine.needs.wants_engine
    try:
        view = machine.engine()
    except StillWaitingError:
        yield problem(
            matters,
            "engine-hangs",
            f'the docker engine at "{_address() or "?"}" does not answer within {PATIENCE_S:g} s',
            service(machine, "restart"),
        )
    except TaorunnerError as failure:
        yield _unreachable(machine, failure)
    else:
        yield from _judged(machine, view)
        return
    yield info("engine-unseen", f"not checked without an engine: {_UNSEEN}")


def _judged(machine: Machine, view: EngineView) -> Iterator[Finding]:
    facts = view.facts
    text = f"{view.engine.kind} {facts.version}, API {facts.api_version}, at {view.engine.address.url}"
    floor = DOCKER_7 if machine.needs.wants_7 else DOCKER
    if view.engine.is_podman:
        yield from look_at_podman(machine, view, text)
        return
    if is_older(facts.api_version, DOCKER_API):
        text = f"{text}: TAO needs API {DOCKER_API}{restart_warning(machine)}"
        yield error("engine-api-old", text, newer_docker(machine))
    elif is_older(facts.version, floor):
        text = f"{text}: TAO needs {floor}{restart_warning(machine)}"
        yield error("engine-old", text, newer_docker(machine))
    else:
        yield ok("engine", text)
    if facts.is_rootless:
        yield from _rootless_docker(machine, view)
    elif facts.remaps_users:
        yield _other_users(machine)


def _rootless_docker(machine: Machine, view: EngineView) -> Iterator[Finding]:
    yield from look_at_rootless(machine, view)
    if "nvidia" in view.facts.runtimes and not view.facts.cdi_devices:
        yield warning(
            "engine-rootless",
            "the engine runs rootless: NVIDIA's runtime gives it GPUs only without cgroups",
            f"{machine.sudo}nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place"
            " && systemctl --user restart docker",
        )


def _other_users(machine: Machine) -> Finding:
    """An engine that maps user ids, so that results would belong to an unknown user."""
    settings = machine.path("etc/docker/daemon.json")
    return warning(
        "engine-remaps-users",
        "the engine maps user ids (userns-remap), so results would not belong to you"
        f"{restart_warning(machine)}",
        f"{without_json_key(machine, settings, 'userns-remap')} && {service(machine, 'restart')}",
    )


def _causes(failure: BaseException) -> Iterator[BaseException]:
    """The chain of causes, the root cause last: an engine that dies resets a connection it had accepted."""
    seen: BaseException | None = failure
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _unreachable(machine: Machine, failure: TaorunnerError) -> Finding:
    matters, cause = machine.needs.wants_engine, failure.__cause__
    url = _address()
    socket = Path(url.removeprefix("unix://")) if url is not None and url.startswith("unix://") else None
    if isinstance(cause, PermissionError) and socket is not None:
        return _no_permission(machine, socket)
    if socket is not None and any(
        isinstance(one, FileNotFoundError | ConnectionError) for one in _causes(failure)
    ):
        named = machine.environ.get("DOCKER_HOST")
        if named and named != f"unix://{_DEFAULT_SOCKET}" and machine.path(_DEFAULT_SOCKET).is_socket():
            text = f'no docker engine answers at "{url}", the address in DOCKER_HOST, but a local one runs'
            return problem(matters, "engine-address", text, "unset DOCKER_HOST")
        if machine.program("dockerd") is None and machine.program("docker") is None:
            if machine.program("podman") is not None and "podman" not in socket.name:
                text = "docker is not installed, and DOCKER_HOST does not name the socket of podman, which is"
                repair = f"{_PODMAN_SOCKET} && export DOCKER_HOST=unix://$XDG_RUNTIME_DIR/podman/podman.sock"
                return problem(matters, "engine-missing", text, repair)
            if machine.program("podman") is None:
                return problem(matters, "engine-missing", "docker is not installed", install_docker(machine))
        if "podman" in socket.name:
            repair = _PODMAN_SOCKET if "/user/" in str(socket) else service(machine, "start", "podman.socket")
        elif str(socket).startswith("/run/user/"):
            repair = "systemctl --user start docker"
        elif machine.is_wsl and machine.program("dockerd") is None:
            repair = '"/mnt/c/Program Files/Docker/Docker/Docker Desktop.exe" &'
        else:
            repair = service(machine, "start")
        return problem(matters, "engine-down", f'no docker engine answers at "{url}"', repair)
    return problem(matters, "engine-unreachable", failure.message, failure.hint)


def _no_permission(machine: Machine, socket: Path) -> Finding:
    matters = machine.needs.wants_engine
    try:
        status = socket.stat()
        group, writable = _group_name(status.st_gid), bool(status.st_mode & stat.S_IWGRP)
    except OSError:
        group, writable = "docker", True
    user = user_name(machine)
    text = f'"{user}" has no permission for the docker engine at "{socket}"'
    if writable and group != "root" and _is_member(machine, group, user):
        text += f': added to the group "{group}" after logging in'
        return problem(matters, "engine-permission", text, f"newgrp {group}")
    commands = [f"{machine.sudo}usermod -aG {group} {user}", f"newgrp {group}"]
    if group == "root" or not writable:
        group = "docker"
        commands = [
            f"{machine.sudo}groupadd -f docker",
            f"{machine.sudo}chgrp docker {shlex.quote(str(socket))}",
            f"{machine.sudo}chmod g+rw {shlex.quote(str(socket))}",
            f"{machine.sudo}usermod -aG docker {user}",
            "newgrp docker",
        ]
    return problem(matters, "engine-permission", f'{text}: not in the group "{group}"', " && ".join(commands))


def look_at_runtime(machine: Machine) -> Iterator[Finding]:
    view = machine.engine_or_none()
    if view is None:
        return
    if view.engine.is_podman:
        yield from look_at_cdi(machine, view)
        return
    facts = view.facts
    if facts.has_nvidia:
        how = (
            'the runtime "nvidia" is registered'
            if "nvidia" in facts.runtimes
            else "NVIDIA devices through CDI"
        )
        yield ok("runtime", f"{how} in the engine")
        return
    if not machine.has_gpu and not view.is_remote:
        yield info("runtime", "the engine has no NVIDIA runtime, and there is no NVIDIA GPU")
        return
    repair = register_runtime(machine) if machine.program("nvidia-ctk") else install_toolkit(machine)
    yield problem(
        machine.needs.wants_engine and machine.needs.wants_gpus,
        "runtime-missing",
        f"the engine has no NVIDIA runtime (it has {', '.join(facts.runtimes) or 'none'}): no GPUs in containers"
        f"{restart_warning(machine)}",
        repair,
    )


def look_at_toolkit(machine: Machine) -> Iterator[Finding]:
    view = machine.engine_or_none()
    if view is not None and view.is_remote:
        return
    matters = machine.needs.wants_engine and machine.needs.wants_gpus
    for name in ("nvidia-ctk", "nvidia-container-cli", "nvidia-container-toolkit"):
        if machine.program(name) is not None:
            break
    else:
        if view is not None and view.facts.has_nvidia:
            yield info(
                "toolkit",
                "the NVIDIA container toolkit is not on PATH, but the engine has its runtime",
            )
        else:
            text = "the NVIDIA container toolkit is not installed: containers get no GPUs"
            has_gpu = machine.has_gpu  # useless without a GPU
            yield problem(
                matters and has_gpu, "toolkit-missing", text, install_toolkit(machine) if has_gpu else None
            )
        return
    try:
        answer = machine.run(name, "--version")
    except TaorunnerError as failure:
        yield warning("toolkit-hangs", failure.message, install_toolkit(machine))
        return
    version = _version_in(answer.stdout)
    if not answer.succeeded or version is None:
        yield warning(
            "toolkit-broken", f'"{name} --version" fails: {answer.last_words}', install_toolkit(machine)
        )
    elif is_older(version, TOOLKIT):
        text = f"NVIDIA container toolkit {version}: TAO needs {TOOLKIT}"
        yield problem(matters, "toolkit-old", text, install_toolkit(machine))
    elif machine.needs.wants_7 and is_older(version, TOOLKIT_7):
        text = f"NVIDIA container toolkit {version}: NVIDIA requires {TOOLKIT_7} for TAO 7"
        yield warning("toolkit-old", text, install_toolkit(machine))
    else:
        yield ok("toolkit", f"NVIDIA container toolkit {version}")


def _version_in(text: str) -> str | None:
    """The version, such as ``1.14.3``, in the output of nvidia-ctk or nvidia-container-cli."""
    for line in text.splitlines():
        for word in reversed(line.split()):
            if word[:1].isdigit() and "." in word:
                return word.rstrip(",;")
    return None


def _address() -> str | None:
    """None when it is unknown: a missing context, a broken file."""
    from taorunner.engine.client import find_address

    try:
        return find_address().url
    except TaorunnerError:
        return None


def _is_member(machine: Machine, group: str, user: str) -> bool:
    """Reads /etc/group: the groups of this process are those of its login."""
    for line in (machine.text("etc/group") or "").splitlines():
        name, _, rest = line.partition(":")
        if name == group:
            return user in rest.rpartition(":")[2].split(",")
    return False


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


CHECKS = (
    Check("engine", Area.ENGINE, look_at_engine),
    Check("toolkit", Area.ENGINE, look_at_toolkit, limit_s=8.0),
    Check("runtime", Area.ENGINE, look_at_runtime),
)
