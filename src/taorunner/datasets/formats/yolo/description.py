"""Says which images and classes a YOLO dataset lists (data.yaml, obj.data, classes.txt), and where their labels are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from taorunner.datasets.files.names import SPLIT_NAMES
from taorunner.datasets.formats.folder import Folder
from taorunner.text import printable, whole_number
from taorunner.yaml_reader import read_yaml

NAMES_HINT = "write data.yaml with train:, val: and names:, or classes.txt with one name per line"
Description = tuple[list[str], list[tuple[str, list[str]]]]
"""The class names, and the images of each subset."""
_SUBSETS = ("train", "val", "valid", "test")
_IMAGE_FOLDERS = ("images", "JPEGImages")
_VALIDATION = ("val", "valid", "validation")
"""Names of one subset; a description may have another one than the folder."""


def points_of(folder: Folder) -> tuple[int, int] | None:
    """``kpt_shape`` of data.yaml: the number of points of an object, and of values per point.

    Source: Ultralytics' pose format: a point has x and y, and possibly a visibility.
    """
    path = data_yaml(folder) or names_yaml(folder)
    shape = mapping(folder, path).get("kpt_shape") if path is not None else None
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(one) is int for one in shape)):
        return None
    return (shape[0], shape[1]) if shape[0] > 0 and shape[1] in (2, 3) else None


def label_of(folder: Folder, image_file: str) -> str | None:
    """The label file: the last ``images/`` of the path becomes ``labels/`` (Ultralytics), as does ``JPEGImages/``
    (Darknet); else beside the image."""
    stem = image_file.rpartition(".")[0]
    parts = stem.split("/")
    candidates = [stem + ".txt"]
    for at in range(len(parts) - 2, -1, -1):
        if parts[at] in _IMAGE_FOLDERS:
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


def read_description(folder: Folder) -> Description | None:
    """The class names, and the images of each subset. None without class names."""
    yamls = _data_yamls(folder)
    if yamls:
        return _of_one(folder, yamls, _from_yaml)
    lists = _darknets(folder)
    if lists:
        return _of_one(folder, lists, _from_darknet)
    path, listed = names_yaml(folder), class_list(folder)
    if listed is not None:
        _report_other_names(folder, listed)
        names = _lines(folder, listed)
    elif path is not None:
        names = _names(mapping(folder, path).get("names"))
    else:
        return None
    return names, _by_folders(folder)


def _by_folders(folder: Folder) -> list[tuple[str, list[str]]]:
    """All images, in the subsets that their folders name."""
    by_subset: dict[str, list[str]] = {}
    for image_file in folder.image_files:
        words = [SPLIT_NAMES[part] for part in image_file.lower().split("/")[:-1] if SPLIT_NAMES.get(part)]
        by_subset.setdefault(words[0] if words else "", []).append(image_file)
    return list(by_subset.items())


def _of_one(folder: Folder, paths: list[str], read: Callable[[Folder, str], Description]) -> Description:
    """What the first of several descriptions says; another one that says something else is an error."""
    chosen = read(folder, paths[0])
    seen = {image_file for _, image_files in chosen[1] for image_file in image_files}
    for path in paths[1:]:
        count = len(folder.findings)
        names, parts = read(folder, path)
        del folder.findings[count:]  # it is not used
        place = folder.root / path
        if names != chosen[0] or {one for _, image_files in parts for one in image_files} - seen:
            message = f'"{printable(path)}" describes other images or classes than "{printable(paths[0])}"'
            hint = "give the folder of one of them, or move one away"
            folder.error("descriptions-differ", message, place, hint=hint)
        else:
            message = f'"{printable(path)}" is not read: "{printable(paths[0])}" has its images and classes'
            folder.warning("description-unread", message, place)
    return chosen


def _report_other_names(folder: Folder, chosen: str) -> None:
    """Reports another list of class names, with other names."""
    for path in class_lists(folder):
        if (folder.text(path) or "").split() != (folder.text(chosen) or "").split():
            message = f'"{printable(path)}" has other class names than "{printable(chosen)}"'
            folder.error("descriptions-differ", message, folder.root / path, hint="keep the right one only")


def _from_yaml(folder: Folder, path: str) -> Description:
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
            if not found:
                found = _images_renamed(folder, path, value, str(reference), document.place((subset,)))
            if not found and subset != "test":
                message = f'"{subset}" names "{printable(str(reference))}", which has no images'
                folder.error("yolo-subset", message, file, *document.place((subset,)))
            image_files += found
        if image_files:
            parts.append((SPLIT_NAMES[subset], image_files))
    return names, parts


def _names(value: Any) -> list[str]:
    if isinstance(value, dict):
        numbers = {key: whole_number(str(key)) for key in value}
        value = {key if numbers[key] is None else numbers[key]: name for key, name in value.items()}
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


def _images_renamed(
    folder: Folder, description: str, value: dict[Any, Any], reference: str, place: tuple[int, int]
) -> list[str]:
    """The images of a folder such as ``val``, where the description says ``valid``; reported."""
    parts = reference.replace("\\", "/").split("/")
    for at, part in enumerate(parts):
        for other in _VALIDATION if part in _VALIDATION else ():
            renamed = "/".join([*parts[:at], other, *parts[at + 1 :]])
            if found := _images_at(folder, description, str(value.get("path") or ""), renamed):
                message = f'"{printable(reference)}" has no images: those of "{printable(renamed)}" are read'
                folder.warning("yolo-subset", message, folder.root / description, *place)
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


def _from_darknet(folder: Folder, path: str) -> Description:
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
    if not parts and folder.image_files:
        listed = " and ".join(f'"{printable(keys[key])}"' for key in _SUBSETS if key in keys) or "no list"
        message = f"it names {listed} of images, which is not here: all images are read, by their folders"
        folder.warning("yolo-lists", message, folder.root / path, hint="add the lists, or move it away")
        parts = _by_folders(folder)
    return _lines(folder, names) if names else [], parts


def _lines(folder: Folder, path: str) -> list[str]:
    """One name per line; a blank line between others keeps its number, as label files count lines."""
    names = [line.strip() for line in (folder.text(path) or "").rstrip().splitlines()]
    return [name or f"class_{number}" for number, name in enumerate(names)]


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


def data_yaml(folder: Folder) -> str | None:
    return next(iter(_data_yamls(folder)), None)


def _data_yamls(folder: Folder) -> list[str]:
    """The descriptions that name subsets, those in the upper folders first."""
    found = []
    for path in folder.with_suffix(".yaml", ".yml"):
        text = folder.text(path) or ""
        if "names:" in text and ("train:" in text or "val:" in text):
            found.append(path)
    return sorted(found, key=_depth)


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path


def names_yaml(folder: Folder) -> str | None:
    """A YAML file that lists class names and no subsets: the folders are the subsets."""
    for path in folder.with_suffix(".yaml", ".yml"):
        if "names:" in (folder.text(path) or "") and _names(mapping(folder, path).get("names")):
            return path
    return None


def mapping(folder: Folder, path: str) -> dict[Any, Any]:
    value = read_yaml(folder.text(path) or "").value
    return value if isinstance(value, dict) else {}


def darknet(folder: Folder) -> str | None:
    return next(iter(_darknets(folder)), None)


def _darknets(folder: Folder) -> list[str]:
    found = [path for path in folder.with_suffix(".data") if "names" in (folder.text(path) or "")]
    return sorted(found, key=_depth)


def class_list(folder: Folder) -> str | None:
    return next(iter(class_lists(folder)), None)


def class_lists(folder: Folder) -> list[str]:
    """``classes.txt`` of labelImg and Label Studio, ``obj.names`` of Darknet and Roboflow's ``_darknet.labels``."""
    names = ("classes.txt", "obj.names", "_darknet.labels")
    found = [path for path in folder.other_files if path.rpartition("/")[2] in names]
    return sorted(found or folder.with_suffix(".names"), key=_depth)
