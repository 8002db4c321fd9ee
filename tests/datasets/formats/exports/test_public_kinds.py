"""Kinds of folders that public datasets have: each is read rightly, or says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from shapes import write_image

from taorunner.datasets.formats import others
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import DetectionDataset
from taorunner.datasets.transform.folder_datasets import lay_out
from taorunner.datasets.transform.split_folders import kind_of
from taorunner.errors import UserFilesError

CVAT = (
    "<annotations><meta><task><labels><label><name>car</name></label></labels></task></meta>{}</annotations>"
)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def boxes(dataset: DetectionDataset) -> dict[str, list[tuple[str, float, float, float, float]]]:
    return {
        image.path.relative_to(dataset.root).as_posix(): [
            (box.name, box.x_min, box.y_min, box.x_max, box.y_max) for box in image.boxes
        ]
        for image in dataset.images
    }


def test_equal_names_in_the_subsets_of_a_cvat_project(tmp_path: Path) -> None:
    images = ""
    for at, subset in enumerate(("Train", "Test")):
        write_image(tmp_path / f"images/{subset}/a.jpg", 40, 30)
        images += (
            f'<image id="0" name="a.jpg" subset="{subset}" width="40" height="30">'
            f'<box label="car" xtl="{at}" ytl="2" xbr="9" ybr="8"/></image>'
        )
    write(tmp_path / "annotations.xml", CVAT.format(images))
    dataset = read_dataset(tmp_path)
    assert boxes(dataset) == {
        "images/Train/a.jpg": [("car", 0, 2, 9, 8)], "images/Test/a.jpg": [("car", 1, 2, 9, 8)],
    }  # fmt: skip
    assert [image.subset for image in dataset.images] == ["train", "test"]
    assert dataset.findings == ()


def track(*shapes: str) -> str:
    return CVAT.format(f'<track id="0" label="car">{"".join(shapes)}</track>')


def shape(frame: int, outside: int = 0) -> str:
    return f'<box frame="{frame}" outside="{outside}" xtl="{frame}" ytl="2" xbr="30" ybr="8"/>'


def test_tracks_of_cvat_with_the_frames_as_images(tmp_path: Path) -> None:
    for frame in (1, 2, 3):
        write_image(tmp_path / f"images/frame_{frame:06d}.png", 40, 30)
    write(tmp_path / "annotations.xml", track(shape(1), shape(2), shape(3, outside=1)))
    dataset = read_dataset(tmp_path)
    assert boxes(dataset) == {
        "images/frame_000001.png": [("car", 1, 2, 30, 8)], "images/frame_000002.png": [("car", 2, 2, 30, 8)],
        "images/frame_000003.png": [],
    }  # fmt: skip
    assert dataset.findings == ()


def test_tracks_of_cvat_without_their_frames_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "images/other.png", 40, 30)
    write(tmp_path / "annotations.xml", track(shape(1)))
    with pytest.raises(UserFilesError) as caught:
        read_dataset(tmp_path)
    assert [one.code for one in caught.value.findings if one.is_error] == ["cvat-video"]


def test_a_frame_that_is_missing_is_an_error(tmp_path: Path) -> None:
    write_image(tmp_path / "images/frame_000001.png", 40, 30)
    write(tmp_path / "annotations.xml", track(shape(1), shape(2)))
    assert [one.code for one in read_dataset(tmp_path).findings if one.is_error] == ["picture-missing"]


def polygon(name: str, *, is_deleted: bool = False) -> str:
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in ((1, 2), (9, 3), (5, 8)))
    return (
        f"<object><name>{name}</name><deleted>{int(is_deleted)}</deleted><polygon>{points}</polygon></object>"
    )


def test_polygons_of_labelmes_web_tool(tmp_path: Path) -> None:
    write_image(tmp_path / "Images/set/a.jpg", 40, 30)
    text = f"<annotation><filename>a.jpg</filename>{polygon('leaf')}{polygon('old', is_deleted=True)}</annotation>"
    write(tmp_path / "Annotations/set/a.xml", text)
    dataset = read_dataset(tmp_path)
    assert boxes(dataset) == {"Images/set/a.jpg": [("leaf", 1, 2, 9, 8)]}
    assert dataset.images[0].boxes[0].segmentation == [[1, 2, 9, 3, 5, 8]]


def test_voc_files_of_equal_names_belong_to_the_images_beside_them(tmp_path: Path) -> None:
    """The name inside is another one, as after a renaming."""
    for at, year in enumerate(("VOC2007", "VOC2012")):
        write_image(tmp_path / year / "JPEGImages/1.jpg", 40, 30)
        box = f"<bndbox><xmin>{at}</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
        text = f"<annotation><filename>old.jpg</filename><object><name>car</name>{box}</object></annotation>"
        write(tmp_path / year / "Annotations/1.xml", text)
    assert boxes(read_dataset(tmp_path)) == {
        "VOC2007/JPEGImages/1.jpg": [("car", 0, 2, 9, 8)], "VOC2012/JPEGImages/1.jpg": [("car", 1, 2, 9, 8)],
    }  # fmt: skip


def test_darknet_labels_of_jpegimages_without_the_lists(tmp_path: Path) -> None:
    write_image(tmp_path / "JPEGImages/a.jpg", 40, 30)
    write(tmp_path / "labels/a.txt", "1 0.5 0.5 0.5 0.2\n")
    write(tmp_path / "all.names", "cat\ndog\n")
    write(tmp_path / "darknet.data", "classes = 2\ntrain = /content/train.txt\nnames = /content/all.names\n")
    dataset = read_dataset(tmp_path)
    assert boxes(dataset) == {"JPEGImages/a.jpg": [("dog", 10, 12, 30, 18)]}
    assert [one.code for one in dataset.findings] == ["yolo-lists"]


def test_class_names_in_a_names_file_alone(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.jpg", 40, 30)
    write(tmp_path / "labels/a.txt", "0 0.5 0.5 0.5 0.2\n")
    write(tmp_path / "classes.names", "cat\n")
    assert boxes(read_dataset(tmp_path)) == {"images/a.jpg": [("cat", 10, 12, 30, 18)]}


def test_a_description_that_says_valid_for_val(tmp_path: Path) -> None:
    for subset in ("train", "val"):
        write_image(tmp_path / subset / "images" / f"{subset}.jpg", 40, 30)
        write(tmp_path / subset / "labels" / f"{subset}.txt", "0 0.5 0.5 0.5 0.2\n")
    write(tmp_path / "data.yaml", "train: ../train/images\nval: ../valid/images\nnames: [cat]\n")
    dataset = read_dataset(tmp_path)
    assert sorted(image.subset for image in dataset.images) == ["train", "val"]
    assert [(one.code, one.is_error) for one in dataset.findings] == [("yolo-subset", False)]


def test_oriented_boxes_beside_a_data_yaml(tmp_path: Path) -> None:
    write_image(tmp_path / "train/images/a.jpg", 40, 30)
    write(tmp_path / "train/labelTxt/a.txt", "1 2 9 2 9 8 1 8 car 0\n")
    write(tmp_path / "data.yaml", "train: train/images\nval: train/images\nnames: [car]\n")
    dataset = read_dataset(tmp_path)
    assert (dataset.format, boxes(dataset)) == ("dota", {"train/images/a.jpg": [("car", 1, 2, 9, 8)]})


def test_lists_of_yolo_for_keras_beside_yolo_are_not_forgotten(tmp_path: Path) -> None:
    write_image(tmp_path / "test/a.jpg", 40, 30)
    write(tmp_path / "test/a.txt", "0 0.5 0.5 0.5 0.2\n")
    write(tmp_path / "test/classes.txt", "cat\n")
    write_image(tmp_path / "train/b.jpg", 40, 30)
    write(tmp_path / "train/_annotations.txt", "b.jpg 1,2,9,8,0\n")
    assert "labels-unread" in [one.code for one in read_dataset(tmp_path).findings if one.is_error]


HEADS = {
    "tfod": ("filename,width,height,class,xmin,ymin,xmax,ymax", "{0},40,30,car,{1}"),
    "vott-csv": ('"image","xmin","ymin","xmax","ymax","label"', '"{0}",{1},"car"'),
    "openimages": ("ImageID,Source,LabelName,Confidence,XMin,YMin,XMax,YMax,IsOccluded", "{0},x,/m/1,1,{1},0"),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_a_table_for_each_subset_is_read(name: str, tmp_path: Path) -> None:
    head, row = HEADS[name]
    corners = "0.25,0.1,0.5,0.9" if name == "openimages" else "10,3,20,27"
    write(tmp_path / "class-descriptions.csv", "/m/1,car\n")
    for subset in ("train", "valid"):
        write_image(tmp_path / subset / f"{subset}.jpg", 40, 30)
        image = subset if name == "openimages" else f"{subset}.jpg"
        write(tmp_path / subset / "_annotations.csv", f"{head}\n{row.format(image, corners)}\n")
    write(tmp_path / "notes.csv", "something,else\n")
    dataset = read_dataset(tmp_path, name)
    assert [image.subset for image in dataset.images] == ["train", "val"]
    assert boxes(dataset) == {
        "train/train.jpg": [("car", 10, 3, 20, 27)], "valid/valid.jpg": [("car", 10, 3, 20, 27)],
    }  # fmt: skip
    assert dataset.findings == ()


def tfod(root: Path, *rows: str) -> Path:
    write_image(root / "a.jpg", 40, 30)
    write(root / "boxes.csv", "\n".join(["filename,width,height,class,xmin,ymin,xmax,ymax", *rows, ""]))
    return root


@pytest.mark.parametrize(
    ("row", "codes"),
    [
        ("a.jpg,40,30,car,1,2,9", ["table-row"]), ("a.jpg,40,30,,1,2,9,8", ["table-row"]),
        ("a.jpg,40,30,car,1,2,9,x", ["table-row"]), ("b.jpg,40,30,car,1,2,9,8", ["picture-missing"]),
    ],
)  # fmt: skip
def test_a_row_that_is_no_box_is_an_error(row: str, codes: list[str], tmp_path: Path) -> None:
    dataset = read_dataset(tfod(tmp_path, "a.jpg,40,30,car,1,2,9,8", row), "tfod")
    assert [one.code for one in dataset.findings if one.is_error] == codes
    assert boxes(dataset) == {"a.jpg": [("car", 1, 2, 9, 8)]}


def test_fractions_in_a_table_are_said(tmp_path: Path) -> None:
    dataset = read_dataset(tfod(tmp_path, "a.jpg,40,30,car,0.25,0.1,0.5,0.9"), "tfod")
    assert boxes(dataset) == {"a.jpg": [("car", 10, 3, 20, 27)]}
    assert [one.code for one in dataset.findings] == ["table-fractions"]


def test_another_table_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", 40, 30)
    write(tmp_path / "notes.csv", "something,else\n1,2\n")
    with pytest.raises(UserFilesError, match="no table in"):
        read_dataset(tmp_path, "tfod")


def keras(root: Path, *lines: str, classes: str = "train/_classes.txt") -> Path:
    write_image(root / "train/a b.jpg", 40, 30)
    write(root / "train/_annotations.txt", "".join(f"{line}\n" for line in lines))
    if classes:
        write(root / classes, "cat\ndog\n")
    return root


@pytest.mark.parametrize("classes", ["train/_classes.txt", "classes.txt", "model/../coco.names"])
def test_lists_of_yolo_for_keras(classes: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    dataset = read_dataset(keras(tmp_path, "a b.jpg 1,2,9,8,1 3,4,10,12,0", classes=classes), "yolo-keras")
    assert boxes(dataset) == {"train/a b.jpg": [("dog", 1, 2, 9, 8), ("cat", 3, 4, 10, 12)]}
    assert (dataset.classes, dataset.findings) == (("cat", "dog"), ())


@pytest.mark.parametrize(
    ("line", "classes", "codes"),
    [
        ("a b.jpg 1,2,9,8,5", "classes.txt", ["yolo-class", "picture-without-boxes"]),
        ("a b.jpg 1,2,9,8", "classes.txt", ["list-line", "picture-without-boxes"]),
        ("a b.jpg 1,2,9,8,0", "", ["yolo-names", "picture-without-boxes"]),
        ("c.jpg 1,2,9,8,0", "classes.txt", ["picture-missing"]),
    ],
)  # fmt: skip
def test_a_line_of_yolo_for_keras_that_is_wrong(
    line: str, classes: str, codes: list[str], tmp_path: Path
) -> None:
    root = keras(tmp_path, "d.jpg 1,2,9,8,0", line, classes=classes)
    write_image(root / "train/d.jpg", 40, 30)
    found = {one.code for one in read_dataset(root, "yolo-keras").findings if one.is_error}
    assert found == set(codes)


def test_an_answer_without_images_is_no_answer(tmp_path: Path) -> None:
    """As the program gives it for a folder in which it finds nothing; the files are then read one by one."""
    assert not others._is_document('{"info": {}, "images": [ ], "annotations": []}')
    assert others._is_document('{"images": [{"id": 1}]}')


def test_a_box_beyond_the_image_is_judged_here_and_not_by_the_program(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", 40, 30)
    box = {"label": "car", "coordinates": {"x": 2, "y": 10, "width": 10, "height": 6}}
    write(tmp_path / "_annotations.createml.json", json.dumps([{"image": "a.jpg", "annotations": [box]}]))
    assert boxes(read_dataset(tmp_path, "create-ml")) == {"a.jpg": [("car", -3, 7, 7, 13)]}


def test_labels_of_whole_images_beside_boxes_are_said_and_not_read(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", 40, 30)
    base = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
        "categories": [{"id": 1, "name": "car"}],
    }
    one = {"id": 1, "image_id": 1, "category_id": 1}
    box = {**one, "bbox": [1, 2, 8, 6], "area": 48, "iscrowd": 0}
    write(tmp_path / "annotations/instances_train.json", json.dumps({**base, "annotations": [box]}))
    write(tmp_path / "annotations/labels_train.json", json.dumps({**base, "annotations": [one]}))
    dataset = read_dataset(tmp_path)
    assert boxes(dataset) == {"a.jpg": [("car", 1, 2, 9, 8)]}
    assert [(one.code, one.is_error) for one in dataset.findings] == [("annotations-left-out", False)]


def test_bad_masks_are_not_called_no_masks(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.jpg", 40, 30)
    write_image(tmp_path / "masks/a.jpg", 40, 30)
    with pytest.raises(UserFilesError, match="something is wrong") as caught:
        lay_out(tmp_path, tmp_path.with_name("made"), to="segmentation")
    assert [one.code for one in caught.value.findings] == ["mask-kind"]
    assert caught.value.hint == "correct the errors above"


def test_masks_in_a_public_layout_become_that_of_tao(tmp_path: Path) -> None:
    """Recognised, converted with the bytes of each mask, and split."""
    for subset in ("train", "val"):
        for name in ("a", "b"):
            write_image(tmp_path / f"source/{subset}/{name}.png", 8, 6)
            mask = tmp_path / f"source/{subset}annot/{name}.png"
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 6), len(subset) + ord(name)).save(mask)
    with pytest.raises(UserFilesError, match="images for segmentation") as caught:
        read_dataset(tmp_path / "source")
    assert (
        caught.value.hint
        == "taorunner dataset convert DATASET --to segmentation arranges them as TAO reads them"
    )
    lay_out(tmp_path / "source", tmp_path / "made", to="segmentation")
    for subset in ("train", "val"):
        for name in ("a", "b"):
            made = (tmp_path / f"made/masks/{subset}/{name}.png").read_bytes()
            assert made == (tmp_path / f"source/{subset}annot/{name}.png").read_bytes()
            assert (tmp_path / f"made/images/{subset}/{name}.png").is_file()
    assert kind_of(tmp_path / "source") == "segmentation"


def test_folders_of_another_layout_are_not_offered_as_classes(tmp_path: Path) -> None:
    for folder in ("image_2", "instance"):
        write_image(tmp_path / f"training/{folder}/a.png", 8, 6)
    with pytest.raises(UserFilesError, match="no annotations in a known format"):
        read_dataset(tmp_path)


def test_labels_of_yolo_away_from_their_images_have_names(tmp_path: Path) -> None:
    write_image(tmp_path / "Images/a.jpg", 40, 30)
    write(tmp_path / "Annotations/a.txt", "0 0.5 0.5 0.5 0.2\n")
    write(tmp_path / "obj.names", "cat\n")
    with pytest.raises(UserFilesError, match="but not beside their images") as caught:
        read_dataset(tmp_path)
    assert caught.value.hint == "put labels beside their image, or in labels/ next to images/"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("labels.csv", "ImageID,Source,LabelName,Confidence\na,x,/m/1,1\n", "labels of whole images of Open Images"),
        ("a.json", '{"annotations": [{"bbox": [1, 2, 3, 4], "predicted_iou": 0.9}]}', "masks of Segment Anything"),
    ],
)  # fmt: skip
def test_what_is_not_read_has_a_name(name: str, text: str, says: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", 40, 30)
    write(tmp_path / name, text)
    with pytest.raises(UserFilesError, match=says):
        read_dataset(tmp_path)
