"""Figures of an evaluation equal those of pycocotools; what it says beside them follows from the boxes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from pytest import approx

from taorunner.errors import MachineError
from taorunner.evaluation.result import Evaluation
from taorunner.evaluation.run import evaluate_predictions

SETS = int(os.environ.get("TAORUNNER_EVALUATIONS", "6"))
"""200 were tried by hand."""
LINE = "{} 0 0 0 {} {} {} {} 0 0 0 0 0 0 0 {}\n"


def reference(root: Path) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(root / "annotations.json"))
        measured = COCOeval(truth, truth.loadRes(str(root / "results.json")), "bbox")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    return measured


@pytest.mark.parametrize("seed", range(SETS))
def test_figures_equal_those_of_pycocotools(made: Any, seed: int) -> None:
    root = made(seed)
    ours, theirs = evaluate_predictions(root / ("predicted", "results.json")[seed % 2], root), reference(root)
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    figures = {name: ours.overall[name] for name in names} | {"AR100": ours.overall["AR100"]}
    expected = {**dict(zip(names, theirs.stats[:6], strict=True)), "AR100": theirs.stats[8]}
    assert figures == {
        name: None if value < 0 else approx(value, abs=1e-9) for name, value in expected.items()
    }
    precision = theirs.eval["precision"][:, :, :, 0, -1]
    for place, one in enumerate(ours.per_class):
        assert one.figures["AP"] == approx(precision[:, :, place].mean(), abs=1e-9)
        assert one.figures["AP50"] == approx(precision[0, :, place].mean(), abs=1e-9)


def scored(tmp_path: Path, made: Any, labels: dict[str, str], **options: Any) -> Evaluation:
    """Predictions of the two images of a set, whose truth is one bolt in the first and one Nut in the second."""
    root = made(1, images=2)
    truth = {
        "images": [
            {"id": number, "file_name": f"p{number}.jpg", "width": 640, "height": 480} for number in (0, 1)
        ],
        "categories": [{"id": 1, "name": "bolt"}, {"id": 2, "name": "Nut"}, {"id": 3, "name": "unused"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "bbox": [10, 10, 100, 100], "area": 1e4, "iscrowd": 0},
            {
                "id": 2,
                "image_id": 1,
                "category_id": 2,
                "bbox": [200, 200, 50, 50],
                "area": 2500,
                "iscrowd": 0,
            },
        ],
    }
    (root / "annotations.json").write_text(json.dumps(truth))
    folder = tmp_path / "predicted"
    folder.mkdir()
    for name, text in labels.items():
        (folder / name).write_text(text)
    return evaluate_predictions(folder, root, **options)


def test_what_is_right_wrong_missed_and_confused(tmp_path: Path, made: Any) -> None:
    one = LINE.format("bolt", 10, 10, 110, 110, 0.9) + LINE.format("bolt", 400, 300, 500, 400, 0.2)
    done = scored(tmp_path, made, {"p0.txt": one, "p1.txt": LINE.format("bolt", 200, 200, 250, 250, 0.8)})
    bolt, nut, unused = done.per_class
    assert (bolt.truths, bolt.figures["AP50"], bolt.figures["best_f1"], bolt.at_score) == (
        1,
        approx(1),
        1.0,
        0.9,
    )
    assert (nut.truths, nut.figures["AP50"], nut.figures["best_f1"], nut.at_score) == (1, 0.0, 0.0, None)
    assert (unused.truths, unused.figures["AP"], unused.figures["best_f1"]) == (0, None, None)
    assert done.overall["AP50"] == approx(0.5)
    assert done.confusion.score == 0.9
    assert done.confusion.matrix == ((1, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0), (0, 0, 0, 0))
    assert [(one.image, one.counts) for one in done.worst] == [("images/p1.jpg", {"tp": 0, "fp": 0, "fn": 1})]
    assert done.pr["bolt"][0] == (0.0, 1.0, 0.9) and done.pr["Nut"] == ()
    assert done.errors["Cls"] > 0


def test_a_sure_box_where_the_truth_says_another_class_is_a_suspect(tmp_path: Path, made: Any) -> None:
    texts = {
        "p0.txt": LINE.format("bolt", 10, 10, 110, 110, 0.6) + LINE.format("Nut", 400, 300, 500, 400, 0.97),
        "p1.txt": LINE.format("bolt", 201, 200, 250, 250, 0.95),
    }
    done = scored(tmp_path, made, texts)
    assert [(one.image, one.kind, one.predicted, one.truth, one.score) for one in done.label_suspects] == [
        ("images/p0.jpg", "missing_annotation", "Nut", None, 0.97),
        ("images/p1.jpg", "wrong_label", "bolt", "Nut", 0.95),
    ]
    assert done.label_suspects[1].box == (201, 200, 250, 250)


@pytest.mark.parametrize(
    ("right", "doubtful"), [(0.9, 0.7), (0.3, 0.4)], ids=["below the best score", "not sure"]
)
def test_a_box_below_the_score_with_the_best_f1_or_that_is_not_sure_is_no_suspect(
    right: float, doubtful: float, tmp_path: Path, made: Any
) -> None:
    text = LINE.format("bolt", 10, 10, 110, 110, right) + LINE.format("Nut", 400, 300, 500, 400, doubtful)
    done = scored(tmp_path, made, {"p0.txt": text, "p1.txt": ""})
    assert (done.confusion.score, done.label_suspects) == (right, ())


def test_of_images_with_as_many_mistakes_the_one_with_fewer_right_boxes_is_worse(
    tmp_path: Path, made: Any
) -> None:
    """A missed object is a mistake as a wrong box is, and a box with the very score of the best F1 counts."""
    text = LINE.format("bolt", 10, 10, 110, 110, 0.9) + LINE.format("Nut", 400, 300, 500, 400, 0.95)
    done = scored(tmp_path, made, {"p0.txt": text, "p1.txt": ""})
    assert done.confusion.score == 0.9
    assert [(one.image, one.counts) for one in done.worst] == [
        ("images/p1.jpg", {"tp": 0, "fp": 0, "fn": 1}),
        ("images/p0.jpg", {"tp": 1, "fp": 1, "fn": 0}),
    ]


def test_images_in_which_nothing_was_found_count(tmp_path: Path, made: Any) -> None:
    done = scored(tmp_path, made, {"p0.txt": "", "p1.txt": ""})
    assert (done.overall["AP"], done.missing, len(done.worst)) == (0.0, 0, 2)


def test_regions_that_do_not_count_forgive_what_lies_in_them(tmp_path: Path) -> None:
    from PIL import Image

    for folder in ("truth/images", "truth/labels", "predicted"):
        (tmp_path / folder).mkdir(parents=True)
    Image.new("RGB", (640, 480)).save(tmp_path / "truth/images/a.png")
    row = "{} 0.00 0 0.00 {} {} {} {} 0 0 0 0 0 0 0\n"
    (tmp_path / "truth/labels/a.txt").write_text(
        row.format("Car", 10, 10, 60, 60) + row.format("DontCare", 300, 300, 600, 470)
    )
    lines = LINE.format("car", 10, 10, 60, 60, 0.5) + LINE.format("car", 350, 350, 400, 400, 0.9)
    (tmp_path / "predicted/a.txt").write_text(lines)
    done = evaluate_predictions(tmp_path / "predicted", tmp_path / "truth")
    (car,) = done.per_class
    assert (car.name, car.truths, car.figures["AP"], car.figures["best_f1"], car.at_score) == (
        "Car",
        1,
        approx(1),
        1.0,
        0.5,
    )


def test_the_missing_extra_is_named(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    root = made(2, images=2)
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    with pytest.raises(MachineError) as caught:
        evaluate_predictions(root / "predicted", root)
    assert caught.value.hint == "pip install 'taorunner[evaluation]'"
