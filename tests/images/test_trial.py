"""A command in an image that was just built: whose it is, what it can reach, and how it ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from taorunner.engine import client
from taorunner.engine.containers import Bind
from taorunner.errors import EngineRefusedError
from taorunner.gpu.leases import Leases
from taorunner.images.trial import LABEL, Trial, run_trial


@pytest.fixture
def run(connected: client.Engine, noop_image: str, engine: Any) -> Any:
    """``run("sh", "-c", …)`` gives the exit code, stdout, stderr and the messages."""

    def start(*command: str, **fields: Any) -> tuple[int, str, str, list[str]]:
        trial = replace(Trial(noop_image, command, "1234:1234", (4321,), "ada", gpus=0), **fields)
        parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        messages: list[str] = []
        code = run_trial(connected, trial, lambda name, data: parts[name].append(data), messages.append)
        assert engine.docker("ps", "-aq", "--filter", f"label={LABEL}").stdout == ""
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
    code, out, _, _ = run("cat", "x", binds=(Bind(str(tmp_path), "/here"),), workdir="/here")
    assert (code, out) == (0, "bound")


def test_an_image_that_is_not_here(run: Any) -> None:
    with pytest.raises(EngineRefusedError, match=r'the engine has no image "taorunner-test/nop:1"'):
        run("true", image="taorunner-test/nop:1")


def test_a_free_gpu_is_used_and_kept_from_runs(
    run: Any, fake_nvml: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    import ctypes

    import pynvml

    for name, value in fake_nvml(2, processes={0: {1: 512}}).items():
        monkeypatch.setenv(name, value)
    library = ctypes.CDLL(os.environ["LD_LIBRARY_PATH"] + "/libnvidia-ml.so.1")
    monkeypatch.setattr(pynvml, "nvmlLib", library)
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
