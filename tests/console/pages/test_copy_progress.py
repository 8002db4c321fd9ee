"""How far a copy to a cluster is, on a terminal and in a pipe."""

from __future__ import annotations

import io

from taorunner.console.pages.clusters_view import CopyProgress

GIB = 1 << 30


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, *steps: tuple[float, int], is_quiet: bool = False) -> str:
    now_s = [100.0]
    progress = CopyProgress(4 * GIB, stream, is_quiet=is_quiet, clock=lambda: now_s[0])
    for at_s, copied in steps:
        now_s[0] = 100.0 + at_s
        progress.report(copied)
    progress.end()
    return stream.getvalue()


def test_a_terminal_shows_amount_share_speed_and_time_on_one_line() -> None:
    text = shown(Terminal(), (0.1, 1), (0.5, GIB // 2), (0.6, GIB), (4, 2 * GIB))
    first, second = "512.0 MiB of 4.0 GiB (12 %)", "2.0 GiB of 4.0 GiB (50 %), 512.0 MiB/s, 4s left"
    assert text == f"\r{first}\r{second}\r{' ' * len(second)}\r"


def test_a_pipe_gets_a_line_a_minute_and_quiet_gets_none() -> None:
    steps = ((1.0, GIB), (61.0, 2 * GIB), (62.0, 3 * GIB))
    assert shown(io.StringIO(), *steps) == "2.0 GiB of 4.0 GiB (50 %), 33.6 MiB/s, 1m 01s left\n"
    assert shown(io.StringIO(), *steps, is_quiet=True) == ""
