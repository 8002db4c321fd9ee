"""Before a training the dataset is checked, once for each state of its files, and what is wrong stops the start."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from taorunner.datasets.checks import run
from taorunner.datasets.checks.classes import ClassNeeds
from taorunner.datasets.checks.run import check_dataset
from taorunner.errors import Finding, UserFilesError, has_errors
from taorunner.planning.checks.dataset_preflight import DatasetPreflight
from taorunner.planning.checks.dataset_requirements import Reading
from taorunner.planning.model.forcing import FORCEABLE, OF_DATASETS
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.planner import plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.workspace import Workspace

GOOD = "car 0 0 0 1 1 20 20 0 0 0 0 0 0 0\n"


def planned(root: Path, action: str = "train", **asked: bool) -> list[Finding]:
    """What a start says of the files of the dataset."""
    caller = Caller(1000, 1000, (4,), "ada", {"HOME": "/nowhere"})
    site = Site("r", root / ".taorunner/runs/r")
    request = ActionRequest(action, ("e",), **asked)  # type: ignore[arg-type]
    found = plan_action(Workspace(root), "example_01", request, caller, lambda experiment, what: site)
    return [finding for finding in found.findings if finding.code in OF_DATASETS]


def said(findings: Iterable[Finding]) -> list[str]:
    return [f"{finding.severity.value} {finding.code}" for finding in findings]


def reading(root: Path, experiment: str = "e") -> Reading:
    folder = root / "projects/example_01/data/d"
    spec = root / f"projects/example_01/specs/{experiment}/train.yaml"
    return Reading("d", folder, ClassNeeds(spec), "tinydet", is_own_layout=False)


def answers(root: Path, preflight: DatasetPreflight | None = None) -> list[Finding]:
    return list((preflight or DatasetPreflight(Workspace(root))).findings("example_01", [reading(root)]))


def workspace(factory: Callable[..., Path], labels: str) -> Path:
    from PIL import Image

    root = factory(
        {"experiments": {"e": {"head": "tinydet", "dataset": "d"}}},
        data={"d/labels/a.txt": labels, "d/images/": ""},
        specs={"e/train.yaml": "results_dir: $results_dir\n"},
    )
    Image.new("RGB", (64, 48)).save(root / "projects/example_01/data/d/images/a.png")
    return root


def test_what_is_wrong_is_named_and_stops_the_start(workspace_factory: Callable[..., Path]) -> None:
    root = workspace(workspace_factory, GOOD + "car 0\n" * 5 + "car 0 0 0 9 1 2 20 0 0 0 0 0 0 0\n")
    found = planned(root)
    kinds = ["error label-columns"] * 4 + ["error box-inverted"]
    assert sorted(said(found)) == sorted(kinds)
    label = root / "projects/example_01/data/d/labels/a.txt"
    assert [(one.file, one.line) for one in found[:3]] == [(label, 2), (label, 3), (label, 4)]
    (more,) = [one for one in found if one.message == "2 more like this in d"]
    assert (more.code, more.hint) == (
        "label-columns", "taorunner dataset check d -p example_01 shows them",
    )  # fmt: skip
    assert planned(root, "evaluate") == []
    validated = validate_projects(Workspace(root), ["example_01"], {"HOME": "/nowhere"})
    assert [one for one in validated if one.code in OF_DATASETS] == found


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
    assert value["counts"] == {"error label-columns": 1}
    kept.write_text(json.dumps({**value, "counts": {"error label-columns": 7}}))
    (same, more) = planned(root)
    assert same == first and more.message == "4 more like this in d"
    kept.write_text("{")
    assert planned(root) == [first]
    label = root / "projects/example_01/data/d/labels/a.txt"
    label.write_text(GOOD)
    os.utime(label, ns=(1, 1))
    assert planned(root) == []
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_a_dataset_of_many_experiments_is_looked_at_once(workspace_factory: Callable[..., Path]) -> None:
    root = workspace(workspace_factory, GOOD + "car 0\n")
    folder = root / "projects/example_01/data/d"
    preflight = DatasetPreflight(Workspace(root))
    found = [answers(root, preflight)]
    (folder / "labels/a.txt").write_text(GOOD)  # within one command the first look counts
    found.append(list(preflight.findings("example_01", [reading(root, name) for name in ("f", "g")])))
    assert [said(each) for each in found] == [["error label-columns"]] * 2
    assert answers(root) == []


def test_experiments_that_read_the_data_in_other_ways_are_each_answered(
    workspace_factory: Callable[..., Path],
) -> None:
    root = workspace(workspace_factory, GOOD)
    other = reading(root, "f")
    readings = [reading(root), replace(other, needs=replace(other.needs, input_size=(512, 512)))]
    for _ in range(2):  # the second answer is a kept one
        found = list(DatasetPreflight(Workspace(root)).findings("example_01", readings))
        assert [(one.code, one.file) for one in found] == [("image-size", other.needs.spec)]


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
    assert not has_errors(planned(root))
    train = root / "projects/example_01/specs/e/train.yaml"
    train.write_text(spec.replace("image_dir: $dataset_raw/north, ", ""))
    assert said(one for one in planned(root) if one.is_error) == ["error picture-ambiguous"]


def test_a_large_dataset_is_named_until_dataset_check_has_answered(
    workspace_factory: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = workspace(workspace_factory, GOOD + "car 0\n")
    folder = root / "projects/example_01/data/d"

    def asked() -> list[Finding]:
        return answers(root, DatasetPreflight(Workspace(root), max_files=1))

    (unchecked,) = asked()
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
    report = check_dataset(folder)
    preflight.keep("example_01", [reading(root)], report.findings, report.images)
    assert report.images == 1
    assert said(asked()) == ["error label-columns"]
    (folder / "labels/a.txt").write_text(GOOD + "car 0 0\n")
    assert asked() == [unchecked]


def test_a_folder_that_takes_too_long_to_list_is_named(workspace_factory: Callable[..., Path]) -> None:
    root = workspace(workspace_factory, GOOD)
    folder = root / "projects/example_01/data/d"
    for number in range(1000):
        (folder / f"labels/{number}.txt").write_text("")
    times = iter((0.0, 60.0))
    (unchecked,) = answers(root, DatasetPreflight(Workspace(root), clock=lambda: next(times)))
    assert (
        unchecked.message == 'the dataset "d" was not checked: it has more than 1,000 files, or a slow drive'
    )


def test_force_starts_despite_the_data_and_says_so_in_the_plan(
    workspace_factory: Callable[..., Path],
) -> None:
    root = workspace(workspace_factory, GOOD + "car 0\n")
    records = root / "projects/example_01/models/e/dataset_convert"
    caller = Caller(1000, 1000, (4,), "ada", {"HOME": "/nowhere"})
    request = ActionRequest("train", ("e",))
    refused = plan_action(Workspace(root), "example_01", request, caller)
    assert refused.items == ()
    with pytest.raises(UserFilesError):
        refused.raise_for_errors()
    forced = plan_action(Workspace(root), "example_01", replace(request, force=True), caller)
    forced.raise_for_errors(is_forced=True)
    (item,) = forced.items
    assert item.plan.forced == ("label-columns",) and set(refused.findings) == set(forced.findings)
    assert not records.exists()


def test_force_passes_no_error_of_the_spec(workspace_factory: Callable[..., Path]) -> None:
    root = workspace(workspace_factory, GOOD + "car 0\n")
    (root / "projects/example_01/specs/e/train.yaml").write_text("results_dir: $nothing\n")
    caller = Caller(1000, 1000, (4,), "ada", {"HOME": "/nowhere"})
    request = ActionRequest("train", ("e",), force=True)
    found = plan_action(Workspace(root), "example_01", request, caller)
    assert found.items == ()
    with pytest.raises(UserFilesError):
        found.raise_for_errors(is_forced=True)


def test_every_code_of_the_check_of_datasets_can_be_forced() -> None:
    """What is written as a code in the readers and checks is listed; infos are not."""
    source = Path(run.__file__).parents[1]
    listed = FORCEABLE | {"class-histogram"}
    codes: set[str] = set()
    for part in ("checks", "formats"):
        for path in (source / part).rglob("*.py"):
            codes.update(re.findall(r'Severity\.(?:ERROR|WARNING), "([a-z0-9-]+)"', path.read_text()))
            codes.update(re.findall(r'\.(?:error|warning)\(\s*"([a-z0-9-]+)"', path.read_text()))
    assert len(codes) > 60 and codes - listed == set()
