"""Which GPUs a shell waits for."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from scripted_engine import Container, Image, ScriptedEngine, frame

from taorunner.backends.docker.backend import DockerBackend
from taorunner.container_options import ContainerOptions
from taorunner.errors import EngineRefusedError, MachineError, UserFilesError
from taorunner.gpu.inventory import Gpu, Inventory
from taorunner.gpu.leases import Leases
from taorunner.planning.model.plan import GpuRequest, Resources
from taorunner.planning.model.request import Site
from taorunner.scheduling.gpu_allocator import FreeGpus
from taorunner.shell.request import Notebook, PlannedShell
from taorunner.shell.session import _wait_for_gpus, free_port, open_shell


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (GpuRequest(1, ("7",)), "GPU 7 requested, this machine has only GPU 0, 1"),
        (GpuRequest(3), "3 GPUs requested, this machine has 2"),
    ],
)
def test_gpus_that_do_not_exist_are_named(
    make_plan: Any, tmp_path: Path, wanted: GpuRequest, text: str
) -> None:
    two = Inventory((Gpu(0, "GPU-a", "A"), Gpu(1, "GPU-b", "B")))
    gpus = FreeGpus(Leases(tmp_path / "leases"), lambda: two)
    with pytest.raises(UserFilesError) as refused:
        _wait_for_gpus(
            make_plan("sh", resources=Resources(gpus=wanted)), "shell-1", gpus, DockerBackend({}), print
        )
    assert refused.value.message == text


def test_gpus_that_are_free_are_leased_and_none_is_asked_for_without_a_wish(
    make_plan: Any, tmp_path: Path
) -> None:
    two = Inventory((Gpu(0, "GPU-a", "A"), Gpu(1, "GPU-b", "B")))
    gpus = FreeGpus(Leases(tmp_path / "leases"), lambda: two)

    def wait_for(run_id: str, wish: GpuRequest) -> tuple[str, ...]:
        plan = make_plan("sh", resources=Resources(gpus=wish))
        return _wait_for_gpus(plan, run_id, gpus, DockerBackend({}), print)

    assert wait_for("shell-1", GpuRequest(1, ("1",))) == ("1",)
    assert wait_for("shell-2", GpuRequest(1)) == ("0",)
    assert wait_for("shell-3", GpuRequest(0)) == ()
    gpus.release("shell-1")
    assert wait_for("shell-4", GpuRequest(1)) == ("1",)
    gpus.release("shell-2")
    gpus.release("shell-4")


def write_to_a_reader_that_is_gone() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        os.write(writer, b"x")
    finally:
        os.close(writer)


Open = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def open_one(make_plan: Any, scripted: ScriptedEngine, tmp_path: Path) -> Open:
    """``open_one(make_dirs=…)`` gives the exit code and the messages; its folder, container and lock are gone."""
    scripted.images["mine:1"] = Image("sha256:mine")

    def start(
        *, notebook: Notebook | None = None, pulling: Callable[[], object] = bool, **fields: Any
    ) -> tuple[int, list[str]]:
        said: list[str] = []
        site = Site("r1", tmp_path / "shells" / "r1")
        wish = Resources(gpus=GpuRequest(0))
        options = ContainerOptions(interactive=True)
        fields = {"action": "shell", "image": "mine:1", "resources": wish, "options": options, **fields}
        shell = PlannedShell(make_plan("sh", **fields), notebook)
        try:
            code = open_shell(
                shell, site, {}, say=said.append, tell_address=said.append, pulling=lambda _: pulling()
            )
        finally:
            assert not site.run_dir.parent.exists()
            assert scripted.containers == {}
        return code, said

    return start


def test_a_shell_ends_with_the_code_of_its_command(
    open_one: Open, scripted: ScriptedEngine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = scripted.template = Container(says=frame("stdout", b"out") + frame("stderr", b"err"), code=5)
    folder = tmp_path / "new" / "folder"
    assert open_one(make_dirs=(folder,)) == (5, [])
    assert capfd.readouterr() == ("out", "err")
    assert folder.is_dir()
    assert made.body["Image"] == "mine:1"


def test_a_folder_that_cannot_be_created_is_an_error(open_one: Open, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError) as caught:
        open_one(make_dirs=(tmp_path / "file" / "folder",))
    assert caught.value.message == f'"{tmp_path}/file/folder" cannot be created: not a directory'


def test_an_image_that_cannot_be_had_is_an_error(open_one: Open, scripted: ScriptedEngine) -> None:
    with pytest.raises(EngineRefusedError):
        open_one(image="127.0.0.1:9/none:1")
    assert scripted.created == []


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda: signal.raise_signal(signal.SIGTERM), 143), (lambda: signal.raise_signal(signal.SIGHUP), 129),
        (write_to_a_reader_that_is_gone, 141),
    ],
)  # fmt: skip
def test_a_shell_that_is_ended_while_its_image_is_pulled_has_the_code_of_the_signal(
    open_one: Open, scripted: ScriptedEngine, end: Callable[[], object], code: int
) -> None:
    scripted.pulls["127.0.0.1:9/new:1"] = [([{"id": "a", "status": "Pull complete"}], Image("sha256:new"))]
    assert open_one(image="127.0.0.1:9/new:1", pulling=end) == (code, [])
    assert scripted.created == []


def test_the_address_of_a_notebook_is_told_when_it_answers(open_one: Open, scripted: ScriptedEngine) -> None:
    answers: list[int] = [502, 404]

    class Answer(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            self.send_response(answers.pop(0))
            self.end_headers()

    scripted.template = Container(stays=True)
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        notebook = Notebook("127.0.0.1", server.server_port, "secret")

        def serve() -> None:
            for _ in range(2):
                server.handle_request()
            time.sleep(0.3)
            scripted.created[0].hang_up()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        _, said = open_one(notebook=notebook)
        thread.join(100)
    assert answers == []
    assert said == [f"http://127.0.0.1:{notebook.port}/?token=secret"]


def test_a_port_that_is_free_can_be_used() -> None:
    port = free_port()
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
    assert port != 0
