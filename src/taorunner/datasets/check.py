"""Will TAO read this dataset, and learn from it what is meant? All findings at once, for every file.

The fast level reads label files and image headers; ``deep`` decodes every picture. Nothing is changed here
(``fix`` does that), and nothing stops at the first bad file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.datasets.check_classes import ClassNeeds, class_findings
from taorunner.datasets.check_files import deep_findings, duplicate_findings, file_findings, name_findings
from taorunner.datasets.check_folders import check_class_folders, check_masks
from taorunner.datasets.check_image import ImageFacts, read_image_facts
from taorunner.datasets.check_labels import check_label_file
from taorunner.datasets.check_layout import (
    Subset, files_in, find_class_folders, find_kitti, find_masks, images_in
)  # fmt: skip
from taorunner.errors import Finding, Severity, UserFilesError

Progress = Callable[[int, int], None]
"""Called with how many files are done, of how many."""


@dataclass(slots=True)
class SubsetReport:
    """``classes`` counts boxes, or pictures where a picture has one class."""

    name: str
    images: int = 0
    backgrounds: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)


@dataclass(slots=True)
class CheckReport:
    kind: str
    findings: list[Finding] = field(default_factory=list)
    subsets: list[SubsetReport] = field(default_factory=list)


def check_dataset(
    root: Path, *, deep: bool = False, needs: Sequence[ClassNeeds] = (), progress: Progress | None = None
) -> CheckReport:
    """Raises UserFilesError when ``root`` is no folder or no dataset that is known here, or ``deep`` without Pillow."""
    if not root.is_dir():
        raise UserFilesError(f'there is no folder "{root}"', hint="name the folder of the dataset")
    told = progress or (lambda done, total: None)
    subsets = find_kitti(root)
    if subsets:
        return _check_kitti(subsets, deep=deep, needs=needs, progress=told)
    if masks := find_masks(root):
        report = CheckReport("segmentation")
        pictures = check_masks(report.findings, masks, needs, deep=deep)
        report.subsets = [SubsetReport(name, count) for name, count in pictures.items()]
        return report
    if splits := find_class_folders(root):
        report = CheckReport("classification")
        counts = check_class_folders(report.findings, root, splits, needs, deep=deep)
        report.subsets = [SubsetReport(n, sum(c.values()), classes=c) for n, c in counts.items()]
        return report
    raise UserFilesError(
        f'"{root}" is no dataset that can be checked: no image_2/label_2, images/labels, images/masks or class folders',
        hint="bring it into TAO's form first: taorunner dataset convert",
    )


def _check_kitti(
    subsets: Sequence[Subset], *, deep: bool, needs: Sequence[ClassNeeds], progress: Progress
) -> CheckReport:
    report = CheckReport("kitti")
    found = report.findings
    listed = [(subset, images_in(subset.images)) for subset in subsets]
    total = sum(len(names) for _, names in listed)
    done = 0
    prints: dict[str, list[tuple[str, Path]]] = {}
    extensions: Counter[str] = Counter()
    for subset, names in listed:
        part = SubsetReport(subset.name)
        report.subsets.append(part)
        found += name_findings(subset.images, names)
        found += _pairs(subset, names)
        for name in names:
            path = subset.images / name
            extensions[path.suffix] += 1
            facts = read_image_facts(path)
            found += file_findings(path, facts)
            if facts.print_:
                prints.setdefault(facts.print_, []).append((subset.name, path))
            _label(part, subset, path, facts, needs, found)
            done += 1
            if done % 50 == 0:
                progress(done, total)
    found += duplicate_findings(prints)
    found += class_findings(report.subsets, needs, extensions, subsets[0].images)
    if deep:
        found += deep_findings([s.images / n for s, names in listed for n in names], progress)
    progress(total, total)
    return report


def _label(
    part: SubsetReport, subset: Subset, path: Path, facts: ImageFacts, needs: Sequence[ClassNeeds],
    found: list[Finding],
) -> None:  # fmt: skip
    part.images += 1
    size = (facts.width, facts.height) if facts.width else None
    if size:
        part.sizes[size] += 1
    label = subset.labels / f"{path.stem}.txt"
    if not label.exists():
        return  # told by _pairs
    smallest = 2.0
    if size:
        smallest = max([2.0, *(need.smallest_box(size) for need in needs)])
    read = check_label_file(label, size, smallest)
    found += read.findings
    part.classes.update(box[0] for box in read.boxes)
    part.backgrounds += not read.boxes and not any(f.is_error for f in read.findings)


def _pairs(subset: Subset, images: Sequence[str]) -> Iterator[Finding]:
    stems = {name.rpartition(".")[0] for name in images}
    labels = {name[:-4] for name in files_in(subset.labels) if name.endswith(".txt")}
    for stem in sorted(labels - stems):
        path = subset.labels / f"{stem}.txt"
        message = f'there is no image for this label in "{subset.images.name}"'
        hint = "bring the image back, or delete the label"
        yield Finding(Severity.ERROR, "label-without-image", message, hint, path)
    for name in images:
        if name.rpartition(".")[0] not in labels:
            message = f'there is no label file for this image in "{subset.labels.name}"'
            hint = "--fix writes an empty one, which says that nothing is on it"
            yield Finding(Severity.ERROR, "image-without-label", message, hint, subset.images / name)
    if not images:
        message = "there is no image in the folder"
        yield Finding(Severity.ERROR, "no-images", message, "bring the images", subset.images)
