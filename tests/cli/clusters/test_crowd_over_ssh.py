"""Two people start batch after batch on one other host. What its engine saw says whether a GPU was ever given twice."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command_line import Cli, wait_for
from launch_workspaces import good_workspace
from remote_hosts import ALIAS, remote_host
from ssh_host import is_installed

import rig

BATCHES = int(os.environ.get("TAORUNNER_CROWD_BATCHES", "6"))
"""Of both together; more by hand."""
GPUS = 2

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(), reason="openssh-server is not installed"),
]


class Use(NamedTuple):
    gpu: str
    container: str
    began: int
    ended: int


def test_two_people_with_many_batches_never_have_the_same_gpu(
    cli: Cli, tmp_path: Path, engine: rig.Engine, tao_image: Callable[..., str]
) -> None:
    with remote_host(tmp_path, engine.url, gpus=GPUS) as host, seen_by(engine, tmp_path / "seen") as uses:
        image = tao_image("pyt_7")
        roots = [person(tmp_path, name, image, BATCHES // 2) for name in ("ann", "bob")]
        for root in roots:
            done = cli("clusters", "sync", "box", "p", "--yes", cwd=root, env=host.environ)
            assert done.code == 0, done.err

        def started(batch: tuple[Path, str]) -> int:
            root, name = batch
            words = ("train", name, "--cluster", "box", "--epochs", "1", "--env", "FAKE_EPOCH_S=0.2", "-d")
            return cli(*words, cwd=root, env=host.environ, timeout_s=300).code

        batches = [(root, f"e{number}") for number in range(1, BATCHES // 2 + 1) for root in roots]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(started, batches)) == [0] * len(batches)

        def states() -> list[str]:
            lists = [cli("runs", "list", "--json", cwd=root, env=host.environ).json for root in roots]
            return [str(run["state"]) for runs in lists for run in runs]

        wait_for(lambda: not {"QUEUED", "STARTING", "WAITING", "RUNNING"} & set(states()), 60.0 * BATCHES)
        assert states() == ["SUCCEEDED"] * len(batches)
        wait_for(lambda: len({use.container for use in uses(roots)}) == len(batches))
        found = uses(roots)
    assert twice(found) == []
    assert len({use.gpu for use in found}) == GPUS


def person(folder: Path, name: str, image: str, batches: int) -> Path:
    """A workspace whose experiments take one GPU or two, and its place on the host."""
    root = good_workspace(folder / name, "dino")
    file = root / "projects/p/experiments.yml"
    written: dict[str, Any] = json.loads(file.read_text())
    written["experiments"]["e1"] |= {"image": image, "gpus": 1}
    for number in range(2, batches + 1):
        written["experiments"][f"e{number}"] = {"extends": "e1", "gpus": 1 + number % GPUS}
        specs = root / "projects/p/specs"
        (specs / f"e{number}").symlink_to(specs / "e1")
    file.write_text(json.dumps(written))
    box = {"backend": "docker", "host": ALIAS, "workspace": str(folder / f"far side of {name}")}
    (root / "clusters.yml").write_text(json.dumps({"clusters": {"box": box}}))
    return root


@contextmanager
def seen_by(engine: rig.Engine, file: Path) -> Iterator[Callable[[Sequence[Path]], list[Use]]]:
    """What the engine itself reports of containers of these workspaces that have GPUs, from now on."""
    words = ["docker", "events", "--filter", "type=container", "--filter", "event=start", "--filter", "event=die",
             "--filter", "label=com.taorunner.gpus", "--format", "{{json .}}"]  # fmt: skip
    with (
        file.open("w") as out,
        subprocess.Popen(words, env={**os.environ, **engine.environment()}, stdout=out) as watcher,
    ):
        try:
            yield lambda roots: uses_in(file, set(map(str, roots)))
        finally:
            watcher.terminate()


def uses_in(file: Path, workspaces: set[str]) -> list[Use]:
    began: dict[str, int] = {}
    found = []
    for line in file.read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            break  # is being written
        event = json.loads(line)
        labels = event["Actor"]["Attributes"]
        if labels["com.taorunner.workspace"] not in workspaces:
            continue
        container, at = event["Actor"]["ID"], event["timeNano"]
        if event["Action"] == "start":
            began[container] = at
            continue
        gpus = labels["com.taorunner.gpus"].split(",")
        found += [Use(gpu, container, began[container], at) for gpu in gpus]
    return found


def twice(uses: list[Use]) -> list[tuple[Use, Use]]:
    ordered = sorted(uses, key=lambda use: (use.gpu, use.began))
    pairs = itertools.pairwise(ordered)
    return [(one, other) for one, other in pairs if one.gpu == other.gpu and other.began < one.ended]
