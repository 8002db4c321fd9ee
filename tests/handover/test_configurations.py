"""The files for DeepStream and Triton, read back by parsers of their forms."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from made_models import contents_of, detr_model

from taorunner.catalog.handover import handover_facts
from taorunner.errors import UserFilesError
from taorunner.handover.deepstream import deepstream_config
from taorunner.handover.model import Preprocessing
from taorunner.handover.triton import triton_config

_FIELD = descriptor_pb2.FieldDescriptorProto
IMAGENET = Preprocessing((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), True, "of train")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return detr_model(tmp_path / "model.onnx", [[0.5, 0.5, 0.2, 0.4]] * 3, [[-5.0, 2.0]] * 3)


@pytest.fixture(scope="module")
def model_config() -> Any:
    """The part of Triton's inference.ModelConfig that is written, with its field numbers.
    Source: triton-inference-server/common protobuf/model_config.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", package="inference", syntax="proto3")
    kinds = file.enum_type.add(name="DataType")
    for number, name in enumerate(
        [
            "INVALID",
            "BOOL",
            "UINT8",
            "UINT16",
            "UINT32",
            "UINT64",
            "INT8",
            "INT16",
            "INT32",
            "INT64",
            "FP16",
            "FP32",
            "FP64",
            "STRING",
            "BF16",
        ]
    ):
        kinds.value.add(name=f"TYPE_{name}", number=number)
    tensor = [
        ("name", 1, _FIELD.TYPE_STRING, 1),
        ("data_type", 2, _FIELD.TYPE_ENUM, 1),
        ("dims", 3, _FIELD.TYPE_INT64, 3),
    ]
    for title, rows in (
        ("ModelInput", [tensor[0], tensor[1], ("dims", 4, _FIELD.TYPE_INT64, 3)]),
        ("ModelOutput", [*tensor, ("label_filename", 4, _FIELD.TYPE_STRING, 1)]),
        ("ModelConfig", [
            ("name", 1, _FIELD.TYPE_STRING, 1), ("max_batch_size", 4, _FIELD.TYPE_INT32, 1),
            ("input", 5, ".inference.ModelInput", 3), ("output", 6, ".inference.ModelOutput", 3),
            ("default_model_filename", 8, _FIELD.TYPE_STRING, 1), ("backend", 17, _FIELD.TYPE_STRING, 1),
        ]),
    ):  # fmt: skip
        message = file.message_type.add(name=title)
        for name, number, kind, label in rows:
            field = message.field.add(name=name, number=number, label=label)
            field.type = _FIELD.TYPE_MESSAGE if isinstance(kind, str) else kind
            if isinstance(kind, str) or kind == _FIELD.TYPE_ENUM:
                field.type_name = kind if isinstance(kind, str) else ".inference.DataType"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))


def test_triton_reads_its_configuration(model: Path, model_config: Any, tmp_path: Path) -> None:
    read = text_format.Parse(triton_config(contents_of(model, None, None)), model_config())
    assert (read.name, read.backend, read.max_batch_size) == ("e_01", "onnxruntime", 8)
    assert [(one.name, one.data_type, list(one.dims)) for one in read.input] == [("inputs", 11, [3, 40, 60])]
    assert {one.name: list(one.dims) for one in read.output} == {"pred_logits": [3, 2], "pred_boxes": [3, 4]}
    fixed = detr_model(tmp_path / "fixed.onnx", [[0.5, 0.5, 0.2, 0.4]], [[-5.0, 2.0]], batch=1)
    read = text_format.Parse(triton_config(contents_of(fixed, None, None)), model_config())
    assert (read.max_batch_size, list(read.input[0].dims)) == (0, [1, 3, 40, 60])


def test_nvinfer_gets_the_values_of_the_spec_in_its_own_form(model: Path) -> None:
    facts = handover_facts("dino")
    contents = contents_of(
        model, facts, IMAGENET, thresholds={"car": 0.4123}, precision="int8", has_calibration=True
    )
    settings = configparser.ConfigParser()
    settings.read_string(deepstream_config(contents))
    own = settings["property"]
    assert own["infer-dims"] == "3;40;60"
    assert own["offsets"] == "123.675;116.28;103.53"
    assert float(own["net-scale-factor"]) == pytest.approx(0.01735207, abs=1e-7), "as in NVIDIA's sample"
    assert (own["network-mode"], own["int8-calib-file"]) == ("1", "calibration.cal")
    assert own["parse-bbox-func-name"] == "NvDsInferParseCustomDDETRTAO"
    assert set(own["output-blob-names"].split(";")) == {"pred_logits", "pred_boxes"}
    assert (settings["class-attrs-1"]["pre-cluster-threshold"], "class-attrs-0" in settings) == (
        "0.4123",
        False,
    )


def test_bgr_turns_the_offsets(model: Path) -> None:
    scaling = Preprocessing((123.68, 116.779, 103.939), (1.0, 1.0, 1.0), False, "the network's own")
    settings = configparser.ConfigParser()
    settings.read_string(deepstream_config(contents_of(model, handover_facts("yolo_v4"), scaling)))
    assert settings["property"]["offsets"] == "103.939;116.779;123.68"
    assert settings["property"]["model-color-format"] == "1"


def test_without_facts_nothing_is_made_up(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserFilesError, match="how DeepStream reads the outputs of rtdetr is not known"):
        deepstream_config(contents_of(model, None, None))
