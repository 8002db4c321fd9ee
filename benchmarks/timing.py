"""Medians of processes that take turns, so that a busy moment of the machine hits both sides of a ratio alike."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """Seconds of wall time, and of CPU time of processes that ended, one for each repetition."""

    name: str
    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...] = ()

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)

    @property
    def least_s(self) -> float:
        return min(self.seconds)


def taking_turns(
    actions: Mapping[str, Callable[[], object]],
    times: int,
    before: Mapping[str, Callable[[], object]] | None = None,
) -> list[Measured]:
    """Each action once without a clock (caches, ``.pyc`` files), then all of them in turn, ``times`` over.

    ``before``: what is done before each turn of an action, without a clock.
    """
    prepare = before or {}
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    cpu: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(times + 1):
        for name, action in actions.items():
            prepare.get(name, lambda: None)()
            started, used = time.perf_counter(), _cpu_of_children()
            action()
            if number:
                seconds[name].append(time.perf_counter() - started)
                cpu[name].append(_cpu_of_children() - used)
    return [Measured(name, tuple(taken), tuple(cpu[name])) for name, taken in seconds.items()]


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def process(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    codes: Sequence[int] = (0,),
) -> Callable[[], object]:
    """Runs ``argv`` to its end with nothing to see. Raises RuntimeError when it ends with another exit code.

    Python may keep compiled modules, as an installed program does.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run() -> None:
        done = subprocess.run(
            argv,
            env={**inherited, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode not in codes:
            raise RuntimeError(
                f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.decode(errors='replace')}"
            )

    return run


BARE_PYTHON = "python -c pass"


def bare_python() -> Callable[[], object]:
    return process([sys.executable, "-c", "pass"])


def print_ratio(figure: str, measured: Measured, baseline: Measured, bound: float | None = None) -> None:
    """The two medians, their ratio, and the load of the machine that they were measured under."""
    for one in (measured, baseline):
        print(f"  {one.name:<44} {one.median_s * 1000:9.1f} ms   (least {one.least_s * 1000:.1f} ms)")
    ratio = measured.median_s / baseline.median_s
    least = measured.least_s / baseline.least_s
    wanted = f", wanted ≤ {bound:g}" if bound is not None else ""
    print(f"  {figure}: {ratio:.2f}{wanted}   (least ÷ least {least:.2f}; load {os.getloadavg()[0]:.1f})")
    if min(baseline.cpu_seconds, default=0) > 0:
        ours, theirs = (sorted(one.cpu_seconds) for one in (measured, baseline))
        medians = [statistics.median(one) for one in (ours, theirs)]
        print(
            f"  the same in CPU time: {medians[0] / medians[1]:.2f}   ({medians[0]:.2f} ÷ {medians[1]:.2f} s; "
            f"least ÷ least {ours[0] / theirs[0]:.2f})"
        )
    print(flush=True)
