"""A server that plays Hugging Face: one repository, and the refusals of others."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "a" * 40


@contextmanager
def hub_server(
    repo_id: str,
    files: Mapping[str, bytes],
    seen: list[str] | None = None,
    answers: Mapping[str, tuple[bytes, dict[str, str]]] | None = None,
) -> Iterator[dict[str, str]]:
    """Gives the environment that points to the server. ``seen`` gets the path of each request.
    ``answers`` come in place of what the server would say, by the path with its query."""

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if seen is not None:
                seen.append(path)
            if answers is not None and self.path in answers:
                return self.answer(200, *answers[self.path])
            if path.startswith(f"/{repo_id}/resolve/"):
                name = path.rpartition("/")[2]
                return self.answer(200, files[name], {"ETag": f'"{hashlib.sha1(files[name]).hexdigest()}"'})
            if path.startswith(f"/api/models/{repo_id}/tree/"):
                tree = [
                    {
                        "type": "file",
                        "path": name,
                        "size": len(content),
                        "oid": hashlib.sha1(content).hexdigest(),
                    }
                    for name, content in files.items()
                ]
                return self.answer(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
            if path.startswith(f"/api/models/{repo_id}"):
                rows = [{"rfilename": name} for name in files]
                body = {"id": repo_id, "sha": COMMIT, "siblings": rows}
                return self.answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})
            if path.startswith("/api/models/nvidia/gated"):
                return self.answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
            if path.startswith("/api/models/nvidia/ill"):
                return self.answer(418, b"{}", {})
            return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

        def answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(code)
            for name, value in {**headers, "X-Repo-Commit": COMMIT, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}"}
    finally:
        server.shutdown()
        server.server_close()
