"""The names in clusters.yml for completion: found by their indentation, without reading YAML."""

from __future__ import annotations

import re
from pathlib import Path

from taorunner.project.workspace import cluster_files

TYPE_CHECKING = False  # importing typing would take a tenth of the time of an answer
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_TEXT = 1024 * 1024


def cluster_names(root: Path | None, environ: Mapping[str, str]) -> list[str]:
    """Those of the user, and of the workspace ``root`` where there is one."""
    found: set[str] = set()
    for file in cluster_files(root or Path("/nonexistent"), environ):
        try:
            with file.open(encoding="utf-8", errors="replace") as opened:
                found.update(names_in(opened.read(_MOST_TEXT)))
        except OSError:
            continue
    return sorted(found)


def names_in(text: str) -> Iterator[str]:
    """The keys directly below ``clusters:``."""
    match = re.search(r"^clusters:[ \t]*(?:#.*)?$", text, re.MULTILINE)
    indent = None
    for line in text[match.end() :].splitlines() if match is not None else ():
        if line.strip() and not line.lstrip().startswith("#") and not line[0].isspace():
            break
        key = re.match(r"([ \t]+)([\"']?)([A-Za-z0-9][A-Za-z0-9._-]*)\2[ \t]*:(?:[ \t]|$)", line)
        if key is not None and (indent is None or key[1] == indent):
            indent = key[1]
            yield key[3]
