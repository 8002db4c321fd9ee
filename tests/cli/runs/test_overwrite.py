"""``--overwrite`` and ``--checkpoint`` where the start is refused: earlier results stay, and the exit code says whose fault it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CALLER, Cli

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
        (["--set", "train.no_such_key=1"], 2, "no_such_key"),
        (["--checkpoint", "nowhere.pth"], 2, "nowhere.pth"),
        (["--checkpoint", "/nowhere/weights.pth"], 2, "/nowhere/weights.pth"),
        (["--checkpoint", ""], 2, "names no checkpoint"),
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


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], "engine", 'no docker engine answers at "unix://{workspace}/no.sock"'),
        (["--backend", "local"], "machine", 'there is no command "dino" on PATH'),
    ],
)
def test_a_start_without_an_engine_leaves_no_run(
    words: list[str], code: str, said: str, cli: Cli, workspace: Path
) -> None:
    env = {"DOCKER_HOST": f"unix://{workspace}/no.sock"}
    message = said.format(workspace=workspace)
    for more in ([], ["--detach"], ["--then", "evaluate"]):
        done = cli("train", "e1", "e2", "--overwrite", *more, *words, cwd=workspace, env=env)
        lines = done.err.splitlines()
        assert (done.code, done.out) == (4, ""), done.err
        assert lines[0] == f"error: {message} [{code}]"
        assert lines[-1] == "nothing was started; the results of e1, e2 are where they were"
    as_json = cli("train", "e1", "--overwrite", "--json", *words, cwd=workspace, env=env)
    assert [(one["code"], one["message"]) for one in as_json.json] == [(code, message)]
    assert cli("runs", "list", "-q", cwd=workspace).out == ""
    assert not (workspace / ".taorunner/runs").exists()


def test_other_actions_refuse_a_checkpoint_that_they_would_not_read(cli: Cli, workspace: Path) -> None:
    done = cli("convert", "e1", "--checkpoint", "train/model_epoch_003_step_00016.pth", cwd=workspace)
    assert done.code == 2 and "dino convert reads no checkpoint" in done.err
    assert "leave --checkpoint out" in done.err


SPEC = "results_dir: $results_dir\ntrain:\n  num_epochs: 2\n  num_gpus: $num_gpus\n  gpu_ids: $gpu_ids\n"


@pytest.mark.engine
@pytest.mark.parametrize("trouble", ["the engine is down", "the image is missing", "the GPU is missing"])
def test_with_a_real_engine_the_results_stay_where_they_were(
    trouble: str, docker_cli: Cli, workspace_factory: Callable[..., Path], tao_image: Callable[..., str],
    fake_nvml: Callable[..., dict[str, str]], tmp_path: Path,
) -> None:  # fmt: skip
    image = tao_image("pyt_7")
    root = workspace_factory(
        {"experiments": {"e1": {**EXPERIMENT, "image": image, "gpus": 1, "gpu_indices": [0]}}},
        specs={"e1/train.yaml": SPEC}, data={"coco/annotations.json": "{}"},
    )  # fmt: skip
    socket = Path(f"/tmp/taor-{os.urandom(4).hex()}.sock")  # short enough for a socket, and ours to take away
    socket.symlink_to(str(docker_cli.env["DOCKER_HOST"]).removeprefix("unix://"))
    env = {"DOCKER_HOST": f"unix://{socket}", **fake_nvml(1)}
    if docker_cli.prefix:
        for path in [root, *root.rglob("*")]:
            os.chown(path, CALLER, CALLER)
    try:
        assert docker_cli("train", "e1", cwd=root, env=env).code == 0
        models = root / "projects/example_01/models"
        before = {path: path.lstat().st_mtime_ns for path in models.rglob("*")}
        words = ["train", "e1", "--overwrite"]
        if trouble == "the engine is down":
            socket.unlink()
        elif trouble == "the image is missing":
            words += ["--image", f"127.0.0.1:1/no/such:{os.urandom(4).hex()}"]
        else:
            words += ["--gpu-indices", "7"]
        done = docker_cli(*words, cwd=root, env=env)
    finally:
        socket.unlink(missing_ok=True)
    assert done.code in (4, 5), done
    assert "nothing was started; the results of e1 are where they were" in done.out + done.err, done
    assert {path: path.lstat().st_mtime_ns for path in models.rglob("*")} == before
    assert "[set-aside]" not in done.out
