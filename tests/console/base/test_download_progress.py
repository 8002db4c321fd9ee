"""Downloads on a terminal and in a pipe."""

from __future__ import annotations

import io

from pretended_terminal import Terminal

from taorunner.console.base.download_progress import PullView
from taorunner.pretrained.ngc import RemoteFile

MIB = 1024 * 1024
FILES = [RemoteFile("a.pth", 60 * MIB, None), RemoteFile("b.pth", 40 * MIB, None)]


def test_in_a_pipe_a_line_each_ten_per_cent(clock: list[float]) -> None:
    stream = io.StringIO()
    with PullView(stream, {}, plain=False, quiet=False) as view:
        view.begins("nvidia/tao/a:1", FILES)
        for path, have in (
            ("a.pth", 20),
            ("a.pth", 25),
            ("a.pth", 29),
            ("b.pth", 1),
            ("a.pth", 60),
            ("b.pth", 40),
        ):
            clock[0] += 5
            view.advanced(path, have * MIB)
    bars = {20: "━" * 6, 30: "━" * 9, 61: "━" * 18, 100: "━" * 30}
    lines = stream.getvalue().splitlines()
    assert lines[0] == "nvidia/tao/a:1: 2 files, 100.0 MiB"
    assert [line.split("  ", 1)[0] for line in lines[1:]] == ["nvidia/tao/a:1"] * 4
    for line, (per_cent, done) in zip(lines[1:], bars.items(), strict=True):
        assert f"{done}" in line and f"{per_cent}%" in line
    assert lines[1].endswith("20%  20.0 MiB of 100.0 MiB")  # what was there before is no rate
    assert lines[2].endswith("30%  30.0 MiB of 100.0 MiB  512.0 KiB/s  2m 20s left")
    assert lines[4].endswith("100%  100.0 MiB of 100.0 MiB  2.7 MiB/s")


def test_one_file_without_bytes_is_complete() -> None:
    stream = io.StringIO()
    with PullView(stream, {}, plain=True, quiet=False) as view:
        assert view.drawing().plain == ""
        view.begins("m", [RemoteFile("a", 0, None)])
        view.advanced("a", 0)
    first, second = stream.getvalue().splitlines()
    assert first == "m: 1 file, 0 B"
    assert second.endswith("100%  0 B of 0 B")


def test_quiet_prints_nothing() -> None:
    stream = io.StringIO()
    with PullView(stream, {}, plain=False, quiet=True) as view:
        view.begins("m", FILES)
        view.advanced("a.pth", 60 * MIB)
        with view.paused():
            view.tells("x")
    assert stream.getvalue() == ""


def test_a_terminal_is_not_drawn_on_while_a_prompt_is_open() -> None:
    stream = Terminal()
    with PullView(stream, {"TERM": "xterm", "COLUMNS": "100"}, plain=False, quiet=False) as view:
        view.begins("m", FILES)
        view.advanced("a.pth", 60 * MIB)
        with view.paused():
            at = len(stream.getvalue())
            assert "60%" in stream.getvalue()
            view.advanced("b.pth", 40 * MIB)
            threads_wait = stream.getvalue()[at:]
        assert threads_wait == ""
    assert "100%" in stream.getvalue()
