"""Which schema a spec is held against, and that command lines of old releases have keys of theirs."""

from __future__ import annotations

import pytest

from taorunner.catalog.load import load_network, network_names
from taorunner.planning.spec.schema_choice import schema_for
from taorunner.specs.memory import SpecMemory


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


@pytest.mark.parametrize(
    ("network", "action", "release", "schema"),
    [
        ("annotations", "convert", "7.3.0", "annotations"),
        ("annotations", "qa_to_llava_annotation", "7.3.0", "annotations.qa_to_llava_annotation"),
        ("annotations", "sparse4d_prepare", "7.3.0", "annotations.sparse4d_prepare"),
        ("embedding", "text_embeddings", "7.1.0", "embedding.text_embeddings"),
        ("tmm", "nearest_neighbors", "7.0.0", "tmm.nearest_neighbors"),
        ("gap_analysis", "object_detection", "7.2.0", "gap_analysis.object_detection"),
        ("video_clip", "train", "7.2.0", "video_clip"),
        ("video_clip", "gen_trt_engine", "7.2.0", "video_clip.deploy"),
        ("sparse4d", "inference", "7.3.0", "sparse4d"),
        ("sparse4d", "deploy.inference", "7.3.0", "sparse4d.deploy"),
        ("clip", "deploy.inference", "7.0.1", "clip.deploy"),
        ("rtdetr", "deploy.inference", "7.0.1", "rtdetr"),
        ("radio", "distill", "7.0.1", "radio"),
    ],
)
def test_an_action_whose_spec_has_another_shape_is_held_against_its_own(
    network: str, action: str, release: str, schema: str
) -> None:
    against = schema_for(load_network(network).contract(action, release))
    assert against is not None and against.schema.name == schema


def test_the_code_since_7_0_has_dataclasses_of_its_own() -> None:
    """Those of nvidia-tao-core 7.0.1 have "contiguous_labels" for DINO, and no "peft" for CLIP."""
    dino, clip = (schema_for(load_network(name).contract("train", "7.0.1")) for name in ("dino", "clip"))
    assert dino is not None and dino.schema.find(("dataset", "contiguous_labels")) is None
    assert clip is not None and clip.schema.find(("peft",)) is not None


NOT_IN_THE_SCHEMA = {("depth_net", "6.25.9", "export")}
"""That release's nvidia-tao-core has a class without keys there."""


@pytest.mark.parametrize("name", network_names())
def test_every_key_of_the_catalog_is_in_the_schema_of_its_release(name: str) -> None:
    network, memory = load_network(name), SpecMemory()
    for release in network.releases:
        for action, contract in network.contracts(release).items():
            against = schema_for(contract, memory=memory)
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
