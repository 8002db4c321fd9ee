"""Reads COCO: one JSON of images, annotations and categories for each subset, under any file name.

Source: tao/datasets.md A2: TAO uses ``category_id`` as the label index, needs ``area`` in each annotation, and rotates
images by EXIF; other tools start their ids at 0 or leave gaps.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from taorunner.datasets.files.coco_rows import AnnotationTexts, batches, category_ids
from taorunner.datasets.files.json_pieces import JsonObject, JsonSource
from taorunner.datasets.files.names import as_path, subset_of
from taorunner.datasets.files.numbers import bounding_box, number
from taorunner.datasets.formats.coco_boxes import AnnotationRows, rest_of
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model import segmentation
from taorunner.datasets.model.annotations import CocoFile, DatasetMetadata, DetectionDataset, ImageEntry
from taorunner.datasets.model.boxes import Corners, Fields, corners_of, kinds_of
from taorunner.text import amount, printable

_LISTS = ("images", "annotations")
_TOP = frozenset({*_LISTS, "categories"})
_IMAGE = frozenset({"file_name", "width", "height"})
_OF_BOXES = ('"images"', '"annotations"', '"file_name"', '"category_id"', '"bbox"')
_OTHER_TASKS = ("captions", "person_keypoints", "stuff", "panoptic", "image_info")


def recognise(folder: Folder) -> bool:
    return bool(documents(folder))


def read(folder: Folder) -> DetectionDataset:
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    paths = documents(folder)
    _report_left_out(folder, paths)
    _report_without_categories(folder)
    top: dict[str, Any] = {}
    class_fields: dict[str, dict[str, Any]] = {}
    files: dict[Path, CocoFile] = {}
    for path in paths:
        part = Document(folder, path, subset_of(path) if len(paths) > 1 or "/" in path else _of_stem(path))
        entries = part.entries()
        if (repeated := _repeated(images, entries)) is not None:
            same = f"{amount(len(entries), 'image')} with the same labels as in"
            message = f"{same} {_shown(repeated, folder)}: read once"
            folder.warning(
                "annotations-twice", message, folder.root / path, hint="remove one of the two files"
            )
            continue
        images += entries
        classes.update(dict.fromkeys(part.classes))
        if (facts := part.facts()) is not None:
            files[folder.root / path] = facts
        for key, value in part.top.items():
            if top.setdefault(key, value) != value:
                message = f'its "{printable(key)}" differs from that of another file, which is kept'
                folder.report_info("coco-top-key", message, folder.root / path)
        for name, category in part.metadata.items():
            earlier = class_fields.setdefault(name, category)
            if earlier.get("id") != category.get("id"):
                earlier.pop("id", None)  # one class with two ids: keep neither
    return DetectionDataset(
        "coco",
        folder.root,
        tuple(images),
        tuple(classes),
        tuple(folder.findings),
        DatasetMetadata(top, class_fields, coco_files=files),
    )


def _repeated(before: Sequence[ImageEntry], entries: Sequence[ImageEntry]) -> Path | None:
    """The file of ``before`` that has every image of ``entries`` with the same labels in the same subset."""
    if not before or not entries:
        return None
    known = {str(image.path): image for image in before}
    for entry in entries:
        image = known.get(str(entry.path))
        if image is None or image.subset != entry.subset or _labels(image) != _labels(entry):
            return None
    return known[str(entries[0].path)].source


def _labels(image: ImageEntry) -> Counter[tuple[Corners, bool, bool]]:
    kinds = kinds_of(image.boxes)
    return Counter(
        (corners, kind.iscrowd, kind.has_outline)
        for corners, kind in zip(corners_of(image.boxes), kinds, strict=True)
    )


def _shown(file: Path, folder: Folder) -> str:
    return f'"{printable(file.relative_to(folder.root).as_posix())}"'


def _report_left_out(folder: Folder, paths: list[str]) -> None:
    """Reports the files that are left out: of several files on the same images, only those with boxes are read."""
    left = [path for path in _with_images(folder) if path not in paths]
    if left:
        message = (
            f"{amount(len(left), 'file')} of images without boxes or of other annotations "
            f'{"is" if len(left) == 1 else "are"} not read, such as "{printable(left[0])}"'
        )
        hint = "move them to another folder to read them"
        folder.warning("annotations-left-out", message, folder.root / left[0], hint=hint)


def _report_without_categories(folder: Folder) -> None:
    """Reports files of images and boxes without classes. Other tools' files have other words."""
    for path in folder.with_suffix(".json"):
        start = folder.peek(path) or ""
        may_be = '"images"' in start or '"annotations"' in start
        if may_be and not folder.mentions(path, '"categories"') and folder.mentions(path, *_OF_BOXES):
            message = 'it has images and boxes, and no "categories": its boxes are not read'
            folder.error("coco-category", message, folder.root / path, hint="copy those of the other file")


def _of_stem(path: str) -> str:
    return subset_of(path.rpartition("/")[2])


def documents(folder: Folder) -> list[str]:
    found = _with_images(folder)
    annotated = [path for path in found if _has_annotations(folder, path)] or found
    with_boxes = [path for path in annotated if not _is_of_whole_images(folder, path)] or annotated
    instances = [path for path in with_boxes if not path.rpartition("/")[2].startswith(_OTHER_TASKS)]
    return instances or with_boxes


def _has_annotations(folder: Folder, path: str) -> bool:
    document = folder.json_object(path, _LISTS)
    return document is not None and "annotations" in (*document.lists, *document.values)


def _is_of_whole_images(folder: Folder, path: str) -> bool:
    """True for captions and for labels of whole images: no annotation has a box or an outline."""
    document = folder.json_object(path, _LISTS)
    has_any = document is not None and next(iter(document.elements("annotations")), None) is not None
    return has_any and not (folder.mentions(path, '"bbox"') or folder.mentions(path, '"segmentation"'))


def _with_images(folder: Folder) -> list[str]:
    found = []
    for path in folder.with_suffix(".json"):
        if folder.mentions(path, '"images"', '"categories"'):
            document = folder.json_object(path, _LISTS)
            if document is None or "images" not in document.lists:
                continue
            if not (folder.mentions(path, '"segments_info"') and _is_panoptic(document)):
                found.append(path)
    return found


class Document:
    """One JSON file: its categories, and its annotations grouped by image."""

    def __init__(self, folder: Folder, path: str, subset: str, file: Path | None = None) -> None:
        """``file``: the file named in findings, when it is not ``path`` itself."""
        self._folder, self._path, self._subset = folder, path, subset
        self._is_own = file is None
        self._file = file or folder.root / path
        self._document = folder.json_object(path, _LISTS) or JsonObject(JsonSource(b""))
        self.top = {key: value for key, value in self._document.values.items() if key not in _TOP}
        self.metadata: dict[str, dict[str, Any]] = {}
        self._names = self._categories()
        self._rows = AnnotationRows(AnnotationTexts(self._document))
        self._count = self._without_area = self._of_texts = 0
        self._read_annotations()
        self._boxes = self._rows.by_image()

    @property
    def classes(self) -> list[str]:
        return list(self._names.values())

    def facts(self) -> CocoFile | None:
        """None when categories are not as COCO has them."""
        try:
            listed = tuple(
                (one["id"], str(one["name"])) for one in self._document.values.get("categories", ())
            )
        except (TypeError, KeyError):
            return None
        return CocoFile(self._count, self._without_area, listed, self._of_texts)

    def entries(self) -> list[ImageEntry]:
        found = []
        seen: set[Any] = set()
        shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        for index, image in enumerate(self._document.elements("images")):
            reference = _reference(image) if isinstance(image, dict) else None
            if not isinstance(reference, str) or not _is_id(image_id := image.get("id")):
                self._error("coco-image", 'an image needs "id" and "file_name"', ("images", index))
                continue
            if image_id in seen:
                self._error("coco-image", f"the image id {image_id} is used twice", ("images", index))
                continue
            seen.add(image_id)
            image_file = self._folder.image_file(reference, self._path)
            if image_file is None:
                steps = ("images", index, "file_name")
                place = self._folder.json_place(self._path, steps) if self._is_own else ()
                self._folder.missing_image(reference, self._file, *place)
                continue
            if self._is_own and self._is_elsewhere(reference, image_file):
                self._report_elsewhere(reference, image_file, ("images", index, "file_name"))
            keys = tuple([key for key in image if key not in _IMAGE])
            extra = Fields(shared.setdefault(keys, keys), tuple([image[key] for key in keys]))
            entry = self._folder.entry(
                image_file,
                self._boxes.get(image_id, ()),
                subset=self._subset or self._folder_subset(image_file),
                source=self._file,
                stated_size=(image.get("width"), image.get("height")),
                extra=extra,
            )
            if entry is not None:
                found.append(entry)
        for image_id, boxes in self._boxes.items():
            if image_id not in seen:
                message = f'no image has the id "{image_id}" of {amount(len(boxes), "annotation")}'
                self._folder.error("coco-annotation", message, self._file)
        return found

    def _is_elsewhere(self, reference: str, found: Path) -> bool:
        """Whether a loader that joins ``reference`` to the folder of a spec misses the image that was ``found``.

        False without such a folder, and where it holds no image at all, which is reported as a whole.
        """
        path = str(found)
        if not self._spec_folders or any(path == f"{below}{reference}" for below in self._spec_folders):
            return False
        return all(path != os.path.normpath(f"{below}{as_path(reference)}") for below in self._spec_folders)

    @cached_property
    def _spec_folders(self) -> tuple[str, ...]:
        """Each with a slash at its end."""
        folders = self._folder.spec_folders(self._path)
        images = self._folder.image_files if folders else ()
        held = (one for one in folders if any(image.startswith(f"{one}/") for image in images))
        return tuple(f"{self._folder.root}/{one}/" for one in held)

    def _report_elsewhere(self, reference: str, image: Path, steps: tuple[Any, ...]) -> None:
        message = f'"{printable(reference)}" is not in the image folder of the spec: TAO joins the two'
        hint = f'the image of that name is "{printable(str(image))}": correct the name, or move it'
        place = self._folder.json_place(self._path, steps)
        self._folder.error("picture-missing", message, self._file, *place, hint)

    def _folder_subset(self, image_file: Path) -> str:
        """The subset according to the image's folders; for documents that another program wrote."""
        if self._is_own or not image_file.is_relative_to(self._folder.root):
            return ""
        return subset_of(f"{image_file.relative_to(self._folder.root).parent.as_posix()}/x")

    def _categories(self) -> dict[Any, str]:
        names: dict[Any, str] = {}
        listed = self._document.values.get("categories")
        categories = listed if isinstance(listed, list) else []
        for index, category in enumerate(categories):
            name = category.get("name") if isinstance(category, Mapping) else None
            if not isinstance(name, str) or not name.strip() or not _is_id(category.get("id")):
                self._error("coco-category", 'a category needs "id" and "name"', ("categories", index))
            else:
                names[category["id"]] = name
                self.metadata[name] = {key: value for key, value in category.items() if key != "name"}
        return self._without_umbrella(names, categories)

    def _without_umbrella(self, names: dict[Any, str], categories: list[Any]) -> dict[Any, str]:
        """Removes Roboflow's category 0: the name of the project, parent of all others, without boxes."""
        parents = {
            str(c.get("supercategory")) for c in categories if isinstance(c, Mapping) and c.get("id") != 0
        }
        if len(names) > 1 and parents == {names.get(0)} and not self._uses_category_0():
            self.metadata.pop(names[0], None)
            return {key: name for key, name in names.items() if key != 0}
        return names

    def _uses_category_0(self) -> bool:
        return any(str(one) == "0" for one in category_ids(self._document))

    def _read_annotations(self) -> None:
        if "annotations" not in self._document.lists:
            problem = "is missing" if self._document.values.get("annotations") is None else "is not a list"
            message = f'"annotations" {problem}: every image would count as a background image'
            hint = "if this file lists test images, give a folder with annotations"
            self._folder.error("coco-annotations", message, self._file, hint=hint)
        for batch in batches(self._document):
            annotations = batch.annotations or ()
            self._count += len(annotations)
            self._without_area += batch.without_area
            left = self._rows.add_batch(batch, self._names)
            if left is None or left:
                for index, annotation in enumerate(json.loads(batch.text)):
                    if left is None and isinstance(annotation, Mapping):
                        self._count += 1
                        self._without_area += "area" not in annotation
                    if left is None or index in left:
                        self._read_one(batch.first + index, annotation)

    def _read_one(self, index: int, annotation: Any) -> None:
        """An annotation with other types than usual, or that is wrong."""
        try:
            name = self._names[annotation["category_id"]]
            x, y, width, height = annotation["bbox"]
            self._of_texts += any(isinstance(one, str) for one in (x, y, width, height))
            x, y, right, bottom = float(x), float(y), float(x) + float(width), float(y) + float(height)
            if not math.isfinite(x + y + right + bottom):
                raise ValueError
            image_id = annotation["image_id"]
            hash(image_id)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            self._read_without_box(index, annotation)
            return
        self._rows.add(index, image_id, name, (x, y, right, bottom), rest_of(annotation).kind)

    def _read_without_box(self, index: int, annotation: Any) -> None:
        """An annotation without a complete box: takes the box around its polygon, or reports it."""
        steps = ("annotations", index)
        if isinstance(annotation, Mapping) and "segments_info" in annotation:
            message = (
                "panoptic segments have no boxes; mask2former and oneformer read them without conversion"
            )
            self._error("coco-panoptic", message, steps)
            return
        if not isinstance(annotation, Mapping) or not _is_id(annotation.get("image_id")):
            self._error("coco-annotation", 'an annotation needs "image_id", "category_id" and "bbox"', steps)
            return
        category = annotation.get("category_id")
        if isinstance(category, list | dict) or category not in self._names:
            message = f'the category id "{printable(str(category))}" is not among the categories'
            self._error("coco-annotation", message, (*steps, "category_id"))
            return
        polygons = annotation.get("segmentation")
        if not annotation.get("bbox") and isinstance(polygons, Mapping):
            with suppress(ValueError):
                corners = segmentation.extent(polygons)
                self._folder.note_box("mask-box", "mask", self._file)
                kind = rest_of(annotation).kind
                self._rows.add(index, annotation["image_id"], self._names[category], corners, kind)
                return
        if not annotation.get("bbox") and isinstance(polygons, list):
            flat = [number(value) for polygon in polygons if isinstance(polygon, list) for value in polygon]
            values = [value for value in flat if value is not None]
            if len(values) >= 6 and len(values) == len(flat):
                corners = bounding_box(list(zip(values[::2], values[1::2], strict=False)))
                kind = rest_of(annotation).kind
                self._rows.add(index, annotation["image_id"], self._names[category], corners, kind)
                return
        value = json.dumps(annotation.get("bbox"), ensure_ascii=False)
        message = f'"bbox" is {printable(value)[:60]}, not [x, y, width, height]'
        self._error("coco-annotation", message, (*steps, "bbox"))

    def _error(self, code: str, message: str, steps: tuple[str | int, ...]) -> None:
        place = self._folder.json_place(self._path, steps) if self._is_own else ()
        self._folder.error(code, message, self._file, *place)


def _is_panoptic(document: JsonObject) -> bool:
    """True for COCO panoptic annotations, which OneFormer reads: an entry for each image, its segments in a PNG."""
    return any(
        b'"segments_info"' in text
        and any(isinstance(one, Mapping) and "segments_info" in one for one in json.loads(text))
        for _, text in document.pieces("annotations")
    )


def _reference(image: Mapping[str, Any]) -> Any:
    """``file_name``; LVIS has the address only."""
    return image.get("file_name", image.get("coco_url"))


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str)
