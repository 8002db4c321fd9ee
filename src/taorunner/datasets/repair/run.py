"""Makes the safe repairs of a dataset in a copy whose images are links. The original is never written to.

Safe repairs: columns, line ends, capitals and spaces in class names, boxes that are clipped, empty or duplicate,
empty label files for images without one, extensions that do not match the content, COCO's ``area``. Everything else
needs a person.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from taorunner.datasets.checks.report import REPAIRED
from taorunner.datasets.files.atomic_swap import KEPT, free_name
from taorunner.datasets.files.layout import find_kitti
from taorunner.datasets.files.names import is_image
from taorunner.datasets.files.output_folders import Placer, new_folder, refuse_taken, replaced_folder
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.recognise import known_formats, read_dataset
from taorunner.datasets.repair.actions import Repairs
from taorunner.datasets.repair.kitti import kitti_repairs
from taorunner.datasets.repair.other_formats import format_repairs
from taorunner.errors import MachineError, UserFilesError
from taorunner.text import printable

_COPIED_BYTES = 256 * 1024 * 1024
"""Labels and lists are copied, so that editing one does not change the original; images and archives are linked."""


@dataclass(frozen=True, slots=True)
class Repair:
    """``backup`` is the path of the original dataset, None when the result is another folder.

    Counts are of files.
    """

    output: Path
    backup: Path | None
    labels: int
    empty_labels: int
    renamed: tuple[tuple[str, str], ...]


def fix_dataset(
    root: Path, output: Path | None, *, from_: str | None = None, overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Repair:  # fmt: skip
    """Without ``output`` the result replaces ``root``, which is kept beside it under another name.

    Raises UserFilesError when ``root`` is not a dataset or its format cannot be repaired, UsageError when ``output``
    already exists.
    """
    if output is not None:
        refuse_taken(output, overwrite=overwrite)
    report_progress = progress or (lambda done, total: None)
    subsets = find_kitti(root)
    known = known_formats(Folder(root)) if from_ is None else [from_]
    if subsets and (known == ["kitti"] or not known):
        repairs = kitti_repairs(subsets, report_progress)
        image_count = None
    else:
        dataset = read_dataset(root, from_, lambda what, done, total: report_progress(done, total))
        if dataset.format not in REPAIRED:
            raise UserFilesError(
                f"datasets in the format {dataset.format} cannot be repaired, only kitti, {', '.join(REPAIRED)}",
                hint="convert it with taorunner dataset convert DATASET --to kitti, then repair the result",
            )
        repairs = format_repairs(root, dataset)
        image_count = len(dataset.images)
    if output is not None:
        with new_folder(output, overwrite=overwrite) as partial:
            renamed = _rebuild(root, repairs, partial)
            _compare(partial, from_, image_count)
        return Repair(output, None, len(repairs.texts), len(repairs.empty), renamed)
    backup = free_name(root, KEPT)
    try:
        with replaced_folder(root, backup) as partial:
            renamed = _rebuild(root, repairs, partial)
            _compare(partial, from_, image_count)
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.EXDEV):
            raise MachineError(
                f'"{printable(str(root))}" cannot be renamed: {(error.strerror or "").lower()}',
                hint="choose a new folder with --output",
            ) from None
        raise
    return Repair(root, backup, len(repairs.texts), len(repairs.empty), renamed)


def _rebuild(root: Path, repairs: Repairs, partial: Path) -> tuple[tuple[str, str], ...]:
    """Builds the repaired folder. A linked folder stays a link unless something in it is repaired; its target is
    never written to."""
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
                (place / source.name).symlink_to(source.readlink())  # a broken link stays a broken link
            elif is_image(source.name) or source.stat().st_size > _COPIED_BYTES or not source.is_file():
                placer.place(source, place / new_name)
            else:
                shutil.copy2(source, place / source.name)
            if new_name != source.name:
                renamed.append((source.relative_to(root).as_posix(), new_name))
    for label in repairs.empty:
        (partial / label.relative_to(root)).touch()
    return tuple(sorted(renamed))


def _compare(partial: Path, from_: str | None, image_count: int | None) -> None:
    """Checks formats that name images in their labels: every image must still be found."""
    if image_count is not None and (found := len(read_dataset(partial, from_).images)) != image_count:
        raise MachineError(
            f"the repaired dataset would have {found} images, not {image_count}; nothing was written",
            hint="convert it with taorunner dataset convert DATASET --to kitti",
        )
