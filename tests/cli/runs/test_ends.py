"""The end of a command: where the results are, and commands that work as they are printed."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from command_line import Cli, Done

from taorunner.api.example_workspace import make_example_workspace

EPOCHS = ("--set", "train.num_epochs=4", "--set", "train.checkpoint_interval=1")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_example_workspace(tmp_path / "w", images=24, held_out=4).root


def next_commands(done: Done) -> list[list[str]]:
    """The words of each ``next:`` line, without the program."""
    lines = done.out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("next: "))
    return [shlex.split(line[6:])[1:] for line in lines[start:]]


def test_every_next_command_of_the_way_works(cli: Cli, workspace: Path) -> None:
    models = workspace / "projects/shapes/models/tiny"
    converted = cli("convert", "tiny", cwd=workspace)
    (train,) = next_commands(converted)
    assert train == ["train", "tiny"]
    trained = cli(*train, *EPOCHS, "--keep-checkpoints", "last:1", cwd=workspace, timeout_s=120)
    assert trained.code == 0
    assert "results of tiny: projects/shapes/models/tiny/train" in trained.out
    assert "TAO counts from 0" in trained.out
    assert "removed model_epoch_" in trained.out
    left = sorted(path.name for path in (models / "train").glob("model_epoch_*"))
    assert 1 <= len(left) <= 2 and left[-1].startswith("model_epoch_003"), (
        "the newest, and the best if it is older"
    )
    evaluate, export = next_commands(trained)
    assert (evaluate[0], export[0]) == ("evaluate", "export")
    for words in (evaluate, export):
        done = cli(*words, cwd=workspace)
        assert done.code == 0, done
    assert "results of tiny: projects/shapes/models/tiny/export" in done.out and "  onnx  " in done.out
    (shown,) = cli("runs", "show", "tiny", "--json", cwd=workspace).json
    table = cli("runs", "list", "--action", "export", cwd=workspace).out
    assert ".onnx" in table.splitlines()[1], "what came out is in the column best"
    (model,) = (one for one in shown["outputs"] if one["kind"] == "onnx")
    assert shown["results"] == str(models / "export")
    assert model["sha256"] == hashlib.sha256(Path(model["path"]).read_bytes()).hexdigest()
    listed = cli("runs", "list", "--json", cwd=workspace).json
    training = next(one for one in listed if one["action"] == "train")
    assert [Path(one["path"]).name for one in training["checkpoints"]] == left
    page = cli("runs", "show", training["id"], cwd=workspace).out
    assert "  results    projects/shapes/models/tiny/train" in page.splitlines()
    again = cli("train", "tiny", "--overwrite", *EPOCHS, cwd=workspace, timeout_s=120)
    assert again.code == 0
    page = cli("runs", "show", training["id"], cwd=workspace).out
    assert "  results    set aside: projects/shapes/models/tiny.2" in page
    assert "  restore    taorunner runs restore tiny" in page.splitlines()
    assert "next:" not in page and "\n  best" not in page  # those would be of the newer run


def test_a_stopped_training_is_resumed_as_printed(cli: Cli, workspace: Path) -> None:
    assert cli("convert", "tiny", cwd=workspace).code == 0
    long = ("--set", "train.num_epochs=60", "--set", "train.checkpoint_interval=1")
    with cli.start("train", "tiny", *long, "--plain", cwd=workspace, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b"checkpoint " in line:
                break
        stopped = cli("stop", "tiny", cwd=workspace)
        rest = process.stdout.read().decode()
    command = "taorunner resume tiny"
    assert re.match(r"[0-9a-f]{6}  stopped  stopped on request\n", stopped.out)
    assert f"next: {command}" in stopped.out
    assert f"next: {command}" in rest and "results of tiny: projects/shapes/models/tiny/train" in rest
    again = cli(*shlex.split(command)[1:], "--dry-run", cwd=workspace)
    assert again.code == 0, again
    assert "train.num_epochs=60 train.checkpoint_interval=1" in again.out, "as the stopped run had them"
    assert "with --set train.num_epochs=60 --set train.checkpoint_interval=1" in again.err
    other = cli("resume", "tiny", "--epochs", "70", "--dry-run", cwd=workspace)
    assert "train.num_epochs=70" in other.out and "num_epochs=60" not in other.out
    past = cli("resume", "tiny", "--epochs", "1", "--stop-on-nan", cwd=workspace)
    assert (past.code, "nothing is left to train" in past.err) == (3, True)
    hint = next(line for line in past.err.splitlines() if line.startswith("  hint: "))
    words = shlex.split(hint)[2 : hint.split().index("trains")]
    assert cli(*words, "--dry-run", cwd=workspace).code == 0, words


def printed(done: Done, label: str) -> Sequence[str]:
    return [line for line in done.out.splitlines() if line.strip().startswith(label)]


def test_quiet_keeps_results_and_drops_next(cli: Cli, workspace: Path) -> None:
    done = cli("-q", "convert", "tiny", cwd=workspace)
    assert (done.code, printed(done, "next:")) == (0, [])


def test_after_add_the_next_step_converts_where_that_comes_first(cli: Cli, workspace: Path) -> None:
    added = cli("add", "other", "--like", "small", cwd=workspace)
    (words,) = next_commands(added)
    assert words == ["convert", "other", "--then", "train"]
    done = cli(*words, "--set", "train.num_epochs=1", "--set", "train.checkpoint_interval=1", cwd=workspace)
    assert done.code == 0, done


def test_the_log_of_a_run_that_never_started_is_not_silent(cli: Cli, workspace: Path) -> None:
    assert cli("convert", "tiny", cwd=workspace).code == 0
    records = sorted((workspace / "projects/shapes/data/tfrecords_tiny").glob("*"))
    for path in records:
        path.write_bytes(path.read_bytes()[:100])
    chain = cli("train", "tiny", "--then", "evaluate", "--force", cwd=workspace)
    assert chain.code == 1 and "next:" not in chain.out, chain
    (evaluate,) = cli("runs", "list", "--action", "evaluate", "-q", cwd=workspace).out.split()
    silent = cli("logs", evaluate, cwd=workspace)
    said = "tiny has no log, it never started (stopped: not started: train failed)\n"
    assert (silent.code, silent.out, silent.err) == (0, "", said)
