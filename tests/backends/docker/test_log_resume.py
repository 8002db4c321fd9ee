"""The stored log goes on where the live output stopped, also when a restarted engine kept less than it had shown."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.backends.docker.log_resume import TAIL_BYTES, KeptLog, Tail, is_at_the_end
from taorunner.engine.frames import STORED_BLOCK_BYTES


def in_pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


def gone_on(stored: bytes, shown: bytes, sizes: list[int]) -> tuple[int, bytes]:
    tail = Tail(begins=True)
    for piece in in_pieces(shown, sizes):
        tail.add(piece)
    log = KeptLog(len(shown), tail.data)
    answers = [log.feed(piece) for piece in in_pieces(stored, sizes)]
    return sum(unkept for unkept, _ in answers), b"".join(data for _, data in answers)


def kept_of(shown: bytes) -> bytes:
    """What an engine that dies has stored of what it has shown: lines with LF, and whole blocks of one without."""
    begin = shown.rfind(b"\n") + 1
    return shown[: begin + (len(shown) - begin) // STORED_BLOCK_BYTES * STORED_BLOCK_BYTES]


SIZES = st.lists(st.integers(1, 40_000), min_size=1, max_size=5)


def steps(count: int, end: bytes, start: int = 0) -> bytes:
    return b"".join(b"step %d of many, loss 0.5%s" % (number, end) for number in range(start, start + count))


@settings(deadline=None)
@given(st.integers(0, 3000), st.integers(1, 800), st.sampled_from([b"\r", b"\n"]), st.booleans(), SIZES)
def test_every_byte_is_there_once_whatever_the_engine_forgot(
    before: int, after: int, end: bytes, forgets: bool, sizes: list[int]
) -> None:
    whole = steps(before + after, end)
    shown = whole[: len(steps(before, end))]
    stored = (kept_of(shown) if forgets else shown) + whole[len(shown) :]
    unkept, new = gone_on(stored, shown, sizes)
    assert shown + new == whole
    assert len(stored) == len(shown) - unkept + len(new)


@pytest.mark.parametrize("seed", range(40))
def test_a_line_that_was_cut_in_the_middle_goes_on(seed: int) -> None:
    chance = random.Random(seed)
    whole = b"epoch 1\n" + steps(3000, b"\r")
    shown = whole[: chance.randrange(9, len(whole) - 10)]
    unkept, new = gone_on(kept_of(shown) + whole[len(shown) :], shown, [chance.randrange(1, 9000)])
    assert shown + new == whole
    assert unkept == len(shown) - len(kept_of(shown))


def test_nothing_is_invented_while_the_engine_holds_back_what_it_has_shown() -> None:
    assert gone_on(b"epoch 1\nste", b"epoch 1\nstep 1\rstep 2", [4]) == (0, b"")


def test_the_tail_is_bounded_and_begins_where_the_engine_begins_a_block() -> None:
    tail, whole = Tail(begins=True), b""
    for number in range(300):
        piece = steps(40, b"\r", number * 40) + (b"\n" if number % 90 == 0 else b"")
        tail.add(piece)
        whole += piece
        begin = len(whole) - len(tail.data)
        assert whole.endswith(tail.data)
        assert len(tail.data) <= TAIL_BYTES + len(piece)
        assert (begin - (whole.rfind(b"\n", 0, begin) + 1)) % STORED_BLOCK_BYTES == 0


def test_a_tail_in_the_middle_of_a_stream_begins_behind_the_first_line() -> None:
    tail = Tail(begins=False)
    for piece in (b"of a line", b" that began earlier\nand ", b"the next"):
        tail.add(piece)
    assert tail.data == b"and the next"


def test_without_a_tail_bytes_are_counted() -> None:
    log = KeptLog(4)
    assert [log.feed(b"ab"), log.feed(b"cdef"), log.feed(b"g")] == [(0, b""), (0, b"ef"), (0, b"g")]


@pytest.mark.parametrize(
    ("tail", "last", "is_end"),
    [
        (b"line 1\nline 2\n", b"line 2\n", True),
        (b"line 2\n", b"line 1\nline 2\n", True),
        (b"line 1\nlast", b"line 1\nlast", True),
        (b"line 1\n", b"line 1\nline 2\n", False),
        (b"line 1\nli", b"line 1\nline 2\n", False),
        (b"same\nsame\n", b"same\n", False),  # a third one may have been lost
        (b"", b"line 1\n", False),
    ],
)
def test_the_end_is_known_by_its_last_lines(tail: bytes, last: bytes, is_end: bool) -> None:
    assert is_at_the_end({"stdout": tail}, {"stdout": last}) is is_end
    assert is_at_the_end({"stdout": tail, "stderr": b"x\n"}, {"stdout": last}) is is_end
    assert is_at_the_end({"stderr": b"x\n", "stdout": tail}, {"stdout": last, "stderr": b"y\n"}) is False


def test_what_the_engine_did_not_keep_is_taken_from_the_tail() -> None:
    tail = Tail(begins=True)
    tail.add(b"epoch 1\nstep 1\rstep")
    tail.add(b"step 1\rstep 2", unkept=11)
    assert tail.data == b"epoch 1\nstep 1\rstep 2"


def test_the_rest_of_the_last_block_is_read_again() -> None:
    """After the last LF an engine stores whole blocks; what follows them was shown and is lost."""
    line, block = b"epoch 1\n", b"x" * STORED_BLOCK_BYTES
    shown = line + block + b"and more"
    log = KeptLog(len(shown), shown)
    assert log.feed(line + block + b"later") == (len(b"and more"), b"later")
    assert log.feed(b" on") == (0, b" on")


@pytest.mark.parametrize(("tail", "line"), [(b"a\nb\n", b"b\n"), (b"a\nb", b"b"), (b"ab\n", b"b\n")])
def test_one_whole_line_is_the_end_only_where_it_is_the_last(tail: bytes, line: bytes) -> None:
    assert is_at_the_end({"stdout": tail}, {"stdout": line})
    assert not is_at_the_end({"stdout": line + tail}, {"stdout": line})
