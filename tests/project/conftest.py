"""A workspace on disk, written as a user would write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from filled_in import EXAMPLE

from taorunner.errors import Finding
from taorunner.project.load import Project, load_project
from taorunner.project.workspace import Workspace

Load = Callable[[str | bytes], Project]
Row = tuple[int | None, int | None, str]


@pytest.fixture
def interface_example() -> str:
    return EXAMPLE


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
