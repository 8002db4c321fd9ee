"""Converts datasets of annotation tools to formats that TAO reads, without loss: read, check, write, count again.

All errors in the source are reported together. Nothing is written then, unless bad parts may be left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from taorunner.datasets.files.output_folders import Placer, Way, need_room, new_folder, refuse_taken
from taorunner.datasets.files.pixels import has_pillow
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import DetectionDataset, ImageEntry
from taorunner.datasets.model.boxes import names_of
from taorunner.datasets.model.class_names import image_names, merged_classes, written_suffix
from taorunner.datasets.model.extra_fields import holds_extra, lost_fields, lost_message, without_extra
from taorunner.datasets.transform.readable_images import (
    PNG,
    conversion_findings,
    of_one_suffix,
    save_as,
    unread_kinds,
)
from taorunner.datasets.transform.usable_boxes import usable_boxes
from taorunner.datasets.writers.tao_formats import (
    counted,
    lost_outlines,
    write_description,
    write_labels,
    written_names,
)
from taorunner.errors import Finding, MachineError, Severity, UsageError, UserFilesError, has_errors
from taorunner.text import amount, printable
from taorunner.values.value import Value

Progress = Callable[[str, int, int], None]
Images = list[ImageEntry]


class ClassCount(Value):
    """``name``: in the source; ``written``: in the result; ``after``: number of boxes in the written files."""

    name: str
    written: str
    before: int
    left_out: int


class Conversion(Value):
    """The result of a conversion. ``after``: boxes by written name; ``subsets``: number of images of each."""

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
    arrange: Callable[[Images], Images] = lambda images: images,
    way: Way = Way.LINK,
    one_suffix: bool = False,
) -> Conversion:
    """``arrange`` may give the images other subsets, and ``way`` says how they come into the result. With
    ``one_suffix`` the images of a KITTI dataset get one suffix, as its converter reads only one.

    Raises UserFilesError with every finding when something in ``source`` is wrong and ``skip_bad`` is not set.
    """
    refuse_overlap(source, output)
    refuse_taken(output, overwrite=overwrite)
    dataset = read_dataset(source, from_, progress)
    usable = usable_boxes(dataset)
    images, findings = usable.images, [*dataset.findings, *usable.findings]
    before = dataset.boxes_per_class()
    names = written_names(to, before)
    findings += _class_findings(names, source)
    kinds = unread_kinds(to, images)
    suffixes = dict.fromkeys(kinds, PNG) if has_pillow() else {}
    findings += [*conversion_findings(kinds, source), *_format_findings(to, dataset, images)]
    if to == "kitti" and one_suffix and has_pillow():
        suffixes, said = of_one_suffix(images, suffixes, source)
        findings += said
    elif to == "kitti":
        findings += _extension_findings(images, kinds, source)
    if has_errors(findings) and not skip_bad:
        raise UserFilesError(
            "nothing was written, because something would be lost",
            hint="correct the errors above, or leave the bad parts out with --skip-bad",
            findings=findings,
        )
    if to in ("odvg", "voc") and not holds_extra(to, dataset):  # the other formats do not write it
        images = without_extra(images)
    images = arrange(images)
    need_room((image.path for image in images), output, way)
    placer = Placer(way)
    with new_folder(output, overwrite=overwrite) as partial:
        subsets, after, renamed = _write(to, partial, dataset, images, names, suffixes, placer, progress)
    counts = tuple(ClassCount(name, names[name], before[name], usable.left_out[name]) for name in before)
    return Conversion(
        source, dataset.format, to, output, len(dataset.images), sum(subsets.values()),
        sum(not image.boxes for image in images), counts, after, subsets, tuple(renamed), placer.counts,
        tuple(findings),
    )  # fmt: skip


def _write(
    to: str, partial: Path, dataset: DetectionDataset, images: Images, names: dict[str, str],
    suffixes: Mapping[Path, str], placer: Placer, progress: Progress,
) -> tuple[dict[str, int], Counter[str], list[tuple[str, str]]]:  # fmt: skip
    """Writes all subsets below ``partial``: the number of images of each, the boxes by written name as counted in the
    files, and old and new path of each image that has another name now."""
    source = dataset.root
    by_subset: dict[str, list[ImageEntry]] = {}
    for image in images:
        by_subset.setdefault(image.subset, []).append(image)
    renamed: list[tuple[str, str]] = []
    after: Counter[str] = Counter()
    subsets: dict[str, int] = {}
    done = 0
    for subset, members in by_subset.items():
        folder = partial / subset
        (folder / "images").mkdir(parents=True)
        named = list(zip(image_names(members, source, suffixes), members, strict=True))
        for name, image in named:
            is_saved = bool(suffixes) and image.path in suffixes
            _place(placer, image.path, f"{folder}/images/{name}", is_saved=is_saved)
            if name != image.path.name:
                renamed.append((_shown(image.path, source), f"{subset}/images/{name}".lstrip("/")))
            done += 1
            if done % 100 == 0:
                progress("writing", done, len(images))
        write_labels(to, folder, named, names, dataset.metadata)
        subsets[subset], boxes = counted(to, folder, names)
        after += boxes
    write_description(to, partial, list(by_subset), names, dataset.metadata)
    _compare(images, names, subsets, after)
    return subsets, after, renamed


def _place(placer: Placer, source: Path, target: str, *, is_saved: bool) -> None:
    """Links the image, or saves it in the format that ``target`` names."""
    if is_saved:
        save_as(source, Path(target))
        placer.counts["converted"] += 1
    else:
        placer.place(source, target)


def _format_findings(to: str, dataset: DetectionDataset, images: Images) -> Iterator[Finding]:
    """Findings on data that ``to`` cannot hold."""
    source = dataset.root
    if lost := lost_outlines(to, images):
        message = f"{to} cannot hold outlines: {amount(lost, 'object')} keep only the box"
        hint = "--to coco keeps outlines; --to yolo keeps them if every object has a single polygon"
        yield Finding(Severity.WARNING, "outlines-lost", message, hint, source)
    if fields := lost_fields(to, dataset, images):
        kept = None if to == "coco" else "--to coco keeps the fields that COCO can hold"
        yield Finding(Severity.WARNING, "fields-lost", lost_message(to, fields), kept, source)


def refuse_overlap(source: Path, output: Path) -> None:
    """Raises UsageError for a result inside its source (it would be read next time) or around it (it would replace
    it)."""
    inner, outer = source.resolve(), output.resolve()
    if inner == outer or inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise UsageError(
            f'the result "{printable(str(output))}" cannot be in, around or at the source',
            hint="give another folder with --output",
        )


def _class_findings(names: dict[str, str], source: Path) -> Iterator[Finding]:
    for written, classes in merged_classes(names).items():
        listed = ", ".join(f'"{printable(name)}"' for name in classes)
        message = f'the classes {listed} become one, "{printable(written)}"'
        hint = "rename one in the source if they are different classes; TAO lower-cases KITTI names"
        yield Finding(Severity.WARNING, "classes-merged", message, hint, source)


def _extension_findings(
    images: list[ImageEntry], kinds: Mapping[Path, str], source: Path
) -> Iterator[Finding]:
    suffixes = dict.fromkeys(kinds, PNG)
    counts = Counter(written_suffix(image.path, suffixes) for image in images)
    if len(counts) > 1:
        listed = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common())
        message = f"the images have several extensions: {listed}"
        hint = "TAO's converter reads one extension per run and silently ignores the others"
        yield Finding(Severity.WARNING, "extensions-mixed", message, hint, source)


def _compare(
    images: list[ImageEntry], names: dict[str, str], subsets: dict[str, int], after: Counter[str]
) -> None:
    meant = Counter(map(names.__getitem__, chain.from_iterable(names_of(image.boxes) for image in images)))
    if +after != meant or sum(subsets.values()) != len(images):
        raise MachineError(
            f"the written files hold {after.total()} boxes on {sum(subsets.values())} images, "
            f"not {meant.total()} on {len(images)}; nothing was written",
            hint="check the free disk space, and that no other program writes there",
        )


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
