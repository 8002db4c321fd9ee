"""What a spec says about the values in its masks: the palette of SegFormer, the classes of UNet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taorunner.datasets.files.mask_reading import MaskReading
from taorunner.specs.spec_file import PreparedSpec, read_value
from taorunner.specs.syntax.prototxt_parser import ProtoMessage, ProtoScalar, parse_prototxt
from taorunner.specs.syntax.text_position import SpecProblemError

PALETTE = "dataset.segment.palette"
_TRANSFORM = "dataset.segment.label_transform"
TARGETS = "dataset_config.data_class_config.target_classes"
_IMAGE_TYPE = "dataset_config.input_image_type"


def mask_keys(spec_format: str) -> tuple[str, ...]:
    """Keys of which a spec has one where it says something about masks."""
    return (PALETTE,) if spec_format == "yaml" else (TARGETS,)


def mask_reading(spec: PreparedSpec) -> MaskReading | None:
    """None for a spec without readable values about masks."""
    if spec.text is None:
        return None
    if spec.format == "yaml":
        classes = tuple(_palette(read_value(spec, PALETTE)))
        is_normed = read_value(spec, _TRANSFORM) == "norm"
        return MaskReading(PALETTE, classes, is_normed, _TRANSFORM, "norm") if classes else None
    if "target_classes" not in spec.text or "masks_path" not in spec.text:
        return None
    try:
        numbers = sorted(_label_ids(parse_prototxt(spec.text)))
    except SpecProblemError:
        return None
    is_gray = read_value(spec, _IMAGE_TYPE) == "grayscale"
    classes = tuple(((number,), number) for number in numbers)
    return MaskReading(TARGETS, classes, is_gray, _IMAGE_TYPE, "grayscale") if classes else None


def _palette(entries: Any) -> Iterator[tuple[tuple[int, ...], int]]:
    """An entry is found by the colour of its mapping class; pixels of its own colour become class 0.

    Source: tao-pytorch 7.0.1 cv/segformer/dataloader/utils.py.
    """
    listed = [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    by_name = {one.get("seg_class"): one for one in listed}
    for one in listed:
        mapped = by_name.get(one.get("mapping_class"), one)
        number, colour = one.get("label_id"), _colour(mapped.get("rgb"))
        if isinstance(number, int) and colour:
            yield colour, number
        own = _colour(one.get("rgb"))
        if own and own != colour and mapped.get("label_id") == 0:
            yield own, 0


def _colour(value: Any) -> tuple[int, ...]:
    is_colour = isinstance(value, list) and all(isinstance(part, int) for part in value)
    return tuple(value) if is_colour and len(value) in (1, 3) else ()


def _label_ids(message: ProtoMessage) -> Iterator[int]:
    for one in message.fields:
        if not isinstance(one.value, ProtoMessage):
            continue
        if one.name == "target_classes":
            found = [
                f.value.value
                for f in one.value.fields
                if f.name == "label_id" and isinstance(f.value, ProtoScalar)
            ]
            yield int(found[-1]) if found and isinstance(found[-1], int) else 0
        else:
            yield from _label_ids(one.value)
