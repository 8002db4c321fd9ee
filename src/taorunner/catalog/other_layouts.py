"""Layouts of datasets without boxes, class folders and masks: how each is known, and the networks that read it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taorunner.values.value import Value
from taorunner.yaml_reader import read_yaml


class OtherLayout(Value):
    """``files``, ``says`` and ``written`` (``is_written``) are explained in the data file."""

    name: str
    heads: tuple[str, ...]
    files: tuple[str, ...]
    says: re.Pattern[str] | None
    is_written: bool = False


def other_layouts() -> tuple[OtherLayout, ...]:
    """Read from the file at each call; a command asks once for each dataset."""
    text = (Path(__file__).parent / "data" / "other_layouts.yml").read_text(encoding="utf-8")
    rows: Sequence[Mapping[str, Any]] = read_yaml(text).value
    return tuple(
        OtherLayout(
            row["name"],
            tuple(row["heads"]),
            tuple(row["files"]),
            re.compile(row["says"], re.MULTILINE) if "says" in row else None,
            bool(row.get("written")),
        )
        for row in rows
    )
