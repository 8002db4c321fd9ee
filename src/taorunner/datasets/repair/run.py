"""Repairs what is safe to repair in a dataset, in a copy whose pictures are links; the original is never written to.

Safe: columns, line ends, capitals and blanks of class names, boxes clipped or without an area or twice, empty labels
for pictures without one, extensions that say something else than the content, COCO's ``area``. Everything else needs
a person.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from taorunner.datasets.checks.report import REPAIRED
from taorunner.datasets.files.atomic_swap import KEPT, free_name
from taorunner.datasets.files.layout import find_kitti, is_yolo
from taorunner.datasets.files.output_folders import Placer, folder_in_place, refuse_taken, whole_folder
from taorunner.datasets.formats.folder import is_picture
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.repair.actions import Repairs
from taorunner.datasets.repair.kitti import kitti_repairs
from taorunner.datasets.repair.other_formats import format_repairs
from taorunner.errors import MachineError, UserFilesError
from taorunner.text import printable

_COPIED_BYTES = 256 * 1024 * 1024
"""Labels and lists are copied, so that an editor that writes into a file changes one of them; archives are linked."""


@dataclass(frozen=True, slots=True)
class Repair:
    """``backup`` is where the dataset lies as it was, None when the result is a folder of its own.

    Counts are of files.
    """

    output: Path
    backup: Path | None
    labels: int
    empty_labels: int
    renamed: tuple[tuple[str, str], ...]


def fix_dataset(
    root: Path, output: Path | None, *, overwrite: bool = False, progress: Callable[[int, int], None] | None = None
) -> Repair:  # fmt: skip
    """Without ``output`` the result takes the place of ``root``, which is kept beside it.

    Raises UserFilesError when ``root`` is no dataset or one of a format that is not repaired, UsageError when
    ``output`` is there already.
    """
    if output is not None:
        refuse_taken(output, overwrite=overwrite)
    told = progress or (lambda done, total: None)
    subsets = find_kitti(root)
    if subsets and not is_yolo(subsets):
        repairs = kitti_repairs(subsets, told)
        pictures = None
    else:
        dataset = read_dataset(root, None, lambda what, done, total: told(done, total))
        if dataset.format not in REPAIRED:
            raise UserFilesError(
                f"datasets in the format {dataset.format} are not repaired, only kitti, {', '.join(REPAIRED)}",
                hint="taorunner dataset convert --to kitti writes it anew, then repair that",
            )
        repairs = format_repairs(root, dataset)
        pictures = len(dataset.images)
    if output is not None:
        with whole_folder(output, overwrite=overwrite) as partial:
            renamed = _rebuild(root, repairs, partial)
            _compare(partial, pictures)
        return Repair(output, None, len(repairs.texts), len(repairs.empty), renamed)
    backup = free_name(root, KEPT)
    try:
        with folder_in_place(root, backup) as partial:
            renamed = _rebuild(root, repairs, partial)
            _compare(partial, pictures)
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.EXDEV):
            raise MachineError(
                f'"{printable(str(root))}" cannot be renamed: {(error.strerror or "").lower()}',
                hint="give a new folder with --output",
            ) from None
        raise
    return Repair(root, backup, len(repairs.texts), len(repairs.empty), renamed)


def _rebuild(root: Path, repairs: Repairs, partial: Path) -> tuple[tuple[str, str], ...]:
    """A folder that is a link stays one, unless something in it is repaired: what it leads to is not written to."""
    renamed: list[tuple[str, str]] = []
    changed = {above for path in (*repairs.texts, *repairs.empty, *repairs.names) for above in path.parents}
    placer = Placer()
    pending = [root]
    while pending:
        folder = pending.pop()
        place = partial / folder.relative_to(root)
        for source in sorted(folder.iterdir()):
            new_name = repairs.names.get(source, source.name)
            if source.is_dir():
                if source.is_symlink() and source not in changed:
                    (place / source.name).symlink_to(source.resolve())
                else:
                    (place / source.name).mkdir()
                    pending.append(source)
            elif source in repairs.texts:
                (place / source.name).write_text(repairs.texts[source], encoding="utf-8", newline="")
            elif source.is_symlink() and not source.exists():
                (place / source.name).symlink_to(source.readlink())  # leads nowhere, as it did
            elif is_picture(source.name) or source.stat().st_size > _COPIED_BYTES or not source.is_file():
                placer.place(source, place / new_name)
            else:
                shutil.copy2(source, place / source.name)
            if new_name != source.name:
                renamed.append((source.relative_to(root).as_posix(), new_name))
    for label in repairs.empty:
        (partial / label.relative_to(root)).touch()
    return tuple(sorted(renamed))


def _compare(partial: Path, pictures: int | None) -> None:
    """A format whose pictures are named in its labels: all of them must still be found."""
    if pictures is not None and (found := len(read_dataset(partial).images)) != pictures:
        raise MachineError(
            f"the repaired dataset would have {found} pictures, not {pictures}; nothing was kept",
            hint="taorunner dataset convert writes it anew",
        )
