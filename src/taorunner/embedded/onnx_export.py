"""``export``: writes the trained network as a checked ONNX graph with the same outputs.

Input ``pictures``: float32 ``(N, 3, height, width)``, RGB, normalised as in training (``dataset.input_mean`` and
``input_std`` of the spec), as TAO's models want it. Outputs ``boxes``: ``(N, cells, 4)`` as
``(x_min, y_min, x_max, y_max)`` in input pixels, clipped to the image, and ``scores``: ``(N, cells, classes)``.
The graph does not suppress overlapping detections. Normalisation layers are folded into the convolutions before
them. Both compute in float32, so boxes agree to about one millionth of their size.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .arrays import Floats
from .checkpoint import load_network
from .failures import RunFailedError
from .layers import BatchNormalisation, Convolution
from .network import LOG_SIZE_RANGE, STRIDE, Architecture, Network, cell_centres
from .run import Run
from .spec import Spec, required
from .status_log import RUNNING

_OPSET = 17
_IR_VERSION = 8


def export(spec: Spec, run: Run) -> None:
    checkpoint = Path(required(spec.export.checkpoint, "export.checkpoint"))
    target = Path(spec.export.onnx_file) if spec.export.onnx_file else checkpoint.with_suffix(".onnx")
    # Source: tao/pytorch.md section 2: export asserts when export.onnx_file already exists.
    if target.exists():
        raise RunFailedError(
            "File system error", f'"{target}" already exists; remove it or choose another export.onnx_file'
        )
    run.status.write(RUNNING, f"Loading checkpoint: {checkpoint}")
    model = build_model(load_network(checkpoint))
    onnx.checker.check_model(model, full_check=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(model.SerializeToString())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    run.console.line(f'{target.stat().st_size:,} bytes: "{target}"')


def build_model(network: Network) -> onnx.ModelProto:
    graph = _Graph()
    size = network.architecture
    value = "pictures"
    pending: tuple[str, Convolution] | None = None
    for name, layer in network.layers.items():
        if isinstance(layer, Convolution):
            if "bias" in layer.parameters:
                value = graph.convolution(
                    value, name, layer, layer.parameters["weight"], layer.parameters["bias"]
                )
            else:
                pending = (name, layer)
        elif isinstance(layer, BatchNormalisation):
            assert pending is not None
            value = graph.convolution(value, pending[0], pending[1], *_folded(pending[1], layer))
        else:
            value = graph.add("Relu", [value])
    cells, outputs = size.rows * size.columns, 5 + len(size.class_names)
    value = graph.add("Transpose", [value], perm=[0, 2, 3, 1])
    shape = graph.constant("cell_shape", np.array([-1, cells, outputs], np.int64))
    value = graph.add("Reshape", [value, shape])
    graph.decode(value, size)
    boxes = helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", cells, 4])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", cells, len(size.class_names)])
    pictures = helper.make_tensor_value_info(
        "pictures", TensorProto.FLOAT, ["N", 3, size.input_height, size.input_width]
    )
    proto = helper.make_graph(graph.nodes, "tinydet", [pictures], [boxes, scores], graph.initialisers)
    model = helper.make_model(
        proto,
        producer_name="taorunner tinydet",
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    helper.set_model_props(
        model, {"class_names": json.dumps(list(size.class_names)), "backbone": size.backbone}
    )
    return model


def _folded(convolution: Convolution, normalisation: BatchNormalisation) -> tuple[Floats, Floats]:
    parameters, buffers = normalisation.parameters, normalisation.buffers
    factor = parameters["scale"] / np.sqrt(buffers["variance"] + normalisation.EPSILON)
    return convolution.parameters["weight"] * factor, parameters["shift"] - buffers["mean"] * factor


class _Graph:
    """Nodes and constants in the order they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        name = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operator, inputs, [name], name=f"node_{len(self.nodes)}", **attributes)
        )
        return name

    def constant(self, name: str, value: Any) -> str:
        self.initialisers.append(numpy_helper.from_array(value, name))
        return name

    def convolution(self, value: str, name: str, layer: Convolution, weight: Floats, bias: Floats) -> str:
        kernel = self.constant(f"{name}.weight", np.ascontiguousarray(weight.transpose(3, 2, 0, 1)))
        border = layer.size // 2
        return self.add(
            "Conv",
            [value, kernel, self.constant(f"{name}.bias", bias)],
            kernel_shape=[layer.size] * 2,
            strides=[layer.stride] * 2,
            pads=[border] * 4,
        )

    def decode(self, raw: str, size: Architecture) -> None:
        """``network.decode`` as graph nodes."""
        parts = ["offset", "log_size", "objectness", "classes"]
        sizes = self.constant("parts", np.array([2, 2, 1, len(size.class_names)], np.int64))
        self.nodes.append(helper.make_node("Split", [raw, sizes], parts, name="split", axis=2))
        middle = self.add("Add", ["offset", self.constant("centres", cell_centres(size.rows, size.columns))])
        bounds = [
            self.constant(name, np.array(value, np.float32))
            for name, value in zip(("lowest", "highest"), LOG_SIZE_RANGE, strict=True)
        ]
        whole = self.add("Exp", [self.add("Clip", ["log_size", *bounds])])
        half = self.add("Mul", [whole, self.constant("one_half", np.array(0.5, np.float32))])
        edges = [self.add("Sub", [middle, half]), self.add("Add", [middle, half])]
        stride = self.constant("stride", np.array(STRIDE, np.float32))
        boxes = self.add("Mul", [self.add("Concat", edges, axis=2), stride])
        border = np.array([size.input_width, size.input_height] * 2, np.float32)
        below = self.add("Min", [boxes, self.constant("border", border)])
        self.add("Max", [below, self.constant("zero", np.array(0, np.float32))], "boxes")
        objectness = self.add("Sigmoid", ["objectness"])
        self.add("Mul", [objectness, self.add("Softmax", ["classes"], axis=2)], "scores")
