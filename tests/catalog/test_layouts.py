"""The layouts are strict: every key known, every action, spec key, model and form of them exists elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.backbones import plain_name
from taorunner.catalog.layouts import FACTS, ComputedValue, DataLayout, InputKind, Limit
from taorunner.catalog.load import DATA, Catalog, load_network, network_names
from taorunner.catalog.other_layouts import other_layouts
from taorunner.contracts import Contract
from taorunner.datasets.transform.folder_datasets import TARGETS as FOLDER_TARGETS
from taorunner.datasets.writers.tao_formats import TARGETS
from taorunner.datasets.writers.texts import TEXT_TARGETS
from taorunner.planning.derived.class_rules import CLASSES
from taorunner.planning.derived.numbers import NUMBERS
from taorunner.planning.derived.size_rules import SIZES
from taorunner.planning.spec.schema_choice import schema_of
from taorunner.pretrained.bundled_list import known_models
from taorunner.yaml_reader import read_yaml

FILES = sorted((DATA / "layouts").iterdir())
INPUT_KEYS = {"kind", "holds", "needed_by", "used_by", "note"}
PLACES = r"<(subset|class|stem|video|scene|id|board|part|light)>"


def layout_of(name: str) -> DataLayout:
    layout = Catalog().layout(name)
    assert layout is not None
    return layout


def backbone_names(name: str) -> tuple[str, ...]:
    backbones = layout_of(name).backbones
    return backbones.names if backbones is not None else ()


def actions_of(name: str) -> set[str]:
    """Of all releases."""
    network = load_network(name)
    return {action for release in network.releases or (None,) for action in network.actions(release)}


def contract_of(name: str, action: str) -> Contract | None:
    """Of the newest release that has the action and knows its command line."""
    network = load_network(name)
    for release in reversed(network.releases or (None,)):
        if action in network.contracts(release):
            return network.contract(action, release)
    return None


def test_every_network_that_trains_has_one() -> None:
    trained = {name for name in network_names() if load_network(name).trainable}
    assert {path.stem for path in FILES} == trained | {"radio"}  # radio only distills
    assert Catalog().layout("augmentation") is None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_layout_has_only_known_keys(path: Path) -> None:
    document = read_yaml(path.read_text(encoding="utf-8"))
    assert document.problems == []
    body: dict[str, Any] = document.value
    assert list(body) == [key for key in KEYS_IN_ORDER if key in body]
    for rows in (body.get("inputs") or {}, body.get("arguments") or {}):
        assert all(row is None or set(row) <= INPUT_KEYS for row in rows.values())
    for row in body.get("computed") or ():
        known = {
            "keys",
            "from",
            "rule",
            "counts",
            "of",
            "value",
            "limit",
            "using",
            "multiple_of",
            "refused",
            "by_hand",
        }
        assert {"keys", "from", "rule"} <= set(row) <= known
        assert ("counts" in row) == ("of" in row)
        assert ("value" in row) != ("by_hand" in row), row["keys"]
        if "value" not in row:
            assert not {"limit", "using"} & set(row)
            continue
        value = ComputedValue(row["value"])
        needed, allowed = PARAMETERS.get(value, (set(), set()))
        assert needed <= set(row.get("using") or {}) <= needed | allowed
        assert "limit" not in row or (Limit(row["limit"]) is not Limit.EXACT and value in NUMBERS)
        assert value is not ComputedValue.SIZE or len(row["keys"]) % 2 == 0
        assert value is not ComputedValue.CLASS_COUNT or "counts" in row
        assert all(re.fullmatch(r"\$?[a-z_0-9]+(\.[a-z_0-9]+)*", key) for key in row["keys"])
    for row in (body.get("weights") or {}).values():
        assert row is None or set(row) <= WEIGHTS_KEYS
    if body.get("backbones"):
        assert {"keys", "names", "source"} <= set(body["backbones"]) <= {
            "keys", "names", "aliases", "with", "source"
        }  # fmt: skip


WEIGHTS_KEYS = {"key", "covers", "note", "backbone", "versions", "sets", "only"}


PARAMETERS: dict[ComputedValue, tuple[set[str], set[str]]] = {
    ComputedValue.CLASS_NAMES_COUNT: (set(), {"most"}), ComputedValue.LABEL_COUNT: ({"of"}, set()), ComputedValue.STEPS: ({"batch"}, set()),
    ComputedValue.TOTAL_STEPS: ({"batch", "epochs"}, {"share"}), ComputedValue.MOST_BOXES: (set(), {"plus"}),
    ComputedValue.SMALLEST_BOX: ({"width", "height"}, set()), ComputedValue.TEXT_WIDTH: ({"of"}, set()),
    ComputedValue.CHANNELS: ({"of"}, set()), ComputedValue.NUMBER_AT: ({"of"}, set()), ComputedValue.CLASS_COLORS: (set(), {"lower"}),
    ComputedValue.CLASS_BLOCKS: ({"by", "names_of"}, set()), ComputedValue.MASK_BLOCKS: ({"image_type"}, set()),
    ComputedValue.PALETTE: ({"norm"}, set()), ComputedValue.EXTENSION: (set(), {"dot"}),
    ComputedValue.SIZE: ({"multiple", "least", "most"}, set()), ComputedValue.ANCHORS: ({"width", "height"}, set()),
    ComputedValue.STEPS_IN_EPOCHS: ({"batch", "images", "epochs", "shares"}, set()),
}  # fmt: skip
"""What ``using`` must have for a value, and what it may have."""
OF_KEYS = ("of", "batch", "epochs", "images", "width", "height", "names_of", "image_type", "norm")
"""Parameters that are keys of a spec."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_computed_key_is_one_of_a_spec(path: Path) -> None:
    layout = layout_of(path.stem)
    contracts = [
        one for action in actions_of(path.stem) if (one := contract_of(path.stem, action)) is not None
    ]
    schemas = [schema for one in contracts if one.spec is not None and (schema := schema_of(one)) is not None]
    keys = [key for one in layout.computed if one.value is not None for key in one.keys]
    keys += [one.using[name] for one in layout.computed for name in OF_KEYS if name in one.using]
    keys += layout.reads.values()
    for key in keys if schemas else ():
        steps = tuple(key.split("."))
        assert key.startswith("$") or any(schema.find(steps) is not None for schema in schemas), key


def test_every_value_has_its_rule() -> None:
    assert set(ComputedValue) == NUMBERS | CLASSES | SIZES
    used = {one.value for path in FILES for one in layout_of(path.stem).computed}
    assert used == {*ComputedValue, None}


KEYS_IN_ORDER = (
    "like", "form", "dataset", "put", "labels", "fields", "ids", "background", "images", "pairing", "order", "inference",
    "left_out", "stops", "conversion", "lists", "reads", "inputs", "arguments", "computed", "backbones", "weights",
    "without_weights", "start", "not_verified", "source",
)  # fmt: skip


def test_the_order_names_all_keys() -> None:
    others = (
        "like",
        "form",
        "dataset",
        "put",
        "lists",
        "reads",
        "inputs",
        "arguments",
        "computed",
        "backbones",
        "weights",
        "start",
    )
    assert sorted(KEYS_IN_ORDER) == sorted((*others, *FACTS))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_layout_is_whole(path: Path) -> None:
    layout = layout_of(path.stem)
    assert layout.facts["source"] and layout.start["source"]
    assert set(layout.facts) <= set(FACTS)
    if path.stem == "radio":  # nothing of it is known, and it has no spec files to start with
        assert layout.put == {} and layout.facts["not_verified"]
        return
    assert layout.put and layout.inputs
    assert layout.form is None or layout.form in {*TARGETS, *FOLDER_TARGETS, *TEXT_TARGETS}
    assert (layout.dataset == "train") == (layout.form == "kitti")
    for pattern in layout.put:
        assert re.fullmatch(rf"(?:[\w.*/-]|{PLACES})+", pattern) and not pattern.startswith("/"), pattern
    if layout.form in ("coco", "odvg"):
        assert "train/images/*" in layout.put or "<subset>/images/*" in layout.put


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_input_belongs_to_an_action_and_a_key_of_its_spec(path: Path) -> None:
    layout = layout_of(path.stem)
    known = actions_of(path.stem)
    for one in (*layout.inputs, *layout.arguments):
        assert one.needed_by or one.used_by, one
        assert {*one.needed_by, *one.used_by} <= known, (one.key, {*one.needed_by, *one.used_by} - known)
    for one in layout.arguments:
        assert one.key.startswith("-")
    for one in layout.inputs:
        for action in (*one.needed_by, *one.used_by):
            contract = contract_of(path.stem, action)
            schema = schema_of(contract) if contract is not None else None
            if schema is not None:
                assert schema.find(tuple(one.key.split("."))) is not None, (one.key, action)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_weights_are_in_the_list_of_models(path: Path) -> None:
    listed = {model.name: model.networks for model in known_models()}
    for one in layout_of(path.stem).weights:
        assert path.stem in listed[one.model]
        assert one.backbone is None or one.backbone in backbone_names(path.stem), one
        assert set(one.versions) <= set(backbone_names(path.stem)), one
        assert re.fullmatch(r"-m|[a-z_]+(\.[a-z0-9_]+)*", one.key)


def test_a_layout_like_another_one_keeps_what_it_does_not_change() -> None:
    dino, rtdetr = layout_of("dino"), layout_of("rtdetr")
    assert (dino.form, dino.facts["labels"]) == (rtdetr.form, rtdetr.facts["labels"])
    assert "<subset>/label_map_from_0.txt" in rtdetr.put and "<subset>/label_map_from_0.txt" not in dino.put
    assert [one.key for one in dino.inputs_of("evaluate")] == [
        "dataset.test_data_sources.image_dir", "dataset.test_data_sources.json_file",
    ]  # fmt: skip
    assert {one.kind for one in layout_of("ssd").inputs_of("train")} == {InputKind.RECORDS, InputKind.FOLDER}


def test_what_no_command_converts_is_the_layout_of_networks_without_a_form() -> None:
    """Some are known by their layout and written nevertheless: their form has their name."""
    written = {head for one in other_layouts() if one.is_written for head in one.heads}
    heads = {head for one in other_layouts() for head in one.heads} - written
    assert {head: layout_of(head).form for head in heads} == dict.fromkeys(heads)
    assert {head: layout_of(head).form for head in written} == {head: head for head in TEXT_TARGETS}


WITH_BACKBONES = [path.stem for path in FILES if Catalog().layout(path.stem).backbones]  # type: ignore[union-attr]
NOT_IN_THE_CODE = {"dino": {name for name in backbone_names("deformable_detr") if name.startswith("gc_vit")}}
"""Backbones that the schema lists and the code of the same release refuses."""


@pytest.mark.parametrize("name", WITH_BACKBONES)
def test_backbones_are_those_of_the_schema(name: str) -> None:
    """Where the schema of the default release lists them, the list has all of them, and no others."""
    backbones = layout_of(name).backbones
    assert backbones is not None
    schema = schema_of(load_network(name).contract("train"))
    assert len({plain_name(one.name) for one in backbones.all}) == len(backbones.all)
    assert all(set(one.named_by) <= set(backbones.keys) for one in backbones.all)
    assert set(backbones.aliases.values()) <= set(backbones.names)
    if schema is None:
        return
    for key in {*backbones.keys, *(key for one in backbones.all for key in one.sets)}:
        assert schema.find(tuple(key.split("."))) is not None, key
    listed = schema.find(tuple(backbones.keys[0].split(".")))
    assert listed is not None
    if listed.options:
        spelled = {str(one.named_by[backbones.keys[0]]) for one in backbones.all}
        assert spelled == set(listed.options) - NOT_IN_THE_CODE.get(name, set())


@pytest.mark.parametrize("name", WITH_BACKBONES)
def test_a_backbone_is_found_by_every_way_to_write_it(name: str) -> None:
    backbones = layout_of(name).backbones
    assert backbones is not None
    for one in backbones.all:
        assert backbones.named_in(one.named_by) == one
        for written in (one.name, one.name.upper(), one.name.replace("_", "-"), plain_name(one.name)):
            assert backbones.find(written) == one, written
    for alias, target in backbones.aliases.items():
        assert getattr(backbones.find(alias), "name", None) == target
    assert backbones.find("resnet") is None or "ResNet" in backbones.names


def test_inputs_are_those_of_the_group_where_it_has_its_own() -> None:
    layout = layout_of("classification_pyt")
    model = {one.key for one in layout.inputs_of("inference")}
    assert "dataset.test_dataset.images_dir" in model
    assert {one.key for one in layout.inputs_of("inference", "deploy")} <= model
    assert layout.class_folders is not None and layout.class_folders.startswith("dataset.")
    assert layout_of("dino").class_folders is None
