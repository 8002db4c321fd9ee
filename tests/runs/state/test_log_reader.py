"""``logs``: the bytes, the last lines, and going on while the run does."""

from __future__ import annotations

import io
import os
from datetime import datetime, timezone
from pathlib import Path

import pytest

from taorunner.errors import RunStateError
from taorunner.events import RunFinished, RunState
from taorunner.runs.state.log.log_reader import blocks, copy_log, opened, tail_offset
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

OTHER_USER = 12345
AT = datetime(2026, 11, 20, tzinfo=timezone.utc)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path)
    store.paths("r").directory.mkdir(parents=True)
    store.save(RunRecord("r", "b", "p", "e", "train", "docker", RunState.RUNNING, AT))
    store.paths("r").console.write_bytes(b"one\ntwo\nthree\n")
    return store


@pytest.mark.parametrize(
    ("lines", "rest"),
    [(0, b""), (1, b"three\n"), (2, b"two\nthree\n"), (3, b"one\ntwo\nthree\n"), (9, b"one\ntwo\nthree\n")],
)
def test_the_last_lines(store: RunStore, lines: int, rest: bytes) -> None:
    path = store.paths("r").console
    assert path.read_bytes()[tail_offset(path, lines) :] == rest


def test_the_last_line_of_a_large_file_is_found_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"x" * 3_000_000 + b"\n" + b"y" * 600_000 + b"\nend")
    assert path.read_bytes()[tail_offset(path, 2) :] == b"y" * 600_000 + b"\nend"


def test_following_ends_with_the_run_and_has_every_byte(store: RunStore) -> None:
    out, waits = io.BytesIO(), 0

    def wait(_seconds: float) -> None:
        nonlocal waits
        waits += 1
        with store.paths("r").console.open("ab") as file:
            file.write(b"more\n")
        if waits == 2:
            end = RunFinished(run="r", at=AT, state=RunState.SUCCEEDED, reason="fine", exit_code=0)
            store.save(store.load("r").finished(end))

    copy_log(store, "r", out, follow=True, tail=1, wait=wait)
    assert out.getvalue() == b"three\nmore\nmore\n"


def test_a_run_without_a_log_prints_nothing(store: RunStore) -> None:
    store.paths("r").console.unlink()
    out = io.BytesIO()
    copy_log(store, "r", out, follow=False, tail=None)
    assert out.getvalue() == b""


def test_a_log_that_may_not_be_read_is_a_sentence(store: RunStore) -> None:
    path, trust = store.paths("r").console, store.trust()
    path.chmod(0)
    before = os.geteuid()
    if before == 0:  # who may read everything
        os.seteuid(OTHER_USER)
    try:
        with (
            pytest.raises(RunStateError, match=r'the log ".*console.log" cannot be read: Permission denied'),
            opened(path, trust),
        ):
            pass
    finally:
        os.seteuid(before)


def test_a_disk_that_fails_below_a_log_is_a_sentence() -> None:
    """The kernel answers so where a process has no memory."""
    memory = Path("/proc/self/mem")
    with (
        memory.open("rb", buffering=0) as file,
        pytest.raises(RunStateError, match=r"cannot be read: Input/output error"),
    ):
        list(blocks(memory, file))
