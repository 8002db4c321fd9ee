"""Detects the format of a dataset folder, and reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from taorunner.datasets.files.image_header import UNREAD_SUFFIXES
from taorunner.datasets.files.json_text import parse_json
from taorunner.datasets.files.layout import find_class_folders, find_masks, has_format_folders
from taorunner.datasets.files.mask_pairs import find_pairs
from taorunner.datasets.files.yolo_rows import is_yolo_text
from taorunner.datasets.formats import (
    coco,
    cvat,
    dota,
    kitti,
    label_studio,
    odvg,
    others,
    voc,
    vott,
    wider_face,
)
from taorunner.datasets.formats.exif_turns import rotate_stored_boxes
from taorunner.datasets.formats.exports import datumaro, labelme, tables, via, yolo_keras
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.likely import likely_format, likely_kind, unread_archives
from taorunner.datasets.formats.other_layouts import other_layout, refuse_other_layout
from taorunner.datasets.formats.texts import recognise as texts
from taorunner.datasets.formats.yolo import labels as yolo
from taorunner.datasets.model.annotations import DetectionDataset, ImageEntry
from taorunner.errors import Finding, Severity, UserFilesError, has_errors
from taorunner.text import amount, printable
from taorunner.values.value import replace

_MODULES: Mapping[str, Any] = {
    "coco": coco, "odvg": odvg, "vott": vott, "cvat": cvat, "label-studio": label_studio, "voc": voc,
    "kitti": kitti, "dota": dota, "wider-face": wider_face, "yolo": yolo,
}  # fmt: skip
"""In the order in which they are tried: the most specific first, YOLO's plain numbers last."""

_PEEKED = 20
"""The number of text files that are looked into for labels of another format."""
_UNLABELLED = ("test", "testing")
_CORRECT_HINT = "correct the errors above; if it is another format, name that with --from"
FORMATS = tuple(sorted(_MODULES))
_CHOOSE_HINT = f"give its format with --from: {', '.join(FORMATS)}"
_KNOWN_BY_A_FILE = ("datumaro", "labelme", "via")
"""Formats that are taken where nothing else fits and a file has the words of that tool."""
_ONLY_NAMED: Mapping[str, Callable[[Folder], DetectionDataset]] = {
    "datumaro": datumaro.read, "labelme": labelme.read, "via": via.read,
    "yolo-keras": yolo_keras.read, "yolov4-pytorch": yolo_keras.read, **tables.READERS,
}  # fmt: skip
NAMED = (*FORMATS, *sorted((*others.NAMES, *_ONLY_NAMED)), *texts.FORMATS)
"""Including the formats that are used only when named, most of which another program reads, and those of texts."""


def read_dataset(
    root: Path, format_name: str | None = None, progress: Callable[[str, int, int], None] | None = None
) -> DetectionDataset:
    """Everything that could be read; the rest is in ``findings``.

    ``format_name`` is one of ``NAMED``; None detects it. Raises UserFilesError when the format cannot be detected, or
    when nothing could be read.
    """
    return read_folder(Folder(root, progress), format_name)


def read_folder(folder: Folder, format_name: str | None = None) -> DetectionDataset:
    """The same for a folder that is listed already."""
    if format_name is None:
        format_name = recognised(folder)
        report_unread(folder, format_name)
    if format_name in texts.FORMATS:
        raise _only_texts(folder, format_name)
    if format_name in others.NAMES:
        dataset = others.read(folder, format_name)
    else:
        read = _ONLY_NAMED.get(format_name) or _MODULES[format_name].read
        dataset = read(folder)
    folder.report_turned()
    folder.report_noted()
    images = rotate_stored_boxes(folder, dataset.images)
    _report_unused(folder, images)
    if not has_errors(folder.findings):  # which may be the reason
        folder.findings += subsets_without_boxes(_boxes_by_subset(images), folder.root)
    dataset = replace(dataset, images=images, findings=tuple(folder.findings))
    if not dataset.images:
        raise UserFilesError(
            f'no image could be read from "{printable(str(folder.root))}" as {format_name}',
            hint=_CORRECT_HINT if has_errors(dataset.findings) else _CHOOSE_HINT,
            findings=dataset.findings,
        )
    return dataset


def report_unread(folder: Folder, format_name: str) -> None:
    """Reports archives, and label files of YOLO beside another format, which are no dataset without class names."""
    if archives := unread_archives(folder):
        verb = "is" if len(archives) == 1 else "are"
        message = f'{amount(len(archives), "archive")}, such as "{printable(archives[0])}", {verb} not read'
        hint = "unpack it if it belongs to the dataset, else move it away"
        folder.warning("archive-unread", message, folder.root / archives[0], hint=hint)
    texts = folder.with_suffix(".txt")
    if keras := [path for path in texts if path.rpartition("/")[2] == "_annotations.txt"]:
        message = f'boxes in {amount(len(keras), "list")}, such as "{printable(keras[0])}", are not read'
        hint = "they are of YOLO for Keras: give their folder with --from yolo-keras, or move them away"
        folder.error("labels-unread", message, folder.root / keras[0], hint=hint)
    if format_name in ("yolo", "kitti"):
        return
    first = next((path for path in texts[:_PEEKED] if is_yolo_text(folder.peek(path) or "")), None)
    if first is None:
        return
    count = sum(path.rpartition("/")[0] == first.rpartition("/")[0] for path in texts)
    folder.warning(
        "labels-unread",
        f'{amount(count, "label file")} of YOLO, such as "{printable(first)}", {"is" if count == 1 else "are"} not '
        f"read: the boxes are those of {format_name}",
        folder.root / first,
        hint="move them away, or read them instead: write classes.txt and add --from yolo",
    )


def _has_rows_of_yolo(folder: Folder) -> bool:
    return any(is_yolo_text(folder.peek(path) or "") for path in folder.with_suffix(".txt")[:_PEEKED])


def _has_lines_beside_coco(folder: Folder) -> bool:
    """True when every COCO file has an ODVG file in the same folder."""
    folders = {path.rpartition("/")[0] for path in odvg.documents(folder)}
    return all(path.rpartition("/")[0] in folders for path in coco.documents(folder))


def subsets_without_boxes(boxes: Mapping[str, tuple[int, int]], place: Path) -> Iterator[Finding]:
    """An error for each subset of images without a box, where another has some: nothing could be learnt from it, or
    validated on it. ``boxes``: by subset the number of images, and of those with boxes. Test images need no labels, and
    images outside of all subsets mean that the folders are no division of the dataset."""
    if "" in boxes or not any(labelled for _, labelled in boxes.values()):
        return
    for name, (images, labelled) in sorted(boxes.items()):
        if images and not labelled and name not in _UNLABELLED:
            message = f'none of the {amount(images, "image")} of "{printable(name)}" has a box'
            hint = "add its labels, or split all images again: taorunner dataset split DATASET --merge"
            yield Finding(Severity.ERROR, "subset-unlabelled", message, hint, place)


def _boxes_by_subset(images: Iterable[ImageEntry]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for image in images:
        count, labelled = found.get(image.subset, (0, 0))
        found[image.subset] = count + 1, labelled + bool(image.boxes)
    return found


def _report_unused(folder: Folder, images: Sequence[ImageEntry]) -> None:
    """Reports images that are in no part of the dataset and were not reported yet."""
    if unread := [path for path in folder.other_files if _suffix(path) in UNREAD_SUFFIXES]:
        kinds = ", ".join(sorted({_suffix(path) for path in unread}))
        message = f"{amount(len(unread), 'image')} in formats that are not read here ({kinds}), such as "
        folder.error(
            "picture-kind", f'{message}"{printable(unread[0])}"', folder.root / unread[0],
            hint="save them as JPEG or PNG and rename them in the annotations, or move them away",
        )  # fmt: skip
    if not images:
        return
    if not any(image.boxes for image in images) and not has_errors(folder.findings):
        message = f"none of the {amount(len(images), 'image')} has a box"
        folder.warning(
            "no-boxes", message, folder.root, hint="add boxes: background images alone cannot be trained on"
        )
    with_findings = {finding.file for finding in folder.findings if finding.file is not None}
    if any(finding.code in ("picture-unlisted", "picture-missing") for finding in folder.findings):
        return
    known = {str(path) for path in with_findings} | {str(image.path) for image in images}
    left = [path for path in folder.image_files if f"{folder.root}/{path}" not in known]
    if left:
        message = (
            f"{amount(len(left), 'image')} of {len(folder.image_files):,} "
            f'{"is" if len(left) == 1 else "are"} left out, such as "{printable(left[0])}": no annotations for '
            f"{'it' if len(left) == 1 else 'them'}{_unread_beside(folder, images)}"
        )
        folder.warning(
            "picture-unused", message, folder.root / left[0], hint="annotate them, or move them away"
        )


def _unread_beside(folder: Folder, images: Sequence[ImageEntry]) -> str:
    """The end of a sentence that names files of annotations that were not read; those that are no JSON are errors."""
    sources = {image.source for image in images if image.source is not None}
    suffixes = {one.suffix.lower() for one in sources} & {".json", ".jsonl", ".xml"}
    left = [path for path in folder.with_suffix(*suffixes) if folder.root / path not in sources]
    for path in left[:_PEEKED]:
        if path.lower().endswith(".json"):
            folder.json_object(path, ())
        elif path.lower().endswith(".jsonl"):
            first, _, _ = (folder.peek(path) or "").lstrip("\ufeff \r\n").partition("\n")
            if (problem := parse_json(first)[1]) is not None:
                folder.error("json-syntax", problem.message, folder.root / path, problem.line, problem.column)
    if not left:
        return ""
    return f', and "{printable(left[0])}"{f" and {len(left) - 1:,} more" if len(left) > 1 else ""} not read'


def _suffix(path: str) -> str:
    return "." + path.rpartition(".")[2].lower()


def known_formats(folder: Folder) -> list[str]:
    """The names of all formats that fit, from their files and what lies around them; the best one if that is known."""
    known = [name for name, module in _MODULES.items() if module.recognise(folder)]
    if "kitti" in known and "yolo" in known:
        known.remove("yolo")  # a classes.txt beside KITTI labels
    if "dota" in known and "yolo" in known and not _has_rows_of_yolo(folder):
        known.remove("yolo")  # a data.yaml beside labelTxt, as Roboflow writes it
    if "odvg" in known and "coco" in known and _has_lines_beside_coco(folder):
        known.remove("coco")  # a copy of the same boxes, for validation
    if not known and kitti.is_all_background(folder):
        known = ["kitti"]
    return known


def found_texts(folder: Folder, from_: str | None) -> str | None:
    """The format of a dataset of texts; None when it is of another kind. ``from_`` names the format instead.

    Raises UserFilesError when several formats of texts fit.
    """
    if from_ is not None:
        return from_ if from_ in texts.FORMATS else None
    if not texts.known_text_formats(folder) or known_formats(folder):
        return None
    other = other_layout(folder)
    return texts.text_format(folder) if other is None or other.is_written else None


def _only_texts(folder: Folder, format_name: str) -> UserFilesError:
    network = texts.TARGET_OF[texts.KINDS[format_name]]
    return UserFilesError(
        f'"{printable(str(folder.root))}" has the layout of {network}: texts, and no boxes with classes',
        hint=f"{texts.next_step(folder, format_name)} arranges it; dataset check and split take it as it is",
    )


def _refuse_without_boxes(folder: Folder) -> None:
    """Raises UserFilesError for images with masks, and for class folders."""
    is_arranged = bool(find_masks(folder.root))
    if is_arranged or find_pairs(folder.image_files).are_most:
        kind = "segmentation"
    elif (splits := find_class_folders(folder.root)) and not has_format_folders(splits):
        kind, is_arranged = "classification", True
    else:
        return
    hint = f"taorunner dataset convert DATASET --to {kind}"
    raise UserFilesError(
        f'"{printable(str(folder.root))}" has images for {kind}, and no boxes',
        hint=f"use taorunner dataset check DATASET, or {hint}"
        if is_arranged
        else f"{hint} arranges them as TAO reads them",
    )


def recognised(folder: Folder) -> str:
    """The format's name. Raises UserFilesError when none or several fit, and for the layout of another network."""
    refuse_other_layout(folder)
    known = known_formats(folder)
    if len(known) == 1:
        return known[0]
    if not known and (of_texts := texts.known_text_formats(folder)):
        raise _only_texts(folder, of_texts[0])
    if known:
        raise UserFilesError(
            f'"{printable(str(folder.root))}" has annotations of several formats: {", ".join(known)}',
            hint=f"give the folder of one of them, or name one with --from {known[0]}",
        )
    if (tool := likely_format(folder)) in _KNOWN_BY_A_FILE:
        return tool
    if likely := likely_kind(folder):
        raise UserFilesError(
            f'"{printable(str(folder.root))}" {likely[0]}', hint=likely[1], findings=folder.findings
        )
    _refuse_without_boxes(folder)
    raise UserFilesError(
        f'"{printable(str(folder.root))}" has no annotations in a known format '
        f"({amount(len(folder.files), 'file')}, {amount(len(folder.image_files), 'image')})",
        hint=f"known formats: {', '.join(FORMATS)}; class folders and masks are known by their folders; "
        "choose a format with --from to see why it does not fit",
        findings=folder.findings,
    )
