"""The engine's words as sentences with a repair."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taorunner.container_options import ContainerOptions, ContainerSettings, Mount
from taorunner.engine import client, containers, images
from taorunner.engine.refusal_rows import (
    GPU_ROWS,
    REGISTRY_ROWS,
    START_ROWS,
    image_hint,
    login_hint,
    without_server,
)
from taorunner.engine.refusals import Asked, is_passing, text_of, translate
from taorunner.errors import EngineRefusedError, MachineError, TaorunnerError
from taorunner.host_commands import service_command

TAO = "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt"
NGC_LOGIN = (
    "docker login nvcr.io --username '$oauthtoken'  (type it literally; the password is your NGC API key "
    "from https://org.ngc.nvidia.com/setup/api-key)"
)
GPU_REPAIR = (
    "install nvidia-container-toolkit, then: sudo nvidia-ctk runtime configure --runtime=docker "
    f"&& {service_command('restart')}"
)

RUNC = "failed to create task for container: OCI runtime create failed: runc create failed: unable to start container process: "

# Texts that the engines of the test machines cannot be made to say, as seen on others.
LESS = 'set "cpus" and "memory" in experiments.yml to what it has, or remove them'
SEEN = [
    (
        'could not select device driver "" with capabilities: [[gpu]]',
        MachineError, "the docker engine cannot give GPUs to a container: it has no NVIDIA runtime", GPU_REPAIR,
    ),
    (
        "Unknown runtime specified nvidia",
        MachineError, "the docker engine cannot give GPUs to a container: it has no NVIDIA runtime", GPU_REPAIR,
    ),
    (
        "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
        "unable to start container process: error during container init: error running hook #0: error running hook: exit "
        "status 1, stdout: , stderr: Auto-detected mode as 'legacy'\nnvidia-container-cli: device error: 7: unknown device: "
        "unknown",
        EngineRefusedError, 'there is no GPU "7" on the engine\'s machine',
        "list them with nvidia-smi -L, and correct gpu_indices in experiments.yml",
    ),
    (
        "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown",
        MachineError, "the NVIDIA driver does not work: initialization error: nvml error: driver not loaded",
        "nvidia-smi must work on the engine's machine; after a driver update, reboot",
    ),
    (
        'Head "https://nvcr.io/v2/nvidia/tao/manifests/5.5.0": no basic auth credentials',
        MachineError, f'the registry of "{TAO}" requires a login', NGC_LOGIN,
    ),
    (
        "unauthorized: authentication required",
        MachineError, f'the registry of "{TAO}" does not accept the stored login', NGC_LOGIN,
    ),
    (
        f"manifest for {TAO} not found: manifest unknown: manifest unknown",
        EngineRefusedError, f'the image "{TAO}" does not exist', f"check the tag with taorunner networks; {NGC_LOGIN}",
    ),
    (
        "pull access denied for tao, repository does not exist or may require 'docker login': denied: requested access",
        EngineRefusedError, f'the image "{TAO}" does not exist, or it needs a login', NGC_LOGIN,
    ),
    (
        'Get "https://nvcr.io/v2/": dial tcp: lookup nvcr.io on 127.0.0.53:53: no such host',
        EngineRefusedError, f'the registry of "{TAO}" cannot be reached: lookup nvcr.io: no such host',
        "check the network of the engine's machine; an image that is already present needs no registry",
    ),
    (
        'Get "https://nvcr.io/v2/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        EngineRefusedError,
        f'the registry of "{TAO}" cannot be reached: context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        "check the network of the engine's machine; an image that is already present needs no registry",
    ),
    (
        "error during connect: this error may indicate that the docker daemon is not running: open //./pipe/docker_engine",
        MachineError, 'no docker engine answers at "unix:///var/run/docker.sock"',
        f"start it with {service_command('start')}, or choose another one with DOCKER_HOST or docker context use",
    ),
    (
        "unexpected EOF",
        EngineRefusedError, f'the connection to the registry of "{TAO}" broke off: unexpected EOF',
        "try again: the engine keeps the layers that are complete",
    ),
    (
        "received unexpected HTTP status: 503 Service Unavailable",
        EngineRefusedError,
        f'the connection to the registry of "{TAO}" broke off: received unexpected HTTP status: 503 Service Unavailable',
        "try again: the engine keeps the layers that are complete",
    ),
    (
        "toomanyrequests: You have reached your pull rate limit.",
        EngineRefusedError, f'the registry of "{TAO}" limits the number of pulls for now', f"wait, or {NGC_LOGIN}",
    ),
    (
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        EngineRefusedError, f'the image "{TAO}" is not built for this machine: no matching manifest for linux/arm64/v8',
        "TAO images are built for x86-64, some also for arm64: see taorunner networks",
    ),
    (
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error "
        "during container init: error setting rlimits for ready process: error setting rlimit type 8: operation not "
        "permitted: unknown",
        EngineRefusedError, 'the engine may not raise the limit "memlock"',
        'remove "memlock" from DockerOptions ulimits in .tao_mounts.json',
    ),
    (
        "failed to register layer: write /usr/lib/libtorch.so: no space left on device",
        MachineError, "no space left on the disk of the docker engine",
        "see what uses it with docker system df; free some with docker image prune",
    ),
    (
        'failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: '
        '"dino": executable file not found in $PATH: unknown',
        EngineRefusedError, f'the image "{TAO}" has no command "dino"',
        "check image in experiments.yml: it may be of another framework or release (taorunner networks)",
    ),
    (
        'OCI runtime create failed: runc create failed: unable to start container process: exec: "/etc/hosts": permission '
        "denied: unknown",
        EngineRefusedError, '"/etc/hosts" in the image cannot be run: permission denied', None,
    ),
    (
        "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        EngineRefusedError,
        "the engine cannot provide these resources: range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs "
        "available", LESS,
    ),
    (
        "Minimum memory limit allowed is 6MB",
        EngineRefusedError, "the memory of the run is below what the engine allows: minimum memory limit allowed is 6MB",
        'raise "memory" in experiments.yml, or remove it',
    ),
    (
        "driver failed programming external connectivity on endpoint x: Bind for 0.0.0.0:8888 failed: port is already "
        "allocated",
        EngineRefusedError, 'the port "8888" is in use on the engine\'s machine',
        "choose another port under DockerOptions ports in .tao_mounts.json",
    ),
    (
        "Credentials store error: StoreError('docker-credential-desktop not installed or not available in PATH')",
        MachineError, "the docker login cannot be read: docker-credential-desktop not installed or not available in PATH",
        "install the credential helper, or remove credsStore and credHelpers from ~/.docker/config.json",
    ),
    (
        "client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version",
        MachineError,
        "the docker engine speaks another API version: client version 1.41 is too old. Minimum supported API version is "
        "1.44, please upgrade your client to a newer version",
        "update the docker engine, or pip install -U docker",
    ),
    ("failed to create shim task: something new: unknown", EngineRefusedError, "the docker engine refused: something new", "docker info and the engine's log (journalctl -u docker) show more"),
    ("", EngineRefusedError, "the docker engine refused: no reason given", "docker info and the engine's log (journalctl -u docker) show more"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "message", "hint"), SEEN)
def test_texts_seen_elsewhere(
    text: str, kind: type[TaorunnerError], message: str, hint: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NGC_API_KEY", raising=False)
    error = translate(text, Asked("unix:///var/run/docker.sock", TAO))
    assert (type(error), error.message, error.hint) == (kind, message, hint)


# One text for each row of ``refusal_rows``, in its order, with the sentence.
ROWS = [
    ('could not select device driver "cdi" with capabilities: []', "the docker engine cannot give GPUs to a container: its support for CDI is off"),
    (RUNC + "failed to inject CDI devices: unresolvable CDI devices nvidia.com/gpu=all: unknown", "the engine has no description of the GPUs (CDI)"),
    ("failed to inject CDI devices: unresolvable CDI devices nvidia.com/gpu=9: unknown", 'there is no GPU "9" on the engine\'s machine'),
    (RUNC + 'exec: "nvidia-container-runtime": executable file not found in $PATH: unknown', "the docker engine cannot give GPUs to a container: its NVIDIA runtime is not installed"),
    ("nvidia-container-cli: detection error: nvml error: unknown error: unknown", "the NVIDIA driver does not answer the container toolkit: nvml error: unknown error"),
    ("nvidia-container-cli: initialization error: WSL environment detected but no adapters were found", "WSL sees no GPU"),
    ("nvidia-container-cli: ldcache error: process /sbin/ldconfig terminated with signal 9: unknown", "the NVIDIA container toolkit could not run ldconfig in the image: process /sbin/ldconfig terminated with signal 9"),
    ("nvidia-container-cli: mount error: file creation failed: /var/lib/x/merged/usr/lib/libcuda.so.1: file exists: unknown", f'the image "{TAO}" contains a library of the driver: "libcuda.so.1"'),
    ("nvidia-container-cli: mount error: failed to add device rules: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted: unknown", "the NVIDIA container toolkit may not give devices to a container (cgroups)"),
    ("nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your driver", "the NVIDIA driver of the engine's machine is too old for this image, which needs cuda>=12.8"),
    ("nvidia-container-cli: requirement error: unsatisfied condition: brand=tesla: unknown", "this image does not support the GPU or driver of the engine's machine: unsatisfied condition: brand=tesla"),
    (RUNC + "container init was OOM-killed (memory limit too low?)", "the memory of the run is too little even to start its container"),
    ("error creating cgroup: mkdir /sys/fs/cgroup/docker/x: no space left on device", "the kernel of the engine's machine can make no further cgroup: a limit of it is reached, not one of a disk"),
    ("Minimum memory limit allowed is 6MB", "the memory of the run is below what the engine allows: minimum memory limit allowed is 6MB"),
    ("error running prestart hook #0: exit status 1, stdout: , stderr: Using requested mode 'cdi'\ninvoking the NVIDIA Container Runtime Hook directly (e.g. specifying the docker --gpus flag) is not supported.", "the NVIDIA container toolkit is set to CDI, and the docker engine asks it for GPUs in the older way"),
    ("json: cannot unmarshal object into Go struct field Process.capabilities of type []string: unknown", "docker and its runtime (runc, containerd) do not understand each other: json: cannot unmarshal object into Go struct field Process.capabilities of type []string"),
    ("unable to find user ada: no matching entries in passwd file", 'the image has no user "ada"'),
    ("network mine not found", 'the engine has no network "mine"'),
    ('error gathering device information while adding custom device "/dev/nvidiactl": no such file or directory', 'the engine\'s machine has no device "/dev/nvidiactl": its NVIDIA driver is not loaded'),
    ("nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: unknown", 'the engine\'s machine shows no NVIDIA driver: "libnvidia-ml.so.1" is missing'),
    ("nvidia-container-cli: initialization error: change root failed: no such file or directory: unknown", "the NVIDIA container toolkit looks for the driver below a folder that is not there: change root failed: no such file or directory"),
    ("nvidia-container-runtime did not terminate successfully: exit status 1: failed to create NVIDIA Container Runtime: error constructing low-level runtime: error locating runtime: no runtime binary found from candidate list: [docker-runc runc crun]: unknown", "the NVIDIA runtime of the engine could not start: error locating runtime: no runtime binary found from candidate list: [docker-runc runc crun]"),
    ("error creating overlay mount to /var/lib/docker/overlay2/ab/merged: no such file or directory", f'the engine\'s copy of the image "{TAO}" is incomplete'),
    ("write /proc/self/oom_score_adj: permission denied: unknown", "the engine may not set how a container is treated when memory runs out (oom_score_adj), as a rootless one"),
    ("nvidia-container-cli: initialization error: driver rpc error: timed out: unknown", "the NVIDIA driver answers too slowly to start a container"),
    ("nvidia-container-cli: mount error: stat failed: /dev/nvidia-modeset: no such file or directory: unknown", 'a file of the NVIDIA driver is missing on the engine\'s machine: "/dev/nvidia-modeset"'),
    ("nvidia-container-cli: permission error: capability change failed: operation not permitted: unknown", "the NVIDIA container toolkit lacks a permission: permission error: capability change failed: operation not permitted: unknown"),
    ("nvidia-container-cli: detection error: path error: something new: unknown", "the NVIDIA container toolkit failed: detection error: path error: something new"),
    ("Mounts denied: approving /Users/u/Desktop/x: file does not exist", 'Docker Desktop may not access the folder "/Users/u/Desktop/x"'),
    ("Mounts denied: The path /data/x is not shared from the host and is not known to Docker.", 'Docker Desktop may not access the folder "/data/x"'),
    ("user declined directory sharing", "Docker Desktop may not access a folder to mount"),
    ("error while creating mount source path '/host_mnt/c/data': mkdir /host_mnt/c: permission denied", 'Docker Desktop cannot reach the folder "/c/data"'),
    ("error while creating mount source path '/nas/x': mkdir /nas/x: file exists", 'the engine cannot read the folder "/nas/x" to mount: its file system is no longer available'),
    ("error while creating mount source path '/data/x': mkdir /data: read-only file system", 'the folder "/data/x" to mount does not exist, and the engine may not create it: read-only file system'),
    (RUNC + 'error mounting "/h/a.yaml" to rootfs at "/w/a.yaml": mount /h/a.yaml:/w/a.yaml, flags: 0x5000: not a directory: unknown', 'a folder cannot be mounted onto a file, nor a file onto a folder: "/h/a.yaml" at "/w/a.yaml"'),
    (RUNC + 'error mounting "/nas/x" to rootfs at "/w": stat /nas/x: permission denied: unknown', 'the engine cannot mount "/nas/x": permission denied'),
    ("invalid volume specification: 'C:\\data:/w:rw:x'", 'the engine cannot mount this folder: "C:\\data:/w:rw:x"'),
    (RUNC + "apparmor failed to apply profile: write /proc/self/attr/exec: no such file or directory: unknown", "the engine could not set its AppArmor profile"),
    (RUNC + "error setting up exec command: write /proc/self/attr/keycreate: permission denied: unknown", "SELinux does not let the container start"),
    (RUNC + "unable to init seccomp: error loading seccomp filter: errno 524: unknown", "the engine could not set its filter of system calls (seccomp)"),
    ("authorization denied by plugin gate: no privileged containers", 'the plugin "gate" of the docker engine forbids this: no privileged containers'),
    (RUNC + 'exec: "/entry.sh": exec format error: unknown', f'the image "{TAO}" is built for another CPU architecture than the engine\'s machine'),
    ("driver failed programming external connectivity: iptables failed: iptables --wait -t nat: No chain by that name", "the docker engine's firewall rules are gone"),
    ("cgroups: cgroup mountpoint does not exist: unknown", "the engine's machine has no cgroups that this docker can use"),
    ("fork/exec /usr/bin/runc: resource temporarily unavailable", "the engine's machine has no memory or no processes left to start a container"),
    ("failed to authorize: unexpected status from GET request to https://nvcr.io/proxy_auth: 403 Forbidden", f'the registry of "{TAO}" does not allow this account to pull it'),
    ('Get "https://nvcr.io/v2/": x509: certificate has expired or is not yet valid: current time is x', f'the registry of "{TAO}" cannot be reached: x509: certificate has expired or is not yet valid: current time is x'),
    ('Get "https://nvcr.io/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority', f'the registry of "{TAO}" cannot be reached: x509: certificate signed by unknown authority'),
    ('Get "https://registry-1.docker.io/v2/": EOF', 'the registry "registry-1.docker.io" closed the connection without an answer'),
    ("create nvidia_driver_384.130: VolumeDriver.Create: internal error, check logs for details.", "the engine's machine still has the plugin of nvidia-docker 1, which does not work"),
    ("unable to apply caps: operation not permitted", "the engine may not give a container these privileges"),
    ("Duplicate mount point: /workspace", 'two folders have the same destination "/workspace"'),
    ("No such container: 50dabf092393a2d7890e7202bb07281e5b55755bada1b60b66abca559c8fe389", 'the container is gone: it was removed while the run used it ("50dabf092393")'),
    ('Get "https://nvcr.io/v2/": proxyconnect tcp: dial tcp 127.0.0.1:3128: connect: connection refused', "the proxy of the docker engine does not answer: dial tcp 127.0.0.1:3128: connect: connection refused"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), ROWS)
def test_texts_of_toolkit_mounts_and_security(text: str, message: str) -> None:
    error = translate(text, Asked("unix:///var/run/docker.sock", TAO))
    assert error.message == message
    assert error.hint
    assert "{" not in error.hint.replace('{"features": {"cdi": true}}', "")
    assert "docker login" not in error.hint


def test_every_row_has_a_text() -> None:
    rows = (*GPU_ROWS, *START_ROWS, *REGISTRY_ROWS)
    texts = [text for text, _ in ROWS]
    first = {next((row for row in rows if re.search(row.pattern, text, re.S | re.M)), None) for text in texts}
    assert first == set(rows)


def test_what_this_machine_lacks_and_what_the_engine_refuses() -> None:
    """They have different exit codes."""
    refused = {
        message for text, message in ROWS
        if not isinstance(translate(text, Asked("unix:///var/run/docker.sock", TAO)), MachineError)
    }  # fmt: skip
    starts = (
        'there is no GPU "', "the engine's copy of", "the engine may not set how", 'the registry "', "the container is gone", "Docker Desktop may not access", "Docker Desktop cannot reach", "the engine cannot read",
        'the folder "', "a folder cannot be mounted", "the engine cannot mount", "the plugin ", f'the image "{TAO}" contains',
        f'the image "{TAO}" is built for', f'the registry of "{TAO}" does not allow',
        f'the registry of "{TAO}" cannot be reached: x509', "the memory of the run", "the image has no user",
        "the engine has no network", "the engine may not give", "two folders",
    )  # fmt: skip
    assert refused == {message for _, message in ROWS if message.startswith(starts)}
    assert refused < {message for _, message in ROWS}


@pytest.mark.parametrize(
    ("text", "is_login"),
    [
        ("denied: requested access to the resource is denied", True),
        ("error from registry: denied: denied", True),
        ("Mounts denied: approving /x: file does not exist", False),
        ("open /x: permission denied: y", False),
        ("authorization denied by plugin gate: x", False),
    ],
)
def test_only_a_registry_refuses_a_login(text: str, is_login: bool) -> None:
    assert ("login" in translate(text, Asked(None, "reg.example/x:1")).message) is is_login


@pytest.mark.parametrize(
    ("text", "may_help"),
    [
        ("error creating lease: grpc: the client connection is closing: context canceled", True),
        ("received unexpected HTTP status: 502 Bad Gateway", True),
        ("read tcp 10.0.0.1:4->1.2.3.4:443: read: connection reset by peer", True),
        ("unexpected EOF", True),
        ("no basic auth credentials", False),
        ("manifest unknown: manifest unknown", False),
        ("dial tcp 127.0.0.1:9: connect: connection refused", False),
        ("write /usr/lib/libtorch.so: no space left on device", False),
        ("received unexpected HTTP status: 404 Not Found", False),
    ],
)
def test_what_trying_again_may_help(text: str, may_help: bool) -> None:
    assert is_passing(text) is may_help


def test_the_login_of_ngc_takes_the_key_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NGC_API_KEY", "nvapi-secret")
    error = translate("no basic auth credentials", Asked(None, TAO))
    assert (
        error.hint == "echo \"$NGC_API_KEY\" | docker login nvcr.io --username '$oauthtoken' --password-stdin"
    )


@pytest.fixture
def connected(docker_environment: None) -> client.Engine:
    return client.connect()


@pytest.fixture
def refusal(
    connected: client.Engine, noop_image: str, tmp_path: Path
) -> Iterator[Callable[..., TaorunnerError]]:
    """What creating and starting a container with these settings raises."""
    name = f"refused-{tmp_path.parent.name}-{tmp_path.name}"[:120]

    def provoke(**settings: Any) -> TaorunnerError:
        whole = ContainerSettings(**{"name": name, "image": noop_image, "command": ("true",), **settings})
        with pytest.raises(TaorunnerError) as caught:
            container = containers.create(connected, whole)
            assert container is not None
            containers.start(connected, container, whole.image)
        return caught.value

    yield provoke
    containers.remove(connected, name)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image": "nosuch:1"}, 'the image "nosuch:1" does not exist'),
        ({"image": "Nosuch:1"}, '"Nosuch:1" is not the name of an image: repository name must be lowercase'),
        (
            {"mounts": (Mount(Path("/not/there"), "/x"),)},
            'the folder "/not/there" to mount does not exist on the engine\'s machine',
        ),
        (
            {"mounts": (Mount(Path("/tmp"), "/x"), Mount(Path("/usr"), "/x"))},
            'two folders have the same destination "/x"',
        ),
        ({"options": ContainerOptions(user="somebody")}, 'the image has no user "somebody"'),
        ({"options": ContainerOptions(network="nowhere")}, 'the engine has no network "nowhere"'),
        ({"options": ContainerOptions(ulimits={"speed": 1})}, 'there is no limit "speed"'),
        (
            {"options": ContainerOptions(shm_bytes=-1)},
            "the docker engine refused: SHM size can not be less than 0",
        ),
    ],
)
def test_refusals_of_a_real_engine(
    refusal: Callable[..., TaorunnerError], settings: dict[str, Any], message: str
) -> None:
    error = refusal(**settings)
    assert (type(error), error.message) == (EngineRefusedError, message)


@pytest.mark.engine
def test_more_cpus_than_the_machine_has(refusal: Callable[..., TaorunnerError]) -> None:
    error = refusal(cpus=100_000)
    assert error.message.startswith(
        "the engine cannot provide these resources: range of CPUs is from 0.01 to "
    )
    assert (type(error), error.hint) == (EngineRefusedError, LESS)


@pytest.mark.engine
def test_a_port_in_use(refusal: Callable[..., TaorunnerError]) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        error = refusal(options=ContainerOptions(ports={80: port}))
    assert (type(error), error.message) == (
        EngineRefusedError,
        f'the port "{port}" is in use on the engine\'s machine',
    )


@pytest.mark.engine
@pytest.mark.parametrize(
    ("image", "kind", "message"),
    [
        ("127.0.0.1:9/x:1", EngineRefusedError, 'the registry of "127.0.0.1:9/x:1" cannot be reached: dial tcp 127.0.0.1:9: '),
        ("nosuch.invalid/x:1", EngineRefusedError, 'the registry of "nosuch.invalid/x:1" cannot be reached: lookup nosuch.inv'),
        ("No Name", EngineRefusedError, '"No Name" is not the name of an image'),
    ],
)  # fmt: skip
def test_pulls_that_cannot_be(connected: client.Engine, image: str, kind: type, message: str) -> None:
    with pytest.raises(kind) as caught:
        images.pull(connected, image, lambda state: None)
    assert str(caught.value).startswith(message)


@pytest.mark.engine
def test_a_credential_helper_that_is_not_there(
    connected: client.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "desktop-not-there"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(MachineError) as caught:
        images.pull(client.connect(), "127.0.0.1:9/x:1", lambda state: None)
    assert caught.value.message.startswith(
        "the docker login cannot be read: docker-credential-desktop-not-there "
    )


@pytest.mark.engine
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_no_permission_on_the_socket(docker_environment: None, engine: Any) -> None:
    os.seteuid(65534)
    try:
        with pytest.raises(MachineError) as caught:
            client.connect()
    finally:
        os.seteuid(0)
    assert caught.value.message == f'no permission for the docker engine at "{engine.url}"'
    assert caught.value.hint == "sudo usermod -aG docker $USER, then log in again"


NGC = "docker login nvcr.io --username '$oauthtoken'"


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("ubuntu:24.04", "docker login"),
        ("org/name:1", "docker login"),
        ("localhost/name:1", "docker login localhost"),
        ("host:5000/name:1", "docker login host:5000"),
        ("ghcr.io/org/name:1", "docker login ghcr.io"),
        ("localhost:1", "docker login"),  # the name of an image and its tag
    ],
)
def test_the_login_is_that_of_the_registry(image: str, command: str) -> None:
    assert login_hint(image) == command


def test_the_login_of_ngc_takes_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NGC_API_KEY", raising=False)
    assert login_hint("nvcr.io/x:1").startswith(f"{NGC}  (type it literally")
    monkeypatch.setenv("NGC_API_KEY", "secret")
    assert login_hint("nvcr.io/x:1") == f'echo "$NGC_API_KEY" | {NGC} --password-stdin'
    assert image_hint("nvcr.io/x:1") == f"check the tag with taorunner networks; {login_hint('nvcr.io/x:1')}"


@pytest.mark.parametrize(
    ("image", "hint"),
    [
        ("nvcr.io/x@sha256:1", "taorunner image lock locks what the tag names now"),
        ("x:1", "check name and tag: docker pull x:1 says more"),
        ("mirror/nvcr.io/x:1", "check name and tag: docker pull mirror/nvcr.io/x:1 says more"),
    ],
)
def test_what_to_do_about_an_image_that_does_not_exist(image: str, hint: str) -> None:
    assert image_hint(image).startswith(hint)


def test_the_address_of_a_name_server_is_left_out() -> None:
    text = "dial tcp: lookup nvcr.io on 10.0.0.1:53: no such host"
    assert without_server(text) == "dial tcp: lookup nvcr.io: no such host"


def test_a_service_is_restarted_as_this_machine_does_it() -> None:
    text = (
        RUNC
        + "apparmor failed to apply profile: write /proc/self/attr/exec: no such file or directory: unknown"
    )
    error = translate(text, Asked("unix:///var/run/docker.sock", TAO))
    assert error.hint == f"{service_command('restart', 'apparmor')} && {service_command('restart')}"


def test_of_a_very_long_refusal_both_ends_are_searched() -> None:
    known = "Unknown runtime specified nvidia"
    for text in (known + "x" * 200_000, "x" * 200_000 + " " + known):
        assert len(text_of(text)) < 20_000
        assert "has no NVIDIA runtime" in str(translate(text))
