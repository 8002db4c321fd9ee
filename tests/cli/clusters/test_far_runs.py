"""Runs on a real Slurm whose disk this machine does not see: over ssh only, as a shell sees them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clusters import Rootfs
from command_line import Cli, wait_for
from launch_workspaces import good_workspace
from slurm_rig import Cluster

ACTIONS = "evaluate:\n  num_gpus: $num_gpus\nexport:\n  gpu_id: 0\n"


@dataclass(frozen=True)
class Far:
    """``root`` is the workspace here, ``there`` what the cluster sees in its place."""

    root: Path
    there: Path
    environ: dict[str, str]
    login: str

    def write_clusters(self, **fakes: object) -> None:
        folder = self.environ["PATH"].split(os.pathsep)[1]
        env = {"TAO_FAKE_GENERATION": self.environ["TAO_FAKE_GENERATION"], "FAKE_GPUS": "1", **fakes}
        setup = [f"export PATH={folder}:$PATH"]
        dgx = {
            "backend": "slurm",
            "partition": "low",
            "host": self.login,
            "shared": False,
            "setup": setup,
            "env": env,
        }
        (self.root / "clusters.yml").write_text(json.dumps({"clusters": {"dgx": dgx}}))

    def files(self, folder: Path, *patterns: str) -> list[str]:
        found = [path for pattern in patterns for path in (folder / "projects/p/models").rglob(pattern)]
        return sorted(str(path.relative_to(folder)) for path in found)


@pytest.fixture
def far(
    cli: Cli, tmp_path: Path, slurm: Cluster, tao_commands: Callable[..., dict[str, str]]
) -> Iterator[Far]:
    root = good_workspace(tmp_path / "workspace", "dino")
    spec = root / "projects/p/specs/e1/train.yaml"
    spec.write_text(spec.read_text() + ACTIONS)
    commands = tao_commands("pyt_7")
    stubs = slurm.elsewhere["PATH"].partition(os.pathsep)[0]
    environ = {**commands, "PATH": f"{stubs}{os.pathsep}{commands['PATH']}"}
    found = Far(root, slurm.own_folder(root), environ, slurm.login)
    found.write_clusters()
    yield found
    cli("stop", "--all", cwd=root, env=environ)


def test_results_stay_there_and_all_actions_read_them(cli: Cli, far: Far) -> None:
    done = cli("clusters", "check", "dgx", cwd=far.root, env=far.environ)
    assert (done.code, "does not see" in done.out) == (0, False), done.out + done.err
    assert [path for path in far.there.rglob("*") if path.is_file()] == []
    words = ("train", "e1", "--cluster", "dgx")
    done = cli(*words, cwd=far.root, env=far.environ)
    missing = f'there is no "{far.root}/projects/p/data/parts/train/images" on "{far.login}"'
    assert (done.code, missing in done.out) == (5, True), done.out + done.err
    assert "hint: taorunner clusters sync dgx p copies it there" in done.out
    assert not (far.there / "projects").exists()
    done = cli("clusters", "sync", "dgx", "p", "--yes", cwd=far.root, env=far.environ)
    assert done.code == 0, done.err

    file = far.root / "projects/p/experiments.yml"
    body = json.loads(file.read_text())
    body["experiments"]["e1"]["model_key"] = "env:MY_TAO_KEY"
    file.write_text(json.dumps(body))
    done = cli(*words, cwd=far.root, env={**far.environ, "MY_TAO_KEY": "canary-key-1234"})
    assert done.code == 0, done.out + done.err
    events = cli("attach", "e1", "--json", cwd=far.root, env=far.environ).out.splitlines()
    found = [one["text"] for one in map(json.loads, events) if one.get("code") == "secret-in-results"]
    held = "train/experiment.yaml hold a secret of the run: only their owner may read them now (mode 0600)"
    assert found == [f"on {far.login}: seen.json, {held}"]
    (closed,) = (far.there / "projects/p/models").rglob("experiment.yaml")
    assert closed.stat().st_mode & 0o777 == 0o600
    body["experiments"]["e1"].pop("model_key")
    file.write_text(json.dumps(body))
    runs = cli("runs", "list", "--json", cwd=far.root, env=far.environ).json
    assert sorted((run["state"], run["epoch"], run["cluster"]) for run in runs) == [
        ("FAILED", None, "dgx"), ("SUCCEEDED", 2, "dgx"),
    ]  # fmt: skip
    checkpoints = far.files(far.there, "*.pth")
    assert len([name for name in checkpoints if "epoch" in name]) >= 2
    assert far.files(far.root, "*") == ["projects/p/models/e1"]
    assert f"results of e1: {far.login}:{far.root}/projects/p/models/e1" in done.out
    assert not list((far.there / ".taorunner/runs").iterdir())

    done = cli("evaluate", "e1", "--cluster", "dgx", cwd=far.root, env=far.environ)
    assert done.code == 0, done.out + done.err
    done = cli(*words, cwd=far.root, env=far.environ)
    assert (done.code, f"{far.login}:projects/p/models/e1 already holds 2 checkpoints" in done.err) == (
        3,
        True,
    ), done.err
    done = cli(*words, "--overwrite", "--then", "export", cwd=far.root, env=far.environ)
    assert done.code == 0, done.out + done.err
    (model,) = (far.there / "projects/p/models").rglob("*.onnx")
    runs = cli("runs", "list", "--json", cwd=far.root, env=far.environ).json
    (outputs,) = (one["outputs"] for one in runs if one["action"] == "export")
    digests = {one["path"].rpartition("/")[2]: one["sha256"] for one in outputs}
    assert digests[model.name] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert far.files(far.root, "*.pth", "*.onnx") == []

    done = cli("clusters", "sync", "dgx", "p", "--results", "--yes", cwd=far.root, env=far.environ)
    assert done.code == 0, done.err
    assert far.files(far.root, "*.pth", "*.onnx") == far.files(far.there, "*.pth", "*.onnx")


def test_a_training_is_stopped_resumed_and_followed(cli: Cli, far: Far) -> None:
    far.write_clusters(FAKE_EPOCH_S=1)
    cli("clusters", "sync", "dgx", "p", "--yes", cwd=far.root, env=far.environ)
    done = cli("train", "e1", "--cluster", "dgx", "--epochs", "25", "-d", cwd=far.root, env=far.environ)
    assert done.code == 0, done.err
    run = done.out.strip()

    def state() -> tuple[str, int]:
        (row,) = [
            one
            for one in cli("runs", "list", "--json", cwd=far.root, env=far.environ).json
            if one["id"] == run
        ]
        return row["state"], row["epoch"] or 0

    wait_for(lambda: state()[1] >= 2, 90)
    done = cli("stop", "e1", cwd=far.root, env=far.environ)
    assert done.code == 0, done.err
    assert state()[0] == "STOPPED"
    assert "Train results will be saved at" in cli("logs", "e1", cwd=far.root, env=far.environ).out
    far.write_clusters(FAKE_EPOCH_S=0)
    done = cli("resume", "e1", cwd=far.root, env=far.environ)
    assert (done.code, "resumes after epoch" in done.out + done.err) == (0, True), done.out + done.err


def test_a_container_trains_where_the_workspace_has_another_path(
    cli: Cli, tmp_path: Path, slurm: Cluster, rootfs: Callable[..., Rootfs]
) -> None:
    root, place = good_workspace(tmp_path / "workspace", "dino"), tmp_path / "of the cluster"
    for folder in (place, tmp_path / "images"):
        folder.mkdir()
    there = slurm.own_folder(place)
    (tmp_path / "images" / "nvcr.io-nvidia-tao-tao-toolkit+7.0.1-pyt").symlink_to(rootfs("pyt7").folder)
    container = {"runtime": "charliecloud", "images": str(tmp_path / "images")}
    dgx = {
        "backend": "slurm",
        "partition": "low",
        "host": slurm.login,
        "shared": False,
        "workspace": str(place),
    }
    (root / "clusters.yml").write_text(json.dumps({"clusters": {"dgx": {**dgx, "container": container}}}))
    done = cli("clusters", "sync", "dgx", "--yes", cwd=root, env=slurm.elsewhere)
    assert done.code == 0, done.err
    done = cli("train", "e1", "--cluster", "dgx", "--release", "7.0.1", cwd=root, env=slurm.elsewhere)
    assert done.code == 0, done.out + done.err
    assert f"results of e1: {slurm.login}:{place}/projects/p/models/e1" in done.out
    assert list((there / "projects/p/models/e1").rglob("*.pth"))
    assert list(place.iterdir()) == []
    assert not list((root / "projects/p/models").rglob("*.pth"))
