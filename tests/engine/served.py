"""An engine that answers as a test says: a real HTTP server on a unix socket, which records what it was asked."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    """``answers`` by method and path, without the version: a status and a body, which is JSON unless it is bytes.
    A path without an answer is not found."""

    url: str
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    product: str = "Docker/24.0.7 (linux)"

    def of(self, method: str, path: str) -> Request:
        """The last request of that kind."""
        return [one for one in self.asked if (one.method, one.path) == (method, path)][-1]


@contextmanager
def serving(socket_or_port: Path | int) -> Iterator[Served]:
    """At a unix socket, or at a port of this machine (0: any)."""
    found = Served("")

    class Handler(BaseHTTPRequestHandler):
        def answer_any(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            if path.startswith("/v1."):
                path = "/" + path.split("/", 2)[2]
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = self.chunks()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
            headers = {key.lower(): value for key, value in self.headers.items()}
            found.asked.append(Request(self.command, path, query, headers, body))
            status, said = found.answers.get(f"{self.command} {path}", (404, {"message": "not found"}))
            if callable(said):
                status, said = said(found.asked[-1])
            extra: dict[str, str] = {}
            if path == "/_ping":
                status, said = 200, b"OK"
            if isinstance(said, tuple):
                said, extra = said
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response_only(status)
            for name, value in {"Api-Version": "1.43", "Server": found.product, **extra}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(0 if status == 204 else len(data)))
            self.end_headers()
            if status != 204:
                self.wfile.write(data)

        def chunks(self) -> bytes:
            whole = b""
            while size := int(self.rfile.readline(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole

        do_GET = do_POST = do_DELETE = answer_any  # noqa: N815 - names of the base class

        def address_string(self) -> str:
            return "somebody"

        def log_message(self, *args: object) -> None:
            pass

    class Unix(socketserver.ThreadingUnixStreamServer):
        daemon_threads, block_on_close = True, False

    class Tcp(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

    server: Any = (
        Tcp(("127.0.0.1", socket_or_port), Handler)
        if isinstance(socket_or_port, int)
        else Unix(str(socket_or_port), Handler)
    )
    with server:
        at = server.server_address
        found.url = f"127.0.0.1:{at[1]}" if isinstance(socket_or_port, int) else f"unix://{at}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield found
        server.shutdown()
