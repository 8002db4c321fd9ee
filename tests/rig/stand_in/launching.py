"""How TAO's entrypoints run a job and report on it: pipes, footer, exit codes, signals."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType

import settings
from generations import Generation

JOB = str(Path(__file__).with_name("job.py"))
REPRINTED = re.compile(r"Epoch \d+: \s*\d+%|\[.*\]")


def through_shell(
    task: str,
    action: str,
    arguments: Sequence[str],
    variables: Mapping[str, str],
    interpreter: str = "python3",
) -> list[str]:
    """``bash -c '<variables> python <job> <arguments>'``, split by shlex, as TF1, TF2 and deploy do it.

    Nothing is quoted: a shell reads every argument again. Raises ValueError for an apostrophe.
    Source: tao/tensorflow.md section 2.2.
    """
    assigned = [f"{name}={value}" for name, value in variables.items()]
    words = " ".join([*assigned, interpreter, JOB, task, action, *arguments])
    return shlex.split(f"bash -c '{words}'")


def without_shell(task: str, action: str, arguments: Sequence[str]) -> list[str]:
    """The job's command where the entrypoint re-splits with shlex only. Source: tao/pytorch.md section 2."""
    return ["python3", JOB, task, action, *shlex.split(" ".join(arguments))]


def run_job(
    generation: Generation,
    argv: Sequence[str],
    command: Sequence[str],
    log_file: str | None = None,
    **variables: str,
) -> int:
    """Runs the job to its end and gives the container's exit code. Prints the footer."""
    fail = settings.read().fail
    if fail == "slow_stop":
        ignore_stop(settings.read().stop_s)
    environment = {**os.environ, **variables, "TAO_FAKE_ARGV": json.dumps(list(argv))}
    output: int | None = None
    if log_file:
        Path(log_file).parent.mkdir(parents=True, exist_ok=True)
        output = os.open(log_file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    if generation.is_piped:
        output = subprocess.PIPE
    job = subprocess.Popen(
        command, env=environment, stdout=output, stderr=subprocess.STDOUT if output else None
    )
    try:
        if job.stdout is not None:
            reprint(job)
        code = job.wait()
    except KeyboardInterrupt:
        job.terminate()
        print("Command was interrupted.", flush=True)
        footer(generation, "PASS")
        return 0
    return outcome(generation, fail, code)


def outcome(generation: Generation, fail: str, code: int) -> int:
    """What the container's exit code is for a job that ended with ``code``."""
    if fail == "killed_137" and code == 137:
        if os.getpid() != 1:  # the first process of a container cannot kill itself
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(137)
    if fail == "shm_sigbus_135" and code in (-signal.SIGBUS, 128 + signal.SIGBUS):
        os._exit(128 + signal.SIGBUS)
    if fail == "silent_exit0_pyt55" and code:
        return 0
    footer(generation, "FAIL" if code else "PASS")
    if fail == "exit0_fail_footer":
        return 0
    return generation.exit_on_failure if code else 0


def reprint(job: subprocess.Popen[bytes]) -> None:
    """The job's lines as the piping entrypoints print them: CR + text and no LF for those with brackets."""
    assert job.stdout is not None
    with open(job.stdout.fileno(), encoding="utf-8", errors="replace", closefd=False) as lines:
        for line in lines:
            sys.stdout.write("\r" + line.strip() if REPRINTED.search(line) else line)
            sys.stdout.flush()


def footer(generation: Generation, word: str) -> None:
    """The last line; and the telemetry's line, which says nothing about the job."""
    if os.environ.get("TELEMETRY_OPT_OUT", "no").lower() != "yes":
        print("Telemetry data couldn't be sent, but the command ran successfully.", flush=True)
    if generation.footer_to_stderr:
        now = datetime.now().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        print(f"{now} [TAO Toolkit] [INFO] root 160: Execution status: {word}", file=sys.stderr, flush=True)
    else:
        print(f"Execution status: {word}", flush=True)


def ignore_stop(stop_s: float) -> None:
    """SIGTERM ends this process only after ``stop_s`` seconds."""

    def later(number: int, frame: FrameType | None) -> None:
        timer = threading.Timer(stop_s, os._exit, (143,))
        timer.daemon = True
        timer.start()

    signal.signal(signal.SIGTERM, later)
