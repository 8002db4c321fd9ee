"""Driving the real command line: a process of its own, in an environment that inherits no user's settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forked import server_of, serves

PROGRAM = (sys.executable, "-m", "taorunner")
PATIENCE_S = 120.0
"""How long a test waits for what must happen."""
CALLER = 1234
"""Another uid than ours, when we are root: what a run leaves must belong to the user who typed the command."""


@dataclass(frozen=True)
class Done:
    """What a shell sees of one command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every line of stdout, which must all be JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Cli:
    """``cli("train", "e1", cwd=…, env={…})`` runs to the end; ``cli.start(…)`` gives the process."""

    home: Path
    env: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()

    def __call__(
        self,
        *args: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float = PATIENCE_S,
        program: Sequence[str] | None = None,
    ) -> Done:
        """Without a ``program`` the process is forked from a Python that has imported the command line, where ``env``
        allows it; ``program=PROGRAM`` is a start from nothing."""
        environment = self.environment(env)
        if program is None and serves(environment):
            server = server_of(tuple(self.prefix))
            code, out, err = server.run(
                [*map(str, args)],
                cwd=cwd or self.home,
                env=environment,
                stdin=stdin.encode(),
                timeout_s=timeout_s,
            )
            return Done(code, out.decode(), err.decode())
        done = subprocess.run(
            [*self.prefix, *(program or PROGRAM), *map(str, args)],
            cwd=cwd or self.home,
            env=environment,
            input=stdin.encode(),
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(
        self, *args: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, **popen: Any
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self.prefix, *PROGRAM, *map(str, args)],
            cwd=cwd or self.home,
            env=self.environment(env),
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen},
        )

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        base = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "USER": "somebody",
            "LANG": "C.UTF-8",
            "COLUMNS": "100",
            "TERM": "xterm-256color",
            # of this person's tests alone: another test takes the same stand-in GPU at the same time
            "TAORUNNER_LEASES": str(self.home / "leases"),
            # an engine is reached only by a test that names one
            "DOCKER_HOST": f"unix://{self.home}/no-engine.sock",
        }
        return {**base, **self.env, **(more or {})}


def wait_for(what: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """Patient, because how long something takes depends on what else the machine does; it costs nothing."""
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def files_holding(folder: Path, text: str) -> list[str]:
    """Paths, relative to ``folder``, of the files with ``text`` in them."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and text.encode() in path.read_bytes()
    ]


def end_what_runs(place: Path) -> None:
    """Supervisors and processes below ``place`` that a failed test left behind."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                words = Path("/proc", name, "cmdline").read_bytes().decode(errors="replace").split("\0")
                where = str(Path("/proc", name, "cwd").readlink())
                is_ours = any("taorunner" in word for word in words) and where.startswith(str(place))
                if is_ours:
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                continue
