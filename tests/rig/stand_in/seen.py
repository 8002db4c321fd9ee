"""What the job saw of its surroundings, written as ``seen.json`` so that a test can compare it whole."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import gpus
import nodes


def write(folder: Path, task: str, action: str, spec: Path | None) -> None:
    """Into the results folder the caller named, beside what TAO writes; each node but the first has a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"seen.{nodes.rank()}.json" if nodes.rank() else "seen.json"
    (folder / name).write_text(json.dumps(look(task, action, spec), indent=1))


def look(task: str, action: str, spec: Path | None) -> dict[str, Any]:
    """``argv`` is the command line of the container, ``job_argv`` what the entrypoint's shell made of it."""
    home = Path(os.environ.get("HOME", "/"))
    shm = os.statvfs("/dev/shm")
    return {
        "task": task,
        "action": action,
        "generation": os.environ.get("TAO_FAKE_GENERATION"),
        "argv": json.loads(os.environ.get("TAO_FAKE_ARGV", "[]")),
        "job_argv": sys.argv[3:],
        "environment": {k: v for k, v in sorted(os.environ.items()) if k != "TAO_FAKE_ARGV"},
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": sorted(os.getgroups()),
        "home_is_writable": home.is_dir() and os.access(home, os.W_OK),
        "cwd": str(Path.cwd()),
        "gpus": gpus.visible(),
        "shm_bytes": shm.f_blocks * shm.f_frsize,
        "limits": {
            name: resource.getrlimit(number)[0]
            for name, number in {
                "memlock": resource.RLIMIT_MEMLOCK,
                "stack": resource.RLIMIT_STACK,
                "nofile": resource.RLIMIT_NOFILE,
            }.items()
        },
        "is_tty": sys.stdout.isatty(),
        "spec": {"path": str(spec), "text": spec.read_text()} if spec is not None else None,
    }
