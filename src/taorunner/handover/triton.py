"""The model configuration of Triton Inference Server, as protobuf text. Pure.

Source: Triton's manual, "Model Configuration" and "Model Repository"; inference.ModelConfig. With max_batch_size above
0 the first dimension of every input and output is that of the batch, and is left out of dims.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from taorunner.errors import UserFilesError
from taorunner.handover.model import LABELS, Contents
from taorunner.handover.onnx_header import Tensor
from taorunner.text import printable

FILE = "config.pbtxt"
_TYPES = {
    1: "TYPE_FP32", 2: "TYPE_UINT8", 3: "TYPE_INT8", 4: "TYPE_UINT16", 5: "TYPE_INT16", 6: "TYPE_INT32",
    7: "TYPE_INT64", 8: "TYPE_STRING", 9: "TYPE_BOOL", 10: "TYPE_FP16", 11: "TYPE_FP64", 12: "TYPE_UINT32",
    13: "TYPE_UINT64", 16: "TYPE_BF16",
}  # fmt: skip
"""By the element type of ONNX."""
_BATCH = 8


def triton_config(contents: Contents) -> str:
    """The text of ``FILE``. Raises UserFilesError where a tensor has a type that Triton has not."""
    tensors = (*contents.header.inputs, *contents.header.outputs)
    for one in tensors:
        if one.type not in _TYPES:
            raise UserFilesError(f'tensor "{printable(one.name)}" of the model has no type that Triton knows')
    is_open = all(one.shape and one.shape[0] is None for one in tensors)
    return "".join(f"{line}\n" for line in _lines(contents, is_batched=is_open))


def _lines(contents: Contents, *, is_batched: bool) -> Iterator[str]:
    yield f"name: {json.dumps(contents.name)}"
    yield 'backend: "onnxruntime"'
    yield 'default_model_filename: "model.onnx"'
    yield f"max_batch_size: {_BATCH if is_batched else 0}"
    for one in contents.header.inputs:
        yield from _tensor("input", one, is_batched=is_batched)
    for one in contents.header.outputs:
        yield from _tensor(
            "output", one, is_batched=is_batched, labels=_has_classes(contents, one, is_batched)
        )


def _tensor(kind: str, one: Tensor, *, is_batched: bool, labels: bool = False) -> Iterator[str]:
    shape = one.shape[1:] if is_batched else one.shape
    yield f"{kind} {{"
    yield f"  name: {json.dumps(one.name, ensure_ascii=False)}"
    yield f"  data_type: {_TYPES[one.type]}"
    yield f"  dims: [{', '.join(str(-1 if size is None else size) for size in shape)}]"
    if labels:
        yield f'  label_filename: "{LABELS}"'
    yield "}"


def _has_classes(contents: Contents, one: Tensor, is_batched: bool) -> bool:
    """Whether it is the one vector of scores, which Triton can give names to."""
    is_vector = len(one.shape) == (2 if is_batched else 1)
    return bool(contents.labels) and is_vector and one.shape[-1] == len(contents.labels)
