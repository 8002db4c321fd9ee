"""Downloads one file: into a partial file, resumed after interruptions, verified, then renamed.

The partial file is written unbuffered, so that no received byte is lost after a cut connection, Ctrl-C or a kill. A
note beside it records its ETag and checksum; when the server's file has changed, the download starts again. Nothing
is synced to disk here, which would halve the speed: ``pull`` does so once, before the version gets its final name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx

from taorunner.errors import MachineError
from taorunner.pretrained.http import (
    GOES_ON,
    RETRIED,
    ConnectionLostError,
    HttpRefusalError,
    Interrupted,
    Wire,
)
from taorunner.pretrained.ngc import RemoteFile

PART, NOTE = ".part", ".part.json"
_BLOCK = 1024 * 1024
_MAX_REDIRECTS = 5
_ENDED_ADDRESS = frozenset({400, 401, 403, 404, 410})
"""HTTP status codes for an expired signed URL; a new one is requested."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)\Z")


@dataclass(slots=True)
class Transfer:
    """``address``: returns a new signed URL for each call; ``advanced``: called with the number of bytes so far."""

    wire: Wire
    file: RemoteFile
    folder: Path
    address: Callable[[], str]
    advanced: Callable[[int], None]
    _etag: str | None = None

    @property
    def target(self) -> Path:
        return self.folder / self.file.path

    @property
    def part(self) -> Path:
        return self.folder / (self.file.path + PART)

    @property
    def _note(self) -> Path:
        return self.folder / (self.file.path + NOTE)

    def run(self) -> None:
        """Downloads ``target`` completely and verifies it. Raises MachineError, OSError or Interrupted."""
        if is_whole(self.target, self.file):
            self.advanced(self.file.size)
            return
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._read_note()
        for is_last in (False, True):
            sha256 = self._fetch()
            if self.file.sha256 in (None, sha256):
                break
            self._start_over()
            if is_last:
                raise MachineError(
                    f'"{self.file.path}" had a wrong checksum twice',
                    hint="try again later: a proxy may change the file, or it is damaged on the server",
                )
            self.wire.patience.tell(f'"{self.file.path}" has a wrong checksum; downloading it again')
        self.part.replace(self.target)
        self._note.unlink(missing_ok=True)

    def _fetch(self) -> str:
        """Downloads all bytes; returns their SHA-256."""
        descriptor = os.open(self.part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        hasher = _Follower(self.part)
        try:
            self._fetch_rest(descriptor, hasher)
            return hasher.finish()
        finally:
            hasher.close()
            os.close(descriptor)

    def _fetch_rest(self, descriptor: int, hasher: _Follower) -> None:
        size, failed, url = self.file.size, 0, ""
        have = os.lseek(descriptor, 0, os.SEEK_END)
        if have > size:
            have = self._emptied(descriptor, hasher)
        hasher.reach(have)
        self.advanced(have)
        while have < size:
            before, asked = have, None
            problem: MachineError
            try:
                url = url or self.address()
                self._read_on(url, have, descriptor, hasher)
                problem = ConnectionLostError("the server ended the file too early", hint=GOES_ON)
            except HttpRefusalError as error:
                if error.status not in RETRIED | _ENDED_ADDRESS:
                    raise
                url, problem, asked = "", error, error.asked_s
            except ConnectionLostError as error:
                problem = error
            have = os.lseek(descriptor, 0, os.SEEK_END)
            if have < size:  # a try that received bytes does not count as failed
                failed = 1 if have > before else failed + 1
                self.wire.patience.wait(failed, problem, asked)

    def _read_on(self, url: str, have: int, descriptor: int, hasher: _Follower) -> None:
        """Writes the bytes from ``have`` on, to the end of the response, never more than the file's size."""
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and self._etag:
            headers["If-Range"] = self._etag
        for _ in range(_MAX_REDIRECTS):
            with self.wire.open(url, headers) as response:
                if response.is_redirect:
                    url = urljoin(url, response.headers.get("Location", ""))
                    continue
                if response.status_code == 416 or (have and not _continues(response, have, self.file.size)):
                    have = self._emptied(descriptor, hasher)
                    if response.status_code != 200:
                        return  # the server sent another range: start again
                self._remember(response.headers.get("ETag"))
                self._write(response, have, descriptor, hasher)
                return
        raise MachineError("the address of the file redirects without end", hint="try again later")

    def _write(self, response: httpx.Response, have: int, descriptor: int, hasher: _Follower) -> None:
        stop = self.wire.patience.stop
        for chunk in response.iter_raw():
            if stop.is_set():
                raise Interrupted
            if have + len(chunk) > self.file.size:
                raise MachineError(
                    f'the server sends more bytes of "{self.file.path}" than its stated size',
                    hint="try again later",
                )
            have += _write_all(descriptor, chunk)
            hasher.reach(have)
            self.advanced(have)

    def _emptied(self, descriptor: int, hasher: _Follower) -> int:
        hasher.restart()
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        self.advanced(0)
        return 0

    def _read_note(self) -> None:
        """Discards a partial file of different content."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            if (note["size"], note["sha256"]) == (self.file.size, self.file.sha256):
                self._etag = note["etag"]
                return
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self._start_over()

    def _remember(self, etag: str | None) -> None:
        """Called before the first byte is written, so that a killed pull can resume. Weak ETags are not stored."""
        self._etag = etag if etag and not etag.startswith("W/") else None
        note = {"size": self.file.size, "sha256": self.file.sha256, "etag": self._etag}
        self._note.write_text(json.dumps(note), encoding="utf-8")

    def _start_over(self) -> None:
        self._etag = None
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


class _Follower:
    """Hashes a growing file in a separate thread, so that the download does not wait for it.

    It reads the bytes released by ``reach`` back from the page cache, the same way for new and resumed files.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._released, self._generation, self._is_last = 0, 0, False
        self._result: str | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def reach(self, count: int) -> None:
        """Releases the first ``count`` bytes. Wakes the thread once per block, not for each chunk."""
        due = count // _BLOCK != self._released // _BLOCK
        self._released = count
        if due:
            with self._changed:
                self._changed.notify()

    def restart(self) -> None:
        with self._changed:
            self._released = 0
            self._generation += 1

    def finish(self) -> str:
        """The SHA-256 of all released bytes. Raises OSError when the file cannot be read."""
        self.close()
        self._thread.join()
        if self._result is None:
            raise MachineError(f"{self._path} cannot be read back", hint="check the disk with dmesg")
        return self._result

    def close(self) -> None:
        with self._changed:
            self._is_last = True
            self._changed.notify()

    def _run(self) -> None:
        generation, done, digest = 0, 0, hashlib.sha256()
        buffer = memoryview(bytearray(_BLOCK))
        try:
            with self._path.open("rb", buffering=0) as file:
                while True:
                    with self._changed:
                        while not self._is_last and self._released - done < _BLOCK:
                            if generation != self._generation:
                                break
                            self._changed.wait()
                        if generation != self._generation:
                            generation, done, digest = self._generation, 0, hashlib.sha256()
                            file.seek(0)
                            continue
                        limit = min(_BLOCK, self._released - done)
                        if limit <= 0:
                            break
                    count = file.readinto(buffer[:limit])
                    if not count:
                        return
                    digest.update(buffer[:count])
                    done += count
            self._result = digest.hexdigest()
        except OSError:
            return


def is_whole(path: Path, file: RemoteFile) -> bool:
    """True when ``path`` has the size and, if known, the checksum of ``file``."""
    try:
        if not path.is_file() or path.stat().st_size != file.size:
            return False
        return file.sha256 is None or sha256_of(path) == file.sha256
    except OSError:
        return False


def sync_folder(folder: Path) -> None:
    """Syncs the folder's entries to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _continues(response: httpx.Response, have: int, size: int) -> bool:
    match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if response.status_code != 206 or match is None or int(match[1]) != have:
        return False
    return match[3] == "*" or int(match[3]) == size


def _write_all(descriptor: int, chunk: bytes) -> int:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]
    return len(chunk)
