"""Plans the repair of a KITTI dataset: label lines, empty files for images without labels, extensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from taorunner.datasets.checks.image_facts import SUFFIXES_OF_FORMAT
from taorunner.datasets.checks.kitti_labels import check_label_file
from taorunner.datasets.files.image_header import ImageError, read_header
from taorunner.datasets.files.layout import Subset, files_in, images_in
from taorunner.datasets.repair.actions import Repairs

_HAND_WORK = frozenset({"label-unreadable", "label-not-utf8", "label-not-a-number", "label-not-finite", "box-tiny",
                        "box-inverted"})  # fmt: skip
"""Findings that a repair does not fix."""


def kitti_repairs(subsets: Sequence[Subset], progress: Callable[[int, int], None]) -> Repairs:
    repairs = Repairs()
    total, done = sum(len(images_in(subset.images)) for subset in subsets), 0
    for subset in subsets:
        image_files = images_in(subset.images)
        repairs.names.update(new_names(subset.images, image_files))
        labels = {name for name in files_in(subset.labels) if name.endswith(".txt")}
        for name in image_files:
            label = subset.labels / f"{name.rpartition('.')[0]}.txt"
            if label.name not in labels:
                repairs.empty[label] = None
            elif (text := _repaired(label, subset.images / name)) is not None:
                repairs.texts[label] = text
            done += 1
            progress(done, total)
    return repairs


def _repaired(label: Path, image_file: Path) -> str | None:
    """The new text, or None when the file does not change."""
    try:
        header = read_header(image_file)
        size = (header.width, header.height)
    except (ImageError, OSError):
        size = None
    facts = check_label_file(label, size)
    if any(finding.code in ("label-unreadable", "label-not-utf8") for finding in facts.findings):
        return None
    is_wanted = any(finding.code not in _HAND_WORK for finding in facts.findings)
    is_wanted |= any(name != name.lower() for name in facts.spellings)
    return facts.repaired if is_wanted else None


def new_names(folder: Path, names: Sequence[str]) -> dict[Path, str]:
    """New names with lower-case extensions that match the content, unless the new name is taken."""
    taken = {name.lower() for name in names}
    found: dict[Path, str] = {}
    for name in names:
        stem, _, suffix = name.rpartition(".")
        new = f".{suffix.lower()}"
        try:
            fitting = SUFFIXES_OF_FORMAT[read_header(folder / name).format]
        except (ImageError, OSError):
            continue
        new_name = stem + (new if new in fitting else fitting[0])
        if new_name != name and (new_name.lower() == name.lower() or new_name.lower() not in taken):
            found[folder / name] = new_name
            taken.add(new_name.lower())
    return found
