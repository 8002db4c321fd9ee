"""How specs become experiments: what opens one, what goes with it, and how each is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.errors import Finding
from taorunner.importers.launcher_runs import LauncherExperiment, experiments_of
from taorunner.importers.network_detection import SpecRead, read_spec

TRAIN = "train:\n  num_epochs: 3\n"
EXPORT = "export:\n  checkpoint: a.pth\n"
FOLDER = Path("/specs")


def spec(name: str, text: str) -> SpecRead:
    found = read_spec(Path(name), text)
    assert found is not None
    return found


def grouped(
    *named: tuple[str, str], network: str = "dino", taken: tuple[str, ...] = ()
) -> tuple[list[LauncherExperiment], list[Finding]]:
    findings: list[Finding] = []
    specs = [spec(name, text) for name, text in named]
    found = experiments_of(load_network(network), specs, FOLDER, set(taken), findings.append)
    return found, findings


def test_each_training_opens_an_experiment_and_the_later_ones_extend_the_first() -> None:
    found, findings = grouped(
        ("retrain_cars.yaml", TRAIN), ("train_cars.yaml", TRAIN), ("train_cars_night.yaml", TRAIN),
        ("export_cars_night.yaml", EXPORT), ("export_cars.yaml", EXPORT),
    )  # fmt: skip
    assert [(one.name, one.base) for one in found] == [
        ("dino_cars", None), ("dino_cars_night", "dino_cars"), ("dino_retrain_cars", "dino_cars"),
    ]  # fmt: skip
    assert [{action: str(read.name) for action, read in one.specs.items()} for one in found] == [
        {"train": "train_cars.yaml", "export": "export_cars.yaml"},
        {"train": "train_cars_night.yaml", "export": "export_cars_night.yaml"},
        {"train": "retrain_cars.yaml"},
    ]
    assert findings == []


def test_files_of_one_folder_belong_together() -> None:
    found, _ = grouped(
        ("a/train.yaml", TRAIN), ("b/train.yaml", TRAIN), ("b/export.yaml", EXPORT), ("a/export.yaml", EXPORT)
    )
    assert [sorted(str(read.name) for read in one.specs.values()) for one in found] == [
        ["a/export.yaml", "a/train.yaml"], ["b/export.yaml", "b/train.yaml"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("train.yaml", (), "dino_01"), ("experiment.yaml", (), "dino_01"), ("dino_train_cars.yaml", (), "dino_cars"),
        ("retrain.yaml", (), "dino_retrain"), ("train.yaml", ("dino_01",), "dino_01_2"),
        ("train.yaml", ("dino_01", "dino_01_2"), "dino_01_3"), ("Night Cars/train.yaml", (), "dino_night_cars"),
        (f"train_{'x' * 100}.yaml", (), f"dino_{'x' * 75}"),
    ],
)  # fmt: skip
def test_names_of_experiments(name: str, taken: tuple[str, ...], expected: str) -> None:
    found, _ = grouped((name, TRAIN), taken=taken)
    assert [one.name for one in found] == [expected]


def test_specs_without_a_training_are_one_experiment() -> None:
    found, findings = grouped(
        ("export.yaml", EXPORT), ("export_2.yaml", EXPORT), ("odd.yaml", "model: {num_queries: 3}\n")
    )
    (one,) = found
    assert (one.name, list(one.specs)) == ("dino_01", ["export"])
    assert [str(read.name) for read in one.beside] == ["odd.yaml", "export_2.yaml"]
    assert [(finding.code, str(finding.file)) for finding in findings] == [
        ("unknown-action", "/specs/odd.yaml"), ("second-spec", "/specs/export_2.yaml"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "release", "code"),
    [
        ("train:\n  num_epochs: 3\n", None, None),
        ("train:\n  num_epochs: 3\n  nope: 1\n", None, None),  # one may be a typing error
        ("train:\n  num_epochs: 3\n  nope: 1\n  nor: 2\n", "5.5.0", "older-release"),
    ],
)
def test_the_release_before_all_known_keys_is_taken_for_many_unknown_ones(
    text: str, release: str | None, code: str | None
) -> None:
    (found,), findings = grouped(("train.yaml", text), network="classification_tf2")
    assert found.release == release
    assert [one.code for one in findings] == ([] if code is None else [code])
