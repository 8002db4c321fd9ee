"""Runs a model on images, as a process of its own: ``python -m taorunner.handover.model_process``.

A container wrote the model, so what onnxruntime makes of it must not end taorunner: the process has a limit of memory,
and the program that starts it sets a time limit. It reads one JSON document from standard input and prints one.
"""

from __future__ import annotations

import json
import resource
import sys
import warnings
from pathlib import Path
from typing import Any

_MEMORY = 16 * 1024**3


def run(request: dict[str, Any]) -> dict[str, Any]:
    """``images``: for each its width, height, and boxes as ``outputs.boxes_of`` gives them."""
    import numpy as np
    import onnxruntime
    from PIL import Image

    from taorunner.datasets.files.pixels import open_image
    from taorunner.handover.outputs import boxes_of

    warnings.simplefilter("error", Image.DecompressionBombWarning)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = (
        1  # sums in one order: the same figures each time
    )
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(request["model"], options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    size = (int(request["width"]), int(request["height"]))
    mean, std = (np.array(request[key], np.float32) for key in ("mean", "std"))
    found = []
    for path in request["images"]:
        with open_image(Path(path)) as opened:
            picture = opened.convert("RGB")
        width, height = picture.size
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.BILINEAR)
        pixels = (np.asarray(picture, np.float32) - mean) * (np.float32(1) / std)
        pixels = pixels if request["rgb"] else pixels[:, :, ::-1]
        tensor = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
        values = session.run(names, {request["input"]: tensor})
        outputs = {name: value[0] for name, value in zip(names, values, strict=True)}
        rows = boxes_of(request["reads"], outputs, size, float(request["lowest"]))
        found.append({"width": width, "height": height, "boxes": rows})
    return {"images": found, "onnxruntime": onnxruntime.__version__}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    json.dump(run(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
