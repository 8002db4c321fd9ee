"""Plans to and from plain JSON: nothing lost, nothing guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plain_runs import plain_plan

from taorunner.catalog.load import load_network, network_names
from taorunner.contracts import Contract
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.plan_codec import decoded, encoded


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


def test_the_types_of_one_plan_serve_for_the_next(tmp_path: Path) -> None:
    plan = plain_plan(tmp_path, "e1")
    known: dict[type, dict[str, Any]] = {}
    first = RunPlan.from_json(plan.to_json(), known)
    types = dict(known)
    assert RunPlan in types
    assert RunPlan.from_json(plan.to_json(), known) == first == plan
    assert known == types
