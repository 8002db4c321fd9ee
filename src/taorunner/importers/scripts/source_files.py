"""Which files of a folder are specs, scripts, notebooks and mounts files, and what is said of all others."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.errors import UnknownNameError, UserFilesError
from taorunner.importers.source_report import Outcome, SourceLine
from taorunner.project.text_files import read_text_file
from taorunner.text import amount, printable

MAX_SPECS = 500
MAX_SCRIPTS = 200
MAX_SCRIPT_BYTES = 4 * 1024 * 1024
MAX_NOTEBOOK_BYTES = 64 * 1024 * 1024
_MANY = 40
"""More text files than this in one folder are labels or lists of a dataset."""

SPEC_SUFFIXES = (".txt", ".cfg", ".prototxt", ".pbtxt", ".yaml", ".yml")
MOUNT_FILES = (".tao_mounts.json", "tao_mounts.json", ".tlt_mounts.json", "tlt_mounts.json")
_SHELL = (".sh", ".bash", ".zsh", ".ksh")
_PLAIN = (".md", ".rst", ".py", ".bat", ".ps1", ".mk", ".html")
_PLAIN_NAMES = ("Makefile", "Dockerfile", "makefile")
_TAO_LINE = re.compile(
    r"(?:^|[\s\"'`!(>])(?:tao|tlt)\s+(?:(?:model|deploy|dataset|data_services)\s+)?[a-z][a-z0-9_]+\s+[a-z_]+\s+-"
    r"|(?:^|[\s\"'`!(>])tlt-[a-z-]+\s|docker\s+run\b.*nvidia/(?:tao|tlt)|nvcr\.io/nvidia/(?:tao|tlt)"
)
_RESULT_FOLDERS = ("lightning_logs",)
_RESULT_MARKS = ("status.json", "lightning_logs")
"""What a run of TAO leaves beside the copy of its spec."""


@dataclass(slots=True)
class SourceFiles:
    """Absolute paths. ``lines`` has what is left out."""

    specs: list[Path] = field(default_factory=list)
    shell: list[Path] = field(default_factory=list)
    notebooks: list[Path] = field(default_factory=list)
    python: list[Path] = field(default_factory=list)
    settings: list[Path] = field(default_factory=list)
    mounts: list[Path] = field(default_factory=list)
    lines: list[SourceLine] = field(default_factory=list)


def find_files(folder: Path, unreadable: Callable[[OSError], None]) -> SourceFiles:
    """Sorted by name; links to folders are not followed. Raises UserFilesError where there are too many."""
    if not folder.is_dir():
        kind = UserFilesError if folder.exists() else UnknownNameError
        raise kind(f'"{folder}" is not a folder of specs', hint="name the folder that holds them")
    found = SourceFiles()
    for here, folders, names in os.walk(folder, onerror=unreadable):
        for name in [one for one in folders if one in _RESULT_FOLDERS]:
            found.lines.append(_left(Path(here, name), name, "written by a run"))
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in _RESULT_FOLDERS)
        _sort_in(found, Path(here), sorted(names))
        if len(found.specs) > MAX_SPECS:
            raise UserFilesError(
                f'"{folder}" holds more than {MAX_SPECS} text files that could be specs',
                hint="name the folder of the specs itself",
            )
        if len(found.shell) + len(found.notebooks) > MAX_SCRIPTS:
            raise UserFilesError(
                f'"{folder}" holds more than {MAX_SCRIPTS} scripts', hint="name the folder of one network"
            )
    return found


def tao_lines(text: str) -> Iterator[int]:
    """The lines that look like commands or images of TAO."""
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) < 4000 and _TAO_LINE.search(line) is not None:
            yield number


def _sort_in(found: SourceFiles, here: Path, names: list[str]) -> None:
    texts = [name for name in names if name.endswith((".txt", ".json"))]
    is_data = len(texts) > _MANY
    is_result = any(Path(here, mark).exists() for mark in _RESULT_MARKS)
    others: list[str] = []
    for name in names:
        path, suffix = here / name, Path(name).suffix.lower()
        if name in MOUNT_FILES:
            found.mounts.append(path)
        elif name == ".env" or (suffix == ".env" and not name.startswith(".")):
            found.settings.append(path)
        elif name.startswith("."):
            continue
        elif is_data and name.endswith((".txt", ".json")):
            others.append(name)
        elif suffix in SPEC_SUFFIXES and is_result:
            found.lines.append(_left(path, name, "written by a run"))
        elif suffix in SPEC_SUFFIXES:
            found.specs.append(path)
        elif suffix == ".ipynb":
            found.notebooks.append(path)
        elif suffix in _SHELL or (not suffix and _is_shell(path)):
            found.shell.append(path)
        elif suffix in _PLAIN or name in _PLAIN_NAMES:
            _take_plain(found, path, others)
        else:
            others.append(name)
    found.lines += _of_others(here, others)


def _take_plain(found: SourceFiles, path: Path, others: list[str]) -> None:
    """A script of Python that writes mounts is read; of other texts only the lines with commands are reported."""
    text = read_text_file(path, max_bytes=MAX_SCRIPT_BYTES).text or ""
    if path.suffix == ".py" and '"Mounts"' in text and '"destination"' in text:
        found.python.append(path)
        return
    numbers = list(tao_lines(text))
    kind = "documentation" if path.suffix in (".md", ".rst", ".html") else "no shell script or notebook"
    found.lines += [
        SourceLine(
            path, number, "a command or an image of TAO", Outcome.LEFT_OUT, f"{kind}, which is not read"
        )
        for number in numbers
    ]
    if not numbers:
        others.append(path.name)


def _of_others(here: Path, names: list[str]) -> Iterator[SourceLine]:
    reason = "no spec, script, notebook or mounts file"
    if len(names) > _MANY:
        yield _left(here, amount(len(names), "file"), reason)
    else:
        for name in names:
            yield _left(here / name, printable(name), reason)


def _left(path: Path, what: str, note: str) -> SourceLine:
    return SourceLine(path, None, what, Outcome.LEFT_OUT, note)


def _is_shell(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            first = file.read(64).split(b"\n")[0]
    except OSError:
        return False
    return first.startswith(b"#!") and first.rstrip().endswith((b"sh", b"bash"))
