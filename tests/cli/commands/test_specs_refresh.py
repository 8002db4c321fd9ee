"""``specs refresh`` as a person uses it, after the dataset has changed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, Cli
from PIL import Image
from pseudo_terminal import PseudoTerminal

CLASSES = ("bolt", "nut", "washer", "clip")
TRAIN = "projects/parts/specs/rtdetr_01/train.yaml"
EXPERIMENTS = "projects/parts/experiments.yml"
COUNT, COUNT_COMMENT = "num_classes: $num_classes", "  # the largest category_id + 1: vars in experiments.yml"
COLORS_COMMENT = "  # a colour for every class, as {name: green}"
SHADES = {"train": 90, "val": 180}
"""A colour channel in which the subsets differ: no image is in both."""


def coco(data: Path, classes: tuple[str, ...] = CLASSES, images: int = 24) -> None:
    for subset in ("train", "val"):
        folder = data / subset / "images"
        folder.mkdir(parents=True, exist_ok=True)
        rows, boxes = [], []
        for number in range(images):
            file = folder / f"{subset}{number:03}.jpg"
            if not file.exists():
                Image.new("RGB", (192, 108), (number * 4, SHADES[subset], 90)).save(file)
            rows.append({"id": number, "file_name": file.name, "width": 192, "height": 108})
            boxes.append({"id": number, "image_id": number, "category_id": number % len(classes) + 1, "area": 600,
                          "bbox": [9, 9, 30, 20], "iscrowd": 0})  # fmt: skip
        categories = [{"id": index, "name": name} for index, name in enumerate(classes, start=1)]
        document = {"images": rows, "annotations": boxes, "categories": categories}
        (data / subset / "annotations.json").write_text(json.dumps(document))
        (data / subset / "label_map.txt").write_text("".join(f"{name}\n" for name in classes))
        (data / subset / "label_map_from_0.txt").write_text("".join(f"{name}\n" for name in ("-", *classes)))


def kitti(data: Path, classes: tuple[str, ...], images: int = 40) -> None:
    for subset in ("train", "val"):
        for part in ("images", "labels"):
            (data / subset / part).mkdir(parents=True, exist_ok=True)
        for number in range(images):
            image = Image.new("RGB", (192, 112), (number, SHADES[subset], 90))
            image.save(data / subset / f"images/{number:03}.png")
            label = f"{classes[number % len(classes)]} 0.0 0 0.0 9 9 60 70 0 0 0 0 0 0 0\n"
            (data / subset / f"labels/{number:03}.txt").write_text(label)


@pytest.fixture
def parts(cli: Cli, tmp_path: Path) -> Path:
    """A workspace whose project fits its data."""
    root = tmp_path / "ws"
    root.mkdir()
    cli("init-project", "parts", "--head", "rtdetr", "--dataset", "parts", "--no-weights", cwd=root)
    coco(root / "projects/parts/data/parts")
    done = cli("specs", "refresh", "rtdetr_01", "--yes", cwd=root)
    assert (done.code, done.err.splitlines()[-1].partition(" ")[0]) == (0, "changed")
    return root


def files_of(root: Path) -> dict[str, bytes]:
    below = root / "projects/parts"
    files = [*(below / "specs").rglob("*"), below / "experiments.yml"]
    return {str(file.relative_to(root)): file.read_bytes() for file in files if file.is_file()}


def changed_lines(before: bytes, after: bytes) -> list[tuple[str, str]]:
    old, new = before.decode().splitlines(), after.decode().splitlines()
    assert len(old) == len(new)
    return [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]


def test_nothing_to_do(cli: Cli, parts: Path) -> None:
    before = files_of(parts)
    done = cli("specs", "refresh", "rtdetr_01", cwd=parts)
    assert (done.code, done.out, done.err) == (0, "rtdetr_01 is up to date\n", "")
    assert files_of(parts) == before
    assert cli("validate", "parts", cwd=parts).code == 0


def test_a_new_class_is_shown_and_not_written(cli: Cli, parts: Path) -> None:
    before = files_of(parts)
    coco(parts / "projects/parts/data/parts", (*CLASSES, "hook"), images=30)
    found = cli("validate", "parts", cwd=parts)
    assert "num_classes is 5, the data needs 6: train/annotations.json has category ids 1 to 5" in found.out
    assert "taorunner specs refresh rtdetr_01" in found.out
    done = cli("specs", "refresh", "rtdetr_01", cwd=parts)
    assert done.code == 0 and files_of(parts) == before
    first, kept, last = done.err.splitlines()
    assert first == "data/parts changed: 60 images, 4 → 5 classes (new: hook)"
    assert re.fullmatch(r"\d+ keys of your own stay as they are\.", kept) and last == "not written; add --yes"
    numbers = {
        name: next(n for n, line in enumerate(before[name].decode().splitlines(), 1) if key in line)
        for name, key in ((TRAIN, "color_map:"), (EXPERIMENTS, "      num_classes:"))
    }
    colors = "  color_map: {bolt: green, nut: orange, washer: blue, clip: red"
    assert done.out == (
        f"--- {TRAIN}\n+++ {TRAIN}\n@@ -{numbers[TRAIN]} +{numbers[TRAIN]} @@\n"
        f"-{colors}}}{COLORS_COMMENT}\n+{colors}, hook: purple}}{COLORS_COMMENT}\n"
        f"--- {EXPERIMENTS}\n+++ {EXPERIMENTS}\n@@ -{numbers[EXPERIMENTS]} +{numbers[EXPERIMENTS]} @@\n"
        "-      num_classes: 5         # the largest category_id + 1\n"
        "+      num_classes: 6         # the largest category_id + 1\n"
    )


def test_a_class_with_the_name_of_a_colour_has_that_colour(cli: Cli, parts: Path) -> None:
    """Unless another class has it already, which keeps it."""
    coco(parts / "projects/parts/data/parts", (*CLASSES, "teal", "Pink", "green"), images=30)
    assert cli("specs", "refresh", "rtdetr_01", "--yes", cwd=parts).code == 0
    found = re.search(r"color_map: \{(.*?)\}", (parts / TRAIN).read_text())
    assert found is not None
    colors = dict(pair.split(": ") for pair in found[1].split(", "))
    assert (colors["bolt"], colors["teal"], colors["Pink"]) == ("green", "teal", "pink")
    assert len(set(colors.values())) == len(colors) == 7


def test_the_difference_is_what_patch_takes(cli: Cli, parts: Path, tmp_path: Path) -> None:
    coco(parts / "projects/parts/data/parts", (*CLASSES, "hook"))
    for name in (TRAIN, EXPERIMENTS):
        file = parts / name
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n").removesuffix(b"\r\n"))
    done = cli("specs", "refresh", "rtdetr_01", cwd=parts)
    copy = tmp_path / "copy"
    shutil.copytree(parts, copy, symlinks=True)
    subprocess.run(
        ["patch", "-p0", "--binary"], cwd=copy, input=done.out.encode(), check=True, capture_output=True
    )
    assert cli("specs", "refresh", "rtdetr_01", "--yes", cwd=parts).code == 0
    assert files_of(copy) == files_of(parts)
    assert f"hook: purple}}{COLORS_COMMENT}\r\n".encode() in (parts / TRAIN).read_bytes()
    assert b"num_classes: 6         # the largest category_id + 1\r\n" in (parts / EXPERIMENTS).read_bytes()


def test_writing_changes_nothing_else(cli: Cli, parts: Path) -> None:
    spec = parts / TRAIN
    spec.write_text(
        spec.read_text()
        .replace("num_queries: 300", "num_queries: 250   # mine")
        .replace("bolt: green", "bolt: pink")
    )
    spec.chmod(0o640)
    before = files_of(parts)
    coco(parts / "projects/parts/data/parts", (*CLASSES, "hook"))
    done = cli("specs", "refresh", "rtdetr_01", "--yes", cwd=parts)
    assert done.code == 0 and "not written" not in done.err
    after = files_of(parts)
    assert changed_lines(before[TRAIN], after[TRAIN]) == [
        (f"  color_map: {{bolt: pink, nut: orange, washer: blue, clip: red}}{COLORS_COMMENT}",
         f"  color_map: {{bolt: pink, nut: orange, washer: blue, clip: red, hook: green}}{COLORS_COMMENT}"),
    ]  # fmt: skip
    assert changed_lines(before[EXPERIMENTS], after[EXPERIMENTS]) == [
        ("      num_classes: 5         # the largest category_id + 1",
         "      num_classes: 6         # the largest category_id + 1"),
    ]  # fmt: skip
    assert {name for name in after if after[name] != before[name]} == {TRAIN, EXPERIMENTS}
    assert spec.stat().st_mode & 0o777 == 0o640
    assert cli("specs", "refresh", "rtdetr_01", cwd=parts).out == "rtdetr_01 is up to date\n"
    assert cli("validate", "parts", cwd=parts).code == 0


def test_a_line_without_a_comment_gets_the_reason(cli: Cli, parts: Path) -> None:
    spec = parts / TRAIN
    spec.write_text(spec.read_text().replace(COUNT + COUNT_COMMENT, "num_classes: 9"))
    cli("specs", "refresh", "rtdetr_01", "--yes", cwd=parts)
    assert "\n  num_classes: 5  # largest category_id, plus 1\n" in spec.read_text()


@pytest.mark.parametrize(("answer", "is_written"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_it_asks_on_a_terminal(cli: Cli, parts: Path, answer: str, is_written: bool) -> None:
    coco(parts / "projects/parts/data/parts", (*CLASSES, "hook"))
    before = files_of(parts)
    terminal = PseudoTerminal(
        [*PROGRAM, "specs", "refresh", "rtdetr_01"], cwd=parts, env=cli.environment({"TERM": "xterm"})
    )
    terminal.wait_for(r"\x1b\[32m\+      num_classes: 6")
    terminal.wait_for(r"keys of your own stay as they are\. Write this change\? \[y/N\] ")
    terminal.type(answer)
    assert terminal.end() == 0
    assert (files_of(parts) != before) == is_written


def test_json_says_what_changes(cli: Cli, parts: Path) -> None:
    coco(parts / "projects/parts/data/parts", (*CLASSES, "hook"))
    found = cli("specs", "refresh", "rtdetr_01", "--json", cwd=parts).json
    assert found["written"] is False and found["experiment"] == "rtdetr_01"
    (count,) = [one for one in found["changes"] if one["key"] == "$num_classes"]
    assert (count["old"], count["new"], count["reason"]) == (5, 6, "largest id 5, plus 1")
    (colors,) = [one for one in found["changes"] if one["key"] == "inference.color_map"]
    assert colors["file"] == str(parts / TRAIN) and colors["new"][-1] == ["hook", "purple"]
    assert [one["file"] for one in found["files"]] == [str(parts / TRAIN), str(parts / EXPERIMENTS)]
    assert cli("specs", "refresh", "rtdetr_01", "--json", "--yes", cwd=parts).json["written"] is True
    assert cli("specs", "refresh", "rtdetr_01", "--json", cwd=parts).json["changes"] == []


# inherited values


def with_experiments(root: Path, text: str) -> None:
    (root / EXPERIMENTS).write_text(text)


def test_what_is_inherited_is_changed_where_it_is_written(cli: Cli, parts: Path) -> None:
    with_experiments(
        parts,
        "# ours\nexperiments:\n  rtdetr_01: {head: rtdetr, dataset: parts, vars: {num_classes: 5}}  # the first\n"
        "  rtdetr_02:\n    extends: rtdetr_01\n    gpus: 1\n  other: {head: rtdetr, dataset: parts}\n",
    )
    for name in ("quantize", "distill"):
        other = (parts / TRAIN).with_name(f"{name}.yaml")
        text = other.read_text()
        assert text.count(COUNT) == 1
        other.write_text(text.replace(COUNT, "num_classes: ${num_classes}"))
    before = files_of(parts)
    coco(parts / "projects/parts/data/parts", (*CLASSES, "hook"))
    done = cli("specs", "refresh", "rtdetr_02", "--yes", cwd=parts)
    assert done.code == 0, done.err
    after = files_of(parts)
    assert changed_lines(before[EXPERIMENTS], after[EXPERIMENTS]) == [
        ("  rtdetr_01: {head: rtdetr, dataset: parts, vars: {num_classes: 5}}  # the first",
         "  rtdetr_01: {head: rtdetr, dataset: parts, vars: {num_classes: 6}}  # the first"),
    ]  # fmt: skip
    assert [new for _, new in changed_lines(before[TRAIN], after[TRAIN])] == [
        f"  color_map: {{bolt: green, nut: orange, washer: blue, clip: red, hook: purple}}{COLORS_COMMENT}"
    ]
    assert "projects/parts/experiments.yml is also used by rtdetr_01" in done.err
    assert f"{TRAIN} is also used by rtdetr_01" in done.err
    assert cli("specs", "refresh", "rtdetr_01", cwd=parts).out == "rtdetr_01 is up to date\n"


def test_a_variable_without_a_value_gets_one(cli: Cli, parts: Path) -> None:
    with_experiments(parts, "experiments:\n  rtdetr_01:\n    head: rtdetr\n    dataset: parts  # ours\n")
    spec = parts / TRAIN
    spec.write_text(spec.read_text().replace(f"{COUNT} ", 'num_classes: "$num_classes" '))
    assert cli("specs", "refresh", "rtdetr_01", "--yes", cwd=parts).code == 0
    text = (parts / EXPERIMENTS).read_text()
    assert text.endswith("    dataset: parts  # ours\n    vars:\n      num_classes: 5\n")
    assert 'num_classes: "$num_classes"' in spec.read_text()
    assert cli("validate", "parts", cwd=parts).code == 0


def test_overrides_stay_and_are_named(cli: Cli, parts: Path) -> None:
    with_experiments(
        parts,
        "experiments:\n  rtdetr_01: {head: rtdetr, dataset: parts, overrides: {dataset.num_classes: 5}}\n",
    )
    coco(parts / "projects/parts/data/parts", (*CLASSES, "hook"))
    done = cli("specs", "refresh", "rtdetr_01", "--yes", cwd=parts)
    assert (
        '"dataset.num_classes" is set in the overrides of experiments.yml, which win over the spec and stay'
        in done.err
    )
    found = cli("validate", "parts", "--json", cwd=parts).json
    (count,) = [one for one in found if one["code"] == "too-few-classes"]
    assert count["hint"] == "set it to 6"


# protobuf text


def test_a_new_class_in_every_block_of_detectnet_v2(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    done = cli(
        "init-project",
        "yard",
        "--head",
        "detectnet_v2",
        "--dataset",
        "yard/train",
        "--experiment",
        "e",
        cwd=root,
    )
    assert done.code == 0
    data = root / "projects/yard/data/yard"
    kitti(data, ("car", "truck"))
    weights = root / "repositories/pretrained_detectnet_v2/pretrained_detectnet_v2_vresnet18/weights.hdf5"
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert cli("specs", "refresh", "e", "--yes", cwd=root).code == 0
    spec = root / "projects/yard/specs/e/train.txt"
    mine = spec.read_text().replace(
        'target_class_mapping { key: "truck" value: "truck" }', 'target_class_mapping { key: "truck" value: "car" }  # one kind'
    ).replace("coverage_foreground_weight: 0.05", "coverage_foreground_weight: 0.07  # tuned", 1)  # fmt: skip
    mine = re.sub(r"output_image_width: \d+ ", "output_image_width: 480 ", mine)
    spec.write_text(mine)
    assert cli("specs", "refresh", "e", "--yes", cwd=root).code == 0
    once = spec.read_text()
    assert 'key: "truck" value: "car" }  # one kind' in once and '"truck"' not in once.replace(
        'key: "truck" value: "car"', ""
    )
    assert once.count("coverage_foreground_weight: 0.07  # tuned") == 1 and "output_image_width: 480 " in once
    kitti(data, ("car", "truck", "forklift"))
    done = cli("specs", "refresh", "e", "--yes", cwd=root)
    assert done.err.splitlines()[0] == (
        "data/yard/train changed: 80 images (40 in train, 40 in val), 2 → 3 classes (new: forklift)"
    )
    text = spec.read_text()
    assert re.findall(r'key: "(\w+)" value: "(\w+)"', text) == [
        ("car", "car"),
        ("truck", "car"),
        ("forklift", "forklift"),
    ]
    blocks = re.findall(r'target_classes \{\n    name: "(\w+)"', text)
    assert blocks == ["car", "forklift"]
    without = re.sub(r"#.*", "", text)
    assert without.count('"forklift"') == 2 + 5
    assert cli("specs", "refresh", "e", cwd=root).out == "e is up to date\n"
    assert cli("validate", "yard", cwd=root).code == 0, cli("validate", "yard", cwd=root).out


# wrong input


def damaged(root: Path) -> None:
    (root / "projects/parts/data/parts/train/annotations.json").write_text('{"images": [')


def no_dataset(root: Path) -> None:
    shutil.rmtree(root / "projects/parts/data/parts")


def broken_spec(root: Path) -> None:
    (root / TRAIN).write_text("dataset:\n  num_classes: [4\n")


def no_specs(root: Path) -> None:
    shutil.rmtree(root / "projects/parts/specs/rtdetr_01")


def other_encoding(root: Path) -> None:
    (root / TRAIN).write_bytes(b"# \xff\n")


WRONG: Mapping[str, Any] = {
    "damaged dataset": (damaged, "json-syntax"),
    "no dataset": (no_dataset, "missing-dataset"),
    "broken spec": (broken_spec, "train.yaml"),
    "no specs": (no_specs, "has no spec files"),
    "encoding": (other_encoding, "is not text in UTF-8"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_input_is_named(kind: str, cli: Cli, parts: Path) -> None:
    spoil, said = WRONG[kind]
    spoil(parts)
    before = files_of(parts)
    done = cli("specs", "refresh", "rtdetr_01", "--yes", cwd=parts)
    assert (done.code, done.out) == (3, "") and said in done.err and "Traceback" not in done.err
    assert files_of(parts) == before


def test_an_unknown_experiment(cli: Cli, parts: Path) -> None:
    done = cli("specs", "refresh", "rtdetr_1", cwd=parts)
    assert done.code == 2 and "rtdetr_01" in done.err


def test_a_network_of_the_workspace_has_the_rules_of_the_one_it_is_like(cli: Cli, parts: Path) -> None:
    (parts / "networks").mkdir(exist_ok=True)
    (parts / "networks/mine.yml").write_text("like: rtdetr\n")
    with_experiments(parts, "experiments:\n  rtdetr_01: {head: mine, dataset: parts}\n")
    coco(parts / "projects/parts/data/parts", (*CLASSES, "hook"))
    done = cli("-q", "specs", "refresh", "rtdetr_01", "--yes", cwd=parts)
    assert (done.code, done.err) == (0, "") and "vars: {num_classes: 6}}" in done.out


def test_a_network_of_which_nothing_is_known(cli: Cli, parts: Path) -> None:
    with_experiments(parts, "experiments:\n  e: {head: clip, dataset: parts}\n")
    done = cli("specs", "refresh", "e", cwd=parts)
    assert done.code == 3 and 'nothing in the specs of "clip" is known to follow from the data' in done.err
