"""Which schema a spec is held against, and that command lines of old releases have keys of theirs."""

from __future__ import annotations

import pytest

from taorunner.catalog.load import load_network, network_names
from taorunner.planning.spec.schema_choice import schema_for


@pytest.mark.parametrize(
    ("action", "release", "schema"),
    [
        ("train", "5.0.0", "dino 5.0.0"),
        ("train", "5.5.0", "dino 5.5.0"),
        ("convert", "5.5.0", "dino.convert 5.5.0"),
        ("deploy.evaluate", "5.5.0", None),  # the deploy container had dataclasses of its own
        ("deploy.evaluate", "6.0.0", "dino 6.0.0"),
        ("train", "5.2.0.1", "dino 5.2.0"),
    ],
)
def test_a_release_has_the_schema_of_its_code(action: str, release: str, schema: str | None) -> None:
    against = schema_for(load_network("dino").contract(action, release))
    assert (None if against is None else f"{against.schema.name} {against.schema.release}") == schema


def test_a_repaired_image_has_the_schema_of_what_it_repairs() -> None:
    against = schema_for(load_network("segformer").contract("train", "5.2.0.1"))
    assert against is not None and against.schema.release == "5.2.0"


def test_bevfusion_keeps_the_schema_of_its_old_image() -> None:
    against = schema_for(load_network("bevfusion").contract("convert", "7.1.0"))
    assert against is not None
    assert (against.schema.name, against.schema.release) == ("bevfusion.convert", "5.5.0")
    assert against.schema.find(("root_dir",)) is not None


@pytest.mark.parametrize("action", ["qa_to_llava_annotation", "sparse4d_prepare"])
def test_an_action_with_a_spec_of_its_own_is_not_held_against_that_of_its_network(action: str) -> None:
    network = load_network("annotations")
    assert schema_for(network.contract(action, "7.3.0")) is None
    against = schema_for(network.contract("convert", "7.3.0"))
    assert against is not None and against.schema.name == "annotations"


NOT_IN_THE_SCHEMA = {("depth_net", "6.25.9", "export")}
"""That release's nvidia-tao-core has a class without keys there."""


@pytest.mark.parametrize("name", network_names())
def test_every_key_of_the_catalog_is_in_the_schema_of_its_release(name: str) -> None:
    network = load_network(name)
    for release in network.releases:
        for action, contract in network.contracts(release).items():
            against = schema_for(contract)
            if against is None or contract.spec is None or (name, release, action) in NOT_IN_THE_SCHEMA:
                continue
            keys = set(contract.spec.keys.values())
            if against.schema.format == "yaml":
                tokens = (token for argument in contract.arguments for token in argument.tokens)
                keys |= {
                    token.partition("=")[0] for token in tokens if "=" in token and not token.startswith("-")
                }
            unknown = {key for key in keys if against.schema.find(tuple(key.split("."))) is None}
            assert (release, action, unknown) == (release, action, set())
