"""NGC and its object store on loopback: three origins, tokens, signed addresses, ranges, and faults on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

SECRET_QUERY = "X-Amz-Signature=s%2Fi~g%3D&e=1+2"


@dataclass
class Seen:
    """One request as it came."""

    where: str
    path: str
    query: str
    headers: dict[str, str]
    answered: int = 0
    sent: tuple[int, int] = (0, 0)
    """First byte and end of what left the socket's door."""


@dataclass
class FakeNgc:
    """``models``: ``org/team/name`` → version → path → content. ``faults`` are used up, first first.

    A fault is a function of the handler; it answers in place of the server and returns True, or returns False.
    """

    models: dict[str, dict[str, dict[str, bytes]]]
    private: set[str] = field(default_factory=set)
    legacy_key: str = "old-key-1"
    new_key: str = "nvapi-new-2"
    wrong_sums: set[str] = field(default_factory=set)
    no_sums: bool = False
    page_size: int = 1000
    redirects: bool = False
    status: str = "UPLOAD_COMPLETE"
    api_faults: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    store_faults: list[Any] = field(default_factory=list)
    auth_faults: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    auth_answer: bytes | None = None
    sizes: dict[str, Any] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    tokens: dict[str, float] = field(default_factory=dict)
    ignores_ranges: bool = False
    tags_are_weak: bool = False
    lock: Any = field(default_factory=threading.Lock)

    def __enter__(self) -> FakeNgc:
        self._servers = []
        for where in ("api", "auth", "store"):
            server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, where))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            self._servers.append(server)
        self.api, self.auth, self.store = (f"http://127.0.0.1:{s.server_address[1]}" for s in self._servers)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def environ(self) -> dict[str, str]:
        return {"TAORUNNER_NGC_URL": self.api, "TAORUNNER_NGC_AUTH_URL": self.auth}

    def at(self, where: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.where == where]


def _handler(ngc: FakeNgc, where: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self.seen = Seen(where, parts.path, parts.query, {k.lower(): v for k, v in self.headers.items()})
            with ngc.lock:
                ngc.seen.append(self.seen)
            try:
                getattr(self, where)(parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()})
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def send_response(self, code: int, message: str | None = None) -> None:
            self.seen.answered = code
            super().send_response(code, message)

        def answer(self, code: int, body: object = None, headers: dict[str, str] | None = None) -> None:
            data = json.dumps(body).encode()
            self.send_response(code)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def auth(self, _path: str, _query: dict[str, str]) -> None:
            if ngc.auth_faults:
                code, headers = ngc.auth_faults.pop(0)
                return self.answer(code, {}, headers)
            if ngc.auth_answer is not None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(ngc.auth_answer)))
                self.end_headers()
                self.wfile.write(ngc.auth_answer)
                return None
            wanted = "Basic " + base64.b64encode(f"$oauthtoken:{ngc.legacy_key}".encode()).decode()
            if self.headers.get("Authorization") != wanted:
                return self.answer(401, {})
            token = f"token-{len(ngc.tokens)}"
            ngc.tokens[token] = time.monotonic()
            return self.answer(200, {"token": token, "expires_in": 3600})

        def api(self, path: str, query: dict[str, str]) -> None:
            with ngc.lock:
                fault = ngc.api_faults.pop(0) if ngc.api_faults else None
            if fault is not None:
                return self.answer(fault[0], {"m": "no"}, fault[1])
            bearer = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            has_key = bearer == ngc.new_key or bearer in ngc.tokens
            parts = [unquote(part) for part in path.split("/")[1:]]
            if parts[1] == "org":  # /v2/org/O/team/T/models/N…
                if not has_key:
                    return self.answer(401, {})
                name, rest = f"{parts[2]}/{parts[4]}/{parts[6]}", parts[7:]
                signs = rest[-1:] == ["files"] and rest[:1] != ["versions"]
            elif parts[2] == "org":  # /v2/models/org/O/team/T/N/V/files
                name, rest, signs = f"{parts[3]}/{parts[5]}/{parts[6]}", parts[7:], True
            else:
                name, rest, signs = f"{parts[2]}/{parts[3]}/{parts[4]}", parts[5:], False
            if name in ngc.private and not has_key:
                return self.answer(403, {})
            versions = ngc.models.get(name)
            if versions is None:
                return self.answer(404, {})
            if signs:
                url = f"{ngc.store}/{quote(name, safe='')}/{rest[0]}/{quote(query['path'])}?{SECRET_QUERY}"
                if ngc.redirects:
                    return self.answer(302, None, {"Location": url})
                return self.answer(200, {"urls": [url], "filepath": [query["path"]]})
            if rest == ["versions"]:
                rows = [
                    {"versionId": v, "totalSizeInBytes": sum(map(len, files.values())), "totalFileCount": len(files),
                     "createdDate": "2024-05-06T07:08:09Z", "status": ngc.status}
                    for v, files in versions.items()
                ]  # fmt: skip
                return self.page("modelVersions", rows, query)
            if rest[1] not in versions:
                return self.answer(404, {})
            if len(rest) == 2:
                return self.answer(200, {"modelVersion": {"versionId": rest[1], "status": ngc.status}})
            rows = []
            for file, content in versions[rest[1]].items():
                digest = hashlib.sha256(content + (b"x" if file in ngc.wrong_sums else b"")).digest()
                sum64 = None if ngc.no_sums else base64.b64encode(digest).decode()
                rows.append(
                    {"path": file, "sizeInBytes": ngc.sizes.get(file, len(content)), "sha256_base64": sum64}
                )
            return self.page("modelFiles", rows, query)

        def page(self, key: str, rows: list[Any], query: dict[str, str]) -> None:
            number, size = int(query.get("page-number", 0)), ngc.page_size
            info = {
                "totalPages": -(-len(rows) // size),
                "totalResults": len(rows),
                "size": size,
                "index": number,
            }
            self.answer(200, {key: rows[number * size : (number + 1) * size], "paginationInfo": info})

        def store(self, path: str, _query: dict[str, str]) -> None:
            name, version, file = (unquote(part) for part in path[1:].split("/", 2))
            content = ngc.models[name][version][file]
            with ngc.lock:
                fault = ngc.store_faults.pop(0) if ngc.store_faults else None
            if fault is not None and fault(self, content):
                return
            self.send_content(content, len(content))

        def send_content(self, content: bytes, end: int, pause_s: float = 0.0) -> None:
            """All that is asked for up to ``end``; the promised length is that of the whole."""
            etag, start = '"' + hashlib.md5(content).hexdigest() + '"', 0
            if ngc.tags_are_weak:  # which no If-Range matches. Source: RFC 9110, 13.1.5
                etag = f"W/{etag}"
            asked = self.headers.get("Range")
            if (
                asked
                and not ngc.ignores_ranges
                and self.headers.get("If-Range", etag.removeprefix("W/")) == etag.removeprefix("W/")
            ):
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    self.answer(416, None, {"Content-Range": f"bytes */{len(content)}"})
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            self.send_header("ETag", etag)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = max(end, start)
            for at in range(start, end, 65536):
                self.wfile.write(content[at : min(end, at + 65536)])
                self.seen.sent = (start, min(end, at + 65536))
                if pause_s:
                    time.sleep(pause_s)
            if end < len(content):
                self.close_connection = True

    return Handler


def cut_at(end: int) -> Any:
    """The connection ends when the file has been sent up to ``end``."""

    def fault(handler: Any, content: bytes) -> bool:
        handler.send_content(content, end)
        handler.connection.shutdown(socket.SHUT_WR)
        return True

    return fault


def slow(pause_s: float) -> Any:
    def fault(handler: Any, content: bytes) -> bool:
        handler.send_content(content, len(content), pause_s)
        return True

    return fault


def refuse(code: int, headers: dict[str, str] | None = None) -> Any:
    def fault(handler: Any, _content: bytes) -> bool:
        handler.answer(code, None, headers)
        return True

    return fault


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)
