"""Prints every text a user can read, so that all of them can be read as a whole, once.

    python tools/user_texts.py                 messages, hints and help, by file and line
    python tools/user_texts.py --docstrings    the docstrings
    python tools/user_texts.py --markers       texts with a marker word of unclear English, and their share

A text is a string in the program that reads as words: not a docstring, pattern, key or path. Values that are put in are
shown as ``{}``. Texts that are data (traps of networks, scaffolds) are taken from the catalog's YAML files.
With ``--markers`` the exit code is 1 when more than 1 % of the texts or of the docstrings hold one.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "taorunner"
MOST_PERCENT = 1.0
MARKERS = re.compile(
    r"\b(?:told|tells of|whoever|whose question|anew|mend(?:s|ed|ing)?|so often|so many|nobody can say|nobody knows|"
    r"nobody asks|stands (?:in|at|there)|somebody else's|goes round|what somebody|asks whose)\b",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[A-Za-z][a-z']+(?:[ ,;:]+[A-Za-z'\"{}]+)+")
_PATTERN_CALLS = {"compile", "match", "search", "fullmatch", "sub", "finditer", "findall", "split"}
_DATA_KEYS = re.compile(
    r"^\s*(?:-\s*)?(?:summary|trap|traps|note|why|hint|text|description|title):\s*(?P<text>.+)$"
)


@dataclass(frozen=True)
class Text:
    """``line`` is 1-based; ``text`` in one line, inserted values as ``{}``."""

    file: Path
    line: int
    text: str


def docstrings() -> Iterator[Text]:
    for file, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found = ast.get_docstring(node)
                if found:
                    yield Text(file, getattr(node, "lineno", 1), " ".join(found.split()))


def messages() -> Iterator[Text]:
    for file, tree in _modules():
        finder = _Messages(file)
        finder.visit(tree)
        yield from finder.found
    for file in sorted((PACKAGE / "catalog").rglob("*.yml")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            match = _DATA_KEYS.match(line)
            if match and _reads_as_words(match["text"]):
                yield Text(file, number, match["text"].strip())


def _modules() -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        yield file, ast.parse(file.read_text(encoding="utf-8"))


class _Messages(ast.NodeVisitor):
    """Collects strings that read as words. Strings alone on a line are docstrings of values, not messages."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.found: list[Text] = []

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in _PATTERN_CALLS and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == "re":
                return
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        self._take(node.lineno, "".join(str(part) for part in parts))

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._take(node.lineno, node.value)

    def _take(self, line: int, text: str) -> None:
        if _reads_as_words(text):
            self.found.append(Text(self._file, line, " ".join(text.split())))


def _reads_as_words(text: str) -> bool:
    """At least two words of plain text, and no sign of a regular expression or of code."""
    return bool(_WORDS.search(text)) and not re.search(r"\(\?|\\[dswb]|\[\^|import |^\s*#!|def ", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--docstrings", action="store_true", help="print the docstrings instead")
    parser.add_argument("--markers", action="store_true", help="print and count the texts with marker words")
    options = parser.parse_args()
    if not options.markers:
        for text in docstrings() if options.docstrings else messages():
            _show(text)
        return 0
    worst = 0.0
    for kind, texts in (("docstrings", list(docstrings())), ("messages", list(messages()))):
        marked = [text for text in texts if MARKERS.search(text.text)]
        for text in marked:
            _show(text)
        share = 100 * len(marked) / max(1, len(texts))
        worst = max(worst, share)
        print(f"{kind}: {len(marked)} of {len(texts)} hold a marker word ({share:.1f} %)")
    return 1 if worst > MOST_PERCENT else 0


def _show(text: Text) -> None:
    print(f"{text.file.relative_to(ROOT)}:{text.line}: {text.text}")


if __name__ == "__main__":
    sys.exit(main())
