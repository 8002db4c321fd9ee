"""An engine or registry that answers each path as a test says, and records what it was asked.

``scripted_engine`` is the one that holds images and containers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from http_servers import Request, RequestHandler, listening


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

    class Handler(RequestHandler):
        def answer(self, request: Request) -> None:
            found.asked.append(request)
            status, said = found.answers.get(
                f"{request.method} {request.path}", (404, {"message": "not found"})
            )
            if callable(said):
                status, said = said(request)
            extra: dict[str, str] = {}
            if request.path == "/_ping":
                status, said = 200, b"OK"
            if isinstance(said, tuple):
                said, extra = said
            self.send(status, said, {"Api-Version": "1.43", "Server": found.product, **extra})

    with listening(socket_or_port, Handler) as found.url:
        yield found
