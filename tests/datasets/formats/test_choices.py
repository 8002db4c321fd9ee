"""Where a dataset says two things, or says less than it seems to, nothing is chosen silently."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from shapes import write_image

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import Box, DetectionDataset
from taorunner.datasets.model.geometry import is_rectangle, is_upright
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.folder_datasets import lay_out
from taorunner.datasets.transform.split import split_dataset
from taorunner.errors import Severity, UserFilesError

BOX = "0 0.5 0.5 0.4 0.4\n"
YAML = "train: images\nnames: [car]\n"


def lay(root: Path, files: dict[str, str | None]) -> Path:
    """Texts by path; None is an image of 100x50."""
    for name, text in files.items():
        if text is None:
            write_image(root / name, 100, 50)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
    return root


def codes(dataset: DetectionDataset) -> list[str]:
    return [finding.code for finding in dataset.findings if finding.severity is not Severity.INFO]


def corners(box: Box) -> tuple[float, ...]:
    return tuple(round(value, 3) for value in (box.x_min, box.y_min, box.x_max, box.y_max))


ONE: dict[str, str | None] = {"images/a.jpg": None, "labels/a.txt": BOX}


@pytest.mark.parametrize(("files", "found"), [
    ({**ONE, "data.yaml": YAML, "other.yaml": "train: images\nnames: [bus]\n"}, ["descriptions-differ"]),
    ({**ONE, "data.yaml": YAML, "copy.yaml": YAML}, ["description-unread"]),
    ({**ONE, "data.yaml": YAML, "b/images/b.jpg": None, "b/labels/b.txt": BOX, "b/data.yaml": YAML},
     ["descriptions-differ", "picture-unlisted"]),
    ({**ONE, "classes.txt": "car\n", "labels/classes.txt": "bus\n"}, ["descriptions-differ"]),
    ({**ONE, "classes.txt": "car\n", "labels/classes.txt": "car\r\n"}, []),
    ({**ONE, "obj.data": "names = obj.names\ntrain = t.txt\n", "obj.names": "car\n", "t.txt": "images/a.jpg\n",
      "x.data": "names = x.names\ntrain = t.txt\n", "x.names": "bus\n"}, ["descriptions-differ"]),
    ({**ONE, "data.yaml": YAML, "more.zip": "PK"}, ["archive-unread"]),
])  # fmt: skip
def test_two_descriptions_are_no_silent_choice(
    files: dict[str, str | None], found: list[str], tmp_path: Path
) -> None:
    dataset = read_dataset(lay(tmp_path / "d", files))
    assert (codes(dataset), dataset.images[0].boxes[0].name) == (found, "car")


@pytest.mark.parametrize("names", ["names:\n  '0': car\n", 'names: {"0": car}\n', "names:\n  0: car\n"])
def test_names_with_numbers_as_texts_are_read(names: str, tmp_path: Path) -> None:
    assert read_dataset(lay(tmp_path / "d", {**ONE, "data.yaml": f"train: images\n{names}"})).classes == (
        "car",
    )


def test_names_of_roboflow_for_darknet_are_read(tmp_path: Path) -> None:
    root = lay(
        tmp_path / "d", {"train/a.jpg": None, "train/a.txt": BOX, "train/_darknet.labels": "car\nbus\n"}
    )
    assert (codes(read_dataset(root)), read_dataset(root).classes) == ([], ("car", "bus"))


def test_a_subset_that_lost_its_labels_stops_and_single_images_are_counted(tmp_path: Path) -> None:
    files = {
        "images/train/a.jpg": None, "images/train/b.jpg": None, "images/val/c.jpg": None, "labels/train/a.txt": BOX,
        "data.yaml": "train: images/train\nval: images/val\nnames: [car]\n",
    }  # fmt: skip
    root = lay(tmp_path / "d", files)
    found = {finding.code: finding for finding in read_dataset(root).findings}
    assert set(found) == {"subset-unlabelled", "label-missing"}
    assert (
        found["subset-unlabelled"].message == 'none of the 1 image in "val" has a label file, such as "c.jpg"'
    )
    assert found["label-missing"].message == (
        '1 of 2 images, such as "b.jpg", has no label file: used as background images'
    )
    with pytest.raises(UserFilesError):
        convert(root, tmp_path / "made", to="coco")
    assert convert(root, tmp_path / "made", to="coco", skip_bad=True).backgrounds == 2


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("0 32 24 20 20", "32"),
        ("0 .5 .5 .4 .4 .93 7", "7"),
        ("0 .1 .1 .5 .1 90 .5", "90"),
        ("0 .5 -9 .2 .2", "-9"),
    ],
)
def test_pixels_and_tracks_are_no_fractions(line: str, word: str, tmp_path: Path) -> None:
    dataset = read_dataset(lay(tmp_path / "d", {**ONE, "labels/a.txt": f"{line}\n", "data.yaml": YAML}))
    (finding,) = dataset.findings
    assert (finding.code, finding.line, finding.is_error) == ("yolo-fraction", 1, True)
    assert finding.message.startswith(f'"{word}" is no fraction')


@pytest.mark.parametrize(("lines", "found"), [
    ("0 .1 .2 .4 .2 .4 .8 .1 .8\n0 .5 .2 .6 .4 .5 .6 .4 .4\n0 .5 .2 .6 .6 .4 1 .3 .6\n", []),  # not all rectangles
    ("0 .1 .2 .4 .2 .4 .8 .1 .8\n", []),  # upright
    ("0 .1 .2 .4 .2 .4 .8 .1 .8\n0 .5 .2 .6 .4 .5 .6 .4 .4\n0 .5 .2 .6 .4 .5 .6 .4 .4\n", ["box-rotated"]),
    ("0 .1 .2 .4 .2 .4 .8 .1 .8\n0 .5 .5 .1 .1\n", []),
])  # fmt: skip
def test_oriented_boxes_of_yolo_are_counted(lines: str, found: list[str], tmp_path: Path) -> None:
    dataset = read_dataset(lay(tmp_path / "d", {**ONE, "labels/a.txt": lines, "data.yaml": YAML}))
    assert (codes(dataset), len(dataset.images[0].boxes)) == (found, lines.count("\n"))
    if found:
        assert dataset.findings[0].message == "only the upright bounding box of 2 oriented boxes is used"


def test_what_corners_form() -> None:
    assert is_upright([(0, 0), (9, 0), (9, 5), (0, 5)])
    assert not is_upright([(0, 0), (9, 1), (9, 5), (0, 5)])
    assert is_rectangle([(5, 0), (10, 5), (5, 10), (0, 5)])
    assert not is_rectangle([(5, 0), (20, 5), (5, 10), (0, 5)])
    assert not is_rectangle([(1, 1), (1, 1), (1, 1), (1, 1)])
    assert not is_rectangle([(0, 0), (9, 0), (9, 5)])


HEAD = "imagesource:GoogleEarth\ngsd:0.146\n"
PLANE = "1 1 20 1 20 20 1 20 plane 0\n"
SHIP = "30 20 40 30 30 40 20 30 small-ship 1\n"


@pytest.mark.parametrize(("files", "boxes", "found"), [
    ({"images/P1.jpg": None, "labelTxt/P1.txt": HEAD + PLANE + SHIP}, 2, ["box-rotated"]),
    ({"images/P1.jpg": None, "labelTxt/P1.txt": PLANE}, 1, []),
    ({"images/P1.jpg": None, "labelTxt-v1.5/train/P1.txt": PLANE.replace(" 0\n", "\n")}, 1, []),
    ({"images/P1.jpg": None, "labelTxt/P1.txt": "\ufeff" + PLANE, "labelTxt/P2.txt": PLANE}, 1, ["picture-missing"]),
    ({"images/P1.jpg": None, "images/P2.jpg": None, "labelTxt/P1.txt": PLANE, "labelTxt/P2.txt": HEAD}, 1, []),
    ({"images/P1.jpg": None, "images/P2.jpg": None, "labelTxt/P1.txt": PLANE}, 1, ["label-missing"]),
    ({"images/P1.jpg": None, "labelTxt/P1.txt": PLANE + "1 1 20 1 20 x 1 20 plane 0\n"}, 1, ["dota-line"]),
    ({"images/P1.jpg": None, "labelTxt/P1.txt": PLANE + "1 1 20 1\n"}, 1, ["dota-line"]),
])  # fmt: skip
def test_dota_is_read(files: dict[str, str | None], boxes: int, found: list[str], tmp_path: Path) -> None:
    dataset = read_dataset(lay(tmp_path / "d", files))
    count = sum(len(image.boxes) for image in dataset.images)
    assert (dataset.format, count, codes(dataset)) == ("dota", boxes, found)


def test_oriented_boxes_of_dota_keep_their_corners_and_their_subset(tmp_path: Path) -> None:
    files = {"train/images/P1.jpg": None, "train/labelTxt/P1.txt": SHIP, "val/images/P1.jpg": None,
             "val/labelTxt/P1.txt": PLANE}  # fmt: skip
    root = lay(tmp_path / "d", files)
    dataset = read_dataset(root)
    assert {image.subset: [box.name for box in image.boxes] for image in dataset.images} == {
        "train": ["small-ship"], "val": ["plane"]}  # fmt: skip
    (box,) = dataset.images[0].boxes
    assert (corners(box), box.segmentation, box.extra) == (
        (20, 20, 40, 40), [[30, 20, 40, 30, 30, 40, 20, 30]], {"difficult": "1"})  # fmt: skip
    done = convert(root, tmp_path / "made", to="kitti")
    assert [finding.code for finding in done.findings] == ["box-rotated", "outlines-lost", "fields-lost"]


def test_dota_beside_yolo_is_two_formats(tmp_path: Path) -> None:
    root = lay(tmp_path / "d", {**ONE, "labelTxt/a.txt": PLANE, "data.yaml": YAML})
    with pytest.raises(UserFilesError, match="several formats: dota, yolo"):
        read_dataset(root)


def coco(*annotations: dict[str, object], **image: object) -> str:
    listed = [
        {"id": n, "image_id": 1, "category_id": 1, "area": 9, **one} for n, one in enumerate(annotations, 1)
    ]
    entry = {"id": 1, "file_name": "a.jpg", "width": 100, "height": 50, **image}
    return json.dumps({"images": [entry], "annotations": listed, "categories": [{"id": 1, "name": "car"}]})


GOOD: dict[str, object] = {"bbox": [1, 2, 30, 40]}


@pytest.mark.parametrize("folder", ["masks", "SegmentationClass", "thumbnails", "labels"])
def test_a_mask_of_the_same_name_is_not_the_image(folder: str, tmp_path: Path) -> None:
    root = lay(tmp_path / "d", {"images/a.jpg": None, f"{folder}/a.jpg": None, "r.json": coco(GOOD)})
    dataset = read_dataset(root)
    assert [image.path for image in dataset.images] == [root / "images/a.jpg"]
    assert codes(dataset) == ["picture-unused"]


def test_lists_of_images_beside_boxes_are_left_out_with_a_word(tmp_path: Path) -> None:
    listed = json.loads(coco())
    del listed["annotations"]
    listed["images"][0]["file_name"] = "b.jpg"
    files = {"train/a.jpg": None, "test/b.jpg": None, "annotations/instances_train.json": coco(GOOD),
             "annotations/image_info_test.json": json.dumps(listed)}  # fmt: skip
    dataset = read_dataset(lay(tmp_path / "d", files))
    assert (codes(dataset), len(dataset.images)) == (["annotations-left-out", "picture-unused"], 1)


def test_a_mask_without_a_box_becomes_one(tmp_path: Path) -> None:
    mask = {"segmentation": {"size": [50, 100], "counts": [510, 5, 45, 5, 4435]}, "iscrowd": 1}
    dataset = read_dataset(lay(tmp_path / "d", {"a.jpg": None, "r.json": coco(mask)}))
    assert ([corners(box) for box in dataset.images[0].boxes], codes(dataset)) == (
        [(10, 10, 12, 15)],
        ["mask-box"],
    )
    over = {"segmentation": {"size": [50, 100], "counts": [510, 60, 4430]}}
    dataset = read_dataset(lay(tmp_path / "e", {"a.jpg": None, "r.json": coco(over)}))
    assert [corners(box) for box in dataset.images[0].boxes] == [(10, 0, 12, 50)]


@pytest.mark.parametrize("counts", [[5000], [1, 2], "x", None])
def test_a_mask_that_cannot_be_read_stops(counts: object, tmp_path: Path) -> None:
    mask: dict[str, object] = {"segmentation": {"size": [50, 100], "counts": counts}}
    dataset = read_dataset(lay(tmp_path / "d", {"a.jpg": None, "r.json": coco(mask)}))
    assert codes(dataset) == ["coco-annotation"]


def test_images_that_only_have_an_address_are_found(tmp_path: Path) -> None:
    document = json.loads(coco(GOOD))
    del document["images"][0]["file_name"]
    document["images"][0]["coco_url"] = "http://images.cocodataset.org/train2017/a.jpg"
    dataset = read_dataset(lay(tmp_path / "d", {"train2017/a.jpg": None, "lvis.json": json.dumps(document)}))
    assert (len(dataset.images[0].boxes), codes(dataset)) == (1, [])


def test_the_subset_of_cvat_stays_in_the_result(tmp_path: Path) -> None:
    image = ('<image id="0" name="a.jpg" subset="../../out" width="100" height="50"><box label="car" xtl="1" ytl="1" '
             'xbr="20" ybr="20"/></image>')  # fmt: skip
    root = lay(tmp_path / "d", {"a.jpg": None, "annotations.xml": f"<annotations>{image}</annotations>"})
    convert(root, tmp_path / "in/made", to="coco")
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["made"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "in"]


def voc(name: str, bounds: str) -> str:
    return f"<annotation><filename>{name}</filename><object><name>car</name>{bounds}</object></annotation>"


BOUNDS = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"


def test_lists_of_voc_and_its_images_are_compared(tmp_path: Path) -> None:
    files: dict[str, str | None] = {"JPEGImages/a.jpg": None, "JPEGImages/b.jpg": None}
    files |= {f"Annotations/{name}.xml": voc(f"{name}.jpg", BOUNDS) for name in "ab"}
    root = lay(tmp_path / "d", {**files, "ImageSets/Main/train.txt": "a\ngone\n"})
    found = {finding.code: finding.message for finding in read_dataset(root).findings}
    assert found == {
        "picture-missing": 'ImageSets lists 1 image that is not here, such as "gone"',
        "picture-unlisted": 'no list of ImageSets has 1 image, such as "b.jpg": in no subset',
    }


@pytest.mark.parametrize(("angle", "box"), [("0", (15, 16, 25, 24)), ("1.5707963", (16, 15, 24, 25))])
def test_oriented_boxes_of_voc_become_upright(angle: str, box: tuple[int, ...], tmp_path: Path) -> None:
    bounds = f"<type>robndbox</type><robndbox><cx>20</cx><cy>20</cy><w>10</w><h>8</h><angle>{angle}</angle></robndbox>"
    dataset = read_dataset(lay(tmp_path / "d", {"a.jpg": None, "a.xml": voc("a.jpg", bounds)}))
    assert ([corners(one) for one in dataset.images[0].boxes], codes(dataset)) == ([box], ["box-rotated"])


def test_an_oriented_box_of_voc_without_its_angle_stops(tmp_path: Path) -> None:
    dataset = read_dataset(
        lay(tmp_path / "d", {"a.jpg": None, "a.xml": voc("a.jpg", "<robndbox><cx>2</cx></robndbox>")})
    )
    assert codes(dataset) == ["voc-object"]


def test_labels_beside_images_and_masks_are_named_where_masks_are_wanted(tmp_path: Path) -> None:
    root = lay(tmp_path / "d", {"images/a.jpg": None, "more/b.jpg": None, "labels/a.txt": BOX})
    (root / "masks").mkdir()
    Image.new("L", (100, 50)).save(root / "masks/a.png")
    done = lay_out(root, tmp_path / "made", to="segmentation")
    assert [finding.code for finding in done.findings] == ["picture-unused", "files-beside-pictures"]


@pytest.mark.parametrize(("line", "name"), [("2 .5 .5 .1 .1\n", "bus"), ("1 .5 .5 .1 .1\n", "class_1")])
def test_a_blank_line_among_class_names_keeps_its_number(line: str, name: str, tmp_path: Path) -> None:
    dataset = read_dataset(
        lay(tmp_path / "d", {**ONE, "labels/a.txt": line, "classes.txt": "car\n\nbus\n\n"})
    )
    assert (dataset.images[0].boxes[0].name, dataset.classes) == (name, ("car", "class_1", "bus"))


KITTI = "car 0 0 0 10 10 40 30 0 0 0 0 0 0 0\n"


@pytest.mark.parametrize("other", ["label_2_old", "labels", "backup/labels"])
def test_labels_of_kitti_that_no_image_has_stop_in_check_and_in_convert(other: str, tmp_path: Path) -> None:
    root = lay(tmp_path / "d", {"image_2/a.jpg": None, "label_2/a.txt": KITTI, f"{other}/a.txt": KITTI * 2})
    for findings in (read_dataset(root).findings, check_dataset(root).findings):
        (finding,) = [one for one in findings if one.is_error]
        assert finding.message == f'there are no images for 1 label file in "{other}"'


def test_an_object_of_voc_with_two_boxes_stops(tmp_path: Path) -> None:
    dataset = read_dataset(lay(tmp_path / "d", {"a.jpg": None, "a.xml": voc("a.jpg", BOUNDS * 2)}))
    assert codes(dataset) == ["voc-object"]


def test_an_export_of_label_studio_before_1_0_is_read(tmp_path: Path) -> None:
    value = {"x": 10, "y": 10, "width": 30, "height": 30, "rectanglelabels": ["car"]}
    task = {
        "data": {"image": "/data/a.jpg"},
        "completions": [{"result": [{"type": "rectanglelabels", "value": value}]}],
    }
    dataset = read_dataset(lay(tmp_path / "d", {"a.jpg": None, "p.json": json.dumps([task])}))
    assert (dataset.format, codes(dataset)) == ("label-studio", [])
    assert [(box.name, box.x_min, box.y_max) for box in dataset.images[0].boxes] == [("car", 10, 20)]


@pytest.mark.parametrize("key", ["to_name", "item_index"])
def test_shapes_on_several_images_of_a_task_are_not_put_on_one(key: str, tmp_path: Path) -> None:
    value = {"x": 10, "y": 10, "width": 30, "height": 30, "rectanglelabels": ["car"]}
    results = [{"type": "rectanglelabels", "value": value, key: number} for number in (1, 2)]
    task = {"data": {"one": "/data/a.jpg", "two": "/data/b.jpg"}, "annotations": [{"result": results}]}
    other = {"data": {"one": "/data/b.jpg"}, "annotations": [{"result": results[:1]}]}
    root = lay(tmp_path / "d", {"a.jpg": None, "b.jpg": None, "p.json": json.dumps([task, other])})
    dataset = read_dataset(root)
    assert [(image.path.name, len(image.boxes)) for image in dataset.images] == [("b.jpg", 1)]
    assert codes(dataset)[0] == "several-images"


@pytest.mark.parametrize(
    "folders",
    [
        ("input", "target"),
        ("train/rgb", "train/depth"),
        ("A", "B"),
        ("RGBLeft", "GTLeft", "DepthLeft"),
        ("HR", "LR", "upsampled"),
    ],
)
def test_pairs_of_images_are_no_classes(folders: tuple[str, str], tmp_path: Path) -> None:
    root = lay(tmp_path / "d", {f"{folder}/{name}.jpg": None for folder in folders for name in "xy"})
    for command in (
        lambda: check_dataset(root),
        lambda: lay_out(root, tmp_path / "made", to="classification"),
        lambda: split_dataset(root, tmp_path / "made", shares={"train": 0.5, "val": 0.5}, seed=1),
    ):
        with pytest.raises(UserFilesError, match=r"pairs, not classes|layout of"):
            command()


def test_folders_with_the_same_names_of_images_are_asked_about(tmp_path: Path) -> None:
    named = lay(tmp_path / "named", {f"{c}/street_{n}.jpg": None for c in ("day", "night") for n in (1, 2)})
    findings = [one for one in check_dataset(named).findings if one.code == "same-names"]
    assert [one.message for one in findings] == [
        'all 2 class folders have images of the same 2 names: "day" and "night"'
    ]
    split = split_dataset(named, tmp_path / "made", shares={"train": 0.5, "val": 0.5}, seed=1)
    assert "same-names" in {one.code for one in split.findings}
    numbered = lay(tmp_path / "numbered", {f"{c}/{n}.jpg": None for c in ("cat", "dog") for n in (1, 2)})
    assert "same-names" not in {one.code for one in check_dataset(numbered).findings}


def test_parts_of_another_format_are_no_classes_for_any_command(tmp_path: Path) -> None:
    paths = {f"training/{part}/0000{n}.png": None for part in ("image_2", "instance") for n in (1, 2)}
    root = lay(tmp_path / "d", paths)
    for command in (
        lambda: check_dataset(root),
        lambda: split_dataset(root, tmp_path / "made", shares={"train": 0.5, "val": 0.5}, seed=1),
    ):
        with pytest.raises(UserFilesError, match="no annotations in a known format"):
            command()


def test_images_beside_class_folders_are_counted(tmp_path: Path) -> None:
    root = lay(
        tmp_path / "d", {"train/cat/a.jpg": None, "train/dog/b.jpg": None, "train/c.jpg": None, "d.jpg": None}
    )
    found = {finding.code: finding.message for finding in check_dataset(root).findings}
    assert found["picture-unused"] == "2 images are in no class folder, or in no subset"


def test_a_subset_without_any_box_is_an_error_and_test_images_are_none(tmp_path: Path) -> None:
    for subset in ("train", "val", "testing"):
        write_image(tmp_path / subset / "images/a.png", 40, 30 + len(subset))
        box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 9, 9], "area": 81, "iscrowd": 0}
        document = {
            "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30 + len(subset)}],
            "annotations": [box] if subset == "train" else [],
            "categories": [{"id": 1, "name": "car"}],
        }
        (tmp_path / subset / "annotations.json").write_text(json.dumps(document))
    said = ['none of the 1 image of "val" has a box']
    for findings in (read_dataset(tmp_path).findings, check_dataset(tmp_path).findings):
        assert [one.message for one in findings if one.is_error] == said
    for subset in ("train", "val"):
        write_image(tmp_path / "k" / subset / "images/a.jpg", 40, 30 + len(subset))
        (tmp_path / "k" / subset / "labels").mkdir()
        line = "car 0 0 0 1 1 20 20 0 0 0 0 0 0 0\n" if subset == "train" else ""
        (tmp_path / "k" / subset / "labels/a.txt").write_text(line)
    assert [one.message for one in check_dataset(tmp_path / "k").findings if one.is_error] == said
