"""A small KITTI dataset, and the embedded network as a user starts it: as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Start = Callable[..., "subprocess.CompletedProcess[str]"]

SPEC = """\
results_dir: {root}/results
encryption_key: very_secret
train: {{num_epochs: 3, batch_size: 8, learning_rate: 0.01, checkpoint_interval: 1, validation_interval: 1, seed: 7}}
model: {{backbone: tiny, input_width: 64, input_height: 64}}
dataset_convert:
  root_directory_path: {root}/data/train
  image_dir_name: image_2
  label_dir_name: label_2
  image_extension: .png
  val_split: 20
  num_shards: 2
  output_filename: {root}/records/shapes
dataset:
  train_tfrecords: {root}/records/shapes-fold-001-of-002*
  val_tfrecords: {root}/records/shapes-fold-000-of-002*
  test_kitti: {root}/data/test
  class_names: [circle, square, triangle]
evaluate: {{checkpoint: "${{results_dir}}/train/tinydet_model_latest.npz", iou_threshold: 0.5}}
inference: {{checkpoint: "${{results_dir}}/train/tinydet_model_latest.npz", image_dir: {root}/data/test/image_2}}
export: {{checkpoint: "${{results_dir}}/train/tinydet_model_latest.npz", onnx_file: {root}/results/export/tinydet.onnx}}
"""


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "taorunner.embedded", *map(str, arguments)]


@pytest.fixture(scope="session")
def start() -> Start:
    """``start("tinydet", "train", "-e", spec)`` waits for the end; times out rather than hang."""

    def run(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **(env or {})},
        )

    return run


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Path:
    """``spec.yaml``, ``data/{train,test}`` and ``records`` of 40 + 8 images of 64 pixels. Read only."""
    root = tmp_path_factory.mktemp("shapes")
    (root / "spec.yaml").write_text(SPEC.format(root=root))
    for arguments in (
        ("sample-dataset", root / "data", "--images", 48, "--held-out", 8, "--seed", 3, "--size", 64),
        ("tinydet", "dataset_convert", "-e", root / "spec.yaml"),
    ):
        result = start(*arguments)
        assert result.returncode == 0, result.stderr
    return root


@pytest.fixture
def spec(shapes: Path, tmp_path: Path) -> Path:
    """The spec with results of its own for each test."""
    path = tmp_path / "spec.yaml"
    text = (shapes / "spec.yaml").read_text().replace(f"{shapes}/results", f"{tmp_path}/results")
    path.write_text(text)
    return path
