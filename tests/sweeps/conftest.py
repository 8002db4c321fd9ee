"""Sweeps of a made-up network, and a workspace whose network trains on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

import taorunner

SWEEPS = """
sweeps:
  cells:
    base: tiny
    sampler: grid
    epochs: 1
    keep: best
    space:
      train.learning_rate: {choice: [0.004, 0.008]}
      train.batch_size: {choice: [4, 8]}
  long:
    base: tiny
    sampler: grid
    epochs: 12
    space:
      train.learning_rate: {choice: [0.004, 0.008]}
  twelve:
    base: tiny
    sampler: grid
    epochs: 12
    parallel: 2
    space:
      train.learning_rate: {choice: [0.004, 0.008, 0.016]}
      train.batch_size: {choice: [4, 8]}
      model.backbone: {choice: [tiny, small]}
"""


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """A workspace with a converted dataset and the sweep ``cells``; project ``shapes``."""
    workspace = taorunner.Workspace.create_example(tmp_path / "w", images=16, held_out=4)
    (run,) = taorunner.start(workspace, "shapes", "dataset_convert", "tiny").runs
    assert run.wait(timeout_s=120).value == "SUCCEEDED"
    file = workspace.path / "projects/shapes/experiments.yml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + SWEEPS, encoding="utf-8")
    spec = next((workspace.path / "projects/shapes/specs").rglob("train.yaml"))
    spec.write_text(spec.read_text().replace("checkpoint_interval: 4", "checkpoint_interval: 1"))
    return workspace.path
