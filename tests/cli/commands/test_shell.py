"""``shell`` as a person uses it: on a real terminal and in pipes, in real containers."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import images
import pytest
from command_line import CALLER, Cli, files_holding, wait_for
from pseudo_terminal import PseudoTerminal

import rig

PROGRAM = [sys.executable, "-m", "taorunner", "shell"]
WAYS = ["docker", "api"]


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path], docker_cli: Cli) -> Path:
    root = workspace_factory("experiments: {}\n", data={"d/picture.txt": "an image\n"})
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
    # Not one long sleep: a signal between its fork and its exec would be lost, and the trap would wait for its end.
    terminal.type('sh -c \'trap "echo cau"ght";exit" INT; echo rea""dy; while :; do sleep 1; done\'\n')
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


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_shell_leaves_no_container_no_lease_and_a_sane_terminal(
    way: str, open_shell: Callable[..., PseudoTerminal], engine: Any, workspace: Path, own_gpus: range
) -> None:
    gpu = str(own_gpus[0])
    first = open_shell("--gpu-indices", gpu, "--", "sh", way=way)
    first.wait_for(f"GPU {gpu}")
    first.wait_for(r"[$#] ")
    second = open_shell(
        "--gpu-indices", gpu, "--", "sh", "-c", "echo mine: $NVIDIA_VISIBLE_DEVICES", way="api"
    )
    second.wait_for(rf"waits for GPU {gpu} \(run \S+-container-shell-\w+ of [^)]+\)")
    assert len(containers(engine, workspace)) == 1

    os.kill(first.process.pid, signal.SIGKILL)

    second.wait_for(rf"mine: {gpu}\r\n")
    assert second.end() == 0
    first.process.wait()
    wait_for(lambda: is_clean(engine, workspace))
    wait_for(lambda: first.settings == first.before)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", ["hangup", "SIGTERM"])
def test_a_closed_window_ends_what_runs_inside(
    how: str, way: str, open_shell: Callable[..., PseudoTerminal], engine: Any, workspace: Path
) -> None:
    terminal = open_shell("--", "sh", "-c", "trap '' HUP; echo rea\"\"dy; sleep 600", way=way)
    terminal.wait_for("ready")
    if how == "SIGTERM":
        os.kill(terminal.process.pid, signal.SIGTERM)
        assert terminal.end() == 143
        assert terminal.settings == terminal.before
    else:
        terminal.close()
        terminal.process.wait(120)
    wait_for(lambda: is_clean(engine, workspace))


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_start_is_said_in_our_own_words(
    way: str, open_shell: Callable[..., PseudoTerminal], engine: Any, workspace: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        terminal = open_shell("--port", f"{port}:80", way=way)
        assert terminal.end() == 5
    assert f'the port "{port}" is in use on the engine\'s machine' in terminal.shown
    assert "Error response" not in terminal.shown
    assert is_clean(engine, workspace)


@pytest.fixture
def shell(docker_cli: Cli, workspace: Path, tao_image: Callable[..., str]) -> Callable[..., Any]:
    """``shell("--env", "A=b", "--", "env")`` without a terminal, to its end."""

    def run(*words: str, **more: Any) -> Any:
        return docker_cli("shell", "--image", tao_image("pyt_7"), *words, **{"cwd": workspace, **more})

    return run


def test_pipes_stay_pipes(shell: Callable[..., Any], engine: Any, workspace: Path) -> None:
    script = "cat; echo wrong >&2; [ -t 0 ] || echo no tty; exit 9"
    done = shell("--", "sh", "-c", script, stdin="one\ntwo\n")
    assert done.code == 9
    assert done.out.endswith("one\ntwo\nno tty\n")  # behind the image's banner
    assert done.err == "wrong\n"
    assert is_clean(engine, workspace)


def test_a_script_on_standard_input_goes_to_the_images_shell(shell: Callable[..., Any]) -> None:
    done = shell(stdin="cat /workspace/projects/example_01/data/d/picture.txt; exit 4\n")
    assert (done.code, done.err) == (4, "")
    assert done.out.endswith("an image\n")


def test_much_goes_both_ways_at_once(shell: Callable[..., Any]) -> None:
    text = "".join(f"{number:07d} goes through and comes back\n" for number in range(60_000))
    done = shell("--", "cat", stdin=text)
    assert done.out.endswith(text)


def test_sigint_reaches_the_program_and_its_exit_code_us(
    docker_cli: Cli, workspace: Path, tao_image: Callable[..., str], engine: Any
) -> None:
    script = "trap 'echo caught; exit 21' INT; echo ready; while :; do sleep 0.1; done"
    running = docker_cli.start(
        "shell", "--image", tao_image("pyt_7"), "--no-tty", "--", "sh", "-c", script, cwd=workspace
    )
    assert running.stdout is not None
    while running.stdout.readline() != b"ready\n":
        pass
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, out, err) == (21, b"caught\n", b"")
    assert is_clean(engine, workspace)


def test_every_option_is_seen_inside(
    shell: Callable[..., Any], workspace: Path, tmp_path: Path, docker_cli: Cli, own_gpus: range
) -> None:
    (workspace / "more.json").write_text(
        '{"Mounts": [{"source": "projects", "destination": "/more"}],'
        ' "Envs": [{"variable": "FROM_FILE", "value": "yes"}], "DockerOptions": {"user": "0:0"}}'
    )
    (workspace / "tree" / "tao-core").mkdir(parents=True)
    (workspace / "tree" / "seen_inside.py").write_text("print('imported')\n")
    script = """
echo "uid=$(id -u)"; echo "A=$A"; echo "B=$B"; echo "file=$FROM_FILE"; echo "gpus=$NVIDIA_VISIBLE_DEVICES"
echo "secret=$SOME_TOKEN"; echo "shm=$(df -k /dev/shm | awk 'NR==2{print $2}')"; echo "nofile=$(ulimit -Sn):$(ulimit -Hn)"
echo "path=$PYTHONPATH"; echo "import=$(python3 -c 'import seen_inside')"; echo "pwd=$PWD"; echo "more=$(ls /more)"
touch /ro/x 2>/dev/null || echo "ro=kept"; cat /ro/d/picture.txt; cat /proc/self/status | grep NoNewPrivs
"""
    for dashed in (True, False):
        words = ["--gpu-indices", f"{own_gpus[3]},{own_gpus[1]}", "--env", "A=b c", "--env", "B", "--env", "SOME_TOKEN=hush",
                 "--mounts-file", "more.json", "--shm-size", "64M", "--run-as-user", "--ulimit", "nofile=100:200",
                 "--source", "tree", "--no-tty",
                 "--volume", "projects/example_01/data:/ro:ro"]  # fmt: skip
        if not dashed:
            words = [
                w if not w.startswith("--") or w == "--no-tty" else f"--{w[2:].replace('-', '_')}"
                for w in words
            ]
        done = shell(*words, "--", "sh", "-c", script, env={"B": "from here"})
        assert done.code == 0, done.err
        seen = dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line and "===" not in line)
        assert seen == {
            "uid": str(CALLER if docker_cli.prefix else os.getuid()), "A": "b c", "B": "from here", "file": "yes",
            "gpus": f"{own_gpus[3]},{own_gpus[1]}", "secret": "hush", "shm": "65536", "nofile": "100:200", "path": "/tao-pt:/tao-pt/tao-core",
            "import": "imported", "pwd": "/workspace", "more": "example_01", "ro": "kept",
        }  # fmt: skip
        assert "an image\n" in done.out
        assert done.err == f"GPUs {own_gpus[3]}, {own_gpus[1]}\n"


def test_the_tag_is_another_image(
    shell: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    image = tao_image("pyt_7")
    engine.docker("tag", image, f"{image.partition(':')[0]}:of-mine")
    done = shell("--image", image.partition(":")[0], "--tag", "of-mine", "--", "echo", "here")
    assert done.out.endswith("here\n"), done.err


def test_a_port_is_reached_on_loopback_only(
    docker_cli: Cli, workspace: Path, tao_image: Callable[..., str]
) -> None:
    ports = [free_port(), free_port()]
    script = "mkdir /tmp/w; cd /tmp/w; echo served > index.html; python3 -m http.server 80"
    running = docker_cli.start(
        "shell", "--image", tao_image("pyt_7"), "--no-tty", "--port", f"{ports[0]}:80",
        "--port", f"0.0.0.0:{ports[1]}:80", "--", "sh", "-c", script, cwd=workspace,
    )  # fmt: skip
    try:
        wait_for(lambda: served("127.0.0.1", ports[0]) == "served\n")
        assert served("127.0.0.2", ports[0]) is None
        assert served("127.0.0.2", ports[1]) == "served\n"
    finally:
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=120)


def test_a_notebook_prints_its_address(
    docker_cli: Cli, workspace: Path, tao_image: Callable[..., str], engine: Any
) -> None:
    """A stand-in for Jupyter: it answers requests that have the token of its environment."""
    jupyter = workspace / "jupyter"
    jupyter.write_text(JUPYTER)
    jupyter.chmod(0o755)
    running = docker_cli.start(
        "shell", "--image", tao_image("pyt_7"), "--jupyter", "--volume", "jupyter:/usr/local/bin/jupyter:ro",
        cwd=workspace,
    )  # fmt: skip
    try:
        assert running.stderr is not None
        address = ""
        while not address.startswith("the notebook is at "):
            address = running.stderr.readline().decode()
            assert address or running.poll() is None
        url = address.removeprefix("the notebook is at ").strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[0-9a-f]{48}", url)
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == b"notebook --ip=0.0.0.0 --port=8888 --no-browser in /workspace/projects"
        token = url.partition("token=")[2]
        shown = engine.docker("inspect", *containers(engine, workspace)).stdout
        assert '"shell"' in shown
        assert token not in shown
    finally:
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=120)
    assert is_clean(engine, workspace)


JUPYTER = """#!/usr/bin/python3
import http.server, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        allowed = self.path == "/?token=" + os.environ["JUPYTER_TOKEN"]
        self.send_response(200 if allowed else 403)
        self.end_headers()
        self.wfile.write((" ".join(sys.argv[1:]) + " in " + os.getcwd()).encode() if allowed else b"")
http.server.HTTPServer(("0.0.0.0", 8888), Answer).serve_forever()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def served(host: str, port: int) -> str | None:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/", timeout=2) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return None


def test_outside_of_a_workspace_nothing_of_one_is_mounted(
    docker_cli: Cli, tao_image: Callable[..., str], engine: Any
) -> None:
    words = ("shell", "--image", tao_image("pyt_7"), "--volume", f"{docker_cli.home}:/mine")
    done = docker_cli(*words, "--", "sh", "-c", "pwd; ls /workspace /mine; touch $HOME/.x && echo writable")
    assert done.code == 0, done.err
    assert done.err == "no workspace here: no data is mounted\n"
    assert done.out.endswith("/mine\n/mine:\n\n/workspace:\nwritable\n")
    assert is_clean(engine, docker_cli.home / ".local" / "state" / "taorunner")


def test_the_line_of_a_dry_run_can_be_pasted(
    shell: Callable[..., Any], engine: Any, workspace: Path, docker_cli: Cli
) -> None:
    words = (
        "--no-tty",
        "--gpu-indices",
        "2",
        "--env",
        "A=it's",
        "--env",
        "MY_KEY=canary-7",
        "--dry-run",
        "--json",
    )
    done = shell(*words, "--", "sh", "-c", 'cat; echo "$A" on GPU $NVIDIA_VISIBLE_DEVICES')
    assert (done.code, done.err) == (0, "")
    (simulated,) = done.json
    assert simulated["argv"] == ["sh", "-c", 'cat; echo "$A" on GPU $NVIDIA_VISIBLE_DEVICES']
    assert (simulated["env"]["MY_KEY"], simulated["gpus"], simulated["action"]) == ("***", ["2"], "shell")
    assert "canary-7" not in done.out
    assert files_holding(workspace, "canary-7") == []
    pasted = docker_cli("-c", simulated["docker_run"], program=["bash"], cwd=workspace, stdin="typed\n")
    assert pasted.code == 0, pasted.err
    assert pasted.out.endswith("typed\nit's on GPU 2\n")
    assert containers(engine, workspace) == []


def test_a_reader_that_leaves_ends_the_shell(
    docker_cli: Cli, workspace: Path, tao_image: Callable[..., str], engine: Any
) -> None:
    running = docker_cli.start(
        "shell", "--image", tao_image("pyt_7"), "--", "emit", "99999999", cwd=workspace
    )
    assert running.stdout is not None
    running.stdout.read(4096)
    running.stdout.close()
    _, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (128 + 13, b"")
    assert is_clean(engine, workspace)


@pytest.mark.parametrize("way", WAYS)
def test_an_engine_that_is_lost_is_reported_and_the_container_ended_when_it_is_back(
    way: str, own_engine: Any, workspace: Path, docker_cli: Cli, path_of: Callable[[str], str]
) -> None:
    image = images.noop_image(own_engine)
    environment = {**docker_cli.environment({"PATH": path_of(way)}), **own_engine.environment()}
    command = [*PROGRAM, "--image", image, "--", "sh"]
    terminal = PseudoTerminal(command, cwd=workspace, env=environment)
    try:
        terminal.wait_for("[$#] ")
        rig.restart(own_engine.home)
        assert terminal.end(60) == 4
        assert re.search(
            "the connection to the container is lost|does not answer|no docker engine", terminal.shown
        )
        assert terminal.settings == terminal.before
        wait_for(lambda: is_clean(own_engine, workspace), 60)
    finally:
        terminal.clear()


def test_a_command_without_dashes_is_reported_where_it_goes(cli: Cli) -> None:
    done = cli("shell", "--image", "x", "ls", "projects")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        'error: "ls" is not an option',
        'hint: put a command after "--": taorunner shell -- ls projects',
    ]


def test_what_a_killed_shell_and_its_killed_guard_left_is_ended_by_the_next_one(
    open_shell: Callable[..., PseudoTerminal], shell: Callable[..., Any], engine: Any, workspace: Path
) -> None:
    terminal = open_shell("--env", "A_TOKEN=hush", "--", "sh")
    terminal.wait_for(r"[$#] ")
    (place,) = (workspace / ".taorunner" / "shells").iterdir()
    guards = [pid for pid in pids_naming(f"taorunner-{place.name}") if pid != terminal.process.pid]
    assert len(guards) == 1
    os.kill(guards[0], signal.SIGSTOP)
    os.kill(terminal.process.pid, signal.SIGKILL)
    terminal.process.wait()
    os.kill(guards[0], signal.SIGKILL)
    assert len(containers(engine, workspace)) == 1
    assert files_holding(place, "hush") != []

    assert shell("--", "true").code == 0
    assert len(containers(engine, workspace)) == 1  # too young to be judged
    long_ago = place.stat().st_mtime - 3600
    os.utime(place / "lock", (long_ago, long_ago))
    assert shell("--", "true").code == 0
    assert is_clean(engine, workspace)


def pids_naming(text: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if text.encode() in words and b"taorunner.shell.guard" in b" ".join(words):
                    found.append(int(entry.name))
    return found


def test_under_nohup_a_hangup_is_not_for_the_shell(
    docker_cli: Cli, workspace: Path, tao_image: Callable[..., str]
) -> None:
    words = ["--image", tao_image("pyt_7"), "--", "sh", "-c", "echo ready; cat; echo done"]
    running = subprocess.Popen(
        ["nohup", *docker_cli.prefix, *PROGRAM, *words], cwd=workspace, env=docker_cli.environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout is not None
    while running.stdout.readline() != b"ready\n":
        pass
    running.send_signal(signal.SIGHUP)
    out, _ = running.communicate(b"typed\n", timeout=30)
    assert (running.returncode, out) == (0, b"typed\ndone\n")
