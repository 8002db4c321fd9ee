from __future__ import annotations

import json
import math
import os
import random
import time
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.progress.parsing import read_float, read_int, read_seconds
from taorunner.progress.status_json import StatusReader, StatusRecord, parse_line

DATA = Path(__file__).parent / "data"


def line(number: int, **more: object) -> bytes:
    body = {"date": "1/2/2026", "time": "3:4:5", "status": "RUNNING", "message": f"record {number}", **more}
    return json.dumps(body).encode() + b"\n"


def messages(records: list[StatusRecord]) -> list[str]:
    return [record.message for record in records]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:01:02", 62.0),
        ("0:01:02.123456", 62.123456),
        ("1 day, 2:03:04", 93784.0),
        ("12 days, 0:00:01.5", 12 * 86400 + 1.5),
        ("1:02", 62.0),
        ("9s", 9.0),
        ("600.1", 600.1),
        (12.5, 12.5),
        (0, 0.0),
        ("0", 0.0),
        ("-1 day, 23:59:59", None),
        (-3, None),
        ("nan", None),
        (float("inf"), None),
        ("soon", None),
        (None, None),
        (True, None),
        ("1" * 5000, None),
    ],
)
def test_durations_in_every_form_tao_writes(text: object, seconds: float | None) -> None:
    assert read_seconds(text) == seconds


def test_numbers_may_be_strings_but_not_booleans() -> None:
    assert [read_float(v) for v in ("0.41", 7, "1e-4", True, "1_000", None, [], "x" * 100)] == [
        0.41, 7.0, 1e-4, None, None, None, None, None,
    ]  # fmt: skip
    assert math.isnan(read_float("nan") or 0)
    assert [read_int(v) for v in ("3", 3.9, -1, float("inf"), 1e300, "nan")] == [3, 3, None, None, None, None]


def test_a_keras_epoch_record_is_read_whole() -> None:
    record = parse_line((DATA / "status_ssd_5.jsonl").read_bytes().splitlines()[2])
    assert record == StatusRecord(
        status="RUNNING",
        verbosity="INFO",
        message="Training loop in progress",
        epoch=1,
        max_epoch=2,
        time_per_epoch_s=18.5,
        eta_s=18.5,
        metrics={
            "loss": 5.1234,
            "validation_loss": 6.5,
            "learning_rate": 0.01,
            "mean average precision": 0.31,
        },
        written_at=datetime(2026, 11, 20, 9, 5, 3),
    )


def test_a_lightning_epoch_record_has_steps() -> None:
    record = parse_line((DATA / "status_dino_7.jsonl").read_bytes().splitlines()[3])
    assert record is not None
    assert (record.epoch, record.max_epoch, record.step, record.max_step) == (0, 1, 400, 800)
    assert (record.time_per_epoch_s, record.eta_s) == (62.5, 62.0)
    assert record.metrics == {"val_mAP": 0.4, "val_mAP50": 0.6, "val_loss": 5.1}


def test_unet_writes_its_eta_in_capitals_and_its_losses_at_the_top() -> None:
    record = parse_line((DATA / "status_unet.jsonl").read_bytes())
    assert record is not None
    assert (record.eta_s, record.time_per_epoch_s, record.epoch) == (600.25, 12.5, 0)
    assert record.own_metrics == {"mini_batch_loss": 0.5, "running_average_loss": 0.6}


def test_tf2_efficientdet_writes_loss_at_the_top() -> None:
    record = parse_line((DATA / "status_efficientdet_tf2.jsonl").read_bytes().splitlines()[1])
    assert record is not None
    assert (record.own_metrics, record.metrics) == ({"loss": 1.25, "learning_rate": 0.01}, {})


def test_nested_metrics_are_named_by_their_path() -> None:
    record = parse_line(line(1, categorical={"average_precision": {"car": "0.4", "bus": None}}, kpi=[1, 2]))
    assert record is not None
    assert record.metrics == {"average_precision/car": 0.4}


def test_bare_nan_and_huge_numbers_are_no_obstacle() -> None:
    record = parse_line(
        b'{"status": "RUNNING", "epoch": ' + b"9" * 6000 + b', "kpi": {"a": NaN, "b": -Infinity, "c": 1e999}}'
    )
    assert record is not None
    assert record.epoch is None
    assert math.isnan(record.metrics["a"])
    assert (record.metrics["b"], record.metrics["c"]) == (-math.inf, math.inf)


def test_a_line_that_generates_metrics_says_so() -> None:
    said = [
        "Eval metrics generated.",
        "Train metrics generated.",
        "Evaluation metrics generated.",
        "Training loop in progress",
        "",
    ]
    assert [StatusRecord("RUNNING", message=text).generates_metrics for text in said] == [
        True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"\n",
        b"null",
        b"[1, 2]",
        b'"x"',
        b"7",
        b"{",
        b"\xff\xfe\x00",
        b'{"a": ' * 100_000,
        b"[" * 200_000,
    ],
)
def test_what_is_no_record_is_passed_over(rubbish: bytes) -> None:
    assert parse_line(rubbish) is None


def test_messages_cannot_drive_the_terminal() -> None:
    record = parse_line(b'{"status": "failure", "message": "a\\u001b[31mb\\n\\tc"}')
    assert record is not None
    assert (record.status, record.message) == ("FAILURE", "a\ufffd[31mb c")


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(line(1) + line(2))
    reader = StatusReader(path, path.stat().st_size)
    assert reader.read_new() == []
    with path.open("ab") as file:
        file.write(line(3) + line(4)[:20])
    assert messages(reader.read_new()) == ["record 3"]
    assert reader.read_new() == []
    with path.open("ab") as file:
        file.write(line(4)[20:])
    assert messages(reader.read_new()) == ["record 4"]
    assert reader.offset == path.stat().st_size


def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "train" / "status.json"
    reader = StatusReader(path, 0)
    assert reader.read_new() == []
    path.parent.mkdir()
    path.write_bytes(line(1))
    assert messages(reader.read_new()) == ["record 1"]
    path.unlink()
    assert reader.read_new(last=True) == []


def test_a_truncated_and_rewritten_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    """dataset_convert opens it in write mode; it may be longer than before when we look again."""
    path = tmp_path / "status.json"
    path.write_bytes(line(1) + line(2))
    reader = StatusReader(path, path.stat().st_size)
    path.write_bytes(line(7))
    assert messages(reader.read_new()) == ["record 7"]
    path.write_bytes(b"".join(line(number) for number in range(20, 30)))
    assert messages(reader.read_new()) == [f"record {number}" for number in range(20, 30)]


def test_a_file_replaced_before_the_first_look_is_noticed_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(line(1))
    assert messages(StatusReader(path, 10_000).read_new()) == ["record 1"]


def test_an_equal_file_moved_into_place_is_not_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(line(1))
    reader = StatusReader(path, 0)
    assert messages(reader.read_new()) == ["record 1"]
    other = tmp_path / "other"
    other.write_bytes(line(1) + line(2))
    other.replace(path)
    assert messages(reader.read_new()) == ["record 2"]


def test_a_record_behind_a_torn_one_is_found(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(line(1)[:30] + line(2))
    assert messages(StatusReader(path).read_new()) == ["record 2"]


def test_the_last_line_counts_without_its_newline_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(line(1) + line(2).rstrip())
    reader = StatusReader(path)
    assert messages(reader.read_new()) == ["record 1"]
    assert messages(reader.read_new(last=True)) == ["record 2"]
    assert reader.read_new(last=True) == []


def test_a_megabyte_line_is_read_and_an_endless_one_skipped(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    long = b'{"status": "RUNNING", "message": "' + b"x" * 2_000_000 + b'"}\n'
    endless = b'{"status": "SUCCESS", "message": "' + b"y" * 6_000_000 + b'"}\n'
    path.write_bytes(line(1) + long + endless + line(2))
    assert [len(text) for text in messages(StatusReader(path).read_new())] == [8, 4000, 8]


def test_an_endless_line_over_several_readings(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    reader = StatusReader(path)
    with path.open("ab") as file:
        for _ in range(6):
            file.write(b"z" * 1_000_000)
            file.flush()
            assert reader.read_new() == []
        file.write(b"\n" + line(3))
    assert messages(reader.read_new()) == ["record 3"]


def test_a_reading_stops_at_its_limit_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(b"".join(line(number) for number in range(10_000)))
    reader = StatusReader(path)
    seen: list[StatusRecord] = []
    rounds = 0
    while not rounds or not reader.at_end:
        seen += reader.read_new(max_bytes=200_000)
        rounds += 1
    assert messages(seen) == [f"record {number}" for number in range(10_000)]
    assert rounds > 3


def test_of_very_many_metrics_only_the_latest_records_are_held(tmp_path: Path) -> None:
    """400 MB of memory else, of a file of 12 MB."""
    file = tmp_path / "status.json"
    line = json.dumps({"date": "1/1/2026", "kpi": {str(number): 1 for number in range(500)}})
    file.write_text(f"{line}\n" * 3000 + json.dumps({"date": "1/1/2026", "kpi": {"last": 1}}) + "\n")
    records = StatusReader(file).read_new(last=True)
    assert sum(len(one.metrics) for one in records) <= 600_000
    assert len(records) > 450 and records[-1].metrics == {"last": 1.0}


def test_a_directory_and_a_pipe_in_its_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert StatusReader(tmp_path / "pipe").read_new(last=True) == []
    assert StatusReader(tmp_path / "folder").read_new() == []


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_as_a_line(data: bytes) -> None:
    parse_line(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.sampled_from(
    ["status", "message", "epoch", "max_epoch", "eta", "kpi", "graphical", "date", "time", "loss"]
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_KEYS, _JSON, max_size=8))
def test_any_values_under_the_known_keys(body: dict[str, object]) -> None:
    record = parse_line(json.dumps(body).encode())
    assert record is not None
    assert record.epoch is None or record.epoch >= 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=12), st.integers(0, 400), st.randoms(use_true_random=False))
def test_any_growth_of_the_file_gives_the_same_records(
    tmp_path_factory: pytest.TempPathFactory, rubbish: list[bytes], start: int, chance: random.Random
) -> None:
    lines = [line(number) if chance.random() < 0.5 else text + b"\n" for number, text in enumerate(rubbish)]
    whole = b"".join(lines)
    path = tmp_path_factory.mktemp("growth") / "status.json"
    start = min(start, len(whole))
    path.write_bytes(whole[:start])
    reader = StatusReader(path)
    seen = reader.read_new()
    place = start
    while place < len(whole):
        step = chance.randint(1, 90)
        with path.open("ab") as file:
            file.write(whole[place : place + step])
        place += step
        seen += reader.read_new()
    assert seen + reader.read_new(last=True) == StatusReader(path).read_new(last=True)


def test_twenty_thousand_records_take_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(line(1, kpi={"val_mAP": "0.4"}) * 20_000)
    began = time.process_time()
    assert len(StatusReader(path).read_new(last=True)) == 20_000
    assert time.process_time() - began < 5
