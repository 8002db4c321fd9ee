"""Splits class folders and images with masks into train, val and test, arranged as TAO reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from taorunner.datasets.files.layout import PARTS_OF_FORMATS, find_class_folders, find_masks
from taorunner.datasets.files.mask_pairs import find_pairs
from taorunner.datasets.files.output_folders import Placer
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.likely import likely_kind
from taorunner.datasets.formats.other_layouts import refuse_other_layout, refuse_pairs
from taorunner.datasets.formats.recognise import known_formats
from taorunner.datasets.model.annotations import Box, ImageEntry
from taorunner.datasets.model.class_names import image_names
from taorunner.datasets.transform.folder_datasets import planned
from taorunner.errors import Finding, UserFilesError, has_errors


def kind_of(source: Path) -> str | None:
    """ "classification" or "segmentation"; None for datasets that may have boxes.

    Raises UserFilesError for the layout of another network.
    """
    folder = Folder(source)
    refuse_other_layout(folder)
    if known_formats(folder) or likely_kind(folder) is not None:
        return None  # the reader reads it, or reports what it is
    if find_masks(source) or find_pairs(folder.image_files).are_most:
        return "segmentation"
    splits = find_class_folders(source)
    names = {name.lower() for classes in splits.values() for name in classes}
    if not names or names & PARTS_OF_FORMATS:
        return None
    refuse_pairs(folder)
    return "classification"


def read_folders(source: Path, kind: str) -> tuple[list[ImageEntry], dict[Path, Path], list[Finding]]:
    """The images, each with one box of the full image for its class, the mask of each image, if there are masks, and
    the warnings.

    Raises UserFilesError with all findings when something is wrong.
    """
    images, masks, findings = sound_folders(source, kind)
    if has_errors(findings):
        raise UserFilesError(
            "nothing was split, because the dataset has errors", hint="correct those first", findings=findings
        )
    return images, masks, findings


def sound_folders(source: Path, kind: str) -> tuple[list[ImageEntry], dict[Path, Path], list[Finding]]:
    """The same without what cannot be used, and the findings."""
    folder = Folder(source)
    plan = planned(folder, kind)
    findings = [
        one for one in folder.findings if one.code != "class-set-differs"
    ]  # the new split resolves these findings
    images: list[ImageEntry] = []
    masks: dict[Path, Path] = {}
    for path, place in plan:
        image_file, parts = source / path, place.split("/")
        if kind == "segmentation" and parts[0] == "masks":
            masks[images[-1].path] = image_file  # a mask follows its image
            continue
        header = folder.header(image_file)
        width, height = (header.width, header.height) if header is not None else (1, 1)
        box = (Box(parts[-2], 0, 0, width, height),) if kind == "classification" else ()
        subset = parts[0] if kind == "classification" else parts[1]
        images.append(ImageEntry(image_file, width, height, box, subset))
    return images, masks, findings


def write_part(
    kind: str, root: Path, part: str, images: Sequence[ImageEntry], masks: dict[Path, Path], placer: Placer,
    source: Path,
) -> None:  # fmt: skip
    """Writes ``part`` of the split below ``root``."""
    by_class: dict[str, list[ImageEntry]] = {}
    for image in images:
        by_class.setdefault(image.boxes[0].name if image.boxes else "", []).append(image)
    for name, members in by_class.items():
        folder = root / part / name if kind == "classification" else root / "images" / part
        folder.mkdir(parents=True, exist_ok=True)
        for file, image in zip(image_names(members, source), members, strict=True):
            placer.place(image.path, folder / file)
            if image.path in masks:
                mask_folder = root / "masks" / part
                mask_folder.mkdir(parents=True, exist_ok=True)
                placer.place(masks[image.path], mask_folder / f"{file.rpartition('.')[0]}.png")


def write_classes(kind: str, root: Path, classes: Sequence[str]) -> None:
    """Writes ``classes.txt``, which a training cannot write on a read-only mount."""
    if kind == "classification":
        (root / "classes.txt").write_text("".join(f"{name}\n" for name in sorted(classes)), encoding="utf-8")
