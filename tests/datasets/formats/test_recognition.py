"""Formats are recognised by their files and what lies around them, and every command takes a folder for the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from shapes import write_image

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.files.xml_nodes import root_tag
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.report.stats import read_stats
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.resize import resize_dataset
from taorunner.datasets.transform.split import split_dataset
from taorunner.errors import UserFilesError

SHARES = {"train": 0.5, "val": 0.5}
KITTI = "car 0 0 0 10 10 40 30 0 0 0 0 0 0 0\n"
BOX = "0 0.5 0.5 0.4 0.4\n"
VOC = ("<filename>a.jpg</filename><object><name>car</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>20</xmax>"
       "<ymax>20</ymax></bndbox></object></annotation>")  # fmt: skip
CVAT = ('<annotations><image id="0" name="a.jpg" width="64" height="48"><box label="car" xtl="1" ytl="1" xbr="20" '
        'ybr="20"/></image></annotations>')  # fmt: skip


def lay(root: Path, **files: object) -> Path:
    """Files by path; ``None`` is an image of 64x48, a list or dict becomes JSON."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            write_image(path, 64, 48)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            path.write_text(json.dumps(content), encoding="utf-8")
    return root


def commands(root: Path, made: Path) -> list[Callable[[], object]]:
    return [
        lambda: check_dataset(root),
        lambda: convert(root, made / "kitti", to="kitti"),
        lambda: convert(root, made / "coco", to="coco"),
        lambda: split_dataset(root, made / "split", shares=SHARES, seed=1),
        lambda: read_stats(root),
        lambda: resize_dataset(root, made / "resized", size=(32, 32), processes=1),
    ]


TAKEN: dict[str, tuple[str, int, dict[str, object]]] = {
    "byte order marks": ("yolo", 2, {
        "images/a.jpg": None, "labels/a.txt": "\ufeff" + BOX * 2, "classes.txt": "\ufeffcar\n"}),
    "a class that does not exist": ("yolo", 0, {
        "images/a.jpg": None, "labels/a.txt": "-1 0.5 0.5 0.4 0.4\n", "data.yaml": "train: images\nnames: [car]\n"}),
    "backgrounds first": ("kitti", 1, {
        **{f"images/{n:02}.jpg": None for n in range(60)}, **{f"labels/{n:02}.txt": "" for n in range(59)},
        "labels/59.txt": KITTI}),
    "capitals": ("kitti", 1, {"Images/a.jpg": None, "Labels/a.txt": KITTI}),
    "deep": ("kitti", 1, {"a/b/c/d/e/images/a.jpg": None, "a/b/c/d/e/labels/a.txt": KITTI}),
    "one deep, one not": ("kitti", 2, {
        "images/b.jpg": None, "labels/b.txt": KITTI, "a/b/c/d/e/images/a.jpg": None,
        "a/b/c/d/e/labels/a.txt": KITTI}),
    "masks beside labels": ("kitti", 1, {"images/a.png": None, "masks/a.png": None, "labels/a.txt": KITTI}),
    "masks beside XML": ("voc", 1, {
        "images/a.jpg": None, "masks/a.png": None, "annotations/a.xml": f"<annotation>{VOC}"}),
    "LabelMe": ("labelme", 1, {"a.jpg": None, "a.json": {
        "shapes": [{"label": "car", "shape_type": "rectangle", "points": [[1, 1], [20, 20]]}], "imagePath": "a.jpg"}}),
    "the VGG annotator": ("via", 1, {"a.jpg": None, "via.json": {"a.jpg1": {"filename": "a.jpg", "size": 1, "regions": [
        {"shape_attributes": {"name": "rect", "x": 1, "y": 1, "width": 19, "height": 19},
         "region_attributes": {"class": "car"}}], "file_attributes": {}}}}),
    "Datumaro": ("datumaro", 1, {"images/default/a.jpg": None, "annotations/default.json": {
        "categories": {"label": {"labels": [{"name": "car"}]}}, "items": [{"id": "a", "annotations": [
            {"type": "bbox", "bbox": [1, 2, 30, 40], "label_id": 0}], "image": {"path": "a.jpg", "size": [48, 64]}}]}}),
    "verified": ("voc", 1, {"a.jpg": None, "a.xml": f'<annotation verified="yes">{VOC}'}),
    "other XML first": ("voc", 1, {
        **{f"0{n:02}.xml": "<project/>" for n in range(25)}, "a.jpg": None, "a.xml": f"<annotation>{VOC}"}),
    "a long comment": ("cvat", 1, {
        "a.jpg": None, "annotations.xml": f"<?xml version='1.0'?>\n<!-- {'<annotation> ' * 500}-->\n{CVAT}"}),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_every_command_takes_it_for_the_same(name: str, tmp_path: Path) -> None:
    format_name, boxes, files = TAKEN[name]
    root = lay(tmp_path / "d", **files)
    dataset = read_dataset(root)
    assert (dataset.format, sum(len(image.boxes) for image in dataset.images)) == (format_name, boxes)
    report = check_dataset(root)
    assert (report.kind, sum(part.classes.total() for part in report.subsets)) == (format_name, boxes)
    if boxes:
        split = split_dataset(root, tmp_path / "split", shares=SHARES, seed=1)
        assert split.format == format_name
        assert sum(part.classes.total() for part in split.parts) == boxes


LS = {"id": 1, "data": {"image": "/data/a.jpg"}}
NAMED: dict[str, tuple[str, str, dict[str, object]]] = {
    "supervisely": ("annotations of Supervisely", "--from supervisely", {
        "ds/img/a.jpg": None, "ds/ann/a.jpg.json": {"objects": [{"classTitle": "car"}]}}),
    "bdd": ("annotations of BDD100K", "--from bdd100k", {
        "images/train/a.jpg": None, "labels/t.json": [{"name": "a.jpg", "labels": [{"box2d": {"x1": 1}}]}]}),
    "cityscapes": ("annotations of Cityscapes", "--from cityscapes", {
        "leftImg8bit/train/x/a.png": None, "gtFine/train/x/a.json": {"imgHeight": 1, "objects": [{"polygon": []}]}}),
    "open images": ("annotations of Open Images", "--from openimages", {
        "train/a.jpg": None, "boxes.csv": "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n"}),
    "via": ("annotations of the VGG annotator", "--from via-csv", {
        "a.jpg": None, "via.csv": "#filename,file_size,file_attributes,region_count,region_id\n"}),
    "labelbox": ("annotations of Labelbox", "--from labelbox", {
        "a.jpg": None, "e.json": [{"ID": "x", "Labeled Data": "a.jpg", "Label": {"objects": []}}]}),
    "v7": ("annotations of V7 Darwin", "--from v7-darwin", {
        "images/a.jpg": None, "ann/a.json": {"annotations": [{"name": "car", "bounding_box": {}}]}}),
    "kaggle": ("boxes in a Kaggle table", "--from kaggle-wheat", {
        "images/a.jpg": None, "train.csv": "image_id,width,height,bbox,source\n"}),
    "retinanet": ("boxes in a table of boxes", "--from retinanet", {
        "images/a.jpg": None, "annotations.csv": "images/a.jpg,1,1,9,9,car\n"}),
    "a table": ("no annotations in a known format, but boxes in a table", "export it as COCO", {
        "a.jpg": None, "t.csv": "name,xmin,ymin,xmax,ymax\n"}),
    "vott table": ("annotations of VoTT", "--from vott-csv", {
        "a.jpg": None, "x.csv": '"image","xmin","ymin","xmax","ymax","label"\n'}),
    "keras": ("annotations of YOLO for Keras", "--from yolo-keras", {
        "a.jpg": None, "_annotations.txt": "a.jpg 1,1,9,9,0 2,2,5,5,1\n", "_classes.txt": "car\n"}),
    "hugging face": ("annotations of Hugging Face", "--from hf", {
        "train/a.jpg": None, "train/metadata.jsonl": {"file_name": "a.jpg", "objects": {"bbox": []}}}),
    "records": ("annotations of TensorFlow records", "--from tfrecord", {"train/cars.tfrecord": "x"}),
    "mot": ("but tracks of MOT", "export it as COCO", {
        "S/img1/000001.jpg": None, "S/gt/gt.txt": "1,1,10,10,20,20,1,1,0.9\n", "S/seqinfo.ini": ""}),
    "visdrone": ("but annotations of VisDrone", "export it as COCO", {
        "images/1.jpg": None, "annotations/1.txt": "10,10,20,20,1,4,0,0\n1,1,9,9,0,0,0,0\n"}),
    "crowdhuman": ("but annotations of CrowdHuman", "export it as COCO", {
        "Images/a.jpg": None, "train.odgt": {"ID": "a", "gtboxes": []}}),
    "kitti tracks": ("but tracks of KITTI", "export it as COCO", {
        "image_02/0000/0.png": None, "label_02/0000.txt": "0 1 Car 0 0 -1.57 10 10 40 30 1 1 1 0 0 0 0\n"}),
    "labels of KITTI elsewhere": ("has 1 label file of KITTI", "labels/ next to it", {
        "images/a.jpg": None, "Annotations/a.txt": KITTI}),
    "panoptic": ("but panoptic segmentation", "export it as COCO", {
        "a.jpg": None, "p.json": {"annotations": [{"segments_info": []}]}}),
    "videos": ("but tracks of Label Studio", "export it as COCO", {
        "a.jpg": None, "p.json": [{"data": {"video": "a.mp4"}, "annotations": [{"result": [{"type": "videorectangle"}]}]}]}),
    "storage": ("but annotations of Label Studio's storage", "export it as COCO", {
        "a.jpg": None, "1.json": {"id": 1, "task": LS, "result": []}}),
    "multilabel": ("but labels of whole images in a table", "export it as COCO", {
        "train/a.jpg": None, "train/_classes.csv": "filename, car, bus\na.jpg, 1, 0\n"}),
    "labels in an archive": ("but 1 archive", "unzip labels.zip", {"images/a.jpg": None, "labels.zip": "PK"}),
    "packed": ("but 1 archive", "gunzip r.json.gz", {"images/a.jpg": None, "r.json.gz": "x"}),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_every_command_names_what_it_is_and_what_to_do(name: str, tmp_path: Path) -> None:
    says, hint, files = NAMED[name]
    root = lay(tmp_path / "d", **files)
    for command in commands(root, tmp_path / "made"):
        with pytest.raises(UserFilesError) as caught:
            command()
        assert says in caught.value.message
        assert hint in (caught.value.hint or "")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("digits", ["9" * 100_000, "9 " * 50_000, "9," * 50_000])
def test_files_of_digits_only_are_soon_unknown(digits: str, tmp_path: Path) -> None:
    root = lay(tmp_path / "d", **{"a.jpg": None, "a.txt": digits, "a.json": digits, "a.csv": digits})
    with pytest.raises(UserFilesError, match="a JSON file that cannot be read"):
        read_dataset(root)


@pytest.mark.parametrize(("text", "tag"), [
    ("<a/>", "a"), ("\ufeff<?xml version='1.0'?>\n<!-- <b> -->\n<!DOCTYPE x [<!ENTITY y '>'>]><a b='c'>", "a"),
    ("<!DOCTYPE x SYSTEM 'y.dtd'><a>", "a"), ("text <a>", ""), ("", ""), ("<!-- <a>", ""),
])  # fmt: skip
def test_the_root_of_an_xml_text(text: str, tag: str) -> None:
    assert root_tag(text) == tag


def test_class_folders_without_subsets_are_checked(tmp_path: Path) -> None:
    root = lay(tmp_path / "d", **{f"{name}/{name}{n}.jpg": None for name in ("cat", "dog") for n in range(2)})
    report = check_dataset(root)
    assert (report.kind, [dict(part.classes) for part in report.subsets]) == (
        "classification",
        [{"cat": 2, "dog": 2}],
    )


def test_subsets_of_images_and_masks_are_no_classes(tmp_path: Path) -> None:
    root = tmp_path / "d"
    for subset in ("train", "val"):
        write_image(root / subset / f"images/{subset}.jpg", 64, 48)
        (root / subset / "masks").mkdir()
        Image.new("L", (64, 48), 1).save(root / subset / f"masks/{subset}.png")
    report = check_dataset(root)
    assert (report.kind, [(part.name, part.images) for part in report.subsets]) == (
        "segmentation",
        [("train", 1), ("val", 1)],
    )


def test_what_cannot_be_read_is_not_called_another_format(tmp_path: Path) -> None:
    root = lay(
        tmp_path / "d",
        **{"a.jpg": None, "p.json": [{**LS, "annotations": [], "predictions": [{"result": [{}]}]}]},
    )
    with pytest.raises(UserFilesError) as caught:
        read_dataset(root)
    assert caught.value.hint == "correct the errors above; if it is another format, name that with --from"


def test_images_beside_masks_of_other_names_are_no_classes(tmp_path: Path) -> None:
    root = lay(tmp_path / "d", **{"images/training/a.jpg": None, "annotations/training/a.png": None})
    for command in commands(root, tmp_path / "made"):
        with pytest.raises(
            UserFilesError, match=r"images for segmentation, and no boxes|the dataset has errors"
        ):
            command()


def test_other_files_beside_classes_without_subsets_are_an_error(tmp_path: Path) -> None:
    root = lay(
        tmp_path / "d", **{"im0/1.png": None, "im1/2.png": None, "list.txt": "im0/1.png im1/2.png x\n"}
    )
    assert [one.code for one in check_dataset(root).findings if one.is_error] == ["files-beside-pictures"]
