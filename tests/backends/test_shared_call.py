"""Many threads that ask at once share an answer, and none gets one from before its question."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from taorunner.backends.shared_call import SharedCall


def test_those_who_ask_during_a_call_share_the_next_one() -> None:
    goes_on, begun, calls = threading.Event(), threading.Event(), []

    def ask() -> int:
        calls.append(len(calls))
        begun.set()
        assert goes_on.wait(10)
        return calls[-1]

    shared = SharedCall(ask)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(shared)
        assert begun.wait(10)
        others = [pool.submit(shared) for _ in range(8)]
        while not all(other.running() for other in others):
            time.sleep(0.01)
        goes_on.set()
        answers = {other.result(10) for other in others}
        assert first.result(10) == 0
    assert 0 not in answers
    assert len(calls) < 9
    assert shared() == len(calls) - 1


def test_an_error_reaches_everyone_and_the_next_one_is_asked_anew() -> None:
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
