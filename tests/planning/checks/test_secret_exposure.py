"""Exposed keys are reported with a safer way; the secret itself is never in a finding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taorunner.planning.validate import validate_projects
from taorunner.project.workspace import Workspace

Factory = Callable[..., Path]
CANARY = "canary-4711"


@pytest.fixture
def findings_of(
    workspace_factory: Factory, tmp_path: Path
) -> Callable[..., list[tuple[str, int | None, str, str | None]]]:
    def validate(
        *, tao_config: dict[str, Any] | None = None, more: dict[str, Any] | None = None, **keys: Any
    ) -> list[tuple[str, int | None, str, str | None]]:
        entry = {"head": "dssd", "dataset": "kitti/train", **keys}
        top = {"tao_config": tao_config} if tao_config else {}
        root = workspace_factory(
            {**top, "experiments": {"e1": entry, **(more or {})}}, data={"kitti/train/": ""}
        )
        found = validate_projects(Workspace(root), ["example_01"], {"HOME": str(tmp_path)})
        assert CANARY not in repr(found)
        return [
            (
                one.code,
                one.line,
                one.message.replace(str(tmp_path), "…"),
                (one.hint or "").replace(str(tmp_path), "…"),
            )
            for one in found
            if "secret" in one.code
        ]

    return validate


def test_a_key_in_the_file_is_reported_with_the_better_way(findings_of: Callable[..., Any]) -> None:
    assert findings_of(model_key=CANARY, env={"WANDB_API_KEY": CANARY, "WANDB_MODE": "offline"}) == [
        (
            "plain-secret", 6, '"model_key" is written here, readable by everyone with this file',
            'write "model_key: env:TAO_MODEL_KEY" and export TAO_MODEL_KEY, or file:PATH',
        ),
        (
            "plain-secret", 8, '"WANDB_API_KEY" is written here, readable by everyone with this file',
            'write "WANDB_API_KEY: env:WANDB_API_KEY" and export WANDB_API_KEY, or file:PATH',
        ),
    ]  # fmt: skip


def test_it_is_reported_once_for_all_who_inherit_it(findings_of: Callable[..., Any]) -> None:
    found = findings_of(model_key=CANARY, more={"e2": {"extends": "e1"}, "e3": {"extends": "e2"}})
    assert [(code, line) for code, line, *_ in found] == [("plain-secret", 6)]


@pytest.mark.parametrize("key", ["tlt_encode", "nvidia_tlt", "env:TAO_MODEL_KEY"])
def test_published_keys_and_variables_are_fine(findings_of: Callable[..., Any], key: str) -> None:
    assert findings_of(model_key=key) == []


def test_a_file_for_its_owner_alone_is_fine(findings_of: Callable[..., Any], tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(CANARY)
    key.chmod(0o600)
    assert findings_of(model_key=f"file:{key}", env={"A": f"file:{key}"}) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_read_comes_with_the_repair(
    findings_of: Callable[..., Any], tmp_path: Path, mode: int
) -> None:
    key = tmp_path / "the key"
    key.write_text(CANARY)
    key.chmod(mode)
    assert findings_of(model_key=f"file:{key}") == [
        ("secret-file-open", 6, 'others may read the secret in "…/the key"', "chmod 600 '…/the key'")
    ]


def test_a_file_that_is_not_there_is_reported_before_the_launch(
    findings_of: Callable[..., Any], tmp_path: Path
) -> None:
    assert findings_of(model_key=f"file:{tmp_path}/gone", env={"A": f"file:{tmp_path}"}) == [
        (
            "secret-file-missing", 6, 'the secret should come from "…/gone": no such file or directory',
            "write it there, then: chmod 600 …/gone",
        ),
        ("secret-file-missing", 8, 'the secret should come from "…", which is not a file', "name the file that holds it"),
    ]  # fmt: skip
