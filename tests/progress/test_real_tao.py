"""``tools/real_tao.py``, driven with the stand-in of TAO's commands in place of a TAO."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import taorunner

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "real_tao.py"
STEPS = ("train", "resume", "unknown-key", "data-missing")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("real_tao", TOOL)
    assert spec is not None and spec.loader is not None
    module = sys.modules["real_tao"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_what_agrees_and_what_differs_is_printed(
    tmp_path: Path, tao_commands: Callable[..., dict[str, str]], tool: ModuleType
) -> None:
    """The stand-in reads no data, so it does not fail where it is missing: a difference."""
    environ = tao_commands("pyt7")
    python = Path(environ["PATH"].partition(os.pathsep)[0]) / "python3"
    only = [word for step in STEPS for word in ("--only", step)]
    command = [sys.executable, str(TOOL), str(python), "dino", "--no-gpu", "--keep", str(tmp_path), *only]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environ}, check=False, timeout=300
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert done.returncode == 1, done.stderr
    assert [(line[1], line[2], line[5:]) for line in lines if line[0] == "dino"] == [
        ("train", "succeeded", ["finished", "2", "epochs"]),
        ("resume", "succeeded", ["finished", "3", "epochs"]),
        (
            "unknown-key",
            "failed",
            ["the", "spec", "has", "an", "unknown", "key", '"train.no_such_key"', "[unknown-spec-key]"],
        ),
        ("data-missing", "succeeded", ["finished", "12", "epochs", "[no", "known", "cause]"]),
    ]
    assert "differs: TAO should fail, the record says succeeded" in done.stdout
    assert done.stdout.endswith("1 run with differences\n"), done.stdout
    _compare_again(tmp_path, tool)


def _compare_again(root: Path, tool: ModuleType) -> None:
    """The last run agrees with what TAO left, until one of TAO's files is changed."""
    run = taorunner.Workspace.open(root / "dino").runs()[0]
    results = root / "dino" / "projects" / "dino" / "models" / "one" / "train"
    records = [json.loads(line) for line in (results / "status.json").read_text().splitlines()]
    assert tool.compared(run, records, results) == []
    (results / "model_epoch_999_step_09999.pth").touch()
    (results / "model_epoch_000_step_00000.pth").touch()
    kpi = {"val_mAP": "0.0123", "val_loss": float("nan"), "names": ["a"]}
    changed = [
        *records,
        {"epoch": 99, "kpi": kpi},
        {"message": "Train was interrupted"},
        {"status": "FAILURE"},
    ]
    (results / "status.json").write_text("".join(json.dumps(record) + "\n" for record in changed))
    assert tool.compared(run, changed, results) == [
        'status.json ends with "", the record says succeeded',
        "status.json has 13 epochs, the record 12",
        "checkpoints in one of both only: model_epoch_999_step_09999.pth",
        "status.json has val_loss nan, the record has no such value",
        "status.json has val_mAP 0.0123, the record has no such value",
    ]


@pytest.mark.parametrize("head", ["classification_pyt", "segformer", "rtdetr"])
def test_generated_data_become_a_project_without_errors(tmp_path: Path, tool: ModuleType, head: str) -> None:
    network = next(one for one in tool.NETWORKS if one.head == head)
    drive = tool.Drive(network, tmp_path, Path(sys.executable), "7.0.1", has_gpu=False)
    assert list(drive.steps([])) == []
    findings = taorunner.validate(taorunner.Workspace.open(tmp_path / head))
    assert [finding for finding in findings if finding.severity.value == "error"] == []
    command = (tmp_path / "commands" / head).read_text()
    assert command.endswith(f' -m {network.entry_point} "$@"\n')


def test_a_network_or_step_without_rows_is_refused() -> None:
    for words in (["python3", "vlad"], ["python3", "dino", "--only", "prune"]):
        done = subprocess.run(
            [sys.executable, str(TOOL), *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert f'there is no "{words[-1]}"' in done.stderr
