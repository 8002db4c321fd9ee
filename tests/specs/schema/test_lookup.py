"""What is shown of one key, and which keys may have been meant."""

from __future__ import annotations

import pytest

from taorunner.specs.schema.lookup import all_keys, key_facts, keys_named, nearest_keys
from taorunner.specs.schema.schema import NO_DEFAULT, Schema, find_schema


def schema_of(network: str, version: str = "7.1.0") -> Schema:
    schema = find_schema(network, "train", version)
    assert schema is not None
    return schema


def test_a_value() -> None:
    facts = key_facts(schema_of("dino"), "train.checkpoint_interval_unit")
    assert facts is not None
    assert (facts.type, facts.default, facts.options) == ("str", "epoch", ("epoch", "step"))
    assert (facts.since, facts.until, facts.children) == ("6.25.10", None, ())
    assert (facts.is_mandatory, facts.is_optional, facts.least, facts.most) == (False, False, None, None)


def test_a_section_lists_what_is_in_it_and_indices_do_not_matter() -> None:
    schema = schema_of("ssd", "5.0.0")
    facts = key_facts(schema, "dataset_config.data_sources[0]")
    assert facts is not None and facts == key_facts(schema, "dataset_config.data_sources")
    assert facts.type == "several sections" and facts.default is NO_DEFAULT
    assert [child.key for child in facts.children] == [
        f"dataset_config.data_sources.{name}"
        for name in ("label_directory_path", "image_directory_path", "root_path", "tfrecords_path")
    ]


def test_without_a_key_the_top_of_the_spec_is_listed() -> None:
    facts = key_facts(schema_of("dino"), "")
    assert facts is not None
    assert [child.key for child in facts.children][:4] == [
        "model_name",
        "encryption_key",
        "results_dir",
        "wandb",
    ]


def test_what_has_to_be_given() -> None:
    facts = key_facts(schema_of("dino", "6.0.0"), "evaluate.checkpoint")
    assert facts is not None and facts.is_mandatory and facts.default is NO_DEFAULT


def test_nearest_keys_by_the_last_name_anywhere_and_by_spelling() -> None:
    schema = schema_of("dino")
    assert nearest_keys(schema, "num_epochs") == ["train.num_epochs"]
    assert nearest_keys(schema, "num_epoch") == ["train.num_epochs"]
    assert "train.optim.lr" in nearest_keys(schema, "optim.lr")
    assert nearest_keys(schema, "qqqqqqqqqq") == []
    assert keys_named(schema, "lr") == ["train.optim.lr"]
    assert keys_named(schema, "batch_size")[0] == "dataset.batch_size"
    assert "train.learning_rate" in nearest_keys(schema_of("tinydet", "embedded"), "lr")  # by its initials
    assert key_facts(schema, "train.num_epochs.x") is None


def test_every_key_that_is_listed_is_known() -> None:
    schema = schema_of("detectnet_v2", "5.0.0")
    names = list(all_keys(schema))
    assert len(names) == len(set(names)) > 200
    assert [name for name in names if key_facts(schema, name) is None] == []


@pytest.mark.parametrize(
    ("key", "type_in_words"),
    [
        ("dataset.train_data_sources", "list of names with str"),
        ("dataset.train_data_sources.0", "list of names with str"),
        ("dataset.train_data_sources.0.image_dir", "str"),
        ("dataset.train_data_sources.image_dir", "str"),
        ("inference.color_map", "names with str"),
        ("inference.color_map.car", "str"),
        ("train.gpu_ids", "list of int"),
        ("train.num_epochs.x", None),
        ("train.num_epoch", None),
        (".", None),
        ("0", None),
    ],
)
def test_types_in_words(key: str, type_in_words: str | None) -> None:
    facts = key_facts(schema_of("dino"), key)
    assert (None if facts is None else facts.type) == type_in_words
