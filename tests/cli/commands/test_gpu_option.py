"""``--gpus N|all`` means the same in every command that has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

import taorunner
from taorunner.cli.action_options import gpu_count
from taorunner.errors import UsageError

COMMANDS = {
    "train": ("-p", "p", "train", "e", "--dry-run"),
    "resume": ("-p", "p", "resume", "e", "--dry-run"),
    "run": ("-p", "p", "run", "prune", "e", "--dry-run"),
    "shell": ("shell", "--image", "x:1", "--dry-run"),
    "image test": ("image", "test", "x:1"),
}


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("none", 0), ("2", 2), ("64", 64), ("all", "all"), (None, None)]
)
def test_a_number_or_all(text: str | None, count: object) -> None:
    assert gpu_count(text) == count


@pytest.mark.parametrize("text", ["", "65", "-1", "two", "1.5", "All", "auto", "0,1", "GPU-3f2a"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        gpu_count(text)
    assert caught.value.message == f'--gpus cannot be "{text}": it takes a number from 0 to 64, or all'


@pytest.mark.parametrize("text", ["0,1", "GPU-3f2a", "GPU-3f2a,GPU-99", "MIG-GPU-x/1/0"])
def test_ids_are_led_to_their_own_option(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        gpu_count(text)
    assert caught.value.hint == f"ids go with --gpu-indices {text}"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_the_same(command: str, cli: Cli, tmp_path: Path) -> None:
    taorunner.Workspace.create_example(tmp_path / "ws", images=2, held_out=1)
    words = COMMANDS[command]
    more = ("--", "true") if command == "image test" else ()
    done = cli(*words, "--gpus", "0,1", *more, cwd=tmp_path / "ws")
    assert (done.code, done.err) == (
        2,
        'error: --gpus cannot be "0,1": it takes a number from 0 to 64, or all\nhint: ids go with --gpu-indices 0,1\n',
    )


def test_more_gpus_than_there_are_are_refused_by_number(
    cli: Cli, workspace_factory: Callable[..., Path], fake_nvml: Callable[..., dict[str, str]]
) -> None:
    root = workspace_factory(
        {"experiments": {"e1": {"head": "dino", "dataset": "coco", "image": "x:1", "release": "7.0.1"}}},
        specs={"e1/train.yaml": "results_dir: $results_dir\n"},
    )
    env = fake_nvml(2)
    for words in (("train", "e1", "--force", "--dry-run"), ("shell", "--image", "x:1", "--dry-run")):
        done = cli(*words, "--gpus", "3", cwd=root, env=env)
        assert done.code == 4 and "--gpus 3: this machine has 2 GPUs" in done.err, words
        assert "use --gpus 2, or --gpus all" in done.err
    for words in (("train", "e1", "--force", "--dry-run"), ("shell", "--image", "x:1", "--dry-run")):
        done = cli(*words, "--gpus", "all", cwd=root, env=fake_nvml(0))
        assert done.code == 4 and "--gpus all: " in done.err, words
    done = cli("shell", "--image", "x:1", "--gpus", "all", "--dry-run", "--json", cwd=root, env=env)
    assert done.json[0]["gpus"] == ["0", "1"]
    done = cli("shell", "--image", "x:1", "--gpus", "2", "--gpu-indices", "1", "--dry-run", cwd=root, env=env)
    assert done.code == 2 and "--gpus cannot be combined with --gpu-indices" in done.err
