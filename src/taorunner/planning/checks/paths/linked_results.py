"""Links in the results that lead a process of this machine out of them.

TAO itself opens its results and follows every link there. In a container they lead to its own files; a run on this
machine would write to the user's, through a link that an earlier container left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from taorunner.contained_files import is_contained
from taorunner.errors import Finding, Severity
from taorunner.text import amount, printable

CODE = "link-in-results"
_LOOKED_AT = 50_000
"""Entries of the results. An experiment has some hundred; with inferred images, thousands."""


def linked_results(results: Path, moved: Sequence[Path]) -> Iterator[Finding]:
    """An error for links that lead out of ``results``, which may be a link itself, but for those in ``moved``, and for
    paths of a container that are nowhere here."""
    found = [
        link
        for link in _links(results, set(moved))
        if not is_contained(results, link) and Path(os.path.realpath(link)).parent.is_dir()
    ]
    if not found:
        return
    first = found[0]
    others = f", and {amount(len(found) - 1, 'other link')}" if len(found) > 1 else ""
    name, target = printable(str(first.relative_to(results))), printable(os.path.realpath(first))
    message = f'"{name}" in the results leads to "{target}"{others}: a run on this machine would write there'
    hint = f"remove what you did not make: find {results} -type l; or give the experiment another name"
    yield Finding(Severity.ERROR, CODE, message, hint, first)


def _links(results: Path, moved: set[Path]) -> Iterator[Path]:
    left = _LOOKED_AT
    for place, folders, names in os.walk(results):
        here = Path(place)
        folders[:] = sorted(name for name in folders if here / name not in moved)
        for name in (*folders, *sorted(names)):
            path = here / name
            if path.is_symlink() and path not in moved:
                yield path
        left -= len(folders) + len(names)
        if left <= 0:
            return
