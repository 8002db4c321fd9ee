"""Writes schemas: one compact file for each, and ``index.json``. ``schema`` reads them.

Identical sections, in several releases or in one, are written once. The same trees give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SAME_MESSAGE = {"dssd": "ssd", "yolo_v4_tiny": "yolo_v4"}
"""Networks that read the message of another one. Source: tao/tensorflow.md section 4.1."""

_KITTI_CONVERT = ("faster_rcnn", "yolo_v3", "yolo_v4", "yolo_v4_tiny", "ssd", "dssd", "retinanet")
"""Networks whose dataset_convert reads DatasetExportConfig. Source: tao/tensorflow.md section 4.1."""

SAME_AS = {
    **_SAME_MESSAGE,
    **{f"{name}.dataset_convert": "detectnet_v2.dataset_convert" for name in _KITTI_CONVERT},
}

UNKNOWN = (
    "bevfusion.convert", "bevfusion.dataset_convert", "annotations.qa_to_llava_annotation",
    "annotations.sparse4d_prepare",
)  # fmt: skip
"""Actions with a spec of another shape than their network's, which not every package holds.

Source: tao/pytorch.md section 5; nvidia-tao-ds 7.3.0 annotations/scripts.
"""


class SchemaFile:
    """All releases of one schema."""

    def __init__(self, spec_format: str) -> None:
        self._format = spec_format
        self._releases: dict[str, int] = {}
        self._sections: list[str] = []
        self._numbers: dict[str, int] = {}

    def add(self, release: str, tree: Mapping[str, Any]) -> None:
        """``tree`` as ``dataclass_schemas`` or ``protobuf_schemas`` gives it. ``is_corrected`` keys keep all limits."""
        self._releases[release] = self._section(tree)

    def _section(self, tree: Mapping[str, Any]) -> int:
        text = json.dumps({name: self._key(key) for name, key in tree.items()}, separators=(",", ":"))
        if text not in self._numbers:
            self._numbers[text] = len(self._sections)
            self._sections.append(text)
        return self._numbers[text]

    def _key(self, key: dict[str, Any]) -> dict[str, Any]:
        written = {name: value for name, value in _without_false_limits(key).items() if name != "keys"}
        if "keys" in key:
            written["section"] = self._section(key["keys"])
            del written["type"]
        if "of" in key:
            written["of"] = self._key(key["of"])
        if "any_of" in key:
            written["any_of"] = [self._key(one) for one in key["any_of"]]
        return written

    def to_json(self) -> str:
        sections = ",\n".join(self._sections)
        releases = json.dumps(self._releases)
        return f'{{"format":"{self._format}",\n"releases":{releases},\n"sections":[\n{sections}\n]}}\n'


def write_schemas(folder: Path, schemas: Mapping[str, SchemaFile], facts: Mapping[str, Any]) -> None:
    """All of them into ``folder``, which is there; ``facts`` are what else the index says."""
    for name, schema in sorted(schemas.items()):
        (folder / f"{name}.json").write_text(schema.to_json(), encoding="utf-8")
    same_as = {**{name: None for name in UNKNOWN if name not in schemas}, **SAME_AS}
    index = {**facts, "same_as": same_as, "schemas": sorted(schemas)}
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _without_false_limits(key: dict[str, Any]) -> dict[str, Any]:
    """A limit or option list that the key's own default violates is not a limit, and is dropped."""
    default = key.get("default")
    kept = dict(key)
    if kept.pop("is_corrected", False):
        return kept
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        if "min" in kept and default < kept["min"]:
            del kept["min"]
        if "max" in kept and default > kept["max"]:
            del kept["max"]
    if "min" in kept and "max" in kept and kept["min"] >= kept["max"]:
        del kept["min"], kept["max"]
    options = kept.get("options")
    if (
        options
        and kept.get("type") != "enum"
        and default not in (None, "???")
        and str(default) not in options
    ):
        del kept["options"]
    return kept
