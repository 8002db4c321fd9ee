"""``--epochs``, ``--batch-size``, ``--lr`` and ``--seed`` in the plan of every network that a project can start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dataset_layouts import put_data
from filled_in import fill_in, heads_with_images

from taorunner.catalog.load import load_network
from taorunner.cli.commands.results.evaluate_on_host import own_thresholds
from taorunner.errors import UsageError
from taorunner.planning.model.knobs import Knobs, KnobSetting, number_text, read_knobs
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.new_project import new_project
from taorunner.planning.planner import Planned, plan_action
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.specs.spec_file import PreparedSpec, read_value

CALLER = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})
ALL_FOUR = Knobs(epochs=2, batch_size=3, lr=2.5e-6, seed=7)


@pytest.fixture
def made(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Workspace, str, str]:
    head = request.param
    new_project(tmp_path, tmp_path, "new", head=head, backbone=None, experiment=None, dataset="train")
    fill_in(tmp_path / "projects/new")
    put_data(head, tmp_path / "projects/new/data/train")
    workspace = Workspace(tmp_path)
    (experiment,) = load_project(workspace, "new").experiments.values()
    return workspace, experiment.name, head


def planned(made: tuple[Workspace, str, str], knobs: Knobs, action: str = "train", **more: object) -> Planned:
    workspace, experiment, _head = made
    asked = ActionRequest(action, (experiment,), knobs=knobs, force=True, dry_run=True, **more)  # type: ignore[arg-type]
    return plan_action(workspace, "new", asked, CALLER, lambda *_: Site("run", workspace.runs_dir / "run"))


def edit(made: tuple[Workspace, str, str], old: str, new: str) -> None:
    workspace, experiment, _head = made
    (spec,) = workspace.project("new").root.glob(f"specs/{experiment}/train.*")
    text = spec.read_text()
    assert old in text
    spec.write_text(text.replace(old, new))


def value_of(plan: RunPlan, key: str) -> object:
    """As TAO reads it: of the command line, else of the rendered spec."""
    for token in plan.argv:
        if token.startswith(f"{key}="):
            return json.loads(token.partition("=")[2])
    assert plan.spec is not None and plan.contract.spec is not None
    prepared = PreparedSpec(plan.spec.source, plan.contract.spec.format, plan.spec.text, ())
    return read_value(prepared, key)


def settings(plan: RunPlan) -> dict[str, str]:
    return {one.key: one.value for one in plan.knobs}


@pytest.mark.parametrize("made", heads_with_images(), indirect=True)
def test_all_four_are_in_what_every_network_reads(made: tuple[Workspace, str, str]) -> None:
    found = planned(made, ALL_FOUR)
    codes = {one.code for one in found.findings if one.is_error}
    (item,) = found.items
    plan = item.plan
    assert not codes & {
        "knob-not-read",
        "unknown-key",
        "wrong-type",
        "interval-beyond-epochs",
        "out-of-range",
    }
    by_option: dict[str, list[KnobSetting]] = {}
    for one in plan.knobs:
        by_option.setdefault(one.option, []).append(one)
    assert list(by_option) == ["--epochs 2", "--batch-size 3", "--lr 2.5e-06", "--seed 7"]
    for option, ours in by_option.items():
        first = ours[0]
        assert first.was is None and first.value == option.split()[1]
        assert value_of(plan, first.key) == pytest.approx(float(first.value)), first.key
    for one in plan.knobs:
        if not one.value.startswith(("[", "'")):
            assert value_of(plan, one.key) == pytest.approx(float(one.value)), one.key
    assert plan.epochs == 2


@pytest.mark.parametrize("made", heads_with_images(), indirect=True)
def test_an_action_without_epochs_refuses_them(made: tuple[Workspace, str, str]) -> None:
    network = load_network(made[2])
    actions = [one for one in ("evaluate", "export") if one in network.contracts()]
    for action in actions:
        found = planned(made, Knobs(epochs=3), action)
        (refused,) = [one for one in found.findings if one.code == "knob-not-read"]
        assert refused.message == f"{made[2]} {action} trains nothing: it has no --epochs"
        assert "taorunner train EXPERIMENT --epochs 3" in (refused.hint or "")


@pytest.mark.parametrize("made", ["dino"], indirect=True)
def test_the_rate_of_the_backbone_keeps_its_proportion(made: tuple[Workspace, str, str]) -> None:
    (item,) = planned(made, Knobs(lr=4e-4)).items  # the scaffold has 1e-4 and 1e-5
    assert settings(item.plan) == {"train.optim.lr": "0.0004", "train.optim.lr_backbone": "4.0e-05"}


@pytest.mark.parametrize("made", ["dino"], indirect=True)
def test_the_default_of_a_rate_that_the_spec_lacks_keeps_its_proportion(
    made: tuple[Workspace, str, str],
) -> None:
    edit(made, "    lr_backbone: 1.0e-05\n", "")
    (item,) = planned(made, Knobs(lr=2e-4)).items  # twice 1e-4; TAO's own default is 2e-5
    assert settings(item.plan) == {"train.optim.lr": "0.0002", "train.optim.lr_backbone": "4.0e-05"}


@pytest.mark.parametrize("made", ["detectnet_v2"], indirect=True)
def test_the_schedule_in_the_spec_is_the_one_that_is_set(made: tuple[Workspace, str, str]) -> None:
    name = "training_config.learning_rate.{}_annealing_schedule"
    (item,) = planned(made, Knobs(lr=1e-3)).items
    soft = name.format("soft_start")
    assert settings(item.plan) == {
        f"{soft}.max_learning_rate": "0.001", f"{soft}.min_learning_rate": "1.0e-05",
    }  # fmt: skip
    edit(made, "soft_start_annealing_schedule", "early_stopping_annealing_schedule")
    edit(made, "soft_start: ", "soft_start_epochs: 1 # ")
    edit(made, "annealing: ", "annealing_epochs: 9 # ")
    (item,) = planned(made, Knobs(lr=1e-3)).items
    assert list(settings(item.plan)) == [
        f"{name.format('early_stopping')}.{one}_learning_rate" for one in ("max", "min")
    ]


@pytest.mark.parametrize("made", ["stylegan_xl"], indirect=True)
def test_a_batch_of_all_gpus_is_that_of_one_times_their_number(made: tuple[Workspace, str, str]) -> None:
    (item,) = planned(made, Knobs(batch_size=4), gpus=2).items
    assert settings(item.plan) == {"dataset.batch_size": "8"}
    (other,) = planned(made, Knobs(batch_size=4), gpus=1).items
    assert settings(other.plan) == {"dataset.batch_size": "4"}


@pytest.mark.parametrize("made", ["visual_changenet"], indirect=True)
def test_the_task_of_the_spec_chooses_the_key(made: tuple[Workspace, str, str]) -> None:
    (item,) = planned(made, Knobs(batch_size=2)).items
    assert settings(item.plan) == {"dataset.segment.batch_size": "2"}
    (item,) = planned(made, Knobs(batch_size=2), overrides={"task": "classify"}).items
    assert settings(item.plan) == {"dataset.classify.batch_size": "2"}


@pytest.mark.parametrize("made", ["centerpose"], indirect=True)
def test_intervals_beyond_the_epochs_are_lowered_with_them(made: tuple[Workspace, str, str]) -> None:
    found = planned(made, Knobs(epochs=1))
    (item,) = found.items
    assert [one.text for one in item.plan.knobs] == [
        "--epochs 1 → train.num_epochs = 1",
        "--epochs 1 → train.checkpoint_interval = 1 (was 20)",
        "--epochs 1 → train.validation_interval = 1 (was 20)",
    ]
    assert [one.code for one in found.findings if one.code == "interval-beyond-epochs"] == []


@pytest.mark.parametrize("made", ["centerpose"], indirect=True)
def test_an_interval_that_the_user_sets_stays(made: tuple[Workspace, str, str]) -> None:
    found = planned(made, Knobs(epochs=2), overrides={"train.checkpoint_interval": "5"})
    assert "interval-beyond-epochs" in [one.code for one in found.findings if one.is_error]


@pytest.mark.parametrize("made", ["dino"], indirect=True)
def test_steps_of_the_rate_that_are_not_reached_are_said(made: tuple[Workspace, str, str]) -> None:
    found = planned(made, Knobs(epochs=6))
    (said,) = [one for one in found.findings if one.code == "schedule-beyond-epochs"]
    assert not said.is_error
    assert said.message == '"train.optim.lr_steps" is made for 12 epochs: 10 is not reached in 6'
    assert said.hint == "set it too: --set train.optim.lr_steps=[5]"
    more = planned(made, Knobs(epochs=24))
    assert [one for one in more.findings if one.code == "schedule-beyond-epochs"] == []
    mended = planned(made, Knobs(epochs=6), overrides={"train.optim.lr_steps": "[5]"})
    assert [one for one in mended.findings if one.code == "schedule-beyond-epochs"] == []


@pytest.mark.parametrize("made", ["oneformer"], indirect=True)
def test_steps_of_the_whole_training_follow_the_epochs(made: tuple[Workspace, str, str]) -> None:
    (item,) = planned(made, Knobs(epochs=10)).items
    assert settings(item.plan) == {"train.num_epochs": "10", "train.optim.max_iter": "5000"}


@pytest.mark.parametrize("made", ["mask_rcnn"], indirect=True)
def test_steps_in_a_text_follow_too(made: tuple[Workspace, str, str]) -> None:
    (item,) = planned(made, Knobs(epochs=20)).items
    assert value_of(item.plan, "learning_rate_steps") == "[6000, 8000, 9000]"


@pytest.mark.parametrize("made", ["rtdetr"], indirect=True)
@pytest.mark.parametrize("key", ["train.num_epochs", "+train.num_epochs", "train"])
def test_the_same_key_twice_is_refused(made: tuple[Workspace, str, str], key: str) -> None:
    found = planned(made, Knobs(epochs=3), overrides={key: "9"})
    (refused,) = [one for one in found.findings if one.code == "knob-twice"]
    assert refused.message == f'--epochs and "{key}" both set train.num_epochs'
    found = planned(made, Knobs(epochs=3), extra=("train.num_epochs=9",))
    assert "knob-twice" in [one.code for one in found.findings]
    with pytest.raises(Exception, match="nothing was started") as caught:
        found.raise_for_errors(is_forced=True)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("made", ["classification_tf2"], indirect=True)
def test_a_value_that_the_network_does_not_take_is_said_of_the_option(
    made: tuple[Workspace, str, str],
) -> None:
    found = planned(made, Knobs(seed=0))
    (said,) = [one for one in found.findings if one.code == "out-of-range"]
    assert said.message == "--seed 0: train.random_seed is at least 1, this is 0"


@pytest.mark.parametrize("made", ["segformer"], indirect=True)
def test_a_release_that_counts_iterations_says_so(made: tuple[Workspace, str, str]) -> None:
    found = planned(made, Knobs(epochs=3), release="5.5.0")
    (refused,) = [one for one in found.findings if one.code == "knob-not-read"]
    assert refused.message == "segformer train of release 5.5.0 counts iterations, not epochs"
    assert refused.hint == "set their number: --set train.max_iters=N"


@pytest.mark.parametrize("made", ["unet"], indirect=True)
def test_an_action_without_the_key_names_the_others(made: tuple[Workspace, str, str]) -> None:
    found = planned(made, Knobs(batch_size=3), "evaluate")
    (refused,) = [one for one in found.findings if one.code == "knob-not-read"]
    assert refused.message == "the spec of unet evaluate in release 6.26.3 has no key for the batch size"
    assert refused.hint == "leave --batch-size out"


@pytest.mark.parametrize("made", ["detectnet_v2"], indirect=True)
@pytest.mark.parametrize(
    ("action", "hint"),
    [
        ("inference", ": the thresholds in its spec decide which boxes it writes; it takes --batch-size"),
        ("evaluate", ", or add --on-host: then an inference takes it"),
    ],
)
def test_a_lowest_score_that_the_network_does_not_take(
    made: tuple[Workspace, str, str], action: str, hint: str
) -> None:
    found = planned(made, Knobs(min_score=0.1), action)
    (refused,) = [one for one in found.findings if one.code == "knob-not-read"]
    assert refused.hint == f"leave --min-score out{hint}"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("dino", None),
        ("detectnet_v2",
         "detectnet_v2 inference takes no --min-score: the thresholds in its spec decided which boxes are scored"),
    ],
    indirect=["made"],
)  # fmt: skip
def test_what_an_evaluation_on_the_host_says_of_it(
    made: tuple[Workspace, str, str], said: str | None
) -> None:
    found = planned(made, Knobs(min_score=0.001, may_lack_score=True), "inference")
    assert "knob-not-read" not in {one.code for one in found.findings}
    assert [own_thresholds(item.plan) for item in found.items] == [said]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ((0, None, None, None), '--epochs must be a whole number of at least 1, not "0"'),
        ((None, -1, None, None), '--batch-size must be a whole number of at least 1, not "-1"'),
        ((None, None, 0.0, None), '--lr must be a number above 0, not "0"'),
        ((None, None, float("nan"), None), '--lr must be a number above 0, not "nan"'),
        ((None, None, float("inf"), None), '--lr must be a number above 0, not "inf"'),
        ((None, None, None, -5), '--seed must be a whole number of at least 0, not "-5"'),
    ],
)
def test_a_value_that_no_training_has_is_refused(typed: tuple[int, int, float, int], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_knobs(*typed)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("number", "text"),
    [(1e-5, "1.0e-05"), (2.5e-6, "2.5e-06"), (0.001, "0.001"), (3, "3"), (0.1 + 0.2, "0.3"), (2.0, "2.0")],
)
def test_a_number_is_written_so_that_every_reader_takes_it_for_one(number: float, text: str) -> None:
    assert number_text(number) == text


def test_a_plan_keeps_what_the_options_set(tmp_path: Path) -> None:
    new_project(tmp_path, tmp_path, "new", head="tinydet", backbone=None, experiment=None, dataset="train")
    made = (Workspace(tmp_path), "tinydet_01", "tinydet")
    fill_in(tmp_path / "projects/new")
    put_data("tinydet", tmp_path / "projects/new/data/train")
    (item,) = planned(made, ALL_FOUR).items
    assert RunPlan.from_json(json.loads(json.dumps(item.plan.to_json()))).knobs == item.plan.knobs
