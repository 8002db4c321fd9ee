"""Commands in hints and next steps, written so that they work as typed from where the person stands: with ``-p`` or
``--workspace`` where they would mean another project, and without ``-p`` where that is not needed."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from taorunner.errors import Finding, TaorunnerError
from taorunner.text import for_dataset
from taorunner.values.value import Value, replace

OF_PROJECT = frozenset({
    "add", "convert", "dataset", "evaluate", "export", "inference", "prune", "report", "resume", "run", "runs restore",
    "specs", "train",
})  # fmt: skip
"""Commands that mean one project. Others take one too (``image ls``, ``runs list``) and mean all without. ``shell``
means one only where it names an experiment."""
OF_WORKSPACE = frozenset({"attach", "image", "logs", "pretrained", "ps", "runs", "shell", "stop", "validate"})
_CALL = re.compile(
    r"\btaorunner((?: (?:-p|--project|--workspace) \S+)*) (runs [a-z]+|[a-z][a-z-]*)(?![^\s;,)\"'`])([^;,)\"`\n]*)"
)
_NAMED = re.compile(r" (?:-p|--project) (\S+)")


class Place(Value):
    """What a hint is about: a workspace, and a project in it where it is about one."""

    root: Path
    project: str | None = None


def place_of(file: Path | None) -> Place | None:
    """The project that a file is in; None for a file elsewhere."""
    parts = file.parts if file is not None else ()
    for at in range(len(parts) - 2, 0, -1):
        if parts[at] == "projects":
            return Place(Path(*parts[:at]), parts[at + 1])
    return None


def below_data(file: Path | None) -> tuple[str, ...] | None:
    """The parts of a path below the ``data`` folder of its project, none for that folder; None for a path elsewhere."""
    place = place_of(file)
    if file is None or place is None:
        return None
    parts = file.relative_to(place.root).parts
    return parts[3:] if parts[2:3] == ("data",) else None


def project_option(root: Path, project: str | None) -> str:
    """``-p NAME ``, or nothing where a command without it means the same project; in another workspace than that
    around the current folder, ``--workspace DIR -p NAME ``."""
    from taorunner.project.workspace import find_project, find_workspace

    named = f"-p {project} " if project else ""
    elsewhere = f"--workspace {shlex.quote(near(root))} {named}"
    try:
        workspace = find_workspace(Path.cwd(), None, os.environ)
        if not workspace.root.samefile(root):
            return elsewhere
    except (TaorunnerError, OSError):
        return elsewhere
    if not named:
        return ""
    try:
        return "" if find_project(workspace, Path.cwd(), None, os.environ) == project else named
    except TaorunnerError:
        return named


def near(path: Path) -> str:
    """The path as a shell takes it: relative where it is below the current folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def as_typed(text: str, place: Place | None) -> str:
    """``text`` with its commands for ``place``. Other text does not change."""
    return _typed(text, place, {})


def _typed(text: str, place: Place | None, options: dict[tuple[Path, str | None], str]) -> str:
    """``options`` has the ``project_option`` of each root and project that was asked for."""
    if "taorunner " not in text:
        return text

    def placed(call: re.Match[str]) -> str:
        before, command, rest = call[1], call[2], call[3]
        group = command.partition(" ")[0]
        if (
            not {command, group} & (OF_PROJECT | OF_WORKSPACE)
            or "--workspace" in before + rest
            or place is None
        ):
            return call[0]
        given = _NAMED.search(before) or _NAMED.search(rest)
        project = given[1] if given is not None else place.project if command in OF_PROJECT else None
        if (place.root, project) not in options:
            options[place.root, project] = project_option(place.root, project)
        wanted = options[place.root, project]
        if given is None:
            return f"taorunner {wanted}{command}{rest}"
        if wanted and not wanted.startswith("--workspace"):
            return call[0]
        if not wanted and command not in OF_PROJECT:
            return call[0]  # without it, all projects are meant
        before, rest = before.replace(given[0], "", 1), rest.replace(given[0], "", 1)
        return f"taorunner{before} {wanted}{command}{rest}"

    return _CALL.sub(placed, text)


def hints_as_typed(findings: Iterable[Finding], place: Place | None = None) -> list[Finding]:
    """The findings, with hints for the project and the dataset that each one's file is in, else for ``place``."""
    options: dict[tuple[Path, str | None], str] = {}
    return [
        replace(
            one,
            hint=_typed(
                for_dataset(one.hint, _dataset_of(one.file)) or "", place_of(one.file) or place, options
            ),
        )
        if one.hint
        else one
        for one in findings
    ]


def _dataset_of(file: Path | None) -> str:
    """The name below ``data/`` of a project; the word ``DATASET`` for another file."""
    parts = below_data(file)
    return parts[0] if parts else "DATASET"
