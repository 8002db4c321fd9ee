"""Links in the results that lead a process of this machine out of them.

TAO itself opens its results and follows every link there. In a container they lead to its own files; a run on this
machine would write to the user's, through a link that an earlier container left.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from taorunner.contained_files import is_contained
from taorunner.errors import Finding, Severity
from taorunner.text import amount, printable

CODE = "link-in-results"


def linked_results(results: Path, moved: Sequence[Path]) -> Iterator[Finding]:
    """An error for links that lead out of ``results``, which may be a link itself.

    Passed over are those in ``moved``, which will be elsewhere at the start, and those to a folder that this machine
    does not have, such as the absolute paths of a container.
    """
    found = _leading_out(results, moved)
    if found:
        message = f"{_named(results, found)}: a run on this machine would write there"
        hint = f"remove what you did not make: {_command(results)}; or give the experiment another name"
        yield Finding(Severity.ERROR, CODE, message, hint, found[0])


def planted_links(results: Path) -> str | None:
    """The text of a notice at the end of a run on this machine; no such link was there when it began."""
    found = _leading_out(results, ())
    if not found:
        return None
    appeared = f"{_named(results, found)}, and did not when the run began: it may have written there"
    return f"{appeared}; remove what you did not make: {_command(results)}"


def _leading_out(results: Path, moved: Sequence[Path]) -> list[Path]:
    return [
        link
        for link in _links(results, {str(path) for path in moved})
        if not is_contained(results, link) and Path(os.path.realpath(link)).parent.is_dir()
    ]


def _named(results: Path, found: Sequence[Path]) -> str:
    first = found[0]
    others = f", and {amount(len(found) - 1, 'other link')}" if len(found) > 1 else ""
    name, target = printable(str(first.relative_to(results))), printable(os.path.realpath(first))
    return f'"{name}" in the results leads to "{target}"{others}'


def _command(results: Path) -> str:
    return f"find {shlex.quote(str(results))} -type l"


def _links(results: Path, moved: set[str]) -> Iterator[Path]:
    """All of them: a container could hide one behind any number of files."""
    folders = [str(results)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if entry.path in moved:
                    continue
                if entry.is_symlink():
                    yield Path(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
