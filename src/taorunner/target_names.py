"""The names of all backends. Imports next to nothing: completion asks for them at a key press."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

BUILT_IN_NAMES = ("docker", "local", "embedded", "slurm", "kubernetes", "docker-ssh")
ENTRY_POINTS = "taorunner.targets"
MAX_ENTRY_POINT_BYTES = 1024 * 1024


def target_names() -> tuple[str, ...]:
    """All names, the built-in ones first. Does not load the targets of other packages."""
    return (*BUILT_IN_NAMES, *sorted(set(entry_points()) - set(BUILT_IN_NAMES)))


def entry_points() -> dict[str, str]:
    """``module:attribute`` by name, from the metadata of installed packages. The first folder of sys.path wins.

    importlib.metadata reads the same files; importing it takes longer than completion may.
    Source: packaging.python.org, Entry points specification.
    """
    found: dict[str, str] = {}
    for file in _metadata_files(sys.path):
        try:
            with Path(file).open(encoding="utf-8", errors="replace") as opened:
                text = opened.read(MAX_ENTRY_POINT_BYTES)
        except OSError:
            continue
        if ENTRY_POINTS in text:
            for name, value in _group(text, ENTRY_POINTS):
                found.setdefault(name, value)
    return found


def _metadata_files(folders: Sequence[str]) -> Iterator[str]:
    for folder in dict.fromkeys(folders):
        try:
            with os.scandir(folder or ".") as entries:
                names = sorted(
                    entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info"))
                )
        except OSError:
            continue
        yield from (f"{path}/entry_points.txt" for path in names)


def _group(text: str, group: str) -> Iterator[tuple[str, str]]:
    is_inside = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            is_inside = line == f"[{group}]"
        elif is_inside and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield name.strip(), value.partition("[")[0].strip()
