"""The little language of ``together``: conditions on spec keys, such as ``dataset.batch_size * gpus <= 32``.

There are ``+ - * / // %``, comparisons (also ``1 <= a <= 4``), ``and``, ``or``, ``not``, brackets, numbers, texts in
quotes, ``true`` and ``false``. A name is an axis of the sweep, or ``gpus``. Nothing else is read; nothing is called.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from taorunner.values.value import Value

MAX_LENGTH = 500
GPUS = "gpus"
"""The number of GPUs of a trial."""

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip
_WORDS = {"true": True, "false": False}


class ConstraintError(ValueError):
    """A text that is not of this language. The message is the reason, ``column`` its place, from 1."""

    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(message)
        self.column = column


class Constraint(Value):
    """One condition that all trials meet. ``names`` are the keys that it reads, in order."""

    text: str
    names: tuple[str, ...]

    def holds(self, values: Mapping[str, Any]) -> bool:
        """False also where it cannot be computed: a division by zero, a text beside a number."""
        try:
            return bool(_value(ast.parse(self.text, mode="eval").body, values))
        except (ArithmeticError, TypeError, KeyError):
            return False


def parse_constraint(text: str) -> Constraint:
    """Raises ConstraintError."""
    if len(text) > MAX_LENGTH:
        raise ConstraintError(f"longer than {MAX_LENGTH} characters")
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = getattr(error, "offset", None)
        raise ConstraintError("not a condition", column or 1) from None
    names: dict[str, None] = {}
    _check(body, names)
    if not isinstance(body, ast.Compare | ast.BoolOp) and not (
        isinstance(body, ast.UnaryOp) and isinstance(body.op, ast.Not)
    ):
        raise ConstraintError("it compares nothing")
    return Constraint(text.strip(), tuple(names))


def _check(node: ast.expr, names: dict[str, None]) -> None:
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            return
        case ast.Name() | ast.Attribute() | ast.Subscript():
            name = _name(node)
            if name not in _WORDS:
                names[name] = None
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            _check(left, names)
            _check(right, names)
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=inner):
            _check(inner, names)
        case ast.BoolOp(values=parts):
            for part in parts:
                _check(part, names)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in _COMPARISONS for op in ops
        ):
            for part in (left, *others):
                _check(part, names)
        case _:
            raise ConstraintError(f'"{ast.unparse(node)[:60]}" cannot be in a condition', node.col_offset + 1)


def _name(node: ast.expr) -> str:
    """The dotted key: ``dataset.batch_size``, ``dataset.train_sources[0].weight``."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=inner, attr=name):
            return f"{_name(inner)}.{name}"
        case ast.Subscript(value=inner, slice=ast.Constant(value=int() as place)):
            return f"{_name(inner)}[{place}]"
    raise ConstraintError(f'"{ast.unparse(node)[:60]}" cannot be in a condition', node.col_offset + 1)


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](_number(left, values), _number(right, values))
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return not _value(inner, values)
        case ast.UnaryOp(operand=inner):
            return -_number(inner, values)
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_value(part, values) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_value(part, values) for part in parts)
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [_value(part, values) for part in (left, *others)]
            return all(
                _COMPARISONS[type(op)](one, other)
                for op, one, other in zip(ops, sides, sides[1:], strict=False)
            )
    name = _name(node)
    return _WORDS[name] if name in _WORDS else values[name]


def _number(node: ast.expr, values: Mapping[str, Any]) -> float:
    value = _value(node, values)
    if isinstance(value, str):
        raise TypeError("a text is no number")  # "ab" * 1000000000 takes all memory
    return float(value) if not isinstance(value, int) else value
