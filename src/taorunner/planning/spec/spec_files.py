"""Finds the spec file of an action: first in the experiment's own folder, then in those it extends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from taorunner.contracts import SpecContract

SUFFIXES = {"prototxt": (".txt", ".cfg", ".prototxt", ".pbtxt"), "yaml": (".yaml", ".yml")}
"""Protobuf text has no fixed suffix. Source: tao/tensorflow.md section 4.1."""


def candidates(folders: Sequence[Path], spec: SpecContract) -> Iterator[Path]:
    """Every path that would serve, best first: a nearer folder beats a better name."""
    for folder in folders:
        for stem in spec.stems:
            for suffix in SUFFIXES[spec.format]:
                yield folder / f"{stem}{suffix}"


def find_spec(folders: Sequence[Path], spec: SpecContract) -> Path | None:
    return next((path for path in candidates(folders, spec) if path.exists()), None)
