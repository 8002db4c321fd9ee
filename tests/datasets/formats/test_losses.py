"""What a reader would have to leave out is read, refused or reported: no box, label file or image goes silently."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from shapes import write_image

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.files.image_header import read_header
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import Box, DetectionDataset
from taorunner.datasets.repair.run import fix_dataset
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.split import split_dataset
from taorunner.errors import Severity, UserFilesError

SHARES = {"train": 0.5, "val": 0.5}


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def corners(box: Box) -> tuple[float, ...]:
    return tuple(round(value, 3) for value in (box.x_min, box.y_min, box.x_max, box.y_max))


def codes(dataset: DetectionDataset, severity: Severity = Severity.ERROR) -> list[str]:
    return [finding.code for finding in dataset.findings if finding.severity is severity]


def refused(root: Path, to: str = "kitti") -> list[str]:
    """Codes of the errors that stop a conversion; nothing is written."""
    with pytest.raises(UserFilesError) as caught:
        convert(root, root.with_name("made"), to=to)
    assert not root.with_name("made").exists()
    return [finding.code for finding in caught.value.findings if finding.is_error]


def yolo(root: Path, yaml: str | None, **labels: str) -> Path:
    """``labels`` by stem; each has an image of 100x50, unless it ends with ``_only``."""
    for stem, text in labels.items():
        write(root / f"labels/{stem}.txt", text)
        if not stem.endswith("_only"):
            write_image(root / f"images/{stem}.jpg", 100, 50)
    if yaml is not None:
        write(root / "data.yaml", yaml)
    return root


YAML = "train: images\nnames: [car, bus]\n"


@pytest.mark.parametrize("points", [3, 4, 7, 8])
def test_polygons_are_no_kitti_whatever_their_columns(points: int, tmp_path: Path) -> None:
    line = "1 0.1 0.2" + " 0.5 0.9" * (points - 1)
    root = yolo(tmp_path / "d", YAML, a=f"{line}\n")
    dataset = read_dataset(root)
    assert (dataset.format, [box.name for box in dataset.images[0].boxes]) == ("yolo", ["bus"])
    assert corners(dataset.images[0].boxes[0]) == (10, 10, 50, 45)
    assert check_dataset(root).kind == "yolo"
    assert [f.code for f in convert(root, tmp_path / "made", to="kitti").findings] == ["outlines-lost"]


@pytest.mark.parametrize(("shape", "numbers"), [
    ("[2, 3]", "0.3 0.3 2 0.6 0.6 1"), ("[2, 2]", "0.3 0.3 0.6 0.6"), ("[4, 3]", "0.3 0.3 2 0.6 0.6 1 0 0 0 0.5 0.5 2"),
    ("[5, 2]", "0.3 0.3 0.6 0.6 0.5 0.5 0.4 0.4 0.7 0.7"), (None, "0.3 0.3 2 0.6 0.6 1 0 0 0 0.5 0.5 2"),
])  # fmt: skip
def test_poses_keep_their_box_and_their_points(shape: str | None, numbers: str, tmp_path: Path) -> None:
    """Also those with as many columns as a polygon or a line of KITTI; without a shape, visibility tells them."""
    yaml = YAML + (f"kpt_shape: {shape}\n" if shape else "")
    root = yolo(tmp_path / "d", yaml, a=f"0 0.5 0.5 0.6 0.8 {numbers}\n", b=f"1 0.5 0.5 0.6 0.8 {numbers}\n")
    (box, _) = (image.boxes[0] for image in read_dataset(root).images)
    assert corners(box) == (20, 5, 80, 45)
    assert box.extra is not None
    assert box.extra["keypoints"][:6] == [30, 15, 2, 60, 30, 2 if shape in ("[2, 2]", "[5, 2]") else 1]
    assert check_dataset(root).kind == "yolo"
    reported = [f.code for f in convert(root, tmp_path / "kitti", to="kitti").findings]
    assert reported == ["fields-lost"]
    convert(root, tmp_path / "coco", to="coco")
    document = json.loads(next((tmp_path / "coco").rglob("annotations.json")).read_text())
    assert document["annotations"][0]["keypoints"] == box.extra["keypoints"]
    split = split_dataset(root, tmp_path / "split", shares=SHARES, seed=1)
    assert [finding for finding in split.findings if finding.severity is not Severity.INFO] == []
    again = read_dataset(tmp_path / "split")
    assert sorted(str(one.boxes[0].extra) for one in again.images) == [str(box.extra)] * 2


def test_a_pose_with_other_columns_than_its_shape_is_reported(tmp_path: Path) -> None:
    root = yolo(tmp_path / "d", YAML + "kpt_shape: [2, 3]\n", a="0 0.5 0.5 0.6 0.8 0.3 0.3 2\n")
    assert refused(root) == ["yolo-columns"]


def test_kitti_with_numbers_as_classes_stays_kitti(tmp_path: Path) -> None:
    write_image(tmp_path / "d/images/a.jpg", 100, 50)
    write(tmp_path / "d/labels/a.txt", "1 0 0 0 10 10 50 40 0 0 0 0 0 0 0\n")
    assert read_dataset(tmp_path / "d").format == check_dataset(tmp_path / "d").kind == "kitti"


@pytest.mark.parametrize(
    "line", ["0 0.5 0.5 0.4 0.4", "0 0.5 0.5" + " 0.4 0.6" * 6, "0 0.5 0.5" + " 0.4 0.6" * 7]
)
def test_yolo_without_names_of_classes_is_named(line: str, tmp_path: Path) -> None:
    for place in ("images/train/a.jpg", "images/val/b.jpg"):
        write_image(tmp_path / "d" / place, 100, 50)
        write(tmp_path / "d" / place.replace("images", "labels").replace(".jpg", ".txt"), line)
    for command in (
        lambda: check_dataset(tmp_path / "d"),
        lambda: convert(tmp_path / "d", tmp_path / "made", to="kitti"),
        lambda: split_dataset(tmp_path / "d", tmp_path / "made", shares=SHARES, seed=1),
    ):
        with pytest.raises(UserFilesError, match=r"of YOLO, such as .* but no class names"):
            command()


def test_class_numbers_with_a_point_are_no_names_of_kitti(tmp_path: Path) -> None:
    root = yolo(tmp_path / "d", YAML, a="1.0 0.1 0.2" + " 0.5 0.9" * 6 + "\n")
    dataset = read_dataset(root)
    assert (dataset.format, [box.name for box in dataset.images[0].boxes]) == ("yolo", ["bus"])


def test_labels_of_no_image_are_counted_and_stop(tmp_path: Path) -> None:
    root = yolo(tmp_path / "d", YAML, a="0 .5 .5 .4 .4\n", x_only="0 .5 .5 .4 .4\n", y_only="")
    assert refused(root) == ["label-without-image"]
    (error,) = [f for f in check_dataset(root).findings if f.is_error]
    assert error.message.startswith("2 label files have no image")
    assert convert(root, tmp_path / "made", to="kitti", skip_bad=True).images_after == 1


def test_an_image_in_two_subsets_is_reported(tmp_path: Path) -> None:
    root = yolo(tmp_path / "d", "train: images\nval: images\nnames: [car]\n", a="0 .5 .5 .4 .4\n")
    assert codes(read_dataset(root), Severity.WARNING) == ["picture-in-two-subsets"]


def test_darknet_labels_lie_where_the_list_says(tmp_path: Path) -> None:
    """The images were put elsewhere; the list and the labels stayed."""
    root = tmp_path / "d"
    write(root / "obj.data", "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n")
    write(root / "obj.names", "car\n")
    write(root / "train.txt", "data/obj_train_data/a.jpg\n")
    write(root / "obj_train_data/a.txt", "0 .5 .5 .4 .4\n")
    write_image(root / "pictures/a.jpg", 100, 50)
    (image,) = read_dataset(root).images
    assert [corners(box) for box in image.boxes] == [(30, 15, 70, 35)]


def test_kitti_labels_in_a_folder_without_images_are_reported(tmp_path: Path) -> None:
    line = "car 0 0 0 10 10 50 40 0 0 0 0 0 0 0\n"
    write_image(tmp_path / "d/images/train/a.jpg", 100, 50)
    write_image(tmp_path / "d/images/test/c.jpg", 100, 50)
    for name in ("train/a", "val/b"):
        write(tmp_path / f"d/labels/{name}.txt", line)
    assert refused(tmp_path / "d") == ["picture-missing"]
    found = {f.code: f.severity for f in check_dataset(tmp_path / "d").findings}
    found.pop("class-histogram")
    assert found == {"label-without-image": Severity.ERROR, "pictures-without-labels": Severity.WARNING}


def test_point_clouds_beside_kitti_are_reported(tmp_path: Path) -> None:
    write_image(tmp_path / "d/training/image_2/a.jpg", 100, 50)
    write(tmp_path / "d/training/label_2/a.txt", "car 0 0 0 10 10 50 40 0 0 0 0 0 0 0\n")
    write(tmp_path / "d/training/velodyne/a.bin", "x")
    split = split_dataset(tmp_path / "d", tmp_path / "made", shares=SHARES, seed=1)
    assert [f.code for f in split.findings if f.severity is Severity.WARNING] == ["folders-left-out"]


def test_images_as_labels_are_no_kitti(tmp_path: Path) -> None:
    """An empty text for each, as ``--fix`` writes them, would hide the masks."""
    for folder in ("images", "labels"):
        write_image(tmp_path / f"d/{folder}/a.jpg", 100, 50)
    with pytest.raises(UserFilesError, match="images for segmentation, and no boxes"):
        check_dataset(tmp_path / "d")


def test_kitti_of_background_images_only_is_read(tmp_path: Path) -> None:
    write_image(tmp_path / "d/images/a.jpg", 100, 50)
    write(tmp_path / "d/labels/a.txt", "\n")
    done = convert(tmp_path / "d", tmp_path / "made", to="coco")
    assert (done.format, done.images_after, done.backgrounds) == ("kitti", 1, 1)
    assert [f.code for f in done.findings] == ["no-boxes"]
    assert [f.code for f in check_dataset(tmp_path / "d").findings if f.code == "no-boxes"] == ["no-boxes"]


def coco(root: Path, *annotations: dict[str, Any], name: str = "a.jpg", **top: Any) -> Path:
    if not (root / name).exists():
        write_image(root / name, 64, 48)
    document = {
        "images": [{"id": 7, "file_name": name, "width": 64, "height": 48, "license": 3}],
        "categories": [{"id": 1, "name": "person", "supercategory": "animal", "skeleton": [[1, 2]]}],
        "annotations": [{"id": 40 + i, "image_id": 7, "category_id": 1, "area": 99, **one}
                        for i, one in enumerate(annotations)],
        **top,
    }  # fmt: skip
    write(root / "r.json", document)
    return root


@pytest.mark.parametrize("bbox", ["[NaN, 1, 2, 3]", "[1, 1, Infinity, 3]", "[1, 1, 1e999, 3]"])
def test_boxes_that_are_no_numbers_are_reported(bbox: str, tmp_path: Path) -> None:
    root = coco(tmp_path / "d", {"bbox": [1, 1, 2, 3]})
    text = (root / "r.json").read_text().replace("[1, 1, 2, 3]", bbox)
    (root / "r.json").write_text(text)
    assert refused(root) == ["coco-annotation"]
    with pytest.raises(UserFilesError):
        split_dataset(root, tmp_path / "made", shares=SHARES, seed=1)


def test_swapped_corners_stop_and_can_be_left_out(tmp_path: Path) -> None:
    root = coco(tmp_path / "d", {"bbox": [30, 30, -20, -20]}, {"bbox": [1, 1, 5, 5]})
    assert refused(root) == ["box-inverted"]
    with pytest.raises(UserFilesError, match="nothing was split"):
        split_dataset(root, tmp_path / "made", shares=SHARES, seed=1)
    done = convert(root, tmp_path / "made", to="kitti", skip_bad=True)
    assert done.after.total() == 1


@pytest.mark.parametrize("listed", ["missing", None, {}])
def test_images_without_a_list_of_annotations_are_no_background(listed: object, tmp_path: Path) -> None:
    root = coco(tmp_path / "d")
    document = json.loads((root / "r.json").read_text())
    document.pop("annotations")
    if listed != "missing":
        document["annotations"] = listed
    write(root / "r.json", document)
    assert refused(root) == ["coco-annotations"]


def test_images_that_no_annotation_names_are_counted(tmp_path: Path) -> None:
    root = coco(tmp_path / "d", {"bbox": [1, 1, 5, 5]})
    for name in ("b.jpg", "c.jpg"):
        write_image(root / name, 64, 48)
    (finding,) = read_dataset(root).findings
    assert (finding.severity, finding.code) == (Severity.WARNING, "picture-unused")
    assert finding.message.startswith('2 images of 3 are left out, such as "b.jpg"')


def test_another_file_of_the_same_images_is_reported(tmp_path: Path) -> None:
    root = coco(tmp_path / "d", {"bbox": [1, 1, 5, 5]})
    (root / "r.json").rename(root / "instances_train.json")
    write(root / "person_keypoints_train.json", (root / "instances_train.json").read_text())
    assert codes(read_dataset(root), Severity.WARNING) == ["annotations-left-out"]


@pytest.mark.parametrize(("box", "seen"), [
    ([4, 40, 20, 20], (4, 40, 24, 60)),  # beyond the stored image of 64x48: drawn on the turned one
    ([40, 4, 20, 20], (24, 40, 44, 60)),  # beyond the turned one of 48x64: drawn on the stored one
])  # fmt: skip
def test_boxes_on_turned_images_are_where_they_fit(
    box: list[int], seen: tuple[int, ...], tmp_path: Path
) -> None:
    """The other box fits both ways, and follows the one that does not."""
    write_image(tmp_path / "d/a.jpg", 64, 48, orientation=6)
    root = coco(tmp_path / "d", {"bbox": box}, {"bbox": [1, 2, 10, 20]})
    first, other = read_dataset(root).images[0].boxes
    assert corners(first) == seen
    assert corners(other) == ((1, 2, 11, 22) if seen == (4, 40, 24, 60) else (26, 1, 46, 11))


def test_boxes_that_say_both_stop(tmp_path: Path) -> None:
    root = tmp_path / "d"
    for name in ("a.jpg", "b.jpg"):
        write_image(root / name, 64, 48, orientation=6)
    write(root / "r.json", {
        "images": [{"id": i, "file_name": n, "width": 64, "height": 48} for i, n in ((1, "a.jpg"), (2, "b.jpg"))],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 40, 20, 20], "area": 1},
                        {"id": 2, "image_id": 2, "category_id": 1, "bbox": [40, 4, 20, 20], "area": 1}],
        "categories": [{"id": 1, "name": "car"}],
    })  # fmt: skip
    assert refused(root) == ["exif-boxes-mixed"]


def voc(
    root: Path, fields: str, head: str = "", start: str = "<annotation>", encoding: str = "utf-8"
) -> Path:
    write_image(root / "a.jpg", 64, 48)
    bounds = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>"
    text = f"{head}{start}<filename>a.jpg</filename><object>{fields}{bounds}</object></annotation>"
    (root / "a.xml").write_bytes(text.encode(encoding))
    return root


def test_fields_of_voc_stay_in_voc_and_are_reported_elsewhere(tmp_path: Path) -> None:
    polygon = "<polygon><x1>1</x1><y1>2</y1><x2>20</x2><y2>2</y2><x3>20</x3><y3>30</y3></polygon>"
    fields = f"<name>car</name><pose>Left</pose><truncated>1</truncated><difficult>1</difficult>{polygon}"
    root = voc(tmp_path / "d", fields)
    write_image(root / "b.jpg", 60, 40)
    write(root / "b.xml", (root / "a.xml").read_text().replace("a.jpg", "b.jpg"))
    assert split_dataset(root, tmp_path / "split", shares=SHARES, seed=1).findings == ()
    before, after = (read_dataset(place).images[0].boxes[0] for place in (root, tmp_path / "split"))
    assert after.extra == before.extra == {"pose": "Left", "truncated": "1", "difficult": "1"}
    assert after.segmentation == before.segmentation == [[1, 2, 20, 2, 20, 30]]
    reported = {f.code: f.message for f in convert(root, tmp_path / "made", to="kitti").findings}
    assert set(reported) == {"fields-lost", "outlines-lost"}
    assert '"difficult" (2 objects)' in reported["fields-lost"]


@pytest.mark.parametrize(("head", "start", "encoding"), [
    ('<?xml version="1.0" encoding="GBK"?>\n', "<annotation>", "gbk"),
    ("<?xml version='1.0' encoding='gb2312'?>\n", "<annotation>", "gbk"),
    ('<?xml version="1.0" encoding="UTF-16"?>\n', "<annotation>", "utf-16"),
    ("", '<annotation verified="yes">', "utf-8"),
])  # fmt: skip
def test_xml_as_tools_write_it_is_read(head: str, start: str, encoding: str, tmp_path: Path) -> None:
    root = voc(tmp_path / "d", "<name>\u6c7d\u8eca</name>", head, start, encoding)
    dataset = read_dataset(root)
    assert (dataset.format, dataset.classes, dataset.findings) == ("voc", ("\u6c7d\u8eca",), ())


def test_a_repaired_xml_declares_what_it_is(tmp_path: Path) -> None:
    head = '<?xml version="1.0" encoding="GBK"?>\n'
    root = voc(tmp_path / "d", "<name>\u6c7d\u8eca</name>", head, encoding="gbk")
    data = (root / "a.xml").read_bytes().replace(b"<ymax>30", b"<ymax>300")
    (root / "a.xml").write_bytes(data)
    fix_dataset(root, tmp_path / "fixed")
    text = (tmp_path / "fixed/a.xml").read_bytes().decode("utf-8")
    assert 'encoding="UTF-8"' in text
    assert "<ymax>48</ymax>" in text
    assert read_dataset(tmp_path / "fixed").classes == ("\u6c7d\u8eca",)


def test_a_table_of_boxes_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "d/train/a.jpg", 64, 48)
    write(
        tmp_path / "d/train/_annotations.csv",
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,64,48,c,1,1,9,9\n",
    )
    for command in (
        lambda: check_dataset(tmp_path / "d"),
        lambda: split_dataset(tmp_path / "d", tmp_path / "made", shares=SHARES, seed=1),
    ):
        with pytest.raises(UserFilesError, match="boxes in a table"):
            command()


def cvat(root: Path, *shapes: str) -> Path:
    write_image(root / "a.jpg", 64, 48)
    image = f'<image id="0" name="a.jpg" width="64" height="48">{"".join(shapes)}</image>'
    write(root / "annotations.xml", f'<annotations version="1.1">{image}</annotations>')
    return root


def test_attributes_of_cvat_are_reported_or_kept(tmp_path: Path) -> None:
    box = '<box label="car" xtl="1" ytl="1" xbr="9" ybr="9" occluded="1"><attribute name="c">red</attribute></box>'
    root = cvat(tmp_path / "d", box)
    assert [f.code for f in convert(root, tmp_path / "kitti", to="kitti").findings] == ["fields-lost"]
    assert convert(root, tmp_path / "coco", to="coco").findings == ()
    (annotation,) = json.loads((tmp_path / "coco/annotations.json").read_text())["annotations"]
    assert annotation["attributes"] == {"c": "red", "occluded": True}


def test_an_image_whose_shapes_have_no_box_is_no_background(tmp_path: Path) -> None:
    assert refused(cvat(tmp_path / "d", '<polyline label="lane" points="1,1;9,9"/>')) == [
        "picture-without-boxes"
    ]


def test_a_mask_of_cvat_becomes_its_box(tmp_path: Path) -> None:
    root = cvat(tmp_path / "d", '<mask label="car" rle="1,2" left="5" top="6" width="10" height="20"/>')
    assert corners(read_dataset(root).images[0].boxes[0]) == (5, 6, 15, 26)


def label_studio(root: Path, *tasks: dict[str, Any]) -> Path:
    for index in range(len(tasks)):
        write_image(root / f"{index}.jpg", 64, 48)
    write(root / "e.json", [{"id": i, "data": {"image": f"{i}.jpg"}, **one} for i, one in enumerate(tasks)])
    return root


RECTANGLE = {"type": "rectanglelabels", "value": {
    "x": 10, "y": 20, "width": 30, "height": 20, "rotation": 0, "rectanglelabels": ["c"]}}  # fmt: skip


def test_predictions_are_no_annotations(tmp_path: Path) -> None:
    done = {"annotations": [{"result": [RECTANGLE]}]}
    root = label_studio(tmp_path / "d", done, {"annotations": [], "predictions": [{"result": [RECTANGLE]}]})
    assert refused(root) == ["only-predictions"]
    assert convert(root, tmp_path / "made", to="kitti", skip_bad=True).images_after == 1


def test_brushes_are_refused_and_ellipses_read(tmp_path: Path) -> None:
    ellipse = {"type": "ellipselabels", "value": {
        "x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 0, "ellipselabels": ["c"]}}  # fmt: skip
    brush = {"type": "brushlabels", "value": {"format": "rle", "rle": [1], "brushlabels": ["c"]}}
    root = label_studio(tmp_path / "d", {"annotations": [{"result": [ellipse, brush]}]})
    assert [corners(box) for box in read_dataset(root).images[0].boxes] == [(25.6, 14.4, 38.4, 33.6)]
    assert refused(root) == ["brush-left-out"]


def test_points_alone_make_no_background(tmp_path: Path) -> None:
    point = {"type": "keypointlabels", "value": {"x": 5, "y": 5, "width": 1, "keypointlabels": ["c"]}}
    root = label_studio(tmp_path / "d", {"annotations": [{"result": [point]}]})
    assert refused(root) == ["picture-without-boxes"]


def test_lists_of_other_tools_are_no_label_studio(tmp_path: Path) -> None:
    write_image(tmp_path / "d/a.jpg", 64, 48)
    write(tmp_path / "d/x.json", [{"image": "a.jpg", "annotations": [
        {"label": "c", "coordinates": {"x": 5, "y": 5, "width": 2, "height": 2}}]}])  # fmt: skip
    with pytest.raises(UserFilesError, match="annotations of CreateML") as caught:
        read_dataset(tmp_path / "d")
    assert "--from create-ml" in (caught.value.hint or "")


@pytest.mark.parametrize(("line", "code"), [
    ({"grounding": {"caption": "a car", "regions": [{"bbox": [1, 1, 9, 9], "phrase": "car"}]}}, "odvg-grounding"),
    ({}, "odvg-line"),
])  # fmt: skip
def test_lines_of_odvg_without_instances_are_no_background(
    line: dict[str, Any], code: str, tmp_path: Path
) -> None:
    for name in ("a.jpg", "b.jpg"):
        write_image(tmp_path / "d" / name, 64, 48)
    good = {"filename": "b.jpg", "height": 48, "width": 64, "detection": {"instances": []}}
    bad = {"filename": "a.jpg", "height": 48, "width": 64, **line}
    write(tmp_path / "d/a.jsonl", "".join(json.dumps(one) + "\n" for one in (bad, good)))
    assert refused(tmp_path / "d") == [code]


def test_wider_face_is_read(tmp_path: Path) -> None:
    root = tmp_path / "d"
    for name in ("0--P/a.jpg", "1--Q/b.jpg"):
        write_image(root / "WIDER_train/images" / name, 64, 48)
    write(root / "split/wider_face_train_bbx_gt.txt",
          "0--P/a.jpg\n2\n10 11 20 21 0 0 0 0 0 0 \n1 2 3 4 2 0 0 0 1 0 \n1--Q/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n")  # fmt: skip
    done = convert(root, tmp_path / "made", to="kitti")
    assert (done.format, done.subsets, dict(done.after), done.backgrounds) == (
        "wider-face", {"train": 2}, {"face": 2}, 1)  # fmt: skip
    (label,) = (tmp_path / "made").rglob("a.txt")
    assert [line.split()[4:8] for line in label.read_text().splitlines()] == [
        ["10", "11", "30", "32"], ["1", "2", "4", "6"]]  # fmt: skip


def test_a_link_to_a_folder_around_it_is_not_followed(tmp_path: Path) -> None:
    root = coco(tmp_path / "d", {"bbox": [1, 1, 5, 5]})
    (root / "loop").symlink_to(".")
    (root / "itself").symlink_to("itself")
    dataset = read_dataset(root)
    assert [image.path.name for image in dataset.images] == ["a.jpg"]
    assert codes(dataset, Severity.WARNING) == ["link-loop"]
    (root / "loop").unlink()
    (root / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    assert codes(read_dataset(root), Severity.WARNING) == []


@pytest.mark.parametrize("name", ["set.zip", "part/set.tar.gz"])
def test_an_archive_in_place_of_its_content_is_named(name: str, tmp_path: Path) -> None:
    write(tmp_path / "d" / name, "x")
    with pytest.raises(UserFilesError, match="has no images, but 1 archive") as caught:
        check_dataset(tmp_path / "d")
    assert name in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["a.webp", "a.tif", "a.tiff", "a.WEBP"])
def test_webp_and_tiff_are_read_and_reported_where_tao_does_not_read_them(name: str, tmp_path: Path) -> None:
    root = tmp_path / "d"
    root.mkdir()
    kind = "webp" if name.lower().endswith("webp") else "tiff"
    Image.new("RGB", (64, 48)).save(root / name, kind)
    coco(root, {"bbox": [1, 1, 5, 5]}, name=name)
    dataset = read_dataset(root)
    assert [(image.width, image.height, len(image.boxes)) for image in dataset.images] == [(64, 48, 1)]
    assert "image-format" in {f.code for f in check_dataset(root).findings}
    assert [f.code for f in convert(root, tmp_path / "made", to="kitti").findings] == ["images-converted"]
    (made,) = read_dataset(tmp_path / "made").images
    assert (made.path.name, read_header(made.path).format, len(made.boxes)) == ("a.png", "png", 1)


@pytest.mark.parametrize("name", ["a.heic", "b.ppm", "c.AVIF"])
def test_images_of_kinds_that_are_not_read_stop(name: str, tmp_path: Path) -> None:
    root = coco(tmp_path / "d", {"bbox": [1, 1, 5, 5]})
    write(root / name, "x")
    assert refused(root) == ["picture-kind"]


@pytest.mark.parametrize(("options", "size"), [
    ({"lossless": True}, (61, 47)), ({"quality": 50}, (300, 20)), ({"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}, (17, 5)),
])  # fmt: skip
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_headers_of_webp(options: dict[str, Any], size: tuple[int, int], mode: str, tmp_path: Path) -> None:
    Image.new(mode, size, 90).save(tmp_path / "a.webp", **options)
    header = read_header(tmp_path / "a.webp")
    assert (header.format, header.width, header.height) == ("webp", *size)


@pytest.mark.parametrize(
    ("mode", "channels", "bits"), [("RGB", 3, 8), ("L", 1, 8), ("I;16", 1, 16), ("RGBA", 4, 8)]
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_headers_of_tiff(mode: str, channels: int, bits: int, order: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new(mode, (33, 21)).save(stream, "TIFF")
    data = stream.getvalue()
    if order == ">":  # a directory of its own, as few libraries write that order
        rows = [(256, 3, 33), (257, 3, 21), (258, 3, bits), (277, 3, channels), (274, 3, 6)]
        packed = b"".join(struct.pack(">HHIHH", tag, kind, 1, value, 0) for tag, kind, value in rows)
        data = b"MM\0*" + struct.pack(">IH", 8, len(rows)) + packed
    (tmp_path / "a.tif").write_bytes(data)
    header = read_header(tmp_path / "a.tif")
    assert (header.stored_width, header.stored_height, header.channels, header.bits) == (
        33,
        21,
        channels,
        bits,
    )
    assert header.orientation == (6 if order == ">" else 1)
