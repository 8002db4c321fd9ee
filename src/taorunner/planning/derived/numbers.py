"""Numbers of a spec that follow from the data: one function for each way to compute one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

from taorunner.catalog.layouts import Computed, ComputedValue, Counts, Limit
from taorunner.planning.derived.facts import DataFacts
from taorunner.planning.derived.spec_texts import SpecTexts, Wanted
from taorunner.text import amount

_VAL_SPLIT = ("kitti_config.val_split", "dataset_convert.val_split")
_WITHOUT_SMALL = 0.01
"""A limit of object sizes is lifted where it leaves out more than this share of the boxes."""


@dataclass(frozen=True, slots=True)
class Source:
    """What values are computed from: the data, and what the specs say already.

    ``held_out_batch`` are keys of batch sizes with which held-out images are read, too.
    """

    facts: DataFacts
    texts: SpecTexts
    gpus: int
    held_out_batch: frozenset[str] = frozenset()


def set_numbers(source: Source, row: Computed) -> None:
    """Sets the keys of a row whose value is a number."""
    if row.value in _OTHERS:
        _OTHERS[row.value](source, row)
        return
    for key in row.keys:
        wanted = _NUMBERS[row.value](source, row, key) if row.value is not None else None
        if wanted is not None:
            source.texts.set_number(key, wanted, row.limit)


def samples(source: Source) -> int:
    """Images that train: without the part of records that is set aside for validation."""
    images = source.facts.train.images
    percent = held_out_percent(source.texts)
    return images if percent is None else images - int(images * percent / 100)


def held_out_percent(texts: SpecTexts) -> int | float | None:
    """The percentage of the training images that a conversion sets aside for validation; None without one."""
    return next((one for key in _VAL_SPLIT if (one := texts.number(key)) is not None), None)


def steps_an_epoch(source: Source, batch_key: str, images: int) -> int | None:
    batch = source.texts.number(batch_key)
    return None if not batch or batch < 1 or not images else ceil(images / (batch * source.gpus))


def _class_count(source: Source, row: Computed, key: str) -> Wanted | None:
    ids, texts = source.facts.ids, source.texts
    if row.counts is Counts.CLASS_FOLDERS:
        count = len(source.facts.classes)
        return Wanted(count, f"{count} class folders", "number of class folders") if count else None
    if not ids or texts.value("dataset.remap_mscoco_category") is True:
        return None
    is_renumbered = (
        texts.value("dataset.contiguous_labels") is True or texts.value("dataset.contiguous_id") is True
    )
    if is_renumbered:
        return Wanted(len(ids), f"{len(ids)} categories", "number of categories")
    largest = max(ids)
    if row.counts is Counts.CATEGORIES:
        return Wanted(largest, f"largest id {largest}", "largest category_id")
    return Wanted(largest + 1, f"largest id {largest}, plus 1", "largest category_id, plus 1")


def _class_names_count(source: Source, row: Computed, key: str) -> Wanted | None:
    count = min(len(source.facts.classes), int(row.using.get("most", 10**9)))
    return Wanted(count, f"{len(source.facts.classes)} classes", "number of classes") if count else None


def _label_count(source: Source, row: Computed, key: str) -> Wanted | None:
    found = [one for one in source.texts.values(row.using["of"]) if isinstance(one, int)]
    if not found:
        return None
    return Wanted(max(found) + 1, f"largest label_id {max(found)}, plus 1", "largest label_id, plus 1")


def _train_images(source: Source, row: Computed, key: str) -> Wanted | None:
    count = source.facts.train.images
    return Wanted(count, f"{amount(count, 'image')} in train", "images in train") if count else None


def _val_images(source: Source, row: Computed, key: str) -> Wanted | None:
    count = source.facts.val.images
    return Wanted(count, f"{amount(count, 'image')} in val", "images in val") if count else None


def _samples(source: Source, row: Computed, key: str) -> Wanted | None:
    count, held_out = samples(source), source.facts.val.images
    if not count:
        return None
    most = max(1, count // source.gpus)
    if key in source.held_out_batch and 0 < held_out < most:
        return Wanted(
            held_out, f"{amount(held_out, 'image')} to validate with", "at most the images that validate"
        )
    return Wanted(most, f"{amount(count, 'image')} to train on", "at most the images that train")


def _steps(source: Source, row: Computed, key: str) -> Wanted | None:
    steps = steps_an_epoch(source, row.using["batch"], samples(source))
    return Wanted(steps, f"{amount(steps, 'step')} an epoch", "steps an epoch") if steps else None


def _total_steps(source: Source, row: Computed, key: str) -> Wanted | None:
    steps = steps_an_epoch(source, row.using["batch"], samples(source))
    epochs = source.texts.number(row.using["epochs"])
    if not steps or not epochs:
        return None
    total = steps * int(epochs)
    share = float(row.using.get("share", 1))
    reason = f"{amount(int(epochs), 'epoch')} of {amount(steps, 'step')}"
    return Wanted(max(1, int(total * share)), reason if share == 1 else f"{share:.0%} of {reason}", None)


def _most_boxes(source: Source, row: Computed, key: str) -> Wanted | None:
    most = source.facts.most_boxes
    if not most:
        return None
    return Wanted(most + int(row.using.get("plus", 0)), f"up to {most:,} objects in an image", None)


def _smallest_box(source: Source, row: Computed, key: str) -> Wanted | None:
    """In pixels of the network's input."""
    side = 0 if key.endswith("width") else 1
    size = source.texts.number(row.using["width" if side == 0 else "height"])
    if not size or not source.facts.shapes:
        return None
    smallest = min(shape[side] for shape in source.facts.shapes) * size
    name = ("width", "height")[side]
    return Wanted(max(1, int(smallest)), f"the smallest {name} of a box is {smallest:.0f} pixels", None)


def _small_objects(source: Source, row: Computed, key: str) -> Wanted | None:
    """0 where more than a few boxes are smaller than the number in the spec."""
    limit, size, shapes = source.texts.number(key), source.facts.usual_size, source.facts.shapes
    if limit is None or size is None or not shapes:
        return None
    small = sum(width * size[0] * height * size[1] < limit for width, height in shapes)
    if small <= len(shapes) * _WITHOUT_SMALL:
        return None
    return Wanted(0, f"{small:,} of {len(shapes):,} boxes are smaller than {limit:g} pixels", None)


def _longest_text(source: Source, row: Computed, key: str) -> Wanted | None:
    longest = source.facts.longest_text
    return Wanted(longest, f"the longest text has {longest} characters", None) if longest else None


def _text_width(source: Source, row: Computed, key: str) -> Wanted | None:
    """Source: the layout of lprnet."""
    longest = source.texts.number(row.using["of"])
    if not longest:
        return None
    return Wanted((2 * int(longest) + 1) * 4, f"room for {int(longest)} characters", None)


def _channels(source: Source, row: Computed, key: str) -> Wanted | None:
    kind = source.texts.value(row.using["of"])
    if kind not in ("color", "grayscale"):
        return None
    return Wanted(1 if kind == "grayscale" else 3, f"{kind} images", None)


def _number_at(source: Source, row: Computed, key: str) -> Wanted | None:
    found = source.texts.number(row.using["of"])
    if not found or found != int(found):
        return None
    what = "divides" if row.limit is Limit.DIVIDES else "within"
    return Wanted(int(found), f"{what} the {int(found)} epochs", None)


def _set_top(source: Source, row: Computed) -> None:
    """Numbers of best classes that count: none may be more than there are classes."""
    count = len(source.facts.classes)
    if not count:
        return
    for key in row.keys:
        wanted = Wanted([1], f"{count} classes", None)
        source.texts.set_scalar(
            key, wanted,
            lambda old: not isinstance(old, list) or all(isinstance(one, int) and one <= count for one in old),
            lambda old: [one for one in old or [] if isinstance(one, int) and one <= count] or [1],
        )  # fmt: skip


def _set_outlines(source: Source, row: Computed) -> None:
    """True only where every annotation to validate with has an outline; false always works."""
    without, boxes = source.facts.val.without_outline, source.facts.val.boxes.total()
    if not boxes:
        return
    reason = f"{without:,} of {boxes:,} annotations in val have no outline" if without else "val has outlines"
    for key in row.keys:
        wanted = Wanted(not without, reason)
        source.texts.set_scalar(key, wanted, lambda old: old is False or (old is True and not without))


def _set_val_percent(source: Source, row: Computed) -> None:
    """0 stays: then another folder validates."""
    images = source.facts.train.images
    if images < 2:
        return
    wanted = Wanted(ceil(100 / images), f"one of {amount(images, 'image')}, at least")
    for key in row.keys:
        source.texts.set_scalar(
            key, wanted, lambda old: isinstance(old, (int, float)) and (old == 0 or images * old >= 100)
        )


_NUMBERS: Mapping[ComputedValue, Callable[[Source, Computed, str], Wanted | None]] = {
    ComputedValue.CLASS_COUNT: _class_count,
    ComputedValue.CLASS_NAMES_COUNT: _class_names_count,
    ComputedValue.LABEL_COUNT: _label_count,
    ComputedValue.TRAIN_IMAGES: _train_images,
    ComputedValue.VAL_IMAGES: _val_images,
    ComputedValue.SAMPLES: _samples,
    ComputedValue.STEPS: _steps,
    ComputedValue.TOTAL_STEPS: _total_steps,
    ComputedValue.MOST_BOXES: _most_boxes,
    ComputedValue.SMALLEST_BOX: _smallest_box,
    ComputedValue.SMALL_OBJECTS: _small_objects,
    ComputedValue.LONGEST_TEXT: _longest_text,
    ComputedValue.TEXT_WIDTH: _text_width,
    ComputedValue.CHANNELS: _channels,
    ComputedValue.NUMBER_AT: _number_at,
}
_OTHERS: Mapping[ComputedValue | None, Callable[[Source, Computed], None]] = {
    ComputedValue.TOP: _set_top,
    ComputedValue.OUTLINES: _set_outlines,
    ComputedValue.VAL_PERCENT: _set_val_percent,
}
NUMBERS = frozenset({*_NUMBERS, *(one for one in _OTHERS if one is not None)})
