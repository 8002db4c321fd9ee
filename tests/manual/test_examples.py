"""Every example of a finding is true: its wrong text gives the code, its right text does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tried_example import codes_of, make_workspace

from taorunner.manual.codes import Explanation, explanations

WITH_EXAMPLE = [one for one in explanations() if one.example is not None]
LEAST = 69
"""So many codes have an example. Raise it with each new one."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = Path.cwd()
    made = make_workspace(tmp_path_factory.mktemp("examples"))
    os.chdir(here)
    return made


@pytest.mark.parametrize("one", WITH_EXAMPLE, ids=lambda one: one.code)
def test_the_wrong_text_gives_the_finding_and_the_right_one_does_not(
    one: Explanation, workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    assert one.example is not None
    assert one.code in codes_of(workspace, one.example, one.example.wrong, capsys)
    assert one.code not in codes_of(workspace, one.example, one.example.right, capsys)


def test_so_many_codes_have_an_example() -> None:
    assert len(WITH_EXAMPLE) >= LEAST
