"""Evaluations as they are read from the folders of runs, whole and damaged."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from made_report import HOSTILE, evaluation
from made_runs import made_run

from taorunner.evaluation.result import ClassScore, Confusion, Data, Drawn, Evaluation, Protocol, WorstImage
from taorunner.reports.scored import Scored, WrongBox, scored_runs
from taorunner.runs.state.store import RunStore


def read(root: Path, text: str) -> list[Scored]:
    record = made_run(root / ".taorunner", "a", action="inference", lock=None)
    store = RunStore(root / ".taorunner")
    (store.paths(record.id).directory / "evaluation.json").write_text(text)
    return list(scored_runs(store, [record]))


def test_what_an_evaluation_writes_is_read(tmp_path: Path) -> None:
    written = Evaluation(
        task="boxes",
        protocol=Protocol("COCO", "COCO: 100 boxes an image", "hotcoco", "1.3.0", {"max_dets": 100}, 0.001),
        data=Data("parts", "/data/parts", "val", 4, "ab12"),
        overall={"AP": 0.5, "APs": None},
        per_class=(ClassScore("car", 9, {"AP": 0.5, "AP50": 0.7, "best_f1": 0.8}, 0.41),),
        confusion=Confusion(("car",), ((7, 2), (3, 0)), 0.41),
        worst=(
            WorstImage(
                "val/1.jpg",
                64,
                48,
                {"tp": 1, "fp": 2, "fn": 3},
                (Drawn("wrong", "car", 0.9, (1.0, 2.0, 3.0, 4.0)),),
            ),
        ),
        errors={"Cls": 0.1},
        pr={"car": ((0.0, 1.0, 0.9), (1.0, 0.2, 0.1))},
    )
    (found,) = read(tmp_path, json.dumps(written.to_json()))
    assert (found.protocol, found.dataset, found.folder, found.split, found.images, found.fingerprint) == (
        "COCO: 100 boxes an image", "parts", "/data/parts", "val", 4, "ab12",
    )  # fmt: skip
    assert (found.overall, found.errors) == ({"AP": 0.5}, {"Cls": 0.1})
    (car,) = found.classes
    assert (car.truths, dict(car.figures), car.at_score) == (
        9,
        {"AP": 0.5, "AP50": 0.7, "best_f1": 0.8},
        0.41,
    )
    assert (found.confused, found.counts) == (("car",), ((7, 2), (3, 0)))
    assert found.curves == {"car": ((0.0, 1.0), (1.0, 0.2))}
    assert [(one.image, one.facts, one.size, one.boxes) for one in found.worst] == [
        ("val/1.jpg", "2 wrong, 3 missed, 1 right", (64, 48), (WrongBox("wrong", "car", (1, 2, 3, 4)),))
    ]


def test_other_tasks_are_read_too(tmp_path: Path) -> None:
    body = {
        "task": "pixels", "protocol": {"text": "IoU of pixels"}, "overall": {"mIoU": 0.7},
        "per_class": [{"name": "road", "truths": 3, "IoU": 0.9}],
        "confusion": {"classes": ["road", "car"], "unit": "pixels", "matrix": [[9, 1], [2, 8]]},
        "worst": [{"image": "1.png", "share": 0.42}, {"image": "2.png", "truth": "cat", "predicted": "dog"}],
    }  # fmt: skip
    (found,) = read(tmp_path, json.dumps(body))
    assert (found.protocol, found.unit, found.counts) == ("IoU of pixels", "pixels", ((9, 1), (2, 8)))
    assert [one.facts for one in found.worst] == ["42 % of the pixels right", "cat taken for dog"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "nonsense",
        "{}",
        '{"overall": 7, "per_class": {}}',
        '{"overall": {"AP": "high"}}',
        "[" * 5000,
    ],
)
def test_a_file_without_figures_is_no_evaluation(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == []


def test_any_damage_leaves_out_what_it_met(tmp_path: Path, seed: int) -> None:
    of = random.Random(seed)
    strange: list[Any] = [None, -1, 1e308, "x", HOSTILE, [], {}, True, [[[]]], {"name": []}, 10**40]
    for number in range(150):
        body = json.loads(json.dumps(evaluation(["val/1.jpg"])))
        for _ in range(of.randint(1, 6)):
            place: Any = body
            while isinstance(place, (dict, list)) and place:
                key = of.choice(list(place) if isinstance(place, dict) else range(len(place)))
                if of.random() < 0.4 or not isinstance(place[key], (dict, list)):
                    place[key] = copy.deepcopy(of.choice(strange))  # one value in itself would be a circle
                    break
                place = place[key]
        folder = tmp_path / str(number)
        for one in read(folder, json.dumps(body)):
            assert all(len(row) == len(one.counts) for row in one.counts)
            assert all(isinstance(value, float) for value in one.overall.values())
