"""``dataset check`` as a person types it: exit codes, JSON, the screen, the specs of the project, the repair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from command_line import Cli
from shapes import write_image

GOOD = "car 0 0 0 10 10 60 40 0 0 0 0 0 0 0\n"


def kitti(root: Path, labels: dict[str, str]) -> Path:
    for number, (stem, text) in enumerate(labels.items()):
        write_image(root / "images" / f"{stem}.jpg", 64 + number, 48)
        (root / "labels").mkdir(exist_ok=True)
        (root / "labels" / f"{stem}.txt").write_text(text)
    return root


def test_findings_come_with_their_place_and_exit_code(cli: Cli) -> None:
    kitti(cli.home / "good", {"a": GOOD})
    done = cli("dataset", "check", "good")
    assert (done.code, done.out.splitlines()[-1], done.err) == (0, "no problems", "")
    kitti(cli.home / "bad", {"a": GOOD + "car 0 0\n", "b": "car 0 0 0 30 10 20 40 0 0 0 0 0 0 0\n"})
    done = cli("dataset", "check", "bad")
    assert done.code == 3
    assert "bad/labels/a.txt:2: error: 3 columns, not 15 [label-columns]" in done.out
    assert (
        "bad/labels/b.txt:1:11: error: the box 30 10 20 40 has its corners swapped [box-inverted]" in done.out
    )
    assert done.out.splitlines()[-1] == "2 errors"
    done = cli("dataset", "check", "bad", "--json")
    assert done.code == 3
    assert [(f["severity"], f["code"], f["line"]) for f in done.json] == [
        ("info", "not-checked", None), ("info", "class-histogram", None), ("error", "label-columns", 2),
        ("error", "box-inverted", 1),
    ]  # fmt: skip


def test_one_kind_of_finding_does_not_fill_the_screen(cli: Cli) -> None:
    kitti(cli.home / "bad", {f"n{i:02}": "car 0 0\n" for i in range(25)})
    out = cli("dataset", "check", "bad").out
    assert (out.count("[label-columns]"), "\n  … and 22 more [label-columns]\n" in out) == (4, True)
    assert out.splitlines()[-1] == "1 error (25 places); all: -v or --json"
    assert cli("dataset", "check", "bad", "--full").out.count("[label-columns]") == 25


def test_the_specs_of_the_project_count(cli: Cli, workspace_factory: Callable[..., Path]) -> None:
    mapping = (
        'dataset_config { data_sources { tfrecords_path: "$tfrecords/tfrecord*" } '
        'target_class_mapping { key: "cat" value: "cat" } }\n'
    )
    root = workspace_factory(
        "experiments:\n  e: {head: ssd, backbone: resnet18, repository: r, model_key: k, dataset: d}\n",
        specs={
            "e/train.txt": mapping + "augmentation_config { output_width: 64 output_height: 48 }\n",
            "e/convert.txt": 'kitti_config { root_directory_path: "$dataset_raw" image_dir_name: "images" '
            'label_dir_name: "labels" image_extension: ".png" }\n',
        },
    )
    (project,) = (root / "projects").iterdir()
    kitti(project / "data/d", {"a": GOOD})
    done = cli("dataset", "check", "d", "-p", project.name, "--json", cwd=root)
    assert (done.code, done.err) == (3, "")
    assert [(f["code"], Path(f["file"]).name) for f in done.json if f["severity"] == "error"] == [
        ("image-extension", "convert.txt"), ("no-class-in-dataset", "train.txt"),
    ]  # fmt: skip


def test_fix_repairs_and_says_what_is_left(cli: Cli) -> None:
    kitti(cli.home / "bad", {"a": GOOD + GOOD, "b": GOOD.replace("\n", " 0.5\n")})
    done = cli("dataset", "check", "bad", "--fix", "-o", "made")
    assert (done.code, done.out.splitlines()[-1]) == (0, "no problems")
    assert "2 label files corrected" in done.err
    assert (cli.home / "made/labels/a.txt").read_text() == GOOD
    assert cli("dataset", "check", "bad", "--fix", "-o", "made").code == 2
    assert cli("dataset", "check", "bad", "-o", "made").code == 2
    assert cli("dataset", "check", "bad", "--fix").code == 0
    assert (cli.home / "bad.before-fix/labels/a.txt").read_text() == GOOD + GOOD
    again = cli("dataset", "check", "bad", "--fix", "--json")
    assert [(f["message"], f["hint"], f["file"]) for f in again.json if f["code"] == "repaired"] == [
        ("0 label files corrected; 0 empty ones written; 0 images renamed",
         f"backup: {cli.home / 'bad.before-fix-2'}", str(cli.home / "bad")),
    ]  # fmt: skip


def test_a_folder_that_is_no_dataset(cli: Cli) -> None:
    (cli.home / "empty").mkdir()
    done = cli("dataset", "check", "empty")
    assert (done.code, "has no annotations in a known format" in done.err) == (3, True)
