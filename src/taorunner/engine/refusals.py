"""Explains the engine's refusals. Only this module, and ``build_refusals`` for builds, matches engine text.

Status codes do not help: dockerd returns 500 for a wrong password, a missing driver and an unknown host alike.
So errors are recognised by their text. ``translate`` never raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from taorunner.engine.create.podman_refusals import NO_PERMISSION, NO_PODMAN, PODMAN_ROWS
from taorunner.engine.refusal_rows import (
    GPU_ROWS,
    REGISTRY_ROWS,
    START_ROWS,
    RefusalRow,
    image_hint,
    login_hint,
    lower,
    one_line,
    without_server,
)
from taorunner.errors import EngineRefusedError, MachineError, TaorunnerError
from taorunner.host_commands import service_command
from taorunner.values.value import Value

_PASSING = (
    r"unexpected EOF|connection reset by peer|broken pipe|i/o timeout|TLS handshake timeout|"
    r"Client\.Timeout|context deadline exceeded|unexpected HTTP status: (?:5\d\d|429)|server misbehaving|"
    r"use of closed network connection|http2: |filesystem layer verification failed|"
    r"net/http: request canceled|Response ended prematurely|IncompleteRead|"
    r"context canceled|(?:connection|transport) is closing"  # from an engine that is stopping
)
_END = 8 * 1024  # characters; real texts have a few hundred
_RLIMITS = {"4": "core", "6": "nproc", "7": "nofile", "8": "memlock", "12": "msgqueue", "14": "rtprio"}


class Asked(Value):
    """The request, as far as messages use it: the engine's address, the image, the GPUs."""

    address: str | None = None
    image: str | None = None
    gpus: tuple[str, ...] = ()

    @property
    def of_podman(self) -> bool:
        """By the usual name of its socket."""
        return (self.address or "").endswith("podman.sock")


def translate(error: BaseException | str, asked: Asked | None = None) -> TaorunnerError:
    """The error with a readable message: ``MachineError`` if this machine lacks something, else ``EngineRefusedError``.

    ``error`` is an exception of docker-py, requests or the operating system, or the text of a pull stream.
    """
    if isinstance(error, TaorunnerError):
        return error
    asked = asked or Asked()
    known = recognised(text_of(error), asked)
    if known is not None:
        return known
    if _is_unanswered(error):
        return _no_engine(None, asked)
    engine = "podman" if asked.of_podman else "the docker engine"
    of_docker = "docker info and the engine's log (journalctl -u docker) show more"
    hint = "podman info shows more" if asked.of_podman else of_docker
    return EngineRefusedError(f"{engine} refused: {one_line(text_of(error))}", hint=hint)


def recognised(text: str, asked: Asked) -> TaorunnerError | None:
    """The translation of a known error text, else None."""
    for row in (*GPU_ROWS, *PODMAN_ROWS, *START_ROWS, *REGISTRY_ROWS):
        match = re.search(row.pattern, text, re.DOTALL | re.MULTILINE)
        if match is not None:
            return _of_row(row, match, asked)
    for pattern, make in _TABLE:
        match = re.search(pattern, text, re.DOTALL)  # compiled only after an error
        if match is not None:
            return make(match, asked)
    return None


def text_of(error: BaseException | str) -> str:
    """The engine's own text: docker-py has it in ``explanation``, and adds the URL in ``str()``.

    Of a very long one both ends: the time of a search may grow with the square of its length.
    """
    said = error if isinstance(error, str) else getattr(error, "explanation", None) or str(error)
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    if not isinstance(error, str):
        text = text or type(error).__name__
    return (text if len(text) <= 2 * _END else f"{text[:_END]} … {text[-_END:]}").strip()


def is_name_conflict(error: BaseException) -> bool:
    """True when a container of that name already exists."""
    return re.search(r"container name \S+ is already in use by", text_of(error)) is not None


def is_missing(error: BaseException) -> bool:
    """True when the engine reports that the container does not exist."""
    return getattr(error, "status_code", None) == 404 or "No such container" in text_of(error)


def is_missing_image(error: BaseException) -> bool:
    """True when the engine reports that it does not have the image (not an error before a pull)."""
    return "no such image" in text_of(error).lower()


def is_missing_manifest(error: BaseException) -> bool:
    """True when a registry reports that it has no image of that name."""
    return re.search(r"manifest unknown|name unknown|manifest for \S+ not found", text_of(error)) is not None


def is_passing(error: BaseException | str) -> bool:
    """True for a lost connection or an overloaded server: trying again may help."""
    return _is_unanswered(error) or re.search(_PASSING, text_of(error)) is not None


def is_not_running(error: BaseException) -> bool:
    """True when a signal was sent to a container that does not run."""
    return getattr(error, "status_code", None) == 409 or "container state improper" in text_of(error)


def is_going(error: BaseException) -> bool:
    """True when a container is already being removed."""
    return "is already in progress" in text_of(error)


# ---- sentences ------------------------------------------------------------------------------------------------


def _of_row(
    row: RefusalRow, match: re.Match[str] | None, asked: Asked, code: str | None = None
) -> TaorunnerError:
    image = asked.image or "the image"
    words = {} if match is None else {name: (text or "").strip() for name, text in match.groupdict().items()}
    words |= {"image": image, "registry": image.split("/")[0], "restart": service_command("restart")}
    words |= {"address": asked.address or "", "restart_apparmor": service_command("restart", "apparmor")}
    error = MachineError if row.of_machine else EngineRefusedError
    return error(row.message.format(**words)[:400].rstrip(" :"), hint=row.hint.format(**words), code=code)


_CODE = "engine"
"""Of errors about the engine itself: it cannot be reached."""
_Make = Callable[[re.Match[str], Asked], TaorunnerError]


def _no_engine(_: re.Match[str] | None, asked: Asked) -> TaorunnerError:
    if asked.of_podman:
        return _of_row(NO_PODMAN, None, asked, code=_CODE)
    return MachineError(
        f'no docker engine answers at "{asked.address or "the docker socket"}"',
        hint=f"start it with {service_command('start')}, or choose another one with DOCKER_HOST or docker context use",
        code=_CODE,
    )


def _no_permission(match: re.Match[str], asked: Asked) -> TaorunnerError:
    if asked.of_podman:
        return _of_row(NO_PERMISSION, None, asked, code=_CODE)
    return MachineError(
        f'no permission for the docker engine at "{asked.address or "the docker socket"}"',
        hint="sudo usermod -aG docker $USER, then log in again",
        code=_CODE,
    )


def _slow_engine(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return MachineError(
        f'the docker engine at "{asked.address or "the docker socket"}" does not answer in time',
        hint=f"check it with docker info; if it is stuck, {service_command('restart')}",
        code=_CODE,
    )


def _bad_address(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return MachineError(
        f'"{asked.address}" is not an address of a docker engine',
        hint="use unix://PATH, tcp://HOST:PORT or ssh://HOST",
        code=_CODE,
    )


def _api_version(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return MachineError(
        f"the docker engine speaks another API version: {match[0]}",
        hint="update the docker engine, or pip install -U docker",
    )


def _no_gpu_runtime(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return MachineError(
        "the docker engine cannot give GPUs to a container: it has no NVIDIA runtime",
        hint="install nvidia-container-toolkit, then: sudo nvidia-ctk runtime configure --runtime=docker "
        f"&& {service_command('restart')}",
    )


def _unknown_gpu(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return EngineRefusedError(
        f'there is no GPU "{match[1].strip()}" on the engine\'s machine',
        hint="list them with nvidia-smi -L, and correct gpu_indices in experiments.yml",
    )


def _driver(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return MachineError(
        f"the NVIDIA driver does not work: {one_line(match[1])}",
        hint="nvidia-smi must work on the engine's machine; after a driver update, reboot",
    )


def _image_not_found(match: re.Match[str], asked: Asked) -> TaorunnerError:
    image = asked.image or match[1] or "asked for"
    return EngineRefusedError(f'the image "{image}" does not exist', hint=image_hint(image))


def _no_access(match: re.Match[str], asked: Asked) -> TaorunnerError:
    image = asked.image or match[1] or "asked for"
    return EngineRefusedError(
        f'the image "{image}" does not exist, or it needs a login', hint=login_hint(image)
    )


def _no_login(match: re.Match[str], asked: Asked) -> TaorunnerError:
    image = asked.image or "the image"
    return MachineError(f'the registry of "{image}" requires a login', hint=login_hint(image))


def _bad_login(match: re.Match[str], asked: Asked) -> TaorunnerError:
    image = asked.image or "the image"
    return MachineError(f'the registry of "{image}" does not accept the stored login', hint=login_hint(image))


def _registry(match: re.Match[str], asked: Asked) -> TaorunnerError:
    image = asked.image or "the image"
    return EngineRefusedError(
        f'the registry of "{image}" cannot be reached: {without_server(match[1])}',
        hint="check the network of the engine's machine; an image that is already present needs no registry",
    )


def _broken_off(match: re.Match[str], asked: Asked) -> TaorunnerError:
    image = asked.image or "the image"
    return EngineRefusedError(
        f'the connection to the registry of "{image}" broke off: {lower(without_server(match[0]))}',
        hint="try again: the engine keeps the layers that are complete",
    )


def _rate_limit(match: re.Match[str], asked: Asked) -> TaorunnerError:
    image = asked.image or "the image"
    return EngineRefusedError(
        f'the registry of "{image}" limits the number of pulls for now',
        hint=f"wait, or {login_hint(image)}",
    )


def _platform(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return EngineRefusedError(
        f'the image "{asked.image or "asked for"}" is not built for this machine: {match[0]}',
        hint="TAO images are built for x86-64, some also for arm64: see taorunner networks",
    )


def _bad_reference(match: re.Match[str], asked: Asked) -> TaorunnerError:
    detail = f": {match[1].strip()}" if match[1] else ""
    return EngineRefusedError(
        f'"{asked.image or ""}" is not the name of an image{detail}',
        hint="write repository:tag in lower case, for example nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt",
    )


def _no_source(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return EngineRefusedError(
        f'the folder "{match[1].strip()}" to mount does not exist on the engine\'s machine',
        hint="create it, or correct Mounts in .tao_mounts.json",
    )


def _ulimit(match: re.Match[str], asked: Asked) -> TaorunnerError:
    name = _RLIMITS.get(match[1], f"number {match[1]}")
    return EngineRefusedError(
        f'the engine may not raise the limit "{name}"',
        hint=f'remove "{name}" from DockerOptions ulimits in .tao_mounts.json',
    )


def _unknown_ulimit(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return EngineRefusedError(
        f'there is no limit "{match[1].lower()}"',
        hint="use memlock, stack, nofile, nproc, core, … under DockerOptions ulimits",
    )


def _name_taken(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return EngineRefusedError(
        f'there is another container named "{match[1].lstrip("/")}"',
        hint=f"docker rm -f {match[1].lstrip('/')}",
    )


def _no_space(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return MachineError(
        "no space left on the disk of the docker engine",
        hint="see what uses it with docker system df; free some with docker image prune",
    )


def _no_command(match: re.Match[str], asked: Asked) -> TaorunnerError:
    where = f'the image "{asked.image}"' if asked.image else "the image"
    return EngineRefusedError(
        f'{where} has no command "{match[1]}"',
        hint="check image in experiments.yml: it may be of another framework or release (taorunner networks)",
    )


def _not_executable(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return EngineRefusedError(f'"{match[1]}" in the image cannot be run: {match[2]}')


def _port(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return EngineRefusedError(
        f'the port "{match[1]}" is in use on the engine\'s machine',
        hint="choose another port under DockerOptions ports in .tao_mounts.json",
    )


def _resources(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return EngineRefusedError(
        f"the engine cannot provide these resources: {lower(match[0])}",
        hint='set "cpus" and "memory" in experiments.yml to what it has, or remove them',
    )


def _helper(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return MachineError(
        f"the docker login cannot be read: {match[1] or match[2]}",
        hint="install the credential helper, or remove credsStore and credHelpers from ~/.docker/config.json",
    )


def _tls(match: re.Match[str], asked: Asked) -> TaorunnerError:
    return MachineError(
        f"the certificates for the docker engine cannot be used: {one_line(match[0])}",
        hint="put ca.pem, cert.pem and key.pem into DOCKER_CERT_PATH",
    )


_TABLE: tuple[tuple[str, _Make], ...] = (
    # the driver and its runtime
    (r"could not select device driver|[Uu]nknown (?:or invalid )?runtime", _no_gpu_runtime),
    (r"nvidia-container-cli: device error: (?:unknown device id: )?([\w.-]+)(?:: unknown device|\\|$)", _unknown_gpu),
    (r"nvidia-container-cli: ([^\n]+)", _driver),
    # images and registries
    (r"Credentials store error: StoreError\('([^']+)'\)|error getting credentials - err: ([^\n]+)", _helper),
    (r"toomanyrequests", _rate_limit),
    (r"invalid reference format(?:: ([^\n]+))?", _bad_reference),
    (r"pull access denied for ([^\s,]+)", _no_access),
    (r"no basic auth credentials|authorization failed: no basic auth", _no_login),
    (r"unauthorized|Unauthorized|authentication required|incorrect username|(?:^|[:\n] ?)denied: ", _bad_login),
    (r"manifest for (\S+) not found|[Nn]o such image: |manifest unknown", _image_not_found),
    (r"no matching manifest for \S+", _platform),
    (r"(lookup \S+(?: on \S+)?: [^\n\"]+|dial tcp [^\n\"]+|TLS handshake timeout|x509: [^\n\"]+|"
     r"http: server gave HTTP response to HTTPS client|net/http: request canceled[^\n\"]*|"
     r"(?<=\": )context deadline exceeded[^\n\"]*)", _registry),
    (r"unexpected EOF|connection reset by peer|(?:read|write) tcp [^\n\"]+|download failed after attempts=[^\n]+|"
     r"filesystem layer verification failed[^\n]*|[Rr]eceived unexpected HTTP status: [^\n\"]+", _broken_off),
    # settings of a container
    (r"wrong rlimit value: RLIMIT_(\w+)", _unknown_ulimit),
    (r"bind source path does not exist: ([^\n]+)", _no_source),
    (r"error mounting \"([^\"]+)\".*no such file or directory", _no_source),
    (r"error setting rlimit type (\d+)", _ulimit),
    (r"container name \"([^\"]+)\" is already in use", _name_taken),
    (r"no space left on device|disk quota exceeded", _no_space),
    (r"exec: \"([^\"]*)\": (?:executable file not found|stat \S+ no such file)", _no_command),
    (r"exec: \"?([^\":]*)\"?: ((?:permission denied|is a directory|exec format error)[^\n:]*)", _not_executable),
    (r"(?:Bind for |listen tcp4? |failed to bind host port )[^\s]*:(\d+)[^\n]*(?:allocated|in use)", _port),
    (r"Range of CPUs is [^\n]+", _resources),
    # the engine itself
    (r"Invalid bind address|npipe:// protocol|Invalid host|not a valid port", _bad_address),
    (r"client version \S+ is too (?:old|new)[^\n]*", _api_version),
    (r"Path to a certificate|TLS configuration|[Cc]ertificate[^\n]*(?:verify|invalid)|SSLError[^\n]*", _tls),
    (r"PermissionError\(13|permission denied while trying to connect|\[Errno 13\]", _no_permission),
    (r"timed out|Timeout", _slow_engine),
    (r"Cannot connect to the Docker daemon|//\./pipe/|could not be found in this WSL|error during connect|"
     r"Connection aborted|Connection refused|No such file or directory|Name or service not known|"
     r"Temporary failure in name resolution|Max retries exceeded|Connection reset|Broken pipe|"
     r"Error while fetching server API version", _no_engine),
)  # fmt: skip


def _is_unanswered(error: BaseException | str) -> bool:
    """True for the built-in ConnectionError and the one of requests, which is not imported here."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return bool(names & {"ConnectionError", "ChunkedEncodingError", "ProtocolError"})
