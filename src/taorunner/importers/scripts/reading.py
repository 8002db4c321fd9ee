"""Reads the scripts and notebooks of a folder: commands of TAO, containers, mounts, and what they do to specs.

A script may name variables that another one sets. So all files are read twice: at first for the values of variables
that have the same value everywhere, then for what is in them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taorunner.importers.scripts.docker_run import DockerRun, device_ids, read_docker_run
from taorunner.importers.scripts.notebook import (
    Cell,
    CellReader,
    DriveMap,
    Item,
    Setting,
    WrittenFile,
    cells_of,
)
from taorunner.importers.scripts.shell import ShellCommand, ShellReader, Variables
from taorunner.importers.scripts.source_files import (
    MAX_NOTEBOOK_BYTES,
    MAX_SCRIPT_BYTES,
    SPEC_SUFFIXES,
    SourceFiles,
)
from taorunner.importers.scripts.tao_command import TaoCommand, read_tao_command
from taorunner.importers.source_report import Outcome, SourceLine
from taorunner.project.text_files import read_text_file
from taorunner.text import printable
from taorunner.values.bounded_reading import parse_json

_SUBSTITUTION = re.compile(r"s(?P<mark>[|/#@,:!])(?P<old>.+?)(?P=mark)(?P<new>.*?)(?P=mark)g?\Z", re.DOTALL)
_NO_LITERAL = re.compile(r"[*\[\]^$+?\\(){}]")
_MAX_DEPTH = 3
"""How deep scripts that source each other, and shells in containers, are followed."""


@dataclass(frozen=True, slots=True)
class ContainerStart:
    file: Path
    line: int
    run: DockerRun


@dataclass(frozen=True, slots=True)
class WrittenMounts:
    """A mounts file that a script or notebook writes; ``content`` is as in that file."""

    file: Path
    line: int
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SpecEdit:
    """``sed`` replaces ``old`` with ``new`` in the spec at ``path``."""

    file: Path
    line: int
    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class SpecText:
    """A spec that a script or notebook writes to ``path``."""

    file: Path
    line: int
    path: str
    text: str


@dataclass(slots=True)
class ScriptContent:
    commands: list[TaoCommand] = field(default_factory=list)
    containers: list[ContainerStart] = field(default_factory=list)
    mounts: list[WrittenMounts] = field(default_factory=list)
    edits: list[SpecEdit] = field(default_factory=list)
    specs: list[SpecText] = field(default_factory=list)
    weights: list[tuple[Path, int, str]] = field(default_factory=list)
    variables: Variables = field(default_factory=dict)
    lines: list[SourceLine] = field(default_factory=list)


def read_scripts(
    folder: Path, files: SourceFiles, is_network: Callable[[str], bool], home: Path
) -> ScriptContent:
    """What the scripts say, with variables filled in as far as they are known."""
    first = _Reading(folder, files, is_network, {"HOME": [str(home)]})
    first.read_all()
    shared = {name: values[0] for name, values in first.seen.items() if len(values) == 1}
    second = _Reading(folder, files, is_network, {**shared, "HOME": [str(home)]})
    second.read_all()
    second.content.variables = shared
    return second.content


class _Reading:
    def __init__(
        self, folder: Path, files: SourceFiles, is_network: Callable[[str], bool], shared: Variables
    ) -> None:
        self._folder, self._files, self._is_network, self._shared = folder, files, is_network, shared
        self.content = ScriptContent()
        self.seen: dict[str, list[list[str]]] = {}

    def read_all(self) -> None:
        for path in self._files.settings:
            self._read_shell(path, dict(self._shared))
        for path in self._files.shell:
            self._read_shell(path, dict(self._shared))
        for path in (*self._files.notebooks, *self._files.python):
            self._read_cells(path)

    def _text(self, path: Path, max_bytes: int) -> str | None:
        read = read_text_file(path, max_bytes=max_bytes)
        for finding in read.findings:
            self._left(path, None, path.name, finding.message)
        return read.text

    def _read_shell(self, path: Path, variables: Variables) -> None:
        text = self._text(path, MAX_SCRIPT_BYTES)
        if text is not None:
            self._follow(
                path, ShellReader(text, self._placed(path, variables), folder=str(path.parent)), variables, 0
            )

    def _follow(self, path: Path, reader: ShellReader, variables: Variables, depth: int) -> None:
        for command in reader.commands():
            self._take(path, command, variables, depth)

    def _read_cells(self, path: Path) -> None:
        is_notebook = path.suffix == ".ipynb"
        text = self._text(path, MAX_NOTEBOOK_BYTES if is_notebook else MAX_SCRIPT_BYTES)
        if text is None:
            return
        cells = cells_of(text) if is_notebook else [Cell(text, tuple(range(1, text.count("\n") + 2)))]
        if cells is None:
            self._left(path, None, path.name, "not readable as a notebook")
            return
        variables = self._placed(path, dict(self._shared))
        reader = CellReader(variables, str(path.parent))
        items = [item for cell in cells for item in self._taken(path, cell, reader, variables)]
        if not items:
            self._left(path, None, path.name, "no command, variable or mounts in it")

    def _taken(self, path: Path, cell: Cell, reader: CellReader, variables: Variables) -> Iterator[Item]:
        for item in reader.items(cell):
            self._take_item(path, item, variables)
            yield item

    @staticmethod
    def _placed(path: Path, variables: Variables) -> Variables:
        variables.setdefault("PWD", [str(path.parent)])
        return variables

    def _take_item(self, path: Path, item: Item, variables: Variables) -> None:
        if isinstance(item, ShellCommand):
            self._take(path, item, variables, 0)
        elif isinstance(item, Setting):
            self._set(path, item.line, item.name, variables)
        elif isinstance(item, DriveMap):
            self.content.mounts = [
                one for one in self.content.mounts if one.file != path or one.content is not item.content
            ]
            self.content.mounts.append(WrittenMounts(path, item.line, item.content))
        elif isinstance(item, WrittenFile):
            self._written(path, item.line, item.path, item.text)

    def _take(self, path: Path, command: ShellCommand, variables: Variables, depth: int) -> None:
        for name in command.assigned if not command.words else ():
            self._set(path, command.line, name, variables)
        for target in command.targets if command.document else ():
            self._written(path, command.line, target, command.document)
        if not command.words:
            return
        words = command.words
        program = words[0].rpartition("/")[2]
        run = read_docker_run(words)
        tao = read_tao_command(words, path, command.line, self._is_network)
        if run is not None and run.is_tao:
            self._container(path, command.line, run, variables, depth)
        elif tao is not None:
            ids = dict(command.own_values).get("CUDA_VISIBLE_DEVICES", "")
            self.content.commands.append(replace(tao, gpu_ids=tuple(part for part in ids.split(",") if part)))
        elif program in ("source", ".") and len(words) > 1 and depth < _MAX_DEPTH:
            self._source(path, command.line, words[1], variables, depth)
        elif program == "sed" and self._edited(path, command):
            return
        elif program == "ngc" and "download-version" in words:
            model = words[words.index("download-version") + 1 :][:1]
            self.content.weights += [(path, command.line, one) for one in model]
        else:
            named = program if re.fullmatch(r"[A-Za-z0-9._+-]{1,40}", program) else "another command"
            self._left(path, command.line, named, "no command of TAO that works on a network")

    def _container(self, path: Path, line: int, run: DockerRun, variables: Variables, depth: int) -> None:
        self.content.containers.append(ContainerStart(path, line, run))
        before = len(self.content.commands)
        if run.shell is not None and depth < _MAX_DEPTH:
            inside = ShellReader(run.shell, dict(variables), folder=str(path.parent), first_line=line)
            for command in inside.commands():
                self._in_container(path, replace(command, line=line), run)
        else:
            self._in_container(path, ShellCommand(line, run.words), run)
        ids = tuple(device_ids(run.gpus)) if run.gpus is not None else ()
        self.content.commands[before:] = [
            replace(one, image=run.image, gpu_ids=ids or one.gpu_ids)
            for one in self.content.commands[before:]
        ]

    def _in_container(self, path: Path, command: ShellCommand, run: DockerRun) -> None:
        tao = read_tao_command(command.words, path, command.line, self._is_network, in_container=True)
        if tao is not None:
            self.content.commands.append(tao)
        elif command.words and command.words[0].rpartition("/")[2] not in ("bash", "sh", "cd", "set", "echo"):
            what = f"{printable(command.words[0].rpartition('/')[2])[:40]} in a container of {printable(run.image)}"
            self._left(path, command.line, what, "no command of TAO that works on a network")

    def _source(self, path: Path, line: int, word: str, variables: Variables, depth: int) -> None:
        other = Path(path.parent, word)
        is_inside = other.resolve().is_relative_to(self._folder.resolve())
        text = (
            read_text_file(other, max_bytes=MAX_SCRIPT_BYTES).text if is_inside and other.is_file() else None
        )
        if text is None:
            self._left(path, line, f"source {printable(Path(word).name)}", "no such file in the folder")
            return
        for command in ShellReader(text, variables, folder=str(other.parent)).commands():
            if command.words and command.words[0] in ("source", ".") and depth + 1 < _MAX_DEPTH:
                self._source(other, command.line, (*command.words, "")[1], variables, depth + 1)
        note = "its variables are filled in"
        self.content.lines.append(
            SourceLine(path, line, f"source {printable(Path(word).name)}", Outcome.TAKEN, note)
        )

    def _set(self, path: Path, line: int, name: str, variables: Variables) -> None:
        value = variables.get(name)
        if value is not None and value not in self.seen.setdefault(name, []):
            self.seen[name].append(value)
        if value is None:
            self._left(path, line, f"variable {name}", "its value is not known before it runs")
            return
        note = "filled in where it is named"
        self.content.lines.append(SourceLine(path, line, f"variable {name}", Outcome.TAKEN, note))

    def _written(self, path: Path, line: int, target: str, text: str) -> None:
        name = target.rpartition("/")[2]
        if name.endswith("mounts.json"):
            try:
                content = parse_json(text)
            except ValueError:
                content = None
            if isinstance(content, dict):
                self.content.mounts.append(WrittenMounts(path, line, content))
                return
            self._left(path, line, f"mounts file {printable(name)}", "not readable as JSON")
        elif name.endswith(SPEC_SUFFIXES):
            self.content.specs.append(SpecText(path, line, target, text))
        else:
            self._left(path, line, f"file {printable(name)}", "no spec or mounts file")

    def _edited(self, path: Path, command: ShellCommand) -> bool:
        """``sed -i "s|OLD|NEW|g" SPEC`` with a plain text as OLD."""
        words = [word for word in command.words[1:] if word != "-e"]
        if not words or not words[0].startswith("-i"):
            return False
        programs, targets = [word for word in words[1:] if _SUBSTITUTION.match(word)], words[-1:]
        if not programs or not targets[0].endswith(SPEC_SUFFIXES):
            return False
        for program in programs:
            match = _SUBSTITUTION.match(program)
            assert match is not None
            if _NO_LITERAL.search(match["old"]) or "&" in match["new"]:
                self._left(path, command.line, "sed", "it replaces a pattern, which is not followed")
                continue
            self.content.edits.append(SpecEdit(path, command.line, targets[0], match["old"], match["new"]))
        return True

    def _left(self, path: Path, line: int | None, what: str, note: str) -> None:
        self.content.lines.append(SourceLine(path, line, what, Outcome.LEFT_OUT, note))
