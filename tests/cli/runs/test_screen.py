"""What a person sees on a real terminal: panels while runs train, the question at Ctrl-C, the table at the end."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import PATIENCE_S, Cli, wait_for

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

SPEC = "results_dir: $results_dir\ntrain:\n  num_epochs: 4\n"
LEFT, RIGHT = "│╭╰", "│╮╯"


class Terminal:
    """A tmux window of a given size with a shell in it."""

    def __init__(self, folder: Path, environment: dict[str, str], columns: int, rows: int) -> None:
        self._server = f"taor-{secrets.token_hex(4)}"
        self._environment = {**environment, "TMUX_TMPDIR": "/tmp"}
        self._columns = columns
        for name in ("COLUMNS", "LINES"):
            self._environment.pop(name, None)
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", str(folder),
            "env PS1='$ ' bash --norc --noprofile",
        )  # fmt: skip

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._server, *words],
            env=self._environment, capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
        return done.stdout

    def type(self, text: str, *keys: str) -> None:
        if text:
            self._tmux("send-keys", "-l", text)
        if keys:
            self._tmux("send-keys", *keys)

    @property
    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def wait_for(self, pattern: str, timeout_s: float = PATIENCE_S) -> str:
        try:
            wait_for(lambda: re.search(pattern, self.screen, re.MULTILINE) is not None, timeout_s)
        except AssertionError:
            pytest.fail(f"no {pattern!r} on the screen:\n{self.screen}")
        return self.screen

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._server, "kill-server"], env=self._environment, check=False)


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    """Two experiments of dino that TAO's stand-in trains on this host. They wait after their second epoch."""
    experiment = (
        "{head: dino, dataset: d, backend: local, gpus: 0, "
        "env: {FAKE_EPOCH_S: '0.5', FAKE_STEPS: '4', FAKE_GATE: '2'}}"
    )
    return workspace_factory(
        f"experiments:\n  first: {experiment}\n  second: {experiment}\n",
        specs={"first/train.yaml": SPEC, "second/train.yaml": SPEC},
        data={"d/": ""},
    )


@pytest.fixture
def open_terminal(
    cli: Cli, workspace: Path, tao_commands: Callable[..., dict[str, str]]
) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def make(columns: int, rows: int, more: dict[str, str] | None = None) -> Terminal:
        environment = {**cli.environment(tao_commands("pyt_7")), "NO_COLOR": "1", **(more or {})}
        opened.append(Terminal(workspace, environment, columns, rows))
        return opened[-1]

    yield make
    for terminal in opened:
        terminal.close()


def go_on(workspace: Path) -> None:
    """Opens the gate at which the trainings wait."""
    for name in ("first", "second"):
        (workspace / "projects/example_01/models" / name / "go").touch()


TRAIN = f"{sys.executable} -m taorunner train first second --parallel 2"


def is_whole(screen: str, columns: int) -> bool:
    """Every line of a panel has both of its borders, near the terminal's edges."""
    framed = [line for line in screen.splitlines() if line[:1] in set(LEFT)]
    return bool(framed) and all(columns - 2 <= len(line) <= columns and line[-1] in RIGHT for line in framed)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_live_panels_then_the_table(
    columns: int, rows: int, open_terminal: Callable[[int, int], Terminal], workspace: Path
) -> None:
    terminal = open_terminal(columns, rows)
    terminal.type(f"clear; {TRAIN}; echo code=$?", "Enter")
    screen = terminal.wait_for(r"(?s)epoch +2/4.*epoch +2/4")
    assert is_whole(screen, columns), screen
    assert len(re.findall(r"● running", screen)) == 2
    assert re.search(r"2 running +Ctrl-C: stop or detach$", screen, re.MULTILINE), screen
    assert re.search(r"train_loss +\d\.\d+", screen)

    go_on(workspace)
    screen = terminal.wait_for(r"^code=0$")
    assert re.search(
        r"^✓ +[0-9a-f]{6} +first +succeeded +4/4 +val_mAP50 \S+ at 4 +[▁-█]+ +(?:\d+m )?\d+s$",
        screen,
        re.MULTILINE,
    ), screen
    assert re.search(r"^✓ +[0-9a-f]{6} +second +succeeded", screen, re.MULTILINE)
    assert "taorunner evaluate first second" in screen
    assert all(len(line) <= columns for line in screen.splitlines())
    assert not set(screen) & set("╭╰"), screen  # the panels are gone
    assert "Ctrl-C" not in screen


def test_ctrl_c_asks_and_detaching_leaves_the_runs_alone(
    open_terminal: Callable[[int, int], Terminal], workspace: Path, cli: Cli
) -> None:
    terminal = open_terminal(100, 40)
    terminal.type(f"clear; {TRAIN}; echo code=$?", "Enter")
    terminal.wait_for("2 running")
    terminal.wait_for(r"epoch +[12]/4")
    terminal.type("", "C-c")
    terminal.wait_for(r"^2 running\. What now\?$")
    terminal.type("leave me alone", "Enter")
    terminal.wait_for('"leave me alone" is none of these: stop, detach, go on')
    terminal.type("", "Enter")  # go on, the default
    terminal.wait_for(r"epoch +2/4")
    terminal.type("", "C-c")
    terminal.wait_for(r"(?s)What now\?.*^>")
    terminal.type("detach", "Enter")
    screen = terminal.wait_for(r"^code=0$")
    assert "detached; 2 runs go on. taorunner attach watches, taorunner stop --all ends" in screen
    assert [run["state"] for run in cli("ps", "--json", cwd=workspace).json] == ["RUNNING", "RUNNING"]

    terminal.type(f"clear; {sys.executable} -m taorunner attach; echo attached=$?", "Enter")
    terminal.wait_for("2 running")
    go_on(workspace)
    terminal.wait_for(r"^attached=0$")
    states = [run["state"] for run in cli("runs", "list", "--json", cwd=workspace).json]
    assert states == ["SUCCEEDED", "SUCCEEDED"]


@pytest.mark.parametrize("answer", ["stop", "another Ctrl-C"])
def test_ctrl_c_and_stop(
    answer: str, open_terminal: Callable[[int, int], Terminal], workspace: Path, cli: Cli
) -> None:
    terminal = open_terminal(100, 40)
    terminal.type(f"clear; {TRAIN}; echo code=$?", "Enter")
    terminal.wait_for(r"epoch +[12]/4")
    terminal.type("", "C-c")
    terminal.wait_for(r"(?s)What now\?.*^>")
    terminal.type("stop", "Enter") if answer == "stop" else terminal.type("", "C-c")
    screen = terminal.wait_for(r"^code=130$")
    assert len(re.findall(r"(first|second) +stopped", screen)) == 2, screen
    states = [run["state"] for run in cli("runs", "list", "--json", cwd=workspace).json]
    assert states == ["STOPPED", "STOPPED"]


def test_a_terminal_that_is_closed_leaves_the_runs_alone(
    open_terminal: Callable[[int, int], Terminal], workspace: Path, cli: Cli
) -> None:
    terminal = open_terminal(80, 24)
    terminal.type(TRAIN, "Enter")
    terminal.wait_for(r"epoch +[12]/4")
    terminal.close()
    go_on(workspace)
    done = cli("attach", "--json", cwd=workspace)
    assert done.code == 0
    states = [run["state"] for run in cli("runs", "list", "--json", cwd=workspace).json]
    assert states == ["SUCCEEDED", "SUCCEEDED"]


def test_a_terminal_that_cannot_draw_gets_plain_lines(
    open_terminal: Callable[[int, int], Terminal], workspace: Path
) -> None:
    terminal = open_terminal(200, 50)
    terminal.type(f"clear; TERM=dumb {TRAIN}; echo code=$?", "Enter")
    terminal.wait_for(r"second train \w{6}: epoch 2/4  ")
    go_on(workspace)
    screen = terminal.wait_for(r"^code=0$")
    assert len(re.findall(r"first train \w{6}: epoch \d/4  ", screen)) == 4, screen


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 60)])
def test_every_running_run_shows_its_gpu_and_the_queue_says_why_it_waits(
    columns: int,
    rows: int,
    open_terminal: Callable[..., Terminal],
    workspace: Path,
    fake_nvml: Callable[..., dict[str, str]],
) -> None:
    file = workspace / "projects/example_01/experiments.yml"
    text = file.read_text().replace("gpus: 0", "gpus: 1")
    more = [text.splitlines()[-1].replace("second:", f"{name}:") for name in ("third", "fourth", "fifth")]
    file.write_text("\n".join([text.rstrip(), *more]) + "\n")
    for name in ("third", "fourth", "fifth"):
        shutil.copytree(
            workspace / "projects/example_01/specs/first", workspace / f"projects/example_01/specs/{name}"
        )
    terminal = open_terminal(columns, rows, fake_nvml(2, used_mib=[31000, 40000], load=[97, 5]))
    terminal.type(f"clear; {sys.executable} -m taorunner train first second third fourth fifth", "Enter")
    screen = terminal.wait_for(r"(?s)epoch +[1234]/4.*epoch +[1234]/4")
    assert is_whole(screen, columns), screen
    assert re.search(r"GPU 0 +97% +30\.3 of 79\.6 GiB  H100 80GB HBM3", screen), screen
    assert re.search(r"GPU 1 +5% +39\.1 of 79\.6 GiB  H100 80GB HBM3", screen), screen
    queue = [" ".join(line.split()) for line in screen.splitlines() if line.startswith("○")]
    assert queue[0] == "○ third queued next; needs 1 GPU, none is free"
    assert queue[1:] in (
        ["○ fourth queued behind third", "○ fifth queued behind fourth"], ["○ 2 more queued"],
    )  # fmt: skip
    terminal.type("s")
    terminal.wait_for(r"^2 running, 3 queued\. Stop them\?$")
    terminal.type("s", "Enter")
    terminal.wait_for(r"first +stopped")


def test_the_queue_names_the_process_that_has_the_gpu(
    open_terminal: Callable[..., Terminal], workspace: Path, fake_nvml: Callable[..., dict[str, str]]
) -> None:
    file = workspace / "projects/example_01/experiments.yml"
    file.write_text(file.read_text().replace("gpus: 0", "gpus: 1"))
    terminal = open_terminal(120, 40, fake_nvml(2, processes={1: {os.getpid(): 512}}))
    terminal.type(f"clear; {sys.executable} -m taorunner train first second", "Enter")
    screen = terminal.wait_for(r"second +queued +next; needs 1 GPU: 0 free, GPU 1 used by pid")
    name = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    assert f"GPU 1 used by pid {os.getpid()} ({name})" in screen
    terminal.type("s")
    terminal.wait_for(r"^1 running, 1 queued\. Stop them\?$")
    terminal.type("s", "Enter")
    terminal.wait_for(r"first +stopped")
