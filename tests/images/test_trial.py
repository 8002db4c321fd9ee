"""A command in an image that was just built: whose it is, what it can reach, and how it ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from broken_attach import broken_attach

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
