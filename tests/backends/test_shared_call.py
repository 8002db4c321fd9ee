"""Many threads that ask at once share an answer, and none gets one from before its question."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from taorunner.backends.shared_call import GatheredCall, SharedCall


def test_those_who_ask_during_a_call_share_the_next_one() -> None:
    goes_on, begun, calls = threading.Event(), threading.Event(), []

    def ask() -> int:
        calls.append(len(calls))
        begun.set()
        assert goes_on.wait(120)
        return calls[-1]

    shared = SharedCall(ask)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(shared)
        assert begun.wait(120)
        others = [pool.submit(shared) for _ in range(8)]
        while not all(other.running() for other in others):
            time.sleep(0.01)
        goes_on.set()
        answers = {other.result(10) for other in others}
        assert first.result(10) == 0
    assert 0 not in answers
    assert len(calls) < 9
    assert shared() == len(calls) - 1


def test_those_who_come_together_are_one_call_and_one_who_stays_away_is_not_waited_for_long() -> None:
    calls: list[Sequence[int]] = []

    def answer(asked: Sequence[int]) -> list[int]:
        calls.append(sorted(asked))
        return [one * 2 for one in asked]

    gathered = GatheredCall[int, int](answer)
    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(lambda one: gathered(one, together=5), range(5))) == [0, 2, 4, 6, 8]
    assert calls == [[0, 1, 2, 3, 4]]
    assert gathered(7, together=2) == 14


def test_an_error_reaches_everyone_and_the_next_call_is_a_new_one() -> None:
    answers = iter([ValueError("down"), "up"])

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    shared = SharedCall(ask)
    with pytest.raises(ValueError, match="down"):
        shared()
    assert shared() == "up"


def test_questions_asked_while_a_call_runs_are_gathered_for_the_next_one() -> None:
    begun, goes_on = threading.Event(), threading.Event()
    calls: list[list[int]] = []

    def call(questions: Sequence[int]) -> list[int | Exception]:
        calls.append(sorted(questions))
        if len(calls) == 1:
            begun.set()
            assert goes_on.wait(120)
        return [ValueError("odd") if one % 2 else one * 10 for one in questions]

    gathered = GatheredCall(call)
    found: dict[int, int | str] = {}

    def ask(number: int) -> None:
        try:
            found[number] = gathered(number)
        except ValueError as error:
            found[number] = str(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
    threads[0].start()
    assert begun.wait(120)
    for thread in threads[1:]:
        thread.start()
    while len(gathered._open) < 4:
        pass
    goes_on.set()
    for thread in threads:
        thread.join(100)
    assert calls == [[0], [1, 2, 3, 4]]
    assert found == {0: 0, 1: "odd", 2: 20, 3: "odd", 4: 40}


def test_a_call_that_fails_raises_for_every_question() -> None:
    def call(questions: Sequence[int]) -> list[int | Exception]:
        raise OSError("no line")

    gathered = GatheredCall(call)
    for _ in range(2):
        with pytest.raises(OSError, match="no line"):
            gathered(1)
