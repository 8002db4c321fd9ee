"""The layouts are strict: every key known, every action, spec key, model and form of them exists elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.layouts import FACTS, DataLayout, InputKind
from taorunner.catalog.load import DATA, Catalog, load_network, network_names
from taorunner.catalog.other_layouts import other_layouts
from taorunner.contracts import Contract
from taorunner.datasets.transform.folder_datasets import TARGETS as FOLDER_TARGETS
from taorunner.datasets.writers.tao_formats import TARGETS
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
        assert {"keys", "from", "rule"} <= set(row) <= {
                "keys", "from", "rule", "counts", "of", "multiple_of", "refused",
            }  # fmt: skip
        assert ("counts" in row) == ("of" in row)
    for row in (body.get("weights") or {}).values():
        assert row is None or set(row) <= {"key", "covers", "note"}


KEYS_IN_ORDER = (
    "like", "form", "dataset", "put", "labels", "fields", "ids", "background", "images", "pairing", "order", "inference",
    "left_out", "stops", "conversion", "inputs", "arguments", "computed", "weights", "without_weights", "start",
    "not_verified", "source",
)  # fmt: skip


def test_the_order_names_all_keys() -> None:
    others = ("like", "form", "dataset", "put", "inputs", "arguments", "computed", "weights", "start")
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
    assert layout.form is None or layout.form in {*TARGETS, *FOLDER_TARGETS}
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
        assert re.fullmatch(r"-m|[a-z_]+(\.[a-z_]+)*", one.key)


def test_a_layout_like_another_one_keeps_what_it_does_not_change() -> None:
    dino, rtdetr = layout_of("dino"), layout_of("rtdetr")
    assert (dino.form, dino.facts["labels"]) == (rtdetr.form, rtdetr.facts["labels"])
    assert "<subset>/label_map_from_0.txt" in rtdetr.put and "<subset>/label_map_from_0.txt" not in dino.put
    assert [one.key for one in dino.inputs_of("evaluate")] == [
        "dataset.test_data_sources.image_dir", "dataset.test_data_sources.json_file",
    ]  # fmt: skip
    assert {one.kind for one in layout_of("ssd").inputs_of("train")} == {InputKind.RECORDS, InputKind.FOLDER}


def test_what_no_command_converts_is_the_layout_of_networks_without_a_form() -> None:
    heads = {head for one in other_layouts() for head in one.heads}
    assert {head: layout_of(head).form for head in heads} == dict.fromkeys(heads)
