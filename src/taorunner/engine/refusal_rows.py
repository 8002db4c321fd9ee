"""Engine errors with fixed messages: the NVIDIA toolkit, mounts, Docker Desktop, security.

Data for ``refusals``, most specific first. The table in ``refusals``, whose messages need code, comes after these.
Source: public messages of dockerd, runc, nvidia-container-toolkit and Docker Desktop.
"""

from __future__ import annotations

import os
import re

from taorunner.values.value import Value

_WRAPPING = re.compile(
    r"^(?:failed to create (?:shim )?task(?: for container)?: |OCI runtime create failed: |runc create "
    r"failed: )+"
)


class RefusalRow(Value):
    """``pattern`` is searched in the engine's text. ``message`` and ``hint`` may use its named groups, ``{image}`` and
    ``{registry}``. ``of_machine``: this machine lacks something (``MachineError``)."""

    pattern: str
    message: str
    hint: str
    of_machine: bool = False


_TOOLKIT = "sudo nvidia-ctk runtime configure --runtime=docker && {restart}"
_SHARE = (
    "share it in Docker Desktop (Settings, Resources, File sharing; on a Mac also Privacy & Security), "
    "then restart it"
)

GPU_ROWS: tuple[RefusalRow, ...] = (
    RefusalRow(
        r"OOM-killed|(?:running hook|container init)[^\n]*(?:exit status 137|signal: killed)",
        "the memory of the run is too little even to start its container",
        'raise "memory" in experiments.yml, or remove it; on a cluster, the limit of the job',
    ),
    RefusalRow(
        r"invoking the NVIDIA Container Runtime Hook directly",
        "the NVIDIA container toolkit is set to CDI, and the docker engine asks it for GPUs in the older way",
        "sudo nvidia-ctk config --in-place --set nvidia-container-runtime.mode=auto, then: {restart}",
        of_machine=True,
    ),
    RefusalRow(
        r"could not select device driver \"?cdi|CDI[^\n]{0,40}(?:not enabled|disabled)",
        "the docker engine cannot give GPUs to a container: its support for CDI is off",
        'set {{"features": {{"cdi": true}}}} in /etc/docker/daemon.json, then: {restart}',
        of_machine=True,
    ),
    RefusalRow(
        r"unresolvable CDI devices [\w./-]+=all\b|CDI (?:spec|registry)[^\n]{0,60}(?:not found|no such file|"
        r"empty)|discover GPU vendor from CDI",
        "the engine has no description of the GPUs (CDI)",
        "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
        of_machine=True,
    ),
    RefusalRow(
        r"unresolvable CDI devices [\w./-]+=(?P<gpu>[\w:.-]*\w)",
        'there is no GPU "{gpu}" on the engine\'s machine',
        "list them with nvidia-smi -L and nvidia-ctk cdi list; correct gpu_indices in experiments.yml, or "
        "describe new ones: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
    ),
    RefusalRow(
        r"exec: \"[^\"]*nvidia-container-runtime[^\"]*\": [^\n]*(?:not found|no such file)"
        r"|(?:invalid|unknown) runtime name:? ?\"?nvidia"
        r"|nvidia-container-runtime(?:-hook)?\"?: (?:no such file|not found)"
        r"|nvidia-container-cli[\"']?: (?:executable file )?not found|exec: \"nvidia-container-cli\"",
        "the docker engine cannot give GPUs to a container: its NVIDIA runtime is not installed",
        f"install nvidia-container-toolkit, then: {_TOOLKIT}",
        of_machine=True,
    ),
    RefusalRow(
        r"VolumeDriver\.|create nvidia_driver_[\d.]+|legacy plugin[^\n]*nvidia",
        "the engine's machine still has the plugin of nvidia-docker 1, which does not work",
        f"remove it (nvidia-docker 1), install nvidia-container-toolkit, then: {_TOOLKIT}",
        of_machine=True,
    ),
    RefusalRow(
        r"WSL environment detected but no adapters|libdxcore\.so|dxcore (?:error|initialization)",
        "WSL sees no GPU",
        "update the NVIDIA driver on Windows, then: wsl --update and wsl --shutdown; nvidia-smi must work in "
        "WSL",
        of_machine=True,
    ),
    RefusalRow(
        r"nvidia-container-cli(?:\.real)?: ldcache error: (?P<what>[^\n]+?)(?:: unknown)?$",
        "the NVIDIA container toolkit could not run ldconfig in the image: {what}",
        "update nvidia-container-toolkit, and see ldconfig in /etc/nvidia-container-runtime/config.toml",
        of_machine=True,
    ),
    RefusalRow(
        r"mount error: file creation failed: [^\n]*/(?P<what>lib[\w.+-]+): file exists",
        'the image "{image}" contains a library of the driver: "{what}"',
        "rebuild the image without libcuda.so.1 and libnvidia-*.so.1 (docker commit under WSL includes them)",
    ),
    RefusalRow(
        r"nvidia-container-cli[^\n]*(?:cgroup|bpf_prog_query|device rules|devices\.allow)",
        "the NVIDIA container toolkit may not give devices to a container (cgroups)",
        "a rootless engine needs no-cgroups = true in /etc/nvidia-container-runtime/config.toml; else update "
        "nvidia-container-toolkit",
        of_machine=True,
    ),
    RefusalRow(
        r"requirement error: unsatisfied condition: (?P<what>(?:cuda|driver)[^\n,]*)",
        "the NVIDIA driver of the engine's machine is too old for this image, which needs {what}",
        'update the driver, or use an older "release"',
        of_machine=True,
    ),
    RefusalRow(
        r"requirement error: (?P<what>[^\n]+?)(?:: unknown)?$",
        "this image does not support the GPU or driver of the engine's machine: {what}",
        'use another "release", or another machine',
        of_machine=True,
    ),
    RefusalRow(
        r"custom device \"(?P<what>/dev/nvidia[\w/-]*)\": no such file",
        'the engine\'s machine has no device "{what}": its NVIDIA driver is not loaded',
        "nvidia-smi must work there; it also creates the devices",
        of_machine=True,
    ),
    RefusalRow(
        r"load library failed: (?P<what>lib[\w.-]+)",
        'the engine\'s machine shows no NVIDIA driver: "{what}" is missing',
        "install the driver there: nvidia-smi must work; docker from snap and Docker Desktop see another "
        "machine",
        of_machine=True,
    ),
    RefusalRow(
        r"nvidia-container-cli(?:\.real)?: initialization error: change root failed: (?P<what>[^\n:]+)",
        "the NVIDIA container toolkit looks for the driver below a folder that is not there: change root "
        "failed: {what}",
        "correct or remove root in /etc/nvidia-container-runtime/config.toml, then: {restart}",
        of_machine=True,
    ),
    RefusalRow(
        r"failed to create NVIDIA Container Runtime: (?:error constructing [^:\n]+: )?(?P<what>[^\n]+?)(?:: unknown)?$",
        "the NVIDIA runtime of the engine could not start: {what}",
        "install runc on the engine's machine (docker's packages hold it) and update nvidia-container-toolkit",
        of_machine=True,
    ),
    RefusalRow(
        r"driver rpc error: timed out|nvidia-container-cli[^\n]*timed out",
        "the NVIDIA driver answers too slowly to start a container",
        "keep it loaded: sudo nvidia-smi -pm 1 (or the nvidia-persistenced service), then start the run again",
        of_machine=True,
    ),
    RefusalRow(
        r"mount error: (?:stat|open|mount operation) failed: (?P<what>/[^\s:]+): no such (?:file|device)",
        'a file of the NVIDIA driver is missing on the engine\'s machine: "{what}"',
        "nvidia-smi must work there; after a driver update, reboot",
        of_machine=True,
    ),
    RefusalRow(
        r"nvidia-container-cli(?:\.real)?: (?P<what>(?:permission error|[^\n]*"
        r"(?:operation not permitted|permission denied|insufficient permissions))[^\n]*)",
        "the NVIDIA container toolkit lacks a permission: {what}",
        "a rootless engine needs no-cgroups = true in /etc/nvidia-container-runtime/config.toml",
        of_machine=True,
    ),
    RefusalRow(
        r"nvidia-container-cli(?:\.real)?: detection error: (?P<what>(?:nvml|cuda|driver)[^\n]+?)(?:: unknown)?$",
        "the NVIDIA driver does not answer the container toolkit: {what}",
        "nvidia-smi must work on the engine's machine: if not, reboot; else update nvidia-container-toolkit",
        of_machine=True,
    ),
    RefusalRow(
        r"nvidia-container-cli(?:\.real)?: (?!device error|initialization error|driver error|nvml error|cuda "
        r"error)(?P<what>[^\n]+?)(?:: unknown)?$",
        "the NVIDIA container toolkit failed: {what}",
        "update nvidia-container-toolkit; sudo nvidia-container-cli -k -d /dev/tty info shows details",
        of_machine=True,
    ),
)

START_ROWS: tuple[RefusalRow, ...] = (
    RefusalRow(
        r"unable to apply caps|error applying caps",
        "the engine may not give a container these privileges",
        'remove "privileged" from DockerOptions in .tao_mounts.json, or use an engine that runs as root',
    ),
    RefusalRow(
        r"Duplicate mount point: (?P<what>\S+)",
        'two folders have the same destination "{what}"',
        "use each destination once under Mounts in .tao_mounts.json",
    ),
    RefusalRow(
        r"Minimum memory (?P<what>limit [^\n]+)",
        "the memory of the run is below what the engine allows: minimum memory {what}",
        'raise "memory" in experiments.yml, or remove it',
    ),
    RefusalRow(
        r"(?P<what>cgroup|inotify)[^\n]*[Nn]o space left on device",
        "the kernel of the engine's machine can make no further {what}: a limit of it is reached, not one of a disk",
        "stop containers that nobody uses; a reboot of that machine clears it",
        of_machine=True,
    ),
    RefusalRow(
        r"[Mm]ounts denied:[^\n]*?\s(?P<what>/[^\s:]+|[A-Za-z]:\\[^\n:]+?)(?=[\s:]|$)",
        'Docker Desktop may not access the folder "{what}"',
        _SHARE,
    ),
    RefusalRow(
        r"[Mm]ounts denied|user declined directory sharing",
        "Docker Desktop may not access a folder to mount",
        _SHARE,
    ),
    RefusalRow(
        r"creating mount source path '(?:/host_mnt|/run/desktop/mnt/host(?:/wsl)?)(?P<what>[^']+)'",
        'Docker Desktop cannot reach the folder "{what}"',
        _SHARE,
    ),
    RefusalRow(
        r"creating mount source path '(?P<what>[^']+)': [^\n]*file exists",
        'the engine cannot read the folder "{what}" to mount: its file system is no longer available',
        "mount it again so that ls works, then restart docker if the error stays",
    ),
    RefusalRow(
        r"creating mount source path '(?P<what>[^']+)': (?:mkdir [^:\n]+: )?(?P<why>[^\n]+?)(?:: unknown)?$",
        'the folder "{what}" to mount does not exist, and the engine may not create it: {why}',
        "create it yourself; docker from snap sees only folders below the home folder",
    ),
    RefusalRow(
        r"error mounting \"(?P<what>[^\"]+)\" to rootfs at \"(?P<where>[^\"]+)\".*"
        r"(?:not a directory|directory onto a file)",
        'a folder cannot be mounted onto a file, nor a file onto a folder: "{what}" at "{where}"',
        "use two folders or two files in Mounts of .tao_mounts.json",
    ),
    RefusalRow(
        r"error mounting \"(?P<what>[^\"]+)\".*: (?P<why>permission denied|operation not permitted"
        r"|too many levels of symbolic links|input/output error|stale (?:NFS )?file handle)",
        'the engine cannot mount "{what}": {why}',
        "let the engine's user (root) read it: a file server may deny root (root_squash)",
    ),
    RefusalRow(
        r"invalid volume specification: '?(?P<what>[^'\n]+)|(?P<why>too many colons)",
        'the engine cannot mount this folder: "{what}{why}"',
        "write paths of the engine's machine (/mnt/c/… for WSL), without colons",
    ),
    RefusalRow(
        r"creating overlay mount|mounting overlay|layer does not exist|content digest sha256:\w+: not found",
        'the engine\'s copy of the image "{image}" is incomplete',
        "docker rmi {image}, then start the run again; if it comes again, look at the disk of the engine "
        "(df, dmesg)",
    ),
    RefusalRow(
        r"oom_score_adj[^\n]*permission denied",
        "the engine may not set how a container is treated when memory runs out (oom_score_adj), as a "
        "rootless one",
        "update docker and runc; an engine that runs as root may set it",
    ),
    RefusalRow(
        r"apparmor",
        "the engine could not set its AppArmor profile",
        "{restart_apparmor} && {restart}",
        of_machine=True,
    ),
    RefusalRow(
        r"/attr/(?:\w+/)?(?:keycreate|sockcreate)|/attr/exec:|[Ss][Ee][Ll]inux",
        "SELinux does not let the container start",
        "sudo dnf install container-selinux; sudo ausearch -m avc -ts recent shows what was denied",
        of_machine=True,
    ),
    RefusalRow(
        r"seccomp",
        "the engine could not set its filter of system calls (seccomp)",
        "update docker, runc and libseccomp on the engine's machine",
        of_machine=True,
    ),
    RefusalRow(
        r"authorization denied by plugin (?P<what>[^\s:]+)(?:: (?P<why>[^\n]+))?",
        'the plugin "{what}" of the docker engine forbids this: {why}',
        "ask the administrator of this machine what containers may do here",
    ),
    RefusalRow(
        r"exec(?: user process caused)?:? [^\n]*exec format error",
        'the image "{image}" is built for another CPU architecture than the engine\'s machine',
        "choose an image for this machine (x86-64 or arm64): taorunner networks",
    ),
    RefusalRow(
        r"iptables[^\n]{0,60}(?:failed|No chain|Chain)"
        r"|failed to (?:set up|create) (?:container networking|endpoint)[^\n]*iptables",
        "the docker engine's firewall rules are gone",
        "restore them: {restart}",
        of_machine=True,
    ),
    RefusalRow(
        r"cgroup mountpoint does not exist|cgroups?: [^\n]*(?:no such file or directory|not mounted|not found)",
        "the engine's machine has no cgroups that this docker can use",
        "update docker and runc, or restart the machine",
        of_machine=True,
    ),
    RefusalRow(
        r"(?:fork/exec|clone|newosproc|runtime)[^\n]*(?:resource temporarily unavailable|cannot allocate "
        r"memory)",
        "the engine's machine has no memory or no processes left to start a container",
        "see what uses them with free -h and ps, end something, then start the run again",
        of_machine=True,
    ),
    RefusalRow(
        r"json: cannot unmarshal (?P<what>[^\n]{1,160}?)(?:: unknown|$)",
        "docker and its runtime (runc, containerd) do not understand each other: json: cannot unmarshal {what}",
        "update docker, containerd and runc together, from one source of packages",
        of_machine=True,
    ),
    RefusalRow(
        r"unable to find (?:user|group) (?P<what>[^:\s]+)",
        'the image has no user "{what}"',
        "write the user as numbers, uid:gid, for example 1000:1000",
    ),
    RefusalRow(
        r"No such container:? ?(?P<what>[\w.-]{0,12})",
        'the container is gone: it was removed while the run used it ("{what}")',
        "see what removed it (docker container prune, another program), then start the run again",
    ),
    RefusalRow(
        r"network (?P<what>\S+) not found",
        'the engine has no network "{what}"',
        "list them with docker network ls; host and bridge always exist",
    ),
)

REGISTRY_ROWS: tuple[RefusalRow, ...] = (
    RefusalRow(
        r"403 Forbidden|402 Payment Required|Payment Required",
        'the registry of "{image}" does not allow this account to pull it',
        "accept the terms on the image's page (NGC), or use a key of an organisation that may pull it",
    ),
    RefusalRow(
        r"x509: (?P<what>certificate has expired or is not yet valid[^\n\"]*)",
        'the registry of "{image}" cannot be reached: x509: {what}',
        "check the clock of the engine's machine with date; else a proxy uses an expired certificate",
    ),
    RefusalRow(
        r"x509: (?P<what>[^\n\"]+)",
        'the registry of "{image}" cannot be reached: x509: {what}',
        "put a proxy's own certificate into /etc/docker/certs.d/{registry}/ca.crt, then restart docker",
    ),
    RefusalRow(
        r"(?:Get|Head|Post) \"https?://(?P<what>[^/\"]+)[^\"]*\": (?:net/http: )?EOF",
        'the registry "{what}" closed the connection without an answer',
        "try again; a proxy or firewall between may do it: check the network of the engine's machine",
    ),
    RefusalRow(
        r"proxyconnect tcp: (?P<what>[^\n\"]+)",
        "the proxy of the docker engine does not answer: {what}",
        "check the proxies that docker info shows",
        of_machine=True,
    ),
)


def login_hint(image: str) -> str:
    """The command that logs in to the registry of the image."""
    registry = image.split("/", 1)[0] if "/" in image else ""
    if not ("." in registry or ":" in registry or registry == "localhost"):
        return "docker login"
    if registry == "nvcr.io":
        return _ngc_login()
    return f"docker login {registry}"


def without_server(text: str) -> str:
    """The text without the address of the name server that did not find a name."""
    return re.sub(r"(lookup \S+) on \S+:", r"\1:", text)


def image_hint(image: str) -> str:
    """The next step for an image that does not exist."""
    if "@" in image:
        return "taorunner image lock locks what the tag names now, if taorunner.lock names this digest"
    if image.startswith("nvcr.io/"):
        return f"check the tag with taorunner networks; {login_hint(image)}"
    return f"check name and tag: docker pull {image} says more; image in experiments.yml names another one"


def _ngc_login() -> str:
    """The user name is the literal text ``$oauthtoken``. Source: tao/peers.md section 4, NGC/registry login."""
    if os.environ.get("NGC_API_KEY"):
        return "echo \"$NGC_API_KEY\" | docker login nvcr.io --username '$oauthtoken' --password-stdin"
    return (
        "docker login nvcr.io --username '$oauthtoken'  (type it literally; the password is your NGC API key "
        "from https://org.ngc.nvidia.com/setup/api-key)"
    )


def one_line(text: str) -> str:
    """The first line of an engine's answer, without the names of the programs that passed it on."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = _WRAPPING.sub("", lines[0]).removesuffix(": unknown") if lines else ""
    return lower(line)[:400] or "no reason given"


def lower(text: str) -> str:
    """The text without its last dot; its first letter is small unless an abbreviation starts it."""
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
