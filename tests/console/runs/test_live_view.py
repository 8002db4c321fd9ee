"""The live view as people see it: whole screens at the sizes of terminals, and what never happens at any size."""

import os
import pty
import select
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.console.base.cells import labels
from taorunner.console.base.theme import ASCII, UNICODE
from taorunner.console.live.run_view import GpuReading, RunNotes
from taorunner.console.runs.live_view import LiveView, Picture
from taorunner.events import Notice, RunState, RunWaiting
from taorunner.runs.state.snapshot import fold

SIZES = [(80, 24), (120, 40), (200, 60)]


def picture(scene, runs, **more):
    curves = scene.curves(runs)
    notes = {run.id: RunNotes(curves=curves[run.id]) for run in runs}
    return Picture(runs, scene.tails(runs), **{"gpus": scene.gpus, "notes": notes, **more})


def drawn(scene, runs, width=80, height=24, symbols=UNICODE, **more):
    """What a person sees, without trailing blanks. The last line of a terminal stays free."""
    view = LiveView(symbols, lambda: scene.at, timezone.utc)
    lines = view.lines(picture(scene, runs, **more), width, height - 1)
    assert len(lines) < height and all(line.cell_len <= width for line in lines)
    return "".join(line.plain.rstrip() + "\n" for line in lines)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_one_run(scene, golden, width, height):
    golden.check(f"live_one_{width}x{height}", drawn(scene, [scene.training()], width, height, has_keys=True))


@pytest.mark.parametrize(("width", "height"), [*SIZES, (40, 24)])
def test_eight_runs(scene, golden, width, height):
    golden.check(f"live_eight_{width}x{height}", drawn(scene, scene.eight(), width, height, has_keys=True))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_forty_runs(scene, golden, width, height):
    golden.check(f"live_forty_{width}x{height}", drawn(scene, scene.forty(), width, height, has_keys=True))


@pytest.mark.parametrize(("width", "height"), [*SIZES, (40, 24)])
def test_every_state_at_once(scene, golden, width, height):
    golden.check(f"live_mixed_{width}x{height}", drawn(scene, scene.mixed(), width, height, has_keys=True))


def test_eight_runs_with_a_queue_and_a_failure(scene, golden):
    """The second picture of the design: everything has its line at 80 columns and 24 lines."""
    queued = [scene.queued("rtdetr_09"), scene.queued("rtdetr_10")]
    notes = {
        "run-rtdetr_09": RunNotes(queue="next; needs 2 GPUs, 1 is free"),
        "run-rtdetr_10": RunNotes(queue="behind rtdetr_09"),
    }
    runs = [
        scene.finished("rtdetr_04", RunState.FAILED), *scene.eight(), *queued,
        scene.waiting("dino_big", "Priority, job 48213, starts about 23:40"),
    ]  # fmt: skip
    golden.check("live_queue_80x24", drawn(scene, runs, notes=notes, has_keys=True))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nodes_attempts_stalls_and_reasons_to_wait(scene, golden, width, height):
    """One run on this machine, one on two nodes of a cluster, a third attempt that stalls, and each reason to wait."""
    here, far, third = scene.training(0, 12), scene.training(1, 20), scene.training(2, 9)
    far = replace(far, gpus=(), backend="slurm", handle="48213")
    waiting = replace(scene.waiting("dino_big", "Priority, job 48214, starts about 23:40"), backend="slurm")
    text = "no progress for 12m 00s; an epoch takes 1m 02s"
    stall = Notice(run=third.id, at=scene.at, level="warning", code="silent", text=text)
    third, moved_at = replace(third, notices=(stall,)), scene.at - timedelta(minutes=13)
    reasons = {
        "first": "next; needs 2 GPUs: 1 free, GPU 1 used by pid 4121 (python)",
        "second": "behind first",
        "third": "--parallel 8 is reached",
    }
    runs = [
        scene.finished("doubtful"), scene.finished("rtdetr_04", RunState.FAILED), here, far, third,
        *(scene.queued(name) for name in reasons), waiting,
    ]  # fmt: skip
    notes = {run.id: RunNotes(curves=curves) for run in runs for curves in [scene.curves([run])[run.id]]}
    notes |= {f"run-{name}": RunNotes(queue=reason) for name, reason in reasons.items()}
    notes[far.id] = replace(notes[far.id], nodes=2, gpu_count=8, cluster="dgx")
    notes[third.id] = replace(notes[third.id], attempt=3, stall=stall, moved_at=moved_at)
    notes[waiting.id] = RunNotes(cluster="dgx")
    text = drawn(scene, runs, width, height, notes=notes, has_keys=True)
    golden.check(f"live_places_{width}x{height}", text)


def test_ascii_terminals_get_ascii(scene, golden):
    text = drawn(scene, scene.mixed(), symbols=ASCII, has_keys=True)
    assert text.isascii()
    golden.check("live_mixed_ascii", text)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 16), (80, 12), (120, 40), (200, 60), (40, 24)])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_a_run_that_is_shown_shows_its_gpu(scene, width, height, count):
    runs = [replace(scene.training(index % 8), id=f"r{index}", gpus=("7",)) for index in range(count)]
    text = drawn(scene, runs, width, height)
    shown = text.count("●")
    assert text.count("GPU 7") == shown
    hidden = count - shown
    assert (f"and {hidden} more running: taorunner ps" in text) == (hidden > 0)


def test_the_gpus_of_one_run_share_a_line_where_that_fits(scene):
    two = drawn(scene, [scene.training(gpus=("0", "1"))], 120, 40)
    assert "│ GPU 0,1  97% 96%  29.0 30.0 of 80.0 GiB  A100-SXM4-80GB" in two
    eight = scene.training(gpus=tuple("01234567"))
    assert drawn(scene, [eight], 80, 30).count("A100") == 8
    low = drawn(scene, [eight], 80, 14)
    assert "│ GPU 0-7  90-97%   29.0-36.0 of 80.0 GiB  A100" in low


def test_a_gpu_without_reading_is_still_named(scene):
    assert "│ GPU 0  no reading" in drawn(scene, [scene.training()], gpus={})
    assert "old card" in drawn(scene, [scene.training()], gpus={"0": GpuReading("0", "old card")})


def test_without_runs_there_is_nothing_to_do(scene):
    assert drawn(scene, []).startswith("nothing to do")


@pytest.mark.parametrize(
    ("width", "line"), [(37, "nothing to do  Ctrl-C: stop or detach"), (36, "nothing to do")]
)
def test_leaving_is_explained_where_there_is_room(scene, width, line):
    assert drawn(scene, [], width).splitlines()[0] == line


def test_keys_are_named_only_where_they_work_and_cost_no_run_its_line(scene):
    line = "q detach   s stop   ↑↓ choose   Enter one run   l log"
    assert drawn(scene, [scene.training()], has_keys=True).splitlines()[-1] == line
    assert line not in drawn(scene, [scene.training()])
    assert line not in drawn(scene, scene.forty(), has_keys=True)
    assert drawn(scene, [scene.training()], 28, has_keys=True).splitlines()[-1] == "q detach   s stop"


def test_hidden_runs_are_counted_and_failures_among_them_named(scene):
    runs = [scene.finished(f"done_{i}", RunState.FAILED if i == 1 else RunState.SUCCEEDED) for i in range(9)]
    text = drawn(scene, runs, height=6).splitlines()
    assert text[1] == "… 6 more ended, 1 failed"
    assert [line.split()[1] for line in text[2:]] == ["done_6", "done_7", "done_8"]
    assert text[0].startswith("8 succeeded · 1 failed")


def test_a_long_queue_keeps_two_rows_and_a_count(scene):
    queue = [scene.queued(f"q{index:02d}") for index in range(16)]
    lines = drawn(scene, [*scene.eight(), *queue], height=21).splitlines()
    assert [line.split()[1] for line in lines[-3:-1]] == ["q00", "q01"]
    assert lines[-1] == "○ 14 more queued"
    assert sum("GPU" in line for line in lines) == 8


def test_a_run_that_waits_in_its_engine_is_counted_and_says_why(scene):
    runs = [scene.training(), scene.queued("q1"), scene.waiting("dino_big", "Priority, job 48213")]
    lines = drawn(scene, runs, 100).splitlines()
    assert lines[0].startswith("1 running · 1 queued · 1 waiting")
    (line,) = [line for line in lines if "dino_big" in line]
    assert "waiting  docker: Priority, job 48213" in line


def test_a_run_that_its_engine_requeued_leaves_the_panels_and_says_why(scene):
    events = scene.training_events(0, 12)
    since = scene.at - timedelta(minutes=4)
    requeued = fold([*events, RunWaiting(run=events[0].run, at=since, reason="Preempted by job 7")])
    lines = drawn(scene, [requeued, scene.training(1)], 100).splitlines()
    assert lines[0].startswith("1 running · 1 waiting")
    (line,) = [line for line in lines if requeued.experiment in line]
    assert line.endswith("waiting  docker: Preempted by job 7  4m 00s")


def test_an_engine_that_does_not_answer_turns_the_header_yellow(scene):
    since = datetime(2026, 3, 1, 22, 8, tzinfo=timezone.utc)
    said = "engine does not answer since 22:08; runs go on, last state shown"
    assert (
        drawn(scene, [scene.training()], engine_silent_since=since).splitlines()[0] == f"1 running · {said}"
    )
    assert drawn(scene, [scene.training()], 70, engine_silent_since=since).splitlines()[0] == said
    view = LiveView(UNICODE, lambda: scene.at, timezone.utc)
    header = view.header(picture(scene, [scene.training()], engine_silent_since=since), 120)
    assert header.spans[0].style == "severity.warning"


def test_stopping_is_said_in_the_header(scene):
    text = "stopping 1 run, up to 30s; Ctrl-C again kills it"
    assert drawn(scene, [scene.training()], stopping=text).splitlines()[0] == text


def test_the_selected_run_is_marked_without_colour_and_never_hidden(scene):
    runs = scene.forty()
    view = LiveView(UNICODE, lambda: scene.at)
    order = view.order(picture(scene, runs))
    assert order == [run.id for run in runs]
    text = drawn(scene, runs, selected=order[31])
    assert "●>exp_31" in text and text.count(">") == 1
    assert "╭─>dssd_resnet18_01 · train" in drawn(scene, [scene.training()], selected=scene.training().id)


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_a_selected_run_that_has_ended_or_waits_is_on_the_screen(scene, place):
    runs = [scene.finished(f"f{number:02}") for number in range(20)]
    runs += [replace(scene.training(), id="t", experiment="now")]
    runs += [scene.queued(f"q{number:02}") for number in range(19)]
    view = LiveView(UNICODE, lambda: scene.at)
    order = view.order(picture(scene, runs))
    lines = drawn(scene, runs, selected=order[place]).splitlines()
    assert len(lines) <= 24
    marked = [line for line in lines if ">" in line]
    assert len(marked) == 1 and next(run for run in runs if run.id == order[place]).experiment in marked[0]


def test_log_lines_cannot_drive_the_terminal(scene):
    run = scene.training()
    tail = ["\x1b[2J\x1b]0;x\x07\x9b2Jevil\r\n"]
    view = LiveView(UNICODE, lambda: scene.at)
    text = "\n".join(line.plain for line in view.lines(Picture([run], {run.id: tail}, {}), 80, 23))
    assert "evil" in text
    assert not set(text) & set("\x1b\x9b\x07")


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
    has_keys=st.booleans(),
)
def test_no_terminal_is_ever_overflowed(scene, width, height, counts, tail, name, has_keys):
    finished, running, pulling, queued = counts
    runs = [scene.finished(f"f{i}", RunState.LOST if i else RunState.SUCCEEDED) for i in range(finished)]
    runs += [replace(scene.training(i % 8, 9), id=f"t{i}", experiment=name) for i in range(running)]
    runs += [scene.pulling(f"p{i}") for i in range(pulling)] + [scene.queued(f"q{i}") for i in range(queued)]
    view = LiveView(UNICODE, lambda: scene.at)
    one = Picture(
        runs,
        {run.id: tail for run in runs},
        scene.gpus,
        has_keys=has_keys,
        selected=runs[-1].id if runs else None,
    )
    lines = view.lines(one, width, height)
    assert len(lines) <= height
    assert all(line.cell_len <= width and "\n" not in line.plain for line in lines)


SCRIPT = """
import os, sys
from datetime import datetime, timezone
from taorunner.console.base.theme import UNICODE, can_draw, make_console
from taorunner.console.live.screen import LiveScreen
from taorunner.console.runs.live_view import LiveView, Picture
from taorunner.events import RunQueued
from taorunner.runs.state.snapshot import fold

at = datetime(2026, 3, 1, tzinfo=timezone.utc)
run = fold([RunQueued(run="r", at=at, project="p", experiment="my_run", action="train", backend="docker")])
console = make_console(sys.stdout, os.environ)
assert can_draw(console)
view = LiveView(UNICODE, lambda: at)
def draw(width, height):
    return view.lines(Picture([run], {}, {}), width, height)
with LiveScreen(console) as screen:
    screen.draw(draw)
    choices = {"stop": "end", "detach": "leave", "go on": "stay"}
    answer = screen.prompt("What now?", choices, default="go on", interrupt="detach")
    screen.draw(draw)
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
