"""``dataset evaluate`` as a person types it."""

from __future__ import annotations

import json
from typing import Any

from command_line import Cli
from jsonschema import Draft202012Validator
from shapes import SHAPES

from taorunner.console.shapes.shapes import shape_schema

ROW = "{} 0 0 0 {:.2f} {:.2f} {:.2f} {:.2f} 0 0 0 0 0 0 0 {}\n"


def predicted(cli: Cli) -> Any:
    """Predictions that repeat the labels of a KITTI dataset, with one more box."""
    SHAPES["kitti-15"][1](cli.home / "drawn")
    folder = cli.home / "models/e1/inference/labels"
    folder.mkdir(parents=True)
    for label in (cli.home / "drawn").rglob("*.txt"):
        lines = [line.split() for line in label.read_text().splitlines()]
        text = "".join(
            ROW.format(" ".join(one[:-14]), *map(float, one[-11:-7]), 0.9) for one in lines if len(one) >= 15
        )
        (folder / label.name).write_text(text + ROW.format("person", 1, 1, 9, 9, 0.1))
    return folder


def test_the_table_and_the_json(cli: Cli) -> None:
    predicted(cli)
    words = ("dataset", "evaluate", "models/e1/inference", "--truth", "drawn")
    done = cli(*words)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].split() == ["class", "truths", "AP", "AP50", "best", "F1", "at", "score"]
    assert next(line for line in lines if line.startswith("all")).split()[2:] == ["1.0000", "1.0000"]
    assert any(line.startswith("COCO: IoU 0.50:0.95, 100 boxes an image, score from 0.1; ") for line in lines)
    shown = cli(*words, "--json")
    Draft202012Validator(shape_schema("evaluation")).validate(shown.json)
    assert shown.json["overall"]["AP"] == 1.0
    assert json.loads(shown.out) == shown.json


def test_several_predictions_stand_side_by_side(cli: Cli) -> None:
    folder = predicted(cli)
    weak = cli.home / "models/int8/trt_inference/labels"
    weak.mkdir(parents=True)
    most = max(folder.iterdir(), key=lambda label: label.stat().st_size)
    for label in folder.iterdir():
        (weak / label.name).write_text("" if label == most else label.read_text())
    words = ("dataset", "evaluate", "models/e1", "models/int8/trt_inference", "--truth", "drawn")
    done = cli(*words)
    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["AP50", "e1", "int8"]
    (total,) = (line for line in lines if line[0] == "all")
    assert total[1] == "1.0000" and float(total[2]) < 1 and float(total[3]) == round(float(total[2]) - 1, 4)
    shown = cli(*words, "--json")
    Draft202012Validator(shape_schema("evaluations")).validate(shown.json)
    assert [one["data"]["fingerprint"] for one in shown.json] == [shown.json[0]["data"]["fingerprint"]] * 2
    refused = cli(*words, "--gallery", "x.html")
    assert (refused.code, "--gallery draws one evaluation" in refused.err) == (2, True)


def test_wrong_words_are_refused_with_what_to_type(cli: Cli) -> None:
    folder = predicted(cli)
    refused = cli("dataset", "evaluate", str(folder))
    assert (refused.code, "--truth is missing" in refused.err) == (2, True)
    for words, expected in (
        (("--map", "car"), 'error: --map "car" has no form PREDICTED=CLASS\nhint: --map car=vehicle\n'),
        (
            ("--map", "a=b", "--map", "a=c"),
            'error: --map gives "a" two classes: "b" and "c"\nhint: give one\n',
        ),
    ):
        refused = cli("dataset", "evaluate", str(folder), "--truth", "drawn", *words)
        assert (refused.code, refused.err) == (2, expected)
    missing = cli("dataset", "evaluate", "nowhere", "--truth", "drawn")
    assert (missing.code, missing.err.splitlines()[0]) == (2, 'error: there is no "nowhere"')


def test_the_worst_images_are_drawn_on_a_page(cli: Cli) -> None:
    predicted(cli)
    words = ("dataset", "evaluate", "models/e1", "--truth", "drawn", "--gallery", "worst.html")
    made = cli(*words)
    assert (made.code, made.err.splitlines()[-1]) == (0, "made worst.html"), made.err
    refused = cli(*words)
    assert (refused.code, "already exists" in refused.err, refused.out) == (2, True, "")
    assert cli(*words, "--overwrite", "--json").json["data"]["folder"] == str(cli.home / "drawn")
