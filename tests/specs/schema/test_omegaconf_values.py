"""Odd values against the stored verdicts of OmegaConf, which tools/schemas/check_omegaconf.py wrote."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest
from spec_checks import ROOT, load_tool

from taorunner.specs.schema.schema import Schema, find_schema
from taorunner.specs.schema.walk import Against

SAMPLE = ROOT / "tests" / "assets" / "omegaconf_verdicts.json"


def schema_of(name: str, release: str) -> Schema:
    network, _, action = name.partition(".")
    schema = find_schema(network, action or "train", release)
    assert schema is not None
    return schema


def test_the_verdict_on_odd_values_is_omegaconfs() -> None:
    tool = load_tool("schemas/odd_values")
    differing = []
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for name, release, channel, keys, written, verdict in json.loads(SAMPLE.read_text(encoding="utf-8")):
        given = tool.in_spec(channel, keys, written, schema_of(name, release))
        assert given is not None
        text, is_refused = given
        counts[channel, verdict] += 1
        if is_refused != (verdict == "refused"):
            differing.append((release, text, verdict))
    assert differing == []
    assert {channel for channel, verdict in counts} == set(tool.CHANNELS)
    assert min(counts.values()) >= 10


@pytest.mark.parametrize(
    ("network", "text", "message", "hint"),
    [
        ("mask2former", "train: {clip_grad_norm_type: 2}",
         "train.clip_grad_norm_type takes a number or a text, this is 2", "write 2.0: OmegaConf converts nothing here"),
        ("centerpose", "dataset: {_eig_vec: [[1, 0.5]]}",
         "dataset._eig_vec.0.0 takes a number as it is, this is 1", "write 1.0: OmegaConf converts nothing here"),
        ("pose_classification", "dataset: {label_map: {1: 0}}",
         "the names in dataset.label_map are texts, this is 1", 'put it in quotes: "1":'),
        ("dino", 'train: {results_dir: "${a"}', 'OmegaConf cannot read "${a" in train.results_dir',
         "write ${section.key}; for a dollar and a brace as they are, \\${"),
        ("dino", "train: ${model}", 'train takes a section, this is "${model}"', None),
        ("dino", "distill: ${model}", 'OmegaConf fills in "${model}" out of this spec, which does not have it',
         "write the value itself, or the key that it stands for into this spec"),
        ("dino", "train: {num_epochs: 0o17}", 'train.num_epochs takes a whole number, this is "0o17"', None),
    ],
)  # fmt: skip
def test_what_is_said_of_a_value_that_omegaconf_refuses(
    network: str, text: str, message: str, hint: str | None
) -> None:
    tool = load_tool("schemas/odd_values")
    (misfit,) = tool.misfits(text, Against(schema_of(network, "7.0.1")))
    assert (misfit.message, misfit.hint) == (message, hint)
