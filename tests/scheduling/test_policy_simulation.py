"""The scheduler over 1,000 mixed runs on 8 GPUs, against the best that anybody could do."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

import pytest

from taorunner.scheduling.policy import PATIENCE, Fairness, Waiting, choose

GPUS = [str(index) for index in range(8)]
RUNS = 1000


@dataclass(frozen=True)
class Work:
    run: Waiting
    seconds: float


def mixed(seed: int) -> list[Work]:
    """As a large sweep looks: mostly small, some large, durations over two orders of magnitude, one in fifty picky."""
    rng = random.Random(seed)
    works = []
    for index in range(RUNS):
        count = rng.choices([1, 2, 4, 8], [50, 25, 15, 10])[0]
        named = (rng.choice(GPUS),) if count == 1 and rng.random() < 0.04 else None
        works.append(Work(Waiting(f"r{index}", count, named), rng.lognormvariate(4, 1)))
    return works


def picky(seed: int) -> list[Work]:
    """Half of the runs name a random set of GPUs, which no user with ``auto`` would do."""
    rng = random.Random(seed)
    works = []
    for index in range(RUNS):
        count = rng.choices([1, 2, 4, 8], [50, 25, 15, 10])[0]
        named = tuple(rng.sample(GPUS, count)) if rng.random() < 0.5 else None
        works.append(Work(Waiting(f"r{index}", count, named), rng.lognormvariate(4, 1)))
    return works


def lower_bound_s(works: list[Work]) -> float:
    """No schedule is shorter: all GPUs busy all the time, or one run, or those that want one certain GPU."""
    area = sum(work.run.gpu_count * work.seconds for work in works) / len(GPUS)
    named = (sum(work.seconds for work in works if gpu in (work.run.gpu_ids or ())) for gpu in GPUS)
    return max(area, max(work.seconds for work in works), *named)


def simulate(works: list[Work]) -> tuple[float, int]:
    """When the last run ends, and how often the most overtaken run was overtaken."""
    seconds = {work.run.run_id: work.seconds for work in works}
    waiting = [work.run for work in works]
    running: list[tuple[float, str, tuple[str, ...]]] = []
    busy: set[str] = set()
    fairness, now_s, most = Fairness(), 0.0, 0
    while waiting or running:
        starts = choose(
            waiting, busy_gpus=busy, known_gpus=GPUS, running=len(running), running_without_gpu=0, parallel=None,
            parallel_without_gpu=1, fairness=fairness,
        )  # fmt: skip
        fairness.note(waiting, starts)
        most = max(most, *fairness.overtaken.values(), 0)
        for start in starts:
            assert not busy & set(start.gpu_ids)
            busy |= set(start.gpu_ids)
            heapq.heappush(running, (now_s + seconds[start.run_id], start.run_id, start.gpu_ids))
        started = {start.run_id for start in starts}
        waiting = [run for run in waiting if run.run_id not in started]
        assert running, "runs wait and nothing runs"
        now_s, _, gpus = heapq.heappop(running)
        busy -= set(gpus)
    return now_s, most


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_thousand_mixed_runs_take_hardly_longer_than_possible_and_none_starves(seed: int) -> None:
    works = mixed(seed)
    makespan_s, most = simulate(works)
    ratio = makespan_s / lower_bound_s(works)
    print(f"seed {seed}: makespan {ratio:.3f} × lower bound, most overtaken: {most} times")
    assert ratio <= 1.10
    assert most <= PATIENCE + 2 * len(GPUS)


@pytest.mark.parametrize("seed", [1, 2])
def test_random_sets_of_gpus_cost_idle_time_and_no_run_starves(seed: int) -> None:
    """The bound is how much is asked of the most wanted GPU. No schedule can reach it: two overlapping sets exclude each
    other, and what a set leaves over often fits no run."""
    works = picky(seed)
    makespan_s, most = simulate(works)
    ratio = makespan_s / lower_bound_s(works)
    print(f"seed {seed}: makespan {ratio:.3f} × lower bound, most overtaken: {most} times")
    assert ratio <= 1.35
    assert most <= 8 * PATIENCE
