"""``--env`` and ``--volume`` of the actions: as for ``shell``, and no secret in anything that is kept or shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli, wait_for

SPEC = "results_dir: $results_dir\ntrain:\n  num_epochs: 1\n"
SECRET = "s3cret-of-the-test"


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    return workspace_factory(
        "experiments:\n  e1: {head: dino, dataset: d, gpus: 0}\n",
        specs={"e1/train.yaml": SPEC},
        data={"d/": ""},
        files={"extra/images/": "", "extra/annotations.json": "{}", ".taorunner/": ""},
    )


def planned(cli: Cli, workspace: Path, *words: str, **env: str) -> dict[str, object]:
    done = cli("train", "e1", "--dry-run", "--json", *words, cwd=workspace, env=env)
    assert done.code == 0, done.err
    (one,) = done.json
    assert SECRET not in done.out + done.err
    found: dict[str, object] = one
    return found


def test_a_dry_run_shows_variables_and_mounts(cli: Cli, workspace: Path) -> None:
    words = (
        "--env",
        "A=b=c",
        "--env",
        "FROM_HERE",
        "--env",
        f"MY_TOKEN={SECRET}",
        "--volume",
        "extra:/extra:ro",
    )
    one = planned(cli, workspace, *words, FROM_HERE=SECRET)
    env = one["env"]
    assert isinstance(env, dict)
    assert {name: env[name] for name in ("A", "FROM_HERE", "MY_TOKEN")} == {
        "A": "b=c", "FROM_HERE": "***", "MY_TOKEN": "***",
    }  # fmt: skip
    mount = {"source": str(workspace / "extra"), "target": "/extra", "read_only": True}
    assert isinstance(one["mounts"], list) and one["mounts"].count(mount) == 1
    assert f"--mount type=bind,source={workspace}/extra,target=/extra" in str(one["docker_run"])


def test_a_volume_of_the_projects_folder_is_written_as_asked_for(cli: Cli, workspace: Path) -> None:
    one = planned(cli, workspace, "--volume", "projects:/all")
    assert isinstance(one["mounts"], list)
    by_target = {mount["target"]: mount for mount in one["mounts"]}
    assert by_target["/all"]["read_only"] is False
    assert by_target["/workspace/projects"]["read_only"] is True
    hidden = [mount for mount in one["mounts"] if mount["source"].endswith("/hidden")]
    assert not hidden  # .taorunner is beside projects/
    (whole,) = planned(cli, workspace, "--volume", ".:/whole")["argv"][:1]  # type: ignore[index]
    assert whole == "dino"


def test_the_workspace_as_a_volume_hides_its_records(cli: Cli, workspace: Path) -> None:
    mounts = planned(cli, workspace, "--volume", ".:/whole")["mounts"]
    assert isinstance(mounts, list)
    covered = {mount["target"] for mount in mounts if mount["read_only"]}
    assert {"/whole/.taorunner", "/whole/.tao_inside"} <= covered


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--volume", "nowhere:/x"], '--volume "nowhere:/x": the source "'),
        (["--volume", "extra"], '--volume "extra": not SOURCE:DESTINATION'),
        (["--volume", "extra:x"], 'the destination "x" is not an absolute path'),
        (["--volume", "extra:/"], 'the destination "/" would hide the whole container'),
        (["--volume", "extra:/x:rx"], '"rx" is not a mount option'),
        (["--volume", "extra:/workspace/projects"], 'two mounts at "/workspace/projects"'),
        (["--volume", "extra:/x", "--volume", "projects:/x"], 'two mounts at "/x"'),
        (["--volume", "extra:/taorunner/run"], 'two mounts at "/taorunner/run"'),
        (["--volume", ".taorunner:/x"], "is part of .taorunner, which no container may see"),
        (["--env", "1X=2"], '--env "1X": "1X" is not a name of a variable'),
        (["--env", "NOT_SET_HERE"], '--env "NOT_SET_HERE": "NOT_SET_HERE" is not set here'),
        (["--env", f"A B={SECRET}"], '--env "A B": "A B" is not a name of a variable'),
    ],
)
def test_a_wrong_word_is_an_error_of_the_command_line(
    words: list[str], said: str, cli: Cli, workspace: Path
) -> None:
    done = cli("train", "e1", *words, cwd=workspace)
    assert said in done.err, done.err
    assert (done.code, SECRET in done.err) == (3 if "state" in done.err else 2, False)
    assert not list((workspace / ".taorunner").glob("runs/*"))


def test_paths_below_a_volume_count_as_mounted(cli: Cli, workspace: Path) -> None:
    spec = workspace / "projects/example_01/specs/e1/train.yaml"
    spec.write_text(
        SPEC + "dataset:\n  train_data_sources:\n"
        "    - {image_dir: /extra/images, json_file: /extra/annotations.json}\n"
    )
    refused = cli("train", "e1", "--dry-run", cwd=workspace)
    assert refused.code == 3 and "not-mounted" in refused.err
    found = cli("train", "e1", "--dry-run", "--volume", "extra:/extra:ro", cwd=workspace)
    assert "not-mounted" not in found.err
    missing = cli("train", "e1", "--dry-run", "--volume", "extra/images:/extra:ro", cwd=workspace)
    assert "/extra/images" in missing.err and missing.code == 3


def test_hidden_gpus_of_the_command_line_are_reported(cli: Cli, workspace: Path) -> None:
    done = cli("train", "e1", "--gpus", "2", "--env", "CUDA_VISIBLE_DEVICES=0", "--dry-run", cwd=workspace)
    assert done.code == 2 and 'CUDA_VISIBLE_DEVICES is "0"' in done.err


def test_a_run_on_this_host_gets_its_variables_and_no_record_has_a_secret(
    cli: Cli, workspace: Path, tao_commands: Callable[..., dict[str, str]]
) -> None:
    env = {**tao_commands("pyt_7"), "FAKE_NOTE": SECRET}
    words = ("--backend", "local", "--env", "FAKE_NOTE", "--env", f"MY_KEY={SECRET}", "--env", "FAKE_STEPS=3")
    started = cli("train", "e1", *words, "--detach", cwd=workspace, env=env)
    assert started.code == 0, started.err
    wait_for(lambda: cli("ps", "--json", cwd=workspace).json == [])
    (run,) = (workspace / ".taorunner/runs").iterdir()
    assert json.loads((run / "record.json").read_text())["state"] == "SUCCEEDED"
    assert json.loads((run / "plan.json").read_text())["env"]["FAKE_STEPS"] == "3"
    for path in (one for one in (workspace / ".taorunner").rglob("*") if one.is_file()):
        assert SECRET.encode() not in path.read_bytes(), path


def test_a_volume_has_no_meaning_on_this_host(cli: Cli, workspace: Path) -> None:
    done = cli("train", "e1", "--backend", "local", "--volume", "extra:/extra", cwd=workspace)
    assert done.code == 2 and '--volume has no effect on "e1"' in done.err
