"""Figures of masks equal those of pycocotools, from lists of detections and from what Mask R-CNN writes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coder
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from pytest import approx

from taorunner.errors import UserFilesError
from taorunner.evaluation import predictions
from taorunner.evaluation.result import Evaluation
from taorunner.evaluation.run import evaluate_predictions

SETS = int(os.environ.get("TAORUNNER_EVALUATIONS", "6"))
WIDTH, HEIGHT = 96, 64


def ellipse(draw: random.Random, box: tuple[float, float, float, float]) -> Any:
    """Run lengths of an ellipse in a box, x_min, y_min, x_max, y_max."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    x, y, a, b = (
        (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, max(1, box[2] - box[0]) / 2, max(1, box[3] - box[1]) / 2
    )  # fmt: skip
    inside = ((columns + 0.5 - x) / a) ** 2 + ((rows + 0.5 - y) / b) ** 2 <= 1
    packed = coder.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": packed["size"], "counts": packed["counts"].decode()}


def made_masks(root: Path, seed: int) -> Path:
    """A folder with annotations.json, images/ and results.json; polygons, run lengths, crowds, empty images."""
    draw = random.Random(seed)
    (root / "images").mkdir(parents=True)
    truth: dict[str, list[Any]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 3, "name": "cat"}, {"id": 9, "name": "dog"}],
    }
    results = []
    for number in range(1, draw.randrange(3, 9)):
        Image.new("RGB", (WIDTH, HEIGHT)).save(root / f"images/p{number}.png")
        truth["images"].append(
            {"id": number, "file_name": f"p{number}.png", "width": WIDTH, "height": HEIGHT}
        )
        for place in range(draw.randrange(5) or number == 1):
            x, y, w, h = draw.uniform(0, 60), draw.uniform(0, 40), draw.uniform(6, 34), draw.uniform(6, 22)
            kind = draw.choice([3, 9])
            is_crowd = draw.random() < 0.1
            if draw.random() < 0.4 and not is_crowd:
                outline: Any = [[x, y, x + w, y, x + w, y + h, x + w / 3, y + h]]
                drawn = coder.merge(coder.frPyObjects(outline, HEIGHT, WIDTH))
            else:
                outline = drawn = ellipse(draw, (x, y, x + w, y + h))
            truth["annotations"].append({
                "id": len(truth["annotations"]) + 1, "image_id": number, "category_id": kind, "iscrowd": int(is_crowd),
                "area": float(coder.area(drawn)), "segmentation": outline, "bbox": [float(v) for v in coder.toBbox(drawn)],
            })  # fmt: skip
            for _ in range(draw.choice([0, 1, 1, 2]) or (number == 1 and place == 0)):
                dx, dy = draw.gauss(0, 3), draw.gauss(0, 3)
                seen = kind if draw.random() < 0.9 else draw.choice([3, 9])
                mask = ellipse(draw, (x + dx, y + dy, x + w + dx, y + h + dy))
                if coder.area(mask):
                    results.append({
                        "image_id": number, "category_id": seen, "segmentation": mask, "score": round(draw.random(), 2),
                    })  # fmt: skip
    (root / "annotations.json").write_text(json.dumps(truth))
    (root / "results.json").write_text(json.dumps(results))
    return root


def reference(root: Path) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(root / "annotations.json"))
        measured = COCOeval(truth, truth.loadRes(str(root / "results.json")), "segm")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    return measured


@pytest.mark.parametrize("seed", range(SETS))
def test_figures_of_masks_equal_those_of_pycocotools(tmp_path: Path, seed: int) -> None:
    root = made_masks(tmp_path, seed)
    ours, theirs = evaluate_predictions(root / "results.json", root), reference(root)
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    expected = {**dict(zip(names, theirs.stats[:6], strict=True)), "AR100": theirs.stats[8]}
    assert dict(ours.overall) == {
        name: None if value < 0 else approx(value, abs=1e-9) for name, value in expected.items()
    }
    assert (ours.task, ours.confusion.unit, ours.protocol.name) == ("masks", "masks", "COCO, masks")
    if ours.overall["AP"] is not None:  # all objects are crowds
        assert {one["name"] for one in ours.metrics()} >= {"host/mask_AP50", "host/mask_AP"}


def per_image(root: Path, scale: float = 1.0) -> Path:
    """The results as Mask R-CNN's inference writes them: a file for each image, masks in a square input of its own."""
    labels = root / "out/labels"
    labels.mkdir(parents=True)
    side = int(max(WIDTH, HEIGHT) * scale)
    for number in range(1, 9):
        rows = []
        for row in json.loads((root / "results.json").read_text()):
            if row["image_id"] == number:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy 2, in pycocotools
                    pixels = coder.decode(row["segmentation"])
                canvas = np.zeros((side, side), np.uint8)
                large = np.repeat(np.repeat(pixels, int(scale), 0), int(scale), 1)
                canvas[: large.shape[0], : large.shape[1]] = large
                packed = coder.encode(np.asfortranarray(canvas))
                mask = {"size": packed["size"], "counts": packed["counts"].decode()}
                rows.append(
                    {**row, "image_id": f"/data/p{number}.png", "segmentation": mask, "bbox": [0, 0, 1, 1]}
                )
        if (root / f"images/p{number}.png").exists():
            (labels / f"p{number}.json").write_text(json.dumps(rows))
    return root / "out"


def test_a_file_for_each_image_in_the_size_of_the_network_gives_the_same(tmp_path: Path) -> None:
    root = made_masks(tmp_path / "a", 3)
    whole = evaluate_predictions(root / "results.json", root)
    done = evaluate_predictions(per_image(root, 2.0), root)
    assert done.overall == {name: approx(value) for name, value in whole.overall.items()}
    assert [one.code for one in done.findings] == ["prediction-mask-size"]


def changed(root: Path, **values: Any) -> Evaluation:
    rows = json.loads((root / "results.json").read_text())
    rows[0].update(values)
    (root / "results.json").write_text(json.dumps(rows))
    return evaluate_predictions(root / "results.json", root)


@pytest.mark.parametrize(
    "mask",
    [
        {"size": [HEIGHT, WIDTH], "counts": "zzzz"}, {"size": [HEIGHT, WIDTH], "counts": [1, 2]}, {"counts": "0"},
        {"size": [10**9, 10**9], "counts": [10**18]}, [[1, 2, 3]], [["a"] * 6], "x", 5,
        {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]},
    ],
)  # fmt: skip
def test_a_mask_that_is_none_is_left_out_with_a_finding(tmp_path: Path, mask: Any) -> None:
    done = changed(made_masks(tmp_path / "a", 3), segmentation=mask)
    assert [one.code for one in done.findings] == ["prediction-bad-mask"]


def test_predictions_without_a_mask_among_others_are_left_out(tmp_path: Path) -> None:
    done = changed(made_masks(tmp_path / "a", 3), segmentation=None, bbox=[1, 1, 9, 9])
    assert [one.code for one in done.findings] == ["prediction-no-mask"]


def test_a_truth_without_outlines_is_compared_by_boxes_and_one_with_some_is_refused(tmp_path: Path) -> None:
    root = made_masks(tmp_path / "a", 3)
    body = json.loads((root / "annotations.json").read_text())
    kept = body["annotations"]
    kept[0].pop("segmentation")
    kept[0]["iscrowd"] = 0
    (root / "annotations.json").write_text(json.dumps(body))
    with pytest.raises(UserFilesError, match="1 object without an outline"):
        evaluate_predictions(root / "results.json", root)
    for one in kept:
        one.pop("segmentation", None)
    (root / "annotations.json").write_text(json.dumps(body))
    done = evaluate_predictions(root / "results.json", root)
    assert (done.task, [one.code for one in done.findings]) == ("boxes", ["truth-no-masks"])


def test_the_line_for_an_image_without_objects_is_no_bad_line(made: Any) -> None:
    root = made(1)
    (root / "predicted/p0.txt").write_text("Empty\n")
    assert evaluate_predictions(root / "predicted", root).findings == ()


def test_files_of_images_are_bounded_together_and_links_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = made_masks(tmp_path / "a", 3)
    out = per_image(root)
    expected = evaluate_predictions(out, root)
    (tmp_path / "elsewhere.json").write_text("[]")
    (out / "labels/a-link.json").symlink_to(tmp_path / "elsewhere.json")
    (out / "labels/b-far.json").write_text('[{"category_id": 3, "bbox": [1e308, 1, 1e308, 1], "score": 1}]')
    (out / "status.json").write_text("{}")
    done = evaluate_predictions(out, root)
    assert done.overall == expected.overall
    assert {"prediction-no-file", "prediction-bad-box"} <= {one.code for one in done.findings}
    monkeypatch.setattr(predictions, "MOST_BYTES", 1000)
    with pytest.raises(UserFilesError, match="larger than 512 MiB together"):
        evaluate_predictions(out, root)
