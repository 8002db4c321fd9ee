"""Reads ``results.json``, in which TAO Deploy's evaluations leave their figures.

Most networks write an object of numbers. The segmentation networks write one string with a Python dict in it, whose
numbers may be written as ``np.float32(0.5)``. A file without a mean over the classes gets one.
Source: results.md section 2.2; NVIDIA/tao_deploy 6.25.11 cv/*/scripts/evaluate.py,
metrics/semantic_segmentation_metric.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from taorunner.progress.metric_table import console_name
from taorunner.progress.parsing import read_float
from taorunner.text import printable
from taorunner.values.bounded_reading import parse_json

LARGEST_FILE = 1 << 20
"""Bytes. Larger files are not read: a figure for each of 1,000 classes needs less than a tenth of it."""

_METRIC_LIMIT = 4096
_NAME_LIMIT = 200
_NUMPY_NUMBER = re.compile(r"(?:np|numpy)\.\w+\(([-+.\w]+)\)")
_NO_NUMBER = re.compile(r"(?<![\w'\"])(?:nan|inf)(?![\w'\"])")
_OF_CLASS = "AP_"


def read_result_file(data: bytes) -> dict[str, float]:
    """The figures of the file by their names, as on the console: ``AP/car``, ``iou/road``. Empty for another file.

    A figure that is not finite says that nothing could be measured, and is left out.
    """
    try:
        body = parse_json(data, finite=False)
        if isinstance(body, str):
            body = _python_dict(body)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return {}
    if not isinstance(body, dict):
        return {}
    found: dict[str, float] = {}
    for key, value in ((str(key), value) for key, value in body.items()):
        if isinstance(value, dict):
            for metric, of_class in value.items():
                _take(found, f"{metric}/{key}", of_class)
        else:
            _take(
                found,
                f"AP/{key[len(_OF_CLASS) :]}" if key.startswith(_OF_CLASS) else console_name(key),
                value,
            )
        if len(found) >= _METRIC_LIMIT:
            break
    return found | _mean_of_classes(found)


def _python_dict(text: str) -> object:
    """Source: ``json.dump(str(dict))`` in TAO Deploy; NumPy 2 names its types in ``str``."""
    return ast.literal_eval(_NO_NUMBER.sub("None", _NUMPY_NUMBER.sub(r"\1", text)))


def _take(found: dict[str, float], name: object, value: object) -> None:
    number = read_float(value)
    if number is not None and number - number == 0:
        found[printable(str(name))[:_NAME_LIMIT]] = number


def _mean_of_classes(found: Mapping[str, float]) -> dict[str, float]:
    """``mAP`` of a file that has nothing but the APs of its classes."""
    if not found or not all(name.startswith("AP/") for name in found):
        return {}
    return {"mAP": sum(found.values()) / len(found)}
