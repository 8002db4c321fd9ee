"""The engine's log format: frames of stdout and stderr in one byte stream, read in large pieces.

A frame is 8 bytes (stream number, three zeros, length as big-endian 32 bits) and its data. docker-py reads frame by
frame with two system calls each, 74,000 lines a second; reading large pieces and cutting them here keeps up with
a container that writes as fast as it can. Source: testing.md section 5.

The attributes of docker-py, urllib3 and the standard library below which the socket lies, none of them public, are
read in ``socket_of``, ``close_attached`` and ``body_of``, nowhere else. ``tests/engine/test_private_names.py`` fails
when one of them changes.
"""

from __future__ import annotations

import codecs
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

STDOUT, STDERR = "stdout", "stderr"
READ_BYTES = 256 * 1024
STORED_BLOCK_BYTES = 16 * 1024
"""The most bytes of a line that the engine stores in one piece. Source: the copier of moby's logger package."""

_HEADER = struct.Struct(">BxxxL")
_NAMES = {0: STDOUT, 1: STDOUT, 2: STDERR}


class FrameStream:
    """Iterates over ``(stream name, bytes)``; ``close()`` from another thread ends the iteration.

    ``read`` gives the next bytes, empty at the end; ``wake`` makes a blocked ``read`` return. The stream of a
    container with a terminal has no frames; all of it is stdout.
    """

    def __init__(
        self,
        read: Callable[[], bytes],
        wake: Callable[[], None],
        release: Callable[[], None],
        *,
        framed: bool,
        chunked: bool = False,
    ) -> None:
        self._read = read
        self._wake = wake
        self._release = release
        self._framed = framed
        self._chunked = chunked
        self._lock = threading.Lock()
        self._closed = False
        self._reading = False

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        with self._lock:
            if self._closed:
                return
            self._reading = True
        try:
            pieces = unchunk(self._pieces()) if self._chunked else self._pieces()
            yield from demultiplex(pieces) if self._framed else map(_as_stdout, pieces)
        finally:
            with self._lock:
                self._reading = False
                already, self._closed = self._closed, True
            if not already:
                self._wake()
            self._release()

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            reading = self._reading
        self._wake()
        if not reading:
            self._release()

    def __del__(self) -> None:
        self.close()  # a stream that was never read would keep its connection open

    def _pieces(self) -> Iterator[bytes]:
        while not self._closed:
            try:
                piece = self._read()
            except (OSError, ValueError):  # the engine stopped, or close() closed the socket
                return
            if not piece:
                return
            yield piece


class LateStream:
    """The followed log of an engine that answers only when there is output, and may end it too early (podman).

    It is opened once it is iterated, by a thread, because nothing else could end the waiting: ``close()`` does at once,
    the thread with the answer. After its end ``open_whole`` gives the log again, from the beginning, or None.
    """

    def __init__(
        self, open_stream: Callable[[], FrameStream], open_whole: Callable[[], FrameStream | None]
    ) -> None:
        self._open_stream, self._open_whole = open_stream, open_whole
        self._changed = threading.Condition()
        self._stream: FrameStream | None = None
        self._error: Exception | None = None
        self._closed = False

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        threading.Thread(target=self._open, daemon=True).start()
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._stream is not None or self._error is not None
            )
            stream, error = self._stream, self._error
            if self._closed:
                return
        if error is not None:
            raise error
        if stream is not None:
            yield from self._with_its_end(stream)

    def _with_its_end(self, stream: FrameStream) -> Iterator[tuple[str, bytes]]:
        given = {STDOUT: 0, STDERR: 0}
        for name, data in stream:
            given[name] += len(data)
            yield name, data
        whole = None if self._closed else self._open_whole()
        if whole is None:
            return
        with self._changed:
            self._stream = whole  # for close()
            is_closed = self._closed
        if is_closed:
            whole.close()
            return
        for name, data in whole:
            known = min(given[name], len(data))
            given[name] -= known
            if known < len(data):
                yield name, data[known:]

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            stream = self._stream
        if stream is not None:
            stream.close()

    def _open(self) -> None:
        stream, error = None, None
        try:
            stream = self._open_stream()
        except Exception as failure:  # raised again where the stream is read
            error = failure
        with self._changed:
            self._stream, self._error = stream, error
            self._changed.notify_all()
            is_late = self._closed
        if is_late and stream is not None:
            stream.close()


Frames = FrameStream | LateStream


def socket_of(raw: Any) -> socket.socket:
    """The socket below what docker-py's ``attach_socket`` gives, or below an HTTP body; itself where it is one."""
    found: socket.socket = getattr(raw, "_sock", raw)
    return found


def close_attached(raw: Any) -> None:
    """Closes what ``attach_socket`` gave, with the HTTP answer that docker-py hangs on it."""
    (getattr(raw, "_response", None) or raw).close()


def body_of(response: Any) -> Any:
    """http.client's answer below one of requests: nothing public reads "what has arrived" from a chunked one."""
    return response.raw._fp


def demultiplex(pieces: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    """The data of the frames in order; consecutive frames of one stream are joined.

    Parts of a frame are passed on as they arrive, so a long frame is neither delayed nor held in memory.
    """
    rest = b""
    owed = 0  # bytes of the current frame still to come
    name = STDOUT
    for piece in pieces:
        data = rest + piece if rest else piece
        size, at = len(data), 0
        gathered: list[bytes] = []
        while at < size:
            if not owed:
                if size - at < 8:
                    break
                number, owed = _HEADER.unpack_from(data, at)
                at += 8
                next_name = _NAMES.get(number, STDERR)
                if next_name != name:
                    if gathered:
                        yield name, b"".join(gathered)
                        gathered = []
                    name = next_name
                if not owed:
                    continue
            end = at + owed
            if end > size:
                end = size
            gathered.append(data[at:end])
            owed -= end - at
            at = end
        rest = data[at:]
        if gathered:
            yield name, b"".join(gathered)


def unchunk(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decodes the body of a chunked HTTP response; ends after the last chunk.

    The engine sends each line as a chunk, and http.client would read them one at a time.
    """
    rest = b""
    owed = 0
    for piece in pieces:
        data = rest + piece if rest else piece
        size, at = len(data), 0
        gathered: list[bytes] = []
        while at < size:
            if owed > 2:
                end = min(at + owed - 2, size)
                gathered.append(data[at:end])
                owed -= end - at
                at = end
            elif owed:  # the line end after the chunk's data
                step = min(owed, size - at)
                owed -= step
                at += step
            else:
                end = data.find(b"\r\n", at)
                if end < 0:
                    break
                length = _chunk_bytes(data[at:end])
                at = end + 2
                if length <= 0:  # the last chunk, or data that is not the engine's log
                    if gathered:
                        yield b"".join(gathered)
                    return
                owed = length + 2
        rest = data[at:]
        if gathered:
            yield b"".join(gathered)


class AsStored:
    """Converts the bytes that a process wrote into the bytes that the engine's json-file log stores.

    The log stores U+FFFD for each byte that is not UTF-8. It stores a line without LF in blocks of 16 KiB, so the bytes
    of a character that two blocks share are not UTF-8 either. Positions in the live output and in the stored log must
    agree. ``held`` are the last bytes fed, if they may belong to an unfinished character.
    """

    def __init__(self) -> None:
        self.held = b""
        self._column = 0  # bytes in the current block, with those held

    def feed(self, data: bytes) -> bytes:
        if not self.held and data.isascii():
            end = data.rfind(b"\n") + 1
            self._column = (len(data) - end if end else self._column + len(data)) % STORED_BLOCK_BYTES
            return data
        column = self._column - len(self.held)
        data = self.held + data
        parts: list[bytes] = []
        begin = at = 0
        while (full := at + STORED_BLOCK_BYTES - column) <= len(data):
            after_line = data.rfind(b"\n", at, full) + 1
            if not after_line:
                parts.append(_replaced(data[begin:full]))
                begin = full
            at, column = after_line or full, 0
        after_line = data.rfind(b"\n", at) + 1
        self._column = len(data) - after_line if after_line else column + len(data) - at
        last = data[begin:]
        keep = _unfinished(last)
        last, self.held = last[: len(last) - keep], last[len(last) - keep :]
        return b"".join([*parts, _replaced(last)])

    def flush(self) -> bytes:
        held, self.held = self.held, b""
        return _replaced(held)


class Delivered:
    """What live output has given of one stream: whole characters are passed on, an unfinished one is held back.

    ``stored_bytes`` is its length in the stored log.
    """

    def __init__(self) -> None:
        self._as_stored = AsStored()
        self.stored_bytes = 0

    def feed(self, data: bytes) -> bytes:
        whole = self._as_stored.held + data
        self.stored_bytes += len(self._as_stored.feed(data))
        return whole[: len(whole) - len(self._as_stored.held)]

    def flush(self, stored: bytes = b"") -> bytes:
        """What is held back, and ``stored``: the log's next bytes, which may begin with the same character."""
        held, as_stored = self._as_stored.held, self._as_stored.flush()
        if not stored or stored.startswith(as_stored):
            return held + stored[len(as_stored) :]
        return stored


def _chunk_bytes(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        return -1


def _unfinished(data: bytes) -> int:
    """Number of bytes at the end that belong to an incomplete character (0 to 3)."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte < 0x80:
            return 0
        if byte >= 0xC2:  # a first byte: of 2, 3 or 4
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if byte < 0xF5 and back < length else 0
    return 0


def _replaced(data: bytes) -> bytes:
    return data.decode("utf-8", "taorunner-each-byte").encode("utf-8")


def _replace_byte(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\ufffd", error.start + 1  # one per byte, as in Go; Python would merge some


codecs.register_error("taorunner-each-byte", _replace_byte)


def _as_stdout(piece: bytes) -> tuple[str, bytes]:
    return STDOUT, piece
