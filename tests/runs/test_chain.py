"""Whose turn it is in a chain, and which model a run of it takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from launch_workspaces import good_workspace

from taorunner.backends.contract import Follows
from taorunner.errors import MachineError, UserFilesError
from taorunner.events import MetricReported, Notice, RunState, now
from taorunner.planning.chain import plan_chain
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.project.workspace import Workspace
from taorunner.runs.chain import (
    Turn,
    follows,
    is_over,
    startable,
    turn,
    why_never,
    with_models,
    with_models_read,
)
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.lookup.training_scores import lineage_scores
from taorunner.runs.state.record import RunRecord, chain_of, current_of
from taorunner.runs.state.store import RunStore

AT = datetime(2026, 11, 20, 9, 5, 7, tzinfo=timezone.utc)


def record(action: str, state: RunState, after: str | None = None, **changes: object) -> RunRecord:
    plain = RunRecord(
        id=action, batch="b", project="p", experiment="e1", action=action, backend="docker", state=state,
        queued_at=AT, after=after,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def chain(*states: RunState) -> dict[str, RunRecord]:
    actions = ("train", "evaluate", "export")
    pairs = zip(actions, states, (None, *actions), strict=False)
    return {action: record(action, state, after) for action, state, after in pairs}


QUEUED, RUNNING, SUCCEEDED = RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((RUNNING, QUEUED, QUEUED), (Turn.LATER, Turn.LATER)),
        ((QUEUED, QUEUED, QUEUED), (Turn.LATER, Turn.LATER)),  # another attempt is coming
        ((SUCCEEDED, QUEUED, QUEUED), (Turn.NOW, Turn.LATER)),
        ((RunState.FAILED, QUEUED, QUEUED), (Turn.NEVER, Turn.LATER)),
        ((RunState.LOST, RunState.STOPPED, QUEUED), (Turn.NEVER, Turn.NEVER)),
        ((SUCCEEDED, SUCCEEDED, QUEUED), (Turn.NOW, Turn.NOW)),
    ],
)
def test_whose_turn_it_is(states: tuple[RunState, ...], expected: tuple[Turn, Turn]) -> None:
    records = chain(*states)
    assert turn(records["train"], records) is Turn.NOW
    assert (turn(records["evaluate"], records), turn(records["export"], records)) == expected


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ((RunState.FAILED, RunState.STOPPED, QUEUED), "not started: train failed"),
        ((SUCCEEDED, RunState.FAILED, QUEUED), "not started: evaluate failed"),
        ((SUCCEEDED, RunState.STOPPED, QUEUED), "not started: evaluate was stopped"),
        ((RunState.LOST, RunState.STOPPED, QUEUED), "not started: train was lost"),
    ],
)
def test_the_first_run_that_did_not_succeed_is_the_reason(states: tuple[RunState, ...], why: str) -> None:
    records = chain(*states)
    assert why_never(records["export"], records) == why


def test_a_run_before_that_cannot_be_read_ends_the_chain() -> None:
    records = chain(SUCCEEDED, QUEUED, QUEUED)
    del records["train"]
    assert turn(records["evaluate"], records) is Turn.NEVER
    expected = "not started: the record of the run before it cannot be read"
    assert why_never(records["evaluate"], records) == why_never(records["export"], records) == expected


def test_a_chain_behind_a_run_whose_state_is_unknown_is_left_to_another_supervisor() -> None:
    records = chain(RUNNING, QUEUED, QUEUED)
    assert not is_over(records, set())
    assert is_over(records, {"train"})
    assert not is_over({**records, "other": record("other", QUEUED)}, {"train"})
    assert is_over(chain(SUCCEEDED, RunState.FAILED, RunState.STOPPED), set())


def test_which_run_of_a_chain_a_name_means() -> None:
    for states, expected in (
        ((RUNNING, QUEUED, QUEUED), "train"),
        ((SUCCEEDED, QUEUED, QUEUED), "evaluate"),
        ((SUCCEEDED, SUCCEEDED, SUCCEEDED), "export"),
        ((RunState.FAILED, RunState.STOPPED, RunState.STOPPED), "train"),
    ):
        records = chain(*states)
        has_run = {RUNNING, SUCCEEDED, RunState.FAILED}
        known = [replace(one, started_at=AT) if one.state in has_run else one for one in records.values()]
        assert current_of(known[1], known).id == expected
        assert [one.id for one in chain_of(known[2], known)] == ["train", "evaluate", "export"]
    alone = record("train", RUNNING)
    assert chain_of(alone, [alone, record("export", RUNNING, "train", batch="another")]) == [alone]


class Recorded:
    """A chain on disk that begins with a training. ``results`` is the folder of the experiment."""

    def __init__(self, root: Path, then: tuple[str, ...] = ("export", "gen_trt_engine")) -> None:
        request = ActionRequest("train", ("e1",), then=then)
        caller = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})
        items = plan_chain(Workspace(root), "p", request, caller).items
        self.store = RunStore(root / ".taorunner")
        create_batch(self.store, [(item.site.run_id, item.plan) for item in items], now(), environ={})
        self.ids = [item.site.run_id for item in items]
        self.results = root / "projects/p/models/e1"
        (self.results / "train").mkdir(parents=True)
        (self.results / "export").mkdir()

    def checkpoint(self, epoch: int, size: int = 100) -> Path:
        path = self.results / f"train/model_epoch_{epoch - 1:03d}.pth"
        path.write_bytes(b"w" * size)
        return path

    def metrics(self, *values: float, name: str = "val_mAP50", direction: str | None = "up") -> None:
        events = [
            MetricReported(
                run=self.ids[0], at=AT + timedelta(seconds=epoch), name=name, value=value, epoch=epoch,
                direction=direction, rank=0,
            )
            for epoch, value in enumerate(values, 1)
        ]  # fmt: skip
        self.store.append_events(self.ids[0], events)

    def at_start(self, number: int) -> tuple[RunPlan, str]:
        records = {run: self.store.load(run) for run in self.ids}
        plans = {run: self.store.load_plan(run) for run in self.ids}
        run = self.ids[number]
        return with_models(self.store, records[run], plans[run], records, plans)


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(good_workspace(tmp_path / "ws", "rtdetr"))


def test_a_queued_run_says_what_it_waits_for(recorded: Recorded) -> None:
    texts = [
        [event.text for event in recorded.store.read_events(run)[0] if isinstance(event, Notice)]
        for run in recorded.ids
    ]
    assert texts == [[], ["starts when train has succeeded"], ["starts when export has succeeded"]]


def test_the_best_checkpoint_where_the_direction_is_known(recorded: Recorded) -> None:
    for epoch in (1, 2, 3):
        recorded.checkpoint(epoch)
    recorded.metrics(0.2, 0.7, 0.5)
    plan, text = recorded.at_start(1)
    assert any(token.endswith("/train/model_epoch_001.pth") for token in plan.argv)
    assert text == "reads model_epoch_001.pth, the best checkpoint of the training"


def test_the_best_of_the_checkpoints_that_are_whole(recorded: Recorded) -> None:
    """Epoch 4 has none, that of epoch 2 was cut off."""
    for epoch, size in ((1, 100), (2, 10), (3, 100)):
        recorded.checkpoint(epoch, size)
    recorded.metrics(0.2, 0.7, 0.5, 0.9)
    assert recorded.at_start(1)[1] == "reads model_epoch_002.pth, the best checkpoint of the training"


def test_lower_may_be_better(recorded: Recorded) -> None:
    for epoch in (1, 2, 3):
        recorded.checkpoint(epoch)
    recorded.metrics(0.2, 0.1, float("nan"), name="val/epe", direction="down")
    scores = lineage_scores(recorded.store, recorded.store.load(recorded.ids[0]))
    assert scores is not None and (scores.best_of({1, 2, 3}), set(scores.values)) == (2, {1, 2})
    assert recorded.at_start(1)[1].startswith("reads model_epoch_001.pth")


@pytest.mark.parametrize("direction", ["none", None])
def test_the_newest_where_no_direction_is_known(recorded: Recorded, direction: str | None) -> None:
    for epoch in (1, 2, 3):
        recorded.checkpoint(epoch)
    recorded.metrics(0.9, 0.7, 0.5, direction=direction)
    assert recorded.at_start(1)[1] == "reads model_epoch_002.pth, the newest checkpoint of the training"


def test_a_resumed_training_counts_the_epochs_before_it(recorded: Recorded) -> None:
    recorded.metrics(0.2, 0.7)
    first, later = recorded.ids[:2]
    recorded.store.save(replace(recorded.store.load(later), resumed_from=first))
    found = MetricReported(run=later, at=AT, name="val_mAP50", value=0.4, epoch=3, direction="up", rank=0)
    recorded.store.append_events(later, [found])
    scores = lineage_scores(recorded.store, recorded.store.load(later))
    assert scores is not None and scores.values == {1: 0.2, 2: 0.7, 3: 0.4}


def test_no_checkpoint_is_a_sentence(recorded: Recorded) -> None:
    with pytest.raises(UserFilesError, match='train of "e1" left no model that can be read') as refused:
        recorded.at_start(1)
    assert refused.value.hint == f"taorunner runs show {recorded.ids[0][-6:]}"


def test_the_engine_is_built_from_the_export_of_the_chain(recorded: Recorded) -> None:
    recorded.checkpoint(5)
    export, _ = recorded.at_start(1)
    recorded.store.save_plan(recorded.ids[1], export)
    for name in ("model_epoch_004.onnx", "a_newer_one.onnx"):
        (recorded.results / "export" / name).write_bytes(b"onnx")
    plan, text = recorded.at_start(2)
    assert text == "reads model_epoch_004.onnx, which export made"
    assert any(
        token.endswith("onnx_file=/workspace/projects/p/models/e1/export/model_epoch_004.onnx")
        for token in plan.argv
    )
    assert plan.contract.verdict.artifacts == ("gen_trt_engine/model_epoch_004.engine",)


def test_an_export_from_before_the_chain_is_not_taken(recorded: Recorded) -> None:
    recorded.checkpoint(5)
    export, _ = recorded.at_start(1)
    recorded.store.save_plan(recorded.ids[1], export)
    (recorded.results / "export/model_epoch_004.onnx").write_bytes(b"onnx")
    late = replace(recorded.store.load(recorded.ids[1]), launched_at=now() + timedelta(hours=1))
    recorded.store.save(late)
    with pytest.raises(UserFilesError, match='export of "e1" left no model that can be read'):
        recorded.at_start(2)


def test_pruned_weights_of_a_network_whose_artifacts_are_not_known(tmp_path: Path) -> None:
    found = Recorded(good_workspace(tmp_path / "ws", "ocrnet"), then=("prune", "evaluate"))
    weights = found.results / "prune/deep/model_pruned_0.1.pth"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    (found.results / "prune/status.json").write_text("{}")
    plan, text = found.at_start(2)
    assert text == "reads model_pruned_0.1.pth, which prune made"
    assert f"evaluate.checkpoint={plan.results_inside}/prune/deep/model_pruned_0.1.pth" in plan.argv


class Following:
    """The chain with its training in the hands of a scheduler."""

    def __init__(self, recorded: Recorded) -> None:
        self.store, self.ids = recorded.store, recorded.ids
        self.records = {run: self.store.load(run) for run in self.ids}
        loaded = {run: self.store.load_plan(run) for run in self.ids}
        self.plans = {run: replace(plan, backend="slurm") for run, plan in loaded.items()}
        self.change(0, state=RunState.WAITING, handle="7")

    def change(self, number: int, **fields: object) -> None:
        run = self.ids[number]
        self.records[run] = replace(self.records[run], **fields)  # type: ignore[arg-type]

    def options(self, number: int, **options: object) -> None:
        run = self.ids[number]
        self.plans[run] = replace(self.plans[run], backend_options=options)

    def of(self, number: int) -> Follows | None:
        run = self.ids[number]
        return follows(self.store, self.records[run], self.plans[run], self.records, self.plans)


def test_a_scheduler_is_told_what_each_run_follows_and_reads(recorded: Recorded) -> None:
    chain = Following(recorded)
    export = chain.of(1)
    assert export is not None
    assert (export.id, export.action, export.written) == (
        "7",
        "train",
        ("export/CHECKPOINT-OF-THE-CHAIN.onnx",),
    )
    (model,) = export.models
    assert (model.action, model.since, model.average) == ("train", None, "*-EMA.pth")
    assert model.texts[1] == ("e1/CHECKPOINT-OF-THE-CHAIN", "e1/{path}")
    assert chain.of(2) is None  # the export is not handed over yet
    chain.change(1, state=RunState.WAITING, handle="8")
    engine = chain.of(2)
    assert engine is not None
    assert engine.models[0].patterns == ("export/*.onnx",)
    assert engine.models[0].since == recorded.store.paths(recorded.ids[1]).directory
    queued = [run for run, one in chain.records.items() if one.state is QUEUED]
    assert startable(chain.store, queued, chain.records, chain.plans) == {recorded.ids[2]: engine}


def test_a_run_is_handed_over_early_only_where_nothing_can_go_wrong(recorded: Recorded) -> None:
    chain = Following(recorded)
    chain.change(0, retries_left=1)  # another attempt is another job
    assert chain.of(1) is None
    chain.change(0, retries_left=0, state=RunState.STARTING)
    assert chain.of(1) is None
    chain.change(0, state=RUNNING)
    assert chain.of(1) is not None
    chain.options(1, partition="other")
    assert chain.of(1) is None
    for number in (0, 1):
        chain.options(number, options=["--dep=singleton"])
    assert chain.of(1) is None
    chain = Following(recorded)
    chain.plans = {run: replace(plan, backend="local") for run, plan in chain.plans.items()}
    assert chain.of(1) is None


def test_the_models_that_an_engine_chose_are_put_into_the_plan(recorded: Recorded) -> None:
    chain = Following(recorded)
    run = recorded.ids[1]
    plan, text = with_models_read(chain.store, chain.records[run], chain.plans[run], ["train/m_2.pth"])
    assert text == "reads m_2.pth, the newest checkpoint of the training"
    assert (plan.awaits, [word for word in plan.argv if "OF-THE-CHAIN" in word]) == ((), [])
    assert plan.spec is not None and "OF-THE-CHAIN" not in plan.spec.text
    for read in ([], ["../../m.pth"], ["train/a b.pth"]):
        with pytest.raises(MachineError, match="is not known"):
            with_models_read(chain.store, chain.records[run], chain.plans[run], read)
