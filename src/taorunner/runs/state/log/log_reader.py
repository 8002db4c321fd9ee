"""Copies a run's console log to a stream, and follows it while the run is active."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from taorunner.errors import RunStateError
from taorunner.runs.state.lookup.log_times import offset_since
from taorunner.runs.state.store import RunStore
from taorunner.state_files import SHARING, Trust, UntrustedFileError, open_state

_BLOCK = 256 * 1024
_POLL_S = 0.1


def copy_log(
    store: RunStore, run_id: str, out: IO[bytes], *, follow: bool, tail: int | None,
    since: datetime | None = None, wait: Callable[[float], None] = time.sleep,
) -> None:  # fmt: skip
    """Copies the raw bytes. ``tail`` limits them to the last lines, ``since`` to what was printed then or later.

    ``follow`` continues until the run ends.
    """
    path = store.paths(run_id).console
    offset = start_offset(store, run_id, tail, since)
    while True:
        is_over = store.load(run_id).state.is_final  # read before the log, so its end is not missed
        offset = _copy_from(path, offset, out, store.trust())
        if not follow or is_over:
            return
        wait(_POLL_S)


def start_offset(store: RunStore, run_id: str, tail: int | None, since: datetime | None) -> int:
    """The byte of the log at which to begin. A log without times counts as a whole: see ``has_times``."""
    path = store.paths(run_id).console
    offset = 0 if tail is None else tail_offset(path, tail, store.trust())
    if since is None:
        return offset
    first = offset_since(path, since, store.trust())
    if first is None:
        record = store.load(run_id)
        is_before = record.finished_at is not None and record.finished_at < since
        first = path.stat().st_size if is_before and path.exists() else 0
    return max(offset, first)


def has_times(store: RunStore, run_id: str, since: datetime) -> bool:
    """Whether it is known which lines of the log were printed since then."""
    record = store.load(run_id)
    began, ended = record.started_at or record.queued_at, record.finished_at
    if began >= since or (ended is not None and ended < since):
        return True
    return offset_since(store.paths(run_id).console, since, store.trust()) is not None


def has_log(store: RunStore, run_id: str) -> bool:
    """Whether the run has printed something."""
    try:
        return store.paths(run_id).console.stat().st_size > 0
    except OSError:
        return False


def tail_offset(path: Path, lines: int, trust: Trust | None = None) -> int:
    """The byte offset of the last ``lines`` lines. Reads only the end of the file."""
    try:
        descriptor = open_state(path, trust=trust)
    except OSError:
        return 0
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        if lines == 0:
            return size
        end, found = size, 0
        while end > 0:
            begin = max(0, end - _BLOCK)
            file.seek(begin)
            block = file.read(end - begin)
            at = len(block) - 1 if end == size and block.endswith(b"\n") else len(block)
            while (at := block.rfind(b"\n", 0, at)) >= 0:
                found += 1
                if found == lines:
                    return begin + at + 1
            end = begin
    return 0


@contextmanager
def opened(path: Path, trust: Trust) -> Iterator[IO[bytes] | None]:
    """The log, or None when there is none yet.

    Raises:
        RunStateError: it is a link, belongs to another user, or cannot be read.
    """
    try:
        descriptor = open_state(path, trust=trust)
    except FileNotFoundError:
        yield None
        return
    except UntrustedFileError as error:
        raise RunStateError(f"the log cannot be shown: {error}", hint=SHARING) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    with os.fdopen(descriptor, "rb") as file:
        yield file


def blocks(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    """What follows in the opened log, in pieces. Raises RunStateError when it cannot be read."""
    while True:
        try:
            block = file.read(_BLOCK)
        except OSError as error:
            raise _unreadable(path, error) from error
        if not block:
            return
        yield block


def _unreadable(path: Path, error: OSError) -> RunStateError:
    return RunStateError(f'the log "{path}" cannot be read: {error.strerror}')


def _copy_from(path: Path, offset: int, out: IO[bytes], trust: Trust) -> int:
    with opened(path, trust) as file:
        if file is not None:
            file.seek(offset)
            for block in blocks(path, file):
                out.write(block)
                offset += len(block)
            out.flush()
    return offset
