"""``--epochs`` and its like, and ``--checkpoint best``: typed, and really trained with the embedded network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli, Done

import taorunner
from taorunner.yaml_reader import read_yaml

FOUR = ("--epochs", "2", "--batch-size", "4", "--lr", "1e-3", "--seed", "7")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    workspace = taorunner.Workspace.create_example(root, images=24, held_out=4)
    assert taorunner.start(workspace, "shapes", "dataset_convert", "tiny").wait(timeout_s=120)
    return root


@pytest.fixture
def typed(cli: Cli, root: Path) -> Callable[..., Done]:
    return lambda *words: cli("-p", "shapes", *words, cwd=root)


def test_a_dry_run_shows_the_keys_that_the_options_become(typed: Callable[..., Done]) -> None:
    shown = typed("train", "tiny", *FOUR, "--dry-run")
    assert (shown.code, shown.err) == (0, "nothing was started\n")
    assert [line.split(None, 1)[1] for line in shown.out.splitlines() if line.startswith("knob ")] == [
        "--epochs 2 → train.num_epochs = 2",
        "--epochs 2 → train.checkpoint_interval = 2 (was 4)",
        "--batch-size 4 → train.batch_size = 4",
        "--lr 0.001 → train.learning_rate = 0.001",
        "--seed 7 → train.seed = 7",
    ]
    (body,) = typed("train", "tiny", "--epochs", "1", "--dry-run", "--json").json
    assert body["knobs"][0] == {"option": "--epochs 1", "key": "train.num_epochs", "value": "1", "was": None}


def test_the_network_trains_with_them_and_its_checkpoints_are_chosen_by_epoch_and_metric(
    typed: Callable[..., Done], root: Path
) -> None:
    more = ("--set", "train.checkpoint_interval=1", "--set", "train.validation_interval=1", "--plain")
    done = typed("train", "tiny", *FOUR, *more)
    assert done.code == 0, done.err
    train = root / "projects/shapes/models/tiny/train"
    first, last = sorted(train.glob("model_epoch_*.npz"))
    used = read_yaml((train / "experiment.yaml").read_text()).value["train"]
    assert (used["num_epochs"], used["batch_size"], used["learning_rate"], used["seed"]) == (2, 4, 0.001, 7)
    (run,) = (path for path in (root / ".taorunner/runs").iterdir() if "-train-" in path.name)
    assert [one["key"] for one in json.loads((run / "plan.json").read_text())["knobs"]] == [
        "train.num_epochs", "train.batch_size", "train.learning_rate", "train.seed",
    ]  # fmt: skip
    for named, path in (("latest", last), ("epoch=1", first), (f"train/{first.name}", first)):
        (body,) = typed("evaluate", "tiny", "--checkpoint", named, "--dry-run", "--json").json
        assert f"evaluate.checkpoint={path}" in body["argv"], named
    whole = last.read_bytes()
    last.write_bytes(whole[:-30])
    for named in ("best", "latest"):
        (body,) = typed("export", "tiny", "--checkpoint", named, "--dry-run", "--json").json
        assert f"export.checkpoint={first}" in body["argv"]
    last.write_bytes(whole)
    evaluated = typed("evaluate", "tiny", "--checkpoint", "best", "--plain")
    assert evaluated.code == 0 and '"tiny" reads model_epoch_' in evaluated.err
    assert ": best val_mAP50 " in evaluated.err
    refused = typed("evaluate", "tiny", "--checkpoint", "epoch=3")
    assert refused.code == 2 and "there are those of epoch 1, 2" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "tiny", "--epochs", "0"), '--epochs must be a whole number of at least 1, not "0"'),
        (("train", "tiny", "--lr", "nan"), '--lr must be a number above 0, not "nan"'),
        (("train", "tiny", "--lr", "-1"), '--lr must be a number above 0, not "-1"'),
        (("train", "tiny", "--seed", "1.5"), '--seed must be a whole number of at least 0, not "1.5"'),
        (
            ("train", "tiny", "--epochs", "3", "--set", "train.num_epochs=4"),
            '--epochs and "train.num_epochs" both set train.num_epochs',
        ),
        (("convert", "tiny", "--seed", "3"), "tinydet dataset_convert trains nothing: it has no --seed"),
        (("evaluate", "tiny", "--epoch", "3"), "no such option: --epoch"),
        (("evaluate", "tiny", "--checkpoint", "epoch=two"), '"epoch=two" names no epoch'),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_as_usage(
    words: tuple[str, ...], message: str, typed: Callable[..., Done]
) -> None:
    done = typed(*words, "--dry-run")
    assert done.code == 2 and message in done.err


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("train", {"--epochs", "--batch-size", "--lr", "--seed"}),
        ("resume", {"--epochs", "--batch-size", "--lr", "--seed"}),
        ("run", {"--epochs", "--batch-size", "--lr", "--seed"}),
        ("evaluate", {"--batch-size"}),
        ("prune", set()),
    ],
)
def test_help_shows_what_an_action_can_have(command: str, shown: set[str], cli: Cli) -> None:
    page = cli(command, "--help").out
    assert {word for word in ("--epochs", "--batch-size", "--lr", "--seed") if f"  {word} " in page} == shown
