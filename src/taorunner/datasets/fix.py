"""Repairs what is safe to repair in a KITTI dataset, in a copy made of hard links; the original is never written to.

Safe: columns, line ends, capitals and blanks of class names, boxes clipped or without an area or twice, empty labels
for pictures without one, extensions that say something else than the content. Everything else needs a person.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from taorunner.datasets.check_image import SUFFIXES_OF_FORMAT
from taorunner.datasets.check_labels import check_label_file
from taorunner.datasets.check_layout import Subset, files_in, find_kitti, images_in
from taorunner.datasets.picture_header import PictureError, read_header
from taorunner.datasets.placing import Placer, whole_folder
from taorunner.errors import UserFilesError
from taorunner.text import printable

_HAND_WORK = frozenset({"label-unreadable", "label-not-utf8", "label-not-a-number", "label-not-finite", "box-tiny",
                        "box-inverted"})  # fmt: skip
"""Findings that a repair leaves as they are."""


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

    Raises UserFilesError when ``root`` is no KITTI dataset, UsageError when ``output`` is there already.
    """
    subsets = find_kitti(root)
    if not subsets:
        raise UserFilesError(
            f'"{printable(str(root))}" has no image_2/label_2 or images/labels: only KITTI labels can be repaired',
            hint="taorunner dataset convert writes other formats anew, without these faults",
        )
    target = output if output is not None else _free(root, "fixed")
    with whole_folder(target, overwrite=overwrite and output is not None) as partial:
        repair = _rebuild(root, subsets, partial, progress or (lambda done, total: None))
    if output is not None:
        return Repair(output, None, *repair)
    backup = _free(root, "before-fix")
    root.rename(backup)
    try:
        target.rename(root)
    except BaseException:
        backup.rename(root)
        raise
    return Repair(root, backup, *repair)


def _free(root: Path, word: str) -> Path:
    """The first name beside ``root`` that is not taken."""
    path, number = root.with_name(f"{root.name}.{word}"), 2
    while os.path.lexists(path):
        path, number = root.with_name(f"{root.name}.{word}-{number}"), number + 1
    return path


def _rebuild(
    root: Path, subsets: Sequence[Subset], partial: Path, progress: Callable[[int, int], None]
) -> tuple[int, int, tuple[tuple[str, str], ...]]:
    texts: dict[Path, str] = {}
    empty: list[Path] = []
    names: dict[Path, str] = {}
    total, done = sum(len(images_in(subset.images)) for subset in subsets), 0
    for subset in subsets:
        pictures = images_in(subset.images)
        names.update(_new_names(subset.images, pictures))
        labels = {name for name in files_in(subset.labels) if name.endswith(".txt")}
        for name in pictures:
            label = subset.labels / f"{name.rpartition('.')[0]}.txt"
            if label.name not in labels:
                empty.append(label)
            elif (text := _repaired(label, subset.images / name)) is not None:
                texts[label] = text
            done += 1
            progress(done, total)
    placer = Placer()
    renamed: list[tuple[str, str]] = []
    for above, folders, files in os.walk(root):
        folder = Path(above)
        place = partial / folder.relative_to(root)
        for name in folders:
            if (folder / name).is_symlink():
                (place / name).symlink_to((folder / name).resolve())
            else:
                (place / name).mkdir()
        for name in files:
            source = folder / name
            new_name = names.get(source, name)
            if source in texts:
                (place / name).write_text(texts[source], encoding="utf-8")
                continue
            placer.place(source, place / new_name)
            if new_name != name:
                renamed.append((source.relative_to(root).as_posix(), new_name))
    for label in dict.fromkeys(empty):
        (partial / label.relative_to(root)).touch()
    return len(texts), len(set(empty)), tuple(sorted(renamed))


def _repaired(label: Path, picture: Path) -> str | None:
    """The new text, or None when the file stays as it is."""
    try:
        header = read_header(picture)
        size = (header.width, header.height)
    except (PictureError, OSError):
        size = None
    facts = check_label_file(label, size)
    if any(finding.code in ("label-unreadable", "label-not-utf8") for finding in facts.findings):
        return None
    is_wanted = any(finding.code not in _HAND_WORK for finding in facts.findings)
    is_wanted |= any(name != name.lower() for name in facts.spellings)
    return facts.repaired if is_wanted else None


def _new_names(folder: Path, names: Sequence[str]) -> dict[Path, str]:
    """Extensions in lower case that say what the content is, unless the new name is taken."""
    taken = {name.lower() for name in names}
    found: dict[Path, str] = {}
    for name in names:
        stem, _, suffix = name.rpartition(".")
        new = f".{suffix.lower()}"
        try:
            fitting = SUFFIXES_OF_FORMAT[read_header(folder / name).format]
        except (PictureError, OSError):
            continue
        new_name = stem + (new if new in fitting else fitting[0])
        if new_name != name and (new_name.lower() == name.lower() or new_name.lower() not in taken):
            found[folder / name] = new_name
            taken.add(new_name.lower())
    return found
