"""A shell in a container of this host, on the terminal of an ssh connection. Runs on another host, see ``keeper``."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from .choice import Choice, docker_words
from .common import RefusedError, SilentError, amount
from .engine import docker
from .gpus import Gpu
from .leases import Leases

LOOK_EVERY_S = 0.5


def shell(text: str) -> int:
    """Blocks until the shell has ended, and gives its exit code. ``text`` is the job as JSON."""
    job = json.loads(text)
    for folder in job["folders"]:
        Path(folder).mkdir(parents=True, exist_ok=True)
    leases = Leases(job.get("leases"))
    for number in (signal.SIGHUP, signal.SIGTERM):  # the line has dropped, or the window was closed
        signal.signal(number, lambda *_: sys.exit(129))
    try:
        chosen = _gpus(Choice(leases, job["gpus"], job["run_id"])) if job["gpus"] else []
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the shell
        child = subprocess.Popen(
            ["docker", "run", "--pull", "never", *docker_words(job["words"], chosen)],
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        return child.wait()
    except KeyboardInterrupt:
        return 130
    finally:
        try:
            docker("rm", "-f", job["name"], timeout_s=60)
        except (RefusedError, SilentError) as error:
            sys.stderr.write(f"{error}\n")
        leases.release()


def _gpus(choice: Choice) -> list[Gpu]:
    choice.begin()
    choice.leases.wait_turn(lambda: _say(f"waits for {amount(choice.count)}: others wait there, too"))
    said = ""
    try:
        while True:
            taken, blocked = choice.attempt()
            if taken:
                return taken
            text = "; ".join(blocked[:4])
            if text != said:
                said = text
                _say(f"waits for {amount(choice.count)}: {text}")
            time.sleep(LOOK_EVERY_S)
    finally:
        choice.leases.end_turn()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
