"""ConsoleLog: writes what a process prints to ``console.log``, whole lines only, secrets masked.

A line of more than 64 KiB is written in parts, and a secret is in one of them whole, as one that has line ends.

Two streams arrive in arbitrary chunks; in the file the lines of one are never split by the other. Lines end with LF
or CR as printed. The file is append-only and holds every byte once, also when another process continues it:
``recorded`` is the position to continue from.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from taorunner.backends.docker.log_resume import Tail
from taorunner.backends.masking import Masking
from taorunner.disk_room import naming
from taorunner.engine.frames import STORED_BLOCK_BYTES
from taorunner.runs.state.log.log_position import RecordedLog
from taorunner.runs.state.lookup.log_times import LogTimes
from taorunner.state_files import open_state

_MAX_CARRY = 64 * 1024


class ConsoleLog:
    """Not thread-safe: one thread records. ``received`` counts the raw bytes of each stream, masked or not.

    ``recorded`` is where an earlier writer stopped. What it wrote after that is cut off when the first new chunk
    arrives. If none arrives, because the process has ended, its last lines stay. ``clock`` gives Unix time.
    """

    def __init__(
        self, path: Path, secrets: Sequence[str] = (), recorded: RecordedLog | None = None, *,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        descriptor = open_state(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._file: IO[bytes] = os.fdopen(descriptor, "ab", buffering=0)
        self._path = path
        self._times = LogTimes(path, clock)
        self.masking = Masking(secrets)
        size = self._file.tell()
        recorded = recorded or RecordedLog(size=size, start=size)
        self._size, self._start = recorded.size, recorded.start
        self._carry = {stream: bytearray(begun) for stream, begun in recorded.begun.items()}
        self.received: dict[str, int] = {"stdout": recorded.stdout, "stderr": recorded.stderr}
        self._tails = {stream: Tail(begins=not count) for stream, count in self.received.items()}
        for stream, tail in recorded.tails.items():
            self._tails[stream] = Tail(begins=True)
            self._tails[stream].add(tail)

    @property
    def recorded(self) -> RecordedLog:
        """A consistent pair of file size and stream position."""
        begun = {
            stream: bytes(carry)
            for stream, carry in self._carry.items()
            if carry and not self.masking.may_be_in(bytes(carry))
        }
        held = {stream: len(self._carry.get(stream, b"")) * (stream not in begun) for stream in self.received}
        stdout, stderr = (self.received[stream] - held[stream] for stream in ("stdout", "stderr"))
        tails = {stream: self._tail(stream, count) for stream, count in held.items()}
        return RecordedLog(self._size, stdout, stderr, self._start, tails, begun)

    def _tail(self, stream: str, held: int) -> bytes:
        """The bytes after the last LF, which the engine may lose. Empty if they may contain part of a secret."""
        data = self._tails[stream].data
        data = data[: max(0, len(data) - held)]
        data = data[data.rfind(b"\n") + 1 :]
        may_be_cut = len(data) >= 2 * STORED_BLOCK_BYTES
        return b"" if self.masking.has_secrets and (may_be_cut or self.masking.is_in(data)) else data

    def write(self, stream: str, data: bytes, unkept: int = 0) -> bytes:
        """Adds a chunk. Returns the complete lines that were written by this call, masked.

        ``unkept`` is the number of preceding bytes that are not in the engine's stored log; positions exclude them.
        """
        self.received[stream] = self.received.get(stream, 0) + len(data) - unkept
        self._tails[stream].add(data, unkept)
        carry = self._carry.setdefault(stream, bytearray())
        carry += data
        if b"\n" not in data and b"\r" not in data and len(carry) <= _MAX_CARRY:
            return b""
        data = bytes(carry)
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        is_endless = end == 0 and len(data) > _MAX_CARRY
        end = self.masking.cut(data, len(data) if is_endless else end, in_line=is_endless)
        self._carry[stream] = bytearray(data[end:])
        return self._put(data[:end])

    def flush(self) -> bytes:
        """Writes unfinished last lines, each terminated with LF to keep the streams separate."""
        rest = [bytes(carry) for carry in self._carry.values() if carry]
        self._carry.clear()
        return self._put(b"".join(self.masking.masked_end(carry) + b"\n" for carry in rest))

    def end_launch(self) -> bytes:
        """Like ``flush``, when the engine has requeued the run: what follows is the output of its next launch."""
        rest = self.flush()
        self._start = self._size
        return rest

    def close(self) -> None:
        self._file.close()

    def _put(self, data: bytes) -> bytes:
        if not data:
            return data
        data = self.masking.masked(data)
        if self._file.tell() != self._size:
            os.ftruncate(self._file.fileno(), self._size)
            self._file.seek(self._size)
        self._times.mark(self._size)
        view = memoryview(data)
        with naming(self._path):
            while view:  # an unbuffered write may be short
                view = view[self._file.write(view) :]
        self._size += len(data)
        return data
