"""The configuration of Gst-nvinfer, in its form of groups and keys. Pure.

Source: DeepStream's manual of Gst-nvinfer ("Gst-nvinfer File Configuration Specifications"); y = net-scale-factor *
(x - offsets), in the order of model-color-format.
"""

from __future__ import annotations

from collections.abc import Iterator

from taorunner.errors import UserFilesError
from taorunner.handover.model import CALIBRATION, LABELS, MODEL, Contents
from taorunner.text import printable

FILE = "config_infer_primary.txt"
_MODES = {"fp32": 0, "int8": 1, "fp16": 2}
_PARSERS = "libnvds_infercustomparser_tao.so"
_THRESHOLD = 0.3


def check_deepstream(contents: Contents) -> None:
    """Raises UserFilesError where no configuration can be written that DeepStream could use."""
    facts = contents.facts
    if facts is None or not facts.deepstream or contents.preprocessing is None:
        raise UserFilesError(
            f"how DeepStream reads the outputs of {contents.network} is not known to taorunner",
            hint="taorunner bundle EXPERIMENT --for onnx, or --for triton",
        )
    if contents.size is None:
        raise UserFilesError(
            f'input "{printable(contents.picture.name)}" of the model has no fixed size: DeepStream needs one',
            hint="export it with a width and a height",
        )


def deepstream_config(contents: Contents) -> str:
    """The text of ``FILE``, with paths relative to it. Raises as ``check_deepstream``."""
    check_deepstream(contents)
    return "".join(f"{line}\n" for line in _lines(contents))


def _lines(contents: Contents) -> Iterator[str]:
    facts, scaling, size = contents.facts, contents.preprocessing, contents.size
    assert facts is not None and scaling is not None and size is not None  # check_deepstream
    mode = _MODES[contents.precision]
    parser = facts.deepstream.get("parse-bbox-func-name")
    yield "# nvinfer's configuration of this bundle: paths are relative to this file"
    yield "[property]"
    yield "gpu-id=0"
    yield "gie-unique-id=1"
    yield "process-mode=1"
    yield "interval=0"
    yield "batch-size=1"
    yield f"onnx-file={MODEL}"
    yield f"model-engine-file={MODEL}_b1_gpu0_{contents.precision}.engine"
    yield f"labelfile-path={LABELS}"
    yield f"infer-dims={contents.picture.shape[1]};{size[1]};{size[0]}"
    yield f"network-mode={mode}"
    if contents.has_calibration:
        yield f"int8-calib-file={CALIBRATION}"
    yield f"net-scale-factor={scaling.factor:.10g}"
    mean = scaling.mean if scaling.is_rgb else scaling.mean[::-1]
    yield f"offsets={';'.join(f'{value:.10g}' for value in mean)}"
    yield f"model-color-format={0 if scaling.is_rgb else 1}"
    yield "maintain-aspect-ratio=0"
    yield f"num-detected-classes={len(contents.labels)}"
    if parser is not None:
        yield f"output-blob-names={';'.join(one.name for one in contents.header.outputs)}"
    yield from (f"{key}={value}" for key, value in facts.deepstream.items())
    if parser is not None:
        yield f"# built from NVIDIA-AI-IOT/deepstream_tao_apps, folder post_processor: copy {_PARSERS} beside this file"
        yield f"custom-lib-path={_PARSERS}"
    yield ""
    yield "[class-attrs-all]"
    yield f"pre-cluster-threshold={_THRESHOLD:g}"
    for number, name in enumerate(contents.labels):
        score = contents.thresholds.get(name)
        if score is not None:
            yield ""
            yield "# the score of this class's best F1 on the data of evaluation.json"
            yield f"[class-attrs-{number}]"
            yield f"pre-cluster-threshold={score:.4g}"
