"""Checks of image and mask pairs: completeness, sizes, and whether the network reads the classes in the masks.

Source: tao/datasets.md A2: masks are 8-bit grayscale or palette PNGs, or coloured where a spec lists colours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from taorunner.datasets.checks.classes import ClassNeeds, severity_in
from taorunner.datasets.checks.image_facts import read_image_facts
from taorunner.datasets.checks.image_files import EqualFiles, deep_findings, file_findings
from taorunner.datasets.files.layout import Subset, images_in
from taorunner.datasets.files.mask_reading import MaskReading, spread, values_in
from taorunner.datasets.files.pixels import has_pillow, needs_pillow
from taorunner.errors import Finding, Severity

_SAMPLE = 24
"""Number of masks decoded in each subset without ``deep``."""
_SHOWN = 4


def check_masks(
    found: list[Finding], subsets: Sequence[Subset], needs: Sequence[ClassNeeds], *, deep: bool
) -> dict[str, int]:
    """Adds findings to ``found``; returns the images by subset.

    ``deep`` reads the values of all masks; else a sample is read, if a spec describes the masks.
    """
    if deep:
        needs_pillow("--deep")
    limits = [need.num_classes for need in needs if need.num_classes is not None and need.masks is None]
    readings = tuple(dict.fromkeys(need.masks for need in needs if need.masks is not None))
    equal = EqualFiles()
    paths: list[tuple[str, Path]] = []
    counts: dict[str, int] = {}
    for subset in subsets:
        masks = {name.rpartition(".")[0]: name for name in images_in(subset.labels)}
        names = images_in(subset.images)
        counts[subset.name] = len(names)
        sound: list[str] = []
        for name in names:
            path = subset.images / name
            paths.append((subset.name, path))
            facts = read_image_facts(path)
            found += file_findings(path, facts)
            equal.add(facts.ends, subset.name, path)
            mask = masks.pop(name.rpartition(".")[0], None)
            if mask is None:
                message = f'there is no mask for this image in "{subset.labels}"'
                found.append(
                    Finding(
                        Severity.ERROR, "image-without-mask", message, "add it, or remove the image", path
                    )
                )
                continue
            faults = list(_mask(subset.labels / mask, facts.size, readings))
            found += faults
            if not faults:
                sound.append(mask)
                if deep and (limits or not readings):
                    found += _beyond(subset.labels / mask, min(limits, default=None))
        for mask in masks.values():
            message = f'there is no image for this mask in "{subset.images}"'
            found.append(
                Finding(
                    Severity.ERROR,
                    "mask-without-image",
                    message,
                    "add it, or remove the mask",
                    subset.labels / mask,
                )
            )
        if deep or has_pillow():
            for reading in readings:
                found += _unread(subset, sound, reading, deep=deep)
    if readings and not has_pillow():
        found.append(_values_not_checked(subsets[0].labels))
    found += equal.findings()
    if deep:
        found += deep_findings(paths, lambda done, total: None)
    return counts


def _values_not_checked(masks: Path) -> Finding:
    message = "not checked: the values in the masks, which Pillow decodes"
    hint = "pip install 'taorunner[datasets]', then repeat the check"
    return Finding(Severity.WARNING, "not-checked", message, hint, masks)


def _mask(path: Path, size: tuple[int, int] | None, readings: Sequence[MaskReading]) -> Iterator[Finding]:
    facts = read_image_facts(path)
    header = facts.header
    if facts.problem is not None or header is None:
        yield from file_findings(path, facts)
        return
    if size is not None and facts.size != size:
        message = f"the mask is {header.width}x{header.height}, its image {size[0]}x{size[1]}"
        yield Finding(Severity.ERROR, "mask-size", message, "give both the same size", path)
    if not all(reading.takes(header) for reading in readings or (MaskReading("", ()),)):
        message = f"the mask is {header.format} with {header.channels} channels of {header.bits} bits"
        hint = "save it as a grayscale or palette PNG with one channel whose values are class numbers"
        yield Finding(Severity.ERROR, "mask-mode", message, hint, path)


def _beyond(path: Path, num_classes: int | None) -> Iterator[Finding]:
    """Reports mask values that are not below ``num_classes``."""
    values = _values(path, coloured=False)
    if isinstance(values, Finding):
        yield values
        return
    highest = max((value[0] for value in values), default=0)
    if num_classes is not None and highest >= num_classes:
        message = f"the mask has the value {highest}, but num_classes is {num_classes}"
        yield Finding(Severity.ERROR, "mask-value", message, f"use values below {num_classes}", path)


def _unread(subset: Subset, names: Sequence[str], reading: MaskReading, *, deep: bool) -> Iterator[Finding]:
    """Reports values that the spec does not list, and masks that are read as class 0 only."""
    first = list(names) if deep else spread(names, _SAMPLE)
    rest = [] if deep else [name for name in names if name not in set(first)]
    unknown: Counter[tuple[int, ...]] = Counter()
    place: Path | None = None
    seen: set[tuple[int, ...]] = set()
    is_learnt, read = False, 0
    for number, name in enumerate([*first, *rest]):
        if number >= len(first) and (is_learnt or unknown):
            break
        path = subset.labels / name
        values = _values(path, coloured=reading.is_coloured)
        if isinstance(values, Finding):
            yield values
            continue
        read += 1
        seen |= values
        missing = [value for value in values if reading.class_of(value) is None]
        unknown.update(missing)
        place = path if missing and place is None else place
        is_learnt = is_learnt or any(reading.class_of(value) for value in values)
    if place is not None:
        listed = ", ".join(_shown(value) for value in sorted(unknown)[:_SHOWN])
        more = f" and {len(unknown) - _SHOWN} other values" if len(unknown) > _SHOWN else ""
        message = (
            f'masks have {listed}{more}, which "{reading.key}" does not list: those pixels become class 0 '
            f"(first here; {read} masks of {len(names)} read)"
        )
        yield Finding(Severity.ERROR, "mask-value", message, _hint(reading, seen), place)
    elif read and not is_learnt and any(number for _, number in reading.classes):
        severity = severity_in(subset.name)
        lacks = "there is nothing to learn" if severity is Severity.ERROR else "no class is measured there"
        message = f"every pixel of {read} masks is read as class 0: {lacks}"
        yield Finding(severity, "mask-background", message, _hint(reading, seen), subset.labels)


def _values(path: Path, *, coloured: bool) -> frozenset[tuple[int, ...]] | Finding:
    try:
        return values_in(path, coloured=coloured)
    except (OSError, ValueError, SyntaxError) as error:
        message = f"the mask cannot be decoded: {error}"
        return Finding(Severity.ERROR, "image-undecodable", message, "replace it", path)


def _hint(reading: MaskReading, seen: set[tuple[int, ...]]) -> str:
    parts = {part for value in seen for part in value}
    is_gray = all(len(set(value)) == 1 for value in seen)
    known = {part for value, _ in reading.classes for part in value}
    if reading.is_normed and parts <= {0, 1}:
        return f"the masks hold class numbers, and {reading.norm_key} divides them by 255: remove it"
    if reading.norm_key and not reading.is_normed and is_gray and parts <= {0, 255} and known <= {0, 1}:
        return f"set {reading.norm_key} to {reading.norm_word}, which maps 255 to 1"
    if reading.is_coloured and is_gray:
        return "the masks are grayscale: list their values, such as [0], [1], instead of colours"
    return f'"{reading.key}" must list the values in the masks, one entry for each'


def _shown(value: tuple[int, ...]) -> str:
    return str(value[0]) if len(value) == 1 else f"[{', '.join(map(str, value))}]"
