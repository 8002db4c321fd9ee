"""Patterns, ``PROJECT/EXPERIMENT`` and ``--all`` in the commands that take names of experiments."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli, wait_for

SPEC = "train:\n  num_epochs: 2\n"
EXPERIMENT = "{head: dino, dataset: d, backend: local, gpus: 0, env: {FAKE_EPOCH_S: '0.5', FAKE_STEPS: '4'}}"


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    """Project ``parts`` with dino_01, dino_02 (no spec) and other; project ``yard`` with dino_01."""
    specs = {"dino_01/train.yaml": SPEC, "other/train.yaml": SPEC}
    names = ("dino_01", "dino_02", "other")
    root = workspace_factory(
        "experiments:\n" + "".join(f"  {name}: {EXPERIMENT}\n" for name in names),
        project="parts", specs=specs, data={"d/": ""},
    )  # fmt: skip
    workspace_factory(
        f"experiments:\n  dino_01: {EXPERIMENT}\n", project="yard", specs=specs, data={"d/": ""}
    )
    return root


def test_runs_of_two_projects_in_one_batch(
    cli: Cli, workspace: Path, tao_commands: Callable[..., dict[str, str]]
) -> None:
    env = tao_commands("pyt_7")
    words = ("*/*_01", "parts/other", "yard/dino_01", "--env", "FAKE_EPOCH_S=20", "--detach")
    started = cli("train", *words, cwd=workspace, env=env)
    assert started.code == 0, started.err
    runs = {record["id"]: record for record in cli("ps", "--json", cwd=workspace).json}
    named = [f"{runs[run]['project']}/{runs[run]['experiment']}" for run in started.out.split()]
    assert named == ["parts/dino_01", "yard/dino_01", "parts/other"]
    assert len(list((workspace / ".taorunner/batches").iterdir())) == 1
    refused = cli("train", "yard/*", cwd=workspace, env=env)
    assert refused.code == 6 and 'is training "dino_01"' in refused.err
    stopped = cli("stop", "*/dino_*", cwd=workspace)
    assert stopped.code == 0 and stopped.out.count("  stopped  ") == 2, stopped.out + stopped.err
    wait_for(lambda: cli("logs", "parts/other", cwd=workspace).out != "")
    assert cli("stop", "parts/*", cwd=workspace).out.count("  stopped  ") == 1
    several = cli("logs", "*/dino_*", cwd=workspace)
    assert several.code == 0, several.err
    assert all(
        re.match(r"dino_01 \w{6} \| ", line) for line in several.out.splitlines()
    )  # of each that printed
    one = cli("logs", "oth*", cwd=workspace)
    assert one.code == 0 and one.out == cli("logs", "parts/other", cwd=workspace).out != ""
    nothing = cli("stop", "*/dino_*", cwd=workspace)
    assert nothing.code == 6 and 'no run that has not ended matches "*/dino_*"' in nothing.err


def test_all_says_what_is_left_out(cli: Cli, workspace: Path) -> None:
    done = cli("-p", "parts", "train", "--all", "--dry-run", "--json", cwd=workspace)
    assert (done.code, done.err.splitlines()[0]) == (0, "left out: dino_02 (no spec train.yaml)")
    assert [one["experiment"] for one in done.json] == ["dino_01", "other"]
    both = cli("-p", "parts", "train", "--all", "other", cwd=workspace)
    assert (both.code, '--all cannot be combined with "other"' in both.err) == (2, True)
    other = cli("-p", "parts", "train", "yard/dino_01", cwd=workspace)
    assert (other.code, 'and -p "parts" name different projects' in other.err) == (2, True)


def test_all_leaves_out_what_is_being_trained_and_what_cannot_be_resumed(
    cli: Cli, workspace: Path, tao_commands: Callable[..., dict[str, str]]
) -> None:
    env = tao_commands("pyt_7")
    none = cli("-p", "parts", "resume", "--all", cwd=workspace, env=env)
    assert none.code == 2 and 'no experiment of "parts" can be taken for resume' in none.err
    assert "dino_01: no checkpoint to resume from" in none.err
    started = cli("train", "parts/dino_01", "--env", "FAKE_EPOCH_S=20", "--detach", cwd=workspace, env=env)
    (run,) = started.out.split()
    done = cli("-p", "parts", "train", "--all", "--plain", cwd=workspace, env=env)
    assert done.code == 0, done.err
    assert f"left out: dino_01 (run {run} has not ended)" in done.err
    assert cli("stop", run, cwd=workspace).code == 0
    again = cli("-p", "parts", "resume", "--all", cwd=workspace, env=env)
    assert again.code == 2, again.err
    assert "other: nothing is left to train" in again.err


def test_a_dry_run_of_one_experiment_named_in_several_forms(cli: Cli, workspace: Path) -> None:
    words = ("parts/dino_01", "dino_01", "dino_0[1]")
    done = cli("train", *words, "-p", "parts", "--dry-run", "--json", cwd=workspace)
    assert (done.code, len(done.json)) == (0, 1), done.err


def test_validate_takes_patterns_of_projects(cli: Cli, workspace: Path) -> None:
    (workspace / "projects/yard/data/d").rmdir()
    done = cli("validate", "y*", "--json", cwd=workspace)
    assert done.code == 3 and all("/yard/" in one["file"] for one in done.json)
    assert cli("validate", "z*", cwd=workspace).code == 2
