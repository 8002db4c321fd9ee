"""The docker engine of this host, asked by the docker command. Runs on another host, see ``keeper``."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from .common import RefusedError, SilentError, last_line

GPUS_LABEL, RUN_LABEL = "com.taorunner.gpus", "com.taorunner.run"
_NOISE = ("Run 'docker", "See 'docker", "WARNING")


def docker(*words: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
    """The end of a docker command. Raises SilentError where there is no engine."""
    try:
        done = subprocess.run(
            ["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=timeout_s, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise RefusedError("docker: command not found") from None
    except subprocess.TimeoutExpired:
        raise SilentError("the docker engine does not answer") from None
    if done.returncode and "annot connect to the Docker daemon" in done.stderr:
        raise SilentError(last_line(done.stderr))
    return done


def look(name: str) -> Any:
    """The container as the engine has it; None where there is none."""
    done = docker("inspect", "--type", "container", name, timeout_s=60)
    if done.returncode:
        if "no such container" in done.stderr.lower():
            return None
        raise SilentError(last_line(done.stderr))
    return json.loads(done.stdout)[0]


def is_over(container: Any) -> bool:
    return container["State"]["Status"] in ("exited", "dead")


def said_by(done: subprocess.CompletedProcess[str]) -> str:
    """Why a command failed, in the engine's words."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(_NOISE)]
    text = lines[0] if lines else f"docker ended with code {done.returncode}"
    for start in ("docker: ", "Error response from daemon: "):
        text = text[len(start) :] if text.startswith(start) else text
    return text
