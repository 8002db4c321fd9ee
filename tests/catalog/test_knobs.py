"""The keys that ``--epochs``, ``--batch-size``, ``--lr`` and ``--seed`` become: for every network, release and action."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taorunner.catalog.knobs import KNOBS, KnobKeys, choices_of, parse_knob
from taorunner.catalog.load import DATA, load_network, network_names
from taorunner.contracts import Contract, SpecContract
from taorunner.planning.spec.schema_choice import schema_of
from taorunner.specs.schema.schema import Schema

OF_FAMILIES = "".join(path.read_text(encoding="utf-8") for path in (DATA / "families").iterdir())
"""A key of a family is for the networks that have it."""
VALUES = ("int", "float", "any", "any_of", "map")
"""A map is a section whose names are free, such as the optimiser of mmpretrain."""
COUNTS = ("int", "float", "list", "str", "map")


def contracts(name: str) -> Iterator[tuple[Contract, SpecContract, Schema | None]]:
    network = load_network(name)
    for release in network.releases or (None,):
        for contract in network.contracts(release).values():
            if contract.spec is not None:
                yield contract, contract.spec, schema_of(contract)


def keys_of(contract: Contract, knob: str) -> set[str]:
    return {key for choice in choices_of(contract, knob) for key in choice.keys}


@pytest.mark.parametrize("name", network_names())
def test_every_key_of_a_knob_is_in_the_schema_of_a_release(name: str) -> None:
    named: set[str] = set()
    known: set[str] = set()
    for contract, spec, schema in contracts(name):
        if schema is None:
            continue
        for kinds, keys in (
            (VALUES, {key for knob in KNOBS for key in keys_of(contract, knob)}),
            (COUNTS, {*spec.within_epochs, *spec.epoch_points, *spec.step_counts}),
        ):
            for key in keys:
                found = schema.find(tuple(key.split(".")))
                assert found is None or found.kind in kinds, (contract.action, contract.release, key)
                named.add(key)
                known |= {key} if found is not None else set()
    assert {key for key in named - known if key not in OF_FAMILIES} == set()


@pytest.mark.parametrize("name", [name for name in network_names() if load_network(name).trainable])
def test_every_training_has_all_four(name: str) -> None:
    """In each release whose spec is known. Those that lack one are named here, with the reason."""
    lacking = set()
    for contract, spec, schema in contracts(name):
        if contract.action != "train":
            continue
        for knob in set(KNOBS) - {"min_score"}:
            keys = keys_of(contract, knob)
            known = [key for key in keys if schema is None or schema.find(tuple(key.split(".")))]
            if not known:
                lacking.add(
                    (knob, "iterations" if "iterations" in spec.keys else contract.release.split(".")[0])
                )
    assert lacking == EXPECTED_LACKS.get(name, set())


NO_SEED_BEFORE_5_5 = {("seed", "5")}
EXPECTED_LACKS = {
    **dict.fromkeys(
        ("action_recognition", "centerpose", "deformable_detr", "dino", "ml_recog", "optical_inspection",
         "pose_classification", "re_identification"),
        NO_SEED_BEFORE_5_5,
    ),
    "segformer": {("epochs", "iterations")},
}  # fmt: skip
"""Their specs have no key for the seed until 5.3; SegFormer counts iterations before 6.0."""


@pytest.mark.parametrize("name", network_names())
def test_a_key_is_set_by_one_knob_only(name: str) -> None:
    for contract, _spec, _schema in contracts(name):
        keys = [key for knob in KNOBS for key in keys_of(contract, knob)]
        assert len(keys) == len(set(keys)), (contract.action, contract.release)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("train.seed", [KnobKeys(("train.seed",))]),
        ("a.lr a.lr_backbone", [KnobKeys(("a.lr", "a.lr_backbone"))]),
        ("a.lr\n  | b.lr if task=b", [KnobKeys(("a.lr",)), KnobKeys(("b.lr",), ("task", "b"))]),
        ("a.size of all GPUs", [KnobKeys(("a.size",), is_total=True)]),
    ],
)
def test_a_knob_is_read(text: str, found: list[KnobKeys]) -> None:
    assert list(parse_knob(text)) == found


@pytest.mark.parametrize("text", ["", "a.lr |", "a..lr", "a.lr if task", "1a", "a.lr of GPUs!"])
def test_a_knob_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names no keys of a spec"):
        parse_knob(text)
