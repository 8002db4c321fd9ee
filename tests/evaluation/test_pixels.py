"""Masks of classes are compared pixel by pixel."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hotcoco.semantic import SemanticEval
from nested_folders import nested_folders
from PIL import Image
from pytest import approx

from taorunner.errors import TaorunnerError
from taorunner.evaluation import pixels
from taorunner.evaluation.predictions import Written
from taorunner.evaluation.run import evaluate_predictions

SETS = int(os.environ.get("TAORUNNER_EVALUATIONS", "4"))
COLOURS = np.array([[0, 0, 0], [200, 10, 10], [10, 200, 10], [10, 10, 200]], np.uint8)


def drawn(draw: random.Random, width: int = 40, height: int = 30) -> Any:
    pixels = np.zeros((height, width), np.uint8)
    for value in (1, 2, 3):
        x, y = draw.randrange(width), draw.randrange(height)
        pixels[y : y + draw.randrange(1, 15), x : x + draw.randrange(1, 20)] = value
    return pixels


def made_masks(root: Path, seed: int, *, colour: bool = False) -> list[tuple[Any, Any]]:
    """A dataset of images/val and masks/val, predictions in out/mask_labels, and the arrays."""
    draw, arrays = random.Random(seed), []
    for folder in ("truth/images/val", "truth/masks/val", "out/mask_labels"):
        (root / folder).mkdir(parents=True)
    for number in range(4):
        truth = drawn(draw)
        found = np.where(
            np.array([[draw.random() < 0.1 for _ in row] for row in truth]), drawn(draw), truth
        ).astype(np.uint8)
        Image.new("RGB", (40, 30)).save(root / f"truth/images/val/{number}.png")
        for values, place in ((truth, "truth/masks/val"), (found, "out/mask_labels")):
            Image.fromarray(COLOURS[values] if colour else values).save(root / place / f"{number}.png")
        arrays.append((truth, found))
    return arrays


@pytest.mark.parametrize("seed", range(SETS))
def test_figures_equal_those_of_hotcoco(tmp_path: Path, seed: int) -> None:
    theirs = SemanticEval(4)
    for truth, found in made_masks(tmp_path, seed):
        theirs.update(truth, found)
    metrics = theirs.report()["metrics"]
    done = evaluate_predictions(tmp_path / "out", tmp_path / "truth")
    assert (done.task, done.findings, done.data.images) == ("pixels", (), 4)
    assert done.overall["mIoU"] == approx(metrics["mIoU"], abs=1e-12)
    assert done.overall["accuracy"] == approx(metrics["aAcc"], abs=1e-12)
    assert [list(row[:4]) for row in done.confusion.matrix[:4]] == np.asarray(theirs.confusion()).tolist()
    assert [one.share for one in done.worst] == sorted(
        one.share for one in done.worst if one.share is not None
    )
    assert {one["name"] for one in done.metrics()} >= {"host/mIoU", "host/IoU/1"}


def test_colours_are_classes_and_classes_txt_names_gray_values(tmp_path: Path) -> None:
    made_masks(tmp_path / "gray", 1)
    made_masks(tmp_path / "colour", 1, colour=True)
    (tmp_path / "gray/truth/classes.txt").write_text("background\ncar\n")
    gray, colour = (
        evaluate_predictions(tmp_path / one / "out", tmp_path / one / "truth") for one in ("gray", "colour")
    )
    assert colour.overall == gray.overall
    assert [one.name for one in gray.per_class] == ["background", "car", "2", "3"]
    assert {one.name for one in colour.per_class} == {
        "0",
        "#c80a0a",
        "#0ac80a",
        "#0a0ac8",
    }


def test_masks_in_the_size_of_the_network_are_stretched(tmp_path: Path) -> None:
    made_masks(tmp_path, 2)
    whole = evaluate_predictions(tmp_path / "out", tmp_path / "truth")
    for path in (tmp_path / "out/mask_labels").iterdir():
        image = Image.open(path)
        image.resize((80, 90), Image.Resampling.NEAREST).save(path)
    done = evaluate_predictions(tmp_path / "out", tmp_path / "truth")
    assert done.overall == whole.overall
    assert [(one.code, one.message.split(" ")[0]) for one in done.findings] == [("mask-size", "4")]


def test_bad_and_missing_masks_are_counted(tmp_path: Path) -> None:
    made_masks(tmp_path, 3)
    out = tmp_path / "out/mask_labels"
    (out / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nbad")
    (out / "1.png").unlink()
    (out / "2.png").unlink()
    (out / "2.png").symlink_to("/etc/passwd")
    done = evaluate_predictions(tmp_path / "out", tmp_path / "truth")
    assert [(one.code, one.message.split(" ")[0]) for one in done.findings] == [
        ("mask-unreadable", "1"), ("prediction-missing", "2"),
    ]  # fmt: skip
    assert (done.missing, sum(map(sum, done.confusion.matrix))) == (2, 30 * 40)


def test_masks_that_keep_no_values_and_masks_of_one_name_are_refused(tmp_path: Path) -> None:
    made_masks(tmp_path, 3)
    out = tmp_path / "out/mask_labels"
    Image.open(out / "0.png").save(out / "0.bmp")
    with pytest.raises(TaorunnerError, match="masks of one name"):
        evaluate_predictions(tmp_path / "out", tmp_path / "truth")
    for path in list(out.iterdir()):
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    with pytest.raises(TaorunnerError, match="JPEG"):
        evaluate_predictions(tmp_path / "out", tmp_path / "truth")
    for path in list(out.iterdir()):
        path.unlink()
    with pytest.raises(TaorunnerError, match="there is no mask"):
        evaluate_predictions(tmp_path / "out", tmp_path / "truth")


def test_images_without_a_mask_are_no_truth(tmp_path: Path) -> None:
    made_masks(tmp_path, 3)
    (tmp_path / "truth/images/test").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "truth/images/test/9.png")
    assert evaluate_predictions(tmp_path / "out", tmp_path / "truth").data.images == 4


def test_two_images_of_one_stem_in_two_subsets_are_refused_unless_one_is_named(tmp_path: Path) -> None:
    made_masks(tmp_path, 3)
    truth = tmp_path / "truth"
    for kind in ("images", "masks"):
        (truth / kind / "train").mkdir()
        (truth / kind / "train/0.png").write_bytes((truth / kind / "val/0.png").read_bytes())
    with pytest.raises(TaorunnerError, match='share the mask "0"'):
        evaluate_predictions(tmp_path / "out", truth)
    assert evaluate_predictions(tmp_path / "out", truth, split="val").data.images == 4


def test_what_a_container_leaves_in_the_place_of_masks_is_left_out(tmp_path: Path) -> None:
    made_masks(tmp_path, 2)
    results, root = tmp_path / "out", tmp_path / "truth"
    expected = evaluate_predictions(results, root)
    masks = results / "mask_labels"
    (masks / "a-link.png").symlink_to(masks / "0.png")
    os.mkfifo(masks / "a-pipe.png")
    (masks / "of a folder.png").mkdir()
    with nested_folders(masks):
        done = evaluate_predictions(results, root, written=Written(root=results))
        assert (done.overall, done.findings) == (expected.overall, ())
    masks.rename(tmp_path / "elsewhere")
    masks.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TaorunnerError, match="there is no mask"):
        evaluate_predictions(results, root, written=Written(root=results))


def test_a_mask_without_bounds_is_left_out(tmp_path: Path) -> None:
    made_masks(tmp_path, 2)
    Image.new("1", (20_000, 5_001)).save(tmp_path / "out/mask_labels/0.png")
    done = evaluate_predictions(tmp_path / "out", tmp_path / "truth")
    assert [(one.code, one.file) for one in done.findings] == [
        ("mask-unreadable", tmp_path / "out/mask_labels/0.png")
    ]


def test_more_files_than_an_inference_writes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_masks(tmp_path, 2)
    monkeypatch.setattr(pixels, "MOST_FILES", 3)
    with pytest.raises(TaorunnerError, match="more than 3 masks are in"):
        evaluate_predictions(tmp_path / "out", tmp_path / "truth")


def test_noise_is_no_mask_of_classes(tmp_path: Path) -> None:
    made_masks(tmp_path, 2)
    for folder in ("truth/masks/val", "out/mask_labels"):
        noise = np.random.default_rng(1).integers(0, 256, (1100, 1100, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / folder / "0.png")
    with pytest.raises(TaorunnerError, match="more than a million pairs of values"):
        evaluate_predictions(tmp_path / "out", tmp_path / "truth")


def test_a_folder_of_masks_behind_a_link_is_not_read(tmp_path: Path) -> None:
    """A container made the link; what it leads to is not its."""
    made_masks(tmp_path, 1)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/mask_labels").rename(tmp_path / "elsewhere/mask_labels")
    (tmp_path / "out/mask_labels").symlink_to(tmp_path / "elsewhere/mask_labels")
    with pytest.raises(TaorunnerError, match="there is no mask in"):
        evaluate_predictions(tmp_path / "out", tmp_path / "truth")


def test_masks_with_negative_values_have_classes_of_their_own(tmp_path: Path) -> None:
    made_masks(tmp_path, 1)
    for number in range(4):
        (tmp_path / f"out/mask_labels/{number}.png").unlink()
        Image.new("I", (40, 30), -number).save(tmp_path / f"out/mask_labels/{number}.tif", "TIFF")
    done = evaluate_predictions(tmp_path / "out", tmp_path / "truth")
    assert done.per_class[0].name == "0" and len(done.per_class) == 4
