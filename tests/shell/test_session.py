"""Which GPUs a shell waits for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taorunner.backends.docker.backend import DockerBackend
from taorunner.errors import UserFilesError
from taorunner.gpu.inventory import Gpu, Inventory
from taorunner.gpu.leases import Leases
from taorunner.planning.model.plan import GpuRequest, Resources
from taorunner.scheduling.gpu_allocator import FreeGpus
from taorunner.shell.session import _wait_for_gpus


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (GpuRequest(1, ("7",)), "GPU 7 requested, this machine has only GPU 0, 1"),
        (GpuRequest(3), "3 GPUs requested, this machine has 2"),
    ],
)
def test_gpus_that_do_not_exist_are_named(
    make_plan: Any, tmp_path: Path, wanted: GpuRequest, text: str
) -> None:
    two = Inventory((Gpu(0, "GPU-a", "A"), Gpu(1, "GPU-b", "B")))
    gpus = FreeGpus(Leases(tmp_path / "leases"), lambda: two)
    with pytest.raises(UserFilesError) as refused:
        _wait_for_gpus(
            make_plan("sh", resources=Resources(gpus=wanted)), "shell-1", gpus, DockerBackend({}), print
        )
    assert refused.value.message == text
