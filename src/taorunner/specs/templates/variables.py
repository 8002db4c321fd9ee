"""The parts of a template: variables, the pieces that contain them, and the template's problems."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import islice

from taorunner.errors import Finding, Severity
from taorunner.specs.syntax.text_position import Lines
from taorunner.text import did_you_mean, printable
from taorunner.values.value import Value

DOLLAR = "$"
FILL_IN = "FILL_IN"
"""``$FILL_IN`` marks a value that the user has to write. It is never replaced by a value of taorunner."""
FILL_IN_CODE = "fill-in"
MAX_PROBLEMS = 100
"""The maximum number of findings of one kind per file."""

_USE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<other>\{))"
)


_MARK = re.compile(r"(?<!\$)\$(?:FILL_IN(?![A-Za-z0-9_])|\{FILL_IN\})")
PLACEHOLDER = "taorunner_unknown_variable"
"""In the place of a variable without a value. Nothing is said of a value that holds it."""
UNKNOWN_VARIABLE = "unknown-variable"


def is_mark(value: object) -> bool:
    """True for the value of a variable that holds ``$FILL_IN``."""
    if isinstance(value, str):
        return "FILL_IN" in value and _MARK.search(value) is not None
    return isinstance(value, (list, tuple)) and any(is_mark(one) for one in value)


class Stand(str):
    """A word of a rendered text in place of a value that is not known, different for every place.

    YAML has ``${FILL_IN.3}``, which the checks pass over like a reference of OmegaConf; protobuf text has the bare
    word ``FILL_IN__3__``, which ``is_stand`` recognises.
    """

    @classmethod
    def for_place(cls, number: int, spec_format: str) -> Stand:
        return cls(f"${{{FILL_IN}.{number}}}" if spec_format == "yaml" else f"{FILL_IN}__{number}__")


_STAND = re.compile(rf"{FILL_IN}__[0-9]+__\Z")


def is_stand(word: object) -> bool:
    """True for the word that protobuf text has in place of a value that is not known."""
    return isinstance(word, str) and _STAND.match(word) is not None


class Context(str, Enum):
    """The position of a variable in the syntax."""

    BARE = "bare"
    DOUBLE_QUOTED = "double-quoted"
    SINGLE_QUOTED = "single-quoted"
    BLOCK = "block"
    COMMENT = "comment"


class VariableUse(Value):
    """One ``$name`` of a template. ``name`` is ``$`` for ``$$``. Lines and columns are 1-based."""

    name: str
    line: int
    column: int
    context: Context
    start: int
    end: int
    is_braced: bool = False


class Piece(Value):
    """A range of the template that contains variables. It is rewritten; the rest is copied.

    ``start`` and ``end`` enclose a whole scalar where it may have to be quoted as a whole (``value`` is
    then its text with each variable masked by as many ``mask``), else the inside of a quoted string.
    ``is_item``: a list here is spliced into the list around it.
    """

    start: int
    end: int
    style: str
    uses: tuple[VariableUse, ...]
    value: str = ""
    mask: str = ""
    is_item: bool = False


class SpecTemplate(Value):
    """``problems`` are what is wrong with the template whatever its values; their findings carry no file."""

    text: str
    format: str
    variables: tuple[VariableUse, ...]
    pieces: tuple[Piece, ...]
    problems: tuple[Finding, ...]
    own_keys: frozenset[str] = frozenset()
    comments: tuple[tuple[int, int], ...] = ()

    def is_foreign(self, use: VariableUse, known: Iterable[str]) -> bool:
        """True for a ``${key}`` that OmegaConf will resolve from the file itself."""
        return use.is_braced and use.name in self.own_keys and use.name not in known

    def unknown_names(self, known: Iterable[str]) -> tuple[Finding, ...]:
        """A finding for each variable that is neither known nor OmegaConf's."""
        names = frozenset(known)
        return tuple(
            self.fill_in(use) if use.name == FILL_IN else _unknown(use, names)
            for use in islice(self._unknown_uses(names), MAX_PROBLEMS)
        )

    def placeholders(self, known: Iterable[str]) -> dict[str, str]:
        """A value for each unknown variable, with which the rest of the text can be checked."""
        unknown = self._unknown_uses(frozenset(known))
        return {use.name: PLACEHOLDER for use in unknown if use.name != FILL_IN}

    def _unknown_uses(self, names: frozenset[str]) -> Iterator[VariableUse]:
        for use in self.variables:
            if use.name == "$" or use.context is Context.COMMENT or use.name in names:
                continue
            if not self.is_foreign(use, names):
                yield use

    def fill_in(self, use: VariableUse) -> Finding:
        """The finding about a value that is still to be written, with the comment behind it."""
        remark = self.remark(use)
        message = f"fill this in: {printable(remark)}" if remark else "fill this in"
        hint = f"write it in place of ${FILL_IN}"
        return Finding(Severity.ERROR, FILL_IN_CODE, message, hint, None, use.line, use.column)

    def remark(self, use: VariableUse) -> str:
        """The comment behind ``use`` on its line; empty where there is none."""
        end = self.text.find("\n", use.end)
        end = len(self.text) if end < 0 else end
        for start, stop in self.comments:
            if use.end <= start < end:
                return self.text[start:stop].lstrip("#").strip()
        return ""


def find_uses(text: str) -> list[RawUse]:
    """Every ``$name``, ``${name}``, ``$$`` and other ``${`` of a text, comments included."""
    return [
        RawUse(
            match["bare"] or match["braced"] or match["dollar"], *match.span(), match["braced"] is not None
        )
        for match in _USE.finditer(text)
    ]


class RawUse(Value):
    """A variable whose context is not known yet. ``name`` None: a ``${`` that is no variable."""

    name: str | None
    start: int
    end: int
    is_braced: bool

    def at(self, context: Context, lines: Lines) -> VariableUse:
        line, column = lines.place(self.start)
        return VariableUse(self.name or "", line, column, context, self.start, self.end, self.is_braced)


def _unknown(use: VariableUse, known: frozenset[str]) -> Finding:
    hint = did_you_mean(use.name, sorted(known)) or "write $$ for a dollar"
    return Finding(
        Severity.ERROR,
        UNKNOWN_VARIABLE,
        f'unknown variable "${printable(use.name)}"',
        hint,
        None,
        use.line,
        use.column,
    )
