"""Checks a spec template, with its variables, against the schema. Findings point into the template.

The specs of a sweep are one text with different numbers. Such a text is checked once, with each number replaced by 0,
which gives the limits of every number. For the other texts only the numbers are checked. The protobuf library, whose
verdict on protobuf text is final, also checks each such text once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from taorunner.errors import Finding, Severity
from taorunner.specs.memory import Answers, SpecMemory
from taorunner.specs.schema.value_check import Limit
from taorunner.specs.schema.walk import Against, Walk, walk_prototxt, walk_yaml
from taorunner.specs.syntax.omegaconf_yaml import read_spec_yaml
from taorunner.specs.syntax.prototxt_parser import parse_prototxt
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.specs.templates.template import Rendered, SpecValue, hides, parse_template, render
from taorunner.specs.templates.variables import FILL_IN, MAX_PROBLEMS, PLACEHOLDER, find_uses
from taorunner.values.value import MutableValue, field, replace

NUMBER = re.compile(
    r"(:[ \t]*)(-?(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,12})?(?:[eE][-+]?[0-9]{1,2})?)(?=[ \t\r]*(?:#|$))",
    re.MULTILINE,
)
"""A plain number that is the whole value, at the end of a line."""
_COMMENT_LINE = re.compile(r"\n[ \t]*#[^\n]*")

_VALUES = {"str": '""', "section": "{}", "bool": "true"}
"""A value that the protobuf library takes for a key of that kind; it takes 0 for all others."""

_LARGE = 256 * 1024  # texts above this many characters are not kept

_Used = tuple[tuple[str, SpecValue], ...]


class _Held(MutableValue):
    """The limit of the ``index``-th number of a shape, and the numbers found ``fine``: a sweep varies few."""

    index: int
    limit: Limit
    fine: set[str] = field(default_factory=set)

    def allows(self, number: str) -> bool:
        is_fine = self.limit.allows(number)
        if is_fine:
            self.fine.add(number)
        return is_fine


class _ShapeParts(Answers[tuple[str, str], tuple[str, list[str]]]):
    """By text and format. Small, because the same text is requested several times in a row."""

    MOST = 8


class _Names(Answers[str, tuple[str, ...]]):
    """The variables of each shape."""


def shape_of(text: str, spec_format: str, memory: SpecMemory | None = None) -> str:
    """The text without its numbers and, where that is safe, its comments.

    In YAML a line that begins with # may belong to a text, which may hold variables.
    """
    return shape_parts(text, spec_format, memory)[0]


def without_comments(text: str) -> str:
    """Lines that are a comment become a bare ``#``; every other line stays where it is."""
    # a pattern that starts with a letter is searched five times faster
    return _COMMENT_LINE.sub("\n#", f"\n{text}")[1:]


def shape_parts(text: str, spec_format: str, memory: SpecMemory | None = None) -> tuple[str, list[str]]:
    """The shape of the text and the numbers that were taken out of it."""
    if memory is None:
        return _split(text, spec_format)
    return memory.table(_ShapeParts).get((text, spec_format), lambda: _split(text, spec_format))


def _split(text: str, spec_format: str) -> tuple[str, list[str]]:
    parts = NUMBER.split(without_comments(text) if spec_format == "prototxt" else text)
    numbers = parts[2::3]
    parts[2::3] = ["0"] * len(numbers)
    return "".join(parts), numbers


def _names_in(shape: str) -> tuple[str, ...]:
    return tuple(sorted({str(use.name) for use in find_uses(shape)}))


def check_schema(
    text: str, against: Against, values: Mapping[str, SpecValue], memory: SpecMemory | None = None
) -> tuple[Finding, ...]:
    """Findings where the template ``text``, with ``values`` put in, contradicts the schema. The findings have no file.

    A text that cannot be read, or has variables without a value, gives nothing: other checks report that.
    """
    memory = memory or SpecMemory()
    shape, numbers = shape_parts(text, against.schema.format, memory)
    names = memory.table(_Names).get(shape, lambda: _names_in(shape))
    used = tuple([(name, _frozen(values[name])) for name in names if name in values])
    seen = memory.table(_SeenShapes).get((shape, against, used), _Seen)
    if seen.is_accepted:
        if not seen.has_limits:
            seen.limits, seen.has_limits = _limits(shape, against, used, memory), True
        if seen.allows(numbers):
            return ()
    if len(text) > _LARGE:
        return _findings(text, against, used, seen, memory)
    return memory.table(_Findings).get(
        (text, against, used), lambda: _findings(text, against, used, seen, memory)
    )


def check_rendered(
    rendered: Rendered, against: Against, memory: SpecMemory | None = None
) -> tuple[Finding, ...]:
    """The same for a text that has been rendered and can be read. Without a mistake found here the library checks."""
    walk = _walk(rendered.text, against)
    if walk is None:
        return ()
    findings = []
    if not any(problem.misfit.severity is Severity.ERROR for problem in walk.problems):
        refused = library_refusal(rendered.text, against, memory)
        if refused is not None:
            line, column = (1, 1) if refused.offset is None else rendered.locate(refused.offset)
            findings.append(replace(refused.to_finding(), line=line, column=column))
    for problem in walk.problems[:MAX_PROBLEMS]:
        line, column = rendered.locate(problem.offset)
        misfit = problem.misfit
        findings.append(
            Finding(misfit.severity, misfit.code, misfit.message, misfit.hint, None, line, column)
        )
    return tuple(findings)


def library_refusal(text: str, against: Against, memory: SpecMemory | None = None) -> SpecProblemError | None:
    """Why TAO's own reader, the protobuf library, refuses a rendered text. The library is imported when needed."""
    if against.schema.format != "prototxt" or PLACEHOLDER in text:
        return None
    from taorunner.specs.schema.protobuf_check import refused_by_library

    return refused_by_library(_with_values(text, against), against.schema, memory)


def _with_values(text: str, against: Against) -> str:
    """Protobuf text with a value of the right type for each one that is still to be written, padded with blanks."""
    walk = _walk(text, against) if FILL_IN in text else None
    for start, key in sorted(walk.stands.items()) if walk is not None else ():
        end = text.index("__", start + len(FILL_IN) + 2) + 2
        value = _VALUES.get(key.kind, "0")
        text = f"{text[:start]}{value:<{end - start}}{text[end:]}"
    return text


def _findings(
    text: str, against: Against, used: _Used, seen: _Seen, memory: SpecMemory
) -> tuple[Finding, ...]:
    """Reads the text. If it has no mistake, only the numbers of the other texts of its shape are checked."""
    rendered = _render(text, against, used, memory)
    if rendered is None:
        return ()
    is_prototxt = against.schema.format == "prototxt"
    is_whole = PLACEHOLDER not in rendered.text
    if (
        is_prototxt
        and is_whole
        and not seen.is_accepted
        and library_refusal(rendered.text, against, memory) is None
    ):
        seen.is_accepted = (
            True  # in protobuf text only errors are reported, and the library finds each of them
        )
        return ()
    findings = check_rendered(rendered, against, memory)
    seen.is_accepted = seen.is_accepted or not findings
    return findings


class _Seen(MutableValue):
    """The results for a shape. ``is_accepted``: the library accepts a text of it; ``limits``: see ``_limits``.
    ``allowed`` are the last numbers that are within them."""

    is_accepted: bool = False
    has_limits: bool = False
    limits: tuple[_Held, ...] | None = None
    allowed: list[str] | None = None

    def allows(self, numbers: list[str]) -> bool:
        """Whether each of the ``numbers`` of a text of the shape is within its limit."""
        if numbers != self.allowed:
            for one in self.limits or ():
                number = numbers[one.index]
                if number not in one.fine and not one.allows(number):
                    return False
            self.allowed = numbers
        return self.limits is not None


class _SeenShapes(Answers[tuple[str, Against, _Used], _Seen]):
    """By shape, schema and the values of its variables."""


class _Findings(Answers[tuple[str, Against, _Used], tuple[Finding, ...]]):
    """By text, schema and the values of its variables."""


def _limits(shape: str, against: Against, used: _Used, memory: SpecMemory) -> tuple[_Held, ...] | None:
    """The limits of those numbers of the shape that have some; None when the shape has other problems."""
    rendered = _render(shape, against, used, memory)
    walk = _walk(rendered.text, against) if rendered is not None else None
    if rendered is None or walk is None:
        return None
    limits = {rendered.origin(offset): limit for offset, limit in walk.limits.items()}
    places = [match.start(2) for match in NUMBER.finditer(shape)]
    judged = limits.keys() & set(places)
    if any(rendered.origin(problem.offset) not in judged for problem in walk.problems):
        return None
    return tuple(_Held(index, limits[place]) for index, place in enumerate(places) if place in limits)


def _render(text: str, against: Against, used: _Used, memory: SpecMemory) -> Rendered | None:
    template = parse_template(text, against.schema.format, memory)
    rendered = render(template, dict(used))
    return None if hides(rendered.findings) else rendered


def _walk(text: str, against: Against) -> Walk | None:
    if against.schema.format == "prototxt":
        try:
            return walk_prototxt(parse_prototxt(text), against)
        except SpecProblemError:
            return None
    document = read_spec_yaml(text)
    if document.problems or not isinstance(document.value, dict):
        return None
    return walk_yaml(text, document, against)


def _frozen(value: SpecValue) -> SpecValue:
    return tuple(value) if isinstance(value, list) else value
