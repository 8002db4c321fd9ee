"""Registries on loopback: an open one, one in front of it that fails on demand; images to put into them."""

from __future__ import annotations

import http.client
import secrets
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import rig
from taorunner.engine import client
from taorunner.engine.images import LayerState, PullState
from taorunner.images.transfer import Patience

QUICK = Patience(tries=4, first_wait_s=0.01, most_wait_s=0.02)


class Seen:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.begun: dict[str, int | None] = {}
        self.ended: list[str] = []
        self.messages: list[str] = []
        self.states: dict[str, list[PullState]] = {}
        self.layers: dict[str, list[tuple[LayerState, ...]]] = {}

    def begins(self, image: str, total_bytes: int | None) -> None:
        self.begun[image] = total_bytes

    def advanced(self, image: str, state: PullState, layers: Sequence[LayerState]) -> None:
        self.states.setdefault(image, []).append(state)
        self.layers.setdefault(image, []).append(tuple(layers))

    def ends(self, image: str) -> None:
        self.ended.append(image)

    def tells(self, text: str) -> None:
        self.messages.append(text)


CONFIG = """\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: 127.0.0.1:{port}}}
"""


@pytest.fixture
def connected(engine: rig.Engine, monkeypatch: pytest.MonkeyPatch) -> client.Engine:
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    for name, value in engine.environment().items():
        monkeypatch.setenv(name, value)
    return client.connect()


@pytest.fixture(scope="session")
def open_registry(engine: rig.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry that asks for nothing."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("not installed: docker-registry (as root: python tests/rig/rig.py install)")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config.yml").write_text(CONFIG.format(folder=folder / "data", port=port))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "serve", str(folder / "config.yml")], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        wait_for_answer(port)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def wait_for_answer(port: int) -> None:
    deadline = time.monotonic() + 100
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=2).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.05)


@dataclass
class Images:
    """Makes images and puts them into the open registry."""

    engine: rig.Engine
    registry: str
    base: str
    made: list[str] = field(default_factory=list)

    def docker(self, *args: str, input_bytes: bytes | None = None) -> str:
        done = self.engine.docker(*args, input_bytes=input_bytes)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def build(self, tag: str, layers: int = 1, kilobytes: int = 64, below: str | None = None) -> str:
        """A local image with that many layers of noise of its own."""
        noise = [
            f"RUN head -c {kilobytes * 1024} /dev/urandom >/{secrets.token_hex(8)}" for _ in range(layers)
        ]
        text = "\n".join([f"FROM {below or self.base}", *noise]) + "\n"
        self.docker("build", "-q", "--no-cache", "-t", tag, "-", input_bytes=text.encode())
        self.made.append(tag)
        return tag

    def push(self, name: str, *, keep: bool = False, **how: Any) -> tuple[str, str]:
        """Reference and digest of a new image in the registry; the engine forgets it unless ``keep``."""
        reference = self.build(f"{self.registry}/{name}", **how)
        self.docker("push", "-q", reference)
        digest = self.docker("inspect", "-f", "{{index .RepoDigests 0}}", reference).rpartition("@")[2]
        if not keep:
            self.forget(reference)
        return reference, digest

    def forget(self, *references: str) -> None:
        """Removes these images. Others stay: tests of other workers use the same engine."""
        self.engine.docker("rmi", "-f", *references)


@pytest.fixture
def images(engine: rig.Engine, open_registry: str, noop_image: str) -> Iterator[Images]:
    made = Images(engine, open_registry, noop_image)
    yield made
    if made.made:
        made.forget(*made.made)


@dataclass
class Flaky:
    """What the registry in front does: the next ``failures`` requests for manifests end in a 503."""

    address: str = ""
    failures: int = 0
    asked: int = 0


@pytest.fixture
def flaky_registry(open_registry: str) -> Iterator[Flaky]:
    state = Flaky()
    upstream, _, port = open_registry.partition(":")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "/manifests/" in self.path:
                state.asked += 1
                if state.failures > 0:
                    state.failures -= 1
                    self.send_response(503)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
            link = http.client.HTTPConnection(upstream, int(port), timeout=20)
            link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for key, value in self.headers.items():  # Accept comes many times
                link.putheader(key, value)
            link.endheaders()
            answer = link.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(key, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(body)
            link.close()

        do_HEAD = do_GET  # noqa: N815 (the base class's name)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Callable[..., Path]:
    """``workspace(e1="127.0.0.1:5000/tao:1", …)``: experiments of dino by their images."""

    def make(**images_of: str) -> Path:
        filled = {
            name: {"head": "codetr", "dataset": "coco", "image": image, "release": "7.0.1"}
            for name, image in images_of.items()
        }
        specs = {f"{name}/train.yaml": "results_dir: $results_dir\n" for name in images_of}
        return workspace_factory({"experiments": filled}, specs=specs, data={"coco/": ""})

    return make
