"""Networks for masks, from ``init-project`` and ``dataset split`` on: what their loaders make of the masks, and what
the check says of them. The loaders' rules are written here once more, as their sources have them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filled_in import fill_in
from PIL import Image
from ruamel.yaml import YAML

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.transform.split import split_dataset
from taorunner.planning.new_project import new_project
from taorunner.planning.validate import dataset_findings
from taorunner.project.workspace import Workspace

COLOURS = {0: (0, 0, 0), 1: (255, 0, 0), 2: (0, 0, 255)}


def mask(path: Path, mode: str, values: Sequence[int]) -> None:
    """Columns of the given values; in RGB each value is a colour."""
    pixels = np.repeat(np.array(values, dtype=np.uint8)[None, :], 8, axis=0).repeat(6, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "RGB":
        Image.fromarray(np.array([COLOURS[value] for value in range(3)], dtype=np.uint8)[pixels]).save(path)
    elif mode == "P":
        made = Image.fromarray(pixels).convert("P")
        made.putdata(pixels.flatten().tolist())
        made.putpalette([part for colour in COLOURS.values() for part in colour])
        made.save(path)
    else:
        Image.fromarray(pixels).save(path)


def dataset(root: Path, mode: str, values: Sequence[int]) -> Path:
    for number in range(10):
        size = (6 * len(values), 8)
        image_file = root / "images" / f"n{number:02}.jpg"
        image_file.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise(size, 20 + number).convert("RGB").save(image_file)
        mask(root / "masks" / f"n{number:02}.png", mode, values)
    return root


def project(root: Path, head: str) -> tuple[Workspace, Path, Path]:
    """A new project of that head: its workspace, its training spec and the folder for its dataset."""
    new_project(root, root, "new", head=head, backbone=None, experiment="e", dataset="set")
    fill_in(root / "projects/new")
    folder = root / "projects/new"
    (spec,) = folder.glob("specs/e/train.*")
    return Workspace(root), spec, folder / "data/set"


def segment(spec: Path) -> Any:
    return YAML(typ="safe").load(spec.read_text())["dataset"]["segment"]


def classes_that_segformer_sees(config: Mapping[str, Any], root: Path, split: str) -> set[int]:
    """One list of images and one of masks, both sorted; a pixel gets the label of the entry whose colour it has."""
    image_files, masks = (sorted((root / kind / split).iterdir()) for kind in ("images", "masks"))
    assert [one.stem for one in image_files] == [one.stem for one in masks]
    colour_of = {one["seg_class"]: one["rgb"] for one in config["palette"]}
    label_of = {tuple(colour_of[one["mapping_class"]]): one["label_id"] for one in config["palette"]}
    is_coloured = len(next(iter(label_of))) == 3
    seen: set[int] = set()
    for path in masks:
        opened = Image.open(path)
        pixels = np.asarray(opened.convert("RGB") if is_coloured else opened).reshape(
            -1, 3 if is_coloured else 1
        )
        pixels = pixels // 255 if config["label_transform"] == "norm" else pixels
        labels = np.zeros(len(pixels), dtype=int)
        for colour, label in label_of.items():
            labels[(pixels == colour).all(axis=-1)] = label
        seen |= set(labels.tolist())
    return seen


def findings_of(workspace: Workspace, root: Path) -> list[tuple[str, str | None]]:
    """Errors of ``dataset check``: of what the specs say against the dataset, and of its files."""
    against, readings = dataset_findings(workspace, "new", root, {})
    found = check_dataset(root, needs=[one.needs for one in readings]).findings
    return [(one.code, one.hint) for one in (*against, *found) if one.is_error]


@pytest.mark.parametrize("mode", ["L", "P"])
def test_segformer_sees_all_classes_of_what_split_wrote(tmp_path: Path, mode: str) -> None:
    workspace, spec, folder = project(tmp_path / "ws", "segformer")
    folder.rmdir()
    split_dataset(
        dataset(tmp_path / "source", mode, (0, 1)), folder, shares={"train": 0.8, "val": 0.2}, seed=42
    )
    config = segment(spec)
    for split in (config["train_split"], config["validation_split"], config["predict_split"]):
        assert classes_that_segformer_sees(config, folder, split) == {0, 1}
    assert findings_of(workspace, folder) == []


PALETTES = {
    "gray": "[0] [1]",
    "three of gray": "[0,0,0] [1,1,1]",
    "colours": "[0,0,0] [255,0,0]",
    "white": "[0] [255]",
    "gray, three classes": "[0] [1] [2]",
}


def with_palette(spec: Path, name: str, norm: bool = False) -> Any:
    text = spec.read_text()
    entries = "".join(
        f"      - {{seg_class: c{number}, mapping_class: c{number}, label_id: {number}, rgb: {rgb}}}\n"
        for number, rgb in enumerate(PALETTES[name].split())
    )
    text = text.replace('label_transform: ""', f'label_transform: "{"norm" if norm else ""}"')
    spec.write_text(re.sub(r"    palette: .*\n", f"    palette:\n{entries}", text))
    return segment(spec)


@pytest.mark.parametrize(
    ("mode", "values", "palette", "norm"),
    [
        ("L", (0, 1), "gray", False), ("L", (0, 1), "three of gray", False), ("L", (0, 255), "gray", True),
        ("L", (0, 255), "white", False), ("RGB", (0, 1), "colours", False), ("P", (0, 1), "colours", False),
        ("L", (0, 1, 2), "gray, three classes", False),
    ],
)  # fmt: skip
def test_masks_that_segformer_reads_rightly_have_no_error(
    tmp_path: Path, mode: str, values: Sequence[int], palette: str, norm: bool
) -> None:
    workspace, spec, folder = project(tmp_path, "segformer")
    config = with_palette(spec, palette, norm)
    for split in ("train", "val"):
        for part in ("images", "masks"):
            source = dataset(tmp_path / split, mode, values)
            (folder / part).mkdir(exist_ok=True)
            (source / part).rename(folder / part / split)
    assert classes_that_segformer_sees(config, folder, "train") == set(range(len(values)))
    assert [code for code, _ in findings_of(workspace, folder) if code.startswith("mask")] == []


@pytest.mark.parametrize(
    ("mode", "values", "palette", "norm", "seen", "error", "hint"),
    [
        ("L", (0, 1), "colours", False, {0}, "mask-value", "list their values, such as [0], [1]"),
        ("L", (0, 255), "gray", False, {0}, "mask-value", "set dataset.segment.label_transform to norm"),
        ("L", (0, 1), "gray", True, {0}, "mask-background", "remove it"),
        ("L", (0, 1, 2), "gray", False, {0, 1}, "mask-value", "one entry for each"),
        ("RGB", (0, 1), "gray", False, None, "mask-mode", "one channel"),
        ("P", (0, 1), "three of gray", False, {0}, "mask-value", "one entry for each"),
    ],
)
def test_masks_that_segformer_reads_wrongly_are_reported_before_a_training(
    tmp_path: Path, mode: str, values: Sequence[int], palette: str, norm: bool, seen: set[int] | None,
    error: str, hint: str,
) -> None:  # fmt: skip
    workspace, spec, folder = project(tmp_path, "segformer")
    config = with_palette(spec, palette, norm)
    source = dataset(tmp_path / "source", mode, values)
    for part in ("images", "masks"):
        (folder / part).mkdir()
        (source / part).rename(folder / part / "train")
    if seen is not None:
        assert classes_that_segformer_sees(config, folder, "train") == seen
    found = [(code, said) for code, said in findings_of(workspace, folder) if code.startswith("mask")]
    assert {code for code, _ in found} == {error}
    assert hint in (found[0][1] or "")


def of_files(workspace: Workspace, folder: Path) -> list[str]:
    """Without what depends on the order in which the disk lists files, see ``mask_rules.pairs``."""
    codes = [code for code, _ in findings_of(workspace, folder)]
    return [code for code in codes if code != "pictures-with-other-masks"]


def test_unet_names_the_values_of_what_split_wrote(tmp_path: Path) -> None:
    workspace, spec, folder = project(tmp_path / "ws", "unet")
    folder.rmdir()
    split_dataset(
        dataset(tmp_path / "source", "L", (0, 1)), folder, shares={"train": 0.8, "val": 0.2}, seed=42
    )
    assert of_files(workspace, folder) == []
    for path in (folder / "masks/train").iterdir():
        mask(path, "L", (0, 2))
    assert of_files(workspace, folder) == ["mask-value"]
    spec.write_text(spec.read_text().replace("label_id: 1", "label_id: 2"))
    assert of_files(workspace, folder) == ["mask-value"]  # those of val have a 1
