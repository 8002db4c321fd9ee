"""Splits a dataset into train, val and test by class, rare classes first, with groups kept together.

The same images, shares, pattern and seed give the same parts on every machine. ``split.json`` in the result records
the part of each image.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taorunner.datasets.files.output_folders import Placer, new_folder, refuse_taken
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import DetectionDataset, ImageEntry
from taorunner.datasets.model.class_names import image_names
from taorunner.datasets.model.extra_fields import lost_fields, lost_message
from taorunner.datasets.transform.convert import refuse_overlap
from taorunner.datasets.transform.split_folders import kind_of, read_folders, write_classes, write_part
from taorunner.datasets.transform.usable_boxes import box_findings
from taorunner.datasets.writers.tao_formats import (
    lost_outlines,
    target_of,
    write_description,
    write_labels,
    written_names,
)
from taorunner.errors import Finding, Severity, UsageError, UserFilesError, has_errors
from taorunner.text import printable

LIST_FILE = "split.json"


@dataclass(slots=True)
class Part:
    """``share``: a fraction of 1; ``classes``: boxes by class."""

    name: str
    share: float
    images: list[ImageEntry] = field(default_factory=list)
    classes: Counter[str] = field(default_factory=Counter)


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
    overwrite: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Split:
    """Writes the source's format (KITTI for formats that are not written here), with a folder for each of ``shares``.

    Class folders and images with masks are split, too, and arranged as TAO reads them. ``from_`` names the format
    instead of its recognition.

    ``group`` is a regular expression on the path below ``source``: images with the same match (of its first
    group, if it has one) stay together. Raises UsageError for wrong shares or a wrong pattern, UserFilesError with
    all findings when the source has errors.
    """
    refuse_overlap(source, output)
    refuse_taken(output, overwrite=overwrite)
    _pattern(group)
    _check_shares(shares)
    kind = kind_of(source) if from_ is None else None
    if kind is not None:
        return _split_folders(source, output, kind, shares, seed, group, overwrite=overwrite)
    dataset = read_dataset(source, from_, progress)
    findings = (*dataset.findings, *box_findings(dataset))
    if has_errors(findings):
        raise UserFilesError(
            "nothing was split, because the dataset has errors",
            hint=f"see all of them with taorunner dataset check {source}",
            findings=findings,
        )
    images = {image.path: image for image in dataset.images}
    parts, group_count = _assigned(list(images.values()), source, group, shares, seed)
    to = target_of(dataset.format)
    names = written_names(to, dataset.boxes_per_class())
    placer = Placer()
    with new_folder(output, overwrite=overwrite) as partial:
        listed: dict[str, list[str]] = {}
        done = lost = 0
        for part in parts:
            folder = partial / part.name
            (folder / "images").mkdir(parents=True)
            named = list(zip(image_names(part.images, source), part.images, strict=True))
            for name, image in named:
                placer.place(image.path, folder / "images" / name)
                done += 1
                progress("linking", done, len(images))
            write_labels(to, folder, named, names, dataset.metadata, keeps_ids=True)
            lost += lost_outlines(to, part.images)
            listed[part.name] = [_shown(image.path, source) for image in part.images]
        write_description(to, partial, [part.name for part in parts], names, dataset.metadata)
        _write_list(partial / LIST_FILE, source, seed, group, shares, listed)
    findings = (*findings, *_lost_fields(to, dataset))
    return Split(output, dataset.format, to, seed, group_count, parts, placer.counts, lost, findings)


def _lost_fields(to: str, dataset: DetectionDataset) -> Iterator[Finding]:
    if lost := lost_fields(to, dataset, dataset.images):
        yield Finding(Severity.WARNING, "fields-lost", lost_message(to, lost), None, dataset.root)


def _split_folders(
    source: Path, output: Path, kind: str, shares: Mapping[str, float], seed: int, group: str | None, *, overwrite: bool
) -> Split:  # fmt: skip
    """Splits class folders and images with masks."""
    images, masks = read_folders(source, kind)
    parts, group_count = _assigned(images, source, group, shares, seed)
    placer = Placer()
    with new_folder(output, overwrite=overwrite) as partial:
        for part in parts:
            write_part(kind, partial, part.name, part.images, masks, placer, source)
        write_classes(kind, partial, sorted({name for part in parts for name in part.classes}))
        listed = {part.name: [_shown(image.path, source) for image in part.images] for part in parts}
        _write_list(partial / LIST_FILE, source, seed, group, shares, listed)
    return Split(output, kind, kind, seed, group_count, parts, placer.counts, 0)


def _assigned(
    images: Sequence[ImageEntry], source: Path, group: str | None, shares: Mapping[str, float], seed: int
) -> tuple[tuple[Part, ...], int]:
    """The parts, and the number of groups."""
    pattern = _pattern(group)
    groups: dict[str, list[ImageEntry]] = {}
    for image in sorted(images, key=lambda one: str(one.path)):
        groups.setdefault(_group_of(image.path, source, pattern), []).append(image)
    parts = tuple(Part(name, share) for name, share in shares.items())
    assign(list(groups.values()), parts, seed)
    return parts, len(groups)


def assign(groups: Sequence[Sequence[ImageEntry]], parts: Sequence[Part], seed: int) -> None:
    """Assigns each group to one part: rarest class first, to the part that still needs most of it."""
    order = list(groups)
    random.Random(seed).shuffle(order)
    counts = [Counter(box.name for image in group for box in image.boxes) for group in order]
    total: Counter[str] = sum(counts, Counter())
    open_groups: dict[str, set[int]] = {}
    for number, count in enumerate(counts):
        for name in count:
            open_groups.setdefault(name, set()).add(number)
    left = set(range(len(order)))
    wanted = {part.name: {name: part.share * count for name, count in total.items()} for part in parts}
    wanted_images = {part.name: part.share * sum(map(len, order)) for part in parts}

    def put(number: int, part: Part) -> None:
        left.discard(number)
        part.images += order[number]
        part.classes += counts[number]
        wanted_images[part.name] -= len(order[number])
        for name, count in counts[number].items():
            wanted[part.name][name] -= count
            open_groups[name].discard(number)

    while any(open_groups.values()):
        name = min(
            (name for name, numbers in open_groups.items() if numbers),
            key=lambda one: (sum(counts[number][one] for number in open_groups[one]), one),
        )
        for number in sorted(open_groups[name], key=lambda one: (-counts[one][name], one)):
            without = [part for part in parts if not part.classes[name]]
            able = (
                without if 0 < len(open_groups[name]) <= len(without) else parts
            )  # every part gets the class
            put(number, max(able, key=lambda part: (wanted[part.name][name], wanted_images[part.name])))
    for number in sorted(left):
        put(number, max(parts, key=lambda part: wanted_images[part.name]))
    for part in parts:
        part.images.sort(key=lambda image: str(image.path))


def _write_list(
    path: Path, source: Path, seed: int, group: str | None, shares: Mapping[str, float],
    listed: Mapping[str, Sequence[str]],
) -> None:  # fmt: skip
    every = sorted(name for names in listed.values() for name in names)
    digest = hashlib.sha256("\n".join(every).encode("utf-8", "surrogateescape")).hexdigest()
    value = {
        "source": source.name, "seed": seed, "group": group, "shares": dict(shares), "sha256_of_names": digest,
        "parts": listed,
    }  # fmt: skip
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


def _pattern(group: str | None) -> re.Pattern[str] | None:
    if group is None:
        return None
    try:
        return re.compile(group)
    except re.error as error:
        raise UsageError(
            f'--group is not a regular expression: "{printable(group)}" ({error})',
            hint=r"for example --group '(video_\d+)_'",
        ) from None


def _check_shares(shares: Mapping[str, float]) -> None:
    bad = [name for name, share in shares.items() if not 0 < share < 1]
    if bad or len(shares) < 2 or abs(sum(shares.values()) - 1) > 1e-9:
        listed = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        raise UsageError(
            f"the shares cannot be {listed}", hint="use values above 0 for --val and --test, together below 1"
        )


def _group_of(path: Path, source: Path, pattern: re.Pattern[str] | None) -> str:
    shown = _shown(path, source)
    match = pattern.search(shown) if pattern is not None else None
    if match is None:
        return f"\0{shown}"  # a group of one image: no match can equal this
    return str((match[1] if match.re.groups else match[0]) or match[0])


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
