"""The real command line, as a process of its own, in an environment that inherits nobody's settings."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROGRAM = (sys.executable, "-m", "taorunner")
CALLER = 1234
"""Another uid than ours, when we are root: what a run leaves must belong to whoever typed the command."""


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
        timeout_s: float = 60,
        program: Sequence[str] = PROGRAM,
    ) -> Done:
        done = subprocess.run(
            [*self.prefix, *program, *map(str, args)],
            cwd=cwd or self.home,
            env=self.environment(env),
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
            # an engine is reached only by a test that names one
            "DOCKER_HOST": f"unix://{self.home}/no-engine.sock",
        }
        return {**base, **self.env, **(more or {})}


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """A person with an empty home and no engine."""
    home = tmp_path / "home"
    home.mkdir()
    yield Cli(home)
    end_what_runs(tmp_path)


@pytest.fixture
def docker_cli(tmp_path: Path, engine: Any, tao_image: Callable[..., str]) -> Iterator[Cli]:
    """A person with the engine of this test run; another uid than ours where that is possible."""
    home = tmp_path / "home"
    home.mkdir()
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0 and shutil.which("setpriv") and engine.url.startswith("unix://"):
        group = Path(engine.url.removeprefix("unix://")).stat().st_gid
        prefix = ("setpriv", f"--reuid={CALLER}", f"--regid={CALLER}", f"--groups={group}")
        for folder in (tmp_path, home):
            os.chown(folder, CALLER, CALLER)
        for folder in tmp_path.parents:
            if folder.stat().st_uid == os.geteuid() and str(folder).startswith("/tmp/"):
                folder.chmod(folder.stat().st_mode | 0o055)
    yield Cli(home, engine.environment(), prefix)
    end_what_runs(tmp_path)
    left = engine.docker("ps", "-aq", "--filter", "label=com.taorunner.run").stdout.split()
    ours = [name for name in left if str(tmp_path) in engine.docker("inspect", name).stdout]
    if ours:
        engine.docker("rm", "-f", *ours)


def end_what_runs(place: Path) -> None:
    """Supervisors and processes below ``place`` that a failed test left behind."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                words = Path("/proc", name, "cmdline").read_bytes().decode(errors="replace").split("\0")
                where = os.readlink(f"/proc/{name}/cwd")
                is_ours = any("taorunner" in word for word in words) and where.startswith(str(place))
                if is_ours:
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                continue
