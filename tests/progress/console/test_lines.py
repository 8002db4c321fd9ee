from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.contracts import ProgressContract
from taorunner.progress.console.lines import FAMILIES, LINE_LIMIT, ConsoleParser
from taorunner.progress.hints import (
    BetrayalHint,
    CauseHint,
    CheckpointHint,
    FooterHint,
    Hint,
    MetricHint,
    ProgressHint,
    TracebackHint,
)

DATA = Path(__file__).parents[1] / "data"
BETRAYALS = ("was interrupted", "Invalid decryption", "Spec file validation failed")
RESULTS = "/workspace/projects/p/models/e"


def parse(family: str, data: bytes | str, *, trains: bool = True, chunk: int = 0) -> list[Hint]:
    raw = data.encode() if isinstance(data, str) else data
    parser = ConsoleParser(ProgressContract(console=family), BETRAYALS, trains=trains)
    found: list[Hint] = []
    for start in range(0, len(raw), chunk or max(1, len(raw))):
        found += parser.feed(raw[start : start + (chunk or len(raw))])
    return found + parser.flush()


def sample(name: str) -> bytes:
    return (DATA / f"{name}.log").read_bytes()


def lasting(hints: list[Hint]) -> list[Hint]:
    """Without what happens in the middle of an epoch."""
    return [
        hint
        for hint in hints
        if not (isinstance(hint, MetricHint) and hint.running)
        and not (isinstance(hint, ProgressHint) and hint.step is not None and not hint.completed)
    ]


def test_keras_epochs_bars_checkpoints_and_average_precision() -> None:
    hints = parse("keras", sample("keras_ssd_train"))
    assert hints[:3] == [
        ProgressHint(1, 3),
        ProgressHint(1, 3, 1, 85),
        MetricHint("loss", 6.1234, 1, running=True),
    ]
    assert lasting(hints)[:8] == [
        ProgressHint(1, 3),
        ProgressHint(1, 3, 85, 85, completed=True, epoch_s=18.0),
        MetricHint("loss", 5.1234, 1),
        CheckpointHint(f"{RESULTS}/weights/ssd_resnet18_epoch_001.hdf5", 1),
        MetricHint("AP/car", 0.41, 1),
        MetricHint("AP/pedestrian_with_umbrella", 0.21, 1),
        MetricHint("mAP", 0.31, 1),
        MetricHint("val_loss", 6.5, 1),
    ]
    assert hints[-1] == FooterHint(True)


def test_the_tf2_entry_point_glues_the_next_epoch_to_the_last_bar() -> None:
    hints = [hint for hint in parse("keras", sample("keras_tf2_train")) if isinstance(hint, ProgressHint)]
    assert hints == [
        ProgressHint(1, 2),
        ProgressHint(1, 2, 1, 2),
        ProgressHint(1, 2, 2, 2, completed=True, epoch_s=4.0),
        ProgressHint(2, 2),
        ProgressHint(2, 2, 1, 2),
        ProgressHint(2, 2, 2, 2, completed=True, epoch_s=4.0),
    ]


def test_faster_rcnn_writes_a_table() -> None:
    assert lasting(parse("keras", sample("keras_faster_rcnn_train")))[-4:] == [
        MetricHint("rpn_loss", 0.9, 1),
        MetricHint("AP/car", 0.25, 1),
        MetricHint("AP/person", 0.25, 1),
        MetricHint("mAP@0.5", 0.25, 1),
    ]


def test_keras_with_a_terminal_rewrites_its_bar_with_backspaces() -> None:
    text = "Epoch 1/2\n" + "".join(
        "\b" * 40 + f"\r {n}/20 [=====>....] - ETA: 9s - loss: 1.5" for n in (1, 2)
    )
    assert parse("keras", text) == [
        ProgressHint(1, 2),
        ProgressHint(1, 2, 1, 20),
        MetricHint("loss", 1.5, 1, running=True),
        ProgressHint(1, 2, 2, 20),
        MetricHint("loss", 1.5, 1, running=True),
    ]


def test_a_first_keras_epoch_of_unknown_length() -> None:
    assert parse("keras", "Epoch 1/2\n     12/Unknown - 3s 200ms/step - loss: 1.7\n")[1:] == [
        ProgressHint(1, 2, 12),
        MetricHint("loss", 1.7, 1, running=True),
    ]


def test_bars_of_an_evaluation_are_steps_of_one_epoch() -> None:
    bar = " 12/85 [==>.....] - ETA: 1:02\n85/85 [=======] - 18s 2ms/step\n"
    assert parse("keras", bar, trains=False) == [ProgressHint(1, 1, 12, 85), ProgressHint(1, 1, 85, 85)]
    assert parse("keras", bar) == []


def test_detectnet_counts_finished_epochs_and_validation_is_no_progress() -> None:
    hints = parse("session_hook", sample("session_hook_detectnet_v2_train"))
    assert hints == [
        CheckpointHint(None, None, 0),
        ProgressHint(1, 3, eta_s=4833.1),
        ProgressHint(1, 3, 20, 80),
        MetricHint("loss", 0.0051, 1, running=True),
        ProgressHint(1, 3, completed=True, epoch_s=41.2, eta_s=4833.1),
        MetricHint("loss", 0.004, 1),
        ProgressHint(2, 3, eta_s=4833.1),
        ProgressHint(2, 3, 20, 80),
        MetricHint("loss", 0.0041, 2, running=True),
        CheckpointHint(None, None, 160),
        MetricHint("validation_cost", 0.000123, 2),
        MetricHint("mAP", 0.455, 2),
        MetricHint("AP/car", 0.51, 2),
        MetricHint("AP/pedestrian", 0.4, 2),
        ProgressHint(2, 3, completed=True, epoch_s=41.2, eta_s=4833.1),
        MetricHint("loss", 0.003, 2),
        ProgressHint(3, 3, eta_s=4833.1),
        ProgressHint(3, 3, 20, 80),
        MetricHint("loss", 0.0031, 3, running=True),
        FooterHint(True),
    ]


def test_a_bare_epoch_line_is_no_progress_for_detectnet() -> None:
    assert parse("session_hook", "Epoch 10/120\n=====\n") == []


def test_tensors_come_in_any_order() -> None:
    for line in (
        "INFO:tensorflow:epoch = 1.25, learning_rate = 0.1, loss = 0.3, step = 100 (5.1 sec)\n",
        "2026-11-20 09:05:01,001 [TAO Toolkit] [INFO] tensorflow 260: step = 100, loss = 0.3, epoch = 1.25\n",
    ):
        assert parse("session_hook", line) == [
            ProgressHint(2, None, 20, 80),
            MetricHint("loss", 0.3, 2, running=True),
        ]


def test_mask_rcnn_steps_epochs_and_both_coco_summaries() -> None:
    assert lasting(parse("tf_step", sample("tf_step_mask_rcnn_train"))) == [
        ProgressHint(1, 2),
        ProgressHint(2, 2),
        ProgressHint(1, 2, completed=True, epoch_s=60.5, eta_s=60.5),
        MetricHint("loss", 2.5, 1),
        CheckpointHint(f"{RESULTS}/model.epoch-1.tlt", 1),
        ProgressHint(2, 2),
        ProgressHint(3, 2),
        ProgressHint(2, 2, completed=True, epoch_s=60.5, eta_s=0.0),
        MetricHint("loss", 1.5, 2),
        CheckpointHint(f"{RESULTS}/model.epoch-2.tlt", 2),
        MetricHint("mAP", 0.3, 2),
        MetricHint("mAP50", 0.5, 2),
        MetricHint("mAP75", 0.35, 2),
        MetricHint("AR1", 0.4, 2),
        MetricHint("mask_mAP", 0.25, 2),
        MetricHint("mask_mAP50", 0.45, 2),
        MetricHint("mask_mAP75", 0.3, 2),
        MetricHint("mask_AR1", 0.35, 2),
        FooterHint(True),
    ]


def test_unet_writes_fractions_of_epochs_counted_from_zero() -> None:
    hints = parse("unet", sample("unet_train"))
    assert [hint for hint in hints if isinstance(hint, ProgressHint)] == [
        ProgressHint(1, 2, 25, 100, eta_s=600.1),
        ProgressHint(2, 2, 0, 100, eta_s=600.1),
        ProgressHint(2, 2, 25, 100, eta_s=600.1),
    ]
    assert lasting(hints) == [
        CheckpointHint(None, None, 100),
        CheckpointHint(f"{RESULTS}/weights/model.tlt"),
        MetricHint("recall", 0.91, 2),
        MetricHint("precision", 0.82, 2),
        MetricHint("f1_score", 0.86, 2),
        MetricHint("mean_iou", 0.75, 2),
        FooterHint(True),
    ]


def test_lightning_counts_from_zero_and_its_validation_bars_are_no_progress() -> None:
    hints = parse("lightning", sample("lightning_dino_train"))
    assert [hint for hint in hints if isinstance(hint, ProgressHint)] == [
        ProgressHint(epoch, None, step, 4) for epoch in (1, 2) for step in range(5)
    ]
    assert MetricHint("train_loss", 7.9, 1, running=True) in hints
    assert lasting(hints) == [FooterHint(True)]


def test_lightning_with_rich() -> None:
    assert parse("lightning", sample("lightning_rich")) == [
        ProgressHint(2, 2, 4, 4),
        MetricHint("train_loss", 6.5, 2, running=True),
        MetricHint("test_acc", 0.9700000286102295, 2),
    ]


MODEL_TABLE = """\
┏━━━┳━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━┳━━━━━━━┳━━━━━━━┓
┃   ┃ Name      ┃ Type               ┃ Params ┃ Mode  ┃ FLOPs ┃
┡━━━╇━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━╇━━━━━━━╇━━━━━━━┩
│ 0 │ model     │ Backbone           │  7.3 M │ train │     0 │
│ 1 │ train_acc │ MulticlassAccuracy │      0 │ train │     0 │
│ 2 │ criterion │ SetCriterion       │    1.0 │ eval  │   2.0 │
└───┴───────────┴────────────────────┴────────┴───────┴───────┘
"""
DATA_TABLES = """\
┏━━━━━━━━┳━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━━━┓
┃ Subset ┃ # IDs ┃ # Images ┃ # Cameras ┃
┡━━━━━━━━╇━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━━┩
│ Train  │   8   │    64    │     2     │
│ Query  │   4   │     8    │     2     │
└────────┴───────┴──────────┴───────────┘
┏━━━━━━━━━┳━━━━━━━┓
┃ Split   ┃ Count ┃
┡━━━━━━━━━╇━━━━━━━┩
│ Gallery │ 16    │
│ test_no │ 3     │
└─────────┴───────┘
"""
RESULT_TABLE = """\
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━┓
┃        Test metric        ┃       DataLoader 0        ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━┩
│           miou            │    0.5394676327705383     │
│  test Precision at Rank 1 │            1.0            │
│        val/abs_rel        │           2e-3            │
└───────────────────────────┴───────────────────────────┘
"""


@pytest.mark.parametrize("family", ["lightning", "plain"])
@pytest.mark.parametrize("trains", [True, False])
def test_tables_of_the_model_and_of_the_data_set_hold_no_metrics(family: str, trains: bool) -> None:
    assert parse(family, MODEL_TABLE + DATA_TABLES, trains=trains) == []
    results = [
        MetricHint("miou", 0.5394676327705383), MetricHint("test Precision at Rank 1", 1.0),
        MetricHint("val/abs_rel", 0.002),
    ]  # fmt: skip
    assert parse(family, MODEL_TABLE + RESULT_TABLE + DATA_TABLES, trains=trains) == results


def test_a_table_of_results_that_was_cut_off_does_not_take_the_next_table_for_its_own() -> None:
    torn = "\n".join(RESULT_TABLE.splitlines()[:4]) + "\n"
    assert parse("lightning", torn + DATA_TABLES) == [MetricHint("miou", 0.5394676327705383)]


@pytest.mark.parametrize("family", ["lightning", "plain"])
def test_what_evaluations_print_line_by_line(family: str) -> None:
    text = "data directory:\t/d/lmdb\t num samples: 37\nAccuracy: 72.416\nPrecision:  0.75\nRecall:  0.5\nHmean:  0.6\n"
    assert parse(family, text, trains=False) == [
        MetricHint("accuracy", 72.416), MetricHint("precision", 0.75), MetricHint("recall", 0.5),
        MetricHint("hmean", 0.6),
    ]  # fmt: skip
    assert parse("lightning", "[I] Accuracy: 72.416 of 3\nAccuracy: 72.4\n") == []


COMPARED = "Tot Comp 16 Total Accuracy 62.5 False Negative 37.5 False Alarm 0.0 Defect Correctly Captured 12.25 for Margin 2.0"
RANKED = """\
╒═══════════════════════╤═════════╕
│ Name                  │ Score   │
╞═══════════════════════╪═════════╡
│ mAP                   │ 71.1%   │
├───────────────────────┼─────────┤
│ CMC curve, Rank-1     │ 88.1%   │
├───────────────────────┼─────────┤
│ CMC curve, Rank-10    │ 100.0%  │
╘═══════════════════════╧═════════╛
"""


@pytest.mark.parametrize("family", ["lightning", "plain"])
def test_results_that_no_record_has(family: str) -> None:
    assert parse(family, f"\x1b[38;20m2026 - INFO - {COMPARED} (evaluate.py:98)\x1b[0m\n", trains=False) == [
        MetricHint("test_acc", 62.5), MetricHint("test_fnr", 37.5), MetricHint("test_fpr", 0.0),
        MetricHint("defect_acc", 12.25),
    ]  # fmt: skip
    assert parse(family, RANKED, trains=False) == [
        MetricHint("mAP", 0.711), MetricHint("cmc_rank_1", 0.881), MetricHint("cmc_rank_10", 1.0),
    ]  # fmt: skip
    assert parse(family, f"{COMPARED}\n{RANKED}") == []


def test_lightning_tests_and_predictions_are_steps_of_one_epoch() -> None:
    text = (
        "\rTesting DataLoader 0:  40%|████      | 4/10 [00:00<00:01,  9.00it/s]"
        "\rPredicting DataLoader 1: 100%|█| 9/9 [00:00]\n"
    )
    assert parse("lightning", text, trains=False) == [ProgressHint(1, 1, 4, 10), ProgressHint(1, 1, 9, 9)]
    assert parse("lightning", text) == []


def test_lightning_without_a_known_number_of_steps() -> None:
    assert parse("lightning", "Epoch 0: |          | 7/? [00:01<00:00,  5.00it/s, v_num=1]\n") == [
        ProgressHint(1, None, 7)
    ]


def test_mmengine_and_mmcls_lines() -> None:
    hints = parse("mmengine", sample("mmengine_bevfusion_train"))
    assert hints[:3] == [
        ProgressHint(1, None, 50, 100, eta_s=93781.0),
        MetricHint("loss", 5.05, 1, running=True),
        MetricHint("loss_heatmap", 1.0, 1, running=True),
    ]
    assert lasting(hints) == [
        CheckpointHint(None, 1),
        CheckpointHint(None, 2),
        MetricHint("NuScenes_metric/mAP", 0.41, 2),
        MetricHint("NuScenes_metric/NDS", 0.5, 2),
    ]
    assert hints[-2:] == [
        ProgressHint(3, None, 10, 391, eta_s=3723.0),
        MetricHint("loss", 2.3026, 3, running=True),
    ]


def test_pointpillars_bars_are_nested() -> None:
    hints = parse("pointpillars", sample("pointpillars_train"))
    assert [hint for hint in hints if isinstance(hint, ProgressHint)] == [
        ProgressHint(1, 2),
        ProgressHint(1, 2, 1, 2),
        ProgressHint(1, 2, 2, 2),
        ProgressHint(1, 2, completed=True),
        ProgressHint(2, 2),
        ProgressHint(2, 2, 1, 2),
        ProgressHint(2, 2, 2, 2),
        ProgressHint(2, 2, completed=True),
    ]


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        (
            "keras_faster_rcnn_train",
            [MetricHint("AP/car", 0.25), MetricHint("AP/person", 0.25), MetricHint("mAP@0.5", 0.25)],
        ),
        ("lightning_rich", [MetricHint("test_acc", 0.9700000286102295)]),
        (
            "session_hook_detectnet_v2_train",
            [
                MetricHint("validation_cost", 0.000123),
                MetricHint("mAP", 0.455),
                MetricHint("AP/car", 0.51),
                MetricHint("AP/pedestrian", 0.4),
                FooterHint(True),
            ],
        ),
    ],
)
def test_plain_reads_every_familys_results_but_no_progress(name: str, metrics: list[Hint]) -> None:
    assert parse("plain", sample(name)) == metrics


def test_pointpillars_has_results_in_lines_without_a_bar() -> None:
    line = "Pruning ratio (pruned model / original model): 0.43\n"
    assert parse("pointpillars", line) == [MetricHint("pruning_ratio", 0.43)]


def test_an_unknown_family_is_read_as_plain() -> None:
    assert parse("quantum", "Epoch 1/2\nPruning ratio (pruned model / original model): 0.43\n") == [
        MetricHint("pruning_ratio", 0.43)
    ]


def test_the_first_exception_is_found_behind_its_frames() -> None:
    hints = parse("lightning", sample("cuda_oom"))
    out_of_memory = (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
        " GPU 0 has a total capacity of 23.6 GiB of which 1.2 GiB is free."
    )
    assert [hint for hint in hints if isinstance(hint, TracebackHint)] == [
        TracebackHint(out_of_memory),
        TracebackHint("SystemExit: 1"),
    ]
    causes = [hint.seen for hint in hints if isinstance(hint, CauseHint)]
    assert [(seen.cause.code, seen.epoch) for seen in causes] == [("cuda-out-of-memory", 2)]
    assert hints[-1] == FooterHint(False)


def test_a_traceback_glued_to_a_log_line_and_prefixed_by_its_rank() -> None:
    text = (
        "\r2026-11-20 09:05:07,001 [TAO Toolkit] [INFO] root 63: saved[rank0]: Traceback (most recent call last):\n"
        "[rank0]:   File \"/x.py\", line 3, in f\n[rank0]:     g()\n[rank0]: KeyError: 'images'\n"
    )
    assert parse("lightning", text) == [TracebackHint("KeyError: 'images'")]


def test_an_exception_without_a_message_and_frames_that_mention_errors() -> None:
    text = (
        "Traceback (most recent call last):\r\n  File x\r\n"
        "    raise CudaError('CUDA out of memory')\r\nKeyboardInterrupt\r\n"
    )
    assert parse("plain", text) == [TracebackHint("KeyboardInterrupt")]


def test_footers_and_betrayals_wherever_they_stand() -> None:
    text = "85/85 [===] - 4s - loss: 1.2" + "x" * 9000 + "Invalid decryption" + "Execution status: FAIL\n"
    assert [hint for hint in parse("keras", text) if not isinstance(hint, MetricHint)] == [
        FooterHint(False),
        BetrayalHint("Invalid decryption"),
    ]


def test_telemetry_complaints_betray_nothing() -> None:
    assert parse("plain", "Telemetry error: out of memory, Killed\n") == []


def test_stdout_and_stderr_do_not_cut_each_others_lines() -> None:
    parser = ConsoleParser(ProgressContract(console="keras"))
    assert parser.feed(b"Epoch 1", "stdout") == []
    assert parser.feed(b"Execution status: PA", "stderr") == []
    assert parser.feed(b"/8\n", "stdout") == [ProgressHint(1, 8)]
    assert parser.feed(b"SS\n", "stderr") == [FooterHint(True)]


def test_an_unfinished_line_is_read_at_the_end_and_its_memory_is_bounded() -> None:
    parser = ConsoleParser(ProgressContract(console="keras"))
    for _ in range(100):
        assert parser.feed(b"y" * 10_000) == []
    assert len(parser._streams["stdout"].carry) == LINE_LIMIT
    assert parser.feed(b"\nEpoch 3/9") == []
    assert parser.flush() == [ProgressHint(3, 9)]
    assert parser.flush() == []


def test_the_tail_shows_the_last_lines_and_each_bar_once() -> None:
    parser = ConsoleParser(ProgressContract(console="lightning"))
    parser.feed(sample("lightning_dino_train") + b"\x1b[31mred\x1b[0m\x07\tend\n\nunfinished")
    assert sum("%|" in line for line in parser.tail()) == 1
    assert parser.tail(3) == (
        "2026-11-20 09:06:07,001 [TAO Toolkit] [INFO] root 98: Execution status: PASS",
        "red\ufffd    end",
        "unfinished",
    )


def test_the_tail_is_bounded() -> None:
    parser = ConsoleParser(ProgressContract(console="plain"))
    for number in range(20_000):
        parser.feed(b"a line of log%s number %d\n" % (b"." * 60, number))
    assert len(parser._tail) <= 512 * 2**10
    assert parser.tail(2) == tuple(f"a line of log{'.' * 60} number {number}" for number in (19_998, 19_999))
    assert len(parser.tail()) == 200


_PIECES = [
    *(path.read_bytes() for path in sorted(DATA.glob("*.log"))),
    b"Traceback (most recent call last):\n",
    b"  File x\n",
    b"RuntimeError: CUDA error: out of memory\n",
    b"Mean average_precision (in %): 12.5\n",
    b"| car | 12.3 |\r\n",
    b"Class AP precision recall RPN_recall\n",
    b"car 0.1 0.2 0.3 0.4\n",
    b"\x1b[1",
    b"A\r",
    b"\x1b]0;title\x07",
    b"\b\b\r\n",
    b"\xff\xfe\x00",
    b"Epoch 2/5",
    b"\n",
    b"z" * 70_000,
]


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.sampled_from(_PIECES) | st.binary(max_size=40), max_size=6),
    st.sampled_from(sorted(FAMILIES)),
    st.randoms(use_true_random=False),
)
def test_the_same_bytes_give_the_same_hints_in_any_chunks(
    pieces: list[bytes], family: str, chance: random.Random
) -> None:
    data = b"".join(pieces)
    cuts = sorted({0, len(data), *(chance.randint(0, len(data)) for _ in range(chance.randint(0, 30)))})
    parser = ConsoleParser(ProgressContract(console=family), BETRAYALS)
    found = [hint for start, end in pairwise(cuts) for hint in parser.feed(data[start:end])]
    assert repr(found + parser.flush()) == repr(parse(family, data))


@pytest.mark.parametrize("path", sorted(DATA.glob("*.log")), ids=lambda path: path.stem)
def test_a_sample_byte_by_byte(path: Path) -> None:
    for family in FAMILIES:
        assert parse(family, path.read_bytes(), chunk=1) == parse(family, path.read_bytes())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(sorted(FAMILIES)))
def test_any_bytes(data: bytes, family: str) -> None:
    parse(family, data)
    parse(family, b"Epoch " + data + b"] - AP | 1/2 [= %|", trains=False)


_HOSTILE = {
    "digits": b"7" * 200,
    "spaces": b" " * 200,
    "brackets": b"[" * 100 + b"]" * 100,
    "equals": b"1/2 [" + b"=" * 200,
    "epochs": b"Epoch 1/2: loss: 1 learning rate: Time taken: ETA: ",
    "tqdm": b"Epoch 1: 10%| | 1/2 [a=1,",
    "pairs": b"- a: 1 - b: 2 - ",
    "average": b"AP 1 mAP 2 AP ",
    "paths": b"/a/b not found /c No such file or directory: '",
    "slashes": b"/" * 200,
    "errors": b"Error: does not exist Key 'Value ' could not be ",
    "tables": "│ test_a │ | car | 1 |".encode(),
    "mm": b"Epoch(train)  [1][  1/2] a: 1 ",
    "unet": b"Epoch: 1.0/2:, Cur-Step: 1, loss(",
    "escapes": b"\x1b[0;1;\x1b]\x1b(",
    "words": b"a.b_c-d ",
}


@pytest.mark.parametrize("name", sorted(_HOSTILE))
def test_no_line_takes_more_than_linear_time(name: str) -> None:
    """One megabyte in one line, and in lines of four kilobytes, for each family: nothing may stand still."""
    unit = _HOSTILE[name]
    needles = b"Error Epoch AP ] - step = Cur-Step: %| \xe2\x94\x82test_ Global step exist memory killed "
    short = (needles + unit * (4096 // len(unit)))[:4095] + b"\n"
    long = needles + unit * (2**20 // len(unit)) + b"\n"
    for family in FAMILIES:
        began = time.process_time()
        parse(family, short * 16 + long)
        assert time.process_time() - began < 1.0


def test_a_quiet_log_is_read_fast() -> None:
    """The figure of the issue is 200,000 lines a second; asserted with room for a busy machine."""
    quiet = (
        b"2026-11-20 09:05:07,001 [TAO Toolkit] [INFO] tao.core 63: loaded layer conv2d_12 of the model\n"
        * 100_000
    )
    for family in sorted(FAMILIES):
        parser = ConsoleParser(ProgressContract(console=family), BETRAYALS)
        best = 9.0
        for _ in range(3):
            began = time.process_time()
            for start in range(0, len(quiet), 2**16):
                parser.feed(quiet[start : start + 2**16])
            best = min(best, time.process_time() - began)
        assert 40_000 / best > 100_000, family
