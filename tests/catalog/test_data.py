"""The catalog's files are strict: every key known, every name resolvable, every fact with its source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.layers import LAYER_KEYS, parse_argument, parse_version, version_matches
from taorunner.catalog.load import DATA, Catalog, load_network, network_names
from taorunner.contracts import Contract, Framework
from taorunner.planning.inputs.argv import VALUES
from taorunner.planning.inputs.network_file_check import (
    BLOCK_KEYS,
    EXPERIMENT_KEYS,
    GROUP_KEYS,
    NETWORK_KEYS,
    PARTS,
    ROLES,
    check_network_file,
)
from taorunner.planning.spec.schema_choice import schema_of
from taorunner.progress.console.lines import FAMILIES
from taorunner.project.diagnostics import FindingList
from taorunner.yaml_reader import read_yaml

NETWORK_FILES = sorted((DATA / "networks").iterdir())
FAMILY_FILES = sorted((DATA / "families").iterdir())
FAMILY_KEYS = {*BLOCK_KEYS, "framework", "image", "tables"}
NAME = re.compile(r"\{([^}*]*)\*?\}")


def read(path: Path) -> Any:
    document = read_yaml(path.read_text(encoding="utf-8"))
    assert document.problems == [], path
    return document.value


def check_layer(layer: Any, where: str) -> None:
    if layer is None:
        return
    assert isinstance(layer, dict) and set(layer) <= LAYER_KEYS, (where, set(layer) - LAYER_KEYS)
    for part, cls in PARTS.items():
        if layer.get(part) is not None:
            assert set(layer[part]) <= {f.name for f in fields(cls)}, (where, part)
    for name, text in (layer.get("arguments") or {}).items():
        assert text is None or parse_argument(text).tokens, (where, name)
    assert set((layer.get("spec") or {}).get("keys") or ()) <= set(ROLES), where


def check_block(block: Mapping[str, Any], where: str) -> None:
    check_layer(block.get("base"), f"{where}.base")
    for action, layer in (block.get("actions") or {}).items():
        check_layer(layer, f"{where}.{action}")
    for part in block.get("versions") or ():
        assert set(part) <= {"when", "base", "actions"}, where
        version_matches(part["when"], (5, 5, 0))
        check_block({key: value for key, value in part.items() if key != "when"}, f"{where}[{part['when']}]")


@pytest.mark.parametrize("path", FAMILY_FILES, ids=lambda path: path.stem)
def test_a_family_has_only_known_keys(path: Path) -> None:
    body = read(path)
    assert set(body) <= FAMILY_KEYS
    Framework(body["framework"])
    check_block(body, path.stem)
    for name, table in (body.get("tables") or {}).items():
        assert set(table) <= set(BLOCK_KEYS)
        check_block(table, f"{path.stem}.{name}")


@pytest.mark.parametrize("path", NETWORK_FILES, ids=lambda path: path.stem)
def test_a_network_has_only_known_keys(path: Path) -> None:
    body = read(path)
    assert path.suffix == ".yml" and re.fullmatch(r"[a-z][a-z0-9_]*", path.stem)
    assert set(body) <= set(NETWORK_KEYS)
    assert {"title", "purpose", "sources"} <= set(body) and body["sources"]
    assert {*(body.get("needs") or ()), *(body.get("optional") or ())} <= set(EXPERIMENT_KEYS)
    for name, group in (body.get("groups") or {}).items():
        assert name in ("model", "deploy", "dataset", "embedded")
        assert set(group) <= set(GROUP_KEYS)
        assert "base" not in group.get("actions", {}) and group["actions"]
        check_block(group, f"{path.stem}.{name}")
        tables = read(DATA / "families" / f"{group['family']}.yml").get("tables") or {}
        used = {
            *(group.get("uses") or ()),
            *(u for a in group["actions"].values() for u in (a or {}).get("uses", ())),
        }
        assert used <= set(tables)


@pytest.mark.parametrize("path", NETWORK_FILES, ids=lambda path: path.stem)
def test_a_workspace_could_have_the_same_file(path: Path) -> None:
    """What is asked of a workspace's own file holds for ours too, but for the group of taorunner's own network."""
    document = read_yaml(path.read_text(encoding="utf-8"))
    found = FindingList(path, document.place)
    check_network_file(
        document.value,
        found,
        networks=network_names(),
        families=Catalog().families(),
        images=Catalog().image_kinds(),
    )
    expected = ['"embedded" is not a key of groups'] if path.stem == "tinydet" else []
    assert [finding.message for finding in found.sorted()] == expected


def test_every_table_is_used_and_every_family_too() -> None:
    families: set[str] = set()
    tables: set[tuple[str, str]] = set()
    for path in NETWORK_FILES:
        for group in (read(path).get("groups") or {}).values():
            families.add(group["family"])
            used = [
                *(group.get("uses") or ()),
                *(u for a in group["actions"].values() for u in (a or {}).get("uses", ())),
            ]
            tables |= {(group["family"], name) for name in used}
    assert families == {path.stem for path in FAMILY_FILES}
    assert tables == {(path.stem, name) for path in FAMILY_FILES for name in read(path).get("tables") or ()}


def contracts(name: str) -> Iterator[Contract]:
    network = load_network(name)
    for release in network.releases or (None,):
        yield from network.contracts(release).values()


def texts_of(contract: Contract) -> Iterator[tuple[str, str]]:
    for argument in contract.arguments:
        for token in argument.tokens:
            yield "value", token
    for text in (*contract.value_forms.values(), *contract.verdict.artifacts):
        yield "value", text
    spec = contract.spec
    for text in (
        *contract.command, *contract.progress.status_files, *contract.checkpoints.globs, contract.results_subdir,
        *(spec.stems if spec else ()), *(spec.keys.values() if spec else ()), contract.checkpoints.latest or "",
    ):  # fmt: skip
        yield "plain", text


@pytest.mark.parametrize("name", network_names())
def test_every_contract_is_sound(name: str) -> None:
    network = load_network(name)
    seen = 0
    for contract in contracts(name):
        seen += 1
        where = (contract.network, contract.action, contract.release)
        for kind, text in texts_of(contract):
            names = {match[1] for match in NAME.finditer(text)}
            assert names <= (set(VALUES) if kind == "value" else set()), (where, text)
        assert contract.command and all(re.fullmatch(r"[\w.-]+", word) for word in contract.command)
        assert contract.progress.console in FAMILIES, where
        options = [
            option for a in contract.arguments for option in (a.tokens[0].partition("=")[0], *a.aliases)
        ]
        repeated = {option for option in options if options.count(option) > 1}
        assert repeated <= {"-m", "--resume_model_weights"}, (where, repeated)
        if contract.checkpoints.epoch_pattern is not None:
            assert re.compile(contract.checkpoints.epoch_pattern).groups == 1, where
        assert set(contract.value_forms) <= set(VALUES)
        for path in (*contract.progress.status_files, *contract.checkpoints.globs):
            assert not path.startswith("/") and ".." not in path, where
        if contract.spec is not None:
            assert contract.spec.format in ("yaml", "prototxt") and len(set(contract.spec.stems)) == len(
                contract.spec.stems
            )
            assert any("{spec}" in a.tokens for a in contract.arguments), where
        else:
            assert not any("{spec}" in a.tokens for a in contract.arguments), where
        if contract.action == "train":
            assert network.trainable and contract.spec is not None
            assert {"epochs", "iterations"} & set(contract.spec.keys), where
            assert bool(contract.checkpoints.globs) != ("checkpoints" in contract.unknown), where
            assert contract.checkpoints.suffixes, where
            assert contract.verdict.artifacts or "checkpoints" in contract.unknown, where
            is_closed = contract.release[0] in "34"  # whether it always writes one is unknown
            assert contract.progress.status_files, where
            assert contract.verdict.status_required != is_closed, where
    assert seen >= 1 or set(network.unknown_actions()) == set(network.actions()) != set()


@pytest.mark.parametrize("name", network_names())
def test_a_trainable_network_can_train(name: str) -> None:
    network = load_network(name)
    assert ("train" in network.actions()) == network.trainable
    assert network.groups[0].name in ("model", "deploy", "dataset", "embedded")
    assert set(network.needs).isdisjoint(network.optional)


@pytest.mark.parametrize(
    ("name", "written", "epoch"),
    [
        ("dssd", "dssd_resnet18_epoch_080.hdf5", "080"),
        ("yolo_v4", "yolov4_cspdarknet53_epoch_010.hdf5", "010"),
        ("faster_rcnn", "frcnn_resnet_18.epoch_12.hdf5", "12"),
        ("classification_tf1", "resnet_080.hdf5", "080"),
        ("detectnet_v2", "model.epoch-40.hdf5", "40"),
        ("unet", "model.epoch-40.tlt", "40"),
        ("lprnet", "lprnet_epoch-024.hdf5", "024"),
        ("efficientdet_tf2", "efficientdet-d0_012.tlt", "012"),
        ("dino", "model_epoch_011_step_00120.pth", "011"),
        ("rtdetr", "model_epoch_011.pth", "011"),
        ("pointpillars", "checkpoint_epoch_7.tlt", "7"),
        ("tinydet", "model_epoch_003_step_00040.npz", "003"),
    ],
)
def test_the_epoch_is_read_from_a_checkpoint_name(name: str, written: str, epoch: str) -> None:
    pattern = load_network(name).contract("train").checkpoints.epoch_pattern
    assert pattern is not None
    match = re.search(pattern, written)
    assert match is not None and match[1] == epoch


def test_versions_and_conditions() -> None:
    assert parse_version("5.5") == parse_version("5.5.0") == (5, 5, 0)
    assert version_matches(">=5.5 <6.0", (5, 5, 0))
    assert not version_matches(">=5.5 <6.0", (6, 0, 0))
    assert version_matches("=6.25.10", (6, 25, 10)) and not version_matches(">6.25.10", (6, 25, 9))
    for wrong in ("5.5", ">=x", "~5.5", "> 5.5"):
        with pytest.raises(ValueError, match="not a comparison"):
            version_matches(wrong, (5, 5, 0))


def test_what_an_action_reads_beside_the_training_set_is_named_by_keys_of_the_schema() -> None:
    named, unknown = set(), []
    for name in network_names():
        for action, contract in load_network(name).contracts().items():
            spec = contract.spec
            schema = schema_of(contract) if spec is not None and spec.held_out else None
            if spec is None or schema is None:
                continue
            assert spec.held_out_counts is not None and spec.held_out_batch, (name, action)
            named.add(name)
            keys = (*spec.held_out, *spec.held_out_batch)
            unknown += [(name, action, key) for key in keys if schema.find(tuple(key.split("."))) is None]
    assert len(named) == 19 and unknown == []
