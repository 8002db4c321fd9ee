"""What a dataset says is there, beside what was predicted for the same images and classes."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taorunner.datasets.model.annotations import DetectionDataset, ImageEntry
from taorunner.datasets.model.boxes import corners_of, kinds_of
from taorunner.datasets.transform.usable_boxes import usable_boxes
from taorunner.errors import Finding, Severity, UnknownNameError, UserFilesError, has_errors
from taorunner.evaluation.json_predictions import by_id
from taorunner.evaluation.predictions import Numbers, Predictions
from taorunner.evaluation.result import Data
from taorunner.text import amount, did_you_mean, printable
from taorunner.values.bounded_reading import JsonError, read_json

_DONT_CARE = "dontcare"
"""KITTI's mark of a region in which nothing counts, in any case: COCO's crowd."""
_SHOWN = 3


@dataclass(slots=True)
class Compared:
    """Truth and predictions of the same images. ``classes``: in the order of the dataset, without regions that do not
    count; ``image_of`` and ``class_of`` give the places of a prediction, None where it cannot be compared. ``missing``:
    images without a prediction file."""

    root: Path
    images: list[ImageEntry]
    classes: list[str]
    image_of: list[int | None]
    class_of: list[int | None]
    missing: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def has_outlines(self) -> bool:
        """Whether an object has one: a mask or a polygon."""
        return any(box.segmentation for image in self.images for box in image.boxes)

    def name(self, place: int) -> str:
        """The path of an image below the dataset."""
        path = self.images[place].path
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def kept(self, predictions: Predictions) -> Iterator[int]:
        """The predictions that are compared, as places in their columns."""
        for row, (image, name) in enumerate(zip(predictions.image, predictions.name, strict=True)):
            if self.image_of[image] is not None and self.class_of[name] is not None:
                yield row


def numbers_of(dataset: DetectionDataset) -> Numbers:
    """What numbers in COCO results mean: images where those of the dataset come from one COCO file, categories where
    its files agree."""
    sources = {image.source for image in dataset.images}
    source = sources.pop() if len(sources) == 1 else None
    categories: dict[Any, str] = {}
    for file in dataset.metadata.coco_files.values():
        for number, name in file.categories:
            if categories.setdefault(number, name) != name:
                return Numbers({}, {})
    if source is None or source.suffix.lower() != ".json":
        return Numbers({}, categories)
    try:
        document = read_json(source, most_bytes=1024**3)
    except (JsonError, OSError):
        return Numbers({}, categories)
    if not isinstance(document, dict):
        return Numbers({}, categories)
    return Numbers(by_id(document, "images", "file_name"), by_id(document, "categories", "name"))


def compare(
    dataset: DetectionDataset, predictions: Predictions, *, split: str | None, mapped: Mapping[str, str]
) -> Compared:
    """Puts predictions beside the images and classes of the truth.

    ``split`` names a subset of the dataset; without it, all subsets that have a prediction count. ``mapped`` gives
    classes of predictions the name of the truth. Raises UserFilesError where nothing can be compared or an image cannot
    be told.
    """
    if has_errors(dataset.findings):
        raise UserFilesError(
            "the truth has errors", findings=dataset.findings, hint="taorunner dataset check DATASET"
        )
    usable = usable_boxes(dataset)
    if has_errors(usable.findings):
        raise UserFilesError(
            "the truth has errors", findings=usable.findings, hint="taorunner dataset check DATASET"
        )
    images = images_of_split(usable.images, dataset.subsets, split)
    findings = [*dataset.findings, *usable.findings, *predictions.findings]
    image_of, findings_of_images = _images(images, dataset.root, predictions)
    if split is None and len(dataset.subsets) > 1:
        images, image_of = _only_inferred(images, image_of)
    classes = [name for name in dataset.classes if name.lower() != _DONT_CARE]
    class_of, findings_of_classes = _classes(classes, predictions, mapped)
    made = Compared(
        dataset.root,
        images,
        classes,
        image_of,
        class_of,
        findings=[*findings, *findings_of_images, *findings_of_classes],
    )
    if predictions.tells_inferred:
        made.missing = len(images) - len({place for place in image_of if place is not None})
        made.findings += _missing(images, image_of, made.missing)
    return made


def data_of(compared: Compared, name: str, split: str | None, masks: Iterable[Path] = ()) -> Data:
    """What was compared, with a fingerprint of its images, classes, objects and ``masks``."""
    digest = hashlib.sha256()
    for place, image in enumerate(compared.images):
        objects = [
            (*corners, kind.iscrowd)
            for corners, kind in zip(corners_of(image.boxes), kinds_of(image.boxes), strict=True)
        ]
        digest.update(repr((compared.name(place), image.width, image.height, objects)).encode())
    digest.update(repr(compared.classes).encode())
    for mask in masks:
        digest.update(_sha256(mask))
    subsets = sorted({image.subset for image in compared.images if image.subset})
    return Data(
        name,
        str(compared.root),
        split or ("+".join(subsets) or None),
        len(compared.images),
        digest.hexdigest(),
    )


def _sha256(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1024**2):
            digest.update(block)
    return digest.digest()


def images_of_split(
    images: Sequence[ImageEntry], subsets: Sequence[str], split: str | None
) -> list[ImageEntry]:
    """Raises UnknownNameError for a subset that is not there."""
    if split is None:
        return list(images)
    if split not in subsets:
        known = [name for name in subsets if name]
        raise UnknownNameError(
            f'the truth has no subset "{printable(split)}"',
            hint=did_you_mean(split, known) or f"subsets: {', '.join(known) or 'none'}",
        )
    return [image for image in images if image.subset == split]


def _images(
    images: Sequence[ImageEntry], root: Path, predictions: Predictions
) -> tuple[list[int | None], list[Finding]]:
    """The image of each key: by as many of its last folders as an image has, too, down to the stem alone, if only one
    image has them."""
    by_end: defaultdict[str, list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        parts = image.path.with_suffix("").parts
        below = len(parts) - len(root.parts) if image.path.is_relative_to(root) else 1
        for length in range(1, max(below, 1) + 1):
            by_end["/".join(parts[-length:])].append(place)
    image_of: list[int | None] = []
    alike, unknown = [], []
    for key in predictions.keys:
        steps = [step for step in key.split("/") if step]
        found = next((by_end[end] for at in range(len(steps)) if (end := "/".join(steps[at:])) in by_end), [])
        if len(found) > 1:
            alike.append((key, found))
        elif not found:
            unknown.append(key)
        image_of.append(found[0] if len(found) == 1 else None)
    if alike:
        key, found = alike[0]
        one, other = (printable(str(images[place].path)) for place in found[:2])
        raise UserFilesError(
            f'"{printable(key)}" can be the label file of "{one}" and of "{other}"'
            + (f", and {len(alike) - 1:,} more names are not clear" if len(alike) > 1 else ""),
            hint="give images of one name different names, or evaluate one subset: --split val",
        )
    if predictions.keys and len(unknown) == len(predictions.keys):
        raise UserFilesError(
            f'no image of the truth has a prediction; the first is of "{printable(unknown[0])}"',
            hint="give the dataset that the inference read: --truth DATASET",
        )
    findings = []
    if unknown:
        message = (
            f"{amount(len(unknown), 'label file')} left out: no image of the truth has that name, such as "
        )
        names = ", ".join(f'"{printable(key)}"' for key in unknown[:_SHOWN])
        findings.append(
            Finding(
                Severity.WARNING,
                "prediction-unknown-image",
                message + names,
                "name the subset that was inferred: --split",
            )
        )
    return image_of, findings


def _only_inferred(
    images: list[ImageEntry], image_of: list[int | None]
) -> tuple[list[ImageEntry], list[int | None]]:
    """The subsets of which at least one image was inferred."""
    inferred = {images[place].subset for place in image_of if place is not None}
    kept = [place for place, image in enumerate(images) if image.subset in inferred]
    new = {old: place for place, old in enumerate(kept)}
    return [images[place] for place in kept], [None if old is None else new[old] for old in image_of]


def _classes(
    classes: Sequence[str], predictions: Predictions, mapped: Mapping[str, str]
) -> tuple[list[int | None], list[Finding]]:
    """The class of each predicted name: as ``--map`` says, the same name, or the only one that differs in case."""
    exact = {name: place for place, name in enumerate(classes)}
    folded: defaultdict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(classes):
        folded[name.casefold()].append(place)
    _refuse_unknown_map(classes, predictions, mapped)
    class_of: list[int | None] = []
    unknown: list[int] = []
    for number, name in enumerate(predictions.names):
        wanted = mapped.get(name, name)
        alike = folded[wanted.casefold()]
        found = exact.get(wanted, alike[0] if len(alike) == 1 else None)
        if found is None and wanted.lower() != _DONT_CARE:
            unknown.append(number)
        class_of.append(found)
    if predictions.names and len(unknown) == len(predictions.names):
        raise UserFilesError(
            f"no predicted class is one of the truth: {_named(predictions.names)}; there: {_named(classes)}",
            hint=f"--map {predictions.names[0]}={classes[0] if classes else 'CLASS'}",
        )
    findings = []
    if unknown:
        counts = Counter(predictions.name)
        said = ", ".join(
            f'"{printable(predictions.names[number])}" ({counts[number]:,})' for number in unknown[:_SHOWN]
        )
        kinds = amount(len(unknown), "class", "classes")
        message = f"predictions of {kinds} left out, which the truth does not have: {said}"
        hint = f"--map {predictions.names[unknown[0]]}={classes[0]}, where it has another name there"
        findings.append(Finding(Severity.WARNING, "prediction-unknown-class", message, hint))
    return class_of, findings


def _refuse_unknown_map(classes: Sequence[str], predictions: Predictions, mapped: Mapping[str, str]) -> None:
    for old, new in mapped.items():
        for name, known, where in ((old, predictions.names, "predicted"), (new, classes, "in the truth")):
            if name not in known:
                raise UnknownNameError(
                    f'--map {old}={new}: no class "{printable(name)}" is {where}',
                    hint=did_you_mean(name, known) or f"classes: {_named(known)}",
                )


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(printable(name) for name in names[:8])
    return shown + (f", and {len(names) - 8} more" if len(names) > 8 else "")


def _missing(images: Sequence[ImageEntry], image_of: Sequence[int | None], missing: int) -> Iterator[Finding]:
    if not missing:
        return
    inferred = set(image_of)
    names = [printable(image.path.name) for place, image in enumerate(images) if place not in inferred][
        :_SHOWN
    ]
    message = (
        f"{amount(missing, 'image')} without a label file, such as {', '.join(names)}: "
        "they count as images in which nothing was found"
    )
    yield Finding(
        Severity.WARNING, "prediction-missing", message, "infer all of them, or name the subset: --split val"
    )
