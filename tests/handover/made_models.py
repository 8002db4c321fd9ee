"""Models as they are handed over: small ONNX graphs, and contents made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from taorunner.catalog.handover import HandoverFacts
from taorunner.handover.model import Contents, Preprocessing
from taorunner.handover.onnx_header import read_header


def detr_model(
    path: Path, boxes: Sequence[Sequence[float]], logits: Sequence[Sequence[float]], batch: object = "N"
) -> Path:
    """A graph with the inputs and outputs of the DETR family, whose logits grow by the mean of its input."""
    rows, classes = len(boxes), len(logits[0])
    nodes = [
        helper.make_node("ReduceMean", ["inputs"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["mean", "one"], ["level"]),
        helper.make_node("Add", ["level", "logits"], ["pred_logits"]),
        helper.make_node("Sub", ["level", "level"], ["nothing"]),
        helper.make_node("Add", ["nothing", "boxes"], ["pred_boxes"]),
    ]
    graph = helper.make_graph(
        nodes, "detr",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, [batch, 3, 40, 60])],
        [helper.make_tensor_value_info("pred_logits", TensorProto.FLOAT, [batch, rows, classes]),
         helper.make_tensor_value_info("pred_boxes", TensorProto.FLOAT, [batch, rows, 4])],
        [numpy_helper.from_array(np.array([-1, 1, 1], np.int64), "one"),
         numpy_helper.from_array(np.array([logits], np.float32), "logits"),
         numpy_helper.from_array(np.array([boxes], np.float32), "boxes")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def contents_of(
    model: Path, facts: HandoverFacts | None, scaling: Preprocessing | None, labels: tuple[str, ...] = ("bg", "car"),
    **more: object,
) -> Contents:  # fmt: skip
    with model.open("rb") as file:
        header = read_header(file, model.name)
    return Contents("e_01", "rtdetr", header, facts, scaling, labels, **{"thresholds": {}, **more})
