"""Pages of the catalog, of specs, of the help of a key, and of a dry run."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taorunner.backends.contract import EngineRequest
from taorunner.backends.dry_run import Simulation
from taorunner.catalog.load import Catalog, load_network
from taorunner.console.base.theme import make_console
from taorunner.console.pages.dry_run_view import print_simulations
from taorunner.console.pages.networks_view import print_network, print_networks
from taorunner.console.pages.specs_view import print_differences, print_explained, print_spec
from taorunner.container_options import ContainerOptions, Mount, PublishedPort
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.planning.inspect.key_help import ExplainedKey
from taorunner.planning.inspect.resolved_spec import ShownSpec, SpecValue
from taorunner.planning.inspect.spec_diff import Difference
from taorunner.planning.model.plan import SHELL, Resources, RunPlan
from taorunner.specs.schema.lookup import KeyFacts
from taorunner.specs.schema.schema import NO_DEFAULT

Shown = Callable[..., str]


NAMES = ("dino", "tinydet")
LAYOUTS = Catalog().layout


def test_networks(shown: Shown, golden: Any) -> None:
    networks = [load_network(name) for name in NAMES]
    text = shown(print_networks, networks, LAYOUTS, json=False) + "\n"
    golden.check("networks", text + shown(print_networks, networks, LAYOUTS, json=False, width=60))


def test_the_page_of_a_network(shown: Shown, golden: Any) -> None:
    golden.check(
        "network_tinydet", shown(print_network, load_network("tinydet"), LAYOUTS, None, json=False, width=100)
    )


def test_the_page_of_an_older_release(shown: Shown, golden: Any) -> None:
    network = load_network("dino")
    release = network.releases[0]
    golden.check("network_old", shown(print_network, network, LAYOUTS, release, json=False, width=70))
    with pytest.raises(UserFilesError):
        shown(print_network, network, LAYOUTS, "1.2.3", json=False)


@pytest.mark.parametrize("file", [None, Path("/w/networks/dino.yml")])
def test_a_network_as_json_has_what_is_known_of_it(file: Path | None, shown: Shown) -> None:
    network = replace(load_network("dino"), file=file)
    found = json.loads(shown(print_network, network, LAYOUTS, None, json=True))
    actions = found.pop("actions")
    assert found.pop("layout")["form"] == "coco"
    assert {name: list(one["actions"]) for name, one in found.pop("by_release").items()} == {
        name: list(network.contracts(name)) for name in network.releases
    }
    assert list(actions) == list(network.actions()) and actions["train"]["group"] == "model"
    assert found == {
        "name": "dino", "title": network.title, "purpose": network.purpose, "framework": "pyt", "trainable": True,
        "needs": list(network.needs), "optional": list(network.optional), "default_release": "7.0.1",
        "releases": list(network.releases), "traps": list(network.traps), "sources": list(network.sources),
        "file": None if file is None else "/w/networks/dino.yml",
    }  # fmt: skip


def test_networks_as_json(shown: Shown) -> None:
    network = load_network("dino")
    (found,) = json.loads(shown(print_networks, [network], LAYOUTS, json=True))
    assert found == json.loads(shown(print_network, network, LAYOUTS, None, json=True))
    assert (found["name"], found["framework"], found["trainable"]) == ("dino", "pyt", True)
    layout = found["layout"]
    assert (layout["form"], layout["put"]["<subset>/images/*"]) == ("coco", "images")
    assert layout["inputs"][0] == {
        "key": "dataset.train_data_sources.image_dir", "kind": "folder", "holds": "images that train",
        "needed_by": ["train", "distill"], "used_by": [], "note": None,
    }  # fmt: skip
    assert layout["start"]["epochs"] == 12 and layout["source"].startswith("tao-pytorch")
    assert found["releases"] == list(network.releases) and list(found["by_release"]) == found["releases"]
    train = found["actions"]["train"]
    contract = network.contracts(None)["train"]
    assert train["command"] == list(contract.command)
    assert train["exit_code_lies"] == (not contract.verdict.exit_zero_means_success)
    assert train["spec"]["keys"] == dict(contract.spec.keys) if contract.spec else False
    assert {metric["name"] for metric in train["kpi"]} == {metric.name for metric in contract.kpi}
    oldest = json.loads(shown(print_network, network, LAYOUTS, network.releases[0], json=True))
    for action, reason in network.unknown_actions(network.releases[0]).items():
        assert oldest["actions"][action]["unknown"] == {"contract": reason} or reason in str(
            oldest["actions"][action]
        )


def spec(**fields: Any) -> ShownSpec:
    given: dict[str, Any] = {
        "project": "p", "experiment": "e1", "action": "train", "network": "dino", "release": "5.5.0", "format": "yaml",
        "path": Path.cwd() / "specs/train.yaml", "text": "train:\n  lr: 0.1", "values": (),
        "findings": (), "arguments": (), "own": {}, "schema": None,
    }  # fmt: skip
    return ShownSpec(**{**given, **fields})


def test_a_spec_alone_is_on_stdout(shown: Shown) -> None:
    assert shown(print_spec, spec(), json=False) == (
        "train:\n  lr: 0.1\n--- stderr\ne1: train of dino 5.5.0, from specs/train.yaml\n"
    )
    changed = tuple(SpecValue("a", 1, by) for by in ("override", "spec", "set", "taorunner"))
    finding = Finding(Severity.WARNING, "odd-key", "an odd key")
    more = shown(
        print_spec,
        spec(
            text="a: 1\n", path=Path("/specs/t.yaml"), values=changed, arguments=("x=1",), findings=(finding,)
        ),
        json=False,
    )
    out, _, err = more.partition("--- stderr\n")
    assert out == "a: 1\n"
    assert err.splitlines()[:2] == [
        "e1: train of dino 5.5.0, from /specs/t.yaml, 2 values overridden",
        "on the command line: x=1",
    ]
    assert "an odd key" in err
    one = shown(print_spec, spec(values=changed[:1]), json=False)
    assert one.endswith(", 1 value overridden\n")


def test_a_spec_as_json(shown: Shown) -> None:
    values = (
        SpecValue("a", math.inf, "spec", Path("/s.yaml"), 3, 4),
        SpecValue("b", [math.nan, {"c": 1.5}], "set"),
    )
    found = json.loads(shown(print_spec, spec(values=values, arguments=("x=1",)), json=True))
    assert found["values"] == [
        {"key": "a", "value": "inf", "by": "spec", "file": "/s.yaml", "line": 3, "column": 4},
        {"key": "b", "value": ["nan", {"c": 1.5}], "by": "set", "file": None, "line": None, "column": None},
    ]
    assert (found["project"], found["experiment"], found["action"], found["arguments"]) == (
        "p",
        "e1",
        "train",
        ["x=1"],
    )
    assert (found["text"], found["format"]) == ("train:\n  lr: 0.1", "yaml")


def differences() -> list[Difference]:
    at = Path.cwd() / "specs/train.yaml"
    return [
        Difference(
            "train.lr", SpecValue("train.lr", 0.1, "spec", at, 2, 7), SpecValue("train.lr", "x y", "set")
        ),
        Difference("only.first", SpecValue("only.first", " a", "override", Path("/e.yml"), 9, 1), None, 5),
        Difference("only.second", None, SpecValue("only.second", math.inf, "taorunner"), NO_DEFAULT),
        Difference("results", SpecValue("r", "m/e1", "spec"), SpecValue("r", "m/e2", "spec"), by_name=True),
    ]


def test_the_difference_of_two_specs(shown: Shown, golden: Any) -> None:
    first, second = spec(), spec(experiment="experiment2")
    text = shown(print_differences, first, second, differences(), by_name_too=False, json=False) + "\n"
    text += shown(print_differences, first, second, differences(), by_name_too=True, json=False) + "\n"
    text += shown(print_differences, first, second, differences()[:1], by_name_too=False, json=False) + "\n"
    golden.check(
        "spec_diff", text + shown(print_differences, first, second, [], by_name_too=False, json=False)
    )
    found = json.loads(shown(print_differences, first, second, differences(), by_name_too=False, json=True))
    assert [(one["kind"], one["by_name"], one["default"]) for one in found["differences"]] == [
        ("changed", False, None), ("only-first", False, 5), ("only-second", False, None), ("changed", True, None),
    ]  # fmt: skip
    assert found["second"]["experiment"] == "experiment2"
    assert found["differences"][1]["second"] is None and found["differences"][2]["first"] is None


def facts(key: str, **fields: Any) -> KeyFacts:
    given: dict[str, Any] = {
        "type": "int", "is_optional": False, "is_mandatory": False, "default": NO_DEFAULT, "least": None, "most": None,
        "options": (), "releases": ("5.0", "5.5", "7.0"), "since": None, "until": None, "children": (),
    }  # fmt: skip
    return KeyFacts(key, **{**given, **fields})


def test_the_help_of_a_key(shown: Shown, golden: Any) -> None:
    children = (
        facts("train.lr", type="float", default=0.1, least=0, most=1e6),
        facts("train.name", type="str", is_mandatory=True, options=("a", "b"), since="5.5", until="7.0"),
        facts("train.n", least=1, default=None),
        facts("train.m", most=2_000_000.0),
    )
    explained = [
        ExplainedKey(facts("train", type="section", children=children), "dino", "train", "7.0", "7.0.1"),
        ExplainedKey(facts("", type="section", children=children[:1]), "dino", "train", "7.0", "7.0.1"),
        ExplainedKey(
            facts("train.lr", is_optional=True, default=0.5, least=0, most=1, since="5.5", options=("a", "b")),
            "dino", "train", "7.0", "7.0.1", "e1",
            (SpecValue("train.lr", 0.1, "spec", Path("/s.yaml"), 3, 4), SpecValue("train.lr.x", None, "override")),
        ),
        ExplainedKey(facts("k", is_mandatory=True, releases=("7.0",)), "dino", "train", "7.0", "1", "e1", (), None),
        ExplainedKey(facts("k", releases=()), "dino", "train", "7.0", "1", "e1", None, "the spec is missing"),
    ]  # fmt: skip
    golden.check("key_help", "\n".join(shown(print_explained, one, json=False) for one in explained))
    found = json.loads(shown(print_explained, explained[2], json=True))
    assert (found["default"], found["has_default"], found["optional"], found["mandatory"]) == (
        0.5,
        True,
        True,
        False,
    )
    assert (found["min"], found["max"], found["since"], found["until"]) == (0, 1, "5.5", None)
    assert [value["key"] for value in found["values"]] == ["train.lr", "train.lr.x"]
    found = json.loads(shown(print_explained, explained[0], json=True))
    assert (found["default"], found["has_default"], found["values"], len(found["children"])) == (
        None,
        False,
        None,
        4,
    )


def test_a_dry_run(make_plan: Callable[..., RunPlan], shown: Shown, golden: Any, tmp_path: Path) -> None:
    plan = make_plan(
        "dino", "train", workspace=Path("/w"), results_dir=Path("/w/results"), set_aside=(Path("/w/old"),),
        options=ContainerOptions(user="1000:1000", published=(PublishedPort(80, 8080),)),
    )  # fmt: skip
    full = EngineRequest(
        run_id="r", backend="docker", argv=("dino", "a b"), command=("dino",), run_dir=tmp_path, env={"B": "2", "A": "1"}, image="i:1",
        mounts=(Mount(Path("/w"), "/workspace", read_only=True),), gpus=("0", "1"),
        resources=Resources(nodes=2, cpus=4, memory_bytes=1 << 30, time_s=90),
    )  # fmt: skip
    least = EngineRequest(run_id="r", backend="local", argv=("sh",), command=("sh",), run_dir=tmp_path)
    shell = make_plan("sh", action=SHELL)
    simulations = [
        Simulation(plan, full, Path("/w/spec.yaml"), "docker run i:1"),
        Simulation(shell, least, None, "sh"),
    ]

    def page(json: bool) -> None:
        print_simulations(make_console(sys.stdout, os.environ), simulations, json=json)

    golden.check("dry_run", shown(page, json=False))
    assert json.loads(shown(page, json=True)) == json.loads(
        json.dumps([one.to_json() for one in simulations])
    )
