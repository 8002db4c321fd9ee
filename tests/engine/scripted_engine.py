"""An engine of a few images and containers, which answers over a Unix socket as Docker does.

Real HTTP is spoken by the real docker-py: what is sent, and what comes of each answer, needs no engine of this machine.
"""

from __future__ import annotations

import json
import re
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from http_servers import Request, RequestHandler, listening

STREAMS = {"stdout": 1, "stderr": 2}


def frame(stream: str, data: bytes) -> bytes:
    """Output as an engine frames it on an attached connection."""
    return struct.pack(">BxxxL", STREAMS[stream], len(data)) + data


@dataclass
class Image:
    id: str
    digest: str | None = None
    layers: tuple[str, ...] = ()


@dataclass
class Container:
    """``says`` is its output once it was started; it then ends with ``code``, unless it ``stays``.

    It first reads ``listens_for`` bytes of its standard input. One that ``is_deaf`` ends by no signal.
    """

    says: bytes = b""
    code: int = 0
    stays: bool = False
    listens_for: int = 0
    status: str = "created"
    is_deaf: bool = False
    out_of_memory: bool = False
    body: dict[str, Any] = field(default_factory=dict)
    heard: bytearray = field(default_factory=bytearray)
    has_heard: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def hang_up(self, code: int = 0) -> None:
        """Ends a container that stays."""
        self.status, self.code = "exited", code
        self.started.set()
        self.ended.set()


@dataclass
class ScriptedEngine:
    """``pulls`` and ``pushes``: for each name the events of one try after the other; an image after its last event.

    ``registry``: name → digest, or the text of a refusal. ``template``: what the next container is.
    """

    url: str
    info: dict[str, Any] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    pulls: dict[str, list[tuple[list[dict[str, Any]], Image | None]]] = field(default_factory=dict)
    pushes: dict[str, list[list[dict[str, Any]]]] = field(default_factory=dict)
    registry: dict[str, str] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    template: Container = field(default_factory=Container)
    created: list[Container] = field(default_factory=list)
    calls: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @property
    def changes(self) -> list[str]:
        """All calls but those that only look, as ``METHOD /path``."""
        return [f"{method} {path}" for method, path, _ in self.calls if method != "GET"]


class _Handler(RequestHandler):
    """``engine`` is set by a subclass for each engine."""

    protocol_version = "HTTP/1.1"
    engine: ScriptedEngine

    def answer(self, request: Request) -> None:
        engine, path, query = self.engine, request.path, request.query
        if path != "/_ping":
            engine.calls.append((request.method, path, query))
        match = re.fullmatch(
            r"/(images|containers|distribution)/(.+?)(?:/(json|attach|start|stop|kill|wait|logs|tag|push|resize))?",
            path,
        )
        if path == "/_ping":
            self._send(200, b"OK")
        elif path == "/info":
            self._send(200, engine.info)
        elif path == "/images/json":
            self._send(200, [{"Id": one.id, "RepoTags": [name]} for name, one in engine.images.items()])
        elif path == "/images/create":
            self._pull(
                f"{query['fromImage']}:{query['tag']}"
                if ":" not in query["tag"]
                else f"{query['fromImage']}@{query['tag']}"
            )
        elif path == "/containers/create":
            self._create(query["name"], request.json)
        elif match is None:
            self._send(404, {"message": f"page not found: {path}"})
        elif match[1] == "images":
            self._image(match[2], match[3], query)
        elif match[1] == "distribution":
            self._registry(match[2])
        else:
            self._container(match[2], match[3])

    def _send(self, code: int, body: Any = b"") -> None:
        self.send(code, body, {"Api-Version": "1.44", "Server": "Docker/24.0.0 (linux)"})

    def _events(self, events: list[dict[str, Any]]) -> None:
        self._send(200, b"".join(json.dumps(event).encode() + b"\r\n" for event in events))

    def _pull(self, name: str) -> None:
        tries = self.engine.pulls.get(name)
        if not tries:
            self._send(404, {"message": f"manifest for {name} not found: manifest unknown: manifest unknown"})
            return
        events, image = tries.pop(0)
        if image is not None:
            self.engine.images[name] = image
        self._events(events)

    def _image(self, name: str, what: str | None, query: dict[str, str]) -> None:
        engine = self.engine
        if what == "push":
            self._events(engine.pushes[f"{name}:{query['tag']}"].pop(0))
            return
        found = engine.images.get(name) or next(
            (one for one in engine.images.values() if one.id == name), None
        )
        if found is None:
            self._send(404, {"message": f"No such image: {name}"})
        elif what == "tag":
            engine.images[f"{query['repo']}:{query['tag']}"] = found
            self._send(201)
        else:
            digests = [] if found.digest is None else [f"{name.rpartition(':')[0]}@{found.digest}"]
            layers = {"Layers": list(found.layers)}
            self._send(
                200,
                {
                    "Id": found.id,
                    "RepoDigests": digests,
                    "RootFS": layers,
                    "Architecture": "amd64",
                    "Size": 7,
                    "Created": "2026-01-31T10:00:00Z",
                },
            )

    def _registry(self, name: str) -> None:
        known = self.engine.registry.get(name, "manifest unknown")
        if known.startswith("sha256:"):
            self._send(200, {"Descriptor": {"digest": known}})
        else:
            self._send(404 if known == "manifest unknown" else 500, {"message": known})

    def _create(self, name: str, body: dict[str, Any]) -> None:
        engine = self.engine
        if name in engine.containers:
            self._send(
                409,
                {"message": f'Conflict. The container name "/{name}" is already in use by container "x".'},
            )
            return
        made, engine.template = engine.template, Container()
        made.body = body
        engine.containers[name] = made
        engine.created.append(made)
        self._send(201, {"Id": name, "Warnings": []})

    def _container(self, name: str, what: str | None) -> None:
        engine = self.engine
        found = engine.containers.get(name)
        if found is None:
            self._send(404, {"message": f"No such container: {name}"})
        elif what == "json":
            state = {"Status": found.status, "ExitCode": found.code, "OOMKilled": found.out_of_memory}
            self._send(
                200,
                {"Id": name, "State": state, "Config": {"Labels": found.body.get("Labels"), "Tty": False}},
            )
        elif what == "attach":
            self._attach(found)
        elif what == "start":
            found.status = "running"
            found.started.set()
            if not found.stays:
                found.status = "exited"
            self._send(204)
        elif what in ("stop", "kill"):
            if not found.is_deaf:
                found.hang_up(found.code or 137)
            self._send(204)
        elif what == "wait":
            self._send(200, {"StatusCode": found.code})
        elif what == "logs":
            self.send_response(200)
            self.send_header("Connection", "close")  # the reader reads to its end
            self.end_headers()
            self.wfile.write(found.says)
        elif self.command == "DELETE":
            found.status = "removing"
            del engine.containers[name]
            self._send(204)
        else:
            self._send(200)

    def _attach(self, container: Container) -> None:
        self.send_response_only(101, "UPGRADED")
        for name, value in (("Connection", "Upgrade"), ("Upgrade", "tcp")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        threading.Thread(target=self._hear, args=(container,), daemon=True).start()
        container.started.wait(30)
        with suppress(OSError):
            self.wfile.write(container.says)
            self.wfile.flush()
        if container.listens_for:
            container.has_heard.wait(30)
        if container.stays:
            container.ended.wait(30)
        self.close_connection = True

    def _hear(self, container: Container) -> None:
        with suppress(OSError, ValueError):
            while data := self.connection.recv(4096):
                container.heard += data
                if len(container.heard) >= container.listens_for:
                    container.has_heard.set()


@contextmanager
def scripted_engine() -> Iterator[ScriptedEngine]:
    """The engine answers inside the block, at ``url``."""
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        made = ScriptedEngine("", {"DockerRootDir": folder, "Architecture": "x86_64"})
        handler = type("Handler", (_Handler,), {"engine": made})
        with listening(Path(folder, "sock"), handler) as made.url:
            yield made


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEngine]:
    """The engine of this process and of those that it starts."""
    with scripted_engine() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.url)
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no docker config"))
        monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
        yield engine
