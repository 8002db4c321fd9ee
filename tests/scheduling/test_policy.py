"""The policy, as a table: who starts, on which GPUs, and who waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taorunner.scheduling.policy import PATIENCE, Fairness, Start, Waiting, choose, competes


def start(waiting: list[Waiting], **changes: object) -> list[Start]:
    given: dict[str, object] = {
        "busy_gpus": frozenset(), "known_gpus": ["0", "1"], "running": 0, "running_without_gpu": 0,
        "parallel": None, "parallel_without_gpu": 1,
    }  # fmt: skip
    return choose(waiting, **(given | changes))  # type: ignore[arg-type]


def test_runs_on_different_gpus_start_together() -> None:
    assert start([Waiting("a", 1, ("0",)), Waiting("b", 1, ("1",))]) == [
        Start("a", ("0",)),
        Start("b", ("1",)),
    ]


def test_a_busy_gpu_is_waited_for() -> None:
    assert start([Waiting("a", 1, ("1",))], busy_gpus=frozenset({"1"})) == []


def test_two_runs_never_get_the_same_gpu() -> None:
    assert start([Waiting("a", 1, ("0",)), Waiting("b", 2, ("0", "1"))]) == [Start("a", ("0",))]


def test_any_free_gpus_are_taken_in_order() -> None:
    assert start([Waiting("a", 1), Waiting("b", 1)]) == [Start("a", ("0",)), Start("b", ("1",))]


def test_a_small_run_fills_the_gap_while_a_large_one_waits() -> None:
    waiting = [Waiting("both", 2, ("0", "1")), Waiting("small", 1, ("1",))]
    assert start(waiting, busy_gpus=frozenset({"0"})) == [Start("small", ("1",))]


def test_no_run_passes_one_whose_patience_is_over() -> None:
    waiting = [Waiting("both", 2, ("0", "1")), Waiting("small", 1, ("1",)), Waiting("cpu", 0)]
    due = Fairness({"both": PATIENCE})
    assert start(waiting, busy_gpus=frozenset({"0"}), fairness=due) == [Start("cpu", ())]


def test_gpus_are_kept_for_the_first_of_two_that_want_the_same_one() -> None:
    waiting = [Waiting("a", 2, ("0", "1")), Waiting("b", 2, ("1", "2")), Waiting("any", 1)]
    due = Fairness({"a": PATIENCE, "b": PATIENCE})
    starts = start(waiting, busy_gpus={"0"}, known_gpus=["0", "1", "2"], fairness=due)
    assert starts == [Start("any", ("2",))]


def test_who_takes_over_gathered_gpus_starts_once() -> None:
    gathered = Fairness(gathered=frozenset({frozenset({"2", "3"})}))
    four = ["0", "1", "2", "3"]
    large = [Waiting("first", 2), Waiting("second", 2)]
    assert start(large, known_gpus=four, fairness=gathered) == [
        Start("first", ("2", "3")), Start("second", ("0", "1")),
    ]  # fmt: skip
    assert start(large, known_gpus=four, fairness=gathered, parallel=1) == [Start("first", ("2", "3"))]
    assert start(large[:1], known_gpus=four, fairness=gathered, avoided={"3"}) == [Start("first", ("0", "1"))]
    assert start(large[:1], known_gpus=four, fairness=gathered, busy_gpus={"3"}) == [
        Start("first", ("0", "1"))
    ]
    named = [Waiting("small", 1), Waiting("named", 2, ("3", "2"))]
    assert start(named, known_gpus=four, fairness=gathered) == [
        Start("named", ("3", "2")),
        Start("small", ("0",)),
    ]


def test_runs_of_other_batches_do_not_count_as_ours() -> None:
    waiting = [Waiting("theirs", 1), Waiting("mine", 1), Waiting("mine too", 1)]
    starts = start(waiting, known_gpus=["0", "1", "2"], parallel=1, others={"theirs"})
    assert starts == [Start("theirs", ("0",)), Start("mine", ("1",))]


def test_gpus_are_reserved_for_runs_of_others_when_this_batch_has_no_room_left() -> None:
    waiting = [Waiting("mine", 1), Waiting("theirs", 1), Waiting("mine too", 1)]
    starts = start(waiting, known_gpus=["0", "1", "2"], parallel=1, others={"theirs"})
    assert starts == [Start("mine", ("0",)), Start("theirs", ("1",))]


def test_any_gpu_is_rather_the_least_wanted_one() -> None:
    waiting = [
        Waiting("any", 1),
        *(Waiting(f"n{number}", 1, ("0",)) for number in range(2)),
        Waiting("n", 1, ("1",)),
    ]
    assert start(waiting)[0] == Start("any", ("1",))


def test_nothing_is_kept_for_a_run_that_waits_for_others_than_this_batch() -> None:
    waiting = [Waiting("both", 2), Waiting("small", 1)]
    due = Fairness({"both": PATIENCE})
    assert start(waiting, held_outside={"0"}, fairness=due) == [Start("small", ("1",))]


def test_gpus_that_others_compute_on_are_for_those_who_name_them() -> None:
    waiting = [Waiting("any", 1), Waiting("named", 1, ("0",))]
    assert start(waiting, avoided={"0"}) == [Start("any", ("1",)), Start("named", ("0",))]


def test_any_gpu_is_preferably_one_that_no_run_names() -> None:
    assert start([Waiting("any", 1), Waiting("named", 1, ("0",))]) == [
        Start("any", ("1",)),
        Start("named", ("0",)),
    ]


def test_who_is_passed_is_counted_only_for_gpus_it_could_have_used() -> None:
    fairness = Fairness()
    waiting = [Waiting("a", 1, ("0",)), Waiting("b", 2), Waiting("c", 1, ("1",)), Waiting("cpu", 0)]
    fairness.note(waiting, [Start("c", ("1",)), Start("cpu", ())])
    assert fairness.overtaken == {"b": 1}


def test_gathered_gpus_go_to_the_next_run_of_that_size() -> None:
    fairness = Fairness({"large": PATIENCE})
    waiting = [Waiting("large", 2), Waiting("small", 1), Waiting("large too", 2)]
    first = start(waiting, fairness=fairness)
    fairness.note(waiting, first)
    assert first == [Start("large", ("0", "1"))]
    assert start(waiting[1:], fairness=fairness) == [Start("large too", ("0", "1"))]
    fairness.overtaken["small"] = PATIENCE
    assert start(waiting[1:], fairness=fairness) == [Start("small", ("0",))]


def test_a_run_without_gpu_does_not_wait_for_gpus() -> None:
    assert start([Waiting("a", 1, ("0",)), Waiting("cpu", 0)], busy_gpus=frozenset({"0"})) == [
        Start("cpu", ())
    ]


def test_runs_without_gpu_are_bounded_by_their_own_number() -> None:
    assert start([Waiting("a", 0), Waiting("b", 0)]) == [Start("a", ())]
    assert len(start([Waiting("a", 0), Waiting("b", 0)], parallel_without_gpu=2)) == 2


def test_parallel_bounds_everything() -> None:
    waiting = [Waiting("a", 1, ("0",)), Waiting("b", 1, ("1",))]
    assert start(waiting, parallel=1) == [Start("a", ("0",))]
    assert start(waiting, parallel=1, running=1) == []


def test_without_an_inventory_named_gpus_are_believed_and_any_means_the_first() -> None:
    waiting = [Waiting("a", 1, ("5",)), Waiting("b", 2)]
    assert start(waiting, known_gpus=None) == [Start("a", ("5",)), Start("b", ("0", "1"))]


def test_more_gpus_than_there_are_is_never_chosen() -> None:
    assert start([Waiting("a", 3)]) == []


waitings = st.lists(
    st.builds(
        lambda count, ids: Waiting("", len(ids) if ids else count, tuple(sorted(ids)) if ids else None),
        st.integers(0, 4),
        st.sets(st.sampled_from(["0", "1", "2", "3"]), max_size=3),
    ),
    max_size=8,
)


@given(waitings, st.sets(st.sampled_from(["0", "1", "2", "3"])))
def test_no_gpu_is_ever_given_twice(runs: list[Waiting], busy: set[str]) -> None:
    named = [Waiting(str(index), run.gpu_count, run.gpu_ids) for index, run in enumerate(runs)]
    starts = start(named, busy_gpus=frozenset(busy), known_gpus=["0", "1", "2", "3"], parallel_without_gpu=9)
    given_out = [gpu for one in starts for gpu in one.gpu_ids]
    assert len(given_out) == len(set(given_out))
    assert not busy & set(given_out)
    asked = {run.run_id: run for run in named}
    assert all(len(one.gpu_ids) == asked[one.run_id].gpu_count for one in starts)


def test_a_single_gpu_is_not_gathered() -> None:
    fairness = Fairness({"one": PATIENCE})
    fairness.note([Waiting("one", 1)], [Start("one", ("0",))])
    assert fairness == Fairness()


@pytest.mark.parametrize(
    ("waiting", "could"),
    [
        (Waiting("any", 1), True), (Waiting("named", 1, ("0",)), True), (Waiting("other", 1, ("1",)), False),
        (Waiting("cpu", 0), False),
    ],
)  # fmt: skip
def test_which_runs_could_have_used_a_gpu(waiting: Waiting, could: bool) -> None:
    assert competes(waiting, {"0"}) is could
    assert competes(waiting, ()) is False
