"""Local and embedded runs keep the promises of a backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from contract import BackendContract, Harness, shell_harness

from taorunner.backends.contract import Launch
from taorunner.backends.process.backend import LocalBackend
from taorunner.backends.process.embedded import EmbeddedBackend
from taorunner.planning.model.plan import RunPlan


class TestLocal(BackendContract):
    @pytest.fixture
    def harness(self, make_plan: Callable[..., RunPlan], make_launch: Callable[[], Launch]) -> Harness:
        return shell_harness(LocalBackend, make_plan, make_launch, backend="local")


class TestEmbedded(BackendContract):
    @pytest.fixture
    def harness(
        self, make_plan: Callable[..., RunPlan], make_launch: Callable[[], Launch], tmp_path: Path
    ) -> Harness:
        def images(count: int) -> RunPlan:
            folder = tmp_path / f"pictures-{count}"
            words = ("--images", str(count), "--held-out", "1", "--seed", "1")
            return make_plan("sample-dataset", str(folder), *words, backend="embedded")

        return Harness(
            EmbeddedBackend,
            make_launch,
            prints=images(4),
            fails=make_plan("no-such-task", backend="embedded"),
            stays=images(900_000),
        )
