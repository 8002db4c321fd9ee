"""Pulls of images on a terminal and in a pipe."""

from __future__ import annotations

import io
import re

import pytest
from pretended_terminal import Terminal

from taorunner.console.base.image_pull_progress import ImagePullView
from taorunner.engine.images import LayerState, PullState

MIB = 1024 * 1024
IMAGE = "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt"


def lines(stream: io.StringIO) -> list[str]:
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_in_a_pipe_a_line_each_ten_per_cent(clock: list[float]) -> None:
    stream = io.StringIO()
    with ImagePullView(stream, {}, plain=False, quiet=False) as view:
        view.begins(IMAGE, 100 * MIB)
        for done, layers in ((0, 0), (12, 1), (13, 1), (50, 1), (100, 1), (100, 2)):
            clock[0] += 5
            view.advanced(IMAGE, PullState(layers, 2, done * MIB, 60 * MIB), ())
        view.ends(IMAGE)
    assert lines(stream) == [
        f"{IMAGE}: pulling 100.0 MiB",
        f"{IMAGE}   12%  1 of 2 layers  12.0 MiB of 100.0 MiB  1.2 MiB/s  1m 13s left",
        f"{IMAGE}   50%  1 of 2 layers  50.0 MiB of 100.0 MiB  2.5 MiB/s  20s left",
        f"{IMAGE}   99%  1 of 2 layers  100.0 MiB of 100.0 MiB  unpacking",
        f"{IMAGE}  100%  2 of 2 layers  100.0 MiB of 100.0 MiB  3.3 MiB/s",
    ]


def test_on_a_terminal_the_layers_that_are_worked_on(clock: list[float]) -> None:
    stream = Terminal()
    view = ImagePullView(stream, {"TERM": "xterm", "COLUMNS": "140", "LINES": "24"}, plain=False, quiet=False)
    view.begins(IMAGE, None)
    assert [line.plain for line in view.drawing().renderables] == [f"{IMAGE}  asking the registry"]
    clock[0] += 10
    layers = [
        LayerState("aaaaaaaaaaaa", "there"), LayerState("bbbbbbbbbbbb", "downloading", 5 * MIB, 20 * MIB),
        LayerState("cccccccccccc", "extracting", 10 * MIB, 30 * MIB), LayerState("dddddddddddd", "waiting"),
    ]  # fmt: skip
    view.advanced(IMAGE, PullState(1, 4, 35 * MIB, 50 * MIB), layers)
    assert [re.sub("[━╸]+─*", "#", line.plain) for line in view.drawing().renderables] == [
        f"{IMAGE}  #  70%  1 of 4 layers  35.0 MiB of 50.0 MiB  3.5 MiB/s  4s left",
        "  bbbbbbbbbbbb  downloading #  5.0 MiB of 20.0 MiB",
        "  cccccccccccc  extracting  #  10.0 MiB of 30.0 MiB",
    ]
    lengths = [len(re.findall("[━╸]", line.plain)) for line in view.drawing().renderables]
    assert lengths[1] * 4 == pytest.approx(lengths[2] * 3, abs=4)  # 5 of 20 and 10 of 30
    assert 0 < lengths[1] < lengths[2] < len(re.findall("[━╸─]", view.drawing().renderables[2].plain))
    view.ends(IMAGE)
    assert view.drawing().renderables == []


def test_more_layers_than_lines(clock: list[float]) -> None:
    view = ImagePullView(
        Terminal(), {"TERM": "xterm", "COLUMNS": "60", "LINES": "10"}, plain=False, quiet=False
    )
    busy = [LayerState(f"{number:012d}", "downloading", 1, 2) for number in range(50)]
    for image in ("a:1", "b:1"):
        view.begins(image, None)
        view.advanced(image, PullState(0, 50, 50, 100), busy)
    shown = [line.plain for line in view.drawing().renderables]
    assert len(shown) == 6 and all(len(line) <= 60 for line in shown)


def test_names_cannot_drive_the_terminal(clock: list[float]) -> None:
    stream = io.StringIO()
    view = ImagePullView(stream, {}, plain=True, quiet=False)
    view.begins("a\x1b[2J:1", None)
    view.tells("b\x07ell")
    assert "\x1b" not in stream.getvalue() and "\x07" not in stream.getvalue()


def test_nothing_is_shown_for_json(clock: list[float]) -> None:
    stream = io.StringIO()
    with ImagePullView(stream, {}, plain=False, quiet=True) as view:
        view.begins(IMAGE, 5)
        view.advanced(IMAGE, PullState(1, 1, 5, 5), ())
        view.tells("x")
    assert stream.getvalue() == ""
