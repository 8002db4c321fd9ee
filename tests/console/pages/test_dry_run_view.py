"""What a dry run says of a run on several nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.backends.contract import EngineRequest
from taorunner.console.pages.dry_run_view import gpus_text
from taorunner.planning.model.plan import GpuRequest, Resources


@pytest.mark.parametrize(
    ("resources", "gpus", "text"),
    [
        (Resources(2, GpuRequest(8)), (), "2 nodes × 8 GPUs"),
        (Resources(1, GpuRequest(2)), ("0", "1"), "GPU 0, 1"),
        (Resources(1, GpuRequest(2)), (), "2 GPUs"),
        (Resources(), (), "none"),
    ],
)
def test_gpus_are_those_of_each_node(resources: Resources, gpus: tuple[str, ...], text: str) -> None:
    request = EngineRequest(
        run_id="r", backend="slurm", argv=(), command=(), run_dir=Path("/r"), gpus=gpus, resources=resources
    )
    assert gpus_text(request) == text
