"""Does a spec as the user wrote it, with its variables, agree with the schema? Findings point into that text.

The specs of a sweep are one text with other numbers. Such a text is walked once, with each number replaced by 0, which
tells what every number has to be; the others only have their numbers looked at. The protobuf library, which has the
last word on protobuf text, is asked once for each such text too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from taorunner.errors import Finding, Severity, has_errors
from taorunner.specs.schema.value_check import Limit
from taorunner.specs.schema.walk import Against, Walk, walk_prototxt, walk_yaml
from taorunner.specs.syntax.prototxt_parser import parse_prototxt
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.specs.templates.template import Rendered, Value, parse_template, render
from taorunner.specs.templates.variables import MAX_PROBLEMS, find_uses
from taorunner.yaml_reader import read_yaml

NUMBER = re.compile(
    r"(:[ \t]*)(-?(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,12})?(?:[eE][-+]?[0-9]{1,2})?)(?=[ \t\r]*(?:#|$))",
    re.MULTILINE,
)
"""A plain number that is the whole value, at the end of a line."""
_COMMENT_LINE = re.compile(r"\n[ \t]*#[^\n]*")

_LARGE = 256 * 1024  # texts above this many characters are not kept

_Used = tuple[tuple[str, Value], ...]


@dataclass(slots=True)
class _Held:
    """What the ``index``-th number of a shape has to be, and those that were found ``fine``: a sweep varies few."""

    index: int
    limit: Limit
    fine: set[str] = field(default_factory=set)

    def allows(self, number: str) -> bool:
        if number in self.fine:
            return True
        if not self.limit.allows(number):
            return False
        self.fine.add(number)
        return True


def shape_of(text: str, spec_format: str) -> str:
    """The text without its numbers and, where that is safe, its comments.

    In YAML a line that begins with # may belong to a text, which may hold variables.
    """
    return shape_parts(text, spec_format)[0]


def without_comments(text: str) -> str:
    """Lines that are a comment become a bare ``#``; every other line stays where it is."""
    return _COMMENT_LINE.sub("\n#", f"\n{text}")[
        1:
    ]  # a pattern that starts with a letter is searched five times faster


@lru_cache(maxsize=8)
def shape_parts(text: str, spec_format: str) -> tuple[str, list[str]]:
    """The shape and the numbers that it lacks. Kept for a moment: a text is asked for twice in a row."""
    parts = NUMBER.split(without_comments(text) if spec_format == "prototxt" else text)
    numbers = parts[2::3]
    parts[2::3] = ["0"] * len(numbers)
    return "".join(parts), numbers


@lru_cache(maxsize=512)
def _names(shape: str) -> tuple[str, ...]:
    return tuple(sorted({str(use.name) for use in find_uses(shape)}))


def check_schema(text: str, against: Against, values: Mapping[str, Value]) -> tuple[Finding, ...]:
    """What of the template ``text`` does not agree with the schema, once ``values`` are put in. Carries no file.

    A text that cannot be read, or has variables without a value, gives nothing: that is told elsewhere.
    """
    names = _names(shape_of(text, against.schema.format))
    used = tuple((name, _frozen(values[name])) for name in names if name in values)
    look = _kept_findings if len(text) <= _LARGE else _quick_findings
    return look(text, against, used)


def check_rendered(rendered: Rendered, against: Against) -> tuple[Finding, ...]:
    """The same for a text that has been rendered and can be read. Where we find no mistake the library is asked."""
    walk = _walk(rendered.text, against)
    if walk is None:
        return ()
    findings = []
    if not any(problem.misfit.severity is Severity.ERROR for problem in walk.problems):
        refused = library_refusal(rendered.text, against)
        if refused is not None:
            line, column = (1, 1) if refused.offset is None else rendered.locate(refused.offset)
            findings.append(replace(refused.to_finding(), line=line, column=column))
    for problem in walk.problems[:MAX_PROBLEMS]:
        line, column = rendered.locate(problem.offset)
        told = problem.misfit
        findings.append(Finding(told.severity, told.code, told.message, told.hint, None, line, column))
    return tuple(findings)


def library_refusal(text: str, against: Against) -> SpecProblemError | None:
    """What TAO's own reader says of a rendered text: protobuf's library, loaded when there is something to ask."""
    if against.schema.format != "prototxt":
        return None
    from taorunner.specs.schema.protobuf_check import refused_by_library

    return refused_by_library(text, against.schema)


def _quick_findings(text: str, against: Against, used: _Used) -> tuple[Finding, ...]:
    """The first text of a shape is read as it is; where it is in order, the others have their numbers looked at."""
    shape, numbers = shape_parts(text, against.schema.format)
    seen = _seen(shape, against, used)
    if seen.is_accepted:
        if not seen.has_limits:
            seen.limits, seen.has_limits = _limits(shape, against, used), True
        if seen.limits is not None and all(one.allows(numbers[one.index]) for one in seen.limits):
            return ()
    rendered = _render(text, against, used)
    if rendered is None:
        return ()
    is_prototxt = against.schema.format == "prototxt"
    if is_prototxt and not seen.is_accepted and library_refusal(rendered.text, against) is None:
        seen.is_accepted = True  # of protobuf text only mistakes are told, and the library finds each of them
        return ()
    findings = check_rendered(rendered, against)
    seen.is_accepted = seen.is_accepted or not findings
    return findings


_kept_findings = lru_cache(maxsize=512)(_quick_findings)


@dataclass(slots=True)
class _Seen:
    """What is known of a shape. ``is_accepted``: the library takes a text of it; ``limits``: see ``_limits``."""

    is_accepted: bool = False
    has_limits: bool = False
    limits: tuple[_Held, ...] | None = None


@lru_cache(maxsize=512)
def _seen(shape: str, against: Against, used: _Used) -> _Seen:
    return _Seen()


def _limits(shape: str, against: Against, used: _Used) -> tuple[_Held, ...] | None:
    """For the numbers of the shape that are not free what they have to be; None when there is more to tell."""
    rendered = _render(shape, against, used)
    walk = _walk(rendered.text, against) if rendered is not None else None
    if rendered is None or walk is None:
        return None
    limits = {rendered.origin(offset): limit for offset, limit in walk.limits.items()}
    places = [match.start(2) for match in NUMBER.finditer(shape)]
    judged = limits.keys() & set(places)
    if any(rendered.origin(problem.offset) not in judged for problem in walk.problems):
        return None
    return tuple(_Held(index, limits[place]) for index, place in enumerate(places) if place in limits)


def _render(text: str, against: Against, used: _Used) -> Rendered | None:
    template = parse_template(text, against.schema.format)
    rendered = render(template, dict(used))
    return None if has_errors(rendered.findings) else rendered


def _walk(text: str, against: Against) -> Walk | None:
    if against.schema.format == "prototxt":
        try:
            return walk_prototxt(parse_prototxt(text), against)
        except SpecProblemError:
            return None
    document = read_yaml(text)
    if document.problems or not isinstance(document.value, dict):
        return None
    return walk_yaml(text, document, against)


def _frozen(value: Value) -> Value:
    return tuple(value) if isinstance(value, list) else value
