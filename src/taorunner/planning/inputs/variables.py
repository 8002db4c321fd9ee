"""The variables that a spec template may use, and ``vars`` of an experiment that are made of them.

Apart from ``values``, which finds the values for a run, because checks without a run need no more than this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from taorunner.specs.syntax.literals import inside_text

VARIABLES = (
    "experiment", "project", "dataset_raw", "dataset", "dataset_tfrecord", "tfrecords",
    "pretrained_model", "results_dir", "num_gpus", "gpu_ids",
)  # fmt: skip
"""Names a spec template may use besides the experiment's own ``vars``. Part of the interface."""

STAND_INS: Mapping[str, Any] = {
    name: 1 if name == "num_gpus" else [0] if name == "gpu_ids" else f"/{name}" for name in VARIABLES
}
"""Placeholder values of template variables for checks without a run."""

_REFERENCE = re.compile(
    rf"(?<!\$)\$(?:({'|'.join(VARIABLES)})(?![A-Za-z0-9_])|\{{({'|'.join(VARIABLES)})\}})"
)


def own_values(own: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment's ``vars`` with the variables of taorunner in them filled in: ``image_dir: $dataset_raw/val``.

    Only names of ``VARIABLES`` that ``known`` has; every other dollar stays what it is.
    """

    def value_of(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return inside_text(known[name]) if name in known else match[0]

    return {
        name: _REFERENCE.sub(value_of, value) if isinstance(value, str) and "$" in value else value
        for name, value in own.items()
    }
