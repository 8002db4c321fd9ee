"""From what an annotation tool wrote to what TAO reads, with nothing lost on the way: read, check, write, count again.

What is wrong in the source is told whole; nothing is written then, unless the bad parts may be left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taorunner.datasets.checks.image_facts import SUFFIXES_OF_FORMAT
from taorunner.datasets.files.image_header import SELDOM_READ
from taorunner.datasets.files.output_folders import Placer, refuse_taken, whole_folder
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.datasets.model.class_names import merged_classes, picture_names
from taorunner.datasets.model.extra_fields import holds_extra, lost_fields, lost_message, without_extra
from taorunner.datasets.writers.tao_formats import (
    counted,
    lost_outlines,
    write_description,
    write_labels,
    written_names,
)
from taorunner.errors import Finding, MachineError, Severity, UsageError, UserFilesError, has_errors
from taorunner.text import amount, printable

_SELDOM = frozenset(suffix for one in SELDOM_READ for suffix in SUFFIXES_OF_FORMAT[one])
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ClassCount:
    """``name`` as in the source, ``written`` as in the result; ``after`` counts boxes in the written files."""

    name: str
    written: str
    before: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was done. ``after`` is by written name; ``subsets`` has the pictures of each."""

    source: Path
    format: str
    target: str
    output: Path
    images_before: int
    images_after: int
    backgrounds: int
    classes: tuple[ClassCount, ...]
    after: Counter[str]
    subsets: dict[str, int]
    renamed: tuple[tuple[str, str], ...]
    placed: Counter[str]
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """The stable shape that ``--json`` prints."""
        return {
            "source": str(self.source), "from": self.format, "to": self.target, "output": str(self.output),
            "images": {"before": self.images_before, "after": self.images_after, "backgrounds": self.backgrounds},
            "classes": [
                {"name": c.name, "written": c.written, "before": c.before, "left_out": c.left_out,
                 "after": self.after[c.written]} for c in self.classes
            ],
            "subsets": self.subsets,
            "renamed": [{"from": old, "to": new} for old, new in self.renamed],
            "placed": dict(self.placed),
            "findings": [finding.to_json() for finding in self.findings],
        }  # fmt: skip


def convert(
    source: Path,
    output: Path,
    *,
    to: str,
    from_: str | None = None,
    overwrite: bool = False,
    skip_bad: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Conversion:
    """Raises UserFilesError with every finding when something in ``source`` is wrong and ``skip_bad`` is not set."""
    refuse_overlap(source, output)
    refuse_taken(output, overwrite=overwrite)
    dataset = read_dataset(source, from_, progress)
    images, left_out, told = _usable(dataset)
    findings = [*dataset.findings, *told]
    names = written_names(to, dataset.boxes_per_class())
    findings += _class_findings(names, source)
    findings += _format_findings(to, dataset, images)
    if has_errors(findings) and not skip_bad:
        raise UserFilesError(
            "nothing was written, because something would be lost",
            hint="correct what is named above, or leave it out with --skip-bad",
            findings=findings,
        )
    if to in ("odvg", "voc") and not holds_extra(to, dataset):  # the others write none
        images = without_extra(images)
    by_subset: dict[str, list[ImageEntry]] = {}
    for image in images:
        by_subset.setdefault(image.subset, []).append(image)
    placer, renamed = Placer(), []
    after: Counter[str] = Counter()
    subsets: dict[str, int] = {}
    with whole_folder(output, overwrite=overwrite) as partial:
        done = 0
        for subset, members in by_subset.items():
            folder = partial / subset
            (folder / "images").mkdir(parents=True)
            named = list(zip(picture_names(members, source), members, strict=True))
            prefix = f"{folder}/images/"
            for name, image in named:
                placer.place(image.path, prefix + name)
                if name != image.path.name:
                    renamed.append((_shown(image.path, source), f"{subset}/images/{name}".lstrip("/")))
                done += 1
                if done % 100 == 0:
                    progress("writing", done, len(images))
            write_labels(to, folder, named, names, dataset.described)
            pictures, boxes = counted(to, folder, names)
            after += boxes
            subsets[subset] = pictures
        write_description(to, partial, list(by_subset), names, dataset.described)
        _compare(images, names, subsets, after)
    before = dataset.boxes_per_class()
    counts = tuple(ClassCount(name, names[name], before[name], left_out[name]) for name in before)
    return Conversion(
        source, dataset.format, to, output, len(dataset.images), sum(subsets.values()),
        sum(not image.boxes for image in images), counts, after, subsets, tuple(renamed), placer.counts,
        tuple(findings),
    )  # fmt: skip


def _format_findings(to: str, dataset: DetectionDataset, images: list[ImageEntry]) -> Iterator[Finding]:
    """What the files of ``to`` have no place for, and pictures that who reads them does not."""
    source = dataset.root
    if to == "kitti":
        yield from _extension_findings(images, source)
    if lost := lost_outlines(to, images):
        message = f"{to} cannot hold outlines: of {amount(lost, 'object')} only the box stays"
        hint = "--to coco keeps outlines; yolo does where every object has one of one piece"
        yield Finding(Severity.WARNING, "outlines-lost", message, hint, source)
    if fields := lost_fields(to, dataset, images):
        kept = None if to == "coco" else "--to coco keeps what annotations of COCO can hold"
        yield Finding(Severity.WARNING, "fields-lost", lost_message(to, fields), kept, source)


def refuse_overlap(source: Path, output: Path) -> None:
    """A result inside its source would be read the next time, one around it would replace it."""
    inner, outer = source.resolve(), output.resolve()
    if inner == outer or inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise UsageError(
            f'the result "{printable(str(output))}" cannot be in, around or at the source itself',
            hint="give another folder with --output",
        )


def _usable(dataset: DetectionDataset) -> tuple[list[ImageEntry], Counter[str], list[Finding]]:
    """The images once each, with the boxes that have an area; how many boxes of each class that leaves out."""
    images: list[ImageEntry] = []
    left_out: Counter[str] = Counter()
    findings: list[Finding] = []
    first: dict[Path, ImageEntry] = {}
    for image in dataset.images:
        earlier = first.setdefault(image.path, image)
        if earlier is not image:
            places = " and ".join(f'"{one.subset or one.source or "?"}"' for one in (earlier, image))
            message = f'"{printable(image.path.name)}" is annotated twice, in {places}'
            hint = "keep one of them; the first is taken with --skip-bad"
            findings.append(Finding(Severity.ERROR, "picture-twice", message, hint, image.path))
            left_out.update(box.name for box in image.boxes)
            continue
        flat = [box for box in image.boxes if not _has_area(box)]
        for box in flat:
            left_out[box.name] += 1
            findings.append(_flat_finding(image, box))
        if flat:
            image = replace(image, boxes=tuple(box for box in image.boxes if _has_area(box)))
        images.append(image)
    return images, left_out, findings


def inverted_findings(images: Iterable[ImageEntry]) -> Iterator[Finding]:
    """Boxes whose corners are swapped: errors, as nobody knows what was meant."""
    for image in images:
        for box in image.boxes:
            if box.x_max < box.x_min or box.y_max < box.y_min:
                yield _flat_finding(image, box)


def _has_area(box: Box) -> bool:
    return box.x_max > box.x_min and box.y_max > box.y_min


def _flat_finding(image: ImageEntry, box: Box) -> Finding:
    """One without an area is nothing that could be learnt; one whose corners are swapped is a slip."""
    where = f'the box "{printable(box.name)}" {box.x_min:g} {box.y_min:g} {box.x_max:g} {box.y_max:g}'
    place = image.source or image.path
    if box.x_max < box.x_min or box.y_max < box.y_min:
        message, hint = (
            f"{where} ends before it begins",
            "correct its corners; dataset convert --skip-bad leaves it out",
        )
        return Finding(Severity.ERROR, "box-inverted", message, hint, place, box.line)
    message, hint = f"{where} has no area", "it is left out, as TAO does"
    return Finding(Severity.WARNING, "box-flat", message, hint, place, box.line)


def _class_findings(names: dict[str, str], source: Path) -> Iterator[Finding]:
    for written, classes in merged_classes(names).items():
        listed = ", ".join(f'"{printable(name)}"' for name in classes)
        message = f'the classes {listed} become one, "{printable(written)}"'
        hint = "rename one in the source if they are two; TAO lower-cases the names of KITTI"
        yield Finding(Severity.WARNING, "classes-merged", message, hint, source)


def _extension_findings(images: list[ImageEntry], source: Path) -> Iterator[Finding]:
    counts = Counter(image.path.suffix.lower().replace(".jpeg", ".jpg") for image in images)
    if len(counts) > 1:
        listed = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common())
        message = f"the pictures have several extensions: {listed}"
        hint = "TAO's converter reads one extension a run and ignores the others silently"
        yield Finding(Severity.WARNING, "extensions-mixed", message, hint, source)
    seldom = {suffix: count for suffix, count in counts.items() if suffix in _SELDOM}
    if seldom:
        listed = ", ".join(f"{count} {suffix}" for suffix, count in seldom.items())
        message = f"TAO's networks that train on KITTI do not read {listed}"
        hint = "save these pictures as PNG or JPEG, and name them so in the annotations"
        yield Finding(Severity.WARNING, "extension-unread", message, hint, source)


def _compare(
    images: list[ImageEntry], names: dict[str, str], subsets: dict[str, int], after: Counter[str]
) -> None:
    meant = Counter(names[box.name] for image in images for box in image.boxes)
    if +after != meant or sum(subsets.values()) != len(images):
        raise MachineError(
            f"the written files hold {after.total()} boxes on {sum(subsets.values())} pictures, "
            f"not {meant.total()} on {len(images)}; nothing was kept",
            hint="is the disk full, or did another program write there?",
        )


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
