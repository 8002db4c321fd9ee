"""A workspace in which the embedded network has been trained once, by the library itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import taorunner

TWO_EPOCHS = {"train.num_epochs": 2, "train.checkpoint_interval": 1}


@pytest.fixture
def workspace(tmp_path: Path) -> taorunner.Workspace:
    """Generated images and two experiments; nothing has been run."""
    return taorunner.Workspace.create_example(tmp_path / "workspace", images=24, held_out=4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> taorunner.Workspace:
    """``tiny`` is trained for two epochs. Tests only read it."""
    workspace = taorunner.Workspace.create_example(
        tmp_path_factory.mktemp("trained") / "workspace", images=24, held_out=4
    )
    assert taorunner.start(workspace, "shapes", "dataset_convert", "tiny").wait(timeout_s=120)
    batch = taorunner.start(workspace, "shapes", "train", "tiny", overrides=TWO_EPOCHS)
    assert batch.wait(timeout_s=120), [(run.reason, run.log(tail=20)) for run in batch.runs]
    return workspace
