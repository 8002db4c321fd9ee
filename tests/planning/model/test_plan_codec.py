"""Plans to and from plain JSON: nothing lost, nothing guessed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plain_runs import plain_plan

from taorunner.catalog.load import load_network, network_names
from taorunner.contracts import Contract
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.plan_codec import Known, decoded, encoded
from taorunner.values.value import replace


@pytest.mark.parametrize("name", network_names())
def test_every_contract_of_the_catalog_survives(name: str) -> None:
    network = load_network(name)
    for contract in network.contracts().values():
        assert decoded(Contract, json.loads(json.dumps(encoded(contract)))) == contract


def test_unknown_keys_of_a_newer_program_are_ignored() -> None:
    contract = load_network("dino").contract("train")
    assert decoded(Contract, {**encoded(contract), "from_the_future": 1}) == contract


@pytest.mark.parametrize("body", [{}, [], None, {"network": "x"}, {"spec": 7}])
def test_what_is_no_plan_is_a_value_error(body: object) -> None:
    with pytest.raises(ValueError, match=r"not a stored Contract|is not a valid"):
        decoded(Contract, body)


def test_what_one_plan_has_in_common_with_the_next_is_decoded_and_encoded_once(tmp_path: Path) -> None:
    contract = load_network("dino").contract("train")
    plans = [replace(plain_plan(tmp_path, name), contract=contract) for name in ("e1", "e2", "e1")]
    known = Known()
    bodies = [json.loads(json.dumps(plan.to_json(known))) for plan in plans]
    assert bodies == [json.loads(json.dumps(plan.to_json())) for plan in plans]
    read = [RunPlan.from_json(body, known) for body in bodies]
    assert read == plans
    assert read[0].contract is read[1].contract is read[2].contract
    bodies[1]["contract"]["verdict"] = 5
    with pytest.raises(ValueError, match="not a stored RunPlan"):
        RunPlan.from_json(bodies[1], known)


def test_a_damaged_plan_is_found_after_one_that_equals_it(tmp_path: Path) -> None:
    plan, known = plain_plan(tmp_path, "e1"), Known()
    body = json.loads(json.dumps(replace(plan, resources=replace(plan.resources, nodes=1)).to_json()))
    RunPlan.from_json(body, known)
    damaged = {**body, "resources": {**body["resources"], "nodes": True}}
    assert damaged == body
    with pytest.raises(ValueError, match="not a stored"):
        RunPlan.from_json(damaged, known)


@pytest.mark.parametrize(
    ("key", "pattern"),
    [("epoch_pattern", "\x1b[2J"), ("epoch_pattern", "x"), ("untrained_pattern", "("), ("best_pattern", "*")],
)
def test_a_damaged_pattern_of_checkpoints_is_no_plan(tmp_path: Path, key: str, pattern: str) -> None:
    plan = replace(plain_plan(tmp_path, "e1"), contract=load_network("dino").contract("train"))
    body = json.loads(json.dumps(plan.to_json()))
    body["contract"]["checkpoints"][key] = pattern
    with pytest.raises(ValueError, match=r"not a regular expression|has no group"):
        RunPlan.from_json(body)
