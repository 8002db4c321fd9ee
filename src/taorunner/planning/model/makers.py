"""Which actions make what later actions of an experiment read."""

from __future__ import annotations

from collections.abc import Mapping

MAKERS: Mapping[str, tuple[str, ...]] = {
    "checkpoint": ("train", "prune"),
    "onnx_file": ("export",),
    "engine_file": ("gen_trt_engine",),
    "tfrecords": ("dataset_convert",),
    "dataset_tfrecord": ("dataset_convert",),
}
"""By the argument of a command line, or the variable of a spec: the actions that make its file or folder. The first one
makes it from nothing that is of its own kind."""
