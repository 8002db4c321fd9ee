"""Reads YAML files as plain values with the place of each value. The only YAML reader of the program.

It uses libyaml's events (``ruamel.yaml.clib``), because a round-trip loader takes minutes for what this reads in a
fraction of a second. Scalars follow YAML 1.2 (``1e-4`` is a number, ``yes`` is a string, ``012`` is twelve).
Duplicate keys are reported. Aliases and nesting are bounded, so no input makes it slow. It edits no files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from taorunner.values.value import MutableValue, Value, field

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 60
MAX_ALIAS_NODES = 200_000
"""Maximum number of values from aliases and merges (a "billion laughs" file has 10^9)."""

MAX_SLOW_CHARACTERS = 200_000
_COLON_IN_FLOW = "found unexpected ':'"

_INT = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_IN_YAML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
"""The characters outside of YAML 1.2's c-printable; the set of those inside takes ten times as long to compile."""
_WORDS: dict[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": float("inf"), ".Inf": float("inf"), ".INF": float("inf"), "+.inf": float("inf"),
    "-.inf": float("-inf"), "-.Inf": float("-inf"), "-.INF": float("-inf"),
    ".nan": float("nan"), ".NaN": float("nan"), ".NAN": float("nan"),
}  # fmt: skip
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # those of YAML 1.1, which libyaml reads
_NUMERIC_START = frozenset("0123456789+-.")
_MAX_DIGITS = 1000  # newer Pythons refuse int() of a longer text

Place = tuple[int, int]
"""(line, column), both 1-based."""

ScalarReader = Callable[[str, bool, "str | None"], Any]
"""The value of a scalar: its text, whether it is plain and without a tag, its tag. Raises ``UnreadableScalarError``."""


class UnreadableScalarError(ValueError):
    """The reader of a spec or file has no value for this scalar. ``hint``: what to write."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class YamlProblem(Value):
    code: str
    message: str
    line: int
    column: int
    hint: str | None = None


class PlacedDict(dict[Any, Any]):
    """A mapping that was read. ``places`` has the places of each key and its value, ``start`` that of the mapping."""

    __slots__ = ("places", "start")

    def __init__(self, start: Place) -> None:
        self.start = start
        self.places: dict[Hashable, tuple[Place, Place]] = {}


class PlacedList(list[Any]):
    """A list that was read. ``places`` has the place of each item, twice, as a mapping has them."""

    __slots__ = ("places", "start")

    def __init__(self, start: Place) -> None:
        self.start = start
        self.places: dict[Hashable, tuple[Place, Place]] = {}


class YamlDocument(MutableValue):
    """``value`` consists of dict, list, str, int, float, bool and None.

    ``problems`` are those of the text itself. After a syntax error ``value`` is None.
    """

    value: Any = None
    problems: list[YamlProblem] = field(default_factory=list)
    _root: Place = (1, 1)

    def places_in(self, container: Any) -> Mapping[Hashable, tuple[Place, Place]]:
        """The places of each key and value of a mapping or list of this document; in a list both are the item's."""
        places: Mapping[Hashable, tuple[Place, Place]] = container.places
        return places

    def place(self, path: Sequence[str | int], *, of_key: bool = False) -> Place:
        """The place of the value at ``path``, or of its key. For an unknown path, that of its deepest known part."""
        current, best = self.value, self._root
        for step in path:
            known = current.places.get(step) if isinstance(current, (PlacedDict, PlacedList)) else None
            if known is None:
                break
            best = known[0] if of_key else known[1]
            current = current[step]
        return best


def read_yaml(text: str, scalar: ScalarReader | None = None) -> YamlDocument:
    """Reads one document. Never raises for any text; see ``problems``.

    ``scalar`` reads scalars by other rules than those of YAML 1.2.
    """
    if len(text) > MAX_BYTES:
        return _failed("too-large", f"the file has {len(text)} characters, more than {MAX_BYTES}")
    bad = _unreadable_character(text)
    if bad is not None:
        return bad
    import _ruamel_yaml
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return _Builder(_ruamel_yaml.CParser(text), scalar).document()
    except MarkedYAMLError as error:
        is_colon = error.problem == _COLON_IN_FLOW
        again = _read_slowly(text, scalar) if is_colon and len(text) <= MAX_SLOW_CHARACTERS else None
        if again is not None:
            return again
        mark = error.problem_mark or error.context_mark
        line, column = _within(text, mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = ", ".join(part for part in (error.context, error.problem) if part)
        hint = 'put the text with the ":" in quotes' if is_colon else _syntax_hint(text, error, line, column)
        return _failed("yaml-syntax", f"not valid YAML: {message}", line, column, hint)
    except YAMLError as error:
        return _failed("yaml-syntax", f"not valid YAML: {str(error).splitlines()[0]}")
    except _TooMuchError as error:
        return _failed(error.code, error.message, error.line, error.column, error.hint)


def _read_slowly(text: str, scalar: ScalarReader | None) -> YamlDocument | None:
    """Reads with ruamel's Python parser, a hundred times slower; None when that fails too.

    The libyaml in ruamel.yaml.clib refuses ``{key: env:NAME}``, which is valid YAML 1.2.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        _, parser = YAML(typ="safe", pure=True).get_constructor_parser(text)
        return _Builder(parser, scalar).document()
    except (YAMLError, LookupError, ValueError, TypeError, AttributeError, AssertionError):
        # On broken text that parser also raises other errors (a %YAML line in the middle: IndexError).
        return None
    except _TooMuchError as error:
        return _failed(error.code, error.message, error.line, error.column, error.hint)


def resolve_scalar(text: str) -> Any:
    """The value of a plain scalar by the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _NUMERIC_START and len(text) < _MAX_DIGITS:
        if _INT.match(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text, 10)
        if _FLOAT.match(text):
            return float(text)
    return text


def _yaml_12(text: str, is_plain: bool, tag: str | None) -> Any:
    return resolve_scalar(text) if is_plain else text


def _syntax_hint(text: str, error: Any, line: int, column: int) -> str | None:
    """What most likely is wrong at this place; None where nothing is likely."""
    lines = _lines(text)
    here = lines[line - 1] if line <= len(lines) else ""
    before, sign = here[: column - 1], here[column - 1 : column]
    problem = error.problem or ""
    began = error.context_mark.line + 1 if error.context_mark is not None else line
    if sign == "\t" or "\t" in here[: len(here) - len(here.lstrip())]:
        return "indent with blanks, not tabs"
    if "cannot start any token" in problem:
        return f'no text begins with "{sign}": put it in quotes'
    if "could not find expected ':'" in problem:
        return f'line {began} lacks a ":"'
    if "end of stream" in problem:
        return f"the quote of line {began} is not closed"
    if "expected ',' or" in problem:
        return f"the bracket of line {began} is not closed, or a comma is missing"
    if "mapping values" in problem and ": " in before:
        return 'put the value with the ":" in quotes'
    above = next(
        (at for at in range(min(line - 1, len(lines)), 0, -1) if lines[at - 1].split("#")[0].strip()), None
    )
    if "mapping values" in problem and above is not None:
        if ":" not in lines[above - 1]:
            return f'line {above} lacks a ":"'
        return f"it is indented further than line {above}, which has a value: give both the same indentation"
    if "expected key" in problem:
        if before.rstrip()[-1:] in ("'", '"'):
            return "text follows the closing quote: put all of it in quotes"
        return "its indentation fits no line above: the keys of a section begin in the same column"
    return None


def _lines(text: str) -> list[str]:
    """The lines of a text as libyaml counts them; there is always one."""
    lines = _LINE_BREAK.split(text)
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


def _within(text: str, line: int, column: int) -> Place:
    """Limits a place to the text: libyaml reports a missing end on the line after the last."""
    lines = _lines(text)
    return (line, column) if line <= len(lines) else (len(lines), len(lines[-1]) + 1)


def _unreadable_character(text: str) -> YamlDocument | None:
    if text.isprintable():
        return None
    match = _NOT_IN_YAML.search(text)
    if match is None:
        return None
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - text.rfind("\n", 0, match.start())
    code = f"U+{ord(match.group()):04X}"
    return _failed(
        "not-text", f"the character {code} is not allowed in YAML", line, column, "is this a text file?"
    )


def _failed(code: str, message: str, line: int = 1, column: int = 1, hint: str | None = None) -> YamlDocument:
    return YamlDocument(problems=[YamlProblem(code, message, line, column, hint)])


class _TooMuchError(Exception):
    def __init__(self, code: str, message: str, place: Place, hint: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint
        self.line, self.column = place


class _Open(MutableValue):
    """A mapping or sequence whose end was not read yet."""

    value: Any
    place: Place
    anchor: str | None
    nodes: int = 1
    key: Hashable = None
    key_place: Place = (1, 1)
    has_key: bool = False
    merges: list[Any] | None = None


class _Builder:
    """Turns events into values without recursion."""

    def __init__(self, parser: Any, scalar: ScalarReader | None) -> None:
        self._parser = parser
        self._read = scalar or _yaml_12
        self._document = YamlDocument()
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._alias_nodes = 0
        self._done = False

    def document(self) -> YamlDocument:
        get = self._parser.get_event
        while (event := get()) is not None:
            kind = type(event).__name__
            if kind == "ScalarEvent":
                self._scalar(event)
            elif kind == "MappingStartEvent":
                self._open(PlacedDict, event)
            elif kind == "SequenceStartEvent":
                self._open(PlacedList, event)
            elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                self._close()
            elif kind == "AliasEvent":
                self._alias(event)
            elif kind == "DocumentStartEvent" and self._done:
                mark = event.start_mark
                raise _TooMuchError(
                    "several-documents",
                    "a second document starts here (---)",
                    (mark.line + 1, mark.column + 1),
                    "keep one document in a file: remove this line, and move what follows to a file of its own",
                )
            elif kind == "DocumentEndEvent":
                self._done = True
            elif kind == "StreamEndEvent":
                break
        return self._document

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        place = (mark.line + 1, mark.column + 1)
        is_plain = event.implicit[0]
        try:
            value = self._read(event.value, is_plain, None if is_plain else event.tag)
        except UnreadableScalarError as error:
            raise _TooMuchError("unreadable-value", error.message, place, error.hint) from None
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)
        self._put(value, place, 1, plain=is_plain)

    def _open(self, kind: type[PlacedDict | PlacedList], event: Any) -> None:
        mark = event.start_mark
        place = (mark.line + 1, mark.column + 1)
        if len(self._stack) >= MAX_DEPTH:
            raise _TooMuchError("too-deep", f"nested deeper than {MAX_DEPTH} levels", place)
        self._stack.append(_Open(kind(place), place, event.anchor))

    def _close(self) -> None:
        done = self._stack.pop()
        if done.merges:
            self._merge(done)
        if done.anchor:
            self._anchors[done.anchor] = (done.value, done.nodes)
        self._put(done.value, done.place, done.nodes)

    def _alias(self, event: Any) -> None:
        mark = event.start_mark
        place = (mark.line + 1, mark.column + 1)
        if event.anchor not in self._anchors:
            raise _TooMuchError(
                "unknown-alias",
                f'alias "*{event.anchor}" has no anchor before it',
                place,
                f'mark the value with "&{event.anchor}" above, or write the text in quotes: "*{event.anchor}"',
            )
        value, nodes = self._anchors[event.anchor]
        self._count_alias(nodes, place)
        self._put(value, place, nodes)

    def _count_alias(self, nodes: int, place: Place) -> None:
        self._alias_nodes += nodes
        if self._alias_nodes > MAX_ALIAS_NODES:
            raise _TooMuchError(
                "too-many-aliases", f"aliases stand for more than {MAX_ALIAS_NODES} values", place,
                "write the values out, or use extends",
            )  # fmt: skip

    def _put(self, value: Any, place: Place, nodes: int, *, plain: bool = False) -> None:
        if not self._stack:
            self._document.value, self._document._root = value, place
            return
        top = self._stack[-1]
        top.nodes += nodes
        if top.has_key:
            self._value(top, value, place)
        elif isinstance(top.value, PlacedList):
            top.value.places[len(top.value)] = (place, place)
            top.value.append(value)
        else:
            self._key(top, value, place, plain)

    def _key(self, top: _Open, value: Any, place: Place, plain: bool) -> None:
        if isinstance(value, (dict, list)):
            raise _TooMuchError("not-a-name", "a mapping or list is used as a key", place)
        top.key, top.key_place, top.has_key = value, place, True
        if plain and value == "<<":
            top.key = _MERGE

    def _value(self, top: _Open, value: Any, place: Place) -> None:
        top.has_key = False
        if top.key is _MERGE:
            sources = value if isinstance(value, list) else [value]
            if not all(isinstance(source, dict) for source in sources):
                raise _TooMuchError("not-a-mapping", '"<<" takes a mapping or a list of mappings', place)
            top.merges = [*(top.merges or ()), *sources]
            return
        if top.key in top.value:
            first = top.value.places[top.key][0]
            self._document.problems.append(
                YamlProblem(
                    "duplicate-key",
                    f'"{top.key}" is given twice',
                    *top.key_place,
                    hint=f"the first one is at line {first[0]}; remove one of them",
                )
            )
            return
        top.value[top.key] = value
        top.value.places[top.key] = (top.key_place, place)

    def _merge(self, done: _Open) -> None:
        for source in done.merges or ():
            self._count_alias(len(source), done.place)
            for key, value in source.items():
                if key not in done.value:
                    done.value[key] = value
                    done.value.places[key] = source.places[key]


_MERGE = object()
