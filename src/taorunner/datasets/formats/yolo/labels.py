"""Reads YOLO (Ultralytics, Roboflow, Darknet): one text file per image, coordinates as fractions of the image.

Reading starts from the images: an image without a label file is a background image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taorunner.datasets.files.numbers import bounding_box, number
from taorunner.datasets.files.yolo_rows import is_yolo_text
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.yolo.description import (
    NAMES_HINT,
    class_list,
    darknet,
    data_yaml,
    label_of,
    mapping,
    names_yaml,
    points_of,
    read_description,
)
from taorunner.datasets.model.annotations import Box, DatasetMetadata, DetectionDataset, ImageEntry
from taorunner.datasets.model.geometry import is_rectangle, is_upright
from taorunner.text import amount, printable

_LARGEST = 4.0
"""The largest coordinate, as boxes may reach beyond the image; half of it where a track may follow the score."""


def recognise(folder: Folder) -> bool:
    if data_yaml(folder) or darknet(folder):
        return True
    labels = (label for image_file in folder.image_files if (label := label_of(folder, image_file)))
    if class_list(folder) is not None:
        return any(labels)
    return names_yaml(folder) is not None and any(is_yolo_text(folder.peek(label) or "") for label in labels)


def read(folder: Folder) -> DetectionDataset:
    described = read_description(folder)
    if described is None:
        folder.error("yolo-names", "there is no list of class names", folder.root, hint=NAMES_HINT)
        return DetectionDataset("yolo", folder.root, (), (), tuple(folder.findings))
    names, parts = described
    points = points_of(folder)
    images: list[ImageEntry] = []
    taken: dict[str, str] = {}
    twice: dict[tuple[str, str], list[str]] = {}
    for subset, image_files in parts:
        for image_file in dict.fromkeys(image_files):
            if image_file in taken:
                twice.setdefault((subset, taken[image_file]), []).append(image_file)
                continue
            taken[image_file] = subset
            entry = _entry(folder, image_file, subset, names, points)
            if entry is not None:
                images.append(entry)
    for (subset, earlier), again in twice.items():
        verb = "is" if len(again) == 1 else "are"
        message = f'{amount(len(again), "image")} of "{subset}" {verb} in "{earlier}" too'
        hint = f'used for "{earlier}" only; taorunner dataset split DATASET --merge makes new subsets'
        folder.warning("picture-in-two-subsets", message, folder.root / again[0], hint=hint)
    _report_unlabelled(folder, images)
    _note_oriented(folder, images)
    _report_unused_labels(folder)
    left = [path for path in folder.image_files if path not in taken]
    if left:
        message = f'no subset lists {amount(len(left), "image")}, such as "{printable(left[0])}"'
        folder.warning(
            "picture-unlisted", message, folder.root / left[0], hint="list them in data.yaml or obj.data"
        )
    return DetectionDataset(
        "yolo", folder.root, tuple(images), tuple(dict.fromkeys(names)), tuple(folder.findings),
        DatasetMetadata(pose=_pose(folder, images)),
    )  # fmt: skip


def _pose(folder: Folder, images: list[ImageEntry]) -> dict[str, Any]:
    """The keys of data.yaml that describe key points, if every object has the same number; else empty."""
    counts = {len((box.extra or {}).get("keypoints", ())) for image in images for box in image.boxes}
    points = points_of(folder)
    if len(counts) != 1 or counts == {0}:
        return {}
    path = data_yaml(folder) or names_yaml(folder)
    listed = mapping(folder, path) if path is not None else {}
    shape = list(points) if points else [counts.pop() // 3, 3]
    return {"kpt_shape": shape, **{key: listed[key] for key in ("flip_idx", "kpt_names") if key in listed}}


def _report_unlabelled(folder: Folder, images: list[ImageEntry]) -> None:
    """A subset in which no image has a label file lost its labels; single images without one are background."""
    for subset in dict.fromkeys(image.subset for image in images):
        members = [image for image in images if image.subset == subset]
        left = [image.path for image in members if image.source is None]
        if not left:
            continue
        shown = f'such as "{printable(left[0].name)}"'
        if len(left) == len(members):
            what = f'"{subset}"' if subset else "the dataset"
            message = f"none of the {amount(len(left), 'image')} in {what} has a label file, {shown}"
            hint = "put labels in labels/ next to images/, also empty ones; --skip-bad takes all as background images"
            folder.error("subset-unlabelled", message, left[0], hint=hint)
        else:
            verb = "has" if len(left) == 1 else "have"
            shown = f"{len(left):,} of {amount(len(members), 'image')}, {shown},"
            message = f"{shown} {verb} no label file: used as background images"
            folder.report_info("label-missing", message, left[0])


def _note_oriented(folder: Folder, images: list[ImageEntry]) -> None:
    """Four corners with right angles everywhere are oriented boxes (Ultralytics' OBB), not outlines."""
    drawn = [
        (image, box, list(zip(box.segmentation[0][::2], box.segmentation[0][1::2], strict=True)))
        for image in images
        for box in image.boxes
        if box.segmentation
    ]
    if len(drawn) < sum(len(image.boxes) for image in images) or not all(
        is_rectangle(one[2]) for one in drawn
    ):
        return
    for image, box, points in drawn:
        if not is_upright(points):
            folder.note_box("box-rotated", "oriented box", image.source or image.path, box.line)


def _report_unused_labels(folder: Folder) -> None:
    """Reports label files without an image."""
    used = {label for image_file in folder.image_files if (label := label_of(folder, image_file))}
    left = [path for path in folder.with_suffix(".txt") if path not in used and _is_label(folder, path)]
    if not left:
        return
    message = (
        f"{amount(len(left), 'label file')} {'has' if len(left) == 1 else 'have'} no image of the same name, "
        f'such as "{printable(left[0])}"'
    )
    hint = (
        "put labels beside their image, or in labels/ next to images/; add the images, or delete the labels"
    )
    folder.error("label-without-image", message, folder.root / left[0], hint=hint)


def _is_label(folder: Folder, path: str) -> bool:
    text = folder.peek(path) or ""
    return is_yolo_text(text) or (not text.strip() and "labels" in path.split("/")[:-1])


def line_of(index: object, corners: tuple[float, float, float, float], size: tuple[int, int]) -> str:
    """Eight decimals, which keep 0.01 px in any image."""
    left, top, right, bottom = corners
    width, height = size
    values = (
        (left + right) / 2 / width,
        (top + bottom) / 2 / height,
        (right - left) / width,
        (bottom - top) / height,
    )
    return " ".join([str(index), *(f"{value:.8f}".rstrip("0").rstrip(".") for value in values)])


def _entry(
    folder: Folder, image_file: str, subset: str, names: list[str], points: tuple[int, int] | None
) -> ImageEntry | None:
    path = folder.root / image_file
    header = folder.header(path)
    if header is None:
        return None
    label = label_of(folder, image_file)
    if label is None:
        return ImageEntry(path, header.width, header.height, (), subset)
    if folder.text(label) is None:
        return None  # reported; it must not become a background image
    boxes = tuple(_boxes(folder, label, names, (header.width, header.height), points))
    return ImageEntry(path, header.width, header.height, boxes, subset, folder.root / label)


def _boxes(
    folder: Folder, label: str, names: list[str], size: tuple[int, int], points: tuple[int, int] | None
) -> Iterator[Box]:
    """``points``: the number of key points of an object, and of values per point; None when not stated."""
    width, height = size
    file = folder.root / label
    for line_number, line in enumerate((folder.text(label) or "").splitlines(), start=1):
        columns = line.split()
        if not columns:
            continue
        values = [number(text) for text in columns]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            word = columns[values.index(None)]
            message = f'"{printable(word)}" is not a number'
            folder.error("yolo-number", message, file, line_number, line.index(word) + 1)
            continue
        index, *rest = known
        largest = _LARGEST / 2 if len(rest) == 6 else _LARGEST
        if (far := next((at for at, value in enumerate(rest) if abs(value) > largest), None)) is not None:
            word = columns[far + 1]
            message = (
                f'"{printable(word)}" is no fraction of the image; YOLO\'s coordinates lie between 0 and 1'
            )
            hint = (
                "divide pixels by the size of the image; leave out columns behind the score, such as a track"
            )
            folder.error("yolo-fraction", message, file, line_number, line.index(word) + 1, hint)
            continue
        if index != int(index) or not 0 <= index < len(names):
            message = f'the class is "{columns[0]}", but there are {len(names)} class names'
            folder.error("yolo-class", message, file, line_number, line.index(columns[0]) + 1)
            continue
        name = names[int(index)]
        shape = points or _guessed_points(rest)
        is_pose = shape is not None and len(rest) == 4 + shape[0] * shape[1]
        if points is not None and not is_pose:
            message = (
                f"{len(columns)} columns, but kpt_shape {list(points)} requires {5 + points[0] * points[1]}"
            )
            folder.error("yolo-columns", message, file, line_number, 1)
        elif len(rest) in (4, 5) or is_pose:
            x, y, w, h = rest[0] * width, rest[1] * height, rest[2] * width, rest[3] * height
            score = rest[4] if len(rest) == 5 else None
            extra = _keypoints(rest[4:], shape[1], size) if shape is not None and is_pose else None
            yield Box(
                name, x - w / 2, y - h / 2, x + w / 2, y + h / 2, None, score, line=line_number, extra=extra
            )
        elif len(rest) >= 6 and len(rest) % 2 == 0:
            corners = [(x * width, y * height) for x, y in zip(rest[::2], rest[1::2], strict=True)]
            flat = [[value for corner in corners for value in corner]]
            yield Box(name, *bounding_box(corners), segmentation=flat, line=line_number)
        else:
            message = f"{len(columns)} columns, but a YOLO line has 5 (6 with a score) or a polygon"
            folder.error("yolo-columns", message, file, line_number, 1)


def _guessed_points(rest: list[float]) -> tuple[int, int] | None:
    """Guesses the points without ``kpt_shape``: visibility is 0, 1 or 2, and visible points lie inside the box."""
    count, left = divmod(len(rest) - 4, 3)
    if count < 1 or left:
        return None
    x, y, w, h = rest[:4]
    seen = [rest[at : at + 2] for at in range(4, len(rest), 3) if rest[at + 2]]
    is_pose = all(value in (0, 1, 2) for value in rest[6::3]) and all(
        abs(px - x) <= w / 2 + 0.01 and abs(py - y) <= h / 2 + 0.01 for px, py in seen
    )
    return (count, 3) if is_pose and seen else None


def _keypoints(rest: list[float], step: int, size: tuple[int, int]) -> dict[str, object]:
    """In COCO's form: x and y in pixels, and a visibility, 2 when none is stated."""
    found: list[float] = []
    for at in range(0, len(rest), step):
        visibility = int(rest[at + 2]) if step == 3 else 2
        found += [round(rest[at] * size[0], 4), round(rest[at + 1] * size[1], 4), visibility]
    return {"keypoints": found, "num_keypoints": sum(value > 0 for value in found[2::3])}
