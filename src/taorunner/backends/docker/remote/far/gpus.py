"""Which GPUs this host has, and who uses them. Runs on another host, see ``keeper``."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from .common import RefusedError, SilentError, last_line
from .engine import GPUS_LABEL, RUN_LABEL, docker

NVIDIA_SMI = "nvidia-smi"


class Gpu(NamedTuple):
    """``number`` as in nvidia-smi."""

    number: str
    uuid: str
    name: str


def known_gpus() -> list[Gpu]:
    """All whole GPUs; those that are split into MIG devices are left out. Raises RefusedError without a driver."""
    rows = _asked("--query-gpu=index,uuid,mig.mode.current,name", "--format=csv,noheader")
    return [Gpu(row[0], row[1], ",".join(row[3:])) for row in rows if len(row) > 3 and row[2] != "Enabled"]


def computing() -> dict[str, list[str]]:
    """Processes that compute on a GPU, by its UUID."""
    found: dict[str, list[str]] = {}
    for row in _asked("--query-compute-apps=gpu_uuid,pid", "--format=csv,noheader"):
        if len(row) > 1:
            found.setdefault(row[0], []).append(row[1])
    return found


def in_containers(gpus: Sequence[Gpu]) -> dict[str, str]:
    """Runs of taorunner that have a GPU in a running container, by its UUID; their keepers may have been killed."""
    template = f'{{{{.Label "{GPUS_LABEL}"}}}}\t{{{{.Label "{RUN_LABEL}"}}}}'
    done = docker("ps", "--filter", f"label={GPUS_LABEL}", "--format", template, timeout_s=60)
    if done.returncode:
        raise SilentError(last_line(done.stderr))
    by_number = {gpu.number: gpu.uuid for gpu in gpus}
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        ids, _, run = line.partition("\t")
        for one in ids.split(","):
            found[by_number.get(one, one)] = run
    return found


def _asked(*words: str) -> list[list[str]]:
    try:
        done = subprocess.run(
            [NVIDIA_SMI, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=60, check=False,
        )  # fmt: skip
    except OSError as error:
        raise RefusedError(f"no GPU can be seen there: {NVIDIA_SMI}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise RefusedError(f"no GPU can be seen there: {NVIDIA_SMI} does not answer") from None
    if done.returncode:
        raise RefusedError(f"no GPU can be seen there: {last_line(done.stdout + done.stderr)}")
    return [[part.strip() for part in line.split(",")] for line in done.stdout.splitlines() if line.strip()]
