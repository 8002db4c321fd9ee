"""Figures that TAO Deploy's evaluations leave in results.json, in each form that its scripts write."""

from __future__ import annotations

import json

import pytest

from taorunner.catalog.load import load_network, network_names
from taorunner.contracts import Direction
from taorunner.progress.metric_table import MetricTable
from taorunner.progress.result_file import read_result_file

_PER_CLASS = {"road": {"precision": 0.5, "Recall": 0.25, "F1 Score": 1 / 3, "iou": 0.2}}


@pytest.mark.parametrize(
    ("written", "figures"),
    [
        ({"AP": 0.41, "mask_AP50": 0.66}, {"mAP": 0.41, "mask_mAP50": 0.66}),
        ({"top_k_accuracy": 0.9}, {"top_k_accuracy": 0.9}),
        ({"AP_car": 0.5, "AP_road sign": 0.25}, {"AP/car": 0.5, "AP/road sign": 0.25, "mAP": 0.375}),
        ({"AP_car": 0.5, "mAP": 0.501}, {"AP/car": 0.5, "mAP": 0.501}),
        ({"AP_car": 0.5, "AP_dog": float("nan")}, {"AP/car": 0.5, "mAP": 0.5}),
        ({"d1": "0.5", "name": "x", "is": True, "none": None, "list": [1]}, {"d1": 0.5}),
        (
            str(_PER_CLASS),
            {"precision/road": 0.5, "Recall/road": 0.25, "F1 Score/road": 1 / 3, "iou/road": 0.2},
        ),
        ("{'a/b': {'iou': np.float32(0.5)}, 'nan': {'iou': nan}}", {"iou/a/b": 0.5}),
        ("{'c': {'iou': np.float64(nan), 'precision': numpy.float32(1e-05)}}", {"precision/c": 1e-05}),
    ],
)
def test_what_is_read(written: object, figures: dict[str, float]) -> None:
    assert read_result_file(json.dumps(written).encode()) == pytest.approx(figures)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff\xfe", b"[1, 2]", b"3", b'"text"', b'"__import__(\'os\').getcwd()"', b"[" * 100_000,
        json.dumps("[" * 100_000).encode(), b'{"AP": ', b'"{1: 2"', json.dumps("{[]: 1}").encode(),
    ],
)  # fmt: skip
def test_other_files_are_empty(data: bytes) -> None:
    assert read_result_file(data) == {}


def test_every_evaluation_of_deploy_has_the_file_and_meanings_for_what_it_holds() -> None:
    kinds = (
        "mAP",
        "AP/car",
        "iou/road",
        "F1 Score/road",
        "top_k_accuracy",
        "top_1_accuracy",
        "Accuracy",
        "mAP50",
        "mask_mAP",
    )
    looked_at = 0
    for name in network_names():
        network = load_network(name)
        for action in network.actions():
            if action != "deploy.evaluate":
                continue
            looked_at += 1
            contract = network.contract(action)
            assert "trt_evaluate/results.json" in contract.progress.result_files, name
            table = MetricTable(contract.kpi, guesses=False)
            assert all(table.meaning(kind).direction is Direction.UP for kind in kinds), name
    assert looked_at > 20
