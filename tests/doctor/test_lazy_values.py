"""A value of a machine: computed once, waited for only so long, and disposed of whenever it comes."""

from __future__ import annotations

import threading

import pytest

from taorunner.doctor.host import LazyValue, StillWaitingError


def test_a_value_is_computed_once_and_only_when_it_is_asked_for() -> None:
    calls: list[int] = []
    value = LazyValue(lambda: calls.append(1) or len(calls))  # type: ignore[func-returns-value]
    assert calls == []
    assert (value.get(5), value.get(5), calls) == (1, 1, [1])


def test_an_error_is_raised_each_time_and_has_no_value_to_dispose_of() -> None:
    def compute() -> int:
        raise ValueError("no driver")

    value, disposed = LazyValue(compute), list[int]()
    for _ in range(2):
        with pytest.raises(ValueError, match="no driver"):
            value.get(5)
    value.dispose(disposed.append)
    assert disposed == []


@pytest.mark.parametrize("when", ["never", "before", "after"])
def test_a_value_is_disposed_of_now_or_when_it_comes(when: str) -> None:
    go, disposed = threading.Event(), list[str]()

    def compute() -> str:
        assert go.wait(120)
        return "engine"

    value = LazyValue(compute)
    if when == "never":
        value.dispose(disposed.append)
        assert disposed == []
        return
    with pytest.raises(StillWaitingError):
        value.get(0.001)
    if when == "before":
        value.dispose(disposed.append)
        assert disposed == []
    go.set()
    assert value.get(10) == "engine"
    if when == "after":
        assert disposed == []
        value.dispose(disposed.append)
    assert disposed == ["engine"]
