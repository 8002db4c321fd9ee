"""A model of the DETR family is run by onnxruntime, and its boxes are compared."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from made_models import contents_of, detr_model
from PIL import Image

from taorunner.catalog.handover import handover_facts
from taorunner.errors import UserFilesError
from taorunner.handover.check import Box, check_model
from taorunner.handover.model import Contents, Preprocessing
from taorunner.specs.schema.schema import SCHEMAS

PLAIN = Preprocessing((0.0, 0.0, 0.0), (255.0, 255.0, 255.0), True, "the network's own")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.new("RGB", (120, 100), (51, 102, 204)).save(path)
    return path


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    model = detr_model(
        tmp_path / "model.onnx", [[0.5, 0.5, 0.2, 0.4], [0.25, 0.25, 0.1, 0.1]], [[-9.0, 1.0], [0.5, -9.0]]
    )
    return contents_of(model, handover_facts("rtdetr"), PLAIN)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


LEVEL = float(np.mean([51, 102, 204])) / 255


def truth(shift: float = 0.0, name: str = "car") -> tuple[Box, ...]:
    return (
        Box(name, (48.0 + shift, 30.0, 72.0 + shift, 70.0), round(sigmoid(1.0 + LEVEL), 3)),
        Box("bg", (24.0, 20.0, 36.0, 30.0), round(sigmoid(0.5 + LEVEL), 3)),
    )


def test_the_same_boxes_pass(tmp_path: Path, contents: Contents, image: Path) -> None:
    checked = check_model(tmp_path / "model.onnx", contents, PLAIN, {image: truth()}, 0.5)
    assert (checked.state, checked.boxes, checked.agree) == ("passed", 2, 2)
    assert checked.farthest_px < 1e-3 and checked.score_off < 1e-3


@pytest.mark.parametrize(
    ("boxes", "scaling"),
    [
        (truth(shift=20), PLAIN),
        (truth(name="truck"), PLAIN),
        (truth()[:1], PLAIN),
        (truth(), Preprocessing((0.0, 0.0, 0.0), (30.0, 30.0, 30.0), True, "")),
    ],
    ids=["moved", "other class", "one too many", "other deviation"],
)
def test_other_boxes_are_refused(
    tmp_path: Path, contents: Contents, image: Path, boxes: tuple[Box, ...], scaling: Preprocessing
) -> None:
    with pytest.raises(UserFilesError, match="does not give the boxes that TAO's inference wrote"):
        check_model(tmp_path / "model.onnx", contents, scaling, {image: boxes}, 0.5)


def test_without_boxes_there_is_nothing_to_check(tmp_path: Path, contents: Contents, image: Path) -> None:
    checked = check_model(tmp_path / "model.onnx", contents, PLAIN, {image: ()}, 0.999)
    assert (checked.state, checked.reason) == (
        "not-checked",
        "TAO's inference wrote no box with a score from 0.999 on",
    )


def test_a_model_that_cannot_be_run_is_said(tmp_path: Path, contents: Contents, image: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\x08\x08" + b"\xff" * 100)
    with pytest.raises(UserFilesError, match="onnxruntime cannot run the model: "):
        check_model(broken, contents, PLAIN, {image: truth()}, 0.5)


@pytest.mark.parametrize("network", ["dino", "deformable_detr", "tinydet"])
def test_defaults_are_those_of_the_schema(network: str) -> None:
    facts = handover_facts(network)
    assert facts is not None
    sections = json.loads((SCHEMAS / f"{network}.json").read_text())["sections"]
    for scale, key in ((facts.mean, "input_mean"), (facts.std, "input_std")):
        (default,) = {tuple(one[key]["default"]) for one in sections if key in one}
        assert tuple(scale.times * value for value in default) == pytest.approx(scale.default)
