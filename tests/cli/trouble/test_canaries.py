"""Secrets through every command there is: found nowhere outside the container.

Canaries stand in every place that may hold a secret. While each command runs, the command lines of all processes and the
engine's words about every container are looked at; afterwards what was printed, and every file that was left.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
from command_line import CALLER, Cli, Done
from ngc_server import FakeNgc

from taorunner.cli.fast.completion import TABLE

SPEC = """\
results_dir: $results_dir
train: {num_epochs: 1, checkpoint_interval: 1, validation_interval: 1}
dataset: {train_data_sources: [{image_dir: $dataset_raw}]}
"""
CANARIES = {
    name: f"canary-{name}-6b1d"
    for name in ("literal", "file", "env", "token", "mounts", "ngc", "login", "old")
}
ENV = {
    "MY_TAO_KEY": CANARIES["env"],
    "OLD_KEY": CANARIES["old"],
    "NGC_API_KEY": CANARIES["ngc"],
    "SOME_TOKEN": CANARIES["token"],
}
EVERYBODY = ["literal", "file", "env", "old"]
FORMS = {
    **CANARIES,
    "login in base64": base64.b64encode(f"somebody:{CANARIES['login']}".encode()).decode(),
    "ngc in base64": base64.b64encode(f"$oauthtoken:{CANARIES['ngc']}".encode()).decode(),
}


class Watch:
    """Looks again and again at all processes and containers that were not there before, and remembers each canary it saw."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._over = threading.Event()
        self._ours = Path("/proc/self/ns/pid").readlink()
        self._before = {name for name in os.listdir("/proc") if name.isdigit()}
        self.outside: set[tuple[str, str]] = set()  # which canary, in which command line
        self.inside: set[tuple[str, str]] = set()
        self.in_words_of_the_engine: set[str] = set()
        self.containers_seen = 0
        self._threads = [threading.Thread(target=target) for target in (self._processes, self._containers)]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _processes(self) -> None:
        while not self._over.wait(0.02):
            for name in os.listdir("/proc"):
                if not name.isdigit() or name in self._before:
                    continue
                process = Path("/proc", name)
                try:
                    line = (process / "cmdline").read_bytes()
                    if b"canary-" in line:
                        is_ours = (process / "ns/pid").readlink() == self._ours
                        text = line.replace(b"\0", b" ").decode(errors="replace")
                        (self.outside if is_ours else self.inside).update(
                            (name, text) for name in canaries_in(text)
                        )
                except OSError:
                    continue

    def _containers(self) -> None:
        """Over the engine's interface: two programs ten times a second would be most of what this test does."""
        with contextlib.closing(docker.APIClient(self._engine.url)) as client:
            before = {one["Id"] for one in client.containers(all=True)}  # of tests beside this one
            while not self._over.wait(0.1):
                for container in client.containers(all=True):
                    if container["Id"] in before:
                        continue
                    with contextlib.suppress(docker.errors.NotFound):
                        inspected = client.inspect_container(container["Id"])
                        self.containers_seen += 1
                        self.in_words_of_the_engine |= canaries_in(json.dumps(inspected))


def canaries_in(text: str) -> set[str]:
    return {name for name, form in FORMS.items() if form in text}


@pytest.fixture
def workspace(
    workspace_factory: Callable[..., Path], docker_cli: Cli, tao_image: Callable[..., str], own_gpus: range
) -> Iterator[Path]:
    key = docker_cli.home / "key"
    key.write_text(CANARIES["file"] + "\n")
    key.chmod(0o600)
    image = tao_image("pyt_7")
    dino = {
        "head": "dino",
        "dataset": "coco",
        "image": image,
        "release": "7.0.1",
        "gpu_indices": [own_gpus[0]],
    }
    weights = "pretrained_object_detection/pretrained_object_detection_vresnet18/resnet_18.hdf5"
    old = {
        "head": "dssd",
        "backbone": "resnet18",
        "repository": "pretrained_object_detection",
        "dataset": "coco",
        "image": tao_image("tf1"),
        "release": "5.0.0",
        "gpu_indices": [own_gpus[1]],
    }
    root = workspace_factory(
        {
            "experiments": {
                "literal": {
                    **dino,
                    "model_key": CANARIES["literal"],
                    "env": {"WANDB_TOKEN": CANARIES["token"]},
                },
                "file": {**dino, "model_key": f"file:{key}"},
                "env": {**dino, "model_key": "env:MY_TAO_KEY"},
                "old": {**old, "model_key": "env:OLD_KEY"},
            },
            "sweeps": {"lr": {"base": "literal", "space": {"train.num_epochs": {"choice": [1, 2]}}}},
        },
        specs={
            **{f"{name}/train.yaml": SPEC for name in ("literal", "file", "env")},
            "old/train.txt": 'dssd_config { arch: "resnet" nlayers: 18 }\ntraining_config { num_epochs: 1 checkpoint_interval: 1 }\n',
        },
        data={"coco/annotations.json": "{}"},
        repositories={weights: "w"},
    )
    mounts = {
        "Mounts": [
            {"source": "projects", "destination": "/workspace/projects"},
            {"source": "repositories", "destination": "/workspace/repositories"},
        ],
        "Envs": [{"variable": "CLEARML_API_SECRET_KEY", "value": CANARIES["mounts"]}],
    }
    (root / ".tao_mounts.json").write_text(json.dumps(mounts))
    login = base64.b64encode(f"somebody:{CANARIES['login']}".encode()).decode()
    docker = docker_cli.home / ".docker"
    docker.mkdir()
    (docker / "config.json").write_text(
        json.dumps({"auths": {"127.0.0.1:1": {"auth": login}, "nvcr.io": {"auth": login}}})
    )
    (root / "tree").mkdir()
    (root / "tree/Dockerfile").write_text(f"FROM {image}\nARG SOME_ARG\n")
    for path in [docker_cli.home, root]:
        for one in [path, *path.rglob("*")]:
            if docker_cli.prefix:
                os.chown(one, CALLER, CALLER)
    yield root


def every_command(root: Path) -> dict[str, list[list[str]]]:
    """Each command of the program, right and wrong, with what it needs of those before it."""
    return {
        "validate": [[], ["--json"], ["--strict"]],
        "schema": [[]],
        "projects": [[]],
        "networks show": [["dino"]],
        "docs": [[], ["sweeps"]],
        "explain": [[], ["unknown-key"], ["unknown-kye"]],
        "networks sync": [["no/such:image"]],
        "init-project": [["new", "--head", "dino"], ["moved", "--from-launcher", "projects/example_01/specs/old"]],
        "add": [["copied", "--like", "literal"], ["boxes", "--head", "dino"]],
        "specs show": [["literal", "train"], ["literal", "train", "--json"]],
        "specs diff": [["literal", "file"], ["literal", "old"]],
        "specs refresh": [["literal"], ["literal", "--json"]],
        "specs explain": [["train.num_epochs", "-e", "literal"], ["encryption_key", "-e", "literal"]],
        "doctor": [["--offline"], ["--json"]],
        "image ls": [[], ["--json"]],
        "image pull": [["127.0.0.1:1/no/such:image"]],
        "image lock": [[], ["--check"]],
        "image build": [["tree", "-t", "canary:1", "--build-arg", "SOME_ARG=plain"],
                        ["tree", "-t", "canary:1", "--json"]],
        "image test": [["canary:1", "--", "true"]],
        "image push": [["canary:1", "--repository", "127.0.0.1:1/canary/pushed"]],
        "image release": [["tree"]],
        "shell": [["-e", "literal", "--no-tty", "--", "true"], ["-e", "literal", "--dry-run"],
                  ["-e", "literal", "--env", "SOME_TOKEN", "--dry-run", "--json"]],
        "train": [[*EVERYBODY, "--dry-run"], [*EVERYBODY, "--dry-run", "--json"], EVERYBODY,
                  ["literal", "--overwrite", "--set", "train.nope=1"], ["env", "--overwrite", "--", "--nope"]],
        "convert": [["literal"]],
        "evaluate": [["literal"], ["old", "--dry-run"]],
        "prune": [["old", "--dry-run"]],
        "export": [["literal"], ["old", "--dry-run"]],
        "inference": [["literal"]],
        "run": [["gen_trt_engine", "literal", "--dry-run"]],
        "resume": [["literal"]],
        "ps": [[], ["--json"]],
        "runs list": [[], ["--json"]],
        "runs show": [["RUN"], ["RUN", "--json"]],
        "logs": [["RUN"]],
        "attach": [["RUN", "--json"]],
        "stop": [["RUN"], ["--all"]],
        "runs mark-lost": [["RUN"]],
        "runs rm": [["no-such-run"]],
        "runs prune": [["--keep", "100", "--yes"]],
        "runs diff": [["literal", "env", "--all"], ["literal", "file", "--all", "--json"]],
        "runs compare": [["--all"], ["--csv"], ["--json"]],
        "runs best": [["literal"]],
        "runs lineage": [["literal"], ["literal", "--json"]],
        "rerun": [["literal", "--check"], ["literal", "--check", "--json"], ["literal", "--plain"], ["env", "--json"]],
        "runs restore": [["literal"]],
        "report": [[], ["literal", "-o", "report.html"]],
        "bundle": [["literal"], ["literal", "--json"]],
        "track sync": [["literal", "--to", "mlflow"]], "track status": [[], ["--json"]],
        "tensorboard": [["nobody"]],
        "sweep run": [["lr", "--dry-run"], ["lr", "--dry-run", "--json"], ["nope"]],
        "sweep show": [[], ["lr"]], "sweep resume": [["lr"]], "sweep stop": [["lr"]], "sweep best": [["lr"]],
        "sweep rm": [["lr"]], "sweep report": [["lr"]], "sweep suggest": [["literal"], ["nope"]],
        "pretrained list": [["--offline"]],
        "pretrained pull": [["-p", "example_01"], ["nvidia/tao/pretrained_object_detection:resnet18"]],
        "clusters show": [[]], "clusters check": [["nowhere"]], "clusters sync": [["nowhere"]],
        "dataset convert": [["coco", "--to", "kitti", "-o", "out"]],
        "dataset check": [["coco"], ["coco", "--json"]],
        "dataset split": [["coco", "-o", "split"]],
        "dataset resize": [["coco", "--size", "64x64", "-o", "small"]],
        "dataset stats": [["coco"]],
        "dataset evaluate": [["coco", "--truth", "coco"]],
        "quickstart": [["--images", "none"]],
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_command_shows_or_keeps_a_secret(docker_cli: Cli, workspace: Path, engine: Any) -> None:
    commands = every_command(workspace)
    assert set(commands) == set(TABLE)
    sources = {path for path in workspace.rglob("*") if path.is_file()}
    sources |= {docker_cli.home / "key", docker_cli.home / ".docker/config.json"}
    run = ""
    with Watch(engine) as watch, FakeNgc({}) as ngc:
        for command, lines in commands.items():
            for words in lines:
                words = [run if word == "RUN" else word for word in words]
                done: Done = docker_cli(
                    *command.replace(" show", "" if command == "networks show" else " show").split(), *words,
                    cwd=workspace, env={**ENV, **ngc.environ, "TAORUNNER_PROJECT": "example_01"}, timeout_s=120,
                )  # fmt: skip
                assert "Traceback" not in done.err and done.code != 70, (command, words, done)
                assert canaries_in(done.out + done.err) == set(), (command, words, done)
                if words == EVERYBODY:
                    assert done.code == 0, done.out + done.err
            if command == "train":
                runs = sorted((workspace / ".taorunner/runs").iterdir())
                run = next(path.name for path in runs if "literal" in (path / "record.json").read_text())
    assert watch.containers_seen > 0
    assert watch.outside == set()
    assert {name for name, _ in watch.inside} <= {"old"}, (
        "TF1 takes its key as an argument, no other key is in a command line"
    )
    assert watch.in_words_of_the_engine == set()

    results = workspace / "projects/example_01/models"
    assert CANARIES["literal"] in (results / "literal/seen.json").read_text()  # it did arrive
    kept = [path for place in (workspace, docker_cli.home) for path in place.rglob("*") if path.is_file()]
    left = {
        str(path): found
        for path in kept
        if path not in sources
        and results not in path.parents
        and (found := canaries_in(path.read_text("utf-8", "replace")))
    }
    assert left == {}
    held = [
        path for path in kept if results in path.parents and canaries_in(path.read_text("utf-8", "replace"))
    ]
    reports = "".join(path.read_text() for path in workspace.glob(".taorunner/runs/*/events.jsonl"))
    assert [path for path in held if path.stat().st_mode & 0o077] == []
    assert [
        path for path in held if f"{path.parent.name}/{path.name}" not in reports and path.name not in reports
    ] == []
    assert reports.count('"code": "key-in-process-list"') == 1, "the one run of TF1 says it, once"
    images = engine.docker("image", "ls", "-q").stdout.split()
    assert canaries_in(engine.docker("image", "inspect", *images).stdout) == set()
