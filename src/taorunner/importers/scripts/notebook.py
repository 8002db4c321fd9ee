"""Reads a Jupyter notebook, or a small Python script, as commands, variables and mounts with their lines.

A line of a notebook is that of its file, so that an editor finds it. Nothing is executed.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from taorunner.importers.scripts.python_values import UNKNOWN, PythonValues, item_of, target_name
from taorunner.importers.scripts.shell import ShellCommand, ShellReader, Variables
from taorunner.values.bounded_reading import parse_json

_MAGIC = "magic_of_the_cell"
_LINE_MAGIC = re.compile(r"(?P<blank>\s*)(?P<sign>!+|%)(?P<rest>.*)\Z", re.DOTALL)
_SET = re.compile(r"(?:set_)?env\s+(?P<name>[A-Za-z_]\w*)\s*(?:=\s*|\s)(?P<value>.*)\Z", re.DOTALL)
_BRACES = re.compile(r"\{(?:os\.environ\[['\"](?P<env>\w+)['\"]\]|(?P<name>[A-Za-z_]\w*))\}")
_SHELL_CELL = re.compile(r"%%(?:bash|sh|script\s+(?:bash|sh))\b.*\n?")
_FILE_CELL = re.compile(r"%%writefile\s+(?:-a\s+)?(?P<path>\S+)[^\n]*\n?")


@dataclass(frozen=True, slots=True)
class Cell:
    """One code cell: its text, and the line of the file that each of its lines is on."""

    text: str
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """A variable of the environment that is set at ``line``."""

    line: int
    name: str


@dataclass(frozen=True, slots=True)
class DriveMap:
    """The content of a mounts file that a cell writes, with unknown values left out."""

    line: int
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that a cell writes with ``%%writefile``."""

    line: int
    path: str
    text: str


Item = ShellCommand | Setting | DriveMap | WrittenFile


def cells_of(text: str) -> list[Cell] | None:
    """The code cells of a notebook; None where the text is none."""
    try:  # results of cells hold numbers of any kind; the size is bounded where the file is read
        content = parse_json(text, most_bytes=len(text), most_digits=None, finite=False)
    except ValueError:
        return None
    cells = content.get("cells") if isinstance(content, dict) else None
    if not isinstance(cells, list):
        return None
    found: list[Cell] = []
    position, line = 0, 1
    for cell in cells:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source")
        pieces = source.splitlines(keepends=True) if isinstance(source, str) else source
        if not isinstance(pieces, list) or not all(isinstance(piece, str) for piece in pieces):
            continue
        places: list[int] = []
        for piece in pieces:
            at = _found(text, piece, position)
            if at >= 0:
                line += text.count("\n", position, at)
                position = at
            places.append(line)
        found.append(Cell("".join(pieces), tuple(places)))
    return found


def _found(text: str, piece: str, start: int) -> int:
    """Where the JSON text of ``piece`` is; programs write letters beyond ASCII in two ways."""
    for is_ascii in (False, True):
        at = text.find(json.dumps(piece, ensure_ascii=is_ascii), start)
        if at >= 0:
            return at
    return -1


class CellReader:
    """Reads cells in their order. ``variables`` are those of the environment, shared with shell scripts."""

    def __init__(self, variables: Variables, folder: str) -> None:
        self._variables, self._folder = variables, folder
        self._names: dict[str, Any] = {}
        self._values = PythonValues(self._names, variables, folder)

    def items(self, cell: Cell) -> Iterator[Item]:
        shell = _SHELL_CELL.match(cell.text)
        if shell is not None:
            yield from self._shell(cell.text[shell.end() :], _line(cell, 1))
            return
        file = _FILE_CELL.match(cell.text)
        if file is not None:
            yield WrittenFile(_line(cell, 0), self._filled(file["path"]), cell.text[file.end() :])
            return
        text, magics = _with_calls(cell.text)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = ast.parse(textwrap.dedent(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            for number in sorted(magics):
                yield from self._magic(magics[number], _line(cell, number))
            return
        yield from self._statements(module.body, cell, magics)

    def _statements(self, body: list[ast.stmt], cell: Cell, magics: dict[int, str]) -> Iterator[Item]:
        for statement in body:
            line = _line(cell, statement.lineno - 1)
            if isinstance(statement, ast.Assign):
                yield from self._assigned(statement, line)
            elif isinstance(statement, ast.Expr) and _is_magic(statement.value):
                yield from self._magic(magics[statement.lineno - 1], line)
            for name in ("body", "orelse", "handlers", "finalbody"):
                inner = getattr(statement, name, [])
                for one in inner:
                    if isinstance(one, ast.ExceptHandler):
                        yield from self._statements(one.body, cell, magics)
                if inner and isinstance(inner[0], ast.stmt):
                    yield from self._statements(inner, cell, magics)

    def _assigned(self, statement: ast.Assign, line: int) -> Iterator[Item]:
        value = self._values.value(statement.value)
        for target in statement.targets:
            named, item = target_name(target), item_of(target)
            if item is not None and isinstance(self._names.get(item[0]), dict):
                self._names[item[0]][item[1]] = value
                if "Mounts" in self._names[item[0]]:
                    yield DriveMap(line, _known(self._names[item[0]]))
            if named is None:
                continue
            kind, name = named
            if kind == "env":
                if isinstance(value, (str, int, float)):
                    self._variables[name] = [str(value)]
                yield Setting(line, name)
                continue
            self._names[name] = value
            if isinstance(value, dict) and "Mounts" in value:
                yield DriveMap(line, _known(value))

    def _magic(self, text: str, line: int) -> Iterator[Item]:
        match = _LINE_MAGIC.match(text)
        if match is None:
            return
        rest = match["rest"]
        if match["sign"] == "%":
            given = _SET.match(rest)
            if given is not None:
                self._variables[given["name"]] = [self._with_variables(given["value"].strip())]
                yield Setting(line, given["name"])
            return
        yield from self._shell(rest, line)

    def _shell(self, text: str, line: int) -> Iterator[ShellCommand]:
        reader = ShellReader(self._filled(text), self._with_names(), folder=self._folder, first_line=line)
        yield from reader.commands()

    def _with_names(self) -> Variables:
        """IPython fills in ``$name`` of Python too."""
        known = {
            name: [str(value)] for name, value in self._names.items() if isinstance(value, (str, int, float))
        }
        return {**known, **self._variables}

    def _filled(self, text: str) -> str:
        """IPython's ``{name}``."""

        def filled(match: re.Match[str]) -> str:
            if match.start() > 0 and match.string[match.start() - 1] == "$":
                return match[0]
            value = (
                self._values.variable(match["env"])
                if match["env"]
                else self._names.get(match["name"], UNKNOWN)
            )
            return str(value) if isinstance(value, (str, int, float)) else match[0]

        return _BRACES.sub(filled, text)

    def _with_variables(self, text: str) -> str:
        known = self._with_names()
        return re.sub(
            r"\$(?:\{(\w+)\}|(\w+))",
            lambda match: " ".join(known.get(match[1] or match[2], [match[0]])),
            self._filled(text),
        )


def _with_calls(text: str) -> tuple[str, dict[int, str]]:
    """The cell as Python, with a call in place of each magic line, and those lines by number, with all that
    continues them."""
    lines = text.split("\n")
    magics: dict[int, str] = {}
    number = 0
    while number < len(lines):
        match = _LINE_MAGIC.match(lines[number])
        if match is None:
            number += 1
            continue
        first = number
        while lines[number].rstrip().endswith("\\") and number + 1 < len(lines):
            number += 1
        magics[first] = "\n".join(lines[first : number + 1])
        lines[first : number + 1] = [f"{match['blank']}{_MAGIC}()", *[""] * (number - first)]
        number += 1
    return "\n".join(lines), magics


def _is_magic(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == _MAGIC


def _line(cell: Cell, number: int) -> int:
    return cell.lines[min(number, len(cell.lines) - 1)] if cell.lines else 1


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(one) for key, one in value.items() if one is not UNKNOWN}
    if isinstance(value, list):
        return [_known(one) for one in value if one is not UNKNOWN]
    return value
