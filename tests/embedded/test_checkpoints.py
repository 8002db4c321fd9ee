"""Checkpoints and what is measured on them, without a process: names, order of choice, refusals."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taorunner.embedded import evaluation
from taorunner.embedded.checkpoint import LATEST, Checkpoint, Position, load, load_network, save
from taorunner.embedded.console import Console
from taorunner.embedded.dataset import describe, load_kitti
from taorunner.embedded.evaluation import Measurement, evaluate, measure, table
from taorunner.embedded.failures import RunFailedError, RunInterruptedError, SpecError
from taorunner.embedded.metrics import ClassResult
from taorunner.embedded.network import Architecture, Network, Normalisation
from taorunner.embedded.run import Run, StopRequest
from taorunner.embedded.spec import load_spec
from taorunner.embedded.status_log import StatusLog

ARCHITECTURE = Architecture("tiny", 32, 32, ("circle", "square"))


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def run(tmp_path: Path, shown: io.StringIO) -> Run:
    folder = tmp_path / "results"
    return Run("evaluate", folder, Console(shown), StatusLog(folder), StopRequest())


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    network = Network(ARCHITECTURE, seed=1)
    (tmp_path / "weights").mkdir()
    return save(tmp_path / "weights", Checkpoint(ARCHITECTURE, Position(2, 0, 10), network.state(), {}))


def kitti(root: Path, *labels: str, folders: tuple[str, str] = ("image_2", "label_2")) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True)
    for number, label in enumerate(labels):
        Image.new("RGB", (64, 32), (90, 90, 90)).save(root / folders[0] / f"{number}.png")
        (root / folders[1] / f"{number}.txt").write_text(label)
    return root


def box(name: str) -> str:
    return f"{name} 0 0 0 4 4 20 20 0 0 0 0 0 0 0\n"


@pytest.mark.parametrize(
    ("position", "name"),
    [
        (Position(2, 0, 10), "model_epoch_001_step_00010.npz"),  # the second epoch is complete
        (Position(2, 3, 13), "model_epoch_002_step_00013.npz"),  # stopped in the third
        (Position(0, 1, 1), "model_epoch_000_step_00001.npz"),
    ],
)
def test_a_checkpoint_has_the_name_of_its_epoch_and_is_read_back(
    position: Position, name: str, tmp_path: Path
) -> None:
    state = Network(ARCHITECTURE, seed=1).state()
    path = save(tmp_path, Checkpoint(ARCHITECTURE, position, state, {"m/x": state[next(iter(state))]}))
    assert path == tmp_path / name
    assert (tmp_path / LATEST).readlink() == Path(name)
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([name, LATEST])
    again = load(tmp_path / LATEST)
    assert (again.architecture, again.position) == (ARCHITECTURE, position)
    assert again.network.keys() == state.keys() and again.optimiser.keys() == {"m/x"}
    assert all(np.array_equal(again.network[key], value) for key, value in state.items())


def test_what_is_no_checkpoint_is_refused_with_its_path(tmp_path: Path, checkpoint: Path) -> None:
    with np.load(checkpoint) as file:
        arrays = dict(file)
    about = json.loads(str(arrays.pop("about")))
    newer, other = tmp_path / "newer.npz", tmp_path / "other.npz"
    np.savez(newer, about=np.array(json.dumps({**about, "format": 2})), **arrays)
    changed = {**about, "architecture": {**about["architecture"], "class_names": ["circle"]}}
    np.savez(other, about=np.array(json.dumps(changed)), **arrays)
    (tmp_path / "text.npz").write_text("no archive")
    for path, said in (
        (tmp_path / "nowhere.npz", f'there is no checkpoint "{tmp_path}/nowhere.npz"'),
        (tmp_path, f'checkpoint "{tmp_path}" is a folder'),
        (newer, f'"{newer}" is not a tinydet checkpoint (format 2, this version reads 1)'),
        (tmp_path / "text.npz", f'"{tmp_path}/text.npz" is not a tinydet checkpoint ('),
        (other, f'checkpoint "{other}" does not fit the network: '),
    ):
        with pytest.raises(RunFailedError) as caught:
            load_network(path)
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        (("test_kitti", "test_tfrecords", "val_tfrecords"), "the KITTI folder {test_kitti}"),
        (("test_tfrecords", "val_tfrecords"), "{test_tfrecords}"),
        (("val_tfrecords",), "{val_tfrecords}"),
    ],
)
def test_it_is_measured_on_test_data_before_validation_data(
    keys: tuple[str, ...], chosen: str, tmp_path: Path, checkpoint: Path, run: Run, shown: io.StringIO
) -> None:
    places = {key: str(tmp_path / key) for key in keys}
    lines = "".join(f"  {key}: {place}\n" for key, place in places.items())
    file = tmp_path / "spec.yaml"
    file.write_text(
        f"evaluate: {{checkpoint: {checkpoint}}}\ndataset:\n  class_names: [Circle, SQUARE]\n{lines}"
    )
    with pytest.raises(RunFailedError):  # there is nothing in these places
        evaluate(load_spec(file, []), run)
    assert shown.getvalue() == f"measuring on {chosen.format(**places)}\n"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("[square, circle]", '"dataset.class_names" says square, circle, the checkpoint was trained on circle, square'),
        ("[]", '"dataset.test_tfrecords"'),  # none given: those of the checkpoint
    ],
)  # fmt: skip
def test_a_spec_that_does_not_fit_the_checkpoint_is_refused(
    names: str, said: str, tmp_path: Path, checkpoint: Path, run: Run
) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(f"evaluate: {{checkpoint: {checkpoint}}}\ndataset: {{class_names: {names}}}\n")
    with pytest.raises(SpecError) as caught:
        evaluate(load_spec(file, []), run)
    assert said in str(caught.value)


def test_what_was_measured_is_printed_and_in_the_status_file(
    tmp_path: Path, checkpoint: Path, run: Run, shown: io.StringIO
) -> None:
    data = kitti(tmp_path / "data", box("circle") + box("Tree"), "", box("square"))
    file = tmp_path / "spec.yaml"
    spec = f"evaluate: {{checkpoint: {checkpoint}, iou_threshold: 0.35, batch_size: 2}}\n"
    file.write_text(f"{spec}dataset: {{test_kitti: {data}}}\n")
    evaluate(load_spec(file, []), run)
    said = shown.getvalue()
    assert "test data: 3 images, 2 objects (circle 1, square 1; ignored: tree 1)\n" in said
    assert "Testing DataLoader 0: 100%|██████████| 2/2 [" in said and "AP@0.35" in said
    lines = [json.loads(line) for line in (run.folder / "status.json").read_text().splitlines()]
    assert [line["message"] for line in lines] == [
        f"Loading checkpoint: {checkpoint}",
        "Test metrics generated.",
    ]
    assert lines[1]["kpi"].keys() == {"test_mAP35", "test_loss"}
    assert float(lines[1]["kpi"]["test_mAP35"]) <= 1 and "kpi" not in lines[0]


def test_the_loss_is_the_mean_of_the_batches_and_a_broken_network_is_refused(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_kitti(kitti(tmp_path / "data", *[box("circle")] * 3), ".png", ARCHITECTURE, run)
    losses = iter([1.0, 4.0, float("nan")])
    monkeypatch.setattr(evaluation, "detection_loss", lambda *_: (next(losses), None))
    network = Network(ARCHITECTURE, seed=1)
    assert measure(network, dataset, Normalisation(), 2, 0.5, run).loss == 2.5
    with pytest.raises(RunFailedError, match="the network's loss is nan: its weights are unusable"):
        measure(network, dataset, Normalisation(), 3, 0.5, run)


def test_the_table_of_the_classes() -> None:
    results = (ClassResult(3, 12, 0.5), ClassResult(0, 1, None))
    assert table(ARCHITECTURE, Measurement(0.5, 1.0, results), 0.5) == [
        "class   objects  detections  AP@0.5",
        "circle        3          12  0.5000",
        "square        0           1       -",
        "mean                         0.5000",
    ]
    short = Architecture("tiny", 32, 32, ("a",))
    assert table(short, Measurement(0.0, 1.0, results[1:]), 0.75)[:2] == [
        "class  objects  detections  AP@0.75",
        "a            0           1       -",
    ]


@pytest.mark.parametrize("folders", [("image_2", "label_2"), ("images", "labels")])
def test_boxes_are_in_pixels_of_the_input(folders: tuple[str, str], tmp_path: Path, run: Run) -> None:
    data = kitti(tmp_path / "data", box("Square"), box("other"), folders=folders)
    dataset = load_kitti(data, ".png", ARCHITECTURE, run)
    assert dataset.scales.tolist() == [[2.0, 1.0], [2.0, 1.0]]
    assert dataset.objects[0].boxes.tolist() == [[2.0, 4.0, 10.0, 20.0]]
    assert [objects.classes.tolist() for objects in dataset.objects] == [[1], []]
    assert (len(dataset), dataset.ignored) == (2, {"other": 1})
    assert describe(dataset, ARCHITECTURE) == "2 images, 1 objects (circle 0, square 1; ignored: other 1)"


def test_a_stop_is_obeyed_between_two_images(tmp_path: Path, run: Run) -> None:
    run.stop_request.signal_number = 15
    with pytest.raises(RunInterruptedError, match="SIGTERM"):
        load_kitti(kitti(tmp_path / "data", box("circle")), ".png", ARCHITECTURE, run)
