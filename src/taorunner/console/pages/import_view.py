"""Shows what an import made of each line of its source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from taorunner.console.base.findings_text import print_text
from taorunner.console.base.formatting import shown_path
from taorunner.importers.source_report import Outcome, SourceLine, together

_SHOWN_FILES = 8


def print_source_lines(out: TextIO, lines: Iterable[SourceLine], start: Path) -> None:
    """What was taken, then what was left out; files without a place in them that were left out for one reason are one
    line. ``--json`` has each of them."""
    groups = together(lines)
    whole: dict[str, list[str]] = {}
    text: list[str] = []
    for outcome in Outcome:
        for one in groups:
            if one.outcome is not outcome:
                continue
            place = shown_path(one.file, start)
            is_whole = one.what == one.file.name or one.what.endswith(" files")
            if is_whole and not one.places and outcome is Outcome.LEFT_OUT:
                whole.setdefault(one.note, []).append(
                    f"{place} ({one.what})" if one.what.endswith("files") else place
                )
                continue
            where = f"{place}:{one.places}" if one.places else place
            text.append(f"{outcome.value:<8}  {where}  {one.what}: {one.note}")
    for note, places in whole.items():
        more = f" and {len(places) - _SHOWN_FILES} more" if len(places) > _SHOWN_FILES else ""
        text.append(f"{Outcome.LEFT_OUT.value}  {', '.join(places[:_SHOWN_FILES])}{more}: {note}")
    if text:
        print_text(out, "\n".join(text))
