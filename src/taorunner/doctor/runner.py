"""The list of checks, and their concurrent execution. A check that hangs or fails does not affect the others."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from taorunner.doctor import (
    capacity_checks,
    engine_checks,
    gpu_checks,
    lease_checks,
    registry_checks,
    system_checks,
    workspace_checks,
)
from taorunner.doctor.check import Check
from taorunner.doctor.host import Machine
from taorunner.errors import Finding, Severity, TaorunnerError, UsageError
from taorunner.text import did_you_mean, printable

CHECKS: tuple[Check, ...] = (
    *system_checks.CHECKS,
    *engine_checks.CHECKS,
    *gpu_checks.CHECKS,
    *lease_checks.CHECKS,
    *capacity_checks.CHECKS,
    *registry_checks.CHECKS,
    *workspace_checks.CHECKS,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """``findings`` is empty when the check does not apply to this machine. ``took_s`` is wall time."""

    check: Check
    findings: tuple[Finding, ...]
    took_s: float


def chosen(names: Sequence[str]) -> tuple[Check, ...]:
    """The checks with these names, which may be separated by commas; all checks without names.

    Raises UsageError with the nearest name.
    """
    words = [word.strip() for name in names for word in name.split(",") if word.strip()]
    known = [check.name for check in CHECKS]
    for word in words:
        if word not in known:
            raise UsageError(f'there is no check "{printable(word)}"', hint=did_you_mean(word, known))
    if names and not words:
        raise UsageError("--only has no check name", hint=f"known: {', '.join(known)}")
    return tuple(check for check in CHECKS if not words or check.name in words)


def examine(machine: Machine, checks: Sequence[Check]) -> Iterator[Answer]:
    """Runs all checks at once and yields the answers in order, each as soon as possible.

    A check that exceeds its time limit or fails yields a finding.
    """
    answers: queue.Queue[tuple[int, tuple[Finding, ...]]] = queue.Queue()
    began = time.monotonic()

    def run(position: int, check: Check) -> None:
        answers.put((position, _findings(machine, check)))

    for position, check in enumerate(checks):
        threading.Thread(target=run, args=(position, check), name=f"check-{check.name}", daemon=True).start()
    there: dict[int, Answer] = {}
    for position, check in enumerate(checks):
        while position not in there:
            left_s = began + check.limit_s - time.monotonic()
            try:
                number, findings = answers.get(timeout=max(0.0, left_s))
            except queue.Empty:
                there[position] = Answer(check, (_too_slow(check),), time.monotonic() - began)
                break
            there.setdefault(number, Answer(checks[number], findings, time.monotonic() - began))
        yield there[position]


def _findings(machine: Machine, check: Check) -> tuple[Finding, ...]:
    try:
        return tuple(check.look(machine))
    except TaorunnerError as failure:
        return (Finding(Severity.WARNING, f"{check.name}-failed", failure.message, failure.hint),)
    except Exception as failure:  # a failing check must not stop the others
        text = f'the check "{check.name}" failed: {type(failure).__name__}: {printable(str(failure))}'
        return (Finding(Severity.WARNING, "check-broke", text, "report this internal error"),)


def _too_slow(check: Check) -> Finding:
    text = f'the check "{check.name}" did not end within {check.limit_s:g} s'
    return Finding(Severity.WARNING, "check-timeout", text, f"taorunner doctor --only {check.name}")
