"""Lists and blocks of a spec that name classes: names, colours, mappings, palettes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Any

from taorunner.catalog.layouts import Computed, ComputedValue
from taorunner.planning.derived.numbers import Source
from taorunner.planning.derived.spec_texts import Wanted, spec_format
from taorunner.specs.editing.proto_blocks import FILL_IN, Row
from taorunner.text import amount

_COLORS = (
    "green", "orange", "blue", "red", "purple", "cyan", "magenta", "yellow", "brown", "lime", "teal", "navy", "olive",
    "maroon", "gold", "pink", "indigo", "coral", "turquoise", "gray",
)  # fmt: skip
_BOX_COLORS = (
    (0, 200, 0), (230, 160, 0), (0, 120, 240), (220, 40, 40), (160, 60, 200), (0, 190, 190), (230, 90, 160),
    (150, 110, 60), (120, 160, 0), (90, 90, 90),
)  # fmt: skip
_NORMED = {(0,), (255,)}
_NORM = 255


def set_classes(source: Source, row: Computed) -> None:
    """Sets the keys of a row that name classes or values of masks."""
    if row.value is not None:
        _SETTERS[row.value](source, row)


def _classes(source: Source) -> list[str]:
    """As they are written in a spec, where a dollar is written twice."""
    return [name.replace("$", "$$") for name in source.facts.classes]


def _class_names(source: Source, row: Computed) -> None:
    names = _classes(source)
    for key in row.keys if names else ():
        for file in list(source.texts.specs):
            source.texts.set_collection(
                file, key, Wanted(names, f"names of {amount(len(names), 'class', 'classes')}")
            )


def _class_ids(source: Source, row: Computed) -> None:
    ids = sorted(source.facts.ids)
    for key in row.keys if ids else ():
        for file in list(source.texts.specs):
            source.texts.set_collection(file, key, Wanted(ids, f"{len(ids)} categories"))


def _class_colors(source: Source, row: Computed) -> None:
    """A class that has a colour keeps it, and one with the name of a colour gets that one."""
    names = [name.lower() if row.using.get("lower") else name for name in _classes(source)]
    for key in row.keys if names else ():
        for file in list(source.texts.specs):
            found = [one.value for where, one in source.texts.placed(key) if where == file]
            old = found[0] if found and isinstance(found[0], dict) else {}
            known = {name: old[name] for name in names if name in old}
            others = [one for one in _COLORS if one not in known.values()]
            known |= {name: name.lower() for name in names if name not in old and name.lower() in others}
            free = cycle([one for one in _COLORS if one not in known.values()] or _COLORS)
            colors: dict[str, Any] = {}
            for name in sorted(dict.fromkeys(names), key=lambda one: one not in old):
                colors[name] = known[name] if name in known else next(free)
            if source.texts.is_new:
                colors = {name: colors[name] for name in names}
            if colors != old or list(colors) != list(old):
                reason = f"colours of {amount(len(colors), 'class', 'classes')}"
                source.texts.set_collection(file, key, Wanted(colors, reason))


def _class_mapping(source: Source, row: Computed) -> None:
    names = _classes(source)
    rows = [{"key": name, "value": name} for name in names]
    for key in row.keys if rows else ():
        source.texts.set_blocks(key, rows, f"{amount(len(names), 'class', 'classes')} in the labels")


def _class_blocks(source: Source, row: Computed) -> None:
    """One block for each class that the mapping leads to."""
    learnt = [one for one in source.texts.values(f"{row.using['names_of']}.value") if isinstance(one, str)]
    names = list(dict.fromkeys(one for one in learnt if one != FILL_IN))
    rows = [{str(row.using["by"]): name} for name in names]
    for key in row.keys if rows else ():
        reason = f"{amount(len(names), 'class', 'classes')} of the mapping"
        source.texts.set_blocks(key, rows, reason, _BOX_COLORS)


def _mask_blocks(source: Source, row: Computed) -> None:
    values = _mask_numbers(source, row)
    labels = [one for one in source.texts.values(f"{row.keys[0]}.label_id") if isinstance(one, int)]
    wanted = values if source.texts.is_new else sorted({*labels, *values})
    if not values or (not source.texts.is_new and set(values) <= {*labels, 0}):
        return
    names = _names_of(source, [(value,) for value in wanted])
    rows: list[Row] = [
        {"label_id": value, "name": name, "mapping_class": name}
        for value, name in zip(wanted, names, strict=True)
    ]
    for key in row.keys:
        source.texts.set_blocks(key, rows, f"{len(rows)} values in the masks")


def _mask_numbers(source: Source, row: Computed) -> list[int]:
    found = source.facts.mask_values
    if any(len(value) != 1 for value in found):
        return []
    is_gray = source.texts.value(row.using["image_type"]) == "grayscale"
    return sorted({value[0] // _NORM if is_gray else value[0] for value in found})


def _image_type(source: Source, row: Computed) -> None:
    """Masks of grayscale images are divided by 255, so others than those of 0 and 255 are read as for colour.

    Source: tao_tensorflow1_backend cv/unet/utils/data_loader.py.
    """
    if not source.facts.channels or not source.facts.mask_values:
        return
    is_gray = source.facts.channels == 1 and set(source.facts.mask_values) <= _NORMED
    wanted = Wanted("grayscale" if is_gray else "color", f"the images have {source.facts.channels} channels")
    for key in row.keys:
        if source.texts.is_new or source.texts.value(key) is None:
            source.texts.set_scalar(key, wanted)


def _palette(source: Source, row: Computed) -> None:
    """The palette, and whether masks are divided by 255 before it is looked up. What reads every value stays."""
    key, norm = row.keys[0], str(row.using["norm"])
    values = list(source.facts.mask_values)
    if not values:
        return
    is_normed = set(values) == _NORMED
    for file in list(source.texts.specs):
        placed = [one for where, one in source.texts.placed(key) if where == file]
        if not placed or spec_format(file) != "yaml":
            continue
        old = placed[0].value if isinstance(placed[0].value, list) else []
        reads_norm = source.texts.value(norm) == "norm"
        if source.texts.is_new or not old:
            entries = _entries(source, values, is_normed)
        elif _reads_all(old, values, reads_norm):
            continue
        elif is_normed != reads_norm:
            entries = _entries(source, values, is_normed)
        else:
            entries = _with_more(source, old, values, reads_norm)
        reason = f"{len(values)} values in the masks"
        source.texts.set_collection(file, key, Wanted(entries, reason))
    if source.texts.is_new or is_normed != (source.texts.value(norm) == "norm"):
        reason = "masks of 0 and 255" if is_normed else "the masks hold numbers of classes"
        old_palette = next(
            (one.value for _, one in source.texts.placed(key) if isinstance(one.value, list)), []
        )
        if _reads_all(old_palette, values, is_normed):
            source.texts.set_scalar(norm, Wanted("norm" if is_normed else "", reason))


def _entries(source: Source, values: list[tuple[int, ...]], is_normed: bool) -> list[dict[str, Any]]:
    names = _names_of(source, values)
    return [
        {"seg_class": name, "mapping_class": name, "label_id": number,
         "rgb": [part // _NORM for part in value] if is_normed else list(value)}
        for number, (value, name) in enumerate(zip(values, names, strict=True))
    ]  # fmt: skip


def _with_more(
    source: Source, old: list[dict[str, Any]], values: list[tuple[int, ...]], reads_norm: bool
) -> list[dict[str, Any]]:
    number = max([one["label_id"] for one in old if isinstance(one.get("label_id"), int)], default=-1)
    entries = list(old)
    taken = {one.get("seg_class") for one in old}
    for value, name in zip(values, _names_of(source, values), strict=True):
        looked_up = [part // _NORM for part in value] if reads_norm else list(value)
        if not _is_listed(old, looked_up):
            number += 1
            name = name if name not in taken else f"class_{number}"
            entries.append({"seg_class": name, "mapping_class": name, "label_id": number, "rgb": looked_up})
    return entries


def _reads_all(entries: list[Any], values: list[tuple[int, ...]], is_normed: bool) -> bool:
    return all(
        _is_listed(entries, [part // _NORM for part in value] if is_normed else list(value))
        for value in values
    )


def _is_listed(entries: list[Any], value: list[int]) -> bool:
    return any(isinstance(one, dict) and one.get("rgb") in (value, value[:1] * 3, value[:1]) and (
        len(one["rgb"]) == len(value) or len(set(value)) == 1) for one in entries)  # fmt: skip


def _names_of(source: Source, values: list[tuple[int, ...]]) -> list[str]:
    """The known name of each value; background for 0, and a number for the others."""
    known = source.facts.mask_names
    two = len(values) == 2
    found: list[str] = []
    for number, value in enumerate(values):
        usual = "background" if not any(value) else "foreground" if two else f"class_{number}"
        found.append(known.get(value, usual).replace("$", "$$"))
    return found


_SETTERS: Mapping[ComputedValue, Callable[[Source, Computed], None]] = {
    ComputedValue.CLASS_NAMES: _class_names,
    ComputedValue.CLASS_IDS: _class_ids,
    ComputedValue.CLASS_COLORS: _class_colors,
    ComputedValue.CLASS_MAPPING: _class_mapping,
    ComputedValue.CLASS_BLOCKS: _class_blocks,
    ComputedValue.MASK_BLOCKS: _mask_blocks,
    ComputedValue.IMAGE_TYPE: _image_type,
    ComputedValue.PALETTE: _palette,
}
CLASSES = frozenset(_SETTERS)
