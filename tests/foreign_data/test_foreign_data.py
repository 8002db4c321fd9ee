"""No data of others ends a parser with a traceback, keeps it busy or fills the memory."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import trial
from hostile import changed
from reader import Reader
from trial import HANG_S, Hang

from taorunner.text import printable

TOOL = Path(__file__).parents[2] / "tools" / "foreign_data.py"
INPUTS = 10_000


def test_no_parser_fails_on_damaged_or_hostile_data(seed: int) -> None:
    """In a process of its own, whose memory is that of the parsers."""
    command = [sys.executable, str(TOOL), "--inputs", str(INPUTS), "--first", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert int(done.stdout.split()[0]) >= INPUTS


def test_changes_are_made_from_their_seed_alone_and_are_many() -> None:
    text = b'{"a": [1, 2, {"b": "c"}]}\nx y z\n'
    made = [changed(text, [text], random.Random(number)) for number in range(300)]
    assert made == [changed(text, [text], random.Random(number)) for number in range(300)]
    assert len(set(made)) > 250
    assert max(map(len, made)) <= 256 * 1024


def test_faults_are_noticed() -> None:
    def fails(data: bytes) -> None:
        raise KeyError("x")

    def hangs(data: bytes) -> None:
        while True:
            pass

    result = trial.Result()
    with trial._alarm():
        for read in (fails, hangs):
            trial._try(Reader("one", [b"abc"], read), "one:1", result)
    faults = [fault.what for fault in result.faults]
    assert [one for one in faults if not one.endswith("MiB")] == [  # the process of the tests is a large one
        "KeyError: 'x'",
        f"{Hang.__name__}: longer than {HANG_S:.0f} s",
    ]


def test_steps_of_the_program_are_seen_and_only_while_they_are_followed() -> None:
    steps = trial.Steps()
    with steps.followed():
        printable("a")
    few = len(steps.seen)
    printable("\x1b")
    assert len(steps.seen) == few > 0
    with steps.followed():
        printable("\x1b")
    assert len(steps.seen) > few


def test_inputs_are_led_to_new_code() -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL), "--guided", "--minutes", "0.02", "--only", "Retry-After", "--keep", "/nowhere"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.splitlines()[0].endswith(" steps of the program were reached")
