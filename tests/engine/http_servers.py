"""What the stand-ins for an engine and a registry share: the server, the reading of a request, and the answer."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Request:
    """``path`` is without the version of the API. Names of headers are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RequestHandler(BaseHTTPRequestHandler):
    """Answers every method with ``answer``. Prints nothing."""

    def answer(self, request: Request) -> None:
        raise AssertionError(f"no answer to {request.method} {request.path}")

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = re.sub(r"^/v\d+\.\d+(?=/)", "", unquote(parts.path))  # not the /v2/ of a registry
        query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.answer(Request(self.command, path, query, headers, self._body()))

    do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 (names of the base class)

    def send(self, status: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> None:
        """``body`` is JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        has_body = status != 204
        self.send_response_only(status)
        lengths = {"Content-Length": str(len(data) if has_body else 0)}
        for name, value in {"Content-Type": "application/json", **(headers or {}), **lengths}.items():
            self.send_header(name, value)
        self.end_headers()
        if has_body:
            self.wfile.write(data)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def address_string(self) -> str:  # a Unix socket has no address
        return "somebody"

    def log_message(self, *_: object) -> None:
        return


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads, block_on_close = True, False


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads, block_on_close = True, False


@contextmanager
def listening(socket_or_port: Path | int, handler: type[RequestHandler]) -> Iterator[str]:
    """Yields the address: of a Unix socket, or of a port of this machine (0: any)."""
    server: Any = (
        _TcpServer(("127.0.0.1", socket_or_port), handler)
        if isinstance(socket_or_port, int)
        else _UnixServer(str(socket_or_port), handler)
    )
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            at = server.server_address
            yield f"127.0.0.1:{at[1]}" if isinstance(socket_or_port, int) else f"unix://{at}"
        finally:
            server.shutdown()
            thread.join()
