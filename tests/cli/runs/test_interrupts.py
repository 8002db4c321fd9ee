"""Ctrl-C while runs are watched, and what to type after a stop: on a real terminal, with programs of this host."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import PROGRAM, Cli, wait_for
from pseudo_terminal import PseudoTerminal

LEAVE = "detached; 2 runs go on. taorunner attach watches, taorunner stop --all ends"
Open = Callable[..., PseudoTerminal]


@pytest.fixture
def open_terminal(person: Cli, workspace: Path) -> Iterator[Open]:
    opened: list[PseudoTerminal] = []

    def make(*words: str) -> PseudoTerminal:
        environ = {**person.environment(), "NO_COLOR": "1"}
        del environ["COLUMNS"]
        opened.append(PseudoTerminal([*PROGRAM, *words], cwd=workspace, env=environ, rows=40, columns=100))
        return opened[-1]

    yield make
    for terminal in opened:
        terminal.clear()
    person("stop", "--all", cwd=workspace)


def states(person: Cli, workspace: Path) -> dict[str, str]:
    return {run["experiment"]: run["state"] for run in person("runs", "list", "--json", cwd=workspace).json}


def asked(terminal: PseudoTerminal) -> list[str]:
    """The question and the answers that it offers, as they stand on the terminal."""
    shown = terminal.wait_for(r"(?s)\d+ \w+[^\n]*What now\?.*?\n> ").group()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    return [line.rstrip() for line in plain.splitlines()]


def test_a_second_ctrl_c_stops_what_was_launched_here(
    open_terminal: Open, person: Cli, workspace: Path
) -> None:
    words = ("train", "first", "second", "--parallel", "1", "--grace", "90")
    terminal = open_terminal(*words)
    terminal.wait_for(r"2/60")
    terminal.type("\x03")
    assert asked(terminal) == [
        "1 running, 1 queued. What now?",
        "  s  stop    end them, 1m 30s each to finish (Ctrl-C again does this)",
        "  d  detach  leave; runs and queue go on",
        "  g  go on   keep watching (Enter)",
        ">",
    ]
    terminal.type("\x03")
    assert terminal.end() == 130
    assert states(person, workspace) == {"first": "STOPPED", "second": "STOPPED"}
    assert "next: taorunner resume first\r\n" in terminal.shown
    assert "taorunner train second\r\n" in terminal.shown  # never started


def test_a_second_ctrl_c_leaves_what_is_only_watched(
    open_terminal: Open, person: Cli, workspace: Path
) -> None:
    started = person("train", "first", "second", "--parallel", "2", "--detach", cwd=workspace)
    assert started.code == 0, started.err
    terminal = open_terminal("attach")
    terminal.wait_for(r"2 running")
    terminal.type("\x03")
    assert asked(terminal) == [
        "2 running. What now?",
        "  s  stop    end them, 30s each to finish",
        "  d  detach  leave; 2 runs go on (Ctrl-C again does this)",
        "  g  go on   keep watching (Enter)",
        ">",
    ]
    terminal.type("\x03")
    assert terminal.end() == 0
    assert LEAVE in terminal.shown
    assert states(person, workspace) == {"first": "RUNNING", "second": "RUNNING"}

    one = open_terminal("attach", "second")
    one.wait_for(r"1 running")
    one.type("\x03")
    assert asked(one)[:3] == [
        "1 running. What now?",
        "  s  stop    end it, 30s to finish",
        "  d  detach  leave; 1 run goes on (Ctrl-C again does this)",
    ]
    one.type("s\n")
    assert one.end() == 130
    assert states(person, workspace) == {"first": "RUNNING", "second": "STOPPED"}


def test_what_a_script_starts_in_the_background_is_not_interrupted(person: Cli, workspace: Path) -> None:
    """Ctrl-C reaches every process of the terminal; a shell has it ignored by what it started with ``&``."""
    script = (
        ': >out; "$@" >out 2>err & viewer=$!; until grep -q "epoch 2/60" out; do sleep 0.1; done; kill -INT $viewer; '
        'until grep -q "epoch 4/60" out; do sleep 0.1; done; kill -TERM $viewer; wait $viewer; echo $?'
    )
    done = subprocess.run(
        ["sh", "-c", script, "sh", *PROGRAM, "train", "first", "--plain"], cwd=workspace,
        env=person.environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("130\n", "")
    assert states(person, workspace) == {"first": "STOPPED"}


def test_after_a_stop_every_screen_says_how_to_go_on(person: Cli, workspace: Path) -> None:
    words = ("train", "first", "second", "--parallel", "2", "--plain")
    viewer = person.start(*words, cwd=workspace)
    models = workspace / "projects/example_01/models"
    wait_for(lambda: all(list(models.glob(f"{name}/train/*.pth")) for name in ("first", "second")))
    stopped = person("stop", "--all", cwd=workspace)
    assert stopped.code == 0
    *ended, line = stopped.out.splitlines()
    assert sorted(one.split("  ")[1] for one in ended) == ["stopped", "stopped"]
    assert stopped.err == ""
    assert line in (f"next: taorunner resume {pair}" for pair in ("first second", "second first"))
    out, _ = viewer.communicate(timeout=120)
    assert b"next: taorunner resume first second\n" in out
    shown = person("runs", "show", "first", cwd=workspace)
    assert re.search(r"^next: taorunner resume first$", shown.out, re.MULTILINE), shown.out

    resumed = person("-p", "example_01", "resume", "first", "--detach", cwd=workspace)
    assert resumed.code == 0, resumed.err
    (again,) = person("ps", "--json", cwd=workspace).json
    folder = workspace / ".taorunner/runs" / again["id"]
    wait_for(lambda: "EpochProgress" in (folder / "events.jsonl").read_text())
    assert json.loads((folder / "record.json").read_text())["attempt"] == 2
    person("stop", "--all", cwd=workspace)
