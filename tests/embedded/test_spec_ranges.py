"""Values of a spec at the limits of what the embedded network can work with."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.embedded.spec import Spec, SpecError, load_spec
from taorunner.embedded.spec_ranges import check_ranges


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text("{}\n")
    return tmp_path / "spec.yaml"


def spec_with(file: Path, *overrides: str) -> Spec:
    return load_spec(file, overrides)


@pytest.mark.parametrize(
    ("key", "lowest", "highest"),
    [
        ("train.num_epochs", 1, 999), ("train.batch_size", 1, 4096), ("train.seed", 0, 2**32 - 1),
        ("dataset_convert.val_split", 0, 99.999999), ("dataset_convert.num_shards", 0, 10_000),
        ("evaluate.iou_threshold", 0.01, 1), ("evaluate.batch_size", 1, 4096),
        ("inference.threshold", 0, 1), ("inference.batch_size", 1, 4096),
    ],
)  # fmt: skip
def test_the_first_and_the_last_value_that_can_be_used(
    file: Path, key: str, lowest: float, highest: float
) -> None:
    for value in (lowest, highest):
        check_ranges(spec_with(file, f"{key}={value}"), "evaluate")
    step = 1 if isinstance(highest, int) and highest > 1 else 0.001
    for value in (lowest - step, highest + step):
        with pytest.raises(SpecError, match=rf'^"{key}" is .*; it must be from {lowest:g} to '):
            check_ranges(spec_with(file, f"{key}={value}"), "evaluate")


@pytest.mark.parametrize("key", ["input_width", "input_height"])
@pytest.mark.parametrize(
    ("size", "fits"), [(24, False), (32, True), (36, False), (2048, True), (2056, False)]
)
def test_the_size_of_the_input(file: Path, key: str, size: int, fits: bool) -> None:
    spec = spec_with(file, f"model.{key}={size}")
    if fits:
        check_ranges(spec, "train")
        return
    with pytest.raises(
        SpecError, match=rf'^"model.{key}" is {size}; it must be a multiple of 8 from 32 to 2048'
    ):
        check_ranges(spec, "train")


@pytest.mark.parametrize("key", ["checkpoint_interval", "validation_interval"])
def test_intervals_lie_within_the_epochs_of_a_training(file: Path, key: str) -> None:
    for interval in (1, 5):
        check_ranges(spec_with(file, "train.num_epochs=5", f"train.{key}={interval}"), "train")
    for interval in (0, 6):
        spec = spec_with(file, "train.num_epochs=5", f"train.{key}={interval}")
        check_ranges(spec, "evaluate")  # which reads none of them
        with pytest.raises(SpecError) as caught:
            check_ranges(spec, "train")
        text = f'"train.{key}" is {interval}; it must be from 1 to train.num_epochs (5)'
        assert str(caught.value) == text


def test_an_unknown_backbone_is_answered_with_the_known_ones(file: Path) -> None:
    with pytest.raises(SpecError, match=r'^unknown model.backbone "large" \(known: '):
        check_ranges(spec_with(file, "model.backbone=large"), "train")
