"""Two trainings that take a minute, and a person who has TAO's programs. A file with other runs has a workspace of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

SPEC = "results_dir: $results_dir\ntrain:\n  num_epochs: 60\n"


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    """Two experiments of dino that TAO's stand-in trains on this host for a minute."""
    words = "{head: dino, dataset: d, backend: local, gpus: 0, env: {FAKE_EPOCH_S: '1', FAKE_STEPS: '8'}}"
    return workspace_factory(
        f"experiments:\n  first: {words}\n  second: {words}\n",
        specs={"first/train.yaml": SPEC, "second/train.yaml": SPEC},
        data={"d/": ""},
    )


@pytest.fixture
def person(cli: Cli, tao_commands: Callable[..., dict[str, str]]) -> Cli:
    return Cli(cli.home, tao_commands("pyt_7"))
