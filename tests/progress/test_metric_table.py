"""What a metric means comes from the catalog: its direction, which one ranks, and which figures are one and the same."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from taorunner.catalog.load import load_network
from taorunner.contracts import Contract
from taorunner.events import MetricReported
from taorunner.planning.model.plan_codec import decoded, encoded
from taorunner.progress.metric_table import MetricTable
from taorunner.progress.status_json import parse_line
from taorunner.progress.tracker import Tracker

T0 = datetime(2026, 1, 1, tzinfo=timezone.utc)


def table(network: str, action: str, release: str | None = None) -> MetricTable:
    contract = load_network(network).contract(action, release)
    return MetricTable(contract.kpi, guesses=contract.guesses_metrics)


def record(**facts: object) -> bytes:
    return json.dumps({"date": "1/1/2026", "time": "1:1:1", "status": "RUNNING", **facts}).encode()


def followed(network: str, action: str, *said: bytes | str) -> list[MetricReported]:
    """The metrics of a run that wrote records (bytes) and console lines (text) in this order."""
    tracker = Tracker(load_network(network).contract(action), "r")
    events = []
    for each in said:
        if isinstance(each, str):
            events += tracker.feed_console(each.encode(), T0)
        else:
            read = parse_line(each)
            assert read is not None
            events += tracker.feed_status([read], T0)
    return [event for event in (*events, *tracker.flush(T0)) if isinstance(event, MetricReported)]


def values(metrics: list[MetricReported]) -> list[tuple[str, int | None, float]]:
    return [(metric.name, metric.epoch, metric.value) for metric in metrics]


@pytest.mark.parametrize(
    ("network", "action", "first", "others"),
    [
        ("dino", "train", "val_mAP50", {"val_mAP": "up", "train_loss": "down", "PostProcess": "none"}),
        ("rtdetr", "evaluate", "test_mAP50", {"test_mAP": "up", "mAP75": "none"}),
        ("mask_grounding_dino", "train", "[segm] val_mAP", {"[bbox] val_mAP50": "up", "overall_IoU": "up"}),
        ("oneformer", "train", "mIoU/coco_val", {"IoU_traffic light": "up", "ACC/coco_val": "up"}),
        ("optical_inspection", "train", "val_acc", {"val_fpr": "down", "train_fpr": "down"}),
        ("optical_inspection", "evaluate", "test_fnr", {"test_fpr": "down", "defect_acc": "up"}),
        ("visual_changenet", "evaluate", "test_miou", {"test_fnr": "down", "F1_1": "up", "test_acc": "up"}),
        ("centerpose", "train", "val_3DIoU", {"val_2DMPE": "down"}),
        ("centerpose", "evaluate", "test_3DIoU", {"test_2DMPE": "down"}),
        ("depth_net", "train", "val/abs_rel", {"val/d1": "up", "val_loss": "down"}),
        ("depth_net", "evaluate", "val/epe", {"val/bp3": "down", "val/rmse_log": "down", "val/d1": "none"}),
        ("clip", "train", "val/i2t_R@1", {"val/i2t_MedR": "down", "val/t2i_R@10": "up", "val/i2t_AUC": "up"}),
        ("sparse4d", "evaluate", "img_bbox_NuScenes/NDS", {"img_bbox_NuScenes/mAOE": "down"}),
        ("stylegan_xl", "train", "fid50k_full", {"seen_images": "none"}),
        ("mae", "train", "train_loss", {"train": "none"}),
        ("pointpillars", "evaluate", "3d mAP", {"Car_3d/moderate_R40": "up", "recall/rcnn_0.3": "up"}),
        ("ml_recog", "train", "val Precision at Rank 1", {"val_AMI": "up", "trunk_base_lr": "none"}),
        ("ocdnet", "evaluate", "hmean", {"Thresh": "none", "Precision": "up"}),
        ("detectnet_v2", "train", "mAP", {"AP/car": "up", "validation cost": "down", "validation_cost": "down"}),
        ("dssd", "train", "mAP", {"AP/car": "up", "val_loss": "down"}),
        ("yolo_v4_tiny", "train", "mAP", {"loss": "down"}),
        ("mask_rcnn", "train", "AP50", {"mask_mAP": "up", "AR10": "up"}),
        ("fpenet", "train", "evaluation_cost ", {"loss": "down"}),
        ("unet", "evaluate", "Mean IOU", {"F1 score": "up", "f1_score": "up"}),
        ("classification_tf2", "train", "val_acc", {"accuracy": "up", "learning_rate": "none"}),
        ("classification_tf2", "prune", None, {"pruning_ratio": "none", "size": "none", "param_count": "none"}),
        ("detectnet_v2", "dataset_convert", None, {"num_images": "none", "num_objects/car": "none"}),
        ("tinydet", "train", "val_mAP50", {"train_loss": "down"}),
    ],
)  # fmt: skip
def test_what_the_catalog_says(network: str, action: str, first: str | None, others: dict[str, str]) -> None:
    known = table(network, action)
    directions = {name: known.meaning(name).direction for name in others}
    assert {name: direction and direction.value for name, direction in directions.items()} == others
    ranks = {name: known.meaning(name).rank for name in (*others, *([first] if first else []))}
    ranked = {name: rank for name, rank in ranks.items() if rank is not None}
    assert min(ranked, key=lambda name: ranked[name], default=None) == first


def test_a_metric_that_the_catalog_does_not_know_has_no_direction() -> None:
    (metric,) = followed(
        "dino", "train", record(message="Eval metrics generated.", kpi={"val_brilliance": 0.5})
    )
    assert (metric.name, metric.direction, metric.rank) == ("val_brilliance", "none", None)


def test_the_accuracy_of_an_evaluation_is_not_called_that_of_training_and_comes_once() -> None:
    head = "┃        Test metric        ┃       DataLoader 0        ┃\n"
    rows = "".join(
        f"│ {name:^25} │ {value:^25} │\n" for name, value in (("acc", "0.75"), ("miou", "0.5394676327705383"))
    )
    status = record(
        message="Test metrics generated.", kpi={"test_acc": 0.75, "test_miou": 0.5394676117610944}
    )
    expected = [("test_acc", None, 0.75), ("test_miou", None, 0.5394676327705383)]
    assert values(followed("segformer", "evaluate", head + rows + "└──┴──┘\n", status)) == expected
    assert [
        m[:2] for m in values(followed("visual_changenet", "evaluate", status, head + rows + "└──┴──┘\n"))
    ] == [m[:2] for m in expected]


@pytest.mark.parametrize(
    ("network", "printed", "written"),
    [("mask2former", "all_acc", "ACC_all"), ("depth_net", "test/rmse", "val/rmse")],
)
def test_one_figure_under_two_names_is_reported_once(network: str, printed: str, written: str) -> None:
    console = f"┃ Test metric ┃ DataLoader 0 ┃\n│ {printed} │ 0.354497 │\n└──┴──┘\n"
    status = record(message="Test metrics generated.", kpi={written: 0.35449734330177307})
    assert values(followed(network, "evaluate", console, status)) == [(written, None, 0.354497)]


def test_a_rounded_figure_of_the_console_does_not_stand_beside_the_exact_one() -> None:
    summary = " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.001\n"
    status = record(message="Evaluation metrics generated.", kpi={"AP": 0.00095, "APs": -1.0, "AP50": 0.0})
    assert values(followed("efficientdet_tf2", "evaluate", status, summary)) == [
        ("AP", None, 0.00095),
        ("AP50", None, 0.0),
    ]
    assert values(followed("efficientdet_tf2", "evaluate", summary, status))[-2:] == [
        ("AP", None, 0.00095), ("AP50", None, 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize("console_first", [True, False])
def test_a_value_that_status_json_has_with_one_decimal_is_taken_from_the_console(console_first: bool) -> None:
    printed = "│ Name │ Score │\n│ mAP                │ 36.2%   │\n│ CMC curve, Rank-1  │ 61.5%   │\n"
    status = record(message="Test metrics generated.", kpi={"mAP": 0.4})
    said = (printed, status) if console_first else (status, printed)
    assert values(followed("re_identification", "evaluate", *said)) == [
        ("mAP", None, 0.362), ("cmc_rank_1", None, 0.615),
    ]  # fmt: skip
    trained = record(message="Eval metrics generated.", kpi={"mAP": "0.4"})
    assert [metric.value for metric in followed("re_identification", "train", trained)] == [0.4]


def epoch(number: int, **kpi: float) -> bytes:
    return record(epoch=number, kpi={"accuracy": number / 10, "loss": 3.0 - number / 10, "lr": 0.01, **kpi})


def bar(number: int, more: str = "") -> str:
    return (
        f"Epoch {number}/20\n"
        f"3/3 [==============================] - 5s 1s/step - loss: {3.0 - number / 10:.4f} - accuracy: {number / 10:.4f}"
        f"{more} - lr: 0.0100\n"
    )


def test_validation_values_that_tf2_repeats_are_not_measured_again() -> None:
    """With an interval of 3 each record repeats the values of the last validation: tao/real_runs.md, TensorFlow R1."""
    said: list[bytes | str] = []
    for number in range(1, 8):
        kpi = {} if number < 3 else {"val_accuracy": 0.5416666865, "val_loss": 2.9819772} if number < 6 else {
            "val_accuracy": 0.75, "val_loss": 7.0984969,
        }  # fmt: skip
        more = {
            3: " - val_loss: 2.9820 - val_accuracy: 0.5417",
            6: " - val_loss: 7.0985 - val_accuracy: 0.7500",
        }
        said += [bar(number, more.get(number, "")), epoch(number, **kpi)]
    for order in (said, [item for at in range(0, len(said), 2) for item in (said[at + 1], said[at])]):
        found = values(followed("classification_tf2", "train", *order))
        assert [(name, at) for name, at, _ in found if name == "val_acc"] == [("val_acc", 3), ("val_acc", 6)]
        assert [(name, at) for name, at, _ in found if name == "val_loss"] == [
            ("val_loss", 3),
            ("val_loss", 6),
        ]
        assert [at for name, at, _ in found if name == "accuracy"] == [1, 2, 3, 4, 5, 6, 7]


def test_an_equal_value_counts_where_the_console_shows_a_validation() -> None:
    said: list[bytes | str] = []
    for number in range(1, 4):
        said += [epoch(number, val_accuracy=0.33333334), bar(number, " - val_accuracy: 0.3333")]
    found = values(followed("classification_tf2", "train", *said))
    assert [at for name, at, _ in found if name == "val_acc"] == [1, 2, 3]


def test_ml_recog_validates_behind_the_record_of_its_epoch() -> None:
    said = [
        each
        for number in range(2)
        for each in (
            record(epoch=number, max_epoch=1, message="Training loop in progress"),
            record(message="Eval metrics generated.", kpi={"val_AMI": 0.5 + number / 10}),
            record(message="Train metrics generated.", kpi={"train_loss": 0.3 - number / 10}),
        )
    ]
    assert values(followed("ml_recog", "train", *said)) == [
        ("val_AMI", 1, 0.5), ("train_loss", 1, 0.3), ("val_AMI", 2, 0.6), ("train_loss", 2, 0.19999999999999998),
    ]  # fmt: skip
    assert values(followed("pose_classification", "train", *said[1:]))[0] == ("val_AMI", 1, 0.5)


def test_a_plan_of_0_1_0_has_no_table_and_is_judged_by_names() -> None:
    body = encoded(load_network("dino").contract("train"))
    for key in ("kpi", "guesses_metrics"):
        del body[key]
    contract = decoded(Contract, body)
    meaning = MetricTable(contract.kpi, guesses=contract.guesses_metrics).meaning("val_mAP50")
    assert (meaning.direction, meaning.rank) == (None, None)
