"""Pulls one version of a model: locked, staged beside its folder, downloaded in parallel, renamed at the end.

repositories/<repository>/.<repository>_v<version>.lock       one pull at a time
repositories/<repository>/.<repository>_v<version>.partial/   incomplete; a later pull resumes here
repositories/<repository>/<repository>_v<version>/            appears when everything is verified
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

from taorunner.errors import MachineError, TaorunnerError, UserFilesError
from taorunner.pretrained.download import Transfer, is_whole, sha256_of, sync_folder
from taorunner.pretrained.http import Interrupted, Wire
from taorunner.pretrained.names import MANIFEST, PART, inner_path
from taorunner.pretrained.ngc import RemoteFile
from taorunner.text import size as shown_size
from taorunner.values.bounded_reading import read_json

_SPARE_BYTES = 64 * 1024 * 1024


class Watcher(Protocol):
    """Progress callbacks, called from several threads."""

    def begins(self, model: str, files: Sequence[RemoteFile]) -> None: ...

    def advanced(self, path: str, have: int) -> None: ...

    def tells(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Pulled:
    """``fetched``: number of bytes downloaded or copied; 0 when everything was present."""

    model: str
    folder: Path
    files: tuple[RemoteFile, ...]
    fetched: int

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "folder": str(self.folder),
            "fetched_bytes": self.fetched,
            "files": [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in self.files],
        }


def pull_files(
    model: str,
    files: Sequence[RemoteFile],
    folder: Path,
    address: Callable[[str], str],
    wire: Wire,
    watcher: Watcher,
    jobs: int,
) -> Pulled:
    """Downloads ``files`` into ``folder``. Raises TaorunnerError, OSError, KeyboardInterrupt; keeps partial data."""
    with _locked(folder, watcher, wire.patience.stop), _staging(folder) as staging:
        watcher.begins(model, files)
        missing = []
        for file in files:
            if is_whole(folder / file.path, file):
                watcher.advanced(file.path, file.size)
            else:
                missing.append(file)
        if missing:
            check_space(staging, missing)
            transfers = [
                Transfer(
                    wire, file, staging, partial(address, file.path), partial(watcher.advanced, file.path)
                )
                for file in missing
            ]
            _run_all(transfers, jobs, wire.patience.stop)
            _put_in_place(staging, folder, model, missing)
        write_manifest(folder, model, files)
    return Pulled(model, folder, tuple(files), sum(file.size for file in missing))


def copy_from(model: str, source: Path, folder: Path, watcher: Watcher) -> Pulled:
    """Like ``pull_files`` from a folder on this machine, checked against the manifest of the original pull.

    Raises UserFilesError when the folder is missing, empty, or differs from its manifest.
    """
    found = _source_folder(source, folder)
    known = {file.path: file for file in read_manifest(found)}
    files = []
    for path in sorted(found.rglob("*")):
        name = path.relative_to(found).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(found).parts):
            files.append(known.get(name) or RemoteFile(name, path.stat().st_size, None))
    lost = sorted(known.keys() - {file.path for file in files})
    if lost or not files:
        what = f'lacks "{lost[0]}", which its manifest lists' if lost else "holds no files"
        raise UserFilesError(f"{found} {what}", hint="copy the whole folder again")
    with staged(folder, watcher) as staging:
        watcher.begins(model, files)
        missing = [file for file in files if not _is_copied(found / file.path, folder / file.path, file)]
        check_space(staging, missing)
        for file in missing:
            _copy(found / file.path, staging / file.path, file)
            watcher.advanced(file.path, file.size)
        _put_in_place(staging, folder, model, missing)
        verified = [RemoteFile(f.path, f.size, f.sha256 or sha256_of(folder / f.path)) for f in files]
        write_manifest(folder, model, verified)
    return Pulled(model, folder, tuple(verified), sum(file.size for file in missing))


def _is_copied(source: Path, target: Path, file: RemoteFile) -> bool:
    wanted = file if file.sha256 else RemoteFile(file.path, file.size, sha256_of(source))
    return is_whole(target, wanted)


def _copy(source: Path, target: Path, file: RemoteFile) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    if not is_whole(target, file):
        target.unlink()
        raise UserFilesError(f"{source} differs from its manifest", hint="copy the whole folder again")


def _source_folder(source: Path, folder: Path) -> Path:
    """``source`` may be the folder of all repositories, of one repository, or of the model."""
    for found in (source / folder.parent.name / folder.name, source / folder.name, source):
        if found.is_dir() and (found != source or found.name == folder.name):
            return found
    raise UserFilesError(
        f'{source} holds no folder "{folder.name}"',
        hint=f'pull the model on a machine with a network, then copy "{folder.parent.name}/{folder.name}"',
    )


@contextmanager
def _locked(folder: Path, watcher: Watcher, stop: threading.Event) -> Iterator[None]:
    """Waits for another pull of the same folder. The kernel releases the lock when its process ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    path, is_reported = folder.parent / f".{folder.name}.lock", False
    while True:
        with path.open("a") as lock:
            if _is_held(lock, path):
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)  # removed while held, so that waiting pulls notice
                return
        if not is_reported:
            watcher.tells(f"another pull of {folder.name} is running: waiting for it")
        is_reported = True
        if stop.wait(0.2):
            raise KeyboardInterrupt


def _is_held(lock: IO[str], path: Path) -> bool:
    """True when ``lock`` was acquired and is still the file at ``path``."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return path.stat().st_ino == os.fstat(lock.fileno()).st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


@contextmanager
def staged(folder: Path, watcher: Watcher) -> Iterator[Path]:
    """A locked staging folder, for downloads by other libraries."""
    with _locked(folder, watcher, threading.Event()), _staging(folder) as staging:
        yield staging


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """The staging folder: kept after an error for a later pull, removed after success."""
    staging = folder.parent / f".{folder.name}.partial"
    staging.mkdir(exist_ok=True)
    yield staging
    shutil.rmtree(staging)


def check_space(staging: Path, files: Sequence[RemoteFile]) -> None:
    have = sum(_size(staging / (file.path + PART)) or _size(staging / file.path) for file in files)
    need = max(0, sum(file.size for file in files) - have)
    free = shutil.disk_usage(staging).free
    if need and need + _SPARE_BYTES > free:
        raise MachineError(
            f"the download needs {shown_size(need)}, but only {shown_size(free)} are free at {staging.parent}",
            hint="free disk space there, or move repositories/ to a larger disk and link it",
        )


def _run_all(transfers: Sequence[Transfer], jobs: int, stop: threading.Event) -> None:
    """Large files first. The first failure ends all. Daemon threads, so that Ctrl-C does not wait for a server."""
    waiting: queue.SimpleQueue[Transfer] = queue.SimpleQueue()
    for transfer in sorted(transfers, key=lambda each: -each.file.size):
        waiting.put(transfer)
    failures: list[BaseException] = []

    def work() -> None:
        while not stop.is_set():
            try:
                transfer = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                transfer.run()
            except Interrupted:
                return
            except BaseException as error:
                failures.append(error)
                stop.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(max(1, min(jobs, len(transfers))))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive() and not failures:
                thread.join(0.2)
    except BaseException:
        stop.set()
        _join(threads)
        raise
    _join(threads)
    if failures:
        raise failures[0]
    if stop.is_set():
        raise KeyboardInterrupt


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join(2.0)


def _put_in_place(staging: Path, folder: Path, model: str, files: Sequence[RemoteFile]) -> None:
    """Renames the whole staging folder if ``folder`` is new, else file by file, each atomically.

    Everything is synced to disk first, so that a power cut leaves no file without content.
    """
    for file in files:
        _sync(staging / file.path)
    if not folder.exists():
        wanted = {file.path for file in files}
        for path in [path for path in staging.rglob("*") if path.is_file()]:
            if path.relative_to(staging).as_posix() not in wanted:
                path.unlink()  # left by an earlier pull, when the version had other files
        write_manifest(staging, model, files)
        staging.rename(folder)
        staging.mkdir()
        sync_folder(folder.parent)
        return
    for file in files:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        (staging / file.path).replace(target)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    sync_folder(path.parent)


_MAX_MANIFEST_BYTES = 64 * 1024**2


def write_manifest(folder: Path, model: str, files: Sequence[RemoteFile]) -> None:
    rows = [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in files]
    written = folder / f"{MANIFEST}.part"
    with written.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"model": model, "files": rows}, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    written.replace(folder / MANIFEST)
    sync_folder(folder)


def read_manifest(folder: Path) -> list[RemoteFile]:
    """Empty when there is none, as in a folder made by NGC's own downloader."""
    try:
        rows = read_json(folder / MANIFEST, most_bytes=_MAX_MANIFEST_BYTES)["files"]
        return [RemoteFile(inner_path(row["path"]), int(row["size"]), row["sha256"]) for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, OverflowError, TaorunnerError):
        raise UserFilesError(
            f"{folder / MANIFEST} cannot be read", hint="copy the whole folder again"
        ) from None


def origin_of(folder: Path) -> str | None:
    """The model that a pull into ``folder`` named; None where no pull left its record."""
    try:
        model = read_json(folder / MANIFEST, most_bytes=_MAX_MANIFEST_BYTES)["model"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return model if isinstance(model, str) else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
