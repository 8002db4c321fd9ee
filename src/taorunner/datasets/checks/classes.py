"""Counts the classes of the labels, and compares those of train with those of val.

What a spec says against them is compared in ``planning/checks/rules/dataset_rules``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.datasets.files.mask_reading import MaskReading
from taorunner.datasets.model.class_names import kitti_class_names, merged_classes
from taorunner.errors import Finding, Severity
from taorunner.text import amount, printable
from taorunner.values.value import MutableValue, Value, field

if TYPE_CHECKING:
    from taorunner.datasets.checks.kitti_labels import LabelFacts
    from taorunner.datasets.checks.report import SubsetReport

_RARE = 20  # times fewer boxes than the most frequent class


def severity_in(subset: str) -> Severity:
    """The severity of a class that ``subset`` lacks: a test set neither trains a model nor selects one."""
    return Severity.WARNING if subset == "test" else Severity.ERROR


class ClassNeeds(Value):
    """How one experiment's specs read its dataset. What they say against it is compared in ``planning``.

    ``num_classes`` limits the values in masks. ``input_size`` is the network's ``(width, height)``.
    ``image_folders``: for each annotation file, the folders that its file names are relative to, where the spec sets
    them; host paths. ``masks``: how the network reads masks. ``has_class_folders`` is False for a network that reads
    no classes from folders, None when unknown.
    """

    spec: Path
    num_classes: int | None = None
    input_size: tuple[int, int] | None = None
    min_pixels: float = 4.0
    image_folders: Mapping[Path, Path] = field(default_factory=dict)
    masks: MaskReading | None = None
    has_class_folders: bool | None = None

    def smallest_box(self, size: tuple[int, int]) -> float:
        """Smallest box side in an image of ``size`` that still has ``min_pixels`` at the network's input size."""
        if self.input_size is None:
            return 0.0
        return self.min_pixels * min(size[0] / self.input_size[0], size[1] / self.input_size[1])


class Spellings(MutableValue):
    """Collects the spellings of class names in label files: one finding for each spelling, not for each box."""

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, tuple[Path, int]] = field(default_factory=dict)

    def add(self, path: Path, facts: LabelFacts) -> None:
        self.counts.update(facts.spellings)
        for name, line in facts.first_lines.items():
            self.places.setdefault(name, (path, line))

    def findings(self) -> Iterator[Finding]:
        for read, written in sorted(merged_classes(kitti_class_names(sorted(self.counts))).items()):
            listed = ", ".join(f'"{printable(name)}" ({self.counts[name]})' for name in written)
            message = f'{listed} differ only in case: TAO reads all of them as "{printable(read)}"'
            path, line = self.places[written[0]]
            yield Finding(
                Severity.WARNING,
                "class-names-merge",
                message,
                "rename one of them if they are different classes",
                path,
                line,
                1,
            )
        for name, count in sorted(self.counts.items()):
            if name != name.lower() and " " not in name:
                message = f'the class "{printable(name)}" has capitals ({amount(count, "box", "boxes")}, first here)'
                hint = f'--fix writes "{printable(name.lower())}", which is what TAO reads'
                path, line = self.places[name]
                yield Finding(Severity.WARNING, "class-name-case", message, hint, path, line, 1)


def class_findings(
    subsets: Sequence[SubsetReport], needs: Sequence[ClassNeeds], place: Path
) -> Iterator[Finding]:
    """``place`` is the folder named in findings on the whole dataset."""
    total: Counter[str] = Counter()
    for subset in subsets:
        total.update(subset.classes)
        yield from _histogram(subset, place)
    yield from _between(subsets, total, place)
    if total:
        common, most = total.most_common(1)[0]
        for name, count in sorted(total.items()):
            if count * _RARE < most:
                message = f'class "{name}" has {amount(count, "box", "boxes")}, "{common}" has {most:,}'
                yield Finding(Severity.WARNING, "class-imbalance", message, "add more boxes of it", place)
    sizes = Counter(size for subset in subsets for size in subset.sizes.elements())
    for need in needs:
        yield from _size(need, sizes)


def _histogram(subset: SubsetReport, place: Path) -> Iterator[Finding]:
    counts = ", ".join(f"{name} {count}" for name, count in subset.classes.most_common()) or "no boxes"
    share = f"{100 * subset.backgrounds / subset.images:.0f} %" if subset.images else "0 %"
    message = (
        f"{f'{subset.name}: ' if subset.name else ''}{amount(subset.images, 'image')}, {subset.backgrounds:,} of them "
        f"background ({share}); {counts}"
    )
    yield Finding(Severity.INFO, "class-histogram", message, None, place)


def _between(subsets: Sequence[SubsetReport], total: Counter[str], place: Path) -> Iterator[Finding]:
    if len(subsets) < 2:
        return
    for subset in (one for one in subsets if one.classes):  # without any box it is an error
        for name in sorted(set(total) - set(subset.classes)):
            message = f'class "{name}" ({amount(total[name], "box", "boxes")}) is missing in "{subset.name}"'
            hint = "taorunner dataset split DATASET --merge puts every class into both"
            yield Finding(Severity.WARNING, "class-missing-in-subset", message, hint, place)


def _size(need: ClassNeeds, sizes: Counter[tuple[int, int]]) -> Iterator[Finding]:
    if need.input_size is None:
        return
    width, height = need.input_size
    others = sum(count for size, count in sizes.items() if size != need.input_size)
    if others:
        verb = "has" if others == 1 else "have"
        message = f"{amount(others, 'image')} {verb} another size than the input, which is {width}x{height}"
        command = f"taorunner dataset resize DATASET --size {width}x{height}"
        hint = f"the network scales or crops them; {command} makes them fit"
        yield Finding(Severity.WARNING, "image-size", message, hint, need.spec)
