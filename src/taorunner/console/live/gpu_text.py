"""The GPUs of a run, with load and memory, in the room that there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from taorunner.console.base.cells import fit
from taorunner.console.base.formatting import clean, used_of
from taorunner.console.live.run_view import GpuReading, RunView
from taorunner.text import amount, size
from taorunner.values.bounded_reading import whole_number

_IDS = 8
_MEMORY = 16
_CLUSTER_ID = 24
"""A longer handle is an id that nobody types, as of a container."""


def gpu_ids(gpus: Sequence[str], readings: Mapping[str, GpuReading]) -> str:
    """``0``, ``2,3``, ``0-7``: indices as in nvidia-smi; the beginning of a UUID where the index is unknown."""
    names = [
        readings[gpu].index if gpu in readings else gpu if len(gpu) < _IDS else gpu[:_IDS] for gpu in gpus
    ]
    numbers = [number for name in names if (number := whole_number(name)) is not None]
    is_range = len(numbers) == len(names) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1))
    return f"{names[0]}-{names[-1]}" if is_range else ",".join(names)


def loads(readings: Sequence[GpuReading]) -> list[int]:
    """The known loads, in percent."""
    return [one.load_percent for one in readings if one.load_percent is not None]


def compact_gpus(view: RunView) -> list[Text]:
    """The GPUs of a run in one part of a line, the longest form first; empty for a run without GPUs.

    The load is the mean of all, the memory that of the fullest.
    """
    gpus = view.run.gpus
    if not gpus:
        where = cluster_text(view)
        names = (f"{view.engine}  {where}", where, view.engine) if where else ()
        return [Text(name, style="quiet") for name in names]
    ids = gpu_ids(gpus, view.gpus)
    readings = [view.gpus[gpu] for gpu in gpus if gpu in view.gpus]
    known = loads(readings)
    load = f"{round(sum(known) / len(known))}%" if known else ""
    fullest = max(readings, key=lambda one: one.memory_used_bytes or 0, default=None)
    used = fullest.memory_used_bytes if fullest is not None else None
    total = fullest.memory_total_bytes if fullest is not None else None
    label = (f"GPU {ids:<{_IDS}}", "label")
    short = (f"GPU {ids}", "label")
    forms = []
    if used is not None and total:
        forms.append(Text.assemble(label, f" {load:>4}", f"  {used_of(used, total):>{_MEMORY}}"))
        forms.append(Text.assemble(short, f"  {load}", f"  {size(used)}"))
    elif load:
        forms.append(Text.assemble(label, f" {load:>4}"))
    if load:
        forms.append(Text.assemble(short, f" {load}"))
    return [*forms, Text.assemble(short)]


def panel_gpus(view: RunView, value_width: int, width: int, rows: int) -> list[tuple[str, Text]]:
    """The rows of a panel as (label, text): one for all GPUs where that fits in ``width`` cells, else one for each,
    else one with ranges when there are only ``rows``."""
    gpus = view.run.gpus
    if not gpus:
        where = cluster_text(view)
        return [(view.engine, Text(where))] if where else []
    readings = [view.gpus[gpu] for gpu in gpus if gpu in view.gpus]
    label = f"GPU {gpu_ids(gpus, view.gpus)}"
    if not readings:
        return [(label, Text("no reading", style="quiet"))]
    together = _together(readings, value_width)
    if together is not None and together.cell_len <= width:
        return [(label, _with_model(together, readings, width, view))]
    if len(gpus) <= rows:
        return [
            (f"GPU {view.gpus[gpu].index}", _one(view.gpus[gpu], value_width, width, view))
            if gpu in view.gpus
            else (f"GPU {gpu_ids((gpu,), {})}", Text("no reading", style="quiet"))
            for gpu in gpus
        ]
    return [(label, _with_model(_ranges(readings, value_width), readings, width, view))]


def cluster_text(view: RunView) -> str:
    """``job 48213  2 nodes × 8 GPUs  on h[1-2]`` of a run whose GPUs its engine has given; "" for any other."""
    notes, run = view.notes, view.run
    if run.gpus or (notes.nodes < 2 and not notes.gpu_count and not run.where):
        return ""
    job = f"job {run.handle}" if run.handle and len(run.handle) <= _CLUSTER_ID else ""
    times = "×" if view.symbols.dot == "·" else "x"
    gpus = amount(notes.gpu_count, "GPU") if notes.gpu_count else ""
    nodes = amount(notes.nodes, "node") + (f" {times} {gpus}" if gpus else "")
    where = f"on {clean(run.where)}" if run.where else ""
    return "  ".join(part for part in (job, nodes if notes.nodes > 1 else gpus, where) if part)


def _one(reading: GpuReading, value_width: int, width: int, view: RunView) -> Text:
    load = f"{reading.load_percent}%" if reading.load_percent is not None else ""
    used, total = reading.memory_used_bytes, reading.memory_total_bytes
    memory = used_of(used, total) if used is not None and total else ""
    text = Text(f"{load:<{value_width}}  {memory}")
    return _with_model(text, [reading], width, view)


def _together(readings: Sequence[GpuReading], value_width: int) -> Text | None:
    """``97% 95%  31.2 30.9 of 80.0 GiB``; None where GPUs of different sizes or without values need their own rows."""
    if len(readings) == 1:
        only = readings[0]
        load = f"{only.load_percent}%" if only.load_percent is not None else ""
        used, total = only.memory_used_bytes, only.memory_total_bytes
        return Text(f"{load:<{value_width}}  {used_of(used, total) if used is not None and total else ''}")
    totals = {one.memory_total_bytes for one in readings}
    if (
        len(totals) > 1
        or None in totals
        or any(one.load_percent is None or one.memory_used_bytes is None for one in readings)
    ):
        return None
    total = readings[0].memory_total_bytes or 0
    loads_text = " ".join(f"{one.load_percent}%" for one in readings)
    each = [used_of(one.memory_used_bytes or 0, total) for one in readings]
    memory = " ".join([*(text.partition(" ")[0] for text in each[:-1]), each[-1]])
    return Text(f"{loads_text:<{value_width}}  {memory}")


def _ranges(readings: Sequence[GpuReading], value_width: int) -> Text:
    """``90-97%  29.0-36.0 of 80.0 GiB``."""
    known = loads(readings)
    load = _range([f"{value}" for value in sorted(known)], "%") if known else ""
    used = sorted(one.memory_used_bytes for one in readings if one.memory_used_bytes is not None)
    total = max((one.memory_total_bytes or 0 for one in readings), default=0)
    memory = ""
    if used and total:
        least = used_of(used[0], total).partition(" ")[0]
        memory = (f"{least}-" if used[0] != used[-1] else "") + used_of(used[-1], total)
    return Text(f"{load:<{value_width}}  {memory}")


def _range(values: Sequence[str], unit: str) -> str:
    return f"{values[0]}-{values[-1]}{unit}" if values[0] != values[-1] else f"{values[0]}{unit}"


def _with_model(text: Text, readings: Sequence[GpuReading], width: int, view: RunView) -> Text:
    """Adds the model's name where there is room for a good part of it."""
    name = readings[0].name.removeprefix("NVIDIA ") if readings else ""
    room = width - text.cell_len - 2
    if name and room >= min(len(name), 8):
        text.append("  ").append(fit(name, room, view.symbols), style="quiet")
    return text
