"""Finds places in a spec that the action writes and its container may only read.

Source: tao/pytorch.md section 3 for the keys of results; ``planning.inputs.run_mounts`` for what a container may write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from taorunner.contracts import Contract
from taorunner.errors import Severity
from taorunner.planning.checks.spec_view import SpecReader
from taorunner.planning.checks.training_facts import Fault
from taorunner.planning.inputs.run_mounts import may_write
from taorunner.project.mounts import Mounts
from taorunner.specs.outline import Shape
from taorunner.specs.schema.walk import ACTION_SECTIONS
from taorunner.text import printable
from taorunner.values.value import MutableValue, field

_WRITTEN = re.compile(r"(?:^|_)(?:results?|output|outputs|out|save|saved|log|logs|cache|tmp|dump)(?:_|$)")
_MODELS = {"export": "onnx_file", "gen_trt_engine": "trt_engine"}
"""The model that an action writes, by the key in the section of the action; another action reads it."""
_REPORTED = "train.results_dir"
"""By ``spec_rules.results_elsewhere``."""


class WrittenPlaces(MutableValue):
    """``mounts`` are those of containers. One object for many specs: the keys of each shape are chosen once."""

    mounts: Mounts
    _keys: dict[tuple[Shape, str, str], tuple[str, ...]] = field(default_factory=dict)

    def may_be_in(self, text: str) -> bool:
        """False where a spec names no place below a mount, decided without parsing it."""
        return any(f"{entry.destination}/" in text for entry in self.mounts.entries)

    def faults(self, contract: Contract, spec: SpecReader, results: str, data: str) -> Iterator[Fault]:
        """``results`` and ``data`` are the folders of this host that the run may write, if it may write data."""
        writable = (results,) if contract.reads_data_only else (results, data)
        for key in self._written(contract, spec):
            for index, path in enumerate(spec.paths(key) or ()):
                if not may_write(self.mounts, path, writable):
                    shown = printable(spec.variables.shown(path))
                    message = (
                        f'"{shown}" is read-only in the container, and "{key}" names it as a place to write'
                    )
                    hint = "write below $results_dir; or mount the folder in .tao_mounts.json, which opens it"
                    yield Fault(Severity.WARNING, "output-read-only", message, hint, key, index)

    def _written(self, contract: Contract, spec: SpecReader) -> Iterator[str]:
        given = contract.spec.keys.get("results_dir", "") if contract.spec is not None else ""
        place = (spec.outline.shape, contract.action, given)
        if place not in self._keys:
            texts = spec.outline.shape.texts()
            self._keys[place] = tuple(key for key in texts if _is_written(key, contract.action, given))
        yield from self._keys[place]
        yield from (key for key in spec.overlay if _is_written(key, contract.action, given))


def _is_written(key: str, action: str, given: str) -> bool:
    """``given`` is the key of the results folder, which every run sets on its command line."""
    steps = key.split(".")
    if key in (given, _REPORTED) or (steps[0] in ACTION_SECTIONS and steps[0] != action):
        return False
    return bool(_WRITTEN.search(steps[-1])) or (steps[0] == action and _MODELS.get(action) == steps[-1])
