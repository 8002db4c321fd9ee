"""``image ls`` and ``image lock``: needed images and changes of the lock as tables or JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.formatting import clean
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console, symbols_of
from taorunner.image_names import short_digest
from taorunner.text import duration, size

if TYPE_CHECKING:
    from taorunner.images.listing import ListedImage
    from taorunner.images.lock import LockedImage

_NAMED = 3
"""Experiments named in a row; the others are counted."""


def print_images(listed: Sequence[ListedImage], now: datetime, *, json: bool) -> None:
    """One row per image; prints nothing for an empty list."""
    if json:
        write_json([each.to_json() for each in listed], sys.stdout.buffer)
        return
    if not listed:
        return
    columns = [
        Column("image"), Column("here"), Column("lock"), Column("size", right=True, drop=3),
        Column("age", right=True, drop=2), Column("digest", drop=4),
        Column("used by", drop=1, shrinks_to=16, middle=True),
    ]  # fmt: skip
    console = make_console(sys.stdout, os.environ)
    rows = [Row(tuple(Text(clean(cell)) for cell in _cells(each, now))) for each in listed]
    for line in laid_out(columns, rows, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)


def print_locked(changes: Sequence[LockedImage], file: str, *, json: bool) -> None:
    """A line per image that is new, moved or gone, with its full digest."""
    if json:
        write_json([each.to_json() for each in changes], sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    for each in changes:
        parts = [f"{each.change.value:8}{each.reference}", each.digest]
        if each.previous is not None and each.change != "kept":
            parts.append(f"was {each.previous}")
        console.print(Text(clean("  ".join(part for part in parts if part))), soft_wrap=True)
        if each.note:
            console.print(Text(clean(f"        {each.note}"), style="hint"), soft_wrap=True)
    console.print(Text(clean(f"{file}: {_counted(changes)}")), soft_wrap=True)


def _counted(changes: Sequence[LockedImage]) -> str:
    held = sum(each.digest is not None for each in changes)
    parts = [f"{held} image{'s' * (held != 1)} locked"]
    for word in ("added", "moved", "removed"):
        count = sum(each.change == word for each in changes)
        parts += [f"{count} {word}"] if count else []
    return ", ".join(parts)


def _cells(listed: ListedImage, now: datetime) -> tuple[str, ...]:
    here, needed = listed.here, listed.needed
    names = list(needed.experiments)
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    digest = here.digest if here else None
    return (
        needed.reference,
        ("yes" if here else "no") if listed.was_asked else "unknown",
        "yes" if needed.is_locked else "no",
        size(here.size_bytes) if here else "",
        duration((now - here.created_at).total_seconds()) if here and here.created_at else "",
        short_digest(digest) if digest else "built here" if here else "",
        " ".join(names[:_NAMED]) + rest,
    )
