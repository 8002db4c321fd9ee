"""Drives a real TAO through the local backend, and prints where the records and TAO's own files differ.

    python tools/real_tao.py PYTHON                     every network of NETWORKS
    python tools/real_tao.py PYTHON segformer dino      these
    python tools/real_tao.py PYTHON --no-gpu --keep DIR where TAO runs without a GPU; the workspace stays in DIR

PYTHON is the interpreter in which TAO is installed. Its folder comes first on PATH; where it lacks a network's command,
one is made that starts the entry point as a module. For each network a dataset of a few images is generated and made
into a project; then training, evaluation, inference, export and a resumed training run, and the FAILURES. A record
agrees when its state is what TAO's last message says, its epochs and values are those of status.json, and its
checkpoints are the files in the results. Exit code 1 when something differs. Not part of CI: it needs a TAO.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

import taorunner
from taorunner.events import RunState
from taorunner.progress.causes.table import cause_with_reason
from taorunner.runs.results import CLOCK_SLACK_S

EXPERIMENT = "one"
EPOCHS, RESUMED_EPOCHS = 2, 3
CLASSES = ("bolt", "nut", "clip")
SIZE = (160, 120)
SUCCESS = "finished successfully."
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))
GOOD = ("train", "evaluate", "inference", "export", "resume")
_NOT_TRAINED = "step_00000"


@dataclass(frozen=True)
class Network:
    """``data`` is a kind of ``make_dataset``. ``settings`` make the model small, in each action. ``classes`` is the key
    of the number of classes, ``missing`` sets a path of the data to one that does not exist. ``module`` is the entry
    point below ``nvidia_tao_pytorch.cv``."""

    head: str
    data: str
    classes: str
    missing: str
    settings: tuple[str, ...] = ()
    module: str = ""

    @property
    def entry_point(self) -> str:
        return f"nvidia_tao_pytorch.cv.{self.module or f'{self.head}.entrypoint.{self.head}'}"


_COCO_MISSING = "dataset.train_data_sources=[{image_dir:/nowhere,json_file:/nowhere/annotations.json}]"
_DETR = (
    "dataset.workers=1",
    "model.num_queries=30",
    "model.num_select=20",
    "model.enc_layers=1",
    "model.dec_layers=1",
)
NETWORKS = (
    Network(
        "classification_pyt", "folders", "dataset.num_classes", "dataset.train_dataset.images_dir=/nowhere",
        ("dataset.workers=1", "dataset.img_size=64", "model.backbone.type=mit_b0"),
        "classification_pyt.entrypoint.classification",
    ),
    Network(
        "segformer", "masks", "dataset.segment.num_classes", "dataset.segment.root_dir=/nowhere",
        ("dataset.segment.workers=1", "dataset.segment.img_size=64", "model.backbone.type=mit_b0"),
    ),
    Network("dino", "coco", "dataset.num_classes", _COCO_MISSING, _DETR),
    Network("deformable_detr", "coco", "dataset.num_classes", _COCO_MISSING, _DETR),
    Network("rtdetr", "coco", "dataset.num_classes", _COCO_MISSING, ("dataset.workers=1", "train.precision=fp32")),
)  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """``words`` are what follows ``--``, with fields of ``Network`` and ``{cut}``, a checkpoint that was cut off.
    ``codes`` are the causes of which one must be named."""

    name: str
    action: str
    words: tuple[str, ...]
    codes: frozenset[str]
    options: tuple[str, ...] = ()


FAILURES = (
    Failure("batch-too-large", "train", (), frozenset({"batch-larger-than-data"}), ("--batch-size", "5000")),
    Failure("unknown-key", "train", ("train.no_such_key=3",), frozenset({"unknown-spec-key"})),
    Failure("wrong-type", "train", ("train.num_epochs=many",), frozenset({"spec-value", "unknown-spec-key"})),
    Failure("data-missing", "train", ("{missing}",), frozenset({"missing-file", "no-images", "masks-and-images"})),
    Failure(
        "too-few-classes", "train", ("{classes}=1",),
        frozenset({"class-number", "class-count", "label-out-of-range", "assertion"}),
    ),
    Failure("checkpoint-cut-off", "evaluate", ("evaluate.checkpoint={cut}",), frozenset({"unreadable-weights"})),
)  # fmt: skip


STEPS = (*GOOD, *(failure.name for failure in FAILURES))


@dataclass
class Step:
    """One run: what was asked, what the record says, and where TAO's files say something else."""

    network: str
    name: str
    seconds: float
    state: str
    said: str
    differences: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("python", type=Path, metavar="PYTHON")
    parser.add_argument(
        "networks", nargs="*", metavar="NETWORK", help=", ".join(one.head for one in NETWORKS)
    )
    parser.add_argument("--release", default="7.0.1", help="the release of that TAO [default: 7.0.1]")
    parser.add_argument("--no-gpu", action="store_true", help="ask for no GPU")
    parser.add_argument(
        "--only", action="append", metavar="STEP", help=", ".join(STEPS) + "; may be repeated"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make the workspace here, and keep it")
    asked = parser.parse_args()
    unknown = [*(set(asked.networks) - {one.head for one in NETWORKS}), *(set(asked.only or ()) - set(STEPS))]
    if unknown:
        parser.error(f'there is no "{unknown[0]}"')
    differing = 0
    with tempfile.TemporaryDirectory(prefix="real-tao-") as scratch:
        root = (asked.keep or Path(scratch)).resolve()
        for network in NETWORKS:
            if not asked.networks or network.head in asked.networks:
                drive = Drive(network, root, asked.python.absolute(), asked.release, has_gpu=not asked.no_gpu)
                for step in drive.steps(asked.only or STEPS):
                    differing += bool(step.differences)
                    _print(step)
    print(f"{differing or 'no'} run{'' if differing == 1 else 's'} with differences")
    return 1 if differing else 0


def _print(step: Step) -> None:
    print(f"{step.network:20} {step.name:18} {step.state:10} {step.seconds:6.1f} s  {step.said}", flush=True)
    for difference in step.differences:
        print(f"{'':20} differs: {difference}", flush=True)


class Drive:
    """All runs of one network in a workspace of its own."""

    def __init__(self, network: Network, root: Path, python: Path, release: str, *, has_gpu: bool) -> None:
        self._network, self._release = network, release
        self._workspace, self._data = root / network.head, root / f"data_{network.head}"
        self._cut = root / f"cut_{network.head}.pth"
        self._environ = {**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
        self._environ["PATH"] = os.pathsep.join(
            [str(self._commands(root / "commands", python)), str(python.parent), os.environ["PATH"]]
        )
        self._options = [word for setting in network.settings for word in ("--set", setting)]
        self._options += [] if has_gpu else ["--gpus", "0"]
        self._has_gpu = has_gpu

    def steps(self, names: Collection[str]) -> Iterator[Step]:
        make_dataset(self._network.data, self._data)
        self._workspace.mkdir(parents=True)
        self._taorunner(
            "init-project", self._network.head, "--head", self._network.head, "--experiment", EXPERIMENT,
            "--from-dataset", str(self._data), "--copy", "--no-weights", "--release", self._release,
        )  # fmt: skip
        if not self._has_gpu:  # TAO counts a CPU as one GPU
            for spec in (self._workspace / "projects" / self._network.head / "specs").rglob("*.yaml"):
                spec.write_text(spec.read_text().replace("$num_gpus", "1").replace("$gpu_ids", "[0]"))
        for name in GOOD:
            if name in names:
                epochs = {"train": EPOCHS, "resume": RESUMED_EPOCHS}.get(name)
                options = ["--epochs", str(epochs)] if epochs else []
                yield self._good(name, "train" if name == "resume" else name, options)
        self._cut_a_checkpoint()
        for failure in FAILURES:
            if failure.name in names:
                yield self._failing(failure)

    def _good(self, command: str, action: str, more: list[str]) -> Step:
        step, run, records = self._run(command, action, more, [])
        if run is not None:
            step.differences += compared(run, records, self._results(action))
        return step

    def _failing(self, failure: Failure) -> Step:
        known = {"missing": self._network.missing, "classes": self._network.classes, "cut": self._cut}
        words = [word.format(**known) for word in failure.words]
        step, run, _ = self._run(
            failure.action, failure.action, [*failure.options, "--overwrite", "--force"], words
        )
        step.name = failure.name
        cause = cause_with_reason(run.reason) if run is not None and run.reason else None
        code = cause.code if cause is not None else "no known cause"
        step.said = f"{step.said} [{code}]"
        if run is not None and run.state is not RunState.FAILED:
            step.differences.append(f"TAO should fail, the record says {run.state.value.lower()}")
        elif code not in failure.codes:
            step.differences.append(f"expected {' or '.join(sorted(failure.codes))}")
        return step

    def _run(
        self, command: str, action: str, more: list[str], extra: list[str]
    ) -> tuple[Step, taorunner.Run | None, list[dict[str, Any]]]:
        workspace = taorunner.Workspace.open(self._workspace)
        before = {run.path for run in workspace.runs()}
        status = self._results(action) / "status.json"
        lines = len(status.read_bytes().splitlines()) if status.is_file() and "--overwrite" not in more else 0
        started = time.monotonic()
        words = [EXPERIMENT, "-p", self._network.head, "--backend", "local", "--plain", *more, *self._options]
        done = self._taorunner(command, *words, *(["--", *extra] if extra else []), check=False)
        seconds = time.monotonic() - started
        run = next((run for run in workspace.runs() if run.path not in before), None)
        if run is None:
            refused = (done.stderr or done.stdout).strip().splitlines()
            step = Step(self._network.head, command, seconds, "refused", refused[0] if refused else "")
            step.differences.append("it was not started")
            return step, None, []
        found = status.read_bytes().splitlines()[lines:] if status.is_file() else []
        step = Step(self._network.head, command, seconds, run.state.value.lower(), run.reason or "")
        return step, run, [json.loads(line) for line in found if line.strip()]

    def _results(self, action: str) -> Path:
        return self._workspace / "projects" / self._network.head / "models" / EXPERIMENT / action

    def _cut_a_checkpoint(self) -> None:
        for checkpoint in trained_checkpoints(self._results("train")):
            content = checkpoint.read_bytes()
            self._cut.write_bytes(content[: len(content) * 3 // 5])

    def _taorunner(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "taorunner", *words]
        return subprocess.run(
            command, cwd=self._workspace, env=self._environ, capture_output=True, text=True, check=check
        )

    def _commands(self, folder: Path, python: Path) -> Path:
        """A folder with the network's command, where the interpreter's own folder lacks it."""
        folder.mkdir(parents=True, exist_ok=True)
        if not (python.parent / self._network.head).exists():
            file = folder / self._network.head
            file.write_text(f'#!/bin/sh\nexec "{python}" -m {self._network.entry_point} "$@"\n')
            file.chmod(0o755)
        return folder


def compared(run: taorunner.Run, records: list[dict[str, Any]], results: Path) -> list[str]:
    """Where the record of a run differs from the records that it wrote, and from its results."""
    found: list[str] = []
    succeeded = any(str(record.get("message", "")).endswith(SUCCESS) for record in records[-2:])
    if succeeded is not (run.state is RunState.SUCCEEDED):
        found.append(
            f'status.json ends with "{records[-1].get("message", "") if records else ""}", the record says '
            f"{run.state.value.lower()}"
        )
    if run.action == "train":
        epochs = {record["epoch"] for record in _all_records(results) if "epoch" in record}
        if (run.epoch or 0) != len(epochs):
            found.append(f"status.json has {len(epochs)} epochs, the record {run.epoch or 0}")
        began = (run.path / "plan.json").stat().st_mtime
        written = {file.name: file.stat().st_mtime for file in trained_checkpoints(results)}
        files = {name for name, at in written.items() if at >= began}
        just_before = {name for name, at in written.items() if began - CLOCK_SLACK_S <= at < began}
        if differing := (files ^ _announced(run)) - just_before:
            found.append(f"checkpoints in one of both only: {', '.join(sorted(differing))}")
    return found + _compared_values(run, records)


def _announced(run: taorunner.Run) -> set[str]:
    """The names of the checkpoints that the run reported when they were written."""
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    return {Path(event["path"]).name for event in events if event["event"] == "CheckpointSaved"}


def _compared_values(run: taorunner.Run, records: list[dict[str, Any]]) -> list[str]:
    written: dict[str, float] = {}
    for record in records:
        for name, value in (record.get("kpi") or {}).items():
            try:
                written[name] = float(value)
            except (TypeError, ValueError):
                continue  # a text, or the values of each class
    recorded = [*run.metrics.values(), *(value for row in run.history.values() for _, value in row)]
    return [
        f"status.json has {name} {value:g}, the record has no such value"
        for name, value in written.items()
        if not any(_are_equal(value, one) or _are_equal(value / 100, one) for one in recorded)
    ]


def _are_equal(one: float, other: float) -> bool:
    return (
        one == other
        or (one != one and other != other)
        or math.isclose(one, other, rel_tol=3e-3, abs_tol=1e-9)
    )


def _all_records(results: Path) -> list[dict[str, Any]]:
    status = results / "status.json"
    return (
        [json.loads(line) for line in status.read_bytes().splitlines() if line.strip()]
        if status.is_file()
        else []
    )


def trained_checkpoints(results: Path) -> list[Path]:
    """The files of finished epochs, without links and without what is saved before training begins."""
    files = sorted(results.glob("*.pth"))
    return [file for file in files if not file.is_symlink() and _NOT_TRAINED not in file.name]


def make_dataset(kind: str, root: Path, images: int = 20) -> None:
    """Images with rectangles of one colour for each class: ``coco``, ``masks`` or ``folders`` (one rectangle each)."""
    chance = random.Random(kind)
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(images):
        image, mask = Image.new("RGB", SIZE, (90 + number, 90, 90)), Image.new("L", SIZE)
        label = number % len(CLASSES)
        for index in [label] if kind == "folders" else range(len(CLASSES)):
            left, top = chance.randint(0, 90), chance.randint(0, 60)
            box = (left, top, left + chance.randint(25, 60), top + chance.randint(25, 50))
            ImageDraw.Draw(image).rectangle(box, COLOURS[index])
            ImageDraw.Draw(mask).rectangle(box, index + 1)
            width, height = box[2] - box[0], box[3] - box[1]
            annotations.append({
                "id": len(annotations) + 1, "image_id": number + 1, "category_id": index + 1, "iscrowd": 0,
                "bbox": [left, top, width, height], "area": width * height,
            })  # fmt: skip
        name = f"{number:03}.png"
        entries.append({"id": number + 1, "file_name": f"images/{name}", "width": SIZE[0], "height": SIZE[1]})
        _save(image, root / (CLASSES[label] if kind == "folders" else "images") / name)
        if kind == "masks":
            _save(mask, root / "masks" / name)
    if kind == "coco":
        categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)]
        document = {"images": entries, "annotations": annotations, "categories": categories}
        (root / "annotations.json").write_text(json.dumps(document))


def _save(image: Image.Image, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)


if __name__ == "__main__":
    sys.exit(main())
