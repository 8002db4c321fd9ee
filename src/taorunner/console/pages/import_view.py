"""Shows what an import made of each line of its source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from taorunner.console.base.findings_text import print_text
from taorunner.console.base.formatting import shown_path
from taorunner.importers.source_report import Outcome, SourceLine, SourceLines, together
from taorunner.text import amount

_SHOWN_PLACES = 8
_NAMED_FILES = 3
"""More files of one folder that were left out for one reason are counted."""


def print_source_lines(out: TextIO, lines: Iterable[SourceLine], start: Path) -> None:
    """What was taken, then what was left out; files without a place in them that were left out for one reason are one
    line. ``--json`` has each of them."""
    groups = together(lines)
    whole: dict[str, list[SourceLines]] = {}
    text: list[str] = []
    for outcome in Outcome:
        for one in groups:
            if one.outcome is not outcome:
                continue
            is_whole = one.what == one.file.name or one.what.endswith(" files")
            if is_whole and not one.places and outcome is Outcome.LEFT_OUT:
                whole.setdefault(one.note, []).append(one)
                continue
            place = shown_path(one.file, start)
            where = f"{place}:{one.places}" if one.places else place
            text.append(f"{outcome.value:<8}  {where}  {one.what}: {one.note}")
    for note, files in whole.items():
        places = _places(files, start)
        more = f" and {len(places) - _SHOWN_PLACES} more" if len(places) > _SHOWN_PLACES else ""
        text.append(f"{Outcome.LEFT_OUT.value}  {', '.join(places[:_SHOWN_PLACES])}{more}: {note}")
    if text:
        print_text(out, "\n".join(text))


def _places(files: Sequence[SourceLines], start: Path) -> list[str]:
    """Files by name, a folder with its number of files where there are many."""
    by_folder: dict[Path, list[SourceLines]] = {}
    places: list[str] = []
    for one in files:
        if one.what.endswith(" files"):
            places.append(f"{shown_path(one.file, start)} ({one.what})")
        else:
            by_folder.setdefault(one.file.parent, []).append(one)
    for folder, found in by_folder.items():
        if len(found) > _NAMED_FILES:
            places.append(f"{shown_path(folder, start)} ({amount(len(found), 'file')})")
        else:
            places += [shown_path(one.file, start) for one in found]
    return places
