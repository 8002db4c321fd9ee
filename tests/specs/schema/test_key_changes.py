"""What is said of keys and values of other releases, and that its data agrees with the schemas."""

from __future__ import annotations

import json

import pytest
from spec_checks import load_tool

from taorunner.specs.schema.key_changes import FILE, load_changes, moved_to
from taorunner.specs.schema.override_check import check_override
from taorunner.specs.schema.schema import SCHEMAS, Schema, find_schema, shipped_schemas
from taorunner.specs.schema.walk import Against, walk_prototxt
from taorunner.specs.syntax.prototxt_parser import parse_prototxt
from taorunner.yaml_reader import read_yaml


def schema_of(name: str, release: str) -> Schema:
    network, _, action = name.partition(".")
    schema = find_schema(network, action or "train", release)
    assert schema is not None
    return schema


def newest(name: str) -> Schema:
    network, _, action = name.partition(".")
    return schema_of(name, shipped_schemas().versions(network, action or "train")[-1])


def every_name() -> list[str]:
    names: list[str] = json.loads((SCHEMAS / "index.json").read_text(encoding="utf-8"))["schemas"]
    return names


def test_every_change_of_a_key_is_one_of_the_schemas() -> None:
    for row in load_changes().keys:
        for name in row.networks if row.until is None else ():
            schema = newest(name)
            old = schema.releases_with(row.old)
            new = schema.releases_with(row.new) if row.new is not None else schema.releases
            steps = list(zip(schema.releases, schema.releases[1:], strict=False))
            assert [
                one for one, next_one in steps if one in old and next_one not in old and next_one in new
            ], (name, row.old, row.new)


def test_keys_from_before_the_schemas_are_in_none_of_them() -> None:
    names = [name for name in every_name() if newest(name).format == "yaml"]
    rows = [row for row in load_changes().keys if row.until is not None]
    assert len(rows) > 10
    for row in rows:
        having = [name for name in row.networks or names if row.new and newest(name).releases_with(row.new)]
        assert having, row.old
        assert [name for name in row.networks if newest(name).releases_with(row.old)] == []


def test_every_change_of_a_value_is_of_a_key_that_there_is() -> None:
    tool = load_tool("schemas/odd_values")
    for row in load_changes().values:
        for name in row.networks:
            schema = newest(name)
            if schema.format == "yaml":
                keys = [leaf.key for leaf in tool.leaves(schema) if leaf.steps[-len(row.key) :] == row.key]
                assert keys and all(row.value not in key.options for key in keys)


def test_every_group_names_its_source() -> None:
    body = read_yaml(FILE.read_text(encoding="utf-8")).value
    assert all(group["source"] and group["rows"] for part in ("keys", "values") for group in body[part])


@pytest.mark.parametrize(
    ("network", "release", "text", "message", "hint"),
    [
        ("visual_changenet", "7.0.1", "train: {val_interval: 1}",
         'the section train of "visual_changenet" has no key "val_interval" in 7.0.1 (until 5.3.0)',
         "in 7.0.1 it is train.validation_interval"),
        ("visual_changenet", "5.1.0", "train: {validation_interval: 1}",
         'the section train of "visual_changenet" has no key "validation_interval" in 5.1.0 (since 5.5.0)',
         "in 5.1.0 it is train.val_interval"),
        ("ocrnet", "6.0.0", "evaluate: {gpu_id: 0}",
         'the section evaluate of "ocrnet" has no key "gpu_id" in 6.0.0 (until 5.3.0)',
         "in 6.0.0 it is evaluate.gpu_ids: a list: [0]"),
        ("classification_pyt", "7.0.1", "train: {train_config: {runner: {max_epochs: 3}, load_from: /a}}",
         'the section train of "classification_pyt" has no key "train_config" in 7.0.1 (until 5.5.0)',
         "in 7.0.1 runner.max_epochs is train.num_epochs, load_from is train.pretrained_model_path"),
        ("dino", "7.0.1", "gen_trt_engine: {input_width: 3}",
         'the section gen_trt_engine of "dino" has no key "input_width" in 7.0.1 (until 5.5.0)',
         "remove it: the ONNX file says it"),
        ("dino", "7.0.1", "train: {verbose: true}",
         'the section train of "dino" has no key "verbose" in 7.0.1 (until 6.25.10)', "remove it, or set release"),
        ("action_recognition", "7.0.1", "train_config: {epochs: 3}",
         'the spec of "action_recognition" has no key "train_config" in 7.0.1 (until 4.0.1)',
         "in 7.0.1 it is train; epochs is train.num_epochs"),
        ("pose_classification", "7.0.1", "output_dir: /r",
         'the spec of "pose_classification" has no key "output_dir" in 7.0.1 (until 4.0.1)',
         "in 7.0.1 it is results_dir"),
        ("pose_classification", "7.0.1", "train: {epochs: 3}",
         'the section train of "pose_classification" has no key "epochs" in 7.0.1 (until 4.0.1)',
         "in 7.0.1 it is train.num_epochs"),
        ("ocrnet", "5.0.0", "model: /a.tlt", 'model takes a section, this is "/a.tlt"',
         "the model is the checkpoint of its action now, such as evaluate.checkpoint"),
        ("sparse4d", "7.0.1", "train: {checkpoint_interval: 0.5}",
         "train.checkpoint_interval takes a whole number, this is 0.5 (a number until 6.0.0)",
         "write a whole number: 1"),
        ("dino", "7.0.1", "evaluate: {checkpoint: null}",
         "evaluate.checkpoint takes a text, this is nothing (until 5.3.0)", 'leave the key out, or write ""'),
        ("ocdnet", "7.0.1", "gen_trt_engine: {tensorrt: {calibration: {cal_image_dir: /a}}}",
         'gen_trt_engine.tensorrt.calibration.cal_image_dir takes a list, this is "/a" (a text until 5.5.0)',
         "write it in brackets: [/a]"),
    ],
)  # fmt: skip
def test_what_to_write_now(network: str, release: str, text: str, message: str, hint: str) -> None:
    (misfit,) = load_tool("schemas/odd_values").misfits(text, Against(schema_of(network, release)))
    assert (misfit.message, misfit.hint) == (message, hint)


def test_an_override_is_explained_too() -> None:
    against = Against(schema_of("sparse4d", "7.0.1"))
    misfit = check_override(("train", "checkpoint_interval"), 2.0, against)
    assert misfit is not None and misfit.hint == "write a whole number: 2"
    misfit = check_override(("dataset", "use_h5_file"), True, against)
    assert misfit is not None and misfit.hint is not None
    assert misfit.hint.startswith("in 7.0.1 it is dataset.use_h5_file_for_rgb")


def test_an_option_that_has_another_name_now() -> None:
    misfit = check_override(("quantize", "backend"), "modelopt", Against(schema_of("rtdetr", "7.0.1")))
    assert misfit is not None
    assert (misfit.message, misfit.hint) == (
        '"modelopt" is not among the options that TAO names for quantize.backend (until 6.25.10)',
        "write modelopt.pytorch",
    )


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        (
            "0.05",
            "write 1, as TAO reads it: before 5.0 it was a fraction, since then it is a number of boxes",
        ),
        ('"5"', "leave the quotes out"),
        ("2.5", None),
        ("2.0", "write 2"),
    ],
)
def test_a_fraction_that_is_a_count_since_tao_5(written: str, hint: str | None) -> None:
    text = (
        'postprocessing_config { target_class_config { key: "a" value { clustering_config { '
        f"dbscan_min_samples: {written} }} }} }} }}"
    )
    (problem,) = walk_prototxt(parse_prototxt(text), Against(schema_of("detectnet_v2", "5.0.0"))).problems
    assert problem.misfit.hint == hint


def test_a_section_of_tao_4_says_where_its_moved_keys_are() -> None:
    of_tao_4 = {
        "img_width": 100,
        "img_height": 32,
        "batch_size": 8,
        "augmentation_config": {"keep_aspect_ratio": True},
    }
    moved = moved_to(newest("ocrnet"), ("dataset_config",), of_tao_4)
    assert moved is not None
    assert moved.until == "4.0.1"
    assert moved.hint == (
        "in 7.3.0 it is dataset; img_width is model.input_width, img_height is model.input_height, "
        "augmentation_config is dataset.augmentation"
    )
    shape = moved_to(newest("action_recognition"), ("dataset", "output_shape"), [224, 224])
    assert shape is not None
    assert (
        shape.hint == "in 7.3.0 it is model.input_height: of [height, width] the second is model.input_width"
    )
