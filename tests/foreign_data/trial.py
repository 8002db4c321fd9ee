"""Gives changed data to every reader and notes what must not happen: an unexpected error, a hang, too much memory."""

from __future__ import annotations

import contextlib
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from hostile import changed
from machine_readers import readers_of_machines
from reader import Reader
from result_readers import readers_of_results
from user_readers import readers_of_users

HANG_S = 2.0
"""Of the processor: a busy machine makes no hang."""
MOST_MIB = 300


class Hang(BaseException):
    """An input that took longer than ``HANG_S``."""


@dataclass(frozen=True)
class Fault:
    reader: str
    seed: str
    what: str
    where: str
    data: bytes


@dataclass
class Result:
    inputs: int = 0
    faults: list[Fault] = field(default_factory=list)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    peak_mib: float = 0.0

    def add(self, fault: Fault) -> None:
        """Keeps the first input of each kind."""
        kind = (fault.reader, fault.where)
        self.kinds[kind] += 1
        if self.kinds[kind] == 1:
            self.faults.append(fault)


def _readers(place: Path, only: str) -> list[Reader]:
    made = (*readers_of_machines(place), *readers_of_users(place), *readers_of_results(place))
    return [one for one in made if only in one.name]


def try_all(place: Path, first: int, count: int, within_s: float = 1e9, only: str = "") -> Result:
    """``count`` inputs in rounds. Each is made from its seed alone, ``READER:ROUND.PART``; ``first`` is the first round."""
    readers = _readers(place, only)
    result = Result()
    ends = time.monotonic() + within_s
    with _alarm():
        rounds = -(-count // sum(reader.inputs_a_round for reader in readers))
        for number in range(first, first + rounds):
            for reader in readers:
                for part in range(reader.inputs_a_round):
                    _try(reader, f"{reader.name}:{number}.{part}", result)
            if time.monotonic() > ends:
                break
    return result


def try_guided(place: Path, seed: int, within_s: float, only: str = "") -> tuple[Result, int]:
    """Like ``try_all``, but an input that reaches new steps of a parser is changed further: for each reader an equal
    part of the time. Also gives how many steps, pairs of lines of the program, were reached."""
    readers = _readers(place, only)
    result, steps = Result(), Steps()
    with _alarm():
        for number, reader in enumerate(readers):
            chance = random.Random(f"{seed}:{reader.name}")
            corpus = list(reader.seeds)
            ends = time.monotonic() + within_s / len(readers)
            while time.monotonic() < ends:
                # half of the time the newest ones, which reached most
                parent = chance.choice(corpus if chance.random() < 0.5 else corpus[-20:])
                data = changed(parent, corpus, chance)
                known = len(steps.seen)
                with steps.followed():
                    _try_data(reader, f"guided {seed}:{number}", data, result)
                if len(steps.seen) > known and len(data) < 20_000:
                    corpus.append(data)
    return result, len(steps.seen)


class Steps:
    """Which line of the program came after which, in one module."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int, int]] = set()

    @contextmanager
    def followed(self) -> Iterator[None]:
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(None)

    def _called(self, frame: FrameType, event: str, argument: object) -> Any:
        name = frame.f_code.co_filename
        if "/taorunner/" not in name:
            return None
        before = frame.f_lineno
        seen = self.seen

        def line(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal before
            seen.add((name, before, frame.f_lineno))
            before = frame.f_lineno
            return line

        return line


def data_of(reader: Reader, seed: str) -> bytes:
    chance = random.Random(seed)
    seeds: Sequence[bytes] = reader.seeds
    return changed(chance.choice(seeds), seeds, chance)


def _try(reader: Reader, seed: str, result: Result) -> None:
    _try_data(reader, seed, data_of(reader, seed), result)


def _try_data(reader: Reader, seed: str, data: bytes, result: Result) -> None:
    result.inputs += 1
    begin = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    try:
        reader.read(data)
    except reader.errors:
        pass
    except (Exception, Hang) as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [one for one in frames if "/taorunner/" in one.filename] or list(frames)
        where = f"{type(error).__name__} at {own[-1].filename.rpartition('/taorunner/')[2]}:{own[-1].lineno}"
        result.add(Fault(reader.name, seed, f"{type(error).__name__}: {str(error)[:200]}", where, data))
    finally:
        with contextlib.suppress(Hang):  # it may ring right now
            signal.setitimer(signal.ITIMER_PROF, 0)
    took = time.process_time() - begin
    if took > result.slowest[0]:
        result.slowest = (took, seed)
    peak = _peak_mib()
    if peak > MOST_MIB > result.peak_mib:
        result.add(Fault(reader.name, seed, f"{peak:.0f} MiB", "memory", data))
    result.peak_mib = max(result.peak_mib, peak)


def _peak_mib() -> float:
    """Of this program; ``getrusage`` begins with that of the program that started it."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) / 1024


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise Hang(f"longer than {HANG_S:.0f} s")

    before = signal.signal(signal.SIGPROF, ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGPROF, before)
