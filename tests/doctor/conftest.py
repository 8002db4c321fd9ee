"""A machine where nothing is wrong, and an engine that answers as it is configured."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from planted import DEBIAN, GOOD_INFO, Place, StandInEngine


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A Debian with systemd and a GPU on its bus, where nothing is wrong and nothing is installed."""
    environ = {
        "PATH": str(tmp_path / "bin"),
        "HOME": str(tmp_path / "home"),
        "USER": "somebody",
        "DOCKER_HOST": f"unix://{tmp_path}/docker.sock",
        "DOCKER_CONFIG": str(tmp_path / "home" / ".docker"),
        "TAORUNNER_LEASES": str(tmp_path / "leases"),
    }
    made = Place(tmp_path, environ)
    for folder in (made.root, made.bin, made.home / ".docker"):
        folder.mkdir(parents=True)
    for name in ("DOCKER_HOST", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, environ[name])
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    made.file("etc/os-release", DEBIAN)
    made.file("proc/sys/kernel/osrelease", "6.1.0-26-amd64\n")
    made.file("proc/meminfo", "MemTotal:       65536000 kB\n")
    made.file("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
    made.file("sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n")
    (made.root / "run/systemd/system").mkdir(parents=True)
    (made.root / "dev/shm").mkdir(parents=True)
    return made


@pytest.fixture
def stand_in_engine(place: Place) -> Iterator[StandInEngine]:
    engine = StandInEngine(place.folder / "docker.sock", info=dict(GOOD_INFO))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if engine.hangs is not None:
                engine.hangs.wait(30)
            route = self.path.partition("?")[0]
            if route == "/_ping":
                self.answer(200, b"OK")
            elif route.endswith("/info"):
                self.answer(200, json.dumps(engine.info).encode())
            elif route.endswith("/images/json"):
                body = [{"Id": f"sha256:{n}", "RepoTags": [name]} for n, name in enumerate(engine.images)]
                self.answer(200, json.dumps(body).encode())
            elif route.endswith("/containers/c1/json"):
                self.answer(200, b'{"Id": "c1", "Config": {"Tty": true}}')
            elif route.endswith("/containers/c1/logs"):
                self.answer(200, engine.probe[1].encode())
            else:
                name = route.rpartition("/images/")[2].removesuffix("/json")
                found = engine.images.get(name)
                body = {"message": f"No such image: {name}"} if found is None else found
                self.answer(404 if found is None else 200, json.dumps(body).encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            route = self.path.partition("?")[0]
            if route.endswith("/containers/create") and engine.refuses:
                self.answer(500, json.dumps({"message": engine.refuses}).encode())
            elif route.endswith("/containers/create"):
                self.answer(201, b'{"Id": "c1", "Warnings": []}')
            elif route.endswith("/containers/c1/wait"):
                self.answer(200, json.dumps({"StatusCode": engine.probe[0]}).encode())
            elif route.endswith("/containers/c1/start"):
                self.answer(204, b"")
            else:
                self.answer(404, b'{"message": "page not found"}')

        def do_DELETE(self) -> None:
            self.answer(204, b"")

        def answer(self, status: int, body: bytes) -> None:
            self.send_response_only(status)
            self.send_header("Api-Version", engine.api)
            self.send_header("Server", engine.server)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *args: object) -> None:
            pass

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
        block_on_close = False

    with Server(str(engine.path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield engine
        if engine.hangs is not None:
            engine.hangs.set()
        server.shutdown()
