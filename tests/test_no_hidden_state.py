"""No module of taorunner keeps state that a second call in the same process could see."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import taorunner

SOURCES = Path(taorunner.__file__).parent
CACHES = frozenset({"cache", "lru_cache"})
CHANGES = frozenset({
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault",
    "sort", "update",
})  # fmt: skip


def hidden_state(text: str) -> list[str]:
    """Caches around functions, keys made by ``id()``, and changes to names of the module, with their lines."""
    tree = ast.parse(text)
    names = frozenset(_module_names(tree))
    return [f"{line}: {what}" for node in ast.walk(tree) for line, what in _found(node, names)]


def _module_names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def _found(node: ast.AST, names: frozenset[str]) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.ImportFrom) and node.module == "functools":
        for alias in node.names:
            if alias.name in CACHES:
                yield node.lineno, f"functools.{alias.name}"
    elif isinstance(node, ast.Attribute) and node.attr in CACHES:
        if isinstance(node.value, ast.Name) and node.value.id == "functools":
            yield node.lineno, f"functools.{node.attr}"
    elif isinstance(node, ast.Global):
        yield node.lineno, f"global {', '.join(node.names)}"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "id":
        yield node.lineno, "id()"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        if node.func.attr in CHANGES and isinstance(owner, ast.Name) and owner.id in names:
            yield node.lineno, f"{owner.id}.{node.func.attr}()"
    elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
        targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [node.target]
        for target in targets:
            inner = target.value if isinstance(target, (ast.Subscript, ast.Attribute)) else None
            if isinstance(inner, ast.Name) and inner.id in names:
                yield node.lineno, f"{inner.id} is changed"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from functools import cache\n", ["1: functools.cache"]),
        ("import functools\n\n@functools.lru_cache\ndef f(): ...\n", ["3: functools.lru_cache"]),
        ("def f(known, value):\n    known[id(value)] = 1\n", ["2: id()"]),
        ("KNOWN = {}\n\ndef f(key):\n    KNOWN[key] = 1\n", ["4: KNOWN is changed"]),
        ("KNOWN: dict[str, int] = {}\n\ndef f():\n    del KNOWN['a']\n", ["4: KNOWN is changed"]),
        ("SEEN = set()\n\ndef f(key):\n    SEEN.add(key)\n", ["4: SEEN.add()"]),
        ("COUNT = 0\n\ndef f():\n    global COUNT\n    COUNT += 1\n", ["4: global COUNT"]),
        ("ROWS = {'a': 1}\n\ndef f(key):\n    rows = dict(ROWS)\n    rows[key] = 1\n    return rows\n", []),
    ],
)
def test_hidden_state_is_found(text: str, found: list[str]) -> None:
    assert hidden_state(text) == found


def test_no_module_has_hidden_state() -> None:
    files = sorted(SOURCES.rglob("*.py"))
    assert len(files) > 300
    found = [
        f"{path.relative_to(SOURCES)}:{problem}"
        for path in files
        for problem in hidden_state(path.read_text(encoding="utf-8"))
    ]
    assert found == []
