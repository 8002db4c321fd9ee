"""Scalars of TensorBoard's event files.

``data/events`` holds one file written by tensorboardX 2.6.5 (scalars, a picture, a histogram) and one by TensorBoard
2.21 (scalars as numbers and as tensors of several types). What TensorBoard's own loader reads in them is the same.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from taorunner.progress.event_files import Scalar, ScalarReader
from taorunner.progress.figures import EpochFigures, Figure

EVENTS = Path(__file__).parent / "data" / "events"
LOGGED = EVENTS / "tensorboardx.tfevents"


def _float32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def test_what_tensorboardx_writes() -> None:
    expected: list[Scalar] = []
    for step in range(6):
        expected.append(Scalar("train_loss_step", step, _float32(1 / (step + 1))))
        expected.append(Scalar("epoch", step, step // 2))
        if step % 2:
            epoch = step // 2
            expected += [Scalar("val/epe", step, 3.0 - epoch), Scalar("val/bp1", step, 0.5 - epoch * 0.125)]
            expected.append(Scalar("epoch", step, epoch))
    reader = ScalarReader(LOGGED)
    assert reader.read_new() == expected
    assert reader.read_new() == []


def test_what_tensorboard_writes() -> None:
    found = ScalarReader(EVENTS / "tensorboard.tfevents").read_new()
    expected = []
    for step in range(5):
        expected += [("tensor", _float32(step / 3)), ("double", step / 7), ("plain", _float32(step / 9))]
    assert [(scalar.tag, scalar.value) for scalar in found] == expected


def test_a_growing_file_gives_every_scalar_once(tmp_path: Path) -> None:
    whole = LOGGED.read_bytes()
    file = tmp_path / "events"
    reader = ScalarReader(file)
    assert reader.read_new() == []
    found: list[Scalar] = []
    with file.open("ab", buffering=0) as writer:
        for start in range(0, len(whole), 97):
            writer.write(whole[start : start + 97])
            found += reader.read_new()
    assert found == ScalarReader(LOGGED).read_new()


def test_large_events_are_passed_over(tmp_path: Path) -> None:
    event = b"\x00" * (3 << 20)
    file = tmp_path / "events"
    file.write_bytes(struct.pack("<QI", len(event), 0) + event + b"\x00" * 4 + LOGGED.read_bytes())
    assert ScalarReader(file).read_new() == ScalarReader(LOGGED).read_new()


@pytest.mark.parametrize("seed", range(40))
def test_damage_never_raises(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    data = bytearray(LOGGED.read_bytes())
    for _ in range(draw.choice([1, 3, 50])):
        data[draw.randrange(len(data))] = draw.randrange(256)
    file = tmp_path / "events"
    file.write_bytes(bytes(data[: draw.choice([len(data), draw.randrange(len(data))])]))
    assert len(ScalarReader(file).read_new()) <= 40


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(LOGGED)
    assert ScalarReader(tmp_path / "link").read_new() == []


def test_figures_belong_to_the_epoch_of_their_step() -> None:
    figures = EpochFigures(["val/*"])
    scalars = ScalarReader(LOGGED).read_new()
    expected = [
        Figure(name, value, epoch + 1)
        for epoch in range(3)
        for name, value in (("val/epe", 3.0 - epoch), ("val/bp1", 0.5 - epoch * 0.125))
    ]
    assert figures.of(scalars) == expected
    one_by_one = EpochFigures(["val/*"])
    assert [figure for scalar in scalars for figure in one_by_one.of([scalar])] == expected


@pytest.mark.parametrize("epoch", [float("inf"), float("nan"), -1.0, 3e38])
def test_what_no_epoch_can_be_is_none(epoch: float) -> None:
    figures = EpochFigures(["val/epe"])
    assert figures.of([Scalar("val/epe", 7, 2.0), Scalar("epoch", 7, epoch)]) == []
    assert figures.of([Scalar("epoch", 7, 1.0)]) == [Figure("val/epe", 2.0, 2)]


def test_a_reading_takes_a_part_of_a_large_file_and_the_next_goes_on(tmp_path: Path) -> None:
    value = b"\x0a\x08\x0a\x01x\x15\x00\x00\x80\x3f"  # the tag "x", 1.0
    event = b"\x2a" + bytes([0x80 | len(value) * 100 & 0x7F, len(value) * 100 >> 7]) + value * 100
    file = tmp_path / "events"
    file.write_bytes((struct.pack("<QI", len(event), 0) + event + b"\0" * 4) * 9000)
    reader, counts = ScalarReader(file), []
    while found := reader.read_new():
        counts.append(len(found))
    assert (sum(counts), len(counts)) == (900_000, 3)
    assert set(found) == set()


def test_a_figure_waits_for_the_epoch_of_its_step() -> None:
    figures = EpochFigures(["val/epe"])
    assert figures.of([Scalar("val/epe", 7, 2.0), Scalar("other", 7, 1.0)]) == []
    assert figures.of([Scalar("epoch", 6, 0.0)]) == []
    assert figures.of([Scalar("epoch", 7, 1.0)]) == [Figure("val/epe", 2.0, 2)]
    assert figures.of([]) == []
