import io
import os
import pty
import select
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.console.base.cells import labels
from taorunner.console.base.theme import UNICODE, make_console
from taorunner.console.runs.live_view import LiveScreen, LiveView, _running
from taorunner.console.runs.run_panel import GpuReading, RunView
from taorunner.events import RunState, RunWaiting
from taorunner.runs.state.snapshot import fold


def console(width=80, height=24, encoding="utf-8", color=False):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    made = make_console(stream, {"COLUMNS": str(width), **({"FORCE_COLOR": "1"} if color else {})})
    made.size = (width, height)
    return made


def drawn(view_console, scene, runs, gpus=None):
    """What a person sees: the printed image without trailing blanks."""
    drawing = LiveView(view_console, lambda: scene.at).render(
        runs, scene.tails(runs), scene.gpus if gpus is None else gpus
    )
    view_console.print(drawing)
    view_console.file.flush()
    text = view_console.file.buffer.getvalue().decode(view_console.encoding)
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50)])
def test_one_experiment(scene, golden, width, height):
    text = drawn(console(width, height), scene, [scene.training()])
    golden.check(f"live_one_{width}x{height}", text)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 50), (200, 24), (200, 50)])
def test_eight_experiments(scene, golden, width, height):
    golden.check(f"live_eight_{width}x{height}", drawn(console(width, height), scene, scene.eight()))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50)])
def test_every_state_at_once(scene, golden, width, height):
    golden.check(f"live_mixed_{width}x{height}", drawn(console(width, height), scene, scene.mixed()))


def test_ascii_terminals_get_ascii(scene, golden):
    text = drawn(console(encoding="ascii"), scene, scene.mixed())
    assert text.isascii()
    golden.check("live_mixed_ascii", text)


def test_many_gpus_share_a_line_when_rows_are_few(scene):
    run = scene.training(gpus=tuple("01234567"))
    tall = drawn(console(80, 24), scene, [run])
    low = drawn(console(80, 10), scene, [run])
    assert tall.count("NVIDIA A100") == 8
    assert "GPU   GPU 0 97%   GPU 1 96%" in low


def test_a_gpu_without_reading_is_still_named(scene):
    assert "│ GPU 0 " in drawn(console(), scene, [scene.training()], gpus={})
    partial = {"0": GpuReading("0", "old card")}
    assert "old card" in drawn(console(), scene, [scene.training()], gpus=partial)


def test_without_runs_there_is_nothing_to_do(scene):
    assert drawn(console(), scene, []).startswith("nothing to do")


@pytest.mark.parametrize(
    ("width", "line"), [(37, "nothing to do  Ctrl-C: stop or detach"), (36, "nothing to do")]
)
def test_the_keys_are_named_where_there_is_room(scene, width, line):
    assert drawn(console(width), scene, []).splitlines()[0] == line


@pytest.mark.parametrize(
    ("room", "count"),
    [(0, 0), (-1, 0), (1, 1), (2, 2), (3, 3), (5, 3), (6, 6), (7, 6)],
)
def test_running_runs_get_two_lines_each_where_there_is_room(scene, room, count):
    views = [
        RunView(run=run, label=run.experiment, tail=(), gpus={}, now=scene.at, symbols=UNICODE)
        for run in (scene.training(index, 9) for index in range(3))
    ]
    assert len(_running(views, room, 80, 1, 20)) == count
    assert _running([], 5, 80, 1, 20) == []


def test_hidden_runs_are_counted_and_failures_among_them_named(scene):
    runs = [scene.finished(f"done_{i}", RunState.FAILED if i == 1 else RunState.SUCCEEDED) for i in range(9)]
    text = drawn(console(80, 12), scene, [*runs, scene.training(), scene.queued("q1"), scene.queued("q2")])
    assert "… 9 finished, 1 failed" in text and "… 2 queued" in text
    without_running = drawn(console(80, 6), scene, runs).splitlines()
    assert without_running[1] == "… 6 more finished, 1 failed"
    assert [line.split()[1] for line in without_running[2:]] == ["done_6", "done_7", "done_8"]
    assert text.splitlines()[0].startswith("1 running · 2 queued · 9 finished")


def test_a_run_that_waits_in_its_engine_is_counted_and_says_why(scene):
    runs = [scene.training(), scene.queued("q1"), scene.waiting("dino_big", "Priority, job 48213")]
    lines = drawn(console(100, 24), scene, runs).splitlines()
    assert lines[0].startswith("1 running · 1 queued · 1 waiting")
    (line,) = [line for line in lines if "dino_big" in line]
    assert "train waiting" in line and line.endswith("Priority, job 48213")


def test_a_run_that_its_engine_requeued_leaves_the_panels_and_says_why(scene):
    events = scene.training_events(0, 12)
    since = scene.at - timedelta(minutes=4)
    requeued = fold([*events, RunWaiting(run=events[0].run, at=since, reason="Preempted by job 7")])
    lines = drawn(console(100, 24), scene, [requeued, scene.training(1)]).splitlines()
    assert lines[0].startswith("1 running · 1 waiting")
    (line,) = [line for line in lines if requeued.experiment in line]
    assert "train waiting  4m 00s" in line and line.endswith("Preempted by job 7")


def test_log_lines_cannot_drive_the_terminal(scene):
    made = console(color=True)
    run = scene.training()
    made.print(
        LiveView(made, lambda: scene.at).render([run], {run.id: ["\x1b[2J\x1b]0;x\x07\x9b2Jevil\r\n"]}, {})
    )
    made.file.flush()
    text = made.file.buffer.getvalue().decode()
    assert "evil" in text
    assert "\x1b[2J" not in text and "\x1b]" not in text and "\x9b" not in text and "\x07" not in text


def test_the_same_name_in_two_projects_and_actions_is_distinguished(scene):
    runs = [
        fold([scene.queue("e1", project="a")]),
        fold([scene.queue("e2", project="b")]),
    ]
    assert dict(labels(runs)) == {"run-e1": "a/e1", "run-e2": "b/e2"}
    same = [replace(runs[0], id="r1"), replace(runs[0], id="r2", action="export")]
    assert dict(labels(same)) == {"r1": "e1 train", "r2": "e1 export"}
    again = [replace(runs[0], id="r1"), replace(runs[0], id="r2")]
    assert dict(labels(again)) == {"r1": "e1 train r1", "r2": "e1 train r2"}


_texts = st.text(max_size=120)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 230),
    height=st.integers(1, 60),
    counts=st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 3), st.integers(0, 6)),
    tail=st.lists(_texts, max_size=20),
    name=_texts,
)
def test_no_terminal_is_ever_overflowed(scene, width, height, counts, tail, name):
    finished, running, pulling, queued = counts
    runs = [scene.finished(f"f{i}", RunState.LOST if i else RunState.SUCCEEDED) for i in range(finished)]
    runs += [replace(scene.training(i % 8, 9), id=f"t{i}", experiment=name) for i in range(running)]
    runs += [scene.pulling(f"p{i}") for i in range(pulling)] + [scene.queued(f"q{i}") for i in range(queued)]
    view = LiveView(console(width, height), lambda: scene.at)
    lines = view.lines(runs, {run.id: tail for run in runs}, scene.gpus, width, height - 1)
    assert len(lines) <= max(1, height - 1)
    assert all(line.cell_len <= width and "\n" not in line.plain for line in lines)


def test_a_screen_that_fails_to_draw_says_so_and_goes_on(scene):
    class Broken(LiveView):
        def render(self, snapshots, tails, gpus):
            raise ValueError("no such colour")

    made = console(color=True)
    with LiveScreen(made, Broken(made, lambda: scene.at)) as screen:
        screen.show([scene.training()], {}, {})
    made.file.flush()
    assert "the view cannot be drawn: ValueError: no such colour" in made.file.buffer.getvalue().decode()


SCRIPT = """
import os, sys
from datetime import datetime, timezone
from taorunner.console.runs.live_view import LiveScreen, LiveView
from taorunner.console.base.theme import can_draw, make_console
from taorunner.events import RunQueued
from taorunner.runs.state.snapshot import fold

at = datetime(2026, 3, 1, tzinfo=timezone.utc)
run = fold([RunQueued(run="r", at=at, project="p", experiment="my_run", action="train", backend="docker")])
console = make_console(sys.stdout, os.environ)
assert can_draw(console)
with LiveScreen(console, LiveView(console, lambda: at)) as screen:
    screen.show([run], {}, {})
    choices = {"stop": "end", "detach": "leave", "go on": "stay"}
    answer = screen.prompt("What now?", choices, default="go on", interrupt="detach")
    screen.show([run], {}, {})
    if answer == "stop":
        raise SystemExit("raised within")
print("answer:", answer)
"""


def on_a_terminal(said):
    """The script on a real pseudo terminal, answering ``said`` to its question; everything it wrote."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=follower, stdout=follower, stderr=follower,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
    ) as process:  # fmt: skip
        os.close(follower)
        written, has_answered = b"", False
        while select.select([leader], [], [], 20)[0]:
            try:
                written += os.read(leader, 65536)
            except OSError:  # the other side is closed
                break
            if not has_answered and b"\n> " in written:
                has_answered = True
                os.write(leader, said)
        os.close(leader)
        process.wait(timeout=20)
    return written.decode()


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"d\n", "detach"),
        (b"GO\n", "go on"),
        (b"\n", "go on"),
        (b"\x04", "go on"),
        (b"what\ndet\n", "detach"),
    ],
)
def test_the_question_takes_first_letters_and_has_a_default(said, answer):
    written = on_a_terminal(said)
    assert "my_run" in written
    assert f"answer: {answer}" in written


def test_the_cursor_comes_back_when_the_block_is_left_by_an_exception():
    written = on_a_terminal(b"stop\n")
    assert "raised within" in written
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l") >= 0
