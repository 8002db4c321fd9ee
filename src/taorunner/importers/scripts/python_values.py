"""What plain Python expressions stand for: texts, numbers, lists, dictionaries, and paths put together from them.

For the cells of notebooks and small scripts that write a mounts file. Nothing is executed: an expression that is not
one of a few known forms has no value.
"""

from __future__ import annotations

import ast
import os
from typing import Any

MAX_TEXT = 8_192
UNKNOWN = object()
"""The value of an expression that is not known."""


class PythonValues:
    """Evaluates expressions. ``names`` are Python's variables, ``environment`` those of the environment."""

    def __init__(self, names: dict[str, Any], environment: dict[str, list[str]], folder: str) -> None:
        self.names, self.environment, self._folder = names, environment, folder

    def value(self, node: ast.expr) -> Any:
        """The value, or ``UNKNOWN``. Entries of lists and dictionaries can be unknown by themselves."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self.names.get(node.id, UNKNOWN)
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self.value(one) for one in node.elts]
        if isinstance(node, ast.Dict):
            keys = [UNKNOWN if key is None else self.value(key) for key in node.keys]
            return {
                key: self.value(one) for key, one in zip(keys, node.values, strict=True) if _is_plain(key)
            }
        if isinstance(node, ast.JoinedStr):
            return self._joined([self.value(_inside(one)) for one in node.values])
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)):
            left, right = self.value(node.left), self.value(node.right)
            return self._joined([left, right] if isinstance(node.op, ast.Add) else [left, "/", right])
        if isinstance(node, ast.Subscript):
            return self._item(self.value(node.slice), node.value)
        if isinstance(node, ast.Call):
            return self._called(node)
        return UNKNOWN

    def variable(self, name: object, default: object = UNKNOWN) -> Any:
        words = self.environment.get(name) if isinstance(name, str) else None
        return default if words is None else " ".join(words)

    def _item(self, key: object, owner: ast.expr) -> Any:
        if _dotted(owner) == "os.environ":
            return self.variable(key)
        found = self.value(owner)
        return found.get(key, UNKNOWN) if isinstance(found, dict) and _is_plain(key) else UNKNOWN

    def _called(self, node: ast.Call) -> Any:
        name = _dotted(node.func)
        given = [self.value(one) for one in node.args]
        if name in ("os.getenv", "os.environ.get", "getenv") and given:
            return self.variable(given[0], given[1] if len(given) > 1 else UNKNOWN)
        if name == "os.getcwd" or (name or "").endswith("Path.cwd"):
            return self._folder
        if name == "os.getuid":
            return os.getuid()
        if name == "os.getgid":
            return os.getgid()
        if name in (
            "os.path.abspath",
            "os.path.expanduser",
            "os.path.realpath",
            "str",
            "Path",
            "pathlib.Path",
        ):
            return given[0] if len(given) == 1 else UNKNOWN
        if name in ("os.path.join", "join") and given:
            return self._path(given)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "format" and not node.keywords:
            return self._formatted(self.value(node.func.value), given)
        return UNKNOWN

    @staticmethod
    def _path(parts: list[Any]) -> Any:
        if all(isinstance(part, str) and len(part) <= MAX_TEXT for part in parts):
            return os.path.join(*parts)  # noqa: PTH118 (what the script calls)
        return UNKNOWN

    @staticmethod
    def _formatted(text: object, given: list[Any]) -> Any:
        if not isinstance(text, str) or text.count("{}") != len(given) or UNKNOWN in given:
            return UNKNOWN
        pieces = text.split("{}")
        return "".join(piece + value for piece, value in zip(pieces, [*map(str, given), ""], strict=True))

    @staticmethod
    def _joined(parts: list[Any]) -> Any:
        if not all(isinstance(part, (str, int, float)) for part in parts):
            return UNKNOWN
        text = "".join(map(str, parts))
        return text if len(text) <= MAX_TEXT else UNKNOWN


def _inside(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.FormattedValue) else node


def _is_plain(key: object) -> bool:
    return isinstance(key, (str, int, float))


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


def target_name(node: ast.expr) -> tuple[str, str] | None:
    """``("name", "X")`` for ``X``, ``("env", "X")`` for ``os.environ["X"]``; None for another target."""
    if isinstance(node, ast.Name):
        return "name", node.id
    if isinstance(node, ast.Subscript) and _dotted(node.value) == "os.environ":
        key = node.slice
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            return "env", key.value
    return None


def item_of(node: ast.expr) -> tuple[str, object] | None:
    """``("drive_map", "DockerOptions")`` for ``drive_map["DockerOptions"]``; None for another target."""
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and isinstance(node.slice, ast.Constant)
    ):
        return node.value.id, node.slice.value
    return None
