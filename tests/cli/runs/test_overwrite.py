"""``--overwrite`` and ``--checkpoint`` where the start is refused: earlier results stay, and the exit code says whose fault it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

EXPERIMENT = {"head": "dino", "dataset": "coco", "release": "7.0.1", "gpus": 0}
RESULTS = {
    "e1/train/model_epoch_003_step_00016.pth": "weights",
    "e1/dataset_convert/train-00000": "records",
    "e2/train/model_epoch_003_step_00016.pth": "weights of e2",
}


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    return workspace_factory(
        {"experiments": {"e1": EXPERIMENT, "e2": EXPERIMENT}},
        specs={f"{name}/train.yaml": "train:\n  num_epochs: 2\n" for name in ("e1", "e2")},
        data={"coco/annotations.json": "{}"},
        models=RESULTS,
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 4, "no.sock"),  # no engine
        (["--backend", "local"], 4, "dino"),  # no such program
        (["--set", "train.no_such_key=1"], 3, "no_such_key"),
        (["--checkpoint", "nowhere.pth"], 3, "nowhere.pth"),
        (["--checkpoint", "/nowhere/weights.pth"], 3, "/nowhere/weights.pth"),
        (["--checkpoint", ""], 3, "names no checkpoint"),
        (["--resume", "--checkpoint", "nowhere.pth"], 2, "--resume"),
        (["--checkpoint", "a.pth", "--release", "9.9"], 2, "9.9"),
    ],
)
def test_nothing_is_moved_when_the_start_is_refused(
    words: list[str], code: int, said: str, cli: Cli, workspace: Path
) -> None:
    asked = ["train", "e1", "e2", *words, *([] if "--resume" in words else ["--overwrite"])]
    done = cli(*asked, cwd=workspace, env={"DOCKER_HOST": f"unix://{workspace}/no.sock"})
    assert (done.code, "Traceback" in done.err) == (code, False), done.out + done.err
    assert said in done.out + done.err
    models = workspace / "projects/example_01/models"
    assert sorted(path.name for path in models.iterdir()) == ["e1", "e2"]
    assert {name: (models / name).read_text() for name in RESULTS} == RESULTS
    assert "set aside" not in done.out


def test_other_actions_refuse_a_checkpoint_that_they_would_not_read(cli: Cli, workspace: Path) -> None:
    done = cli("convert", "e1", "--checkpoint", "train/model_epoch_003_step_00016.pth", cwd=workspace)
    assert done.code == 3 and "dino convert reads no checkpoint" in done.err
    assert "leave --checkpoint out" in done.err
