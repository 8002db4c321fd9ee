"""Looks at all runs keep to a share of a core."""

from __future__ import annotations

from taorunner.values.pace import LONGEST_S, SHARE, Pace


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_cheap_look_is_due_after_its_interval_and_a_dear_one_later() -> None:
    clock, cpu = Clock(), Clock()
    pace = Pace(0.2, clock=clock, cpu=cpu)
    assert pace.is_due
    with pace:
        cpu.now_s += 0.0001
    clock.now_s = 0.19
    assert not pace.is_due
    clock.now_s = 0.2
    assert pace.is_due
    with pace:
        cpu.now_s += 0.02  # a thousand runs
    clock.now_s = 0.2 + 0.02 / SHARE - 0.1
    assert not pace.is_due
    clock.now_s += 0.2
    assert pace.is_due
    with pace:
        cpu.now_s += 10  # it found much to do
    clock.now_s += LONGEST_S
    assert pace.is_due
