"""How a test run is spread over the cores, in which order it goes, and what it says of skipped tests at its end."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
_LONG = ("slow", "slurm")
"""Markers of tests that take seconds, most of which they wait."""
_ROOMS = pytest.StashKey[list[str]]()
"""What lies directly below ``tests``, in the order of a run, where a worker collects it in another order."""
_WORKERS = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle",
        metavar="SEED",
        default=None,
        help='run the tests in a random order: a whole number, or "new" for a seed of this run',
    )


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """No workers for one named test, so that it starts at once and a debugger can be used; else one more than there are
    cores: about a quarter of the time of a worker is spent waiting for engines, clocks and programs that were started.
    """
    words = [str(word) for word in config.args]
    if len(words) == 1 and "::" in words[0]:
        return 0
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist reads it
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    seed = config.getoption("shuffle")
    if seed == "new":  # the workers of this run must have the same order
        config.option.shuffle = os.environ.setdefault("TAORUNNER_TEST_SHUFFLE", str(random.randrange(10**6)))
    elif seed is not None and not seed.isdecimal():
        raise pytest.UsageError(f'--shuffle takes a whole number or "new", not "{seed}"')
    worker = getattr(config, "workerinput", None)
    if worker is not None and [Path(config.rootpath, word) for word in config.args] == [TESTS]:
        rooms = [path.name for path in sorted(TESTS.iterdir()) if path.is_dir() or path.match("test_*.py")]
        rooms = [name for name in rooms if not name.startswith(("_", "."))]
        config.stash[_ROOMS] = rooms
        config.stash[_WORKERS] = worker["workercount"]
        number = int(worker["workerid"].removeprefix("gw"))
        config.args[:] = [str(TESTS / name) for name in turned(rooms, number, worker["workercount"])]


def turned(rooms: Sequence[str], number: int, count: int) -> list[str]:
    """The rooms from another one on for each worker. Reading a module of tests takes most time the first time, when its
    assertions are rewritten: so each worker rewrites its part, and reads of the others what they have written."""
    first = len(rooms) * number // count
    return [*rooms[first:], *rooms[:first]]


def long_first(is_long: Sequence[bool], count: int) -> list[int]:
    """The places of tests in an order in which each of ``count`` workers begins with the long ones of its part. xdist
    gives each worker an equal part, and takes from its end for those that are done; up to two tests it leaves behind a
    running one. Long tests there would keep one worker busy for a minute when all others have ended."""
    order: list[int] = []
    for left in range(count, 0, -1):
        end = len(order) + (len(is_long) - len(order)) // left  # as xdist divides them
        order += sorted(range(len(order), end), key=lambda place: not is_long[place])
    return order


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.getoption("shuffle")
    return None if seed is None else f"random order: --shuffle {seed}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    rooms = config.stash.get(_ROOMS, None)
    if rooms is not None:  # all workers have the same order
        items.sort(key=lambda item: rooms.index(item.path.relative_to(TESTS).parts[0]))
        is_long = [any(item.get_closest_marker(name) for name in _LONG) for item in items]
        items[:] = [items[place] for place in long_first(is_long, config.stash[_WORKERS])]
    seed = config.getoption("shuffle")
    if seed is not None:
        random.Random(int(seed)).shuffle(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line for each reason: how many tests it skipped. The seed of a random order, also with ``-q``."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[" ".join(text.removeprefix("Skipped: ").split())] += 1
    if reasons:
        terminalreporter.section("skipped, and why")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:6}  {reason}")
    else:
        terminalreporter.line("nothing was skipped")
    if config.getoption("shuffle") is not None:
        terminalreporter.line(f"random order: --shuffle {config.getoption('shuffle')}")
