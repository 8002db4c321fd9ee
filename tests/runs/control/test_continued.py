"""Which training ``resume`` goes on with, and with what."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.events import RunState
from taorunner.planning.model.knobs import Knobs, KnobSetting
from taorunner.planning.model.plan import ResumePoint, RunPlan
from taorunner.planning.model.request import ActionRequest, Order
from taorunner.planning.model.typed_settings import TypedSettings
from taorunner.runs.control.continued import continued_orders, training_in_place
from taorunner.runs.outputs.recorded import Output, RunResults, save_results
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.record import RunPolicy, RunRecord
from taorunner.runs.state.store import RunStore

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
FIRST, SECOND, THIRD = (f"2026010{day}-000000-e1-train-abc12{day}" for day in (1, 2, 3))
RESUME = ActionRequest("train", ("e1",), resume=True)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".taorunner")


def trained(
    store: RunStore, run: str, epochs: int, *, wrote: bool = True, started: bool = True, resumes: str | None = None,
    policy: RunPolicy | None = None,
) -> RunRecord:  # fmt: skip
    """A training that was stopped; with ``wrote`` its checkpoint replaces that of the one before."""
    root = store.state_dir.parent
    results, at = root / "models/e1", AT + timedelta(days=int(run[-1]))
    point = ResumePoint(results / "x.npz", 1, run=resumes) if resumes is not None else None
    plan = RunPlan(
        project="p", experiment="e1", action="train", backend="local", argv=(), workspace=root, results_dir=results,
        contract=load_network("tinydet").contract("train"), results_inside=str(results), run_inside="/nowhere",
        typed=TypedSettings(knobs=Knobs(epochs=epochs)), resume=point,
        knobs=(KnobSetting(f"--epochs {epochs}", "train.num_epochs", str(epochs)),),
    )  # fmt: skip
    create_batch(store, [(run, plan)], at, environ={}, policy=policy or RunPolicy())
    moment = at if started else None
    record = replace(
        store.load(run), state=RunState.STOPPED, started_at=moment, launched_at=moment,
        finished_at=at + timedelta(hours=1),
    )  # fmt: skip
    store.save(record)
    if wrote:
        weights = results / "train/model_epoch_000_step_00010.npz"
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_text(run)
        os.utime(weights, (at.timestamp() + 60,) * 2)
        facts = weights.stat()
        output = Output(weights, "checkpoint", facts.st_size, epoch=1, modified_ns=facts.st_mtime_ns)
        save_results(store, run, RunResults(weights.parent, (output,)))
    return record


def in_place(store: RunStore) -> str | None:
    found = training_in_place(store, "p", "e1")
    return found[0].id if found is not None else None


def test_it_is_the_training_whose_results_are_there(store: RunStore) -> None:
    """Also after those of an earlier one were restored."""
    assert in_place(store) is None
    trained(store, FIRST, 40)
    results = store.state_dir.parent / "models/e1"
    results.rename(aside := results.with_name("e1.20260102-000000"))
    trained(store, SECOND, 20)
    assert in_place(store) == SECOND
    results.rename(results.with_name("e1.20260103-000000"))
    aside.rename(results)
    assert in_place(store) == FIRST
    (order,) = continued_orders(store, [Order("p", RESUME)])
    assert (order.request.continues, order.request.knobs) == (FIRST, Knobs(epochs=40))


def test_a_resumption_that_never_started_is_what_was_wanted_last(store: RunStore) -> None:
    trained(store, FIRST, 40)
    trained(store, SECOND, 60, wrote=False, started=False, resumes=FIRST)
    assert in_place(store) == SECOND
    trained(store, THIRD, 10, wrote=False, started=False)
    assert in_place(store) == SECOND, "a fresh training that never started has no results"


def test_a_key_takes_the_place_of_an_option(store: RunStore) -> None:
    trained(store, FIRST, 40)
    asked = replace(RESUME, overrides={"train.num_epochs": "60"})
    (order,) = continued_orders(store, [Order("p", asked)])
    assert (order.request.knobs, order.request.overrides) == (Knobs(), {"train.num_epochs": "60"})


def test_each_experiment_goes_on_with_its_own(store: RunStore) -> None:
    trained(store, FIRST, 40)
    orders = continued_orders(store, [Order("p", replace(RESUME, experiments=("e1", "e2")))])
    assert [(one.request.experiments, one.request.knobs.epochs) for one in orders] == [
        (("e1",), 40), (("e2",), None),
    ]  # fmt: skip
    fresh = Order("p", ActionRequest("train", ("e1", "e2")))
    assert continued_orders(store, [fresh]) == [fresh]


def test_what_a_supervisor_does_is_kept_too(store: RunStore) -> None:
    trained(store, FIRST, 40, policy=RunPolicy(2, True, ("/bin/true",), "last:3"))
    resumed = trained(store, SECOND, 40, resumes=FIRST, policy=RunPolicy(keep_checkpoints="best:1"))
    assert (resumed.retries_left, resumed.stop_on_nan, resumed.on_finish) == (2, True, ("/bin/true",))
    assert (resumed.keep_checkpoints, resumed.resumed_from, resumed.attempt) == ("best:1", FIRST, 2)


def test_no_more_retries_can_be_typed(store: RunStore) -> None:
    trained(store, FIRST, 40, policy=RunPolicy(retries=2))
    assert trained(store, SECOND, 40, resumes=FIRST, policy=RunPolicy(retries=0)).retries_left == 0
    assert trained(store, THIRD, 40, resumes=FIRST, policy=RunPolicy(retries=5)).retries_left == 5


def test_the_actions_behind_a_stopped_training_go_on_too(store: RunStore) -> None:
    first = trained(store, FIRST, 40)
    chained(store, first, "evaluate", "deploy.evaluate")
    (order,) = continued_orders(store, [Order("p", RESUME)])
    assert order.request.then == ("evaluate", "deploy.evaluate")
    (order,) = continued_orders(store, [Order("p", replace(RESUME, then=("export",)))])
    assert order.request.then == ("export",)


def test_actions_that_started_behind_a_training_do_not_go_on(store: RunStore) -> None:
    first = trained(store, FIRST, 40)
    chained(store, first, "evaluate", started=True)
    (order,) = continued_orders(store, [Order("p", RESUME)])
    assert order.request.then == ()


def chained(store: RunStore, first: RunRecord, *actions: str, started: bool = False) -> None:
    """Stopped runs behind ``first`` in its batch."""
    before, runs = first, [first.id]
    for number, action in enumerate(actions):
        run = f"20260101-00010{number}-e1-{action}-abd12{number}"
        at = AT if started else None
        record = replace(first, id=run, action=action, after=before.id, started_at=at, launched_at=at)
        store.paths(run).directory.mkdir(parents=True)
        store.save(record)
        before, runs = record, [*runs, run]
    store.save_batch(replace(store.load_batch(first.batch), runs=tuple(runs)))
