"""Checks the class folders of a classification dataset.

Source: tao/datasets.md A2: ImageFolder for classification.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from taorunner.datasets.checks.classes import ClassNeeds, severity_in
from taorunner.datasets.checks.image_facts import read_image_facts
from taorunner.datasets.checks.image_files import EqualFiles, deep_findings, file_findings
from taorunner.datasets.files.image_header import IMAGE_SUFFIXES
from taorunner.datasets.files.layout import files_in, folders_in, images_in
from taorunner.errors import Finding
from taorunner.text import did_you_mean

_FURNITURE = frozenset({"thumbs.db", "desktop.ini"})
_IMAGES = IMAGE_SUFFIXES | {".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jfif", ".jp2", ".heic", ".avif"}
"""Image formats, including those that no network reads."""


def are_classes(root: Path, splits: Mapping[str, Sequence[str]]) -> bool:
    """False for other layouts that have folders of the same depth.

    Such a layout has a folder of other files (captions, texts, depth maps), as many other files as images (a JSON for
    each), or another level of folders in every class of a split (videos with their frames).
    """
    for split, classes in splits.items():
        nested = 0
        for name in classes:
            folder = root / split / name
            image_count, others = len(images_in(folder)), 0
            for file in files_in(folder):
                suffix = file[file.rfind(".") :].lower()
                others += file.lower() not in _FURNITURE and suffix not in _IMAGES
            if others and others >= image_count:
                return False
            nested += not image_count and bool(folders_in(folder))
        if classes and nested == len(classes):
            return False
    return True


def check_class_folders(
    found: list[Finding],
    root: Path,
    splits: Mapping[str, Sequence[str]],
    needs: Sequence[ClassNeeds],
    *,
    deep: bool,
) -> dict[str, Counter[str]]:
    """Adds findings to ``found``; returns the images of each class by split.

    Missing and empty folders are not reported for networks that do not take classes from folders.
    """
    is_meant = not any(need.has_class_folders is False for need in needs) or any(
        need.has_class_folders for need in needs
    )
    every = sorted({name for classes in splits.values() for name in classes})
    counts: dict[str, Counter[str]] = {}
    equal = EqualFiles()
    paths: list[tuple[str, Path]] = []
    for split, classes in splits.items():
        counts[split] = Counter()
        for name in every:
            folder = root / split / name
            if name not in classes and not is_meant:
                continue
            if name not in classes:
                others = [other for other in classes if other not in set(every) - {name}]
                found.append(_missing_folder(name, split, others, root))
                continue
            names = images_in(folder)
            counts[split][name] = len(names)
            if not names and is_meant:
                hint = "add images, or delete the folder"
                message = f'class "{name}" has no images'
                found.append(Finding(severity_in(split), "class-folder-empty", message, hint, folder))
            for file in names:
                facts = read_image_facts(folder / file)
                found += file_findings(folder / file, facts)
                equal.add(facts.ends, split, folder / file)
                paths.append((split, folder / file))
    found += equal.findings()
    if deep:
        found += deep_findings(paths, lambda done, total: None)
    return counts


def _missing_folder(name: str, split: str, classes: Sequence[str], root: Path) -> Finding:
    message = f'class "{name}" has no folder in "{split}"'
    hint = did_you_mean(name, classes) or "create it"
    return Finding(severity_in(split), "class-sets-differ", message, hint, root / split)
