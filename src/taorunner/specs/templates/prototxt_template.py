"""Variables in protobuf text: finds them, and writes values in their place."""

from __future__ import annotations

import re
from collections.abc import Mapping

from taorunner.errors import Finding, Severity
from taorunner.specs.syntax.literals import SpecValue, inside_text, is_number, proto_escaped, proto_value
from taorunner.specs.syntax.prototxt_parser import parse_prototxt
from taorunner.specs.syntax.text_position import Lines, SpecProblemError
from taorunner.specs.templates.variables import (
    DOLLAR,
    MAX_PROBLEMS,
    Context,
    Piece,
    RawUse,
    SpecTemplate,
    Stand,
    VariableUse,
    find_uses,
)

_PART = re.compile(
    r"""(?P<skipped>(?:[^\s{}<>\[\],;:"'\#$]*[\s,;:]+)+)
      | (?P<comment>\#[^\n]*)
      | (?P<double>"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*")
      | (?P<single>'[^'\\\n]*(?:\\[^\n][^'\\\n]*)*')
      | (?P<bare>(?:\$\{[A-Za-z_][A-Za-z0-9_]*\}|[^\s{}<>\[\],;:"'\#])+)
      | (?P<other>[{}<>\[\]"'])""",
    re.VERBOSE,
)
"""``skipped``: whole words and separators that cannot contain a variable."""
_CONTEXTS = {
    "comment": Context.COMMENT,
    "double": Context.DOUBLE_QUOTED,
    "single": Context.SINGLE_QUOTED,
    "bare": Context.BARE,
}
_OPEN_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\(?:[0-7]{1,2}|[xX][0-9a-fA-F])\Z")


def read_prototxt_template(text: str) -> SpecTemplate:
    """The template of a TF1 spec; a syntax error of the template itself is among its problems."""
    lines = Lines(text)
    raw_uses = find_uses(text)
    variables: list[VariableUse] = []
    pieces: list[Piece] = []
    problems: list[Finding] = []
    comments: list[tuple[int, int]] = []
    masked: list[str] = []
    brackets: list[str] = []
    position = index = 0
    for match in _PART.finditer(text):
        kind = str(match.lastgroup)
        if kind == "skipped":
            continue
        start, end = match.span()
        if kind == "comment":
            comments.append((start, end))
        elif kind == "other":
            _follow_brackets(brackets, match.group())
        uses: list[VariableUse] = []
        while index < len(raw_uses) and raw_uses[index].start < end:
            raw = raw_uses[index]
            index += 1
            if raw.name is not None and raw.end <= end and kind in _CONTEXTS:
                if kind in ("double", "single") and _is_escaped(text, raw.start):
                    problems.append(_not_a_variable(text, raw, lines, after="\\"))
                uses.append(raw.at(_CONTEXTS[kind], lines))
            elif kind != "comment" and len(problems) < MAX_PROBLEMS:
                problems.append(_not_a_variable(text, raw, lines))
        variables += uses
        if not uses or kind == "comment":
            continue
        if kind == "bare":
            pieces.append(Piece(start, end, "", tuple(uses), is_item="[" in brackets[-1:]))
        else:
            pieces.append(Piece(start + 1, end - 1, kind, tuple(uses)))
        masked += (text[position : pieces[-1].start], _mask(text, pieces[-1]))
        position = pieces[-1].end
    masked.append(text[position:])
    if not problems:
        try:
            parse_prototxt("".join(masked), shown=text)
        except SpecProblemError as problem:
            problems.append(problem.to_finding(lines))
    return SpecTemplate(
        text, "prototxt", tuple(variables), tuple(pieces), tuple(problems), comments=tuple(comments)
    )


def written_in_prototxt(template: SpecTemplate, piece: Piece, values: Mapping[str, SpecValue]) -> str:
    """The text that takes the piece's place."""
    known = [use for use in piece.uses if use.name == DOLLAR or use.name in values]
    if not known:
        return template.text[piece.start : piece.end]
    if piece.style:
        return _inside_quotes(template.text, piece, values)
    first = piece.uses[0]
    if len(piece.uses) == 1 and (first.start, first.end) == (piece.start, piece.end) and first.name != DOLLAR:
        return _alone(values[first.name], piece)
    text = "".join(_parts(template.text, piece, values))
    if all(is_number(values.get(use.name)) for use in piece.uses):
        return text
    return f'"{proto_escaped(text)}"'


def _alone(value: SpecValue, piece: Piece) -> str:
    if isinstance(value, Stand):
        return value
    written = proto_value(value)
    is_list = isinstance(value, (list, tuple))
    return written[1:-1] if is_list and piece.is_item else written


def _inside_quotes(text: str, piece: Piece, values: Mapping[str, SpecValue]) -> str:
    out: list[str] = []
    position = piece.start
    quote = "'" if piece.style == "single" else '"'
    for use in piece.uses:
        before = text[position : use.start]
        out.append(before)
        position = use.end
        if use.name == DOLLAR:
            out.append("$")
        elif use.name in values:
            if _OPEN_ESCAPE.search(before):
                out.append(f"{quote} {quote}")  # adjacent strings are one; this ends the escape
            out.append(proto_escaped(inside_text(values[use.name])))
        else:
            out.append(text[use.start : use.end])
    out.append(text[position : piece.end])
    return "".join(out)


def _parts(text: str, piece: Piece, values: Mapping[str, SpecValue]) -> list[str]:
    out: list[str] = []
    position = piece.start
    for use in piece.uses:
        out.append(text[position : use.start])
        position = use.end
        if use.name == DOLLAR:
            out.append("$")
        else:
            out.append(inside_text(values[use.name]) if use.name in values else text[use.start : use.end])
    out.append(text[position : piece.end])
    return out


def _mask(text: str, piece: Piece) -> str:
    """The piece as the parser sees it: an identifier of underscores where it is bare.

    Inside quotes the rest of the string stays, so that a wrong escape is found at its place.
    """
    if not piece.style:
        return "_" * (piece.end - piece.start)
    out: list[str] = []
    position = piece.start
    for use in piece.uses:
        out += (text[position : use.start], "_" * (use.end - use.start))
        position = use.end
    out.append(text[position : piece.end])
    return "".join(out)


def _follow_brackets(brackets: list[str], mark: str) -> None:
    if mark in "{<[":
        brackets.append(mark)
    elif mark in "}>]" and brackets:
        brackets.pop()


def _is_escaped(text: str, offset: int) -> bool:
    """True when an odd number of backslashes stands before the offset."""
    start = offset
    while start and text[start - 1] == "\\":
        start -= 1
    return (offset - start) % 2 == 1


def _not_a_variable(text: str, raw: RawUse, lines: Lines, after: str = "") -> Finding:
    line, column = lines.place(raw.start)
    shown = after + text[raw.start : raw.start + 20].split("\n")[0]
    return Finding(
        Severity.ERROR, "bad-variable", f'"{shown}" is not a variable',
        "write ${name}, or $$ for a dollar", None, line, column,
    )  # fmt: skip
