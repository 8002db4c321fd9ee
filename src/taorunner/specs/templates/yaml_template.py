"""Variables in YAML: finds them, and writes values in their place.

The template is parsed with every variable masked by characters of the private use area, one for each of its characters.
libyaml itself then determines the scalar and the style of each variable, and all positions stay correct.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain

from taorunner.errors import Finding, Severity
from taorunner.specs.syntax.literals import (
    SpecValue,
    inside_text,
    is_number,
    is_simple_text,
    yaml_double_quoted,
    yaml_string,
    yaml_value,
)
from taorunner.specs.syntax.omegaconf_yaml import read_spec_yaml
from taorunner.specs.syntax.text_position import Lines
from taorunner.specs.syntax.yaml_tree import YamlNode, read_tree
from taorunner.specs.templates.variables import (
    DOLLAR,
    MAX_PROBLEMS,
    Context,
    Piece,
    RawUse,
    SpecTemplate,
    VariableUse,
    find_uses,
)
from taorunner.yaml_reader import YamlDocument, YamlProblem

_CONTEXTS = {
    "": Context.BARE,
    '"': Context.DOUBLE_QUOTED,
    "'": Context.SINGLE_QUOTED,
    "|": Context.BLOCK,
    ">": Context.BLOCK,
}


def read_yaml_template(text: str) -> SpecTemplate:
    """The template of a YAML spec; a syntax error of the template itself is among its problems."""
    raw_uses = [use for use in find_uses(text) if use.name is not None]
    mask = _unused_character(text)
    masked = _masked(text, raw_uses, mask)
    document = read_spec_yaml(masked)
    problems = tuple(_finding(problem, mask, text) for problem in document.problems[:MAX_PROBLEMS])
    if not problems and not isinstance(document.value, dict):
        problems = (_not_a_mapping(document),)
    root = read_tree(masked) if document.value is not None else None
    variables: list[VariableUse] = []
    pieces: list[Piece] = []
    comments: list[tuple[int, int]] = []
    lines = Lines(text)
    position = index = 0
    only_items = _only_items(root)
    for node in root.scalars() if root is not None else ():
        body = _body(text, node)
        comments += _comments(text, position, body)
        position = node.end
        while index < len(raw_uses) and raw_uses[index].start < body:
            variables.append(raw_uses[index].at(Context.COMMENT, lines))
            index += 1
        uses: list[VariableUse] = []
        while index < len(raw_uses) and raw_uses[index].start < node.end:
            uses.append(raw_uses[index].at(_CONTEXTS[node.style], lines))
            index += 1
        variables += uses
        if uses:
            is_item = node.start in only_items
            pieces.append(Piece(node.start, node.end, node.style, tuple(uses), node.value, mask, is_item))
    comments += _comments(text, position, len(text))
    variables += [use.at(Context.COMMENT, lines) for use in raw_uses[index:]]
    keys = frozenset(str(key) for key in document.value) if isinstance(document.value, dict) else frozenset()
    return SpecTemplate(text, "yaml", tuple(variables), tuple(pieces), problems, keys, tuple(comments))


def written_in_yaml(template: SpecTemplate, piece: Piece, values: Mapping[str, SpecValue]) -> str:
    """The text that takes the piece's place."""
    raw = template.text[piece.start : piece.end]
    used = [values[use.name] for use in piece.uses if use.name in values]
    dollars = any(use.name == DOLLAR for use in piece.uses)
    if not used and not dollars:
        return raw
    if not piece.style:
        return _plain(
            template, piece, values, all_numbers=len(used) == len(piece.uses) and all(map(is_number, used))
        )
    is_simple = all(is_simple_text(inside_text(value)) for value in used)
    if piece.style == '"' and (is_simple or "\n" not in raw):
        return _in_raw(template, piece, values, yaml_double_quoted)
    if piece.style == "'" and is_simple:
        return _in_raw(template, piece, values, lambda value: value.replace("'", "''"))
    if piece.style in "|>" and is_simple:
        return _in_raw(template, piece, values, lambda value: value)
    end = "\n" if piece.style in "|>" and raw.endswith("\n") else ""
    return f'"{yaml_double_quoted(_whole(template, piece, values))}"{end}'


def _plain(
    template: SpecTemplate, piece: Piece, values: Mapping[str, SpecValue], *, all_numbers: bool
) -> str:
    first = piece.uses[0]
    if len(piece.uses) == 1 and (first.start, first.end) == (piece.start, piece.end) and first.name != DOLLAR:
        value = values[first.name]
        written = yaml_value(value)
        return written[1:-1] if piece.is_item and isinstance(value, (list, tuple)) else written
    if all_numbers:
        return _in_raw(template, piece, values, lambda value: value)
    return yaml_string(_whole(template, piece, values))


def _in_raw(
    template: SpecTemplate, piece: Piece, values: Mapping[str, SpecValue], escape: Callable[[str], str]
) -> str:
    out: list[str] = []
    position = piece.start
    for use in piece.uses:
        out.append(template.text[position : use.start])
        position = use.end
        if use.name == DOLLAR:
            out.append("$")
        elif use.name in values:
            out.append(escape(inside_text(values[use.name])))
        else:
            out.append(template.text[use.start : use.end])
    out.append(template.text[position : piece.end])
    return "".join(out)


def _whole(template: SpecTemplate, piece: Piece, values: Mapping[str, SpecValue]) -> str:
    """The scalar's value with the variables put in."""
    out: list[str] = []
    position = 0
    for use in piece.uses:
        found = piece.value.index(piece.mask, position)
        out.append(piece.value[position:found])
        position = found + use.end - use.start
        if use.name == DOLLAR:
            out.append("$")
        elif use.name in values:
            out.append(inside_text(values[use.name]))
        else:
            out.append(template.text[use.start : use.end])
    out.append(piece.value[position:])
    return "".join(out)


def _unused_character(text: str) -> str:
    used = set(text)
    codes = chain(range(0xE000, 0xF900), range(0xF0000, 0xFFFFE))
    return next((chr(code) for code in codes if chr(code) not in used), "\ue000")


def _masked(text: str, uses: list[RawUse], mask: str) -> str:
    out: list[str] = []
    position = 0
    for use in uses:
        out += (text[position : use.start], mask * (use.end - use.start))
        position = use.end
    out.append(text[position:])
    return "".join(out)


def _body(text: str, node: YamlNode) -> int:
    """Where the scalar's own text begins: in a block scalar below its header, which may hold a comment."""
    if node.style not in ("|", ">"):
        return node.start
    newline = text.find("\n", node.start, node.end)
    return node.end if newline < 0 else newline + 1


def _comments(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The comments between two scalars: there, a ``#`` is nothing else."""
    found = []
    position = text.find("#", start, end)
    while position >= 0:
        newline = text.find("\n", position, end)
        stop = end if newline < 0 else newline
        found.append((position, stop))
        position = text.find("#", stop, end)
    return found


def _only_items(root: YamlNode | None) -> set[int]:
    """The start offsets of scalars that are the only element of a flow sequence."""
    found: set[int] = set()
    pending = [root] if root is not None else []
    while pending:
        node = pending.pop()
        if node.kind == "sequence" and node.style == "flow" and len(node.values) == 1:
            found.update(one.start for one in node.values if one.kind == "scalar")
        pending += node.values
    return found


def _finding(problem: YamlProblem, mask: str, text: str) -> Finding:
    message = problem.message
    if mask in message:
        message = message.replace(mask, "").replace('""', "a variable")
    line, column = problem.line, problem.column
    last = text.count("\n") + 1
    if line > last:  # libyaml ends a last line that has no newline
        line, column = last, len(text) - text.rfind("\n")
    return Finding(Severity.ERROR, problem.code, message, problem.hint, None, line, column)


def _not_a_mapping(document: YamlDocument) -> Finding:
    line, column = document.place(())
    value = document.value
    seen = "nothing" if value is None else "a list" if isinstance(value, list) else "a single value"
    return Finding(
        Severity.ERROR, "not-a-mapping", f"a spec has sections with keys, this has {seen}",
        "write it like train: and below it num_epochs: 10", None, line, column,
    )  # fmt: skip
