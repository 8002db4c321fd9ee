"""Tables of classified images are scored against class folders."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pytest import approx

from taorunner.errors import TaorunnerError
from taorunner.evaluation.run import evaluate_predictions

CLASSES = ("cat", "dog", "eel", "fox", "gnu", "hen")


def folders(root: Path, classes: tuple[str, ...] = CLASSES, each: int = 4) -> list[tuple[str, str]]:
    """The path and the class of each image."""
    made = []
    for name in classes:
        (root / "test" / name).mkdir(parents=True)
        for number in range(each):
            Image.new("RGB", (8, 6)).save(root / f"test/{name}/{number}.png")
            made.append((f"test/{name}/{number}.png", name))
    return made


def table(tmp_path: Path, rows: list[Any]) -> Path:
    path = tmp_path / "inference/result.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return path.parent


def test_figures_follow_from_the_rows_of_a_network_without_a_head(tmp_path: Path) -> None:
    draw, root = random.Random(5), tmp_path / "truth"
    images = folders(root)
    said = {path: draw.choice([name, name, *CLASSES]) for path, name in images}
    rows = [(f"/workspace/data/{path}", said[path], round(draw.random(), 3)) for path, _ in images]
    done = evaluate_predictions(table(tmp_path, rows), root)
    assert (done.task, done.data.images, done.findings, done.overall["top5"]) == ("classes", 24, (), None)
    assert done.overall["accuracy"] == sum(said[path] == name for path, name in images) / 24
    for one in done.per_class:
        right = sum(said[path] == name == one.name for path, name in images)
        taken = sum(word == one.name for word in said.values())
        precision, recall = right / taken if taken else 0.0, right / 4
        assert one.figures["precision"] == precision and one.figures["recall"] == recall
        f1 = 2 * precision * recall / (precision + recall) if right else 0.0
        assert one.figures["F1"] == approx(f1)
    assert done.overall["F1"] == approx(sum(one.figures["F1"] or 0 for one in done.per_class) / 6)
    cat = done.confusion.matrix[0]
    assert cat[:6] == tuple(sum(said[f"test/cat/{n}.png"] == name for n in range(4)) for name in CLASSES)
    wrong = {
        row[0].removeprefix("/workspace/data/"): row[2]
        for row in rows
        if said[row[0].removeprefix("/workspace/data/")] != row[0].split("/")[-2]
    }
    assert [(one.image, one.score) for one in done.worst] == sorted(wrong.items(), key=lambda one: -one[1])
    assert {one.image for one in done.label_suspects} == {
        path for path, score in wrong.items() if score >= 0.9
    }
    assert {one["name"] for one in done.metrics()} >= {"host/accuracy", "host/F1", "host/recall/cat"}


def test_scores_of_all_classes_give_the_best_five(tmp_path: Path) -> None:
    root = tmp_path / "truth"
    images = folders(root, each=1)
    rows: list[Any] = [("img_name", *CLASSES, "pred_label", "pred_score", "gt_label")]
    for place, (path, name) in enumerate(images):
        shares = [0.3, 0.25, 0.2, 0.15, 0.08, 0.02]
        rows.append((path, *shares, "cat", 0.3, name))
        assert place < 6
    done = evaluate_predictions(table(tmp_path, rows), root)
    assert (done.overall["accuracy"], done.overall["top5"]) == (1 / 6, 5 / 6)


def test_rows_that_cannot_be_used_are_counted_and_missing_images_are_wrong(tmp_path: Path) -> None:
    root = tmp_path / "truth"
    folders(root, ("cat", "dog"), 3)
    rows = [
        ("test/cat/0.png", "Cat", 0.9), ("test/cat/0.png", "dog", 0.8), ("test/cat/1.png", "cat", "nan"),
        ("test/cat/2.png",), ("test/dog/0.png", "dog", 1), ("test/dog/1.png", "bird", 0.99), ("x/9.png", "cat", 1),
        ("x" * 200_000, "cat", 1), ("test/dog/2.png", "cat", 0.5),
    ]  # fmt: skip
    done = evaluate_predictions(table(tmp_path, rows), root)
    found = {one.code: one.message.split(" ")[0] for one in done.findings}
    assert found == {
        "prediction-bad-row": "3", "prediction-twice": "1", "prediction-unknown-image": "1",
        "prediction-unknown-class": "predictions", "prediction-missing": "2",
    }  # fmt: skip
    assert (done.overall["accuracy"], done.missing) == (2 / 6, 2)
    assert done.confusion.matrix[1] == (1, 1, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "has no prediction"), ("a,b\n", "has no prediction"), ("a,zebra,1\n", "no image of the truth"), (None, "there is no table")],
)  # fmt: skip
def test_what_is_no_table_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    folders(tmp_path / "truth", ("cat", "dog"), 1)
    (tmp_path / "inference").mkdir()
    if text is not None:
        (tmp_path / "inference/result.csv").write_text(text)
    with pytest.raises(TaorunnerError, match=said) as caught:
        evaluate_predictions(tmp_path / "inference", tmp_path / "truth")
    assert caught.value.hint and caught.value.exit_code == 3


def test_two_images_of_one_name_are_told_apart_by_their_folders_or_refused(tmp_path: Path) -> None:
    root = tmp_path / "truth"
    folders(root, ("cat", "dog"), 1)
    rows = [("/a/cat/0.png", "cat", 1), ("/a/dog/0.png", "dog", 1)]
    assert evaluate_predictions(table(tmp_path, rows), root).overall["accuracy"] == 1
    with pytest.raises(TaorunnerError, match='"0" can be the label file of'):
        evaluate_predictions(table(tmp_path, [("0.png", "cat", 1)]), root)


def test_hostile_names_are_kept_as_data(tmp_path: Path) -> None:
    root = tmp_path / "truth"
    hostile = "<b>=cmd()\u202e"
    folders(root, (hostile, "dog"), 1)
    rows = [(f"test/{hostile}/0.png", hostile, 1), ("test/dog/0.png", hostile, 1)]
    done = evaluate_predictions(table(tmp_path, rows), root)
    assert [one.name for one in done.per_class] == sorted([hostile, "dog"])
    assert done.overall["accuracy"] == 0.5


def test_rows_with_names_that_a_container_makes_up_are_left_out(tmp_path: Path) -> None:
    images = folders(tmp_path / "truth")
    rows: list[Any] = [(path, name, 0.9) for path, name in images]
    whole = evaluate_predictions(table(tmp_path, rows), tmp_path / "truth")
    rows += [(".", "cat", 1), ("/", "cat", 1), ("..", "cat", 1), ("x", "y" * 201, 1)]
    rows += [(f"new/x{number}.png", f"class-{number}", 1) for number in range(10_100)]
    done = evaluate_predictions(table(tmp_path, rows), tmp_path / "truth")
    assert done.overall == whole.overall
    said = {one.code: one.message for one in done.findings}
    assert said["prediction-bad-row"].startswith("1 prediction left out")
    assert said["prediction-many-classes"].startswith("106 predictions left out")
