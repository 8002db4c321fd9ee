"""What the spec schema of the embedded network refuses, the network refuses too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from taorunner.embedded.spec import SpecError, load_spec
from taorunner.embedded.spec_ranges import check_ranges
from taorunner.errors import Severity
from taorunner.specs.schema.override_check import check_override
from taorunner.specs.schema.schema import SCHEMAS, find_schema
from taorunner.specs.schema.walk import Against

TOOL = Path(__file__).parents[2] / "tools" / "schemas" / "embedded_schema.py"


def test_the_schema_that_is_shipped_is_that_of_the_code(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_bytes((SCHEMAS / "index.json").read_bytes())
    subprocess.run([sys.executable, TOOL, tmp_path], check=True)
    for name in ("tinydet.json", "index.json"):
        assert (tmp_path / name).read_text() == (SCHEMAS / name).read_text()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.num_epochs", 0), ("train.num_epochs", 1000), ("train.learning_rate", 1e6), ("train.seed", -1),
        ("train.learning_rate", "fast"), ("train.num_epoch", 3), ("trian.num_epochs", 3),
        ("model.backbone", "large"), ("model.input_width", 16), ("inference.threshold", 1.5),
        ("dataset_convert.val_split", 100), ("evaluate.iou_threshold", 0),
    ],
)  # fmt: skip
def test_a_value_is_refused_before_the_start_and_by_the_network(
    tmp_path: Path, key: str, value: object
) -> None:
    (tmp_path / "spec.yaml").write_text("{}\n")
    schema = find_schema("tinydet", "train", "embedded")
    assert schema is not None
    misfit = check_override(key.split("."), value, Against(schema, "train"))
    assert misfit is not None and misfit.severity is Severity.ERROR
    with pytest.raises(SpecError):
        check_ranges(load_spec(tmp_path / "spec.yaml", [f"{key}={value}"]), "train")
