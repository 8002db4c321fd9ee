"""``--join``: from another terminal into a batch that is under way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli, wait_for

SPEC = "train:\n  num_epochs: 2\n"
EXPERIMENT = "{head: dino, dataset: d, backend: local, gpus: 0, env: {FAKE_EPOCH_S: '0.1', FAKE_STEPS: '2'}}"


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    """Two experiments of dino that TAO's stand-in trains on this host."""
    return workspace_factory(
        f"experiments:\n  first: {EXPERIMENT}\n  second: {EXPERIMENT}\n",
        specs={"first/train.yaml": SPEC, "second/train.yaml": SPEC},
        data={"d/": ""},
    )


def test_a_training_joins_a_batch_and_is_watched_to_its_end(
    cli: Cli, workspace: Path, tao_commands: Callable[..., dict[str, str]]
) -> None:
    env = tao_commands("pyt_7")
    first = cli("train", "first", "--env", "FAKE_GATE=1", "--detach", cwd=workspace, env=env)
    assert first.code == 0, first.err
    run = first.out.strip()
    joined = cli.start("train", "second", "--join", "first", "--json", cwd=workspace, env=env)
    state = workspace / ".taorunner"
    wait_for(lambda: len(list(state.glob("runs/*/record.json"))) == 2)
    (workspace / "projects/example_01/models/first/go").touch()
    out, err = joined.communicate(timeout=120)
    assert joined.returncode == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    (finished,) = (event["run"] for event in events if event["event"] == "RunFinished")
    assert "-second-train-" in finished
    wait_for(lambda: cli("ps", "--json", cwd=workspace).json == [])
    records = [json.loads(path.read_text()) for path in state.glob("runs/*/record.json")]
    assert {record["state"] for record in records} == {"SUCCEEDED"}
    assert len({record["batch"] for record in records}) == len(list((state / "batches").iterdir())) == 1
    late = cli("train", "second", "--join", run, "--overwrite", cwd=workspace, env=env)
    assert (late.code, late.err.count("has ended: it cannot be joined")) == (6, 1)


def test_the_batch_has_its_own_parallel(cli: Cli, workspace: Path) -> None:
    done = cli("train", "second", "--join", "first", "--parallel", "2", cwd=workspace)
    assert (done.code, "--join cannot be combined with --parallel" in done.err) == (2, True)
