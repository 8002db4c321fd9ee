"""Splits a dataset into train, val and test by class, rare classes first, with groups kept together.

The same images, shares, pattern and seed give the same parts on every machine. ``split.json`` in the result records
the part of each image.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taorunner.datasets.files.output_folders import Placer, new_folder, refuse_taken
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.recognise import found_texts, read_dataset
from taorunner.datasets.model.annotations import DetectionDataset
from taorunner.datasets.model.class_names import image_names
from taorunner.datasets.model.extra_fields import lost_fields, lost_message
from taorunner.datasets.transform.convert import refuse_overlap
from taorunner.datasets.transform.split_folders import kind_of, read_folders, write_classes, write_part
from taorunner.datasets.transform.split_parts import Part, Request, check_request, parted, shown_path
from taorunner.datasets.transform.texts import TextSplit
from taorunner.datasets.transform.usable_boxes import box_findings
from taorunner.datasets.writers.tao_formats import (
    lost_outlines,
    target_of,
    write_description,
    write_labels,
    written_names,
)
from taorunner.errors import Finding, Severity, UserFilesError, has_errors

LIST_FILE = "split.json"


@dataclass(frozen=True, slots=True)
class Split:
    """The result of a split. ``groups``: the number of groups kept together; a single image is a group, too.

    ``target``: the format that was written, which is the source's own if taorunner writes it. ``lost_outlines``: the
    number of objects of which it keeps only the box. ``findings``: other data left out, and warnings.
    """

    output: Path
    format: str
    target: str
    seed: int
    groups: int
    parts: tuple[Part, ...]
    placed: Counter[str]
    lost_outlines: int
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The stable shape that ``--json`` prints."""
        return {
            "output": str(self.output), "from": self.format, "to": self.target, "seed": self.seed,
            "groups": self.groups,
            "parts": [{"name": part.name, "share": part.share, "images": len(part.images),
                       "classes": dict(part.classes)} for part in self.parts],
            "placed": dict(self.placed), "lost_outlines": self.lost_outlines,
            "findings": [finding.to_json() for finding in self.findings],
        }  # fmt: skip


def split_dataset(
    source: Path,
    output: Path,
    *,
    shares: Mapping[str, float],
    seed: int,
    from_: str | None = None,
    group: str | None = None,
    merge: bool = False,
    overwrite: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Split:
    """Writes the source's format (KITTI for formats that are not written here), with a folder for each of ``shares``.

    Class folders, images with masks and datasets of texts are split, too, and arranged as TAO reads them. ``from_``
    names the format instead of its recognition.

    ``group`` is a regular expression on the path below ``source``: images with the same match (of its first
    group, if it has one) stay together, as do copies of one image. "val" and "test" of the source are kept, and the
    other images are split into the other parts; ``merge`` splits all images.

    Raises UsageError for wrong shares, a wrong pattern or when nothing is left to split, UserFilesError with all
    findings when the source has errors.
    """
    refuse_overlap(source, output)
    refuse_taken(output, overwrite=overwrite)
    request = Request(shares, seed, group, merge)
    check_request(request)
    if (texts := found_texts(of_texts := Folder(source, progress), from_)) is not None:
        return _split_texts(of_texts, output, texts, request, overwrite=overwrite)
    if (kind := kind_of(source) if from_ is None else None) is not None:
        return _split_folders(source, output, kind, request, overwrite=overwrite)
    dataset = read_dataset(source, from_, progress)
    findings = (*dataset.findings, *box_findings(dataset))
    _refuse_errors(findings, source)
    images = {image.path: image for image in dataset.images}
    made = parted(list(images.values()), source, request)
    parts = made.parts
    filled = [part for part in parts if part.images]
    to = target_of(dataset.format)
    names = written_names(to, dataset.boxes_per_class())
    placer = Placer()
    with new_folder(output, overwrite=overwrite) as partial:
        listed: dict[str, list[str]] = {}
        done = lost = 0
        for part in filled:
            folder = partial / part.name
            (folder / "images").mkdir(parents=True)
            named = list(zip(image_names(part.images, source), part.images, strict=True))
            for name, image in named:
                placer.place(image.path, folder / "images" / name)
                done += 1
                progress("linking", done, len(images))
            write_labels(to, folder, named, names, dataset.metadata, keeps_ids=True)
            lost += lost_outlines(to, part.images)
            listed[part.name] = [shown_path(image.path, source) for image in part.images]
        write_description(to, partial, [part.name for part in filled], names, dataset.metadata)
        _write_list(partial / LIST_FILE, source, request, listed)
    findings = (*made.findings, *findings, *_lost_fields(to, dataset))
    return Split(output, dataset.format, to, seed, made.groups, parts, placer.counts, lost, findings)


def _refuse_errors(findings: Sequence[Finding], source: Path) -> None:
    if has_errors(findings):
        raise UserFilesError(
            "nothing was split, because the dataset has errors",
            hint=f"see all of them with taorunner dataset check {source}",
            findings=findings,
        )


def _lost_fields(to: str, dataset: DetectionDataset) -> Iterator[Finding]:
    if lost := lost_fields(to, dataset, dataset.images):
        yield Finding(Severity.WARNING, "fields-lost", lost_message(to, lost), None, dataset.root)


def _split_folders(source: Path, output: Path, kind: str, request: Request, *, overwrite: bool) -> Split:
    """Splits class folders and images with masks."""
    images, masks, findings = read_folders(source, kind)
    made = parted(images, source, request)
    parts = made.parts
    placer = Placer()
    with new_folder(output, overwrite=overwrite) as partial:
        for part in parts:
            write_part(kind, partial, part.name, part.images, masks, placer, source)
        write_classes(kind, partial, sorted({name for part in parts for name in part.classes}))
        listed = {part.name: [shown_path(image.path, source) for image in part.images] for part in parts}
        _write_list(partial / LIST_FILE, source, request, listed)
    return Split(output, kind, kind, request.seed, made.groups, parts, placer.counts, 0,
                 (*findings, *made.findings))  # fmt: skip


def _split_texts(
    folder: Folder, output: Path, format_name: str, request: Request, *, overwrite: bool
) -> Split:
    """Splits images with the outlines of texts, and images of words."""
    source = folder.root
    texts = TextSplit(folder, format_name)
    findings = tuple(texts.findings)
    _refuse_errors(findings, source)
    made = parted(texts.entries(), source, replace(request, together=texts.together()))
    for part in made.parts:
        part.classes = texts.counts(part.images)
    filled = {part.name: part.images for part in made.parts if part.images}
    with new_folder(output, overwrite=overwrite) as partial:
        placed, more = texts.write(partial, filled, folder.progress)
        listed = {
            name: [shown_path(image.path, source) for image in images] for name, images in filled.items()
        }
        _write_list(partial / LIST_FILE, source, request, listed)
    findings = (*made.findings, *findings, *more)
    return Split(
        output, format_name, texts.target, request.seed, made.groups, made.parts, placed, 0, findings
    )


def _write_list(path: Path, source: Path, request: Request, listed: Mapping[str, Sequence[str]]) -> None:
    every = sorted(name for names in listed.values() for name in names)
    digest = hashlib.sha256("\n".join(every).encode("utf-8", "surrogateescape")).hexdigest()
    value = {
        "source": source.name, "seed": request.seed, "group": request.group, "shares": dict(request.shares),
        "sha256_of_names": digest, "parts": listed,
    }  # fmt: skip
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
