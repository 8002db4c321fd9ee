"""Reads YOLO (Ultralytics, Roboflow, Darknet): one text file per image, coordinates as fractions of the image.

Reading starts from the images: an image without a label file is a background image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from taorunner.datasets.files.yolo_rows import is_yolo_text
from taorunner.datasets.formats.folder import SPLIT_NAMES, Folder, bounding_box, number
from taorunner.datasets.model.annotations import Box, DatasetMetadata, DetectionDataset, ImageEntry
from taorunner.text import amount, printable
from taorunner.yaml_reader import read_yaml

NAMES_HINT = "write data.yaml with train:, val: and names:, or classes.txt with one name per line"
_SUBSETS = ("train", "val", "valid", "test")


def recognise(folder: Folder) -> bool:
    if _data_yaml(folder) or _darknet(folder):
        return True
    labels = (label for image_file in folder.image_files if (label := _label_of(folder, image_file)))
    if _class_list(folder) is not None:
        return any(labels)
    return _names_yaml(folder) is not None and any(is_yolo_text(folder.peek(label) or "") for label in labels)


def read(folder: Folder) -> DetectionDataset:
    described = _read_description(folder)
    if described is None:
        folder.error("yolo-names", "there is no list of class names", folder.root, hint=NAMES_HINT)
        return DetectionDataset("yolo", folder.root, (), (), tuple(folder.findings))
    names, parts = described
    points = _points_of(folder)
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
        hint = f'used for "{earlier}" only; taorunner dataset split makes new subsets'
        folder.warning("picture-in-two-subsets", message, folder.root / again[0], hint=hint)
    _report_unused_labels(folder)
    left = [path for path in folder.image_files if path not in taken]
    if left:
        message = f'no subset lists {amount(len(left), "image")}, such as "{printable(left[0])}"'
        folder.warning(
            "picture-unlisted", message, folder.root / left[0], hint="add their folder to data.yaml"
        )
    return DetectionDataset(
        "yolo", folder.root, tuple(images), tuple(dict.fromkeys(names)), tuple(folder.findings),
        DatasetMetadata(pose=_pose(folder, images)),
    )  # fmt: skip


def _pose(folder: Folder, images: list[ImageEntry]) -> dict[str, Any]:
    """The keys of data.yaml that describe key points, if every object has the same number; else empty."""
    counts = {len((box.extra or {}).get("keypoints", ())) for image in images for box in image.boxes}
    points = _points_of(folder)
    if len(counts) != 1 or counts == {0}:
        return {}
    path = _data_yaml(folder) or _names_yaml(folder)
    listed = _mapping(folder, path) if path is not None else {}
    shape = list(points) if points else [counts.pop() // 3, 3]
    return {"kpt_shape": shape, **{key: listed[key] for key in ("flip_idx", "kpt_names") if key in listed}}


def _report_unused_labels(folder: Folder) -> None:
    """Reports label files without an image."""
    used = {label for image_file in folder.image_files if (label := _label_of(folder, image_file))}
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
    label = _label_of(folder, image_file)
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


def _points_of(folder: Folder) -> tuple[int, int] | None:
    """``kpt_shape`` of data.yaml: the number of points of an object, and of values per point.

    Source: Ultralytics' pose format: a point has x and y, and possibly a visibility.
    """
    path = _data_yaml(folder) or _names_yaml(folder)
    shape = _mapping(folder, path).get("kpt_shape") if path is not None else None
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(one) is int for one in shape)):
        return None
    return (shape[0], shape[1]) if shape[0] > 0 and shape[1] in (2, 3) else None


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


def _label_of(folder: Folder, image_file: str) -> str | None:
    """The label file: the last ``images/`` of the path becomes ``labels/`` (Ultralytics); else beside the image."""
    stem = image_file.rpartition(".")[0]
    parts = stem.split("/")
    candidates = [stem + ".txt"]
    for at in range(len(parts) - 2, -1, -1):
        if parts[at] == "images":
            candidates.insert(0, "/".join([*parts[:at], "labels", *parts[at + 1 :]]) + ".txt")
            break
    candidates += _listed_labels(folder).get(image_file, [])
    return next((path for path in candidates if path in _files(folder)), None)


def _listed_labels(folder: Folder) -> dict[str, list[str]]:
    """Label files of images that a list names at another place: as the list says, or below ``labels/``."""
    known: dict[str, list[str]] = folder.__dict__.setdefault("_listed_labels", {})
    return known


def _files(folder: Folder) -> frozenset[str]:
    known: frozenset[str] | None = folder.__dict__.get("_file_set")
    if known is None:
        known = folder.__dict__["_file_set"] = frozenset(folder.files)
    return known


def _read_description(folder: Folder) -> tuple[list[str], list[tuple[str, list[str]]]] | None:
    """The class names, and the images of each subset. None without class names."""
    path = _data_yaml(folder)
    if path is not None:
        return _from_yaml(folder, path)
    path = _darknet(folder)
    if path is not None:
        return _from_darknet(folder, path)
    path, listed = _names_yaml(folder), _class_list(folder)
    if listed is not None:
        names = (folder.text(listed) or "").splitlines()
    elif path is not None:
        names = _names(_mapping(folder, path).get("names"))
    else:
        return None
    by_subset: dict[str, list[str]] = {}
    for image_file in folder.image_files:
        words = [SPLIT_NAMES[part] for part in image_file.lower().split("/")[:-1] if SPLIT_NAMES.get(part)]
        by_subset.setdefault(words[0] if words else "", []).append(image_file)
    return [name.strip() for name in names if name.strip()], list(by_subset.items())


def _from_yaml(folder: Folder, path: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    document = read_yaml(folder.text(path) or "")
    file = folder.root / path
    for problem in document.problems:
        folder.error(problem.code, problem.message, file, problem.line, problem.column, problem.hint)
    value: Any = document.value if isinstance(document.value, dict) else {}
    names = _names(value.get("names"))
    if not names:
        folder.error("yolo-names", '"names" must list the classes', file, *document.place(("names",)))
    parts = []
    for subset in _SUBSETS:
        places = value.get(subset)
        image_files: list[str] = []
        for reference in places if isinstance(places, list) else [places] if places else []:
            found = _images_at(folder, path, str(value.get("path") or ""), str(reference))
            if not found and subset != "test":
                message = f'"{subset}" names "{printable(str(reference))}", which has no images'
                folder.error("yolo-subset", message, file, *document.place((subset,)))
            image_files += found
        if image_files:
            parts.append((SPLIT_NAMES[subset], image_files))
    return names, parts


def _names(value: Any) -> list[str]:
    if isinstance(value, dict) and all(isinstance(key, int) and key >= 0 for key in value):
        top = max(value, default=-1)
        return [str(value.get(i, f"class_{i}")) for i in range(top + 1)] if top < 100_000 else []
    return [str(name) for name in value] if isinstance(value, list) else []


def _images_at(folder: Folder, description: str, base: str, reference: str) -> list[str]:
    """Resolves ``reference``: below ``path``, below data.yaml, with an extra ``../``, or at one other place."""
    here = description.rpartition("/")[0]
    inside = os.path.relpath(base, folder.root) if os.path.isabs(base) else ""  # noqa: PTH117
    plain = reference.replace("\\", "/")
    if plain.startswith("/"):
        plain = os.path.relpath(plain, folder.root)
    for start in dict.fromkeys((f"{here}/{base}", inside, here, "")):
        place = os.path.normpath(f"{start}/{plain}" if start else plain).lstrip("/")
        found = _below(folder, place)
        if found:
            return found
    parts = [part for part in plain.split("/") if part not in ("..", ".", "")]
    for count in range(len(parts)):
        found = _below(folder, "/".join(([here] if here else []) + parts[count:]))
        if found:
            return found
    return []


def _below(folder: Folder, place: str) -> list[str]:
    if place.endswith(".txt"):
        return list(_listed(folder, place)) if place in _files(folder) else []
    return [path for path in folder.image_files if path.startswith(place + "/")]


def _listed(folder: Folder, listing: str) -> Iterator[str]:
    """The images in a list file, one per line."""
    for line_number, line in enumerate((folder.text(listing) or "").splitlines(), start=1):
        reference = line.strip()
        if not reference:
            continue
        image_file = folder.image_file(reference, listing)
        if image_file is None or not image_file.is_relative_to(folder.root):
            folder.missing_image(reference, folder.root / listing, line_number, 1)
        else:
            path = image_file.relative_to(folder.root).as_posix()
            label = _find(folder, listing, reference.rpartition(".")[0].replace("\\", "/") + ".txt")
            if label is not None and "/" in reference:
                _listed_labels(folder).setdefault(path, []).append(label)
            yield path


def _from_darknet(folder: Folder, path: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    keys: dict[str, str] = {}
    for line in (folder.text(path) or "").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            keys[key.strip()] = value.strip()
    names = _find(folder, path, keys.get("names", "obj.names"))
    if names is None:
        folder.error(
            "yolo-names",
            f'there is no file "{printable(keys.get("names", "obj.names"))}"',
            folder.root / path,
        )
    parts = []
    for key in _SUBSETS:
        listing = _find(folder, path, keys.get(key, ""))
        if listing is not None:
            parts.append((SPLIT_NAMES[key], list(_listed(folder, listing))))
    listed = (folder.text(names) or "").splitlines() if names else []
    return [name.strip() for name in listed if name.strip()], parts


def _find(folder: Folder, beside: str, reference: str) -> str | None:
    """The file that ``obj.data`` names; its paths are often relative to another folder."""
    parts = [part for part in reference.split("/") if part not in ("", ".", "..")]
    here = beside.rpartition("/")[0]
    for count in range(len(parts)):
        tail = "/".join(parts[count:])
        for place in ([f"{here}/{tail}"] if here else []) + [tail]:
            if place in _files(folder):
                return place
    return None


def _data_yaml(folder: Folder) -> str | None:
    for path in folder.with_suffix(".yaml", ".yml"):
        text = folder.text(path) or ""
        if "names:" in text and ("train:" in text or "val:" in text):
            return path
    return None


def _names_yaml(folder: Folder) -> str | None:
    """A YAML file that lists class names and no subsets: the folders are the subsets."""
    for path in folder.with_suffix(".yaml", ".yml"):
        if "names:" in (folder.text(path) or "") and _names(_mapping(folder, path).get("names")):
            return path
    return None


def _mapping(folder: Folder, path: str) -> dict[Any, Any]:
    value = read_yaml(folder.text(path) or "").value
    return value if isinstance(value, dict) else {}


def _darknet(folder: Folder) -> str | None:
    return next((path for path in folder.with_suffix(".data") if "names" in (folder.text(path) or "")), None)


def _class_list(folder: Folder) -> str | None:
    """``classes.txt`` of labelImg and Label Studio."""
    names = ("classes.txt", "obj.names")
    return next((path for path in folder.files if path.rpartition("/")[2] in names), None)
