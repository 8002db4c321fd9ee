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
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

from taorunner.errors import MachineError
from taorunner.pretrained.http import (
    GOES_ON,
    RETRIED,
    ConnectionLostError,
    HttpRefusalError,
    Interrupted,
    WebPageError,
    Wire,
    body_of,
    is_web_page,
    packing_of,
    redirect_target,
)
from taorunner.pretrained.names import NOTE, PART
from taorunner.pretrained.ngc import RemoteFile
from taorunner.text import whole_number
from taorunner.values.bounded_reading import read_json

_BLOCK = 1024 * 1024
_MAX_REDIRECTS = 5
_ENDED_ADDRESS = frozenset({400, 401, 403, 404, 410})
"""HTTP status codes for an expired signed URL; a new one is requested."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)\Z")


@dataclass(frozen=True, slots=True)
class _Version:
    """What a server says of the file's version: ETag (weak ones too) and Last-Modified."""

    etag: str | None = None
    modified: str | None = None

    @property
    def condition(self) -> str | None:
        """For If-Range, which takes no weak ETag. Source: RFC 9110, 13.1.5."""
        if self.etag is not None:
            return None if self.etag.startswith("W/") else self.etag
        return self.modified

    def is_same(self, other: _Version) -> bool | None:
        """None when the two have nothing in common to compare."""
        if self.etag is not None and other.etag is not None:
            return self.etag == other.etag
        if self.modified is not None and other.modified is not None:
            return self.modified == other.modified
        return None


@dataclass(slots=True)
class Transfer:
    """``address``: returns a new signed URL for each call; ``advanced``: called with the number of bytes so far."""

    wire: Wire
    file: RemoteFile
    folder: Path
    address: Callable[[], str]
    advanced: Callable[[int], None]
    _version: _Version = field(default_factory=_Version)

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
                url, problem, asked = "", self._explained(error), error.asked_s
            except ConnectionLostError as error:
                problem = error
            have = os.lseek(descriptor, 0, os.SEEK_END)
            if have < size:  # a try that received bytes does not count as failed
                failed = 1 if have > before else failed + 1
                self.wire.patience.wait(failed, problem, asked)

    def _read_on(self, url: str, have: int, descriptor: int, hasher: _Follower) -> None:
        """Writes the bytes from ``have`` on, to the end of the response, never more than the file's size."""
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and self._version.condition:
            headers["If-Range"] = self._version.condition
        for _ in range(_MAX_REDIRECTS):
            with self.wire.open(url, headers) as response:
                if response.is_redirect:
                    url = redirect_target(url, response.headers.get("Location", ""))
                    continue
                self._check_is_the_file(response)
                if response.status_code == 416 or (have and not self._continues(response, have)):
                    have = self._emptied(descriptor, hasher)
                    if response.status_code != 200:
                        return  # the server sent another range: start again
                self._remember(_version_of(response))
                self._write(response, have, descriptor, hasher)
                return
        raise MachineError("the address of the file redirects without end", hint="try again later")

    def _write(self, response: httpx.Response, have: int, descriptor: int, hasher: _Follower) -> None:
        stop = self.wire.patience.stop
        for chunk in body_of(response):
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

    def _check_is_the_file(self, response: httpx.Response) -> None:
        """Raises MachineError for a response that is not the file, before a byte of an earlier part is lost."""
        path, size = self.file.path, self.file.size
        if response.status_code == 416:
            return
        if is_web_page(response.headers) and not path.lower().endswith((".html", ".htm")):
            raise WebPageError(response.url.host or "the server")
        sent = whole_number(response.headers.get("Content-Length", ""))
        is_whole_file = response.status_code == 200 and packing_of(response) is None
        if is_whole_file and sent is not None and sent != size:
            raise MachineError(
                f'the server sends {sent} bytes of "{path}", which has {size} in the list',
                hint="try again later: the file may have been replaced on the server, or a proxy changes it",
            )

    def _continues(self, response: httpx.Response, have: int) -> bool:
        """Whether the response goes on where the part ends, in the same version of the file.

        Where nothing tells two versions apart, and no checksum would, the file is downloaded from the start.
        """
        match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        if response.status_code != 206 or match is None or int(match[1]) != have:
            return False
        if packing_of(response) is not None or match[3] not in ("*", str(self.file.size)):
            return False
        is_same = self._version.is_same(_version_of(response))
        return self.file.sha256 is not None if is_same is None else is_same

    def _explained(self, error: HttpRefusalError) -> MachineError:
        """A refused address is no matter of the API key: it was signed for this file."""
        if error.status not in _ENDED_ADDRESS:
            return error
        return MachineError(
            f'the storage refuses "{self.file.path}": {error.message}',
            hint="check this machine's clock (date -u) and its proxy; else try again later",
        )

    def _emptied(self, descriptor: int, hasher: _Follower) -> int:
        hasher.restart()
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        self.advanced(0)
        return 0

    def _read_note(self) -> None:
        """Discards a partial file of different content."""
        try:
            note = read_json(self._note)
            if (note["size"], note["sha256"]) == (self.file.size, self.file.sha256):
                self._version = _Version(_text(note["etag"]), _text(note.get("modified")))
                return
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self._start_over()

    def _remember(self, version: _Version) -> None:
        """Called before the first byte is written, so that a killed pull can resume."""
        self._version = version
        note = {"size": self.file.size, "sha256": self.file.sha256, **asdict(version)}
        self._note.write_text(json.dumps(note), encoding="utf-8")

    def _start_over(self) -> None:
        self._version = _Version()
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


def _version_of(response: httpx.Response) -> _Version:
    return _Version(response.headers.get("ETag") or None, response.headers.get("Last-Modified") or None)


def _text(value: object) -> str | None:
    """A text of a note; a line that no header can hold is none."""
    return value if isinstance(value, str) and value.isascii() and value.isprintable() else None


def _write_all(descriptor: int, chunk: bytes) -> int:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]
    return len(chunk)
