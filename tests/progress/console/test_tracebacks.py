"""Tracebacks in a console: the exception, its innermost frame, where Python says it comes from, and its message.

Two hints of a traceback are equal by their line alone, so the fields are compared here one by one.
"""

from __future__ import annotations

import pytest

from taorunner.contracts import ProgressContract
from taorunner.progress.console.lines import ConsoleParser
from taorunner.progress.hints import CauseHint, DetailHint, FooterHint, TracebackHint

HEAD = "Traceback (most recent call last):\n"
FILE = '  File "/x.py", line 3, in f\n'
FRAME = FILE.strip()


def hints(text: str) -> list[tuple[object, ...] | str | bool]:
    """A traceback as line, frame, is_chained, is_ignored and in_thread; a detail as its text, a footer as its truth."""
    parser = ConsoleParser(ProgressContract(console="plain"))
    found: list[tuple[object, ...] | str | bool] = []
    for hint in [*parser.feed(text.encode()), *parser.flush()]:
        if isinstance(hint, TracebackHint):
            found.append((hint.line, hint.frame, hint.is_chained, hint.is_ignored, hint.in_thread))
        elif isinstance(hint, DetailHint):
            found.append(hint.text)
        elif isinstance(hint, FooterHint):
            found.append(hint.passed)
        else:
            assert isinstance(hint, CauseHint), hint
    return found


@pytest.mark.parametrize(
    ("frames", "frame"),
    [
        (FILE + "    g(1)\n", f"{FRAME}\ng(1)"),
        (FILE, FRAME),
        ("    g(1)\n", ""),
        (FILE + "    g(1)\n" + FILE.replace("3", "4") + "    h(2)\n", f"{FRAME.replace('3', '4')}\nh(2)"),
        (FILE + "    g(1)\n    more(2)\n", f"{FRAME}\ng(1)"),
        (FILE + "    g(1)\n    ~^^^\n", f"{FRAME}\ng(1)"),
        (FILE + "    ^^^^\n    g(1)\n", f"{FRAME}\ng(1)"),
        (
            FILE + "    [Previous line repeated 3 more times]\n",
            f"{FRAME}\n[Previous line repeated 3 more times]",
        ),
    ],
)
def test_the_innermost_frame_is_the_last_file_and_the_source_below_it(frames: str, frame: str) -> None:
    assert hints(HEAD + frames + "KeyError: 1\n") == [("KeyError: 1", frame, False, False, False)]


@pytest.mark.parametrize(
    ("before", "is_chained", "is_ignored", "in_thread"),
    [
        ("", False, False, False),
        ("Exception in thread Thread-1 (run):\n", False, False, True),
        ("Exception ignored in: <function f at 0x1>\n", False, True, False),
        ("Error in atexit._run_exitfuncs:\n", False, True, False),
        ("Error in sys.excepthook:\n", False, True, False),
        ("Exception in thread Thread-1:\n1\n2\n3\n", False, False, True),  # the mark is four lines old
        ("Exception in thread Thread-1:\n1\n2\n3\n4\n", False, False, False),
    ],
)
def test_the_line_before_a_traceback_says_where_it_comes_from(
    before: str, is_chained: bool, is_ignored: bool, in_thread: bool
) -> None:
    wanted = ("KeyError: 1", FRAME, is_chained, is_ignored, in_thread)
    assert hints(before + HEAD + FILE + "KeyError: 1\n") == [wanted]
    # and it says so of that one alone
    later = f"Execution status: FAIL\n{HEAD}{FILE}KeyError: 2\n"
    assert hints(before + HEAD + FILE + "KeyError: 1\n" + later) == [
        wanted, False, ("KeyError: 2", FRAME, False, False, False),
    ]  # fmt: skip


def test_an_original_traceback_of_a_worker_is_chained() -> None:
    text = f"Original {HEAD}{FILE}KeyError: 1\n"
    assert hints(text) == [("KeyError: 1", FRAME, True, False, False)]


@pytest.mark.parametrize(
    "mark",
    [
        "During handling of the above exception, another exception occurred:",
        "The above exception was the direct cause of the following exception:",
    ],
)
def test_an_exception_of_an_exception_is_chained_and_has_its_own_frame(mark: str) -> None:
    text = f"{HEAD}{FILE}KeyError: 1\n\n{mark}\n\n{HEAD}NextError: 2\n{HEAD}{FILE}Third: 3\n"
    assert hints(text) == [
        ("KeyError: 1", FRAME, False, False, False), ("NextError: 2", "", True, False, False),
        ("Third: 3", FRAME, False, False, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("KeyError: 'x'", True),
        ("torch.cuda.OutOfMemoryError: no", True),
        ("KeyboardInterrupt", True),
        ("queue.Empty", True),
        ("socket.timeout: timed out", True),
        ("socket.timeout", False),
        ("zlib.error: Error -3", True),
        ("SystemExit", True),
        ("StopIteration", True),
        ("_Private: x", True),
        ("Loss: 3", True),  # any name of a class with a message
        ("lowercase: x", False),
        ("Something", False),
        ("KeyError 'x'", False),
        ("12: x", False),
    ],
)
def test_the_first_line_that_can_be_an_exception_ends_a_traceback(line: str, is_one: bool) -> None:
    found = hints(HEAD + FILE + line + "\nZError: last\n")
    assert found[0] == ((line if is_one else "ZError: last"), FRAME, False, False, False)


def test_further_lines_of_a_message_are_its_details() -> None:
    text = f"{HEAD}{FILE}ValueError: first\n  second\n\n  third  \nExecution status: FAIL\n  not this\n"
    assert hints(text)[1:] == ["  second", "  third", False]


def test_of_a_long_message_the_indented_lines_count_one_and_the_others_five() -> None:
    indented = "".join(f"  d{number}\n" for number in range(50))
    assert hints(f"{HEAD}{FILE}ValueError: x\n{indented}")[1:] == [f"  d{number}" for number in range(40)]
    flush = "".join(f"d{number}\n" for number in range(50))
    assert hints(f"{HEAD}{FILE}ValueError: x\n{flush}")[1:] == [f"d{number}" for number in range(8)]


@pytest.mark.parametrize(
    "end",
    [
        "2026-11-20 09:05:07 x", "Execution status: PASS", "Set HYDRA_FULL_ERROR=1", "terminate called after",
        "Segmentation fault", "Aborted (core dumped)", "Exception ignored in: x", "--------------------",
        "mpirun noticed that", "[a-host:12] x", "Error executing job with overrides", "Telemetry data",
    ],
)  # fmt: skip
def test_what_ends_the_details(end: str) -> None:
    found = hints(f"{HEAD}{FILE}ValueError: x\n  detail\n{end}\n  more\n")
    assert [one for one in found[1:] if isinstance(one, str)] == ["  detail"]


@pytest.mark.parametrize("length", [1999, 2000])
def test_a_traceback_without_an_end_is_given_up(length: int) -> None:
    found = hints(HEAD + FILE * (length - 1) + "  x\nKeyError: 1\n")
    assert bool(found) is (length < 2000)


@pytest.mark.parametrize("indent", [" ", "  ", "\t"])
def test_a_frame_that_mentions_a_cause_is_none(indent: str) -> None:
    parser = ConsoleParser(ProgressContract(console="plain"))
    line = "RuntimeError: CUDA error: out of memory"
    assert [type(one) for one in parser.feed(f"{line}\n".encode())] == [CauseHint]
    assert parser.feed(f"{HEAD}{indent}{line}\n".encode()) == []
