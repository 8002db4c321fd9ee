"""Turns validation errors of pydantic into findings: one sentence, the value in quotes, the place, the next step.

The number of findings and the time are bounded, also for a file with a hundred thousand mistakes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from taorunner.errors import Finding, Severity
from taorunner.text import MASK, did_you_mean, nearest, printable
from taorunner.values.value import MutableValue, Value, field
from taorunner.yaml_reader import YamlProblem

if TYPE_CHECKING:
    from pydantic import ValidationError

MAX_FINDINGS = 500
_MAX_SHOWN = 60
_MAX_COMPARISONS = 10_000
"""Maximum number of name comparisons per file in search of nearest names: well under a second."""

Step: TypeAlias = str | int
PlaceOf: TypeAlias = Callable[..., tuple[int, int]]
"""``YamlDocument.place``: path, and ``of_key``."""


class Suggestions(MutableValue):
    """Finds nearest names until the budget of comparisons is spent."""

    _comparisons: int = 0

    def find(self, word: object, known: Iterable[str]) -> str | None:
        """See ``text.did_you_mean``."""
        names = self._affordable(known)
        return did_you_mean(word, names) if isinstance(word, str) else None

    def nearest(self, word: str, known: Iterable[str]) -> str | None:
        """See ``text.nearest``."""
        return nearest(word, self._affordable(known))

    def _affordable(self, known: Iterable[str]) -> list[str]:
        names = list(known)
        self._comparisons += len(names)
        return names if self._comparisons <= _MAX_COMPARISONS else []


class FindingList(MutableValue):
    """Collects the findings of one file. ``place_of`` gives the line and column of a path."""

    file: Path
    place_of: PlaceOf
    findings: list[Finding] = field(default_factory=list)
    left_out: int = 0
    suggestions: Suggestions = field(default_factory=Suggestions)

    def take(self, problems: Iterable[YamlProblem]) -> None:
        """Adds problems of the YAML reader, whose texts quote the file and are therefore cleaned."""
        for one in problems:
            message = printable(one.message if len(one.message) <= 300 else one.message[:300] + "…")
            self._append(
                Finding(Severity.ERROR, one.code, message, one.hint, self.file, one.line, one.column)
            )

    def error(
        self,
        code: str,
        message: str,
        path: Sequence[Any] = (),
        *,
        hint: str | None = None,
        of_key: bool = False,
    ) -> None:
        self.add(Severity.ERROR, code, message, path, hint=hint, of_key=of_key)

    def add(
        self,
        severity: Severity,
        code: str,
        message: str,
        path: Sequence[Any] = (),
        *,
        hint: str | None = None,
        of_key: bool = False,
    ) -> None:
        full = len(self.findings) >= MAX_FINDINGS
        line, column = (None, None) if full else self.place_of(path, of_key=of_key)
        self._append(Finding(severity, code, message, hint, self.file, line, column))

    def _append(self, finding: Finding) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)
        else:
            self.left_out += 1

    def suggestion(self, word: object, known: Iterable[str]) -> str | None:
        return self.suggestions.find(word, known)

    def sorted(self) -> tuple[Finding, ...]:
        """The different findings in the order of the file; the last one counts those left out."""
        found = sorted(dict.fromkeys(self.findings), key=lambda one: (one.line or 0, one.column or 0))
        if self.left_out:
            message = f"{self.left_out} more problems, not shown"
            found.append(
                Finding(
                    Severity.ERROR,
                    "too-many-findings",
                    message,
                    "correct the first ones and run it again",
                    self.file,
                )
            )
        return tuple(found)


class Vocabulary(Value):
    """The keys of a kind of mapping, the texts after "must be", and the keys whose values are secret.

    ``unknown_key_hint`` may give a better hint for an unknown key than the nearest name.
    """

    expected: Mapping[str, str]
    secret_keys: frozenset[str] = frozenset()
    unknown_key_hint: Callable[[str], str | None] = lambda key: None
    value_hint: Callable[[str, object], str | None] = lambda key, value: None


def report(
    error: ValidationError, data: Mapping[Any, Any], base: Sequence[Step], words: Vocabulary, to: FindingList
) -> None:
    """Adds a finding per wrong key or value of ``data``, which is at ``base`` in the file."""
    reported: set[tuple[Any, ...]] = set()
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    kinds: dict[tuple[Any, ...], set[str]] = {}
    for problem in problems:
        kinds.setdefault(_path_in(data, problem["loc"]), set()).add(problem["type"])
    deeper = {path[:-1] for path in kinds if len(path) > 1}
    for problem in problems:
        location = problem["loc"]
        kind = problem["type"]
        if kind == "invalid_key":
            _report_odd_keys(data, base, to, reported)
            continue
        path = _path_in(data, location)
        of_key = bool(location) and location[-1] == "[key]"
        if (path, of_key) in reported or path in deeper:
            continue
        reported.add((path, of_key))
        key = str(path[0]) if path else ""
        if kind == "extra_forbidden" and len(path) == 1:
            hint = words.unknown_key_hint(key) or to.suggestion(key, words.expected)
            to.error("unknown-key", f'unknown key "{shown(key)}"', (*base, *path), hint=hint, of_key=True)
        elif kind == "missing":
            missing = str(location[-1])
            to.error(
                "missing-key",
                f'"{missing}" is missing',
                (*base, *path),
                hint=f'write "{missing}"',
                of_key=True,
            )
        elif of_key:
            to.error("wrong-name", _key_message(key, path[-1]), (*base, *path), of_key=True)
        else:
            _report_value(data, path, key, base, words, kinds[path], to)


def shown(text: object) -> str:
    """``text`` shortened for a sentence and without control characters."""
    line = printable(str(text)[: _MAX_SHOWN + 1]).replace("\t", "\\t")
    return line if len(line) <= _MAX_SHOWN else line[:_MAX_SHOWN] + "…"


def described(value: object, *, secret: bool = False) -> str:
    """The value in words: ``the text "2"``, ``the number 5.0``, ``a list``, ``nothing``."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {MASK if secret else shown(_number(value))}"
    if isinstance(value, str):
        return "a text" if secret else (f'"{shown(value)}"' if value else "an empty text")
    return "a list" if isinstance(value, list) else "a mapping"


def _report_value(
    data: Mapping[Any, Any],
    path: tuple[Any, ...],
    key: str,
    base: Sequence[Step],
    words: Vocabulary,
    kinds: set[str],
    to: FindingList,
) -> None:
    value: Any = data
    for step in path:
        value = value[step]
    expected = words.expected.get(key, "something else")
    secret = key in words.secret_keys
    name = ".".join(shown(step) for step in path if isinstance(step, str))
    hint = (words.value_hint(key, value) if len(path) == 1 else None) or _value_hint(value, secret)
    if len(path) > 1 and not isinstance(value, dict | list):
        message = f'"{name}" cannot hold {described(value, secret=secret)}: "{key}" must be {expected}'
    else:
        message = f'"{name}" must be {expected}, not {described(value, secret=secret)}'
    code = (
        "wrong-type"
        if all(kind.endswith("_type") for kind in kinds - {"literal_error"} or kinds)
        else "wrong-value"
    )
    to.error(code, message, (*base, *path), hint=hint)


def _value_hint(value: object, secret: bool) -> str | None:
    if value is None:
        return "write a value, or remove the line"
    if isinstance(value, bool | int | float):
        return "put it in quotes" if secret else None
    if isinstance(value, str) and value.strip() != value:
        return "remove the blanks around it"
    return None


def _key_message(key: str, name: object) -> str:
    if isinstance(name, str):
        return f'"{shown(name)}" cannot be a name in "{key}"'
    return f'"{shown(name)}" in "{key}" is {described(name)}, but a name must be a text: put it in quotes'


def _report_odd_keys(
    data: Mapping[Any, Any], base: Sequence[Step], to: FindingList, reported: set[tuple[Any, ...]]
) -> None:
    """Reports keys that are not texts: ``1:`` or ``true:``."""
    for key in data:
        if not isinstance(key, str) and ((key,), True) not in reported:
            reported.add(((key,), True))
            message = f"a key must be a text, not {described(key)}"
            to.error("wrong-name", message, (*base, key), hint="put it in quotes", of_key=True)


def _path_in(data: Any, location: Sequence[Any]) -> tuple[Any, ...]:
    """The part of pydantic's location that exists in the data; the rest names branches of unions."""
    path: list[Any] = []
    current = data
    for step in location:
        if (isinstance(current, dict) and step in current) or (
            isinstance(current, list) and isinstance(step, int) and step < len(current)
        ):
            path.append(step)
            current = current[step]
    return tuple(path)


def _number(value: int | float) -> str:
    if isinstance(value, float):
        return json.dumps(value)
    return str(value) if -(10**30) < value < 10**30 else "with more than 30 digits"
