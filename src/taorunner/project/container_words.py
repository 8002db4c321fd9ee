"""Parses the values of ``--volume`` and ``--env``, which ``shell`` and the actions share. Pure.

The formats are those of ``docker run``. ``read_volume`` and ``read_env`` raise ``ValueError`` with two texts for a
wrong value: the problem and the hint. Source: Docker CLI reference, docker run.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from taorunner.container_options import Mount
from taorunner.errors import Finding, Severity

_T = TypeVar("_T")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def read_volume(word: str, folder: Path, home: Path) -> Mount:
    """``SOURCE:DESTINATION[:ro|rw]``. A relative source starts at ``folder``; the source may contain colons."""
    parts = word.split(":")
    option = parts.pop() if len(parts) > 2 and not parts[-1].startswith("/") else "rw"
    if option not in ("ro", "rw"):
        raise ValueError(f'"{option}" is not a mount option', "use ro or rw")
    source, destination = ":".join(parts[:-1]), parts[-1]
    if len(parts) < 2 or not source:
        raise ValueError("not SOURCE:DESTINATION", "for example --volume /data/raw:/data:ro")
    if not destination.startswith("/"):
        raise ValueError(f'the destination "{destination}" is not an absolute path', f'"/{destination}"?')
    target = "/" + posixpath.normpath(destination).lstrip("/")
    if target == "/":
        raise ValueError('the destination "/" would hide the whole container', "name a folder below it")
    if "\0" in word or "\n" in word:
        raise ValueError("a path has characters that are not allowed", "rename the folder")
    if source == "~" or source.startswith("~/"):
        source = str(home) + source[1:]
    path = Path(os.path.abspath(folder / source))  # noqa: PTH100 (Path.absolute keeps "..")
    if not os.path.exists(path):  # noqa: PTH110 (Path.exists raises where a folder may not be read)
        raise ValueError(f'the source "{path}" does not exist', f'make it with: mkdir -p "{path}"')
    return Mount(path, target, option == "ro")


def read_env(word: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """``NAME=VALUE``; a ``NAME`` alone takes the value from the environment."""
    name, equals, value = word.partition("=")
    if not _VARIABLE.match(name):
        raise ValueError(f'"{name}" is not a name of a variable', "a name has letters, digits and _")
    if equals:
        return name, value
    if name not in environ:
        raise ValueError(f'"{name}" is not set here', f"--env {name}=VALUE")
    return name, environ[name]


def read_each(option: str, words: Iterable[str], read: Callable[[str], _T]) -> tuple[list[_T], list[Finding]]:
    """The values of all ``words`` of an option, and a finding for each that ``read`` refuses."""
    found: list[_T] = []
    problems: list[Finding] = []
    for word in words:
        try:
            found.append(read(word))
        except ValueError as error:
            what, hint = error.args
            shown = word.partition("=")[0] if option == "--env" else word  # the value may be a secret
            problems.append(Finding(Severity.ERROR, "wrong-option", f'{option} "{shown}": {what}', hint))
    return found, problems
