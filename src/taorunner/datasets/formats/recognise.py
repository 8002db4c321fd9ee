"""Which format is this? Readers by name, and the one that knows a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from taorunner.datasets.files.image_header import UNREAD_SUFFIXES
from taorunner.datasets.files.layout import find_class_folders, find_masks
from taorunner.datasets.formats import (
    coco,
    cvat,
    kitti,
    label_studio,
    odvg,
    others,
    voc,
    vott,
    wider_face,
    yolo,
)
from taorunner.datasets.formats.exif_turns import settled
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.likely import likely_kind
from taorunner.datasets.formats.other_layouts import refuse_other_layout
from taorunner.datasets.model.annotations import DetectionDataset, ImageEntry
from taorunner.errors import UserFilesError, has_errors
from taorunner.text import amount, printable

_MODULES: Mapping[str, Any] = {
    "coco": coco, "odvg": odvg, "vott": vott, "cvat": cvat, "label-studio": label_studio, "voc": voc,
    "kitti": kitti, "wider-face": wider_face, "yolo": yolo,
}  # fmt: skip
"""In the order in which they are asked: the surest first, YOLO's loose numbers last."""

FORMATS = tuple(sorted(_MODULES))
NAMED = (*FORMATS, *others.NAMES)
"""Also those that another program reads, and only when they are named."""


def read_dataset(
    root: Path,
    format_name: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    picture_folders: Mapping[str, Sequence[str]] | None = None,
) -> DetectionDataset:
    """Everything that could be read; what could not is among ``findings``.

    ``format_name`` is one of ``NAMED``; None finds it out. ``picture_folders`` are those that specs name for
    annotation files, relative to ``root``. Raises UserFilesError when the format cannot be found out, or when nothing
    at all could be read.
    """
    folder = Folder(root, progress, picture_folders)
    if format_name is None:
        format_name = recognised(folder)
    if format_name in others.NAMES:
        dataset = others.read(folder, format_name)
    else:
        read: Callable[[Folder], DetectionDataset] = _MODULES[format_name].read
        dataset = read(folder)
    folder.tell_turned()
    images = settled(folder, dataset.images)
    _tell_unused(folder, images)
    dataset = replace(dataset, images=images, findings=tuple(folder.findings))
    if not dataset.images:
        raise UserFilesError(
            f'no picture could be read from "{printable(str(root))}" as {format_name}',
            hint=f"is it another format? --from takes {', '.join(FORMATS)}",
            findings=dataset.findings,
        )
    return dataset


def _has_lines_beside_coco(folder: Folder) -> bool:
    """True when every COCO file has a file of ODVG lines in its own folder."""
    folders = {path.rpartition("/")[0] for path in odvg.documents(folder)}
    return all(path.rpartition("/")[0] in folders for path in coco.documents(folder))


def _tell_unused(folder: Folder, images: Sequence[ImageEntry]) -> None:
    """Pictures that came into no part of the dataset, and of which nothing was said yet."""
    if unread := [path for path in folder.files if _suffix(path) in UNREAD_SUFFIXES]:
        kinds = ", ".join(sorted({_suffix(path) for path in unread}))
        message = f"{amount(len(unread), 'picture')} of kinds that are not read here ({kinds}), such as "
        folder.error(
            "picture-kind", f'{message}"{printable(unread[0])}"', folder.root / unread[0],
            hint="save them as JPEG or PNG and name them so in the annotations; or move them away",
        )  # fmt: skip
    if not images:
        return
    if not any(image.boxes for image in images) and not has_errors(folder.findings):
        message = f"none of the {amount(len(images), 'picture')} has a box"
        folder.warning(
            "no-boxes", message, folder.root, hint="is that meant? nothing can be learnt from them alone"
        )
    told = {finding.file for finding in folder.findings if finding.file is not None}
    if any(finding.code in ("picture-unlisted", "picture-missing") for finding in folder.findings):
        return
    known = {str(path) for path in told} | {str(image.path) for image in images}
    left = [path for path in folder.pictures if f"{folder.root}/{path}" not in known]
    if left:
        message = (
            f"{amount(len(left), 'picture')} of {len(folder.pictures):,} "
            f'{"is" if len(left) == 1 else "are"} left out, such as "{printable(left[0])}": no annotation names '
            f"{'it' if len(left) == 1 else 'them'}"
        )
        folder.warning("picture-unused", message, folder.root / left[0], hint="is that meant?")


def _suffix(path: str) -> str:
    return "." + path.rpartition(".")[2].lower()


def recognised(folder: Folder) -> str:
    """Raises UserFilesError when no format, or more than one, fits, and for the layout of another network."""
    refuse_other_layout(folder)
    known = [name for name, module in _MODULES.items() if module.recognise(folder)]
    if "kitti" in known and "yolo" in known:
        known.remove("yolo")  # a classes.txt beside labels of 15 columns
    if "odvg" in known and "coco" in known and _has_lines_beside_coco(folder):
        known.remove("coco")  # the same boxes once more, for validation
    if not known and kitti.is_all_background(folder):
        known = ["kitti"]
    if len(known) == 1:
        return known[0]
    if known:
        raise UserFilesError(
            f'"{printable(str(folder.root))}" has annotations of several formats: {", ".join(known)}',
            hint=f"name the folder of one of them; dataset convert takes --from {known[0]}, too",
        )
    if likely := likely_kind(folder):
        raise UserFilesError(
            f'"{printable(str(folder.root))}" {likely[0]}', hint=likely[1], findings=folder.findings
        )
    for kind, found in (
        ("segmentation", find_masks(folder.root)),
        ("classification", find_class_folders(folder.root)),
    ):
        if found:
            raise UserFilesError(
                f'"{printable(str(folder.root))}" has pictures for {kind}, and no boxes',
                hint=f"taorunner dataset check and dataset convert --to {kind} are for those",
            )
    raise UserFilesError(
        f'"{printable(str(folder.root))}" has no annotations that are known here '
        f"({len(folder.files)} files, {len(folder.pictures)} pictures)",
        hint=f"known formats: {', '.join(FORMATS)}; name one with --from to see what is wrong with it",
        findings=folder.findings,
    )
