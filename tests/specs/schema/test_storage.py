"""Schemas as they are written: limits that a default breaks are none, and each section is there once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from taorunner.specs.schema.storage import SchemaFile, write_schemas


def written(key: dict[str, Any]) -> dict[str, Any]:
    file = SchemaFile("yaml")
    file.add("1.0", {"a": key})
    section = json.loads(file.to_json())["sections"][0]["a"]
    assert isinstance(section, dict)
    return section


@pytest.mark.parametrize(
    ("key", "dropped"),
    [
        ({"type": "int", "default": 5, "min": 1, "max": 9}, set()),
        ({"type": "int", "default": 1, "min": 1, "max": 9}, set()),
        ({"type": "int", "default": 0, "min": 1, "max": 9}, {"min"}),
        ({"type": "int", "default": 9, "min": 1, "max": 9}, set()),
        ({"type": "int", "default": 10, "min": 1, "max": 9}, {"max"}),
        ({"type": "int", "default": True, "min": 2}, set()),
        ({"type": "int", "min": 5, "max": 5}, {"min", "max"}),
        ({"type": "int", "min": 5, "max": 6}, set()),
        ({"type": "str", "default": "a", "options": ["a", "b"]}, set()),
        ({"type": "str", "default": "c", "options": ["a", "b"]}, {"options"}),
        ({"type": "str", "default": "???", "options": ["a"]}, set()),
        ({"type": "str", "default": None, "options": ["a"]}, set()),
        ({"type": "enum", "default": "c", "options": ["a"]}, set()),
        ({"type": "int", "default": 0, "min": 1, "is_corrected": True}, {"is_corrected"}),
    ],
)
def test_a_limit_that_the_default_breaks_is_none(key: dict[str, Any], dropped: set[str]) -> None:
    assert written(key) == {name: value for name, value in key.items() if name not in dropped}


def test_the_same_section_is_written_once() -> None:
    file = SchemaFile("prototxt")
    inner = {"type": "section", "keys": {"x": {"type": "int"}}}
    tree = {"a": inner, "b": {"type": "list", "of": inner}, "c": {"any_of": [inner, {"type": "str"}]}}
    file.add("1.0", tree)
    file.add("2.0", tree)
    file.add("3.0", {"x": {"type": "int"}})
    body = json.loads(file.to_json())
    assert body == {
        "format": "prototxt", "releases": {"1.0": 1, "2.0": 1, "3.0": 0},
        "sections": [
            {"x": {"type": "int"}},
            {"a": {"section": 0}, "b": {"type": "list", "of": {"section": 0}}, "c": {"any_of": [{"section": 0}, {"type": "str"}]}},
        ],
    }  # fmt: skip


def test_an_action_of_another_shape_is_unknown_unless_a_package_holds_it(tmp_path: Path) -> None:
    file = SchemaFile("yaml")
    write_schemas(tmp_path, {"dino": file, "bevfusion.convert": file}, {"source": "x"})
    index = json.loads((tmp_path / "index.json").read_text())
    assert (index["schemas"], index["source"]) == (["bevfusion.convert", "dino"], "x")
    assert index["same_as"]["bevfusion.dataset_convert"] is None
    assert "bevfusion.convert" not in index["same_as"]
    assert index["same_as"]["dssd"] == "ssd"
    assert (tmp_path / "dino.json").read_text() == file.to_json()
