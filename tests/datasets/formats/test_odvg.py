"""ODVG as TAO's own loader takes it, and the COCO file beside it that its networks validate on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shapes import CLASSES, IMAGES, SHAPES, write_image

from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.split import split_dataset
from taorunner.errors import UserFilesError

ODVG_LINE = {"height": 30, "width": 40, "detection": {"instances": [
    {"bbox": [1, 1, 20, 20], "label": 0, "category": "car"},
]}}  # fmt: skip


def loaded_by_tao(lines: Path, label_map: Path, images: Path) -> list[tuple[Path, list[str]]]:
    """What a loader that indexes "file_name" and looks each label up in the map finds, or its KeyError."""
    names = json.loads(label_map.read_text())
    found = []
    for line in lines.read_text().splitlines():
        meta = json.loads(line)
        labels = [names[str(one["label"])] for one in meta["detection"]["instances"]]
        found.append((images / meta["file_name"], labels))
    return found


@pytest.mark.parametrize("subset", ["train", "val"])
def test_what_is_written_is_what_the_loader_indexes(subset: str, tmp_path: Path) -> None:
    SHAPES["coco"][1](tmp_path / "source")
    convert(tmp_path / "source", tmp_path / "made", to="odvg")
    part = tmp_path / "made" / subset
    found = loaded_by_tao(part / "annotations.jsonl", part / "label_map.json", part / "images")
    assert all(path.is_file() for path, _ in found)
    wanted = sorted(sorted(box[0] for box in boxes) for of, _, _, boxes in IMAGES.values() if of == subset)
    assert sorted(sorted(labels) for _, labels in found) == wanted


@pytest.mark.parametrize("key", ["file_name", "filename"])
def test_both_spellings_of_the_key_are_read(key: str, tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.jpg", 40, 30)
    (tmp_path / "lines.jsonl").write_text(json.dumps({key: "a.jpg", **ODVG_LINE}) + "\n")
    dataset = read_dataset(tmp_path)
    assert (dataset.format, [image.path.name for image in dataset.images]) == ("odvg", ["a.jpg"])
    assert [box.name for box in dataset.images[0].boxes] == ["car"]


def test_a_line_without_a_name_says_which_key_it_needs(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.jpg", 40, 30)
    lines = [{"file_name": "a.jpg", **ODVG_LINE}, ODVG_LINE]
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (finding,) = read_dataset(tmp_path).findings
    assert (finding.code, finding.line, finding.message) == ("odvg-line", 2, 'a line needs "file_name"')


def test_coco_beside_the_lines_has_the_ids_of_the_label_map(tmp_path: Path) -> None:
    """Their networks train on the lines and validate on COCO, whose ids are places in the prompt."""
    SHAPES["coco"][1](tmp_path / "source")
    convert(tmp_path / "source", tmp_path / "made", to="odvg")
    for subset in ("train", "val"):
        part = tmp_path / "made" / subset
        document = json.loads((part / "annotations.json").read_text())
        names = json.loads((part / "label_map.json").read_text())
        assert {str(c["id"]): c["name"] for c in document["categories"]} == names
        assert list(names.values()) == list(CLASSES)
        assert {a["category_id"] for a in document["annotations"]} <= set(range(len(CLASSES)))
        assert all((part / "images" / image["file_name"]).is_file() for image in document["images"])


RUNS = {"size": [30, 40], "counts": [0, 30, 1170]}


@pytest.mark.parametrize(
    ("outline", "mask"),
    [
        ([[1, 1, 20, 1, 20, 15.5]], [[1, 1, 20, 1, 20, 15.5]]),
        ([1, 1, 20, 1, 20, 15.5], [[1, 1, 20, 1, 20, 15.5]]),
        (RUNS, RUNS),
    ],
)
def test_outlines_become_the_masks_that_mask_grounding_dino_reads(
    outline: object, mask: object, tmp_path: Path
) -> None:
    """A list of polygons or run lengths, and an id for each picture.

    Source: tao-pytorch 7.0.1 cv/mask_grounding_dino/dataloader/odvg.py.
    """
    root = tmp_path / "source"
    document = {
        "images": [{"id": 7 + n, "file_name": f"{n}.jpg"} for n in range(2)],
        "annotations": [
            {"image_id": 7 + n, "category_id": 1, "bbox": [1, 1, 19, 14.5], "segmentation": outline}
            for n in range(2)
        ],
        "categories": [{"id": 1, "name": "car"}],
    }
    for number in range(2):
        write_image(root / f"{number}.jpg", 40, 30)
    (root / "a.json").write_text(json.dumps(document))
    convert(root, tmp_path / "made", to="odvg")
    (path,) = (tmp_path / "made").rglob("annotations.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["image_id"] for line in lines] == [0, 1]
    assert [one["mask"] for line in lines for one in line["detection"]["instances"]] == [mask, mask]
    again = read_dataset(tmp_path / "made")
    assert [box.segmentation for image in again.images for box in image.boxes] == [mask, mask]


def test_lines_and_coco_of_one_folder_are_one_dataset(tmp_path: Path) -> None:
    SHAPES["coco"][1](tmp_path / "source")
    made = convert(tmp_path / "source", tmp_path / "made", to="odvg")
    dataset = read_dataset(tmp_path / "made")
    assert (dataset.format, len(dataset.images), dataset.findings) == ("odvg", made.images_after, ())
    shares = {"train": 0.5, "val": 0.5}
    split = split_dataset(tmp_path / "made", tmp_path / "split", shares=shares, seed=1, merge=True)
    assert (split.format, split.target) == ("odvg", "odvg")
    assert (tmp_path / "split/val/annotations.json").is_file()


def test_lines_and_coco_of_different_folders_stay_two_formats(tmp_path: Path) -> None:
    SHAPES["coco"][1](tmp_path / "both/one")
    convert(tmp_path / "both/one", tmp_path / "both/two", to="odvg")
    with pytest.raises(UserFilesError, match="several formats: coco, odvg"):
        read_dataset(tmp_path / "both")
