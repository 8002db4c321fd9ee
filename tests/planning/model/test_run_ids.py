"""Ids of runs that are made in one second."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

from taorunner.planning.model.run_ids import new_run_id, newest_first

AT = datetime(2026, 11, 30, 10, 27, 23, tzinfo=timezone.utc)


def test_runs_of_one_second_are_in_the_order_of_their_starts() -> None:
    actions = ("train", "evaluate", "export", "a", "z") * 40
    ids = [new_run_id("t2", action, AT + timedelta(microseconds=i)) for i, action in enumerate(actions)]
    mixed = random.Random(1).sample(ids, len(ids))

    assert newest_first(mixed) == ids[::-1]
    assert len({run_id[-6:] for run_id in ids}) == len(ids)


def test_runs_of_other_seconds_are_sorted_by_their_times() -> None:
    ids = [new_run_id("e", "train", AT + timedelta(milliseconds=700 * i)) for i in range(20)]

    assert newest_first(reversed(ids)) == ids[::-1]


def test_neighbours_have_unlike_endings() -> None:
    first, second = (new_run_id("e", "train", AT + timedelta(microseconds=300 * i))[-6:] for i in (0, 1))

    assert first[:2] != second[:2]


def test_ids_of_another_form_are_sorted_as_texts() -> None:
    assert newest_first(["r0", "r2", "r1", "20261130-102723-by-hand", "20261130-102723-by-you"]) == [
        "r2", "r1", "r0", "20261130-102723-by-you", "20261130-102723-by-hand",
    ]  # fmt: skip
