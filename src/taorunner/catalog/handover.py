"""How a network's model is used outside of TAO: its input, its outputs, what DeepStream has to be told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taorunner.values.value import Value
from taorunner.yaml_reader import read_yaml


class InputScale(Value):
    """Three numbers of red, green and blue, 0..255: ``default``, or values of ``keys`` of the spec, times ``times``."""

    default: tuple[float, ...]
    keys: tuple[str, ...] = ()
    times: float = 1.0


class Agreement(Value):
    """Which boxes of two programs count as the same; the data file explains the fields."""

    iou: float
    score: float
    lowest: float
    share: float


class HandoverFacts(Value):
    """A row of the data file. ``reads`` is None where taorunner cannot read boxes from the outputs, ``deepstream`` is
    empty where DeepStream needs more than a configuration."""

    outputs: tuple[str, ...]
    mean: InputScale
    std: InputScale
    is_rgb: bool
    classes: str
    reads: str | None = None
    agreement: Agreement | None = None
    deepstream: Mapping[str, str | int] = {}


def handover_facts(network: str) -> HandoverFacts | None:
    """None for a network without a row. Read from the file at each call; a command asks once."""
    text = (Path(__file__).parent / "data" / "handover.yml").read_text(encoding="utf-8")
    rows: list[Mapping[str, Any]] = read_yaml(text).value
    row = next((row for row in rows if network in row["heads"]), None)
    return _facts(row) if row is not None else None


def _facts(row: Mapping[str, Any]) -> HandoverFacts:
    agrees = row.get("agreement")
    return HandoverFacts(
        outputs=tuple(row["outputs"]),
        mean=_scale(row["mean"]),
        std=_scale(row["std"]),
        is_rgb=row["colour"] == "rgb",
        classes=row["classes"],
        reads=row.get("reads"),
        agreement=Agreement(agrees["iou"], agrees["score"], agrees["from"], agrees["share"])
        if agrees
        else None,
        deepstream=dict(row.get("deepstream", {})),
    )


def _scale(row: Mapping[str, Any]) -> InputScale:
    times = float(row["times"])
    return InputScale(tuple(times * value for value in row["default"]), tuple(row.get("keys", ())), times)
