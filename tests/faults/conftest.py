"""A workspace whose runs print numbered lines, and a person at a command line with a real engine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, end_what_runs, wait_for

SPEC = """\
results_dir: $results_dir
train:
  num_gpus: $num_gpus
  gpu_ids: $gpu_ids
  num_epochs: 4
  validation_interval: 1
  checkpoint_interval: 1
dataset:
  train_data_sources:
    - image_dir: $dataset_raw/train
"""
EPOCHS, LINES = 4, 150
_NUMBERED = re.compile(r"step (\d+) of epoch (\d+)")


@dataclass(frozen=True)
class Place:
    """A workspace and what is in it; ``engine`` is where its containers are."""

    root: Path
    cli: Cli
    engine: Any

    def records(self) -> dict[str, dict[str, Any]]:
        """By experiment."""
        found = {}
        for path in sorted((self.root / ".taorunner" / "runs").glob("*/record.json")):
            body = json.loads(path.read_text())
            found[body["experiment"]] = {**body, "directory": path.parent}
        return found

    def states(self) -> dict[str, str]:
        return {name: body["state"] for name, body in self.records().items()}

    def open_batches(self) -> list[str]:
        return sorted(path.name for path in (self.root / ".taorunner" / "open").glob("*"))

    def containers(self) -> list[str]:
        """Names of this workspace's containers, finished ones too."""
        label = f"label=com.taorunner.workspace={self.root}"
        names: list[str] = self.engine.docker(
            "ps", "-a", "--format", "{{.Names}}", "--filter", label
        ).stdout.split()
        return names

    def goes_on(self, name: str) -> None:
        """Opens the gate at which a training with ``gate`` waits."""
        results = self.root / "projects/example_01/models" / name
        results.mkdir(parents=True, exist_ok=True)
        (results / "go").touch()

    def is_left_clean(self) -> None:
        """Waits until no batch is open, the last thing that a supervisor does: viewers see the end of a run before. By
        then no container is left."""
        wait_for(lambda: self.open_batches() == [])
        assert self.containers() == []

    def numbered(self, name: str) -> list[tuple[int, int]]:
        """(epoch, line) of each numbered line of the log, in its order."""
        text = (self.records()[name]["directory"] / "console.log").read_text()
        return [(int(epoch), int(line)) for line, epoch in _NUMBERED.findall(text)]

    def events(self, name: str, kind: str) -> list[dict[str, Any]]:
        lines = (self.records()[name]["directory"] / "events.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == kind]

    def checks_whole(self, name: str) -> None:
        """Each line once and in order, each epoch, metric and checkpoint reported once."""
        expected = [(epoch, line) for epoch in range(EPOCHS) for line in range(LINES)]
        assert self.numbered(name) == expected, name
        done = [event["epoch"] for event in self.events(name, "EpochProgress") if event["completed"]]
        assert done == list(range(1, EPOCHS + 1)), name
        reported = [
            (e["name"], e["epoch"]) for e in self.events(name, "MetricReported") if e["name"] == "val_mAP"
        ]
        assert sorted(reported) == [("val_mAP", epoch) for epoch in range(1, EPOCHS + 1)], name
        saved = [event["path"].rpartition("/")[2] for event in self.events(name, "CheckpointSaved")]
        assert sorted(saved) == sorted(set(saved)) and len(saved) == EPOCHS, name
        assert len(self.events(name, "RunFinished")) == 1, name


MakePlace = Callable[..., Place]


@pytest.fixture
def place(tmp_path: Path, workspace_factory: Callable[..., Path], own_gpus: range) -> Iterator[MakePlace]:
    """``place(engine, image, {"e1": {…}}, epoch_s=0.3)``: experiments of dino unless they say otherwise.

    ``epoch_s="3,0.1"``: the first epoch takes 3 s, each of the others 0.1 s. ``gate=1``: after the first epoch a
    training waits until it ``goes_on``. In containers GPUs have numbers of this test, GPU 0 is the first one.
    """
    home = tmp_path / "home"
    home.mkdir()
    made: list[Place] = []

    def make(
        engine: Any, image: str | None, experiments: Mapping[str, Mapping[str, Any]], epoch_s: float | str = 0.3,
        gate: int | None = None, env: Mapping[str, str] | None = None, specs: Mapping[str, str] | None = None, **folders: Any,
    ) -> Place:  # fmt: skip
        steered = {"FAKE_LINES": str(LINES), "FAKE_EPOCH_S": str(epoch_s), **(env or {})}
        if gate is not None:
            steered["FAKE_GATE"] = str(gate)
        plain = {
            "head": "dino",
            "dataset": "coco",
            **({} if image is None else {"image": image}),
            "release": "7.0.1",
            "gpus": 1,
            "env": steered,
        }
        bodies = {name: {**plain, **body} for name, body in experiments.items()}
        if image is not None:
            for body in bodies.values():
                body["gpu_indices"] = [own_gpus[index] for index in body.get("gpu_indices", [0])]
        root = workspace_factory(
            {"experiments": bodies},
            specs=specs or {f"{name}/train.yaml": SPEC for name in experiments},
            data={"coco/annotations.json": "{}", "coco/train/file": "x"},
            **folders,
        )
        made.append(
            Place(
                root,
                Cli(home, {**engine.environment(), "TAORUNNER_LEASES": str(tmp_path / "leases")}),
                engine,
            )
        )
        return made[-1]

    yield make
    end_what_runs(tmp_path)
    for each in made:
        left = each.containers()
        if left:
            each.engine.docker("rm", "-f", *left)
