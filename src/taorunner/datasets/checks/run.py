"""Checks a dataset and returns all findings at once.

The fast level reads label files and image headers; ``deep`` decodes every image. Nothing is changed here
(``repair`` does that), and a bad file does not end the check.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.datasets.checks.annotations import (
    box_findings,
    coco_findings,
    counted,
    twice_finding,
    with_earlier,
)
from taorunner.datasets.checks.classes import ClassNeeds, Spellings, class_findings
from taorunner.datasets.checks.folders import are_classes, check_class_folders
from taorunner.datasets.checks.image_facts import ImageFacts, facts_of, look_at, read_image_facts
from taorunner.datasets.checks.image_files import (
    EqualFiles,
    deep_findings,
    file_findings,
    grayscale_findings,
    name_findings,
)  # fmt: skip
from taorunner.datasets.checks.kitti_labels import check_label_file
from taorunner.datasets.checks.masks import check_masks
from taorunner.datasets.checks.report import REPAIRED, CheckReport, Progress, SubsetReport
from taorunner.datasets.checks.texts import check_texts
from taorunner.datasets.files.image_header import ImageHeader
from taorunner.datasets.files.layout import (
    Subset,
    files_in,
    find_class_folders,
    find_kitti,
    find_masks,
    has_format_folders,
    images_in,
    unpaired,
)  # fmt: skip
from taorunner.datasets.files.mask_pairs import find_pairs
from taorunner.datasets.formats import kitti
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.likely import likely_kind
from taorunner.datasets.formats.other_layouts import refuse_other_layout, refuse_pairs, report_other_files
from taorunner.datasets.formats.recognise import (
    found_texts,
    known_formats,
    read_folder,
    report_unread,
    subsets_without_boxes,
)
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.text import amount, printable


@dataclass(slots=True)
class _Seen:
    """What was seen of each image when its header was read, by the text of its path: see ``ImageFacts``."""

    ends: dict[str, int] = field(default_factory=dict)
    cut_off: set[str] = field(default_factory=set)


def check_dataset(
    root: Path, *, from_: str | None = None, deep: bool = False, needs: Sequence[ClassNeeds] = (),
    progress: Progress | None = None,
) -> CheckReport:  # fmt: skip
    """``from_`` names the format instead of its recognition.

    Raises UserFilesError when ``root`` is no folder, has no known format, or ``deep`` is set without Pillow."""
    if not root.is_dir():
        raise UserFilesError(
            f'there is no folder "{printable(str(root))}"', hint="give the folder of the dataset"
        )
    report_progress = progress or (lambda done, total: None)
    subsets = find_kitti(root)
    seen = _Seen()
    folder = _folder(root, needs, report_progress, seen)
    if (texts := found_texts(folder, from_)) is not None:
        return check_texts(folder, texts, deep=deep, progress=report_progress)
    if from_ is not None and not (from_ == "kitti" and subsets):
        return _check_read(folder, from_, seen, deep=deep, needs=needs, progress=report_progress)
    if from_ is None:
        refuse_other_layout(folder)
    known = known_formats(folder) if from_ is None else [from_]
    is_unknown = not known and likely_kind(folder) is None
    is_guess = bool(subsets) and is_unknown
    if is_guess or (known == ["kitti"] and _covers(subsets, folder)):
        report = _check_kitti(subsets, deep=deep, needs=needs, progress=report_progress)
        read = [*(subset.labels for subset in subsets), *unpaired(subsets)[1]]
        kitti.report_unread(folder, {path.relative_to(root).as_posix() for path in read})
        report.findings += [one for one in folder.findings if one not in report.findings]
        return report
    if not is_unknown:
        name = known[0] if len(known) == 1 else None
        if name is not None:
            report_unread(folder, name)
        return _check_read(folder, name, seen, deep=deep, needs=needs, progress=report_progress)
    return _check_folders(root, folder, seen, deep=deep, needs=needs, progress=report_progress)


def _covers(subsets: Sequence[Subset], folder: Folder) -> bool:
    """True when ``subsets`` have every folder of images that the reader finds."""
    return bool(subsets) and {subset.images for subset in subsets} >= kitti.image_folders(folder)


def _check_folders(
    root: Path, folder: Folder, seen: _Seen, *, deep: bool, needs: Sequence[ClassNeeds],
    progress: Progress,
) -> CheckReport:  # fmt: skip
    """Checks images with masks, and class folders. Raises UserFilesError when ``root`` holds neither."""
    if masks := find_masks(root):
        report = CheckReport("segmentation")
        image_counts = check_masks(report.findings, masks, needs, deep=deep)
        report.subsets = [SubsetReport(name, count) for name, count in image_counts.items()]
        return report
    splits = {} if find_pairs(folder.image_files).are_most else find_class_folders(root)
    if splits and not has_format_folders(splits):
        refuse_pairs(folder)
        if not are_classes(root, splits):
            raise UserFilesError(
                f'the layout of "{printable(str(root))}" cannot be checked: images beside other files',
                hint="class folders, images with masks, and datasets with boxes can be checked",
            )
        report = CheckReport("classification")
        report_other_files(folder, Severity.ERROR if "" in splits else Severity.WARNING)
        report.findings += folder.findings
        counts = check_class_folders(report.findings, root, splits, needs, deep=deep)
        if loose := len(folder.image_files) - sum(part.total() for part in counts.values()):
            message = f"{amount(loose, 'image')} {'is' if loose == 1 else 'are'} in no class folder, or in no subset"
            hint = "move them into SPLIT/CLASS/, or move them away"
            report.findings.append(Finding(Severity.WARNING, "picture-unused", message, hint, root))
        report.subsets = [SubsetReport(n, sum(c.values()), classes=c) for n, c in counts.items()]
        return report
    return _check_read(folder, None, seen, deep=deep, needs=needs, progress=progress)


def _folder(root: Path, needs: Sequence[ClassNeeds], progress: Progress, seen: _Seen) -> Folder:
    """A folder that keeps what is seen of each image whose header is read, so that no image is opened twice."""

    def look(path: Path) -> ImageHeader:
        header, ends, is_cut_off = look_at(path)
        seen.ends[str(path)] = ends
        if is_cut_off:
            seen.cut_off.add(str(path))
        return header

    return Folder(root, lambda what, done, total: progress(done, total), _image_folders(root, needs), look)


def _check_read(
    folder: Folder, from_: str | None, seen: _Seen, *, deep: bool, needs: Sequence[ClassNeeds],
    progress: Progress,
) -> CheckReport:  # fmt: skip
    """Checks any format that ``dataset convert`` reads. Raises UserFilesError when none fits."""
    root = folder.root
    dataset = read_folder(folder, from_)
    report = CheckReport(dataset.format, list(dataset.findings))
    found = report.findings
    found += _cut_off(folder, needs, found)
    equal = EqualFiles()
    grays: list[Path] = []
    is_repaired = dataset.format in REPAIRED
    ordinary: set[tuple[ImageHeader | None, str]] = set()  # headers and suffixes with nothing to report
    for image, earlier in with_earlier(dataset):
        if earlier is not None:
            found.append(twice_finding(image, earlier))
            continue
        file, header = str(image.path), folder.header(image.path)
        kind = header, file[file.rfind(".") :]
        equal.add(seen.ends[file], image.subset, image.path)
        if header is not None and (kind not in ordinary or file in seen.cut_off):
            facts = facts_of(header, seen.ends[file], file in seen.cut_off)
            if not _image(image.path, facts, found, grays, is_repaired=is_repaired):
                ordinary.add(kind)
        found += box_findings(image, needs, is_repaired=is_repaired)
    for subset in dataset.subsets:
        report.subsets.append(SubsetReport(subset, *counted(dataset, subset)))
    if dataset.format == "coco":
        found += coco_findings(dataset)
    found += equal.findings()
    found += grayscale_findings(grays, len(dataset.images))
    found += class_findings(report.subsets, [], root)
    if deep:
        found += deep_findings([(image.subset, image.path) for image in dataset.images], progress)
    return report


def _cut_off(folder: Folder, needs: Sequence[ClassNeeds], known: Sequence[Finding]) -> list[Finding]:
    """Annotation files that specs name and that are no JSON, beside others that were read."""
    for path in _image_folders(folder.root, needs):
        if path.endswith(".json") and path in folder.files and (folder.root / path).stat().st_size:
            folder.json_object(path, ("images", "annotations"))
    return [one for one in folder.findings if one.code == "json-syntax" and one not in known]


def _image_folders(root: Path, needs: Sequence[ClassNeeds]) -> dict[str, list[str]]:
    """The image folders that specs set for annotation files, relative to ``root``."""
    found: dict[str, list[str]] = {}
    for need in needs:
        for file, folder in need.image_folders.items():
            if file.is_relative_to(root) and folder.is_relative_to(root):
                below = folder.relative_to(root).as_posix()
                found.setdefault(file.relative_to(root).as_posix(), []).append("" if below == "." else below)
    return found


def _image(
    path: Path, facts: ImageFacts, found: list[Finding], grays: list[Path], *, is_repaired: bool = True
) -> bool:
    """``is_repaired``: ``--fix`` renames files. Returns whether there is anything to report."""
    before = len(found)
    found += file_findings(path, facts, is_repaired=is_repaired)
    is_gray = facts.header is not None and facts.header.channels == 1 and not facts.header.palette
    if is_gray:
        grays.append(path)
    return is_gray or len(found) > before


def _check_kitti(
    subsets: Sequence[Subset], *, deep: bool, needs: Sequence[ClassNeeds], progress: Progress
) -> CheckReport:
    report = CheckReport("kitti")
    found = report.findings
    listed = [(subset, images_in(subset.images)) for subset in subsets]
    total = sum(len(names) for _, names in listed)
    done = 0
    equal = EqualFiles()
    grays: list[Path] = []
    spellings = Spellings()
    for subset, names in listed:
        part = SubsetReport(subset.name)
        report.subsets.append(part)
        found += name_findings(subset.images, names)
        found += _pairs(subset, names)
        for name in names:
            path = subset.images / name
            facts = read_image_facts(path)
            _image(path, facts, found, grays)
            equal.add(facts.ends, subset.name, path)
            _label(part, subset, path, facts, needs, found, spellings)
            done += 1
            if done % 50 == 0:
                progress(done, total)
    found += _unpaired(subsets)
    if total and not any(part.classes for part in report.subsets) and not any(one.is_error for one in found):
        message = f"none of the {amount(total, 'image')} has a box"
        hint = "add boxes: background images alone cannot be trained on"
        found.append(Finding(Severity.WARNING, "no-boxes", message, hint, subsets[0].labels))
    labelled = {part.name: (part.images, part.images - part.backgrounds) for part in report.subsets}
    found += subsets_without_boxes(labelled, subsets[0].images)
    found += equal.findings()
    found += grayscale_findings(grays, total)
    found += spellings.findings()
    found += class_findings(report.subsets, needs, subsets[0].images)
    if deep:
        found += deep_findings([(s.name, s.images / n) for s, names in listed for n in names], progress)
    progress(total, total)
    return report


def _label(
    part: SubsetReport, subset: Subset, path: Path, facts: ImageFacts, needs: Sequence[ClassNeeds],
    found: list[Finding], spellings: Spellings,
) -> None:  # fmt: skip
    part.images += 1
    size = facts.size
    if size:
        part.sizes[size] += 1
    label = subset.labels / f"{path.stem}.txt"
    if not label.exists():
        return  # _pairs has reported it
    smallest = 2.0
    if size:
        smallest = max([2.0, *(need.smallest_box(size) for need in needs)])
    read = check_label_file(label, size, smallest)
    found += read.findings
    part.classes.update(box.name for box in read.boxes)
    spellings.add(label, read)
    part.backgrounds += not read.boxes and not any(f.is_error for f in read.findings)


def _unpaired(subsets: Sequence[Subset]) -> Iterator[Finding]:
    without_labels, without_images = unpaired(subsets)
    for folder in without_labels:
        message = f"{amount(len(images_in(folder)), 'image')} here, but no folder of labels"
        yield Finding(
            Severity.WARNING,
            "pictures-without-labels",
            message,
            "add labels, unless these are test images",
            folder,
        )
    for folder in without_images:
        message = "labels here, but no folder of images"
        hint = "add the images, or delete the labels"
        yield Finding(Severity.ERROR, "label-without-image", message, hint, folder)


def _pairs(subset: Subset, images: Sequence[str]) -> Iterator[Finding]:
    stems = {name.rpartition(".")[0] for name in images}
    labels = {name[:-4] for name in files_in(subset.labels) if name.endswith(".txt")}
    for stem in sorted(labels - stems):
        path = subset.labels / f"{stem}.txt"
        message = f'there is no image for this label in "{subset.images.name}"'
        hint = "add the image, or delete the label"
        yield Finding(Severity.ERROR, "label-without-image", message, hint, path)
    for name in images:
        if name.rpartition(".")[0] not in labels:
            message = f'there is no label file for this image in "{subset.labels.name}"'
            hint = "--fix writes an empty one, which marks a background image"
            yield Finding(Severity.ERROR, "image-without-label", message, hint, subset.images / name)
    if not images:
        message = "there is no image in the folder"
        yield Finding(Severity.ERROR, "no-images", message, "add images", subset.images)
