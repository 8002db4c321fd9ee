"""Which checkpoints ``--keep-checkpoints`` removes, and that nothing else can be removed by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.errors import UsageError
from taorunner.planning.checkpoints.checkpoint_files import epoch_of, find_checkpoints
from taorunner.planning.model.epoch_scores import EpochScores
from taorunner.runs.outputs.old_checkpoints import (
    KeepRule,
    old_checkpoints,
    parse_keep_rule,
    remove_checkpoint,
)

CONTRACT = load_network("tinydet").contract("train").checkpoints
VALUES = EpochScores("mAP", values={1: 0.1, 2: 0.9, 3: 0.5, 4: 0.6, 5: 0.4}, is_lower_better=False)
Make = Callable[..., Path]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "e/train").mkdir(parents=True)
    for epoch in range(1, 6):
        (tmp_path / "e/train" / name(epoch)).write_bytes(b"PK\x03\x04 weights")
    return tmp_path / "e"


def name(epoch: int) -> str:
    return f"model_epoch_{epoch - 1:03}_step_00010.npz"


def removed(results: Path, rule: str, measured: EpochScores | None = VALUES, **more: object) -> list[int]:
    """The epochs of what the rule does not keep."""
    found = find_checkpoints(results, CONTRACT)
    old = old_checkpoints(found, results, CONTRACT, parse_keep_rule(rule), measured, **more)  # type: ignore[arg-type]
    return [int(one.path.name[12:15]) + 1 for one in old]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("last:1", [1, 3, 4]),  # 2 is the best, 5 the newest
        ("last:2", [1, 3]),
        ("last:4", [1]),
        ("last:9", []),
        ("best:1", [1, 3, 4]),
        ("best:2", [1, 3]),
        ("best:9", []),
    ],
)
def test_the_best_and_the_newest_always_stay(results: Path, rule: str, expected: list[int]) -> None:
    assert removed(results, rule) == expected


def test_lower_values_may_be_better(results: Path) -> None:
    loss = EpochScores("mAP", values=VALUES.values, is_lower_better=True)
    assert removed(results, "best:1", loss) == [2, 3, 4]


def test_of_equal_epochs_the_one_stays_that_counts_as_the_best(results: Path) -> None:
    equal = EpochScores("mAP", values={1: 0.1, 2: 0.9, 3: 0.9, 4: 0.2, 5: 0.1})
    assert equal.best_of({2, 3}) == 2
    assert removed(results, "best:1", equal) == [1, 3, 4]


def test_without_a_metric_nothing_is_best(results: Path) -> None:
    assert removed(results, "best:1", None) == []
    assert removed(results, "last:2", None) == [1, 2, 3]


def test_while_it_runs_the_last_two_and_what_is_not_measured_stay(results: Path) -> None:
    assert removed(results, "last:1", is_running=True) == [1, 3]
    early = EpochScores("mAP", values={1: 0.1, 2: 0.2}, is_lower_better=False)
    assert removed(results, "best:1", early, is_running=True) == [1]
    assert removed(results, "best:1", early) == [1, 3, 4]


def test_what_a_training_resumes_from_stays(results: Path) -> None:
    assert removed(results, "last:1", resumed_from=results / "train" / name(3)) == [1, 4]
    (results / "train/tinydet_model_latest.npz").symlink_to(name(4))
    assert removed(results, "last:1") == [1, 3]


def test_not_a_number_is_never_the_best(results: Path) -> None:
    odd = EpochScores("mAP", values={1: float("nan"), 2: 0.2, 3: 0.1}, is_lower_better=False)
    assert removed(results, "best:1", odd) == [1, 3, 4]


@pytest.mark.parametrize(
    ("network", "action", "step"), [("dino", "train", "_step_00010"), ("radio", "distill", "")]
)
def test_what_tao_keeps_as_the_best_stays(tmp_path: Path, network: str, action: str, step: str) -> None:
    """nvidia-tao-pytorch 7.1.0 and later, with train.checkpointer.enable_topk."""
    contract = load_network(network).contract(action, "7.1.0").checkpoints
    (tmp_path / action).mkdir()
    names = ["model_best_001.pth", *(f"model_epoch_{epoch:03}{step}.pth" for epoch in range(5))]
    for file in names:
        (tmp_path / action / file).write_bytes(b"PK\x03\x04 weights")
    found = find_checkpoints(tmp_path, contract)
    assert [epoch_of(path, contract) for path in found if path.name == "model_best_001.pth"] == [2]
    old = old_checkpoints(found, tmp_path, contract, parse_keep_rule("last:1"), None)
    assert [one.path.name for one in old] == [f"model_epoch_{epoch:03}{step}.pth" for epoch in range(4)]


def test_moving_averages_stay_with_the_weights_of_their_epoch(tmp_path: Path) -> None:
    """As rtdetr writes them with train.enable_ema; its link names the average."""
    contract = load_network("rtdetr").contract("train", "7.0.1").checkpoints
    (tmp_path / "train").mkdir()
    for epoch in range(4):
        for ending in ("", "-EMA"):
            (tmp_path / f"train/model_epoch_{epoch:03}{ending}.pth").write_bytes(b"PK\x03\x04 weights")
    (tmp_path / "train/rtdetr_model_latest.pth").symlink_to("model_epoch_003-EMA.pth")
    found = find_checkpoints(tmp_path, contract)
    assert {epoch_of(path, contract) for path in found} == {1, 2, 3, 4}
    measured = EpochScores("mAP", values={1: 0.1, 2: 0.9, 3: 0.5, 4: 0.6}, is_lower_better=False)
    old = old_checkpoints(found, tmp_path, contract, parse_keep_rule("last:1"), measured)
    assert sorted(one.path.name for one in old) == [
        "model_epoch_000-EMA.pth", "model_epoch_000.pth", "model_epoch_002-EMA.pth", "model_epoch_002.pth",
    ]  # fmt: skip


def test_only_what_the_catalog_calls_a_checkpoint_is_old(results: Path) -> None:
    (results / "train/notes_epoch_000.npz").write_text("mine")
    (results / "train" / name(1)).unlink()
    (results / "train" / name(1)).mkdir()
    (results / "train" / name(3)).unlink()
    (results / "train" / name(3)).symlink_to(results / "train" / name(4))
    assert removed(results, "last:1") == [4]


@pytest.mark.parametrize(
    "text", ["", "last", "last:", "last:0", "last:-1", "worst:2", "best:2x", "LAST:2", "last:99999"]
)
def test_a_wrong_rule_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="last:N or best:N") as caught:
        parse_keep_rule(text)
    assert caught.value.hint == "for example --keep-checkpoints last:3"


def test_a_rule_is_read() -> None:
    assert (parse_keep_rule("last:3"), parse_keep_rule(" best:12 ")) == (
        KeepRule(3),
        KeepRule(12, is_best=True),
    )
    assert (KeepRule(3).text, KeepRule(12, is_best=True).text) == ("last:3", "best:12")


def test_removal_passes_over_links_and_what_is_gone(results: Path, tmp_path: Path) -> None:
    kept = tmp_path / "precious.npz"
    kept.write_text("precious")
    linked = results / "train" / name(6)
    linked.symlink_to(kept)
    first = results / "train" / name(1)
    paths = (first, linked, results / "train" / name(9))
    assert [remove_checkpoint(results, path) for path in paths] == [True, False, False]
    assert kept.read_text() == "precious" and linked.is_symlink() and not first.exists()


def test_a_folder_that_became_a_link_leads_nowhere(results: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (results / "train").rename(elsewhere)
    (results / "train").symlink_to(elsewhere)
    assert not remove_checkpoint(results, results / "train" / name(1))
    assert (elsewhere / name(1)).exists()
