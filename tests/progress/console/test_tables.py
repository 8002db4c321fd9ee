"""Tables of results on the console of TF1 and TF2: each row becomes a metric of its class.

The tables are made with the formats of NVIDIA's code. Source: tao/tensorflow.md section 6; faster_rcnn utils/utils.py,
ssd callbacks/ap_callback.py, detectnet_v2 evaluation/evaluation.py, makenet scripts/evaluate.py.
"""

from __future__ import annotations

import pytest

from taorunner.contracts import ProgressContract
from taorunner.progress.console.lines import ConsoleParser
from taorunner.progress.hints import MetricHint

LONG = "a_class_name_of_twenty_two"


def metrics(family: str, console: str, *, trains: bool = False) -> list[tuple[str, float]]:
    parser = ConsoleParser(ProgressContract(console=family), trains=trains)
    hints = [*parser.feed(console.encode()), *parser.flush()]
    return [(hint.name, hint.value) for hint in hints if isinstance(hint, MetricHint)]


def of_faster_rcnn(iou: float, rows: dict[str, float], *, recall_of_rpn: bool = True) -> str:
    heads = ["Class", "AP", "precision", "recall", *(["RPN_recall"] if recall_of_rpn else [])]
    lines = ["=" * 90, "".join(f"{head:<20}" for head in heads), "-" * 90]
    for name, ap in rows.items():
        figures = (ap, 0.6, 0.7, 0.8)[: len(heads) - 1]
        lines += [f"{name:<20}" + "".join(f"{figure:<20.4f}" for figure in figures), "-" * 90]
    return "\n".join([*lines, f"mAP@{iou} = {sum(rows.values()) / len(rows):<20.4f}", ""])


@pytest.mark.parametrize("family", ["keras", "plain"])
@pytest.mark.parametrize("recall_of_rpn", [True, False])
def test_a_table_of_faster_rcnn_with_a_long_name(family: str, recall_of_rpn: bool) -> None:
    table = of_faster_rcnn(0.5, {"car": 0.5, LONG: 0.25}, recall_of_rpn=recall_of_rpn)
    assert metrics(family, table) == [("AP/car", 0.5), (f"AP/{LONG}", 0.25), ("mAP@0.5", 0.375)]


def test_each_threshold_of_faster_rcnn_has_its_own_values_in_each_validation() -> None:
    first = of_faster_rcnn(0.5, {"car": 0.5}) + of_faster_rcnn(0.75, {"car": 0.25})
    one_more = of_faster_rcnn(0.5, {"car": 0.75})
    console = f"{first}mAP@[0.5:0.75] = {0.375:<20.4f}\nValidation done!\n{one_more}"
    assert metrics("keras", console) == [
        ("AP/car", 0.5), ("mAP@0.5", 0.5), ("AP@0.75/car", 0.25), ("mAP@0.75", 0.25), ("mAP@[0.5:0.75]", 0.375),
        ("AP/car", 0.75), ("mAP@0.5", 0.75),
    ]  # fmt: skip


def test_a_table_whose_threshold_never_comes_gives_nothing_to_the_next() -> None:
    cut = of_faster_rcnn(0.5, {"car": 0.5}).rpartition("mAP@")[0]
    assert metrics("keras", f"{cut}Validation done!\n" + of_faster_rcnn(0.5, {"van": 0.25})) == [
        ("AP/van", 0.25), ("mAP@0.5", 0.25),
    ]  # fmt: skip


@pytest.mark.parametrize("family", ["keras", "plain"])
def test_the_list_of_ssd_and_yolo_with_long_names_and_blanks(family: str) -> None:
    rows = {"car": 0.512, "motor cycle": 0.25, "electric_bicycle": 0.3, "very long name here": 0.125}
    lines = [f"{name:<14}{'AP':<6}{ap}" for name, ap in rows.items()]
    lines += [f"{'':<14}{'mAP':<6}0.297", "*" * 30, "Validation loss: 1.25"]
    assert metrics(family, "\n".join(lines) + "\n") == [
        *((f"AP/{name}", ap) for name, ap in rows.items()), ("mAP", 0.297), ("val_loss", 1.25),
    ]  # fmt: skip


def test_the_table_of_detectnet_before_5_0_has_no_bars_and_ends_with_its_last_row() -> None:
    console = (
        "Mean average_precision (in %): 25.0\n\n"
        "class name      average precision (in %)\n------------  --------------------------\n"
        "bicycle                            12.5\nroad sign                          37.5\n\n"
        "2026-01-01 00:00:00,000 [INFO] root: samples  7\nsamples  7\n"
    )
    assert metrics("session_hook", console) == [("mAP", 0.25), ("AP/bicycle", 0.125), ("AP/road sign", 0.375)]


@pytest.mark.parametrize("family", ["keras", "plain"])
def test_the_report_of_a_classification(family: str) -> None:
    console = (
        "Evaluation Top K accuracy: 1.0\nConfusion Matrix\n[[ 70  12]\n [  3 233]]Classification Report\n"
        "                  precision    recall  f1-score   support\n\n"
        "         bicycle       0.96      0.85      0.90        82\n"
        "electric bicycle       0.95      0.99      0.97       236\n\n"
        "        accuracy                           0.94       318\n"
        "       macro avg       0.95      0.92      0.94       318\n"
        "    weighted avg       0.95      0.95      0.95       318\n\n"
        "        leftover       0.11      0.12      0.13       318\n"
    )
    assert metrics(family, console) == [
        ("top_k_accuracy", 1.0), ("precision/bicycle", 0.96), ("recall/bicycle", 0.85),
        ("precision/electric bicycle", 0.95), ("recall/electric bicycle", 0.99), ("accuracy", 0.94),
    ]  # fmt: skip
