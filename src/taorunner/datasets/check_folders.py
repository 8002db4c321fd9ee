"""Are classification folders and segmentation pairs complete? The two kinds of dataset that have no boxes.

Source: tao/datasets.md A2: ImageFolder for classification; 8-bit grayscale or palette PNG masks for segmentation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from taorunner.datasets.check_classes import ClassNeeds
from taorunner.datasets.check_files import deep_findings, duplicate_findings, file_findings
from taorunner.datasets.check_image import read_image_facts
from taorunner.datasets.check_layout import Subset, images_in
from taorunner.datasets.pictures import needs_pillow
from taorunner.errors import Finding, Severity
from taorunner.text import did_you_mean


def check_class_folders(
    found: list[Finding],
    root: Path,
    splits: Mapping[str, Sequence[str]],
    needs: Sequence[ClassNeeds],
    *,
    deep: bool,
) -> dict[str, Counter[str]]:
    """Adds to ``found``; gives the pictures of each class by split."""
    every = sorted({name for classes in splits.values() for name in classes})
    counts: dict[str, Counter[str]] = {}
    prints: dict[str, list[tuple[str, Path]]] = {}
    paths: list[tuple[str, Path]] = []
    for split, classes in splits.items():
        counts[split] = Counter()
        for name in every:
            folder = root / split / name
            if name not in classes:
                message = f'class "{name}" has no folder in "{split}"'
                hint = did_you_mean(name, [c for c in classes if c not in set(every) - {name}])
                found.append(
                    Finding(Severity.ERROR, "class-sets-differ", message, hint or "make it", root / split)
                )
                continue
            names = images_in(folder)
            counts[split][name] = len(names)
            if not names:
                message = f'class "{name}" has no picture'
                found.append(
                    Finding(Severity.ERROR, "class-folder-empty", message, "fill or delete it", folder)
                )
            for file in names:
                facts = read_image_facts(folder / file)
                found += file_findings(folder / file, facts)
                prints.setdefault(facts.ends, []).append((split, folder / file))
                paths.append((split, folder / file))
    found += duplicate_findings(prints)
    for need in needs:
        if need.num_classes is not None and need.num_classes != len(every):
            message = f"num_classes is {need.num_classes}, and there are {len(every)} class folders"
            found.append(
                Finding(Severity.ERROR, "num-classes", message, f"set it to {len(every)}", need.spec)
            )
    if deep:
        found += deep_findings(paths, lambda done, total: None)
    return counts


def check_masks(
    found: list[Finding], subsets: Sequence[Subset], needs: Sequence[ClassNeeds], *, deep: bool
) -> dict[str, int]:
    """Adds to ``found``; gives the pictures by subset. ``deep`` reads the values of the masks."""
    if deep:
        needs_pillow("--deep")
    limits = [need.num_classes for need in needs if need.num_classes is not None]
    prints: dict[str, list[tuple[str, Path]]] = {}
    paths: list[tuple[str, Path]] = []
    counts: dict[str, int] = {}
    for subset in subsets:
        masks = {name.rpartition(".")[0]: name for name in images_in(subset.labels)}
        names = images_in(subset.images)
        counts[subset.name] = len(names)
        for name in names:
            path = subset.images / name
            paths.append((subset.name, path))
            facts = read_image_facts(path)
            found += file_findings(path, facts)
            prints.setdefault(facts.ends, []).append((subset.name, path))
            mask = masks.pop(name.rpartition(".")[0], None)
            if mask is None:
                message = f'there is no mask for this image in "{subset.labels}"'
                found.append(Finding(Severity.ERROR, "image-without-mask", message, "bring it", path))
                continue
            found += _mask(subset.labels / mask, facts.size, min(limits, default=None), deep=deep)
        for mask in masks.values():
            message = f'there is no image for this mask in "{subset.images}"'
            found.append(
                Finding(Severity.ERROR, "mask-without-image", message, "bring it", subset.labels / mask)
            )
    found += duplicate_findings(prints)
    if deep:
        found += deep_findings(paths, lambda done, total: None)
    return counts


def _mask(
    path: Path, size: tuple[int, int] | None, num_classes: int | None, *, deep: bool
) -> Iterator[Finding]:
    facts = read_image_facts(path)
    header = facts.header
    if facts.problem is not None or header is None:
        yield from file_findings(path, facts)
        return
    if size is not None and facts.size != size:
        message = f"the mask is {header.width}x{header.height}, its image {size[0]}x{size[1]}"
        yield Finding(Severity.ERROR, "mask-size", message, "make them the same", path)
    if header.format != "png" or header.channels != 1 or header.bits > 8:
        message = f"the mask is {header.format} with {header.channels} channels of {header.bits} bits"
        hint = "a mask is a PNG of one channel, grayscale or palette, whose values are the classes"
        yield Finding(Severity.ERROR, "mask-mode", message, hint, path)
        return
    if deep:
        yield from _values(path, num_classes)


def _values(path: Path, num_classes: int | None) -> Iterator[Finding]:
    from PIL import Image

    try:
        with Image.open(path) as mask:
            colours = mask.getcolors(65536) or []
    except (OSError, ValueError, SyntaxError) as error:
        message = f"the mask cannot be decoded: {error}"
        yield Finding(Severity.ERROR, "image-undecodable", message, "bring it anew", path)
        return
    highest = max((value for _, value in colours if isinstance(value, int)), default=0)
    if num_classes is not None and highest >= num_classes:
        message = f"the mask has the value {highest}, and num_classes is {num_classes}"
        yield Finding(Severity.ERROR, "mask-value", message, f"values are below {num_classes}", path)
