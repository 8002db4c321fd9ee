"""console.log: every byte once, whole lines, nothing secret."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taorunner.runs.state.log.console_log import ConsoleLog


def test_streams_do_not_tear_each_others_lines(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "console.log")
    assert log.write("stdout", b"one\ntw") == b"one\n"
    assert log.write("stderr", b"error\n") == b"error\n"
    assert log.write("stdout", b"o\n") == b"two\n"
    log.close()
    assert (tmp_path / "console.log").read_bytes() == b"one\nerror\ntwo\n"


def test_a_carriage_return_ends_a_piece(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "console.log")
    assert log.write("stdout", b"\rEpoch 3:  25%\rEpoch 3:  50%") == b"\rEpoch 3:  25%\r"
    assert log.flush() == b"Epoch 3:  50%\n"
    log.close()


def test_a_secret_is_masked_even_when_it_comes_in_two_pieces(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "console.log", ["s3cret", "s3cret-long"])
    log.write("stdout", b"key=s3c")
    assert log.write("stdout", b"ret-long and s3cret\n") == b"key=*** and ***\n"
    log.close()
    assert b"s3cret" not in (tmp_path / "console.log").read_bytes()


def test_what_was_received_is_counted_as_it_came(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "console.log", ["secret"])
    log.write("stdout", b"a secret\nhalf")
    log.write("stderr", b"xy")
    log.close()
    assert log.received == {"stdout": 13, "stderr": 2}


def test_an_endless_line_is_written_in_parts(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "console.log")
    written = b"".join(log.write("stdout", b"x" * 40_000) for _ in range(4)) + log.flush()
    log.close()
    assert written == b"x" * 160_000 + (b"\n" if not written.endswith(b"xx") else b"")


def test_appends_to_what_is_there(tmp_path: Path) -> None:
    for text in (b"first\n", b"second\n"):
        log = ConsoleLog(tmp_path / "console.log")
        log.write("stdout", text)
        log.close()
    assert (tmp_path / "console.log").read_bytes() == b"first\nsecond\n"


pieces = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=30)), max_size=30)


@given(pieces)
def test_no_byte_is_lost_or_doubled(tmp_path_factory, chunks: list[tuple[str, bytes]]) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("log") / "console.log"
    log = ConsoleLog(path)
    for stream, data in chunks:
        log.write(stream, data)
    log.flush()
    log.close()
    kept = path.read_bytes()
    for stream in ("stdout", "stderr"):
        sent = b"".join(data for name, data in chunks if name == stream)
        assert log.received[stream] == len(sent)
    sent_all = b"".join(data for _, data in chunks)
    assert sorted(kept.replace(b"\n", b"")) == sorted(sent_all.replace(b"\n", b""))


def test_no_secret_gets_through_in_whatever_pieces_it_comes(tmp_path: Path) -> None:
    """Unbroken lines of more than 64 KiB, values with line ends, other notations, and every size of pieces."""
    secret, two_lines = "k3y/with+signs=and-more", "first line of it\nsecond line of it"
    encoded = base64.b64encode(b"user:" + secret.encode())
    printed = b"".join(
        [
            b"x" * 70_000, secret.encode(), b"y" * 70_000, b"\n", b"a ", two_lines.encode(), b" b\n", b"a\r\n",
            two_lines.replace("\n", "\r\n").encode(), b"\r\n", json.dumps({"key": two_lines}).encode(), b"\n",
            b"Basic ", encoded, b"\n", quote(secret, safe="").encode(), b"\n", b"  | second line of it\n", secret.encode()[:12],
        ]
    )  # fmt: skip
    for number, size in enumerate((1, 7, 4096, 65_537, len(printed))):
        path = tmp_path / f"{number}.log"
        log = ConsoleLog(path, [secret, two_lines])
        lines = b"".join(log.write("stdout", printed[at : at + size]) for at in range(0, len(printed), size))
        lines += log.flush()
        log.close()
        assert path.read_bytes() == lines
        for canary in (b"k3y", b"ine of it", encoded[8:], b"k3y%2F", b"\\nsecond"):
            assert canary not in lines, (size, canary)
        assert lines.count(b"x") == 70_000 and lines.count(b"y") == 70_001


def test_what_is_kept_for_the_next_supervisor_holds_no_part_of_a_secret(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "console.log", ["one\ntwo"])
    assert log.write("stdout", b"a\none\n") == b"a\n"
    assert (log.recorded.stdout, dict(log.recorded.begun)) == (2, {})
    assert log.write("stdout", b"twist\n") == b"one\ntwist\n"
    log.close()


@given(
    st.text("ab\n", min_size=1, max_size=8), st.lists(st.binary(max_size=6).map(lambda b: bytes(b"ab\n\r"[c % 4] for c in b)))
)  # fmt: skip
def test_a_secret_is_never_whole_in_the_log(
    tmp_path_factory: pytest.TempPathFactory, secret: str, chunks: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("log") / "console.log"
    log = ConsoleLog(path, [secret])
    for data in chunks:
        log.write("stdout", data)
    log.flush()
    log.close()
    if b"".join(chunks).strip() and len(secret.strip()) > 1:
        assert secret.encode() not in path.read_bytes()
