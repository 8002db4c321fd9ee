"""Questions of many threads, asked together."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from taorunner.backends.slurm.far.gathered_call import GatheredCall


def test_those_who_ask_while_a_call_runs_share_the_next_one() -> None:
    begun, goes_on = threading.Event(), threading.Event()
    calls: list[list[int]] = []

    def call(questions: Sequence[int]) -> list[int | Exception]:
        calls.append(sorted(questions))
        if len(calls) == 1:
            begun.set()
            assert goes_on.wait(10)
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
    assert begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(gathered._open) < 4:
        pass
    goes_on.set()
    for thread in threads:
        thread.join(10)
    assert calls == [[0], [1, 2, 3, 4]]
    assert found == {0: 0, 1: "odd", 2: 20, 3: "odd", 4: 40}


def test_a_call_that_fails_fails_for_all_who_asked() -> None:
    def call(questions: Sequence[int]) -> list[int | Exception]:
        raise OSError("no line")

    gathered = GatheredCall(call)
    for _ in range(2):
        with pytest.raises(OSError, match="no line"):
            gathered(1)
