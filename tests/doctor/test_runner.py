"""Checks that break, hang or come late, and the choice of them by name."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator

import pytest
from planted import Place, codes, look

from taorunner.doctor.check import Area, Check, ok
from taorunner.doctor.host import Machine
from taorunner.doctor.runner import CHECKS, chosen, examine
from taorunner.errors import Finding, MachineError, Severity, UsageError


def check(name: str, look: object, limit_s: float = 5.0) -> Check:
    return Check(name, Area.SYSTEM, look, limit_s)  # type: ignore[arg-type]


def breaks(machine: Machine) -> Iterator[Finding]:
    yield ok("breaks", "printed before")
    raise ZeroDivisionError("no \x1b[31mway")


def fails(machine: Machine) -> list[Finding]:
    raise MachineError("the disk is gone", hint="mount it")


def test_a_broken_check_is_a_finding_and_the_others_go_on(place: Place) -> None:
    fine = check("fine", lambda machine: [ok("fine", "fine")])
    answers = list(examine(place.machine(), (check("breaks", breaks), check("fails", fails), fine)))
    broke = 'the check "breaks" failed: ZeroDivisionError: no \ufffd[31mway'
    assert [answer.findings for answer in answers] == [
        (Finding(Severity.WARNING, "check-broke", broke, "report this internal error"),),
        (Finding(Severity.WARNING, "fails-failed", "the disk is gone", "mount it"),),
        (ok("fine", "fine"),),
    ]


def test_a_check_that_hangs_is_left_alone(place: Place) -> None:
    over = threading.Event()
    hangs = check("hangs", lambda machine: over.wait(60) and [], limit_s=0.2)
    began = time.monotonic()
    first, second = examine(place.machine(), (hangs, check("fine", lambda machine: [ok("fine", "fine")])))
    over.set()
    assert time.monotonic() - began < 50  # the check hangs for a minute
    text = 'the check "hangs" did not end within 0.2 s'
    assert first.findings == (
        Finding(Severity.WARNING, "check-timeout", text, "taorunner doctor --only hangs"),
    )
    assert second.findings == (ok("fine", "fine"),)


def test_checks_run_side_by_side(place: Place) -> None:
    """Each waits for the other: one after the other neither would end."""
    meeting = threading.Barrier(2, timeout=10)
    both = [check(name, lambda machine: [ok("met", str(meeting.wait() >= 0))]) for name in "ab"]
    assert [answer.findings for answer in examine(place.machine(), both)] == [(ok("met", "True"),)] * 2


def test_answers_come_in_order_and_as_soon_as_they_are_there(place: Place) -> None:
    later = threading.Event()
    answers = examine(
        place.machine(),
        (
            check("a", lambda machine: [ok("a", "")]),
            check("b", lambda machine: later.wait(10) and [ok("b", "")]),
        ),
    )
    assert next(answers).check.name == "a"  # while b still waits
    later.set()
    assert next(answers).check.name == "b"


def test_the_time_of_each_answer_is_measured(place: Place) -> None:
    over = threading.Event()
    fast, slow = examine(
        place.machine(),
        (
            check("fast", lambda machine: []),
            check("slow", lambda machine: over.wait(30) and [], limit_s=0.3),
        ),
    )
    over.set()
    assert 0 <= fast.took_s < 20
    assert 0.3 <= slow.took_s < 20


def test_names_choose_checks_in_the_usual_order() -> None:
    assert [one.name for one in chosen(["clock,engine", "system"])] == ["system", "engine", "clock"]
    assert chosen([]) == CHECKS


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        (["enginge"], 'there is no check "enginge"', 'did you mean "engine"?'),
        ([","], "--only has no check name", "known: system, "),
    ],
)
def test_a_name_that_is_none(names: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(names)
    assert caught.value.message == message
    assert (caught.value.hint or "").startswith(hint)


def test_every_check_has_a_name_of_its_own_and_a_limit() -> None:
    assert len({one.name for one in CHECKS}) == len(CHECKS)
    assert all(0 < one.limit_s <= 20 for one in CHECKS)


def test_an_empty_machine_breaks_no_check(place: Place) -> None:
    """Nothing below /: no /proc, no os-release, no home, not even PATH."""

    shutil.rmtree(place.root)
    shutil.rmtree(place.bin)
    place.environ.pop("PATH")
    place.environ.pop("HOME")
    for one in CHECKS:
        found = codes(look(one.name, place.machine(offline=True)))
        assert "check-broke" not in [code for _, code in found], one.name
