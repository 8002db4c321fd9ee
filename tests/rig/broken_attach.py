"""A way to an engine on which the connection of an attach breaks right after the engine has accepted it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def broken_attach(engine_url: str, folder: Path, after: bytes = b"") -> Iterator[str]:
    """The address of a proxy of the engine. An attach ends once ``after`` was received of its output."""
    place = folder / "broken.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    place.chmod(0o777)
    listener.listen()

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    def serve(client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as engine:
            engine.connect(engine_url.removeprefix("unix://"))
            is_attach = threading.Event()
            copier = threading.Thread(target=copy, args=(client, engine, is_attach), daemon=True)
            copier.start()
            answer = b""
            with suppress(OSError):
                while data := engine.recv(65536):
                    client.sendall(data)
                    if is_attach.is_set():
                        answer += data
                        _, end, body = answer.partition(b"\r\n\r\n")
                        if end and after in body:
                            break
            for each in (client, engine):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            copier.join()

    def copy(client: socket.socket, engine: socket.socket, is_attach: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if data.startswith(b"POST ") and b"/attach?" in data.partition(b"\r\n")[0]:
                    is_attach.set()
                engine.sendall(data)
            engine.shutdown(socket.SHUT_WR)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"unix://{place}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
