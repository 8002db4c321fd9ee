"""``tensorboard``: which program is started with what, and what is left behind. The program is a stand-in."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from command_line import Cli
from made_runs import made_run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "w/projects/cars").mkdir(parents=True)
    (tmp_path / "w/projects/cars/experiments.yml").write_text("experiments: {}\n")
    return tmp_path / "w"


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A PATH whose ``tensorboard`` prints what it was given and what lies there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "tensorboard"
    script.write_text('#!/bin/sh\necho "$@"\ncd "$2" && find . -type f\nexit ${TB_CODE:-0}\n')
    script.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_it_is_bound_to_this_machine_and_shows_what_was_written(cli: Cli, root: Path, program: str) -> None:
    folder = root / "models/a"
    (folder / "train").mkdir(parents=True)
    (folder / "train/events.out.tfevents.1").write_bytes(b"1")
    made_run(root / ".taorunner", "a", {"loss": [1.0]}, results_dir=str(folder))
    made_run(root / ".taorunner", "b", {"loss": [1.0]}, number=2)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    done = cli("tensorboard", "--port", port, "--from-events", cwd=root, env={"PATH": program})
    assert done.code == 0, done
    assert f"--host 127.0.0.1 --port {port}" in done.out
    assert "./a/train/events.out.tfevents.1" in done.out and "./b/events.out.tfevents." in done.out
    assert f"2 experiments: http://127.0.0.1:{port} (Ctrl-C ends it)" in done.out
    assert f"ssh -N -L {port}:127.0.0.1:{port} " in done.err
    assert not (root / ".taorunner/tensorboard").exists()


def test_refusals_say_what_to_type(cli: Cli, root: Path, program: str) -> None:
    empty = cli("tensorboard", cwd=root, env={"PATH": program})
    assert (empty.code, empty.err) == (6, "error: no run yet\n")
    made_run(root / ".taorunner", "a", {"loss": [1.0]})
    none = cli("tensorboard", cwd=root, env={"PATH": program})
    assert none.code == 6 and "hint: --from-events shows recorded metrics" in none.err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        busy = cli("tensorboard", "--from-events", "--port", port, cwd=root, env={"PATH": program})
    assert (busy.code, busy.err.splitlines()[0]) == (2, f"error: port {port} is taken")
    failed = cli("tensorboard", "--from-events", cwd=root, env={"PATH": program, "TB_CODE": "3"})
    assert failed.code == 4 and "tensorboard ended with code 3" in failed.err
    assert not (root / ".taorunner/tensorboard").exists()
