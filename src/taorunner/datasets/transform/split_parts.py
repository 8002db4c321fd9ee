"""Decides which image of a dataset goes to which part of a split.

Subsets that exist already are kept, images with the same pattern and copies of one image stay together, and every part
gets its share of each class, rare classes first. Copies in another size or encoding stay together where it is asked.
"""

from __future__ import annotations

import random
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from taorunner.datasets.model.annotations import ImageEntry
from taorunner.datasets.model.boxes import Fields, names_of
from taorunner.errors import Finding, Severity, UsageError
from taorunner.text import amount, printable

_KEPT = ("val", "test")
_CHUNK = 1 << 20
_FEW = 6


@dataclass(slots=True)
class Part:
    """``share``: a fraction of 1; ``classes``: boxes by class."""

    name: str
    share: float
    images: list[ImageEntry] = field(default_factory=list)
    classes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Request:
    """``shares``: of each part. ``group``: a pattern on paths. ``merges``: existing subsets are not kept. ``together``:
    pairs of images that stay together, too."""

    shares: Mapping[str, float]
    seed: int
    group: str | None = None
    merges: bool = False
    together: Sequence[tuple[Path, Path]] = ()


@dataclass(frozen=True, slots=True)
class Parted:
    """``groups``: the number of groups that were kept together; a single image is a group, too. ``copies``: those of
    more than one image."""

    parts: tuple[Part, ...]
    groups: int
    copies: int
    findings: tuple[Finding, ...]


def check_request(request: Request) -> None:
    """Raises UsageError for wrong shares or a wrong pattern."""
    _pattern(request.group)
    _check_shares(request.shares)


def parted(images: Sequence[ImageEntry], source: Path, request: Request) -> Parted:
    """Raises UsageError when every part exists already and subsets are not merged."""
    kept = {} if request.merges else _kept(images)
    shares = {name: share for name, share in request.shares.items() if name not in kept}
    left = [image for image in images if image.subset not in kept]
    if kept and (len(shares) < 2 or not left):
        listed = " and ".join(f'"{name}"' for name in kept)
        raise UsageError(
            f"the dataset has {listed} already: nothing is left to split",
            hint="use it as it is, or put all images together and split them again with --merge",
        )
    groups = _groups(left, source, _pattern(request.group), request.together)
    parts = [Part(name, share / sum(shares.values())) for name, share in shares.items()]
    assign(groups, parts, request.seed)
    for name, members in kept.items():
        classes = Counter(name for image in members for name in names_of(image.boxes))
        parts.append(Part(name, len(members) / len(images), list(members), classes))
    copies = sum(len(group) > 1 for group in groups)
    return Parted(tuple(parts), len(groups), copies, tuple(_findings(kept, left, parts, source)))


def _kept(images: Sequence[ImageEntry]) -> dict[str, list[ImageEntry]]:
    found = {name: [image for image in images if image.subset == name] for name in _KEPT}
    return {name: members for name, members in found.items() if members}


def _findings(
    kept: Mapping[str, Sequence[ImageEntry]], left: Sequence[ImageEntry], parts: Sequence[Part], source: Path
) -> Iterator[Finding]:
    hint = "--merge puts all images together and splits them again"
    if kept:
        listed = " and ".join(f'"{name}" ({amount(len(members), "image")})' for name, members in kept.items())
        yield Finding(Severity.WARNING, "subsets-kept", f"kept as it is: {listed}", hint, source)
    if empty := [f'"{part.name}"' for part in parts if not part.images]:
        message = f"no image is left for {' and '.join(empty)}"
        yield Finding(Severity.INFO, "part-empty", message, "add images, or choose other shares", source)
    contents = _contents([*left, *(image for members in kept.values() for image in members)])
    copies = Counter(contents[image.path] for image in left if image.path in contents)
    for name, members in kept.items():
        shared = [image for image in members if contents.get(image.path) in copies]
        if shared:
            verb = "is" if len(shared) == 1 else "are"
            message = f'{amount(len(shared), "image")} of "{name}" {verb} also among the others'
            yield Finding(Severity.WARNING, "image-copies", message, hint, shared[0].path)
    same = [image for image in left if copies[contents.get(image.path, b"")] > 1]
    if same:
        message = f"{len(same):,} images are copies of one another: copies stay in one part"
        yield Finding(Severity.INFO, "image-copies", message, "keep one of each", same[0].path)


def _groups(
    images: Sequence[ImageEntry],
    source: Path,
    pattern: re.Pattern[str] | None,
    together: Sequence[tuple[Path, Path]],
) -> list[list[ImageEntry]]:
    """Images with the same match of ``pattern``, the same content or in one pair, also over several steps."""
    contents = _contents(images)
    leader: dict[object, object] = {}

    def lead(key: object) -> object:
        while leader.setdefault(key, key) != key:
            key = leader[key]
        return key

    ordered = sorted(images, key=lambda one: str(one.path))
    for image in ordered:
        own = lead(_group_of(image.path, source, pattern))
        content = contents.get(image.path)
        if content is not None:
            leader[lead(content)] = own
    for first, second in together:
        leader[lead(_group_of(first, source, pattern))] = lead(_group_of(second, source, pattern))
    groups: dict[object, list[ImageEntry]] = {}
    for image in ordered:
        groups.setdefault(lead(_group_of(image.path, source, pattern)), []).append(image)
    return list(groups.values())


def _contents(images: Sequence[ImageEntry]) -> dict[Path, bytes]:
    """A digest of the bytes of each image that has the size of another one; only these are read."""
    by_size: dict[int, set[Path]] = {}
    for path in {image.path for image in images}:
        with suppress(OSError):
            by_size.setdefault(path.stat().st_size, set()).add(path)
    digests: dict[Path, bytes] = {}
    for paths in by_size.values():
        for path in paths if len(paths) > 1 else ():
            digest = blake2b(digest_size=16)
            with suppress(OSError), path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                digests[path] = digest.digest()
    return digests


def assign(groups: Sequence[Sequence[ImageEntry]], parts: Sequence[Part], seed: int) -> None:
    """Assigns each group to one part: rarest class first, to the part that still needs most of it. No part stays empty
    where there are as many groups."""
    order = list(groups)
    random.Random(seed).shuffle(order)
    counts = [_counted(group) for group in order]
    total = Counter(name for group in order for image in group for name in names_of(image.boxes))
    groups_of: dict[str, array[int]] = {}
    for number, count in enumerate(counts):
        for name in count:
            groups_of.setdefault(name, array("I")).append(number)
    left = set(range(len(order)))
    open_groups = {name: len(numbers) for name, numbers in groups_of.items()}
    boxes = Counter(total)
    """In open groups, by class."""
    wanted = {part.name: {name: part.share * count for name, count in total.items()} for part in parts}
    wanted_images = {part.name: part.share * sum(map(len, order)) for part in parts}

    def put(number: int, part: Part) -> None:
        left.discard(number)
        part.images += order[number]
        part.classes.update(counts[number])
        wanted_images[part.name] -= len(order[number])
        for name, count in counts[number].items():
            wanted[part.name][name] -= count
            boxes[name] -= count
            open_groups[name] -= 1

    while any(open_groups.values()):
        name = min((name for name, count in open_groups.items() if count), key=lambda one: (boxes[one], one))
        numbers = [number for number in groups_of[name] if number in left]
        for number in sorted(numbers, key=lambda one: (-counts[one][name], one)):
            without = [part for part in parts if not part.classes[name]]
            able = without if 0 < open_groups[name] <= len(without) else parts  # every part gets the class
            put(number, max(able, key=lambda part: (wanted[part.name][name], wanted_images[part.name])))
    for number in sorted(left):
        put(number, max(parts, key=lambda part: wanted_images[part.name]))
    _fill_empty(order, parts)
    for part in parts:
        part.images.sort(key=lambda image: str(image.path))


def _fill_empty(groups: Sequence[Sequence[ImageEntry]], parts: Sequence[Part]) -> None:
    """Gives each empty part a group of the part that has most of them: a small one with boxes, whose classes the part
    has elsewhere, too."""
    group_of = {image.path: number for number, group in enumerate(groups) for image in group}
    for empty in (part for part in parts if not part.images):
        held = {part.name: {group_of[image.path] for image in part.images} for part in parts}
        giver = max(parts, key=lambda part: len(held[part.name]))
        if len(held[giver.name]) < 2:
            return
        moved = groups[min(held[giver.name], key=lambda number: _cost(groups[number], number, giver.classes))]
        counts = Counter(_counted(moved))
        taken = {image.path for image in moved}
        giver.images[:] = [image for image in giver.images if image.path not in taken]
        giver.classes = giver.classes - counts
        empty.images += moved
        empty.classes.update(counts)


def _cost(group: Sequence[ImageEntry], number: int, had: Mapping[str, int]) -> tuple[int, bool, int, int]:
    """Lower is better: how many classes the part loses, whether there is no box, and the number of images."""
    counts = _counted(group)
    return sum(had[name] == count for name, count in counts.items()), not counts, len(group), number


def _counted(group: Sequence[ImageEntry]) -> Mapping[str, int]:
    """Boxes by class."""
    counts = Counter(name for image in group for name in names_of(image.boxes))
    return Fields(tuple(counts), tuple(counts.values())) if len(counts) < _FEW else counts


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
    shown = shown_path(path, source)
    match = pattern.search(shown) if pattern is not None else None
    if match is None:
        return f"\0{shown}"  # a group of one image: no match can equal this
    return str((match[1] if match.re.groups else match[0]) or match[0])


def shown_path(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
