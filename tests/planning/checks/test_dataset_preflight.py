"""Before a training the dataset is checked, once for each state of its files, and what is wrong is a warning."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.datasets.checks.run import check_dataset
from taorunner.errors import Finding, Severity
from taorunner.planning.checks.dataset_preflight import DatasetPreflight
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.planner import plan_action
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace

GOOD = "car 0 0 0 1 1 20 20 0 0 0 0 0 0 0\n"


def planned(root: Path, action: str = "train") -> list[Finding]:
    caller = Caller(1000, 1000, (4,), "ada", {"HOME": "/nowhere"})
    site = Site("r", root / ".taorunner/runs/r")
    request = ActionRequest(action, ("e",))
    found = plan_action(Workspace(root), "example_01", request, caller, lambda experiment, what: site)
    return [finding for finding in found.findings if finding.code == "dataset-faults"]


def workspace(factory: Callable[..., Path], labels: str) -> Path:
    from PIL import Image

    root = factory(
        {"experiments": {"e": {"head": "tinydet", "dataset": "d"}}},
        data={"d/labels/a.txt": labels, "d/images/": ""},
        specs={"e/train.yaml": "results_dir: $results_dir\n"},
    )
    Image.new("RGB", (64, 48)).save(root / "projects/example_01/data/d/images/a.png")
    return root


def test_faults_are_counted_in_one_warning(workspace_factory: Callable[..., Path]) -> None:
    root = workspace(workspace_factory, GOOD + "car 0\n" * 2 + "car 0 0 0 9 1 2 20 0 0 0 0 0 0 0\n")
    (finding,) = planned(root)
    assert (finding.severity.value, finding.message, finding.hint) == (
        "warning", 'the dataset "d" has 3 errors: label-columns 2, box-inverted 1',
        "taorunner dataset check d -p example_01 shows where",
    )  # fmt: skip
    assert planned(root, "evaluate") == []


def test_a_sound_dataset_and_none_at_all_say_nothing(workspace_factory: Callable[..., Path]) -> None:
    root = workspace(workspace_factory, GOOD)
    assert planned(root) == []
    (root / "projects/example_01/data/d/images/a.png").unlink()
    (root / "projects/example_01/data/d/labels/a.txt").unlink()
    assert planned(root) == []


def test_what_was_found_is_kept_until_a_file_changes(workspace_factory: Callable[..., Path]) -> None:
    root = workspace(workspace_factory, GOOD + "car 0\n")
    (first,) = planned(root)
    (kept,) = (root / ".taorunner/cache/dataset-checks/example_01").iterdir()
    value = json.loads(kept.read_text())
    assert value["errors"] == {"label-columns": 1}
    kept.write_text(json.dumps({**value, "errors": {"label-columns": 7}}))
    (from_cache,) = planned(root)
    assert "has 7 errors" in from_cache.message
    kept.write_text("{")
    assert planned(root) == [first]
    label = root / "projects/example_01/data/d/labels/a.txt"
    label.write_text(GOOD)
    os.utime(label, ns=(1, 1))
    assert planned(root) == []
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_a_dataset_of_many_experiments_is_looked_at_once(workspace_factory: Callable[..., Path]) -> None:
    root = workspace(workspace_factory, GOOD + "car 0\n")
    (root / "projects/example_01/experiments.yml").write_text(
        "experiments:\n  e: {head: tinydet, dataset: d}\n  f: {extends: e}\n  g: {extends: e}\n"
    )
    experiments = load_project(Workspace(root), "example_01").experiments
    folder = root / "projects/example_01/data/d"
    preflight = DatasetPreflight(Workspace(root))
    warnings = [preflight.warnings("example_01", folder, experiments["e"])]
    (folder / "labels/a.txt").write_text(GOOD)  # within one command the first look counts
    warnings += [preflight.warnings("example_01", folder, experiments[name]) for name in ("f", "g")]
    assert [[finding.message for finding in each] for each in warnings] == [
        ['the dataset "d" has an error: label-columns 1']
    ] * 3
    assert DatasetPreflight(Workspace(root)).warnings("example_01", folder, experiments["f"]) == ()


def test_other_specs_ask_again(workspace_factory: Callable[..., Path]) -> None:
    root = workspace(workspace_factory, GOOD + "car 0\n")
    (first,) = planned(root)
    (kept,) = (root / ".taorunner/cache/dataset-checks/example_01").iterdir()
    value = json.loads(kept.read_text())
    kept.write_text(json.dumps({**value, "errors": {"label-columns": 7}}))
    (root / "projects/example_01/specs/e/train.yaml").write_text("results_dir: $results_dir\n# another\n")
    assert planned(root) == [first]


def test_the_specs_of_the_workspaces_own_network_ask_too(workspace_factory: Callable[..., Path]) -> None:
    root = workspace(workspace_factory, GOOD)
    mapping = 'dataset_config { target_class_mapping { key: "dog" value: "dog" } }\n'
    spec = root / "projects/example_01/specs/e/train.txt"
    spec.write_text(mapping)
    entry = "experiments:\n  e: {head: mine, dataset: d, backbone: resnet18, repository: r}\n"
    (root / "projects/example_01/experiments.yml").write_text(entry)
    networks = Workspace(root).networks_dir
    experiment = load_project(Workspace(root), "example_01").experiments["e"]
    folder = root / "projects/example_01/data/d"
    assert DatasetPreflight(Workspace(root)).warnings("example_01", folder, experiment) == ()
    networks.mkdir(parents=True)
    (networks / "mine.yml").write_text("title: Mine\npurpose: detection\nlike: ssd\n")
    (finding,) = DatasetPreflight(Workspace(root)).warnings("example_01", folder, experiment)
    assert finding.message == 'the dataset "d" has 2 errors: class-not-mapped 1, class-without-boxes 1'


def test_a_source_that_names_its_images_is_no_fault(workspace_factory: Callable[..., Path]) -> None:
    """The same file name in two folders, and annotations apart from both: the spec tells which are meant."""
    from PIL import Image

    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81}],
        "categories": [{"id": 1, "name": "car"}],
    }
    spec = (
        "results_dir: $results_dir\ndataset:\n  num_classes: 2\n"
        "  train_data_sources:\n    - {image_dir: $dataset_raw/north, json_file: $dataset_raw/boxes/of_north.json}\n"
        "  val_data_sources: {image_dir: $dataset/south, json_file: $dataset/boxes/of_south.json}\n"
    )
    data = {f"d/boxes/of_{part}.json": json.dumps(document) for part in ("north", "south")}
    root = workspace_factory(
        {"experiments": {"e": {"head": "rtdetr", "dataset": "d"}}},
        data={**data, "d/north/": "", "d/south/": ""},
        specs={"e/train.yaml": spec},
    )
    for part, width in (("north", 64), ("south", 65)):
        Image.new("RGB", (width, 48)).save(root / f"projects/example_01/data/d/{part}/a.png")
    assert planned(root) == []
    train = root / "projects/example_01/specs/e/train.yaml"
    train.write_text(spec.replace("image_dir: $dataset_raw/north, ", ""))
    assert [f.message for f in planned(root)] == ['the dataset "d" has an error: picture-ambiguous 1']


def test_a_large_dataset_is_named_until_dataset_check_has_answered(
    workspace_factory: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = workspace(workspace_factory, GOOD + "car 0\n")
    experiment = load_project(Workspace(root), "example_01").experiments["e"]
    folder = root / "projects/example_01/data/d"

    def warnings() -> list[Finding]:
        return list(DatasetPreflight(Workspace(root), max_files=1).warnings("example_01", folder, experiment))

    (unchecked,) = warnings()
    assert (unchecked.severity.value, unchecked.code, unchecked.message, unchecked.hint) == (
        "warning", "dataset-unchecked", 'the dataset "d" was not checked: it has 2 files',
        "taorunner dataset check d -p example_01 checks it once; its answer is kept until a file changes",
    )  # fmt: skip
    # the cache of the workspace cannot be written: the caller's own is used
    (root / ".taorunner/cache").mkdir(parents=True)
    (root / ".taorunner/cache/dataset-checks").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    preflight = DatasetPreflight(Workspace(root))
    preflight.look(folder)
    preflight.keep("example_01", folder, check_dataset(folder).findings)
    assert [one.message for one in warnings()] == ['the dataset "d" has an error: label-columns 1']
    (folder / "labels/a.txt").write_text(GOOD + "car 0 0\n")
    assert warnings() == [unchecked]


def test_a_folder_that_takes_too_long_to_list_is_named(workspace_factory: Callable[..., Path]) -> None:
    root = workspace(workspace_factory, GOOD)
    experiment = load_project(Workspace(root), "example_01").experiments["e"]
    folder = root / "projects/example_01/data/d"
    for number in range(1000):
        (folder / f"labels/{number}.txt").write_text("")
    times = iter((0.0, 60.0))
    preflight = DatasetPreflight(Workspace(root), clock=lambda: next(times))
    (unchecked,) = preflight.warnings("example_01", folder, experiment)
    assert (
        unchecked.message == 'the dataset "d" was not checked: it has more than 1,000 files, or a slow drive'
    )


def test_what_was_checked_in_part_is_named(workspace_factory: Callable[..., Path]) -> None:
    root = workspace(workspace_factory, GOOD)
    experiment = load_project(Workspace(root), "example_01").experiments["e"]
    folder = root / "projects/example_01/data/d"
    preflight = DatasetPreflight(Workspace(root))
    preflight.look(folder)
    preflight.keep("example_01", folder, [Finding(Severity.WARNING, "not-checked", "masks")])
    (part,) = preflight.warnings("example_01", folder, experiment)
    assert (part.code, part.message) == ("dataset-unchecked", 'the dataset "d" was only checked in part')
