"""The texts of spec files while values are set in them, one after the other, with a note of every change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taorunner.catalog.layouts import Limit
from taorunner.errors import UserFilesError
from taorunner.planning.inputs.variables import VARIABLES
from taorunner.specs.editing.placed import (
    Placed,
    comment_at,
    line_of,
    placed_values,
    with_collection,
    with_comment,
    with_scalar,
)
from taorunner.specs.editing.proto_blocks import Row, blocks_at, with_blocks
from taorunner.specs.memory import SpecMemory
from taorunner.specs.syntax.text_position import Lines, SpecProblemError
from taorunner.text import printable

FILL_IN = "FILL_IN"
"""The name that stands for a value which a new project leaves open: ``$FILL_IN``."""
RESERVED = frozenset(VARIABLES)
"""Variables that have a value without the user."""


@dataclass(frozen=True, slots=True)
class Change:
    """``old`` is None where nothing was known. ``line`` counts from 1, in the new text. ``file`` is empty and
    ``line`` 0 for a variable of the experiment, whose ``key`` begins with ``$``."""

    file: str
    line: int
    key: str
    old: Any
    new: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A value with the reason why, and the comment for a line that has none."""

    value: Any
    reason: str
    note: str | None = None


@dataclass(slots=True)
class SpecTexts:
    """``is_new``: nothing in the texts is the user's own yet."""

    specs: dict[str, str]
    variables: dict[str, Any]
    is_new: bool
    changes: list[Change] = field(default_factory=list)
    memory: SpecMemory = field(default_factory=SpecMemory)

    def placed(self, key: str) -> list[tuple[str, Placed]]:
        """All values at ``key`` of all files, behind the name of the file."""
        return [(file, one) for file in self.specs for one in self._placed(file, key)]

    def values(self, key: str) -> list[Any]:
        """The values at ``key``, with the experiment's variables in place; None for one that is open."""
        found = [self._known(one) for _, one in self.placed(key)]
        if key.startswith("$") and key[1:] in self.variables:
            found.append(self.variables[key[1:]])
        return found

    def value(self, key: str) -> Any:
        return next((one for one in self.values(key) if one is not None), None)

    def number(self, key: str) -> int | float | None:
        found = self.value(key)
        return found if isinstance(found, (int, float)) and not isinstance(found, bool) else None

    def has(self, key: str) -> bool:
        return bool(self.values(key)) or (key.startswith("$") and key[1:] in self.variables)

    def set_number(self, key: str, wanted: Wanted, limit: Limit = Limit.EXACT) -> None:
        """Where the number in the spec is not as ``limit`` says. One that is open is always set."""
        self.set_scalar(
            key, wanted, lambda old: _fits(old, wanted.value, limit), lambda old: _new(old, wanted, limit)
        )

    def set_scalar(
        self,
        key: str,
        wanted: Wanted,
        fits: Callable[[Any], bool] | None = None,
        new: Callable[[Any], Any] | None = None,
    ) -> None:
        """Replaces each value at ``key`` that ``fits`` refuses; without it, each that is not equal."""
        accepts = fits or (lambda old: _equal(old, wanted.value))
        made = new or (lambda old: wanted.value)
        if key.startswith("$"):
            self._set_variable(key[1:], accepts, made, wanted.reason)
            return
        for file in list(self.specs):
            for placed in reversed(self._placed(file, key)):
                name = placed.variable
                if self._is_of_another_key(placed):
                    continue
                if name is not None and name != FILL_IN:
                    self._set_variable(name, accepts, made, wanted.reason)
                elif placed.kind in ("scalar", "list") and (name == FILL_IN or not accepts(placed.value)):
                    old = None if name == FILL_IN else placed.value
                    self._replace(file, key, placed, made(old), wanted)

    def set_collection(self, file: str, key: str, wanted: Wanted) -> None:
        """YAML: replaces all of what ``key`` has in ``file``. A variable in its place is set instead."""
        for placed in self._placed(file, key):
            if self._is_of_another_key(placed):
                return
            if placed.variable not in (None, FILL_IN):
                self._set_variable(str(placed.variable), lambda old: bool(old == wanted.value), lambda _: wanted.value,
                                   wanted.reason)  # fmt: skip
                return
        found = self._placed(file, key)
        if found and (found[0].variable == FILL_IN or found[0].value != wanted.value):
            old = None if found[0].variable == FILL_IN else found[0].value
            self.specs[file] = with_collection(self.specs[file], key, wanted.value)
            self._note(file, key, old, wanted)

    def set_blocks(
        self, key: str, rows: Sequence[Row], reason: str, colors: Sequence[tuple[int, int, int]] = ()
    ) -> None:
        """Protobuf text: one block at ``key`` for each row, in each file that has any."""
        for file, text in list(self.specs.items()):
            if spec_format(file) != "prototxt" or not self._placed(file, key):
                continue
            new = with_blocks(text, key, rows, colors, self.memory)
            if new != text:
                self.specs[file] = new
                by = next(iter(rows[0]))
                old = [one.about[by] for one in blocks_at(text, key, [by], self.memory) if by in one.about]
                known = [one for one in old if one != f"${FILL_IN}"]
                now = [one.about[by] for one in blocks_at(new, key, [by], self.memory) if by in one.about]
                self._note(file, key, known or None, Wanted(now, reason))

    def _placed(self, file: str, key: str) -> list[Placed]:
        return _placed(file, self.specs[file], key, self.memory)

    def _replace(self, file: str, key: str, placed: Placed, value: Any, wanted: Wanted) -> None:
        form = spec_format(file)
        text = with_scalar(self.specs[file], form, placed, value)
        end = placed.end + len(text) - len(self.specs[file])
        if wanted.note is not None and not comment_at(text, end):
            text = with_comment(text, end, wanted.note)
        self.specs[file] = text
        old = None if placed.variable == FILL_IN else placed.value
        self._add(Change(file, line_of(text, placed.start), key, old, value, wanted.reason))

    def _set_variable(
        self, name: str, accepts: Callable[[Any], bool], made: Callable[[Any], Any], reason: str
    ) -> None:
        if name in RESERVED:
            return
        old = self.variables.get(name, f"${FILL_IN}")
        is_open = isinstance(old, str) and old.strip("{}$") == FILL_IN
        if is_open or not accepts(old):
            new = made(None if is_open else old)
            self.variables[name] = new
            self._add(Change("", 0, f"${name}", None if is_open else old, new, reason))

    def _note(self, file: str, key: str, old: Any, wanted: Wanted) -> None:
        found = self._placed(file, key)
        line = line_of(self.specs[file], found[0].start) if found else 1
        self._add(Change(file, line, key, old, wanted.value, wanted.reason))

    def _add(self, change: Change) -> None:
        """Once for a key, though its value may be in the file several times."""
        if not self.changes or replace(self.changes[-1], line=change.line) != change:
            self.changes.append(change)

    def _is_of_another_key(self, placed: Placed) -> bool:
        """``${train.epochs}`` and, unless it is a variable, ``${epochs}``: OmegaConf's own."""
        is_braced = isinstance(placed.value, str) and "${" in placed.value
        return is_braced and placed.variable not in (*self.variables, FILL_IN)

    def _known(self, placed: Placed) -> Any:
        name = placed.variable
        if name is None:
            return placed.value
        return self.variables.get(name) if name != FILL_IN else None


def spec_format(file: str) -> str:
    return "yaml" if file.endswith((".yaml", ".yml")) else "prototxt"


def refuse_unreadable(specs: Mapping[str, str], memory: SpecMemory) -> None:
    """Raises UserFilesError with the place where a spec does not parse."""
    for file, text in specs.items():
        _placed(file, text, "-", memory)


def _placed(file: str, text: str, key: str, memory: SpecMemory) -> list[Placed]:
    if key.startswith("$"):
        return []
    try:
        return placed_values(text, spec_format(file), key, memory)
    except SpecProblemError as problem:
        finding = replace(problem.to_finding(Lines(text)), file=Path(file))
        raise UserFilesError(f'"{printable(file)}" cannot be read', findings=(finding,)) from None


def _equal(old: Any, new: Any) -> bool:
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


def _fits(old: Any, new: Any, limit: Limit) -> bool:
    if isinstance(old, bool) or not isinstance(old, (int, float)):
        return False
    if limit is Limit.AT_LEAST:
        return bool(old >= new)
    if limit is Limit.AT_MOST:
        return bool(old <= new)
    if limit is Limit.DIVIDES:
        return bool(old > 0 and new % old == 0)
    return bool(old == new)


def _new(old: Any, wanted: Wanted, limit: Limit) -> Any:
    """The largest divisor that is not more than ``old``, or the computed number."""
    if limit is not Limit.DIVIDES or not isinstance(old, int) or old < 1:
        return wanted.value
    return next(one for one in range(min(old, int(wanted.value)), 0, -1) if wanted.value % one == 0)
