"""A spec against the schema of its network: what is found, and where in the file that the user wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from spec_checks import check_template

from taorunner.specs.schema.override_check import check_override
from taorunner.specs.schema.schema import find_schema
from taorunner.specs.schema.walk import Against
from taorunner.specs.spec_file import prepare_spec


def against(network: str, action: str = "train", version: str = "6.26.3", *given: str) -> Against:
    schema = find_schema(network, action, version)
    assert schema is not None
    return Against(schema, action, "model", frozenset(given))


def found(tmp_path: Path, text: str, held: Against, **values: str | int) -> list[tuple[str, str, int | None]]:
    path = tmp_path / "spec"
    path.write_text(text, encoding="utf-8")
    findings = check_template(path, held.schema.format, list(values), held, values)
    return [(finding.severity.value, finding.code, finding.line) for finding in findings]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  num_epochs: 12", []),
        ("  num_epochs: $epochs", []),
        ("  num_epoch: 12", [("error", "unknown-key", 3)]),
        ("  num_epochs: 1.5", [("error", "wrong-type", 3)]),
        ("  num_epochs: many", [("error", "wrong-type", 3)]),
        ('  num_epochs: "7"', []),
        ("  num_epochs: -5", [("warning", "out-of-range", 3)]),
        ("  num_epochs: ${train.other}", []),
        ("  num_epochs: ???", [("error", "missing-value", 3)]),
        ("  optim: [1]", [("error", "wrong-type", 3)]),
        ("  optim: {lr_scheduler: Sometimes}", [("warning", "not-an-option", 3)]),
    ],
)
def test_yaml(tmp_path: Path, line: str, expected: list[tuple[str, str, int]]) -> None:
    text = f"# twelve epochs\ntrain:\n{line}\n"
    assert found(tmp_path, text, against("dino"), epochs=12) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  num_epochs: 80", []),
        ("  num_epoch: 80", [("error", "unknown-key", 3)]),
        ("  num_epochs: 1.5", [("error", "wrong-type", 3)]),
        ('  num_epochs: "80"', [("error", "wrong-type", 3)]),
        ("  num_epochs: -1", [("error", "out-of-range", 3)]),
        ("  regularizer { type: L3 }", [("error", "not-an-option", 3)]),
        ("  num_epochs { }", [("error", "wrong-type", 3)]),
        ("  num_epochs: [1, 2]", [("error", "wrong-type", 3)]),
    ],
)
def test_protobuf_text(tmp_path: Path, line: str, expected: list[tuple[str, str, int]]) -> None:
    text = f"random_seed: 42\ntraining_config {{\n{line}\n}}\n"
    assert found(tmp_path, text, against("dssd", version="5.0.0")) == expected


def test_a_number_is_judged_in_each_text_of_a_sweep(tmp_path: Path) -> None:
    text = "train:\n  num_epochs: {}\n"
    seen = [found(tmp_path, text.format(number), against("dino")) for number in ("3", "0", "2.5", "4")]
    assert seen == [[], [("warning", "out-of-range", 2)], [("error", "wrong-type", 2)], []]


def test_a_place_behind_a_variable_is_the_templates(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("train: {results_dir: $results_dir, num_epoch: 3}\n", encoding="utf-8")
    prepared = prepare_spec(
        path, "yaml", {"results_dir": "/a/long/folder/of/results"}, against=against("dino")
    )
    assert [(f.code, f.line, f.column) for f in prepared.findings] == [("unknown-key", 1, 36)]


def test_a_key_of_another_release_names_it(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("quantize:\n  layers: []\n", encoding="utf-8")
    findings = check_template(path, "yaml", [], against("dino", version="6.0.0"), {})
    assert [(f.code, f.line) for f in findings] == [("other-release", 1)]
    assert "(since " in findings[0].message


@pytest.mark.parametrize(
    ("network", "version", "key", "expected"),
    [
        ("dino", "5.2.0", "train.gpu_ids", "since 5.5.0"),
        ("dino", "6.0.0", "quantize", "since 6.26.3"),
        ("segformer", "7.0.1", "train.max_iters", "until 5.5.0"),
        ("re_identification", "5.2.0", "train.optim.steps", "until 5.1.0"),
        ("classification_pyt", "5.0.0", "model.backbone.freeze", "since 5.1.0"),
        ("dino", "5.2.0", "train.nothing_of_the_kind", None),
    ],
)
def test_since_when_and_until_when_there_is_a_key(
    network: str, version: str, key: str, expected: str | None
) -> None:
    schema = against(network, version=version).schema
    assert schema.find(tuple(key.split("."))) is None
    assert schema.elsewhere(tuple(key.split("."))) == expected


def test_what_a_backbone_may_be_is_not_known_where_a_table_of_the_code_says_it() -> None:
    assert against("dino", version="5.5.0").schema.find(("model", "backbone")).options == ()  # type: ignore[union-attr]
    assert "fan_small" in against("dino", version="6.0.0").schema.find(("model", "backbone")).options  # type: ignore[union-attr]


def test_a_value_from_the_command_line_is_not_missing(tmp_path: Path) -> None:
    text = "evaluate:\n  checkpoint: ???\n"
    assert found(tmp_path, text, against("dino", "evaluate")) == [("error", "missing-value", 2)]
    assert found(tmp_path, text, against("dino", "evaluate", "6.26.3", "evaluate.checkpoint")) == []


def test_a_release_without_schema_is_not_checked() -> None:
    assert find_schema("dino", "train", "4.0.0") is None
    assert find_schema("bevfusion", "train", "5.3.0") is None
    assert find_schema("bpnet", "train", "5.0.0") is None


def test_a_value_that_is_missing_from_a_spec_of_one_action_is_reported(tmp_path: Path) -> None:
    held = against("dino", "convert", "7.0.1")
    assert found(tmp_path, "input_source: /a\n", held) == [("warning", "missing-value", 1)]
    assert found(tmp_path, "results_dir: /r\n", held) == []


def test_an_override_is_held_against_the_same_schema() -> None:
    held = against("dino")
    expected = {
        key: misfit.code if (misfit := check_override(key.split("."), value, held)) else None
        for key, value in {"train.num_epochs": 3, "train.num_epoch": 3, "train.optim.lr": "fast"}.items()
    }
    assert expected == {
        "train.num_epochs": None,
        "train.num_epoch": "unknown-key",
        "train.optim.lr": "wrong-type",
    }


@pytest.mark.parametrize("network", ["dino", "rtdetr", "deformable_detr", "grounding_dino"])
def test_a_list_in_a_map_of_texts_is_taken_as_omegaconf_takes_it(tmp_path: Path, network: str) -> None:
    key = "dataset.infer_data_sources.image_dir"
    held = against(network, version="7.0.1")
    assert check_override(key.split("."), ["/a", "/b"], held) is None
    assert check_override([*key.split("."), "0"], "/a", held) is None
    assert check_override(key.split(".")[:-1], {"image_dir": ["/a"]}, held) is None
    text = "dataset:\n  infer_data_sources: {image_dir: [/a, /b]}\n"
    assert found(tmp_path, text, held) == []


def test_what_is_no_text_in_a_map_or_lies_in_a_list_of_maps_is_still_refused() -> None:
    held = against("dino", version="7.0.1")
    nothing = check_override(["dataset", "infer_data_sources", "image_dir"], None, held)
    assert nothing is not None and nothing.code == "wrong-type"
    steps = ["dataset", "train_data_sources", "0", "image_dir"]
    listed = check_override(steps, ["/a", "/b"], against("dino", version="7.0.1"))
    assert listed is not None and listed.code == "wrong-type"


def test_a_value_that_the_command_line_replaces_has_to_fit_all_the_same(tmp_path: Path) -> None:
    """Hydra merges the file with the schema first."""
    held = against("dino", "train", "7.0.1", "train.num_gpus", "results_dir")
    text = "results_dir: {}\ntrain:\n  num_gpus: {}\n"
    seen = [
        found(tmp_path, text.format(*each), held) for each in (("/r", "abc"), ("[1]", "2"), ("???", "-3"))
    ]
    assert seen == [[("error", "wrong-type", 3)], [("error", "wrong-type", 1)], []]
    exchanged = Against(held.schema, "train", given=held.given, replaced=frozenset(["train.num_gpus"]))
    assert found(tmp_path, text.format("/r", "abc"), exchanged) == []


@pytest.mark.parametrize("version", ["6.0.0", "6.26.3", "7.0.1", "7.3.0"])
def test_a_section_has_the_keys_of_its_object(tmp_path: Path, version: str) -> None:
    """visual_changenet declares a smaller class for ``export`` than that of its default, which OmegaConf goes by."""
    held = replace(against("visual_changenet", version=version), action=None)
    assert found(tmp_path, "export:\n  serialize_nvdsinfer: true\n", held) == []
    assert found(tmp_path, "export:\n  serialize_nvdsinfer: often\n", held) == [("error", "wrong-type", 2)]
