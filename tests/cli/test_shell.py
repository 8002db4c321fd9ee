"""``shell`` as a person uses it: on a real terminal and in pipes, in real containers."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import CALLER, Cli, wait_for
from pseudo_terminal import PseudoTerminal

PROGRAM = [sys.executable, "-m", "taorunner", "shell"]
WAYS = ["docker", "api"]


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path], docker_cli: Cli) -> Path:
    root = workspace_factory("experiments: {}\n", data={"d/picture.txt": "a picture\n"})
    if docker_cli.prefix:
        for path in [root, *root.rglob("*")]:
            os.chown(path, CALLER, CALLER)
    return root


@pytest.fixture
def path_of(tmp_path: Path) -> Callable[[str], str]:
    """PATH of a person with the docker program, or without it."""

    def make(way: str) -> str:
        if way == "docker":
            return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        folder = tmp_path / "no-docker"
        folder.mkdir(exist_ok=True)
        return f"{Path(sys.executable).parent}{os.pathsep}{folder}"

    return make


@pytest.fixture
def open_shell(
    docker_cli: Cli, workspace: Path, tao_image: Callable[..., str], path_of: Callable[[str], str]
) -> Iterator[Callable[..., PseudoTerminal]]:
    opened: list[PseudoTerminal] = []

    def make(*words: str, way: str = "api", env: dict[str, str] | None = None, **more: Any) -> PseudoTerminal:
        prefix = list(docker_cli.prefix)
        if prefix:
            prefix[0] = str(shutil.which(prefix[0]))
        command = [*prefix, *PROGRAM, "--image", tao_image("pyt_7"), *words]
        environment = docker_cli.environment({"PATH": path_of(way), **(env or {})})
        opened.append(PseudoTerminal(command, cwd=workspace, env=environment, **more))
        return opened[-1]

    yield make
    for terminal in opened:
        terminal.clear()


def containers(engine: Any, root: Path) -> list[str]:
    found: str = engine.docker(
        "ps",
        "-aq",
        "--filter",
        f"label=com.taorunner.workspace={root}",
        "--filter",
        "label=com.taorunner.action=shell",
    ).stdout
    return found.split()


def is_clean(engine: Any, root: Path) -> bool:
    """No container, and no file of a shell with its secrets."""
    return not containers(engine, root) and not (root / ".taorunner" / "shells").exists()


@pytest.mark.parametrize("way", WAYS)
def test_a_terminal_is_a_terminal_inside(
    way: str, open_shell: Callable[..., PseudoTerminal], engine: Any, workspace: Path
) -> None:
    terminal = open_shell("--", "sh", way=way)
    terminal.type("echo $TERM; echo on-a-t''ty: $(tty)\n")
    terminal.wait_for(r"xterm-256color\r\n")
    terminal.wait_for(r"on-a-tty: /dev/(pts/0|console)\r\n")
    wait_for(lambda: size_inside(terminal) == "30 97", 10)
    terminal.resize(41, 133)
    wait_for(lambda: size_inside(terminal) == "41 133", 10)
    terminal.type("printf '\\033[31mred\\033[0m\\n'\n")
    terminal.wait_for("\x1b\\[31mred\x1b\\[0m")
    terminal.type('sh -c \'trap "echo cau"ght INT; echo rea""dy; sleep 600\'\n')
    terminal.wait_for("ready\r\n")
    terminal.type("\x03")
    terminal.wait_for(r"caught\r\n(.|\n)*[$#] ")
    terminal.type("exit 37\n")
    assert terminal.end() == 37
    assert terminal.settings == terminal.before
    assert is_clean(engine, workspace)


def size_inside(terminal: PseudoTerminal) -> str:
    terminal.type("stty size; echo answe''red\n")
    return terminal.wait_for(r"(?:(\d+ \d+)|stty: standard input)\r\nanswered")[1]
