"""Applies the rules of ``checks.boxes`` to a whole dataset: which boxes are written, clipped, left out, or stop.

Boxes without area are left out and boxes partly outside of their image are clipped, with one warning that counts them.
Swapped corners, boxes outside of their image and images that are listed twice are mistakes: each is an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from taorunner.datasets.checks.annotations import twice_finding, with_earlier
from taorunner.datasets.checks.boxes import Fault, are_sound, faults_of
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.datasets.model.boxes import columns_of, names_of
from taorunner.errors import Finding, Severity
from taorunner.text import amount, printable

_STOPPING = frozenset({"box-inverted", "box-outside"})
_HINTS = {
    "box-inverted": "correct its corners; dataset convert --skip-bad leaves it out",
    "box-outside": "correct it, or the size of the image; dataset convert --skip-bad leaves it out",
}
_Place = tuple[ImageEntry, Box]


@dataclass(slots=True)
class UsableBoxes:
    """``images``: the unique images with the boxes that can be used. ``left_out``: boxes by class."""

    images: list[ImageEntry] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


def usable_boxes(dataset: DetectionDataset) -> UsableBoxes:
    """What ``convert`` writes."""
    made = UsableBoxes()
    flat: list[_Place] = []
    clipped: list[_Place] = []
    emptied: list[ImageEntry] = []
    for image, earlier in with_earlier(dataset):
        if earlier is not None:
            made.findings.append(twice_finding(image, earlier))
            made.left_out.update(names_of(image.boxes))
            continue
        if _is_sound(image):
            made.images.append(image)
            continue
        kept = []
        for box in image.boxes:
            fault = _fault(image, box)
            if fault is None:
                kept.append(box)
            elif fault.clipped is not None:
                clipped.append((image, box))
                x_min, y_min, x_max, y_max = fault.clipped
                kept.append(replace(box, x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max))
            else:
                made.left_out[box.name] += 1
                if fault.code in _STOPPING:
                    made.findings.append(_stopping(image, box, fault))
                else:
                    flat.append((image, box))
        if image.boxes and not kept:
            emptied.append(image)
        made.images.append(replace(image, boxes=tuple(kept)) if kept != list(image.boxes) else image)
    made.findings += _counted("box-empty", flat, "without area", "left out", "TAO leaves such boxes out, too")
    made.findings += _counted("box-beyond-edge", clipped, "partly outside of the image", "clipped", None)
    if emptied:
        count, first = amount(len(emptied), "image"), printable(emptied[0].path.name)
        message = f'no box of {count} can be used, such as those of "{first}": written as background'
        hint = "correct the boxes, or remove the image"
        made.findings.append(Finding(Severity.WARNING, "picture-emptied", message, hint, emptied[0].path))
    return made


def box_findings(dataset: DetectionDataset) -> Iterator[Finding]:
    """For ``split`` and ``resize``, which keep every box as it is: the same errors, and warnings without a change."""
    flat: list[_Place] = []
    beyond: list[_Place] = []
    for image, earlier in with_earlier(dataset):
        if earlier is not None:
            yield twice_finding(image, earlier)
            continue
        for box in () if _is_sound(image) else image.boxes:
            fault = _fault(image, box)
            if fault is not None and fault.code in _STOPPING:
                yield _stopping(image, box, fault)
            elif fault is not None:
                (flat if fault.clipped is None else beyond).append((image, box))
    hint = "taorunner dataset convert DATASET leaves out the former and clips the latter"
    yield from _counted("box-empty", flat, "without area", "kept", hint)
    yield from _counted("box-beyond-edge", beyond, "partly outside of the image", "kept", hint)


def unusable_count(dataset: DetectionDataset) -> int:
    """The number of boxes that stop ``convert``, and of images that are listed twice."""
    twice = sum(earlier is not None for _, earlier in with_earlier(dataset))
    unsound = (image for image in dataset.images if not _is_sound(image))
    faults = (_fault(image, box) for image in unsound for box in image.boxes)
    return twice + sum(fault is not None and fault.code in _STOPPING for fault in faults)


def _is_sound(image: ImageEntry) -> bool:
    """Without making a ``Box``: nearly all images are."""
    return are_sound(columns_of(image.boxes), (image.width, image.height), 2.0)


def _fault(image: ImageEntry, box: Box) -> Fault | None:
    corners = (box.x_min, box.y_min, box.x_max, box.y_max)
    return next(iter(faults_of(corners, (image.width, image.height), 0.0)), None)


def _stopping(image: ImageEntry, box: Box, fault: Fault) -> Finding:
    message = f'"{printable(box.name)}" on "{printable(image.path.name)}": {fault.message}'
    return Finding(
        fault.severity, fault.code, message, _HINTS[fault.code], image.source or image.path, box.line
    )


def _counted(code: str, found: list[_Place], what: str, done: str, hint: str | None) -> Iterator[Finding]:
    if found:
        image, box = found[0]
        such = f'"{printable(box.name)}" {box.x_min:g} {box.y_min:g} {box.x_max:g} {box.y_max:g}'
        count, name = amount(len(found), "box", "boxes"), printable(image.path.name)
        message = f'{count} {what}: {done}, such as {such} on "{name}"'
        yield Finding(Severity.WARNING, code, message, hint, image.source or image.path, box.line)
