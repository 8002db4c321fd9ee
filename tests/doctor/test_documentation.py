"""docs/doctor.md names every check and every code: scripts are written against them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import taorunner.doctor.check
from taorunner.doctor.runner import CHECKS

ROOT = Path(__file__).resolve().parents[2]
MAKERS = {"ok", "info", "warning", "error", "problem"}


def codes_of(source: str) -> Iterator[str]:
    """The codes of all findings that a module makes."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and {n.id for n in ast.walk(node.func) if isinstance(n, ast.Name)} & MAKERS
        ):
            code = next((a.value for a in node.args[:2] if isinstance(a, ast.Constant)), None)
            if isinstance(code, str):
                yield code


def test_every_check_and_every_code_is_documented() -> None:
    package = Path(taorunner.doctor.check.__file__).parent
    made = {code for path in package.glob("*.py") for code in codes_of(path.read_text())}
    assert len(made) > 50
    rows = [line for line in (ROOT / "docs" / "doctor.md").read_text().splitlines() if line.startswith("| `")]
    table = {re.findall(r"`([a-z0-9-]+)`", row)[0]: set(re.findall(r"`([a-z0-9-]+)`", row)) for row in rows}
    assert list(table) == [check.name for check in CHECKS]
    names = {check.name for check in CHECKS}  # each is the code of its all-clear too
    assert set().union(*table.values()) - names == made - names
