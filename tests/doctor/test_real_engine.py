"""The doctor on a real engine: it answers, its runtime is registered, a container sees the GPUs it is given."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planted import IMAGE_5, codes, look

import rig
from taorunner.doctor.host import LazyValue, Machine
from taorunner.doctor.workspace_needs import Needs
from taorunner.errors import Severity
from taorunner.gpu.inventory import Gpu, Inventory


@pytest.fixture
def on_engine(engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Machine]:
    """A machine whose engine is that of this test run."""

    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    for name, value in engine.environment().items():
        monkeypatch.setenv(name, value)
    return lambda **doors: Machine(os.environ, **doors)


def needs(*images: str) -> Needs:
    return Needs(is_known=True, images=dict.fromkeys(images, ("p/e",)))


def left(engine: Any, image: str) -> str:
    """Containers of this image that the doctor left."""
    return str(engine.docker("ps", "-aq", "--filter", f"label=com.taorunner.probe={image}").stdout)


def test_it_answers_and_has_the_nvidia_runtime(on_engine: Callable[..., Machine]) -> None:
    assert codes(look("engine", on_engine())) == [(Severity.OK, "engine")]
    assert codes(look("runtime", on_engine())) == [(Severity.OK, "runtime")]
    assert codes(look("clock", on_engine(offline=True))) == [(Severity.OK, "clock")]


def test_a_container_of_a_needed_image_sees_the_gpus(
    on_engine: Callable[..., Machine],
    engine: Any,
    tao_image: Callable[..., str],
    own_tag: Callable[[str], str],
) -> None:
    image = own_tag(tao_image("pyt_7"))
    (found,) = look("gpu-in-container", on_engine(needs=needs(IMAGE_5, image)))
    assert (found.severity, found.message) == (Severity.OK, f'a container of "{image}" sees 2 GPUs')
    assert left(engine, image) == ""


def test_a_container_that_sees_less_than_the_machine_has(
    on_engine: Callable[..., Machine], tao_image: Callable[..., str]
) -> None:
    three = Inventory(tuple(Gpu(index, f"GPU-{index}", "H100") for index in range(3)), driver="580")
    (found,) = look(
        "gpu-in-container", on_engine(needs=needs(tao_image("pyt_7")), _gpus=LazyValue(lambda: three))
    )
    assert (found.severity, found.code) == (Severity.WARNING, "gpu-not-in-container")
    assert found.message.endswith(" sees 2 GPUs of 3")


def test_an_image_in_which_nothing_of_the_driver_arrives(
    on_engine: Callable[..., Machine], engine: Any, noop_image: str, own_tag: Callable[[str], str]
) -> None:
    image = own_tag(noop_image)
    (found,) = look("gpu-in-container", on_engine(needs=needs(image)))
    assert (found.severity, found.code) == (Severity.ERROR, "gpu-not-in-container")
    assert "nvidia-smi" in found.message
    assert found.hint is not None and "nvidia-ctk runtime configure" in found.hint
    assert left(engine, image) == ""


def test_images_that_are_there_are_reported_from_those_that_are_not(
    on_engine: Callable[..., Machine], noop_image: str
) -> None:
    (found,) = look("disk-engine", on_engine(needs=needs(noop_image)))
    assert found.severity in (Severity.OK, Severity.WARNING) and "to pull" not in found.message
    (found,) = look("disk-engine", on_engine(needs=needs(noop_image, IMAGE_5)))
    assert "one image" in found.message


def test_the_registry_takes_the_login_or_not(
    on_engine: Callable[..., Machine], registry: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted = needs(f"{registry.address}/nvidia/tao/tao-toolkit:7.0.1-pyt")
    monkeypatch.setenv("DOCKER_CONFIG", str(registry.credentials(tmp_path / "good")))
    assert codes(look("login", on_engine(needs=wanted))) == [(Severity.OK, "login")]
    wrong = type(registry)(registry.engine, registry.address, registry.user, "old-key-canary")
    monkeypatch.setenv("DOCKER_CONFIG", str(wrong.credentials(tmp_path / "wrong")))
    (found,) = look("login", on_engine(needs=wanted))
    assert (found.severity, found.code) == (Severity.ERROR, "login-refused")
    assert "old-key-canary" not in repr(found)


def test_a_registry_with_a_password_answers(on_engine: Callable[..., Machine], registry: Any) -> None:
    wanted = needs(f"{registry.address}/nvidia/tao/tao-toolkit:7.0.1-pyt")
    assert codes(look("registry", on_engine(needs=wanted))) == [(Severity.OK, "registry")]


def test_a_daemon_that_is_stuck_and_one_that_was_killed(
    own_engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in own_engine.environment().items():
        monkeypatch.setenv(name, value)
    daemon = rig.read_state(own_engine.home)["dockerd"]
    os.kill(daemon, signal.SIGSTOP)
    stuck = Machine(os.environ)
    try:
        found, _ = look("engine", stuck)
        assert (found.severity, found.code) == (Severity.ERROR, "engine-hangs")
    finally:
        os.kill(daemon, signal.SIGCONT)
    assert (
        stuck.engine().facts.version
    )  # the late answer; docker-py would leave a socket open where the engine ends first
    assert codes(look("engine", Machine(os.environ))) == [(Severity.OK, "engine")]
    os.kill(daemon, signal.SIGKILL)
    wait_until_dead(daemon)
    found, _ = look("engine", Machine(os.environ))
    assert (found.severity, found.code) == (Severity.ERROR, "engine-down"), found


def wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + 100
    while rig.started_at(pid) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
