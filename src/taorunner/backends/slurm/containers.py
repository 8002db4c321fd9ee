"""How each container runtime of a cluster starts a run's command on a node. Pure: one function per runtime.

The image is a file or folder below ``images``, named after the image: ``nvcr.io-nvidia-tao-tao-toolkit+7.0.1-pyt``.
Source: the manuals of pyxis, apptainer, charliecloud and docker run; charliecloud and docker measured.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence

from taorunner.values.value import Value

IN_STEP = (
    "NODE_RANK", "WORLD_SIZE", "NUM_GPU_PER_NODE", "MASTER_ADDR", "MASTER_PORT", "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES", "USER", "LOGNAME", "SLURM_JOB_ID", "SLURM_NODEID", "SLURM_JOB_NUM_NODES",
)  # fmt: skip
"""Variables of the step that a container must see, where its runtime does not pass all on."""


class Bind(Value):
    source: str
    target: str
    read_only: bool = False


class Container(Value):
    """``image`` is the file or folder on the nodes, for docker the image's name. ``workdir`` is inside.

    ``is_far``: user ids of this machine mean nothing there. ``has_terminal``: somebody types.
    """

    image: str
    binds: tuple[Bind, ...]
    name: str
    env: tuple[str, ...] = ()
    workdir: str | None = None
    gpus: int = 0
    shm_bytes: int | None = None
    user: str | None = None
    is_far: bool = False
    has_terminal: bool = False


class Start(Value):
    """``step_options`` for srun, ``before`` lines of node.sh, ``launcher`` what starts the command, quoted."""

    step_options: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    launcher: str = ""


def image_file(image: str, runtime: str) -> str:
    """The name of the image's file below ``images``."""
    digest = re.search(r"@sha256:([0-9a-f]{12})", image)
    plain = image.split("@", 1)[0]
    name, _, tag = plain.rpartition(":")
    if not name or "/" in tag:
        name, tag = plain, "latest"
    made = f"{name}+{tag}" + (f"@{digest[1]}" if digest else "")
    ending = {"pyxis": ".sqsh", "apptainer": ".sif"}.get(runtime, "")
    return re.sub(r"[^A-Za-z0-9.+@_-]", "-", made) + ending


def start(runtime: str, container: Container) -> Start:
    return _RUNTIMES[runtime](container)


def _pyxis(container: Container) -> Start:
    """srun itself starts the container, and node.sh runs inside. A name that does not begin with ``/`` would be looked
    up at Docker Hub."""
    mounts = ",".join(
        f"{bind.source}:{bind.target}" + (":ro" if bind.read_only else "") for bind in container.binds
    )
    workdir = (f"--container-workdir={container.workdir}",) if container.workdir else ()
    return Start(
        step_options=(
            f"--container-image={container.image}",
            *((f"--container-mounts={mounts}",) if mounts else ()),
            "--no-container-mount-home",
            "--no-container-entrypoint",
            *workdir,
        )
    )


def _apptainer(container: Container) -> Start:
    """Variables by its own prefix: they are in no command line, and may hold commas. HOME is refused there.

    A variable that is not set is not set inside either, because TAO takes an empty WORLD_SIZE for several nodes.
    """
    words = [_quoted("apptainer", "exec", "--cleanenv", "--no-home", *(["--nv"] if container.gpus else []))]
    for bind in container.binds:
        words.append(_quoted("--bind", f"{bind.source}:{bind.target}" + (":ro" if bind.read_only else "")))
    words += [_quoted("--pwd", container.workdir)] if container.workdir else []
    names = [name for name in dict.fromkeys((*IN_STEP, *container.env)) if name != "HOME"]
    before = (
        f"for name in {' '.join(names)}; do",
        """    eval "[ -z \\"\\${$name+x}\\" ] || export APPTAINERENV_$name=\\"\\$$name\\"\"""",
        "done",
    )
    home = 'env HOME="$HOME"' if "HOME" in container.env else ""
    return Start(before=before, launcher=" ".join([*words, _quoted(container.image), home]).rstrip())


def _charliecloud(container: Container) -> Start:
    """A folder as image. Its own variables are set from the file that charliecloud keeps in it.

    Below ``/workspace`` and the like charliecloud makes no mount points, so they are made in the image. It mounts
    nothing read-only.
    """
    words = [_quoted("ch-run", "--env-no-expand")]
    for bind in container.binds:
        words.append(_quoted("-b", f"{bind.source}:{bind.target}"))
    words += [_quoted(f"--cd={container.workdir}")] if container.workdir else []
    variables = shlex.quote(f"{container.image}/ch/environment")
    targets = " ".join(shlex.quote(f"{container.image}{bind.target}") for bind in container.binds)
    before = (
        f"[ ! -r {variables} ] || own=--set-env={variables}",
        *((f"mkdir -p {targets} 2>/dev/null || true",) if targets else ()),
    )
    words += [
        '${own:+"$own"}',
        *(f'--set-env={name}="${name}"' for name in container.env),
    ]  # the last one wins
    return Start(before=before, launcher=" ".join([*words, _quoted(container.image), "--"]))


def _docker(container: Container) -> Start:
    """Its process is no child of Slurm: one that an earlier start left behind is removed first."""
    name = f'{shlex.quote(container.name)}-"${{SLURM_NODEID:-0}}"'
    words = [
        f"docker run --rm --init --name {name}",
        *(["--interactive --tty"] if container.has_terminal else []),
    ]
    for bind in container.binds:
        read_only = ",readonly" if bind.read_only else ""
        words.append(_quoted("--mount", f"type=bind,source={bind.source},target={bind.target}{read_only}"))
    words += ['--gpus "\\"device=${NVIDIA_VISIBLE_DEVICES:-all}\\""'] if container.gpus else []
    words += [_quoted("--shm-size", str(container.shm_bytes))] if container.shm_bytes else []
    if container.user:
        words.append('--user "$(id -u):$(id -g)"' if container.is_far else _quoted("--user", container.user))
    words += [_quoted("--workdir", container.workdir)] if container.workdir else []
    words += [f"--env {name}" for name in (*IN_STEP, *container.env)]
    words += ["--network host"]
    before = (f"docker rm -f {name} >/dev/null 2>&1",)
    return Start(before=before, launcher=" ".join([*words, _quoted(container.image)]))


def _none(container: Container) -> Start:
    before = (f"cd {shlex.quote(container.workdir)} || exit 125",) if container.workdir else ()
    return Start(before=before)


_RUNTIMES: dict[str, Callable[[Container], Start]] = {
    "pyxis": _pyxis,
    "apptainer": _apptainer,
    "charliecloud": _charliecloud,
    "docker": _docker,
    "none": _none,
}


def _quoted(*words: str) -> str:
    return shlex.join(words)


def separators(binds: Sequence[Bind], runtime: str) -> str | None:
    """A path that this runtime cannot mount, because of a character that separates its words; None where all fit."""
    forbidden = {"pyxis": ":,", "apptainer": ":,", "charliecloud": ":", "docker": ","}.get(runtime, "")
    for bind in binds:
        for path in (bind.source, bind.target):
            if any(character in forbidden for character in path):
                return path
    return None
