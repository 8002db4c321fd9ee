"""What a model takes and gives is read as ONNX's own library reads it, and damage is an error of its own."""

from __future__ import annotations

import random
from pathlib import Path

import onnx
import pytest
from made_models import detr_model

from taorunner.errors import UserFilesError
from taorunner.handover.onnx_header import OnnxHeader, read_header


def header(path: Path) -> OnnxHeader:
    with path.open("rb") as file:
        return read_header(file, path.name)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return detr_model(tmp_path / "model.onnx", [[0.5, 0.5, 0.2, 0.4]] * 5, [[-5.0, 2.0, 1.0]] * 5)


def test_shapes_are_those_of_the_library(model: Path) -> None:
    proto = onnx.load(model)
    onnx.helper.set_model_props(proto, {"class_names": '["a"]'})
    proto.graph.input.append(onnx.helper.make_tensor_value_info("boxes", onnx.TensorProto.FLOAT, [1, 5, 4]))
    model.write_bytes(proto.SerializeToString())
    read = header(model)
    assert read.metadata == {"class_names": '["a"]'}
    assert [(one.name, one.type, one.shape) for one in read.inputs] == [("inputs", 1, (None, 3, 40, 60))], (
        "no weights"
    )
    for ours, theirs in zip(read.outputs, proto.graph.output, strict=True):
        dimensions = [one.dim_value or None for one in theirs.type.tensor_type.shape.dim]
        assert (ours.name, list(ours.shape)) == (theirs.name, dimensions)


def test_weights_in_other_files_are_refused(model: Path) -> None:
    proto = onnx.load(model)
    proto.graph.initializer[1].data_location = onnx.TensorProto.EXTERNAL
    model.write_bytes(proto.SerializeToString())
    with pytest.raises(UserFilesError, match="keeps weights in other files"):
        header(model)


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_a_model_or_an_error(model: Path, seed: int) -> None:
    of = random.Random(seed)
    data = bytearray(model.read_bytes())
    for _ in range(of.randint(1, 12)):
        data[of.randrange(len(data))] = of.randrange(256)
    model.write_bytes(data[: of.randrange(len(data))] if seed % 2 else data)
    try:
        read = header(model)
    except UserFilesError as error:
        assert "model.onnx" in error.message
    else:
        assert read.inputs and read.outputs
