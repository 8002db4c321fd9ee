"""Predictions are put beside the right images and classes, or it is said why they are not."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from nested_folders import nested_folders

from taorunner.errors import TaorunnerError
from taorunner.evaluation.predictions import Written
from taorunner.evaluation.run import evaluate_predictions

ROW = "bolt 0 0 0 1 1 50 50 0 0 0 0 0 0 0 0.5\n"


def codes(done: Any) -> list[str]:
    return [finding.code for finding in done.findings]


def refusal(*words: Any, **options: Any) -> tuple[str, str | None, int]:
    with pytest.raises(TaorunnerError) as caught:
        evaluate_predictions(*words, **options)
    return caught.value.message, caught.value.hint, caught.value.exit_code


def test_lines_that_cannot_be_used_are_counted_with_the_first_place(made: Any) -> None:
    root = made(1)
    label = root / "predicted/p0.txt"
    label.write_text(
        ROW + "\n" + "bolt 0 0 0 1 1 50 50 0 0 0 0 0 0 0\n" * 2 + "bolt 0.5 x\n" + ROW.replace("50", "nan")
        + ROW.replace("1 1 50 50", "50 50 1 1")
    )  # fmt: skip
    done = evaluate_predictions(root / "predicted", root)
    found = {one.code: (one.message.split(" left")[0], one.file, one.line) for one in done.findings}
    assert found == {
        "prediction-no-score": ("2 predictions", label, 3),
        "prediction-bad-line": ("2 predictions", label, 5),
        "prediction-bad-box": ("1 prediction", label, 7),
    }


def test_what_a_container_leaves_in_the_place_of_labels_is_left_out_by_name(
    made: Any, tmp_path: Path
) -> None:
    root, results = made(1), tmp_path / "models/e1"
    labels = results / "inference/labels"
    shutil.copytree(root / "predicted", labels)
    expected = evaluate_predictions(labels, root).overall
    (tmp_path / "elsewhere.txt").write_text(ROW)
    (labels / "a-link.txt").symlink_to(tmp_path / "elsewhere.txt")
    os.mkfifo(labels / "a-pipe.txt")
    (labels / "b-large.txt").write_bytes(ROW.encode() * 250_000)
    (labels / "c-long-name.txt").write_text("x" * 1_000_000 + ROW)
    (labels / "q-classes.txt").write_text("".join(f"{number}{ROW}" for number in range(12_000)))
    (labels / "e-far.txt").write_text(ROW.replace("1 1 50 50", "-1e308 1 1e308 1e308"))
    (labels / os.fsdecode(b"f-\xff-\x1b[2J.txt")).write_text(ROW)
    (labels / "g" / "of a folder.txt").mkdir(parents=True)
    with nested_folders(labels):
        for place in (results, labels):
            done = evaluate_predictions(place, root, written=Written(root=results))
            assert done.overall == expected
            found = [one for one in done.findings if one.code.startswith("prediction-")]
            assert [one.code for one in found] == [
                "prediction-no-file", "prediction-large-file", "prediction-bad-line", "prediction-bad-box",
                "prediction-many-classes", "prediction-unknown-image", "prediction-unknown-class",
            ]  # fmt: skip
            assert all(len(one.message) < 400 and "\x1b" not in one.message for one in found)
        json.dumps(done.to_json(), allow_nan=False)


@pytest.mark.parametrize("folder", ["inference", "inference/labels"])
def test_a_link_in_the_place_of_a_folder_of_labels_is_not_followed(
    made: Any, tmp_path: Path, folder: str
) -> None:
    root, results = made(1), tmp_path / "models/e1"
    (results / folder).parent.mkdir(parents=True)
    (results / folder).symlink_to(root / "predicted")
    message, _, code = refusal(results / "inference", root, written=Written(root=results))
    assert (message, code) == (f'there is no label file (.txt) in "{results}/inference"', 3)


def test_the_folder_of_an_inference_is_found_below_the_results(made: Any, tmp_path: Path) -> None:
    root = made(1)
    results = tmp_path / "models/e1"
    shutil.copytree(root / "predicted", results / "inference/labels")
    for place in (results, results / "inference", results / "inference/labels"):
        assert (
            evaluate_predictions(place, root).overall
            == evaluate_predictions(root / "results.json", root).overall
        )


def test_images_without_a_label_file_are_named_and_count_as_empty(made: Any) -> None:
    root = made(3)
    whole = evaluate_predictions(root / "predicted", root)
    (root / "predicted/p4.txt").unlink()
    (root / "predicted/other.txt").write_text(ROW)
    done = evaluate_predictions(root / "predicted", root)
    assert (codes(done), done.missing) == (["prediction-unknown-image", "prediction-missing"], 1)
    assert "p4.jpg" in done.findings[1].message and '"other"' in done.findings[0].message
    assert sum(one.truths for one in done.per_class) == sum(one.truths for one in whole.per_class)


def test_images_of_one_name_in_two_folders_are_told_apart_by_the_folder_or_refused(
    made: Any, tmp_path: Path
) -> None:
    root, labels = made(1), tmp_path / "predicted"
    document = json.loads((root / "annotations.json").read_text())
    for image in document["images"]:
        old, number = image["file_name"], image["id"]
        image["file_name"] = f"day{number % 2}/{'same' if number < 102 else number}.jpg"
        (root / "images" / image["file_name"]).parent.mkdir(exist_ok=True)
        (root / "images" / old).rename(root / "images" / image["file_name"])
        to = labels / Path(image["file_name"]).with_suffix(".txt")
        to.parent.mkdir(parents=True, exist_ok=True)
        (root / "predicted" / old).with_suffix(".txt").rename(to)
    (root / "annotations.json").write_text(json.dumps(document))
    assert evaluate_predictions(labels, root).missing == 0
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in labels.rglob("*.txt"):
        shutil.copy(path, flat / path.name)
    message, hint, code = refusal(flat, root)
    assert message.startswith('"same" can be the label file of "') and "day0/same.jpg" in message
    assert (hint, code) == ("give images of one name different names, or evaluate one subset: --split val", 3)


def test_classes_are_matched_by_name_map_and_case_never_by_number(made: Any) -> None:
    root = made(4)
    for path in (root / "predicted").iterdir():
        path.write_text(path.read_text().replace("Nut", "nut").replace("traffic light", "lamp"))
    done = evaluate_predictions(root / "predicted", root)
    assert codes(done) == ["prediction-unknown-class"]
    assert '"lamp" (' in done.findings[0].message and done.findings[0].hint is not None
    assert done.findings[0].hint.startswith("--map lamp=bolt")
    mapped = evaluate_predictions(root / "predicted", root, mapped={"lamp": "traffic light"})
    assert (codes(mapped), mapped.overall) == ([], evaluate_predictions(root / "results.json", root).overall)
    assert refusal(root / "predicted", root, mapped={"lamb": "bolt"})[1:] == ('did you mean "lamp"?', 2)
    assert refusal(root / "predicted", root, mapped={"lamp": "Nuts"})[1:] == ('did you mean "Nut"?', 2)


def test_only_inferred_subsets_count_and_one_can_be_named(made: Any) -> None:
    root = made(5)
    document = json.loads((root / "annotations.json").read_text())
    for subset, numbers in (("train", range(100, 108)), ("val", range(108, 112))):
        part = {
            **document,
            "images": [one for one in document["images"] if one["id"] in numbers],
            "annotations": [one for one in document["annotations"] if one["image_id"] in numbers],
        }
        (root / subset / "images").mkdir(parents=True)
        for image in part["images"]:
            (root / "images" / image["file_name"]).rename(root / subset / "images" / image["file_name"])
            if subset == "train":
                (root / "predicted" / image["file_name"]).with_suffix(".txt").unlink()
        (root / subset / "annotations.json").write_text(json.dumps(part))
    labels = (root / "predicted").rename(root.parent / "apart")
    (root / "annotations.json").unlink()
    (root / "results.json").unlink()
    (root / "images").rmdir()
    done = evaluate_predictions(labels, root)
    assert (done.data.split, done.data.images, done.missing) == ("val", 4, 0)
    assert refusal(labels, root, split="vall")[1:] == ('did you mean "val"?', 2)
    assert "no image of the truth has a prediction" in refusal(labels, root, split="train")[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "cannot be read"),
        ('{"a": 1}', "has no list of detections"),
        ("[1, 2]", "has no list of detections"),
        ('[{"image_id": 5, "category_id": 7, "bbox": [1, 2, 3, 4], "score": 1}]', "can be used"),
        ('[{"image_id": [5], "category_id": 7, "bbox": [1, 2, 3, 4], "score": 1}]', "can be used"),
        ('[{"image_id": 100, "category_id": 7, "bbox": [1, 2, 3], "score": 1}]', "can be used"),
        ('[{"image_id": 100, "category_id": 7, "bbox": [1e308, 2, 1e308, 3], "score": 1}]', "can be used"),
        ("[" * 100_000, "cannot be read"),
        ('[{"image_id": 100, "category_id": 7, "bbox": [1, 2, 3, "x"], "score": null}]', "can be used"),
    ],
)
def test_results_that_are_none_are_refused(made: Any, text: str, expected: str) -> None:
    root = made(6)
    (root / "results.json").write_text(text)
    message, hint, code = refusal(root / "results.json", root)
    assert expected in message and hint and code == 3


def test_results_without_a_detection_are_those_of_a_network_that_found_nothing(made: Any) -> None:
    root = made(6)
    (root / "results.json").write_text("[]")
    done = evaluate_predictions(root / "results.json", root)
    assert (done.overall["AP50"], done.data.images, done.findings) == (0.0, 12, ())


def test_images_of_a_document_have_any_name(made: Any, tmp_path: Path) -> None:
    names = ("", ".", "/", "..", "\udcff", "p0")
    document = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "categories": [{"id": 7, "name": "bolt"}],
        "annotations": [
            {"image_id": number, "category_id": 7, "bbox": [1, 2, 3, 4], "score": 1}
            for number in range(len(names))
        ],
    }
    (tmp_path / "own.json").write_text(json.dumps(document))
    (unknown,) = (
        one for one in evaluate_predictions(tmp_path / "own.json", made(6)).findings if one.code != "no-mask"
    )
    assert (unknown.code, unknown.message[:22]) == ("prediction-unknown-image", "4 label files left out")


def test_what_is_no_prediction_is_refused(made: Any) -> None:
    root = made(7)
    assert refusal(root / "nowhere", root)[2] == 2
    assert "no label file" in refusal(root / "images", root)[0]
    assert "no folder of label files" in refusal(root / "images/p0.jpg", root)[0]
    for path in (root / "predicted").iterdir():
        path.write_text("bolt 0 0 0 1 1 50 50 0 0 0 0 0 0 0\n")
    assert refusal(root / "predicted", root)[0].startswith("no label file has scores")
    for path in (root / "predicted").iterdir():
        path.write_text(ROW.replace("bolt", "1"))
    message, hint, _ = refusal(root / "predicted", root)
    assert (message, hint) == (
        "no predicted class is one of the truth: 1; there: bolt, traffic light, Nut",
        "--map 1=bolt",
    )


def test_a_truth_with_errors_is_refused_with_all_of_them(made: Any) -> None:
    root = made(8)
    document = json.loads((root / "annotations.json").read_text())
    document["annotations"][0]["bbox"] = [1, 1, -5, 10]
    (root / "annotations.json").write_text(json.dumps(document))
    with pytest.raises(TaorunnerError) as caught:
        evaluate_predictions(root / "predicted", root)
    assert caught.value.message == "the truth has errors" and caught.value.findings
