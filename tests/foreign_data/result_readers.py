"""The parsers of what evaluations, sweeps, locks and tracking servers leave and answer."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from reader import ASSETS, Reader, dumped, from_file, text_of

RUN = "20260101-000000-p-e-train-abcd"
ROW = b"car 0 0 0 10 10 40 30 0 0 0 0 0 0 0 0.9\n"


def readers_of_results(place: Path) -> list[Reader]:
    """``place`` is an empty folder for what a parser reads from files."""
    found: list[Reader] = []
    for make in (_of_predictions, _of_pictures, _of_sweeps, _of_locks, _of_tracking):
        folder = place / make.__name__
        folder.mkdir()
        found += make(folder)
    return found


def _of_predictions(place: Path) -> Iterator[Reader]:
    from taorunner.evaluation.classified import read_table
    from taorunner.evaluation.predictions import Numbers, read_predictions
    from taorunner.evaluation.run import evaluate_predictions

    labels = place / "labels"
    labels.mkdir()
    yield Reader(
        "predicted labels",
        [ROW * 3, b"a b 0 0 0 1 2 3 4 0 0 0 0 0 0 0 1\nEmpty\n"],
        from_file(labels / "a.txt", lambda: read_predictions(labels)),
    )
    numbers = Numbers(images={1: "a.jpg"}, categories={1: "car"})
    mask = {"size": [10, 10], "counts": "52203"}
    rows = [
        {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
        {"image_id": 1, "category_id": 1, "segmentation": mask, "score": 0.5},
        {"image_id": 1, "category_id": 1, "segmentation": [[1, 2, 3, 4, 5, 1]], "score": 0.4},
    ]
    whole = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": rows,
    }
    yield Reader(
        "predictions in COCO",
        [dumped(rows), dumped(whole)],
        from_file(place / "results.json", lambda: read_predictions(place / "results.json", numbers)),
    )
    lists = place / "lists"
    lists.mkdir()
    yield Reader(
        "predictions of one image",
        [dumped(rows)],
        from_file(lists / "a.json", lambda: read_predictions(lists, numbers)),
    )
    table = b"img_name,car,dog,pred_label,pred_score\n/a/b.jpg,0.9,0.1,car,0.9\nc.png,0.2,0.8,dog,0.8\n"
    yield Reader("table of classes", [table], lambda data: read_table(Path("result.csv"), data))

    truth, scored = place / "truth", place / "scored"
    shutil.copytree(next((ASSETS / "datasets").glob("*coco*")), truth)
    scored.mkdir()
    names = [path.stem for path in sorted(truth.rglob("*.jpg"))][:3]
    for name in names[1:]:
        (scored / f"{name}.txt").write_bytes(ROW)
    yield Reader(
        "dataset evaluated",  # a whole evaluation a round
        [ROW * 2],
        from_file(scored / f"{names[0]}.txt", lambda: evaluate_predictions(scored, truth)),
    )


def _of_pictures(place: Path) -> Iterator[Reader]:
    """Decoded, not only their headers."""
    from PIL import Image

    from taorunner.datasets.files.pixels import open_image
    from taorunner.datasets.report.thumbnails import thumbnail
    from taorunner.evaluation.pixels import read_values

    seeds = []
    for kind, mode in (("PNG", "L"), ("PNG", "P"), ("JPEG", "RGB"), ("BMP", "RGB"), ("GIF", "P"), ("WEBP", "RGB"), ("TIFF", "I;16")):  # fmt: skip
        stream = io.BytesIO()
        Image.new(mode, (12, 9), 1).save(stream, kind)
        seeds.append(stream.getvalue())
    seeds.append(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n")
    file = place / "a.png"

    def look() -> None:
        """How many pixels may be decoded is limited apart, far above this."""
        with (
            suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError),
            open_image(file) as opened,
        ):
            if opened.width * opened.height > 4_000_000:
                return
        read_values(place, file)
        thumbnail(file, 32)

    yield Reader("picture", seeds, from_file(file, look))


def _of_sweeps(place: Path) -> Iterator[Reader]:
    from taorunner.console.base.theme import symbols_for
    from taorunner.console.sweeps.sweep_view import in_order, print_json, summary, trial_cells, trial_line
    from taorunner.events import now
    from taorunner.project.load import load_project
    from taorunner.project.workspace import Workspace
    from taorunner.reports.page import sweep_page
    from taorunner.reports.swept import swept_of
    from taorunner.runs.state.store import RunStore
    from taorunner.sweeps.folder import SweepFolder, changed_keys
    from taorunner.sweeps.loop import best_of
    from taorunner.sweeps.losers import losers

    workspace = Workspace(place)
    project = place / "projects/p"
    project.mkdir(parents=True)
    text = b"""experiments:
  tiny: {head: tinydet}
sweeps:
  lr:
    base: tiny
    sampler: tpe
    trials: 4
    pruner: {kind: asha, first: 1, factor: 2}
    space:
      train.learning_rate: {log: [0.0005, 0.03]}
      train.batch_size: {choice: [4, 8]}
      train.x: {int: [1, 9], step: 2}
    together: ["train.batch_size * train.learning_rate < 1 and train.x // 2 % 3 >= 0"]
    stop: {failures: 2, hours: 3, no_better_for: 4}
    start_with: [{train.batch_size: 4}]
"""
    experiments = project / "experiments.yml"
    yield Reader("sweeps", [text], from_file(experiments, lambda: load_project(workspace, "p", {})))
    experiments.write_bytes(text)
    sweep = load_project(workspace, "p", {}).sweeps["lr"]
    folder = SweepFolder(RunStore(workspace.state_dir), "p", "lr")
    folder.directory.mkdir(parents=True)
    definition = dumped(
        {"version": 1, "definition": sweep.body(), "metric": "mAP", "maximize": True, "started_at": "2026-01-01T00:00:00+00:00"}
    )  # fmt: skip
    folder.definition.write_bytes(definition)
    lines: list[dict[str, Any]] = [
        {"trial": 0, "values": {"train.batch_size": 4}, "base": True}, {"trial": 0, "run": RUN}, {"trial": 0, "pruning": "x"},
        {"trial": 0, "ended": "pruned", "value": 0.4, "epoch": 8, "curve": [[1, 0.2]], "reason": "x"},
        {"trial": 1, "values": {"train.batch_size": 8, "train.learning_rate": 0.1}, "base": False},
    ]  # fmt: skip

    def show() -> None:
        stored = folder.stored()
        if stored is None:
            return
        trials, shown = folder.trials(), folder.definition_of(stored)
        changed_keys(stored, sweep)
        sweep_page("p", swept_of(shown, stored, trials), now())
        best = best_of(trials, maximize=stored.maximize)
        symbols = symbols_for("utf-8")
        trial_cells(sweep, stored, in_order(trials, maximize=stored.maximize), best, symbols)
        summary(sweep, trials)
        losers(trials, 1, maximize=stored.maximize)
        for trial in trials:
            trial_line(sweep, stored, trial)
        with _Silent():
            print_json(sweep, stored, trials)

    yield Reader(
        "trials", [b"".join(dumped(line) + b"\n" for line in lines)], from_file(folder.journal, show)
    )
    yield Reader("definition of a sweep", [definition], from_file(folder.definition, show))


def _of_locks(place: Path) -> Iterator[Reader]:
    from taorunner.project.workspace import Workspace
    from taorunner.reports.scored import scored_runs
    from taorunner.runs.inputs.file_list import saved_list
    from taorunner.runs.inputs.run_lock import read_lock
    from taorunner.runs.inputs.spec_values import read_values
    from taorunner.runs.state.host_figures import HostFigures
    from taorunner.runs.state.store import RunStore
    from taorunner.tracking.mapping import parameters
    from taorunner.values.bounded_reading import parse_json

    (place / "projects").mkdir()
    store = RunStore(Workspace(place).state_dir)
    paths = store.paths(RUN)
    paths.directory.mkdir(parents=True)
    lock = {
        "taorunner": "0.2.0", "network": "tinydet", "action": "train", "release": "e", "host": "h", "argv": ["x"], "gpus": [],
        "spec": {"train.seed": 7, "a": [1]}, "resolved": {"train.seed": 7}, "seed": "7",
        "data": [{"name": "d", "paths": ["."], "files": 3, "images": 2, "bytes": 9, "fingerprint": "a" * 64}],
        "weights": [{"path": "w.pth", "bytes": 3, "modified_ns": 5, "sha256": "a" * 64}],
    }  # fmt: skip

    def locked() -> None:
        found = read_lock(store, RUN)
        if found is not None:
            parameters(found)
            [saved_list(store, one.fingerprint) for one in found.data]

    yield Reader("run.lock", [dumped(lock)], from_file(paths.run_lock, locked))
    copies = [b"a: &x {b: [1, 2e3, .5], c: ~}\nd: *x\ne: ${d.c}\n", b"train:\n  seed: 7\n  gpus: [0]\n"]
    yield Reader("copy of a spec", copies, lambda data: read_values(text_of(data), "yaml"))
    yield Reader(
        "copy of a spec in prototxt",
        [b'a { b: 1 c: "d" }\n'],
        lambda data: read_values(text_of(data), "prototxt"),
    )
    evaluation = {
        "version": 1, "task": "boxes", "metrics": [{"name": "host/AP", "value": 0.5, "direction": "up", "scale": "fraction", "ranks": True}],
        "protocol": {"name": "coco", "text": "x", "library": "l", "version": "1", "settings": {"iou": [0.5]}, "min_score": 0.1},
        "data": {"name": "d", "folder": "/d", "split": "val", "images": 3, "fingerprint": "ab"}, "overall": {"AP": 0.5, "AP50": None},
        "per_class": [{"name": "car", "truths": 3, "AP": 0.5, "at_score": 0.3}], "errors": {"missed": 1.5},
        "confusion": {"classes": ["car"], "unit": "boxes", "score": 0.3, "matrix": [[1, 2], [3, 0]]},
        "pr": {"car": [[0.1, 0.9, 0.5]]}, "missing": 0, "findings": [], "label_suspects": [],
        "worst": [{"image": "a.jpg", "width": 10, "height": 9, "tp": 1, "fp": 2, "fn": 0,
                   "boxes": [{"kind": "wrong", "name": "car", "score": 0.5, "box": [1, 2, 3, 4]}]}],
    }  # fmt: skip
    yield Reader(
        "evaluation.json",
        [dumped(evaluation)],
        from_file(paths.directory / "evaluation.json", _report(store, scored_runs)),
    )
    yield Reader(
        "figures of the host",
        [dumped(evaluation)],
        lambda data: HostFigures.from_json(parse_json(data)),
        (ValueError,),
    )


def _report(store: Any, scored_runs: Callable[..., Any]) -> Callable[[], None]:
    """Lays the evaluation of one run out as HTML."""
    from datetime import datetime, timezone

    from taorunner.events import RunState
    from taorunner.reports.sections.scores import scores_of
    from taorunner.runs.state.record import RunRecord

    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    record = RunRecord(
        id=RUN, batch="b", project="p", experiment="e", action="train", backend="local", state=RunState.SUCCEEDED, queued_at=at
    )  # fmt: skip

    def laid_out() -> None:
        scored = list(scored_runs(store, [record]))
        scores_of(scored, {RUN: "abcd"}, lambda one, image: "")

    return laid_out


def _of_tracking(place: Path) -> Iterator[Reader]:
    import httpx

    from taorunner.project.workspace import Workspace
    from taorunner.runs.state.store import RunStore
    from taorunner.runs.state.tracking_state import is_behind, read_tracking
    from taorunner.tracking.mapping import name_there
    from taorunner.tracking.mlflow import MlflowServer, TrackingError

    answers: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        (data,) = answers
        status = (200, 200, 200, 400, 404, 503)[len(data) % 6]
        return httpx.Response(status, stream=httpx.ByteStream(data), headers={"Retry-After": "5"})

    server = MlflowServer("http://127.0.0.1:1", {}, place)
    server._client = httpx.Client(transport=httpx.MockTransport(answer))

    def asked(data: bytes) -> None:
        answers[:] = [data]
        for call in (
            lambda: server.experiment("e"), lambda: server.run("1", "e", RUN, 5, {}), lambda: server.log("r", tags={"a": "b"}),
            lambda: server.end("r", "FINISHED", 5),
        ):  # fmt: skip
            try:
                call()
            except TrackingError:
                continue

    replies = [
        dumped({"experiment": {"experiment_id": "1", "lifecycle_stage": "active"}, "experiment_id": "1"}),
        dumped({"runs": [{"info": {"run_id": "abc"}}]}), dumped({"run": {"info": {"run_id": "abc"}}}),
        dumped({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "x"}),
    ]  # fmt: skip
    yield Reader("MLflow", replies, asked)
    names = [b"[bbox] val_mAP@0.5", b"a/../b", b"host/AP50/car"]
    yield Reader("names for MLflow", names, lambda data: name_there(text_of(data), {"a": "b"}))
    (place / "projects").mkdir()
    store = RunStore(Workspace(place).state_dir)
    paths = store.paths(RUN)
    paths.directory.mkdir(parents=True)
    body = {
        "server": "http://x", "experiment": "p", "target": "mlflow", "remote": "r", "offset": 5, "skip": 1, "points": 3, "epoch": 2,
        "names": {"a": "b"}, "is_described": True, "end": "SUCCEEDED", "problem": None, "at": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip

    def state() -> None:
        found = read_tracking(store, RUN)
        if found is not None:
            is_behind(store, RUN, found)
            dumped(found.to_json())

    yield Reader("tracking.json", [dumped(body)], from_file(paths.tracking, state))


class _Silent:
    """What is written to standard output is dropped."""

    def __enter__(self) -> None:
        import sys

        sys.stdout.flush()
        self._kept = os.dup(1)
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.close(nothing)

    def __exit__(self, *_: object) -> None:
        import sys

        sys.stdout.flush()
        os.dup2(self._kept, 1)
        os.close(self._kept)
