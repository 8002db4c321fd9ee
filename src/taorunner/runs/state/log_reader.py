"""Copies a run's console log to a stream, and follows it while the run is active."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from taorunner.errors import RunStateError
from taorunner.runs.state.store import RunStore
from taorunner.state_files import SHARING, Trust, UntrustedFileError, open_state

_BLOCK = 256 * 1024
_POLL_S = 0.1


def copy_log(
    store: RunStore, run_id: str, out: IO[bytes], *, follow: bool, tail: int | None,
    wait: Callable[[float], None] = time.sleep,
) -> None:  # fmt: skip
    """Copies the raw bytes. ``tail`` limits them to the last lines. ``follow`` continues until the run ends."""
    path = store.paths(run_id).console
    offset = 0 if tail is None else tail_offset(path, tail, store.trust())
    while True:
        is_over = store.load(run_id).state.is_final  # read before the log, so its end is not missed
        offset = _copy_from(path, offset, out, store.trust())
        if not follow or is_over:
            return
        wait(_POLL_S)


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


def _copy_from(path: Path, offset: int, out: IO[bytes], trust: Trust) -> int:
    try:
        with os.fdopen(open_state(path, trust=trust), "rb") as file:
            file.seek(offset)
            while block := file.read(_BLOCK):
                out.write(block)
                offset += len(block)
            out.flush()
    except FileNotFoundError:
        return offset
    except UntrustedFileError as error:
        raise RunStateError(f"the log cannot be shown: {error}", hint=SHARING) from error
    return offset
