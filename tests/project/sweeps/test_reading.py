"""``sweeps`` of experiments.yml: what is read, and each mistake with its place."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from taorunner.project.load import Project, load_project
from taorunner.project.schema import experiments_schema
from taorunner.project.sweeps.definition import Axis, Limit, Pruner
from taorunner.project.workspace import Workspace
from taorunner.yaml_reader import read_yaml

HEAD = "experiments:\n  one: {head: dino, dataset: cars}\n"
WHOLE = """\
sweeps:
  lr_search:
    base: one
    metric: val_mAP50
    goal: maximize
    trials: 24
    parallel: 4
    sampler: tpe
    pruner: {kind: asha, first: 4, factor: 3}
    epochs: 12
    space:
      train.optim.lr: {log: [1.0e-5, 1.0e-3]}
      dataset.batch_size: {choice: [2, 4, 8]}
      model.num_queries: {int: [100, 900], step: 100}
      model.dropout: {float: [0.0, 0.5]}
    together: ["dataset.batch_size * gpus <= 32"]
    seed: 1
    keep: best
    stop: {failures: 3, hours: 48, no_better_for: 10}
    start_with: [{train.optim.lr: 2.0e-4}]
"""


def read(tmp_path: Path, text: str) -> Project:
    folder = tmp_path / "projects" / "p"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiments.yml").write_text(HEAD + text, encoding="utf-8")
    return load_project(Workspace(tmp_path), "p", {})


def test_every_key_is_read(tmp_path: Path) -> None:
    project = read(tmp_path, WHOLE)
    assert project.findings == ()
    sweep = project.sweeps["lr_search"]
    assert (sweep.base, sweep.trials, sweep.parallel, sweep.seed, sweep.keep) == ("one", 24, 4, 1, "best")
    assert sweep.space[0] == Axis(key="train.optim.lr", kind="log", low=1e-5, high=1e-3)
    assert sweep.space[2].cells == tuple(range(100, 1000, 100))
    assert sweep.pruner == Pruner(kind="asha", first=4, factor=3)
    assert sweep.stop == Limit(failures=3, hours=48, no_better_for=10)
    assert sweep.start_with == ({"train.optim.lr": 2e-4},)
    jsonschema.validate(read_yaml(HEAD + WHOLE).value, experiments_schema([]))


def test_a_grid_has_all_of_its_cells(tmp_path: Path) -> None:
    text = "sweeps:\n  g: {base: one, sampler: grid, space: {a: {choice: [1, 2]}, b: {int: [0, 2]}, c: {float: [0, 1], step: 0.5}}}\n"
    sweep = read(tmp_path, text).sweeps["g"]
    assert (sweep.trials, sweep.grid_size) == (18, 18)
    assert sweep.space[2].cells == (0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("entry", "code", "message"),
    [
        ("base: on, space: {a: {choice: [1]}}", "unknown-experiment", 'there is no experiment "on"'),
        ("base: s, space: {a: {choice: [1]}}", "sweep-of-sweep", "the base must be an experiment"),
        ("base: one", "missing-key", '"space" is missing'),
        ("base: one, space: {a: [1, 2]}", "sweep-axis", "must be such as {choice: [2, 4, 8]}, not a list"),
        ("base: one, space: {a: {chioce: [1, 2]}}", "unknown-key", 'unknown key "chioce"'),
        ("base: one, space: {a: {log: [0, 1]}}", "sweep-axis", "must begin above 0"),
        ("base: one, space: {a: {log: [2, 1]}}", "sweep-axis", "must be the lower one"),
        ("base: one, space: {a: {int: [1, 10], step: 4}}", "sweep-axis", "never meets 10"),
        ("base: one, space: {a: {int: [1, 10.5]}}", "wrong-type", "must be"),
        ("base: one, space: {a: {choice: [1, x]}}", "sweep-axis", "of several types"),
        ("base: one, space: {a: {choice: [1, 1]}}", "sweep-axis", "twice"),
        ("base: one, space: {a: {choice: [1], int: [1, 2]}}", "sweep-axis", "has int and choice"),
        ("base: one, sampler: grid, space: {a: {float: [0, 1]}}", "sweep-grid", "one by one"),
        ("base: one, epochs: 4, pruner: {kind: asha, first: 4}, space: {a: {choice: [1]}}", "sweep-pruner", "begins at epoch 4"),
        ("base: one, pruner: {kind: asha}, space: {a: {choice: [1]}}", "missing-key", 'no "first"'),
        ("base: one, together: [b < 1], space: {a: {choice: [1]}}", "sweep-condition", '"b" is no key'),
        ("base: one, together: [import os], space: {a: {choice: [1]}}", "sweep-condition", "not a condition"),
        ("base: one, start_with: [{b: 1}], space: {a: {choice: [1]}}", "sweep-start", '"b" is no key'),
        ("base: one, start_with: [{a: 2}], space: {a: {choice: [1]}}", "sweep-start", "not among its values"),
        ("base: one, tirals: 3, space: {a: {choice: [1]}}", "unknown-key", 'unknown key "tirals"'),
        ("base: one, trials: 0, space: {a: {choice: [1]}}", "wrong-value", "whole number from 1"),
        ("base: one, space: {a: {int: [0, 1%s]}}" % ("0" * 320), "sweep-axis", "a number that is too large"),
        ("base: one, space: {a: {float: [-1.0e+308, 1.0e+308], step: 1}}", "sweep-axis", "a number that is too large"),
        ("base: one, space: {a: {float: [0, .inf]}}", "wrong-value", "must be"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place(tmp_path: Path, entry: str, code: str, message: str) -> None:
    project = read(tmp_path, f"sweeps:\n  s: {{{entry}}}\n")
    assert project.sweeps == {}
    found = [(one.code, one.line) for one in project.findings]
    assert (code, 4) in found, project.findings
    one = next(one for one in project.findings if one.code == code)
    assert message in one.message, one
    assert one.column is not None and one.column >= 3
    assert project.experiments.keys() == {"one"}


@pytest.mark.parametrize("value", ["[]", "3", "text", "{1: {}}", "{s: }", "{s: []}", "{'a b': {}}"])
def test_other_things_in_its_place(tmp_path: Path, value: str) -> None:
    project = read(tmp_path, f"sweeps: {value}\n")
    assert project.sweeps == {}
    assert project.has_errors


def test_an_empty_section_is_none(tmp_path: Path) -> None:
    project = read(tmp_path, "sweeps:\n")
    assert (project.sweeps, project.findings) == ({}, ())
