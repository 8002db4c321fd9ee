"""``--checkpoint best``, ``latest`` and ``epoch=N``: which file that is, and what is said where there is none."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.contracts import Contract
from taorunner.errors import UsageError
from taorunner.planning.checkpoints.checkpoint_choice import (
    Choice,
    check_choice,
    chosen_checkpoint,
    is_choice,
)
from taorunner.planning.model.epoch_scores import EpochScores

DINO = load_network("dino").contract("train", "7.0.1")
MAP = EpochScores("val_mAP50", False, {1: 0.1, 2: 0.4, 3: 0.3, 4: 0.4}, ("val_mAP50", "val_loss"))


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", bytes(4000))
    return buffer.getvalue()


def file_of(results: Path, epoch: int) -> Path:
    """As dino names them: from 0."""
    return results / f"train/model_epoch_{epoch - 1:03}_step_{epoch * 10:05}.pth"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "train").mkdir()
    for epoch in (1, 2, 3):
        file_of(tmp_path, epoch).write_bytes(archive())
    return tmp_path


def choose(results: Path, named: str, scores: EpochScores | None = MAP, training: Contract = DINO) -> Choice:
    return chosen_checkpoint(training, results, named, "e1", lambda _experiment: scores)


def refusal(choice: Choice) -> tuple[str, str]:
    (finding,) = choice.findings
    assert choice.path is None and finding.is_error
    return finding.message, finding.hint or ""


def test_the_best_is_the_first_with_the_best_value(results: Path) -> None:
    file_of(results, 4).write_bytes(archive())
    assert choose(results, "best") == Choice(file_of(results, 2), "best val_mAP50 0.4, epoch 2")


def test_of_a_metric_that_should_be_low_the_lowest_is_the_best(results: Path) -> None:
    scores = EpochScores("fid50k_full", True, {1: 30.0, 2: 21.5, 3: 22.0}, ("fid50k_full",))
    assert choose(results, "best", scores) == Choice(file_of(results, 2), "best fid50k_full 21.5, epoch 2")


def test_the_best_of_the_whole_files_is_taken_and_the_better_one_is_said(results: Path) -> None:
    best = file_of(results, 2)
    best.write_bytes(archive()[:-40])
    assert choose(results, "best") == Choice(
        file_of(results, 3), "best val_mAP50 0.3, epoch 3 (0.4 at epoch 2, which has no whole checkpoint)"
    )
    best.unlink()
    assert choose(results, "best").path == file_of(results, 3)


def test_the_best_is_refused_without_a_direction(results: Path) -> None:
    message, hint = refusal(choose(results, "best", EpochScores(None, names=("iterations", "lr"))))
    assert (
        message
        == '"best" has no meaning here: no direction is known for the metrics of dino (iterations, lr)'
    )
    assert hint == "--checkpoint latest, or epoch=N with 1, 2, 3"


@pytest.mark.parametrize("scores", [None, EpochScores(None)])
def test_the_best_is_refused_without_a_record(results: Path, scores: EpochScores | None) -> None:
    message, _ = refusal(choose(results, "best", scores))
    assert message == 'no run on record has a metric of the training of "e1"'


def test_the_best_is_refused_where_no_file_is_of_a_measured_epoch(results: Path) -> None:
    message, _ = refusal(choose(results, "best", EpochScores("val_mAP50", False, {9: 0.5}, ("val_mAP50",))))
    assert message == "no checkpoint that is there is of an epoch with val_mAP50: there are 1, 2, 3"


def test_the_latest_is_the_newest_whole_one(results: Path) -> None:
    assert choose(results, "latest") == Choice(file_of(results, 3), "the newest whole checkpoint, of epoch 3")
    file_of(results, 3).write_bytes(archive()[:-40])
    found = choose(results, "latest")
    assert found.path == file_of(results, 2)
    assert [one.code for one in found.findings] == ["checkpoint-torn"]


def test_an_epoch_is_that_of_the_name_counted_from_one(results: Path) -> None:
    assert choose(results, "epoch=2") == Choice(file_of(results, 2), "epoch 2")
    assert choose(results, "epoch=002").path == file_of(results, 2)
    message, hint = refusal(choose(results, "epoch=7"))
    assert message == f"there is no checkpoint of epoch 7 in {results}"
    assert hint == "there are those of epoch 1, 2, 3"
    file_of(results, 2).write_bytes(archive()[:-40])
    message, hint = refusal(choose(results, "epoch=2"))
    assert message.endswith("is incomplete: it was cut off while it was written")
    assert hint == "there are those of epoch 1, 3"


def test_of_many_epochs_the_first_and_the_last_are_named(results: Path) -> None:
    for epoch in range(4, 41):
        file_of(results, epoch).write_bytes(archive())
    assert refusal(choose(results, "epoch=99"))[1] == (
        "there are those of epoch 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, … 40"
    )


def test_without_any_checkpoint_the_training_is_named(tmp_path: Path) -> None:
    for named in ("best", "latest", "epoch=1"):
        message, hint = refusal(choose(tmp_path, named))
        assert message == f"there is no checkpoint in {tmp_path}" and hint == "taorunner train e1"


def test_a_network_whose_files_are_not_known_says_so(tmp_path: Path) -> None:
    stylegan = load_network("stylegan_xl").contract("train")
    message, hint = refusal(choose(tmp_path, "latest", training=stylegan))
    assert message == "which files of stylegan_xl are checkpoints is not known: their names were not verified"
    assert hint == "name a file: --checkpoint FILE"


@pytest.mark.parametrize("named", ["epoch=", "epoch=x", "epoch=0", "epoch=-1", "epoch=1.5", "epoch=1 "])
def test_an_epoch_without_its_number_is_refused(named: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_choice(named)
    assert caught.value.message == f'"{named}" names no epoch'


def test_a_path_is_no_choice() -> None:
    assert not any(map(is_choice, ("./best", "best.pth", "weights/latest", "epoch_3.pth", "")))
    check_choice("./epoch=x")
