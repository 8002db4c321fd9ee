"""Logs of others on a terminal: colours, and nothing else that controls it."""

from __future__ import annotations

import io

import pytest

from taorunner.console.base.harmless_bytes import HarmlessBytes


def shown(data: bytes, piece: int = 10_000) -> bytes:
    out = io.BytesIO()
    stream = HarmlessBytes(out)
    for at in range(0, len(data), piece):
        stream.write(data[at : at + piece])
    stream.finish()
    return out.getvalue()


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
def test_colours_stay_and_other_controls_are_shown(piece: int) -> None:
    assert shown(b"a\tb\r\nc\rd", piece) == b"a\tb\r\nc\rd"
    assert shown(b"\x1b[1;31mred\x1b[0m\n", piece) == b"\x1b[1;31mred\x1b[0m\n\x1b[0m"
    hostile = b"\x1b]0;title\x07\x1b[2J\x1b]52;c;eA==\x07\x08\x9b31m\xc2\x9b1m\xe2\x80\xae\x1bP1$r\x1b"
    answer = shown(hostile, piece)
    assert answer[-4:] == b"\x1b[0m" and b"\x1b" not in answer[:-4] and b"\x07" not in answer
    assert answer[:-4].decode() == "^[]0;title^G^[[2J^[]52;c;eA==^G^H\ufffd31m<U+009B>1m<U+202E>^[P1$r^["


def test_text_of_any_language_passes() -> None:
    text = "épöque 训练 ░▒▓ 🙂\n".encode()
    assert shown(text, 1) == text
