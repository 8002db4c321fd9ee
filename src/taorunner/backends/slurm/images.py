"""Puts the image of a run into the cluster's folder of images, once, by a job of its own on nodes without GPUs.

The job writes beside the final name, looks at what it got, and renames; so a file that is there is whole. A second run
waits for the job of the first. Nothing is fetched from a registry within the allocation of a run.
Source: the manuals of enroot import, apptainer pull, ch-image and ch-convert.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import time
from collections.abc import Callable, Mapping
from typing import Any

from taorunner.backends.contract import EngineState, PullProgress, Report
from taorunner.backends.silence import SilentError
from taorunner.backends.slurm import states
from taorunner.backends.slurm.containers import image_file
from taorunner.backends.slurm.scheduler import Scheduler
from taorunner.backends.slurm.target import runtime_of
from taorunner.errors import EngineRefusedError
from taorunner.text import printable

_PAUSE_S = 2.0
_THERE, _MISSING = 0, 3
_COMMANDS: Mapping[str, Callable[[str], tuple[str, ...]]] = {
    "pyxis": lambda image: (f'enroot import --output "$part" {shlex.quote(_enroot_name(image))}',),
    "apptainer": lambda image: (f'apptainer pull "$part" {shlex.quote(f"docker://{_of_one(image)}")}',),
    "charliecloud": lambda image: (
        f"ch-image pull {shlex.quote(_of_one(image))}",
        f'ch-convert -i ch-image -o dir {shlex.quote(_of_one(image))} "$part"',
    ),
}
_CHECKS = {
    "pyxis": '[ "$(head -c 4 "$part")" = hsqs ]',
    "apptainer": 'head -c 64 "$part" | grep -aq SIF_MAGIC',
    "charliecloud": '[ -d "$part/bin" ] || [ -L "$part/bin" ]',
}
_TMP_VARIABLES = {
    "pyxis": ("ENROOT_TEMP_PATH",),
    "apptainer": ("APPTAINER_TMPDIR", "APPTAINER_CACHEDIR"),
}
_LOGINS = {
    "pyxis": "write the login of the registry into ~/.config/enroot/.credentials on the cluster",
    "apptainer": "log in on the cluster: apptainer registry login docker://REGISTRY",
    "charliecloud": "log in on the cluster: ch-image --auth pull IMAGE",
}


def ensure_image(scheduler: Scheduler, settings: Mapping[str, Any], image: str, report: Report) -> None:
    """Blocks until the image is there; ``report`` may raise to leave, and the job goes on for others.

    Raises:
        EngineRefusedError: the image is not there, and cannot be imported.
    """
    runtime, container = runtime_of(settings), settings.get("container", {})
    if runtime not in _COMMANDS:
        return
    images = str(container["images"]).rstrip("/")
    path = f"{images}/{image_file(image, runtime)}"
    if _is_there(scheduler, images, path):
        return
    if "import_partition" not in container:
        commands = " && ".join(_COMMANDS[runtime](image)).replace('"$part"', shlex.quote(path))
        raise EngineRefusedError(
            f'the image "{image}" is not on the cluster: there is no "{path}"',
            hint=f"set container.import_partition, or run there: {commands}",
        )
    name = job_name(path)
    job = _waiting_job(scheduler, name) or _submit(scheduler, settings, image, path)
    while True:
        report(PullProgress(image, 0, 1, 0, None, None))
        if not _is_under_way(scheduler, job):
            break
        time.sleep(_PAUSE_S)
    if not _is_there(scheduler, images, path):
        raise _failure(scheduler, runtime, image, path)
    report(PullProgress(image, 1, 1, 0, None, None))


def job_name(path: str) -> str:
    """``tr-image-0123456789ab``, of the image's digest where its name has one."""
    digest = re.search(r"@([0-9a-f]{12})(?:\.|$)", path)
    return "tr-image-" + (digest[1] if digest else hashlib.sha256(path.encode()).hexdigest()[:12])


def import_script(settings: Mapping[str, Any], image: str, path: str) -> str:
    runtime, container = runtime_of(settings), settings["container"]
    tmp = container.get("tmp")
    variables = (
        [f"export {name}={shlex.quote(tmp)}" for name in _TMP_VARIABLES.get(runtime, ())] if tmp else []
    )
    if (
        runtime == "charliecloud"
    ):  # its storage has one user at a time, and must be a folder that it makes itself
        variables = [
            f'storage={shlex.quote(tmp or "/var/tmp")}/"taorunner-$SLURM_JOB_ID"',
            'export CH_IMAGE_STORAGE="$storage"',
        ]
    storage = ' "$storage"' if runtime == "charliecloud" else ""
    lines = [
        "#!/bin/bash",
        "# Written by taorunner. Imports an image once.",
        f"umask {settings.get('umask', '077')}",
        *([f"mkdir -p {shlex.quote(tmp)} || exit"] if tmp else []),
        *variables,
        *settings.get("setup", ()),
        f"whole={shlex.quote(path)}",
        '[ ! -e "$whole" ] || exit 0  # another job made it',
        'part="$whole.$SLURM_JOB_ID.part"',
        f"trap 'rm -rf \"$part\"{storage}' EXIT",
        "trap 'exit 143' TERM",
        "set -e",
        *_COMMANDS[runtime](image),
        f'if ! {{ {_CHECKS[runtime]}; }}; then echo "what was imported is no image" >&2; exit 1; fi',
        'mv -T "$part" "$whole"',
    ]
    return "\n".join(lines) + "\n"


def _submit(scheduler: Scheduler, settings: Mapping[str, Any], image: str, path: str) -> str:
    partition = settings["container"]["import_partition"]
    argv = [
        "sbatch", "--parsable", "--export=NONE", f"--job-name={job_name(path)}", "--dependency=singleton",
        f"--partition={partition}", "--nodes=1", "--ntasks=1", "--chdir=/", "--open-mode=truncate",
        f"--output={_log_of(path)}",
    ]  # fmt: skip
    if "account" in settings:
        argv.append(f"--account={settings['account']}")
    argv += settings["container"].get("import_options", ())
    done = scheduler.run(argv, stdin=import_script(settings, image, path))
    job = done.stdout.strip().split(";")[0]
    if done.succeeded and job.isdecimal():
        return job
    asked = states.Asked(partition=partition, account=settings.get("account"))
    found = states.refusal(done.stderr or done.stdout, asked)
    raise EngineRefusedError(f'the image "{image}" cannot be imported: {found.reason}', hint=found.hint)


def _waiting_job(scheduler: Scheduler, name: str) -> str | None:
    for row in scheduler.jobs():
        if row.name == name and states.state_of(row.state) is not EngineState.EXITED:
            return row.id
    return None


def _is_under_way(scheduler: Scheduler, job: str) -> bool:
    try:
        rows = [row for row in scheduler.jobs() if row.id == job]
    except SilentError:
        return True
    return any(states.state_of(row.state) is not EngineState.EXITED for row in rows)


def _is_there(scheduler: Scheduler, images: str, path: str) -> bool:
    words = 'if [ -e "$1" ]; then exit 0; elif [ -d "$2" ]; then exit 3; else exit 4; fi'
    code = scheduler.run(["sh", "-c", words, "sh", path, images]).code
    if code not in (_THERE, _MISSING):
        raise EngineRefusedError(
            f'there is no folder "{images}" {_where(scheduler)}',
            hint=f"make it on a disk that the nodes share: mkdir -p {shlex.quote(images)}",
        )
    return code == _THERE


def _where(scheduler: Scheduler) -> str:
    return f'on "{scheduler.host}"' if scheduler.host else "on this machine"


def _failure(scheduler: Scheduler, runtime: str, image: str, path: str) -> EngineRefusedError:
    log = _log_of(path)
    text = scheduler.run(["tail", "-n", "20", log]).stdout
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    hint = f"its whole log: {log}"
    if re.search(r"\b401\b|[Uu]nauthorized|Could not process JSON", text):
        hint = _LOGINS[runtime]
    elif states.tells_of_oom(text):
        hint = "container.import_options: more memory, such as --mem=16G"
    elif "No space left on device" in text:
        hint = "container.tmp: a folder on the nodes with more room"
    said = printable(lines[-1][:300]) if lines else "its job ended and said nothing"
    return EngineRefusedError(f'the image "{image}" could not be imported: {said}', hint=hint)


def _log_of(path: str) -> str:
    return f"{path}.log"


def _of_one(image: str) -> str:
    """With a digest without the tag: a name may not have both."""
    name, _, digest = image.partition("@")
    return re.sub(r":[^:/]+$", "", name) + f"@{digest}" if digest else name


def _enroot_name(image: str) -> str:
    """Enroot looks a name up at Docker Hub unless the registry ends with ``#``."""
    name = _of_one(image)
    host, slash, rest = name.partition("/")
    is_host = bool(slash) and ("." in host or ":" in host or host == "localhost")
    return f"docker://{host}#{rest}" if is_host else f"docker://{name}"
