"""``kubectl exec`` of the stand-in server: its WebSocket protocol ``v5.channel.k8s.io``, and a command in a container.

The first byte of a message is its channel. Source: RFC 6455; KEP-4006 of Kubernetes; package remotecommand of apimachinery.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import tty
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import BinaryIO

PROTOCOL = "v5.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _END, _PING, _PONG = 2, 8, 9, 10
_SIZE_BYTES = 1 << 24


class Socket:
    """The server's side of one WebSocket. ``send`` is thread-safe."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._read: BinaryIO = handler.rfile  # type: ignore[assignment]
        self._write, self._lock = handler.wfile, threading.Lock()
        key = handler.headers["Sec-WebSocket-Key"].encode()
        answer = base64.b64encode(hashlib.sha1(key + _KEY).digest()).decode()
        lines = (
            "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {answer}", f"Sec-WebSocket-Protocol: {PROTOCOL}", "", "",
        )  # fmt: skip
        self._write.write("\r\n".join(lines).encode())
        self._write.flush()

    def send(self, data: bytes, kind: int = _BINARY) -> None:
        size = len(data)
        head = bytes([0x80 | kind])
        if size < 126:
            head += bytes([size])
        else:
            head += (
                bytes([126]) + struct.pack(">H", size)
                if size < 1 << 16
                else bytes([127]) + struct.pack(">Q", size)
            )
        with self._lock, suppress(OSError):
            self._write.write(head + data)
            self._write.flush()

    def messages(self) -> list[bytes] | None:
        """The next message, or none for a ping; None at the end."""
        whole = b""
        while True:
            head = self._read.read(2)
            if len(head) < 2:
                return None
            kind, size = head[0] & 0x0F, head[1] & 0x7F
            if size == 126:
                size = struct.unpack(">H", self._read.read(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self._read.read(8))[0]
            assert size < _SIZE_BYTES
            mask = self._read.read(4)
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self._read.read(size)))
            if kind == _END:
                return None
            if kind == _PING:
                self.send(data, _PONG)
                return []
            whole += data
            if head[0] & 0x80:
                return [whole]


def serve(
    handler: BaseHTTPRequestHandler, docker: Sequence[str], environ: Mapping[str, str], *, has_terminal: bool
) -> None:
    """Runs ``docker exec …`` for as long as it or the socket lives, and says how it ended."""
    handler.close_connection = True
    socket = Socket(handler)
    if has_terminal:
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        process = subprocess.Popen(
            docker, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        inputs, outputs = ours, {_STDOUT: ours}
    else:
        process = subprocess.Popen(
            docker, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        inputs = process.stdin.fileno()
        outputs = {_STDOUT: process.stdout.fileno(), _STDERR: process.stderr.fileno()}
    reader = threading.Thread(target=_read, args=(socket, process, inputs), daemon=True)
    reader.start()
    writers = [threading.Thread(target=_copy, args=(socket, *one), daemon=True) for one in outputs.items()]
    for writer in writers:
        writer.start()
    code = process.wait()
    for writer in writers:
        writer.join(10)
    socket.send(bytes([_ERROR]) + json.dumps(_status(code)).encode())
    socket.send(struct.pack(">H", 1000), _END)
    if has_terminal:
        os.close(inputs)
    for file in (process.stdin, process.stdout, process.stderr):
        if file is not None:
            with suppress(OSError):
                file.close()


def _copy(socket: Socket, channel: int, source: int) -> None:
    with suppress(OSError):  # a terminal whose program has ended
        while data := os.read(source, 65536):
            socket.send(bytes([channel]) + data)


def _read(socket: Socket, process: subprocess.Popen[bytes], inputs: int) -> None:
    with suppress(OSError, ValueError):
        while (found := socket.messages()) is not None:
            for message in found:
                channel, data = message[0], message[1:]
                if channel == _STDIN:
                    os.write(inputs, data)
                elif channel == _RESIZE:
                    size = json.loads(data)
                    fcntl.ioctl(
                        inputs, termios.TIOCSWINSZ, struct.pack("HHHH", size["Height"], size["Width"], 0, 0)
                    )
                    process.send_signal(signal.SIGWINCH)
                elif channel == _CLOSE and process.stdin is not None:
                    process.stdin.close()
    with suppress(OSError):
        process.send_signal(signal.SIGHUP)  # the line is gone


def _status(code: int) -> Mapping[str, object]:
    if not code:
        return {"metadata": {}, "status": "Success"}
    cause = {"reason": "ExitCode", "message": str(code)}
    return {
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]},
        "message": f"command terminated with non-zero exit code: exit status {code}",
    }  # fmt: skip
