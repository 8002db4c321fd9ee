"""What an action takes from a chain, by the contract of its network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.planning.inputs.awaited import awaited, filled, missing_links
from taorunner.planning.inputs.values import wanted_values
from taorunner.planning.model.arguments import ArgumentValues
from taorunner.planning.model.plan import Awaited, RenderedSpec, RunPlan

CHECKPOINT = "/r/CHECKPOINT-OF-THE-CHAIN"
ONNX, ENGINE = "/r/export/EXPORT-OF-THE-CHAIN.onnx", "/r/gen_trt_engine/ENGINE-OF-THE-CHAIN.engine"


@pytest.mark.parametrize(
    ("network", "action", "earlier", "expected"),
    [
        ("dino", "evaluate", ("train",), [Awaited("train", CHECKPOINT, "checkpoint")]),
        ("dino", "train", ("dataset_convert",), []),
        ("dino", "evaluate", ("dataset_convert",), []),
        ("dino", "gen_trt_engine", ("train", "export"), [Awaited("export", ONNX, "onnx_file")]),
        ("dino", "deploy.inference", ("gen_trt_engine",), [Awaited("gen_trt_engine", ENGINE, "engine_file")]),
        ("ssd", "export", ("train", "evaluate", "prune"), [Awaited("prune", CHECKPOINT, "checkpoint")]),
        ("ssd", "export", ("prune", "train"), [Awaited("train", CHECKPOINT, "checkpoint")]),
        ("classification_tf1", "evaluate", ("train",), [Awaited("train", CHECKPOINT)]),  # a key of the spec
    ],
)
def test_what_is_taken(network: str, action: str, earlier: tuple[str, ...], expected: list[Awaited]) -> None:
    contract = load_network(network).contract(action)
    found = awaited(contract, wanted_values(contract), earlier, "/r")
    assert list(found) == expected
    assert list(missing_links(action, found, earlier)) == []


@pytest.mark.parametrize(
    ("earlier", "hint"),
    [
        (("train",), "add export after train: --then export,gen_trt_engine"),
        (("export", "train"), "add export after train: --then export,gen_trt_engine"),
        (("train", "export", "prune"), "add export after prune: --then export,gen_trt_engine"),
    ],
)
def test_a_link_that_is_missing(earlier: tuple[str, ...], hint: str) -> None:
    contract = load_network("ssd").contract("gen_trt_engine")
    found = awaited(contract, wanted_values(contract), earlier, "/r")
    assert [one.hint for one in missing_links("gen_trt_engine", found, earlier)] == [hint]


def test_a_key_of_the_spec_is_filled_in(tmp_path: Path) -> None:
    contract = load_network("classification_tf1").contract("evaluate")
    text = f'eval_config {{ model_path: "{CHECKPOINT}" }}\n'
    plan = RunPlan(
        project="p", experiment="e", action="evaluate", backend="docker", contract=contract, argv=(),
        workspace=tmp_path, results_dir=tmp_path / "models/e", results_inside="/r", run_inside="/run",
        spec=RenderedSpec(tmp_path / "evaluate.txt", "evaluate.txt", text, "/run/evaluate.txt"),
        arguments=ArgumentValues({"spec": "/run/evaluate.txt", "results_dir": "/r", "key": "k"}),
        awaits=(Awaited("train", CHECKPOINT),),
    )  # fmt: skip
    ready = filled(plan, {CHECKPOINT: tmp_path / "models/e/weights/resnet_003.hdf5"})
    assert ready.spec is not None
    assert ready.spec.text == 'eval_config { model_path: "/r/weights/resnet_003.hdf5" }\n'
    assert filled(replace(plan, spec=None), {CHECKPOINT: tmp_path / "models/e/a"}).spec is None
