"""Every small change of the package that a test should notice, for ``tools/mutations.py --round``.

What cannot change behaviour, or only how long a program waits, is left out, each with its reason beside it: a test
that noticed such a change would only restate the code.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Change(NamedTuple):
    """The bytes ``start`` to ``end`` of a file become ``new``; ``line`` counts from 1."""

    line: int
    kind: str
    start: int
    end: int
    new: str


_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_OTHER_SIGN = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "is": "is not", "is not": "is", "in": "not in", "not in": "in",
}  # fmt: skip
_OTHER_NAME = {"any": "all", "all": "any", "min": "max", "max": "min"}
_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)

_UNSEEN_KEYWORDS = frozenset(
    {
        "frozen", "slots", "kw_only", "repr", "eq", "order",  # of dataclasses: rules for our own code
        "strict",  # zip(strict=): only a defect of ours could differ
        "check",  # subprocess: the exit code is looked at, or does not matter
        "daemon", "flush",  # when a thread or buffer ends
        "timeout", "timeout_s", "patience_s", "interval", "max_workers",  # how long, how many at once
        "stacklevel", "protected_access", "populate_by_name", "indent", "sort_keys",
    }
)  # fmt: skip
_UNSEEN_CALLS = frozenset(
    {
        "sleep", "wait", "join",  # only how soon or how busily
        "debug", "info", "warning", "exception", "simplefilter",  # log text, warnings of others
        "close", "flush", "shutdown", "fsync", "terminate",  # the end of a process does it, or a crash would show it
        "collect", "freeze", "disable", "enable",  # the garbage collector: speed
        "assert_never",  # unreachable
        "set_name", "prctl", "setproctitle", "nice",
    }
)  # fmt: skip


def changes(text: str) -> list[Change]:
    """The changes of one module, in the order of its text."""
    module = ast.parse(text)
    source = _Source(text)
    found = [
        change
        for node in _that_run(module)
        for change in _changes_of(node, source)
        if change.new.encode() != source.data[change.start : change.end]
    ]
    return sorted(set(found), key=lambda one: (one.start, one.end, one.new))


def _that_run(module: ast.Module) -> list[ast.AST]:
    """The nodes that can change what happens. Left out: types; what only type checkers read; assertions,
    which no input can make false; bodies of ``__repr__``; the numbers in format specifications."""
    kept: list[ast.AST] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'"):
            return
        if isinstance(node, ast.FunctionDef) and node.name == "__repr__":
            return
        if isinstance(node, ast.Assert) or (
            isinstance(node, ast.Raise) and "AssertionError" in ast.unparse(node)
        ):
            return
        kept.append(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "format_spec", "decorator_list", "type_comment"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.keyword) and child.arg in _UNSEEN_KEYWORDS:
                    continue
                if isinstance(child, ast.AST):
                    visit(child)

    visit(module)
    return kept


class _Source:
    """The text of a module with the byte positions of its nodes."""

    def __init__(self, text: str) -> None:
        self.data = text.encode()
        self._starts = [0]
        for line in self.data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        end_line, end_column = node.end_lineno or 0, node.end_col_offset or 0
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[end_line - 1] + end_column

    def of(self, node: ast.expr) -> str:
        start, end = self.span(node)
        return self.data[start:end].decode()

    def change(self, node: ast.expr | ast.stmt, kind: str, new: str) -> Change:
        return Change(node.lineno, kind, *self.span(node), new)


def _changes_of(node: ast.AST, source: _Source) -> Iterator[Change]:
    for kind, change in _KINDS.items():
        if isinstance(node, kind):
            yield from change(node, source)


def _comparison(node: ast.Compare, source: _Source) -> Iterator[Change]:
    operands = [node.left, *node.comparators]
    signs = [_SIGNS[type(sign)] for sign in node.ops]
    for changed in range(len(signs)):
        new = f"({source.of(operands[0])})"
        for place, (sign, operand) in enumerate(zip(signs, operands[1:], strict=True)):
            new += f" {_OTHER_SIGN[sign] if place == changed else sign} ({source.of(operand)})"
        yield source.change(node, "comparison", new)


def _terms(node: ast.BoolOp, source: _Source) -> Iterator[Change]:
    word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    terms = [f"({source.of(value)})" for value in node.values]
    yield source.change(node, "and/or", f"({f' {other} '.join(terms)})")
    for dropped in range(len(terms)):
        if word == "or" and dropped == len(terms) - 1 and _is_empty(node.values[-1]):
            continue  # "x or ()" is for what its type allows; whether None comes is up to the callers
        rest = f" {word} ".join(terms[:dropped] + terms[dropped + 1 :])
        yield source.change(node, "term", f"({rest})")


def _is_empty(node: ast.expr) -> bool:
    is_display = isinstance(node, (ast.Tuple, ast.List)) and not node.elts
    is_mapping = isinstance(node, ast.Dict) and not node.keys
    return is_display or is_mapping or (isinstance(node, ast.Constant) and not node.value)


def _negation(node: ast.UnaryOp, source: _Source) -> Iterator[Change]:
    if isinstance(node.op, ast.Not):
        yield source.change(node, "not", f"({source.of(node.operand)})")


def _choice(node: ast.IfExp, source: _Source) -> Iterator[Change]:
    body, test, other = (f"({source.of(part)})" for part in (node.body, node.test, node.orelse))
    yield source.change(node, "choice", f"({other} if {test} else {body})")


def _constant(node: ast.Constant, source: _Source) -> Iterator[Change]:
    """Truth values, and the numbers 0 and 1. Larger numbers are limits, sizes and times: the next one is as good."""
    if isinstance(node.value, bool):
        yield source.change(node, "constant", str(not node.value))
    elif type(node.value) is int and node.value in (0, 1) and source.of(node) in ("0", "1"):
        yield source.change(node, "constant", str(node.value + 1))


def _branch(node: ast.If, source: _Source) -> Iterator[Change]:
    is_guard = not node.orelse and len(node.body) == 1 and isinstance(node.body[0], _LEAVES)
    new = "False" if is_guard else f"not ({source.of(node.test)})"
    yield source.change(node.test, "guard" if is_guard else "branch", new)


def _filter(node: ast.comprehension, source: _Source) -> Iterator[Change]:
    for test in node.ifs:
        yield source.change(test, "filter", "True")


def _statement(node: ast.Expr, source: _Source) -> Iterator[Change]:
    if isinstance(node.value, ast.Call):
        called = node.value.func
        name = getattr(called, "attr", getattr(called, "id", ""))
        if name not in _UNSEEN_CALLS:
            yield source.change(node, "call", "pass")


def _function(node: ast.Call, source: _Source) -> Iterator[Change]:
    if isinstance(node.func, ast.Name) and node.func.id in _OTHER_NAME:
        yield source.change(node.func, "function", _OTHER_NAME[node.func.id])


def _sum(node: ast.BinOp, source: _Source) -> Iterator[Change]:
    """Sums of what may be numbers: not of texts, lists and tuples."""
    if isinstance(node.op, (ast.Add, ast.Sub)) and not any(map(_is_no_number, (node.left, node.right))):
        sign = "-" if isinstance(node.op, ast.Add) else "+"
        yield source.change(node, "sum", f"({source.of(node.left)} {sign} ({source.of(node.right)}))")


def _is_no_number(node: ast.expr) -> bool:
    is_text = isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
    )
    return is_text or isinstance(node, (ast.List, ast.Tuple, ast.Set, ast.ListComp))


_KINDS: dict[type[ast.AST], Callable[..., Iterator[Change]]] = {
    ast.Compare: _comparison,
    ast.BoolOp: _terms,
    ast.UnaryOp: _negation,
    ast.IfExp: _choice,
    ast.Constant: _constant,
    ast.If: _branch,
    ast.comprehension: _filter,
    ast.Expr: _statement,
    ast.Call: _function,
    ast.BinOp: _sum,
}
