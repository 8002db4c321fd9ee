"""A command in an image that was just built: whose it is, what it can reach, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from broken_attach import broken_attach
from scripted_engine import Container, Image, ScriptedEngine, frame

from taorunner.container_options import Mount
from taorunner.engine import client
from taorunner.errors import EngineRefusedError
from taorunner.gpu.leases import Leases
from taorunner.images.trial import LABEL, Trial, run_trial


@pytest.fixture
def run(connected: client.Engine, noop_image: str, own_tag: Callable[[str], str], engine: Any) -> Any:
    """``run("sh", "-c", …)`` gives the exit code, stdout, stderr and the messages."""

    image = own_tag(noop_image)

    def start(*command: str, **fields: Any) -> tuple[int, str, str, list[str]]:
        trial = replace(Trial(image, command, "1234:1234", (4321,), "ada", gpus=0), **fields)
        parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        messages: list[str] = []
        code = run_trial(connected, trial, lambda name, data: parts[name].append(data), messages.append)
        assert engine.docker("ps", "-aq", "--filter", f"label={LABEL}={image}").stdout == ""
        return code, b"".join(parts["stdout"]).decode(), b"".join(parts["stderr"]).decode(), messages

    return start


def test_output_and_exit_code_are_the_commands(run: Any) -> None:
    assert run("sh", "-c", "echo out; echo err >&2; exit 7") == (7, "out\n", "err\n", [])
    code, _, err, _ = run("nosuch")
    assert code == 127 and "nosuch" in err


def test_as_the_caller_and_without_a_network(run: Any) -> None:
    code, out, _, _ = run("sh", "-c", "id -u; id -g; id -G; echo $HOME $USER; ls /sys/class/net")
    assert (code, out.splitlines()) == (0, ["1234", "1234", "1234 4321", "/tmp ada", "lo"])


def test_no_process_of_it_gains_rights(run: Any) -> None:
    assert run("grep", "NoNewPrivs", "/proc/self/status")[:2] == (0, "NoNewPrivs:\t1\n")


def test_what_is_bound_is_there(run: Any, tmp_path: Any) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "x").write_text("bound")
    code, out, _, _ = run("cat", "x", mounts=(Mount(tmp_path, "/here"),), workdir="/here")
    assert (code, out) == (0, "bound")


def test_an_image_that_is_not_here(run: Any) -> None:
    with pytest.raises(EngineRefusedError, match=r'the engine has no image "taorunner-test/nop:1"'):
        run("true", image="taorunner-test/nop:1")


def test_a_free_gpu_is_used_and_kept_from_runs(
    run: Any, fake_nvml: Callable[..., dict[str, str]], request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any,
) -> None:  # fmt: skip
    import _ctypes
    import ctypes

    import pynvml

    for name, value in fake_nvml(2, processes={0: {1: 512}}).items():
        monkeypatch.setenv(name, value)
    library = ctypes.CDLL(os.environ["LD_LIBRARY_PATH"] + "/libnvidia-ml.so.1")
    request.addfinalizer(
        lambda: _ctypes.dlclose(library._handle)
    )  # else later tests of this process find it by its name
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setenv("TAORUNNER_LEASES", str(tmp_path / "leases"))
    shown = ("sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES")
    assert run(*shown, gpus=None)[:2] == (0, "1\n")  # another process computes on the first
    assert run(*shown, gpus=2)[:2] == (0, "0,1\n")
    assert run(*shown, gpus=0)[:2] == (0, "\n")

    from taorunner.gpu.inventory import inventory

    other = Leases().take([inventory().gpus[1].uuid])
    assert other is not None
    assert run(*shown, gpus=None)[1:] == ("\n", "", ["no GPU is used: all of them are in use"])
    with pytest.raises(
        EngineRefusedError, match="2 GPUs are requested, but 1 of 2 GPUs of this machine are free"
    ):
        run(*shown, gpus=2)
    other.release()


@pytest.mark.parametrize("after", [b"", b"one"])
def test_output_is_whole_when_the_connection_breaks(
    noop_image: str, engine: Any, tmp_path: Path, after: bytes
) -> None:
    script = "echo one; sleep 0.5; printf 'caf\\303\\251 '; echo err >&2; printf last"
    parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    trial = Trial(noop_image, ("sh", "-c", script), "1234:1234", gpus=0)
    with broken_attach(engine.url, tmp_path, after) as address:
        broken = client.connect({"DOCKER_HOST": address})
        try:
            code = run_trial(broken, trial, lambda name, data: parts[name].append(data), lambda text: None)
        finally:
            broken.api.close()
    assert (code, b"".join(parts["stdout"]).decode(), b"".join(parts["stderr"])) == (
        0,
        "one\ncaf\u00e9 last",
        b"err\n",
    )


def test_bytes_that_are_no_text_arrive_as_they_are(connected: client.Engine, noop_image: str) -> None:
    parts: list[bytes] = []
    trial = Trial(noop_image, ("printf", r"\377\303\251\342\226"), "1234:1234", gpus=0)
    assert run_trial(connected, trial, lambda name, data: parts.append(data), lambda text: None) == 0
    assert b"".join(parts) == b"\xff\xc3\xa9\xe2\x96"


@pytest.fixture
def mine(scripted: ScriptedEngine) -> ScriptedEngine:
    scripted.images["mine:1"] = Image("sha256:mine")
    return scripted


def trial_of(mine: ScriptedEngine, **fields: Any) -> tuple[int, list[tuple[str, bytes]], list[str]]:
    """The exit code, the output and the messages."""
    output: list[tuple[str, bytes]] = []
    said: list[str] = []
    trial = replace(Trial("mine:1", ("run", "me"), "1234:4321", gpus=0), **fields)
    code = run_trial(client.connect(), trial, lambda name, data: output.append((name, data)), said.append)
    return code, output, said


def test_the_container_is_the_callers_and_is_removed(mine: ScriptedEngine) -> None:
    made = mine.template = Container(says=frame("stdout", b"out") + frame("stderr", b"err"), code=7)
    assert trial_of(mine) == (7, [("stdout", b"out"), ("stderr", b"err")], [])
    assert mine.containers == {}
    host = made.body["HostConfig"]
    assert (made.body["Cmd"], made.body["User"], made.body["Labels"]) == (
        ["run", "me"], "1234:4321", {LABEL: "mine:1"},
    )  # fmt: skip
    assert (host["NetworkMode"], host["ShmSize"], host.get("DeviceRequests")) == ("none", 16 << 30, None)
    assert host["SecurityOpt"] == ["no-new-privileges"]


def test_a_process_that_the_kernel_killed_is_told(mine: ScriptedEngine) -> None:
    mine.template = Container(code=137, out_of_memory=True)
    assert trial_of(mine) == (137, [], ["the kernel killed a process: out of memory"])


def test_ctrl_c_stops_the_command_and_removes_the_container(mine: ScriptedEngine) -> None:
    mine.template = Container(says=frame("stdout", b"out"), stays=True)

    def interrupted(_name: str, _data: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trial(client.connect(), Trial("mine:1", ("x",), "1:1", gpus=0), interrupted, print)
    assert [change.rpartition("/")[2] for change in mine.changes if change.endswith("stop")] == ["stop"]
    assert mine.containers == {}


def test_an_image_of_a_similar_name_is_suggested(mine: ScriptedEngine) -> None:
    with pytest.raises(EngineRefusedError) as caught:
        trial_of(mine, image="mine:2")
    assert caught.value.hint == 'did you mean "mine:1"?'
    mine.images.clear()
    with pytest.raises(EngineRefusedError) as caught:
        trial_of(mine, image="mine:2")
    assert caught.value.hint == "build it: taorunner image build"


def test_gpus_that_are_free_are_leased_for_the_command(
    mine: ScriptedEngine, fake_nvml: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    """In a process of its own, which loads NVML anew."""
    code = (
        "import sys\n"
        "from taorunner.engine import client\n"
        "from taorunner.errors import TaorunnerError\n"
        "from taorunner.gpu.inventory import inventory\n"
        "from taorunner.gpu.leases import Leases\n"
        "from taorunner.images.trial import Trial, run_trial\n"
        "def trial(gpus, taken=()):\n"
        "    held = Leases().take([inventory().gpus[index].uuid for index in taken])\n"
        "    try:\n"
        "        run_trial(client.connect(), Trial('mine:1', ('x',), '1:1', gpus=gpus), print, print)\n"
        "    except TaorunnerError as error:\n"
        "        print(error.message)\n"
        "    held.release()\n"
        "trial(None); trial(2); trial(None, [1]); trial(2, [1]); trial(1, [0]); trial(0); trial(1)\n"
    )
    environ = {
        **os.environ, **fake_nvml(2, processes={0: {1: 512}}), "TAORUNNER_LEASES": str(tmp_path / "leases"),
    }  # fmt: skip
    mine.info["Runtimes"] = {"nvidia": {}}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    requests = [one.body["HostConfig"].get("DeviceRequests") for one in mine.created]
    assert [one if one is None else one[0]["DeviceIDs"] for one in requests] == [
        ["1"],
        ["0", "1"],
        None,
        ["1"],
        None,
        ["0"],
    ]
    assert done.stdout.splitlines() == [
        "no GPU is used: all of them are in use",
        "2 GPUs are requested, but 1 of 2 GPUs of this machine are free",
    ]


def test_no_gpu_is_taken_from_an_engine_without_nvidias_runtime(
    mine: ScriptedEngine, fake_nvml: Callable[..., dict[str, str]]
) -> None:
    code = (
        "from taorunner.engine import client\n"
        "from taorunner.images.trial import Trial, run_trial\n"
        "run_trial(client.connect(), Trial('mine:1', ('x',), '1:1'), print, print)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **fake_nvml(1)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("no GPU is used: the engine has no NVIDIA runtime\n", "")
