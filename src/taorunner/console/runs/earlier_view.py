"""Renders earlier results that were set aside: a numbered list, and what a restore did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from pathlib import Path

from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.formatting import clean, metric_label, minute, number
from taorunner.console.base.theme import Symbols
from taorunner.runs.control.restore import Earlier
from taorunner.runs.state.lookup.short_ids import LENGTH
from taorunner.text import amount, size


def earlier_lines(
    found: Sequence[Earlier], width: int, symbols: Symbols, now: datetime, zone: tzinfo | None = None
) -> list[Text]:
    """One numbered line for each; times in ``zone``, the machine's by default."""
    columns = [
        Column("", right=True), Column("", shrinks_to=16), Column(""), Column("", right=True),
        Column("", right=True), Column("", drop=1),
    ]  # fmt: skip
    rows = [
        Row(
            (
                Text(f"  {number_}"),
                Text(_time(one.item.at, now, zone)),
                Text(f"run {clean(one.run[-LENGTH:])}" if one.run is not None else "run unknown"),
                Text(what_it_is(one)),
                Text(size(one.item.bytes)),
                Text(_best(one)),
            )
        )
        for number_, one in enumerate(found, 1)
    ]
    return laid_out(columns, rows, width, symbols)


def what_it_is(one: Earlier) -> str:
    """``36 checkpoints``, ``model.onnx``, ``tfrecords_e``."""
    return (
        amount(one.checkpoints, "checkpoint") if one.checkpoints is not None else clean(one.item.place.name)
    )


def question(found: Sequence[Earlier], here: Earlier | None) -> str:
    """``put which in place of run eaf22b (0.7480)? [1/2/N]``."""
    numbers = "/".join([*(str(n) for n in range(1, len(found) + 1)), "N"])
    return (
        f"put which in place of {_named(here)}? [{numbers}]"
        if here is not None
        else f"restore which? [{numbers}]"
    )


def restored_text(chosen: Earlier, here: Earlier | None, aside: Path | None) -> str:
    """``restored a8f310; eaf22b is now rtdetr_01.20261129-010200, nothing was deleted``."""
    what = chosen.run[-LENGTH:] if chosen.run is not None else clean(chosen.item.path.name)
    if aside is None:
        return f"restored {clean(what)}; nothing was in its place"
    was = here.run[-LENGTH:] if here is not None and here.run is not None else "what was there"
    return f"restored {clean(what)}; {clean(was)} is now {clean(aside.name)}, nothing was deleted"


def _named(here: Earlier) -> str:
    if here.run is None:
        return clean(here.item.place.name)
    value = f" ({number(here.best[1])})" if here.best is not None else ""
    return f"run {clean(here.run[-LENGTH:])}{value}"


def _best(one: Earlier) -> str:
    return f"{clean(metric_label(one.best[0]))} {number(one.best[1])}" if one.best is not None else ""


def _time(at: datetime, now: datetime, zone: tzinfo | None) -> str:
    """``Nov 27 20:14``; of another year ``2025-11-27 20:14``."""
    local, today = at.astimezone(zone), now.astimezone(zone)
    if local.year != today.year:
        return minute(at, zone)
    return f"{local:%b} {local.day:>2} {local:%H:%M}"
