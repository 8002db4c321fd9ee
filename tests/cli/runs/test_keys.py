"""The keys of the live view on a real terminal, and the terminal after it: whatever ends the view, lines are echoed."""

from __future__ import annotations

import json
import os
import re
import signal
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, Cli, wait_for
from made_runs import made_run
from pseudo_terminal import PseudoTerminal

from taorunner.events import RunState

LEAVE = "detached; 2 runs go on. taorunner attach watches, taorunner stop --all ends"
KEYS = "q detach   s stop   ↑↓ choose   Enter one run   l log"
ESCAPES = re.compile(r"\x1b\[\??[0-9;]*[A-Za-z]|\r")


class Terminal(PseudoTerminal):
    """``shown`` is without escape sequences; ``raw`` is everything that came."""

    raw = ""

    def _read(self, timeout_s: float) -> None:
        before = len(self.shown)
        super()._read(timeout_s)
        self.raw += self.shown[before:]
        self.shown = ESCAPES.sub("", self.shown)


Open = Callable[..., Terminal]


@pytest.fixture
def printing(person: Cli, tmp_path: Path) -> Callable[[str], Cli]:
    """A person whose dino is a program of these words that then goes on for minutes."""

    def make(words: str) -> Cli:
        folder = tmp_path / "programs"
        folder.mkdir()
        program = folder / "dino"
        program.write_text(f"#!{PROGRAM[0]}\n{words}\nimport time\ntime.sleep(300)\n")
        program.chmod(0o755)
        return Cli(person.home, {**person.env, "PATH": f"{folder}{os.pathsep}{person.env['PATH']}"})

    return make


@pytest.fixture
def deaf(printing: Callable[[str], Cli]) -> Cli:
    """A person whose training does not end when it is asked to."""
    return printing("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)")


@pytest.fixture
def open_terminal(person: Cli, workspace: Path) -> Iterator[Open]:
    """A terminal of 100x30 with the command on it, once its keys work."""
    opened: list[Terminal] = []

    def make(*words: str, program: tuple[str, ...] = PROGRAM, person: Cli = person) -> Terminal:
        environ = {**person.environment(), "NO_COLOR": "1"}
        del environ["COLUMNS"]
        command = [*program, *words]
        opened.append(Terminal(command, cwd=workspace, env=environ, rows=30, columns=100))
        return opened[-1]

    yield make
    for terminal in opened:
        terminal.clear()
    person("stop", "--all", cwd=workspace)


@pytest.fixture
def watched(open_terminal: Open, person: Cli, workspace: Path) -> Terminal:
    """``attach`` to two runs, of which one is queued."""
    words = ("train", "first", "second", "--parallel", "1", "--detach")
    started = person(*words, cwd=workspace)
    assert started.code == 0, started.err
    terminal = open_terminal("attach")
    terminal.wait_for(re.escape(KEYS))
    return terminal


def states(person: Cli, workspace: Path) -> dict[str, str]:
    return {run["experiment"]: run["state"] for run in person("runs", "list", "--json", cwd=workspace).json}


def echoes(terminal: Terminal) -> bool:
    settings: Any = terminal.settings
    return bool(settings[3] & termios.ECHO and settings[3] & termios.ICANON)


def test_q_leaves_without_a_question(watched: Terminal, person: Cli, workspace: Path) -> None:
    assert not echoes(watched)
    watched.type("q")
    assert watched.end() == 0
    assert LEAVE in watched.shown and "What now?" not in watched.shown
    assert watched.settings == watched.before
    assert watched.raw.rfind("\x1b[?25h") > watched.raw.rfind("\x1b[?25l")
    assert states(person, workspace) == {"first": "RUNNING", "second": "QUEUED"}


def test_arrows_and_enter_look_at_one_run_and_esc_goes_back(watched: Terminal) -> None:
    watched.type("\x1b[B")
    watched.wait_for("─>first")
    watched.type("\x1b[B")
    watched.wait_for("○>second")
    watched.type("\r")
    watched.wait_for(r"○ second · example_01 · train · \w{6}  queued")
    watched.wait_for(r"queue +next; --parallel 1 is reached")
    watched.type("\x1b[A")  # the run above it
    watched.wait_for(r"● first · example_01 · train · \w{6}  running")
    watched.wait_for(r"val_mAP +\d")
    watched.type("\x1b")
    watched.wait_for("─>first")
    watched.type("q")
    assert watched.end() == 0


def test_l_shows_the_log_and_its_newest_lines(
    printing: Callable[[str], Cli], person: Cli, open_terminal: Open, workspace: Path
) -> None:
    talker = printing("for n in range(100): print(f'line {n} of the log', flush=True)")
    assert talker("train", "first", "--detach", cwd=workspace).code == 0
    terminal = open_terminal("attach")
    terminal.wait_for("line 99 of the log")
    terminal.type("l")
    terminal.wait_for(r"(?s)line 98 of the log.*Esc back   ↑↓ scroll   End newest   q detach")
    terminal.type("\x1b[H")
    terminal.wait_for("line 0 of the log")
    terminal.wait_for(r"\d+ newer lines below")
    terminal.type("\x1b[F")
    terminal.wait_for("line 99 of the log")
    terminal.type("\x7f")
    terminal.wait_for("─>first")
    terminal.type("q")
    assert terminal.end() == 0


def test_s_asks_before_it_stops(watched: Terminal, person: Cli, workspace: Path) -> None:
    watched.type("s")
    watched.wait_for(r"1 running, 1 queued\. Stop them\?")
    watched.wait_for(r"  s  stop   end them, 30s each to finish\n  g  go on  keep watching \(Enter\)\n> ")
    assert echoes(watched)
    watched.type("\n")
    watched.wait_for(re.escape(KEYS))
    wait_for(lambda: not echoes(watched))
    assert states(person, workspace) == {"first": "RUNNING", "second": "QUEUED"}
    watched.type("\x1b[B\x1b[B")
    watched.wait_for("○>second")
    watched.type("s")
    watched.wait_for(r"Stop second \(\w{6}\)\?")
    watched.wait_for(r"(?s)a  all    end all 2 runs.*\n> ")
    watched.type("s\n")
    wait_for(lambda: states(person, workspace) == {"first": "RUNNING", "second": "STOPPED"})
    watched.wait_for(r"second +stopped")
    watched.type("\x1bs")
    watched.wait_for(r"(?s)1 running\. Stop it\?.*\n> ")
    watched.type("y\n")
    assert watched.end() == 130
    assert watched.settings == watched.before
    assert states(person, workspace) == {"first": "STOPPED", "second": "STOPPED"}


def test_another_ctrl_c_while_runs_stop_kills_them(
    deaf: Cli, open_terminal: Open, person: Cli, workspace: Path
) -> None:
    terminal = open_terminal("train", "first", "--grace", "250", person=deaf)
    terminal.wait_for("deaf")
    terminal.type("\x03")
    terminal.wait_for(r"(?s)What now\?.*\n> ")
    terminal.type("s\n")
    terminal.wait_for(r"stopping 1 run, up to 4m 10s; Ctrl-C again kills it")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert states(person, workspace) == {"first": "STOPPED"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_gives_the_terminal_back(watched: Terminal, number: signal.Signals) -> None:
    watched.process.send_signal(number)
    if number is signal.SIGINT:
        watched.wait_for(r"(?s)What now\?.*\n> ")
        assert echoes(watched)
        watched.type("d\n")
    code = watched.end()
    assert code == (-signal.SIGHUP if number is signal.SIGHUP else 0)
    assert watched.settings == watched.before
    assert watched.raw.rfind("\x1b[?25h") > watched.raw.rfind("\x1b[?25l")


def test_a_signal_ends_the_view_while_it_asks(watched: Terminal) -> None:
    watched.type("s")
    watched.wait_for(r"(?s)Stop them\?.*\n> ")
    watched.process.send_signal(signal.SIGTERM)
    assert watched.end() == 0
    assert LEAVE in watched.shown
    assert watched.settings == watched.before


def test_leaving_while_runs_stop_says_so(
    deaf: Cli, open_terminal: Open, person: Cli, workspace: Path
) -> None:
    terminal = open_terminal("train", "first", "--grace", "2", person=deaf)
    terminal.wait_for("deaf")
    terminal.type("s")
    terminal.wait_for(r"(?s)Stop it\?.*\n> ")
    terminal.type("s\n")
    terminal.wait_for("stopping 1 run, up to 2s")
    terminal.type("q")
    assert terminal.end() == 130
    assert "detached; 1 run is stopping. taorunner attach watches" in terminal.shown
    wait_for(lambda: states(person, workspace) == {"first": "STOPPED"})


def test_the_terminal_comes_back_at_the_end_of_the_runs(
    watched: Terminal, person: Cli, workspace: Path
) -> None:
    assert person("stop", "--all", cwd=workspace).code == 0
    assert watched.end() == 1
    assert watched.settings == watched.before
    assert "stopped" in watched.shown


def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again(
    open_terminal: Open, person: Cli, workspace: Path
) -> None:
    assert person("train", "first", "second", "--parallel", "1", "--detach", cwd=workspace).code == 0
    shell = open_terminal("--norc", "--noprofile", "-i", program=("bash",))
    shell.type("PS1='ready '\n")
    shell.wait_for(r"ready $")
    shell.type(f"{' '.join(PROGRAM)} attach; echo code=$?\n")
    shell.wait_for(re.escape(KEYS))
    shell.type("\x1a")
    shell.wait_for(r"Stopped")
    shell.wait_for(r"ready $")
    shell.type("stty -a | tr ';' '\\n' | grep -wo '.\\?icanon\\|.\\?echo'; echo asked\n")
    assert re.findall(r"-?icanon", shell.wait_for(r"(?s)\n.*asked").group())[-1] == "icanon"
    shell.type("fg\n")
    shell.wait_for(re.escape(KEYS))
    wait_for(lambda: not echoes(shell))
    shell.type("q")
    shell.wait_for(re.escape(LEAVE))
    shell.wait_for(r"ready $")
    shell.type("exit\n")
    assert shell.end() == 0


def test_a_view_in_the_background_leaves_the_terminal_alone(
    open_terminal: Open, person: Cli, workspace: Path
) -> None:
    assert person("train", "first", "second", "--parallel", "1", "--detach", cwd=workspace).code == 0
    shell = open_terminal("--norc", "--noprofile", "-i", program=("bash",))
    shell.type("PS1='ready '\n")
    shell.wait_for(r"ready $")
    shell.type(f"{' '.join(PROGRAM)} attach &\n")
    shell.wait_for(r"ready $")
    shell.type("sleep 3; jobs; echo asked\n")
    shown = shell.wait_for(r"(?s)\n.*Running.*asked").group()
    assert "1 running" not in shown
    shell.type("fg\n")
    shell.wait_for(re.escape(KEYS))
    shell.type("q")
    shell.wait_for(re.escape(LEAVE))
    shell.type("exit\n")
    assert shell.end() == 0


def test_without_a_terminal_to_type_on_nothing_is_read_or_changed(
    open_terminal: Open, person: Cli, workspace: Path
) -> None:
    assert person("train", "first", "second", "--parallel", "1", "--detach", cwd=workspace).code == 0
    script = f"echo qqq | {{ sleep 1; {' '.join(PROGRAM)} attach; }}"
    terminal = open_terminal("-c", script, program=("sh",))
    terminal.wait_for(r"1 running · 1 queued")
    terminal.wait_for(r"epoch +[1-9]/60")
    assert echoes(terminal) and KEYS not in terminal.shown
    person("stop", "--all", cwd=workspace)
    assert terminal.end() == 1


def test_a_resize_redraws_at_the_new_size(watched: Terminal) -> None:
    watched.resize(24, 60)
    wait_for(lambda: watched.raw.count("\x1b[2J\x1b[H") == 1 or bool(watched._read(0.1)))
    head = watched.wait_for(r"1 running · 1 queued[^\n╭]*").group()
    assert len(head.rstrip()) <= 60
    watched.type("q")
    assert watched.end() == 0


def test_a_kill_request_is_in_the_run(person: Cli, workspace: Path) -> None:
    """The request to stop says whether to wait; an older version reads it as a request to stop."""
    from taorunner.events import now
    from taorunner.runs.state.store import RunStore

    assert person("train", "first", "--detach", cwd=workspace).code == 0
    (run,) = person("ps", "--json", cwd=workspace).json
    store = RunStore(workspace / ".taorunner")
    assert store.stop_request(run["id"], is_queued=False) is None
    store.request_stop(run["id"], now(), kill=True)
    assert store.stop_request(run["id"], is_queued=False) == "kill"
    body = json.loads(store.paths(run["id"]).stop_request.read_text())
    assert body["kill"] is True
    wait_for(lambda: states(person, workspace) == {"first": "STOPPED"})


def test_an_engine_that_does_not_answer_is_in_the_header_until_a_run_goes_on(
    printing: Callable[[str], Cli], open_terminal: Open, workspace: Path
) -> None:
    from taorunner.events import EpochProgress, Notice, now
    from taorunner.runs.state.store import RunStore

    talker = printing("print('started', flush=True)")
    assert talker("train", "first", "--detach", cwd=workspace).code == 0
    (run,) = talker("ps", "--json", cwd=workspace).json
    terminal = open_terminal("attach")
    terminal.wait_for("1 running +Ctrl-C")
    store, at = RunStore(workspace / ".taorunner"), now()
    text = "the engine does not answer: refused"
    store.append_events(run["id"], [Notice(run=run["id"], at=at, level="warning", code="engine", text=text)])
    said = rf"1 running · engine does not answer since {at.astimezone():%H:%M}; runs go on, last state shown"
    terminal.wait_for(said)
    store.append_events(run["id"], [EpochProgress(run=run["id"], at=now(), epoch=1, epochs=60)])
    terminal.wait_for("1 running +Ctrl-C")
    terminal.type("q")
    assert terminal.end() == 0


def test_an_empty_log_says_why(cli: Cli, workspace: Path) -> None:
    """The program of the network was gone when its turn came: nothing ran, and nothing was printed."""
    made_run(
        workspace / ".taorunner", "first", lock=None, state=RunState.FAILED, project="example_01", backend="local",
        started_at=None, reason='there is no command "dino" on PATH',
    )  # fmt: skip
    done = cli("logs", "first", cwd=workspace)
    assert (done.code, done.out) == (0, "")
    assert done.err == 'first has no log, it never started (failed: there is no command "dino" on PATH)\n'
