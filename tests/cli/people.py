"""People at a command line: one with an empty home and no engine, one with the engine of this test run."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import CALLER, Cli, Done, end_what_runs
from registries import images, open_registry

from taorunner.project.keys import MAX_GPU_INDEX

__all__ = ["images", "open_registry"]


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """A person with an empty home and no engine."""
    home = tmp_path / "home"
    home.mkdir()
    yield Cli(home)
    end_what_runs(tmp_path)


@pytest.fixture
def cli_inside(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """``cli`` without a process of its own, a third of the time: for one question to each of many networks."""

    def run(*args: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Done:
        from taorunner.cli.app import run

        environment = cli.environment(env)
        with monkeypatch.context() as patched:
            for name in list(os.environ):
                patched.delenv(name)
            for name, value in environment.items():
                patched.setenv(name, value)
            patched.chdir(cwd or cli.home)
            capsys.readouterr()
            code = run([str(word) for word in args])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def blocks_of_gpus() -> Iterator[range]:
    """Six GPUs each, those of a worker in turn: of 1,024 numbers the first 16 are for who names some of their own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    blocks = [range(first, first + 6) for first in range(16, MAX_GPU_INDEX - 4, 6)]
    return itertools.cycle(blocks[worker::workers])


@pytest.fixture
def own_gpus(blocks_of_gpus: Iterator[range]) -> range:
    """Numbers of six GPUs that no other test has. All tests have one engine, and a run waits for a GPU that a container
    of any of them uses; without NVML any number is a GPU."""
    return next(blocks_of_gpus)


@pytest.fixture
def docker_cli(tmp_path: Path, engine: Any, tao_image: Callable[..., str]) -> Iterator[Cli]:
    """A person with the engine of this test run; another uid than ours where that is possible."""
    home = tmp_path / "home"
    home.mkdir()
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0 and shutil.which("setpriv") and engine.url.startswith("unix://"):
        group = Path(engine.url.removeprefix("unix://")).stat().st_gid
        prefix = ("setpriv", f"--reuid={CALLER}", f"--regid={CALLER}", f"--groups={group}")
        prefix += (
            "--inh-caps=+dac_read_search",
            "--ambient-caps=+dac_read_search",
        )  # Python may lie in /root
        for folder in (tmp_path, home):
            os.chown(folder, CALLER, CALLER)
        for folder in tmp_path.parents:
            if folder.stat().st_uid == os.geteuid() and str(folder).startswith(("/tmp/", "/dev/shm/")):
                folder.chmod(folder.stat().st_mode | 0o055)
    yield Cli(home, engine.environment(), prefix)
    end_what_runs(tmp_path)
    left = engine.docker("ps", "-aq", "--filter", "label=com.taorunner.run").stdout.split()
    # It prints those that are not gone by now, [] at least.
    inspected = json.loads(engine.docker("inspect", *left).stdout) if left else []
    ours = [body["Id"] for body in inspected if str(tmp_path) in json.dumps(body, ensure_ascii=False)]
    if ours:
        engine.docker("rm", "-f", *ours)
