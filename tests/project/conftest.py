"""A workspace on disk, written as a user would write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from taorunner.errors import Finding
from taorunner.project.load import Project, load_project
from taorunner.project.workspace import Workspace

INTERFACE_EXAMPLE = """\
tao_config:
  gpus: 1
  gpu_indices: [1]            # host ids as in nvidia-smi, or "auto"
experiments:
  dssd_resnet18_01:
    head: dssd                # a network of the catalog
    backbone: resnet18
    repository: pretrained_object_detection
    model_key: secret_key     # or env:NAME, or file:path
    dataset: kitti_detection/train
    export_model: dssd_resnet18_epoch_080
    export_type: fp16         # fp32, fp16, int8
"""

Load = Callable[[str | bytes], Project]
Row = tuple[int | None, int | None, str]


@pytest.fixture
def interface_example() -> str:
    return INTERFACE_EXAMPLE


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """With one project "p" that has nothing but its folder."""
    workspace = Workspace(tmp_path / "ws")
    workspace.project("p").root.mkdir(parents=True)
    return workspace


@pytest.fixture
def load(workspace: Workspace) -> Load:
    """Writes experiments.yml of "p" and loads it."""

    def write_and_load(content: str | bytes) -> Project:
        file = workspace.project("p").experiments_file
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_project(workspace, "p")

    return write_and_load


@pytest.fixture
def rows() -> Callable[[Iterable[Finding]], list[Row]]:
    """Findings as (line, column, code)."""
    return lambda findings: [(one.line, one.column, one.code) for one in findings]
