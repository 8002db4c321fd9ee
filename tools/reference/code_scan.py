"""Which codes findings, notices and failures have, and what is said with each: read from the source of the program.

A code is a word with hyphens that stands in the source as a text of its own. Words with hyphens that are something else
(formats, shapes of JSON, options of other programs) are listed here, so a new one has to be named one or the other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from taorunner.cli.fast.words import DEFAULTS, GROUPS, TABLE
from taorunner.console.shapes.shapes import shape_names
from taorunner.datasets.formats.recognise import NAMED
from taorunner.doctor.runner import CHECKS
from taorunner.text import amount

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "taorunner"
_WORD = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+\Z")
_QUOTED = re.compile(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"')
_SHAPED = frozenset({"Finding", "Notice", "problem", "Check"})
"""Calls whose words without a hyphen are codes too."""

_SHAPED_CALL = re.compile(rf"\b(?:{'|'.join(sorted(_SHAPED))})\(")

_OTHER_WORDS = """
    automl-vision class-descriptions coco-text create-ml edge-impulse ibm-cloud-annotations kaggle-wheat
    label-studio scale-ai unity-perception v7-darwin via-csv vott-csv wider-face word-list yolo-keras
    yolov4-pytorch batch-size learning-rate max-epochs num-epochs resume-from download-version int8-tensorfile
    before-fix double-quoted single-quoted file-lists on-finish only-first only-second ch-run
    dial-stdio json-file k8s-file keep-id microsoft-standard no-new-privileges non-root nvidia-container-cli
    nvidia-container-toolkit nvidia-ctk nvidia-docker nvidia-smi current-context date-time driver-type is-args
    lib-dynload page-number page-size sort-order with-secrets x-gzip rxvt-unicode-256color screen-256color
    tmux-256color xterm-256color xterm-color utf-16 utf-8 utf-8-sig taorunner-check taorunner-each-byte
    taorunner-gpus taorunner-quickstart docker-ssh dry-run-shell mark-lost sample-dataset spec-schemas
    sweep-check tao-core tao-runner dataset-checks dataset-convert cluster-check no-apikey parse-bbox-func-name
"""
NOT_CODES = frozenset(_OTHER_WORDS.split())
"""Formats, options of other programs, names of files and programs: words with hyphens that are no codes."""

OF_OTHER_PROGRAMS = frozenset({"backends/slurm/target.py"})
"""Modules whose words are those of another program: options of sbatch."""


class Said(NamedTuple):
    """One place of the source: how severe it is, the message and the next step, with placeholders in capitals."""

    severity: str
    message: str
    hint: str


class Place(NamedTuple):
    """A code at a module below the package."""

    code: str
    module: str
    said: tuple[Said, ...]


def places() -> Iterator[Place]:
    """Every place of a code in the source, by module. Causes of failures are read from their table, not from here."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).as_posix()
        if not module.startswith(("progress/causes/", "embedded/")) and module not in OF_OTHER_PROGRAMS:
            text = path.read_text(encoding="utf-8")
            words = set(_QUOTED.findall(text))
            if words - not_codes() or _SHAPED_CALL.search(text):
                yield from _Reader(ast.parse(text), module).found()


@cache
def not_codes() -> frozenset[str]:
    """Words with hyphens that are no codes."""
    commands = {word for name in (*TABLE, *GROUPS, *DEFAULTS) for word in name.split()}
    return NOT_CODES | commands | set(shape_names()) | set(NAMED)


def check_names() -> list[str]:
    """The codes of what ``doctor`` finds in order."""
    return [check.name for check in CHECKS]


class _Reader:
    def __init__(self, tree: ast.Module, module: str) -> None:
        self._tree, self._module, self._not_codes = tree, module, not_codes()
        self._parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
        self._constants = dict(_assignments(tree.body))

    def found(self) -> Iterator[Place]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and self._is_code(node):
                yield Place(node.value, self._module, tuple(self._said(node)))

    def _is_code(self, node: ast.Constant) -> bool:
        parent = self._parents[node]
        if _WORD.match(node.value):
            return node.value not in self._not_codes and not isinstance(parent, ast.JoinedStr)
        if not re.fullmatch(r"[a-z0-9]+", node.value) or not isinstance(parent, ast.Call):
            return False
        name = _called(parent)
        place = 1 if name in ("Finding", "Notice", "problem") else 0
        return name in _SHAPED and len(parent.args) > place and parent.args[place] is node

    def _said(self, node: ast.Constant) -> Iterator[Said]:
        """What stands beside the code, in the same call, tuple or row of a table."""
        holder: ast.AST = self._parents[node]
        if isinstance(holder, ast.IfExp):
            node, holder = holder, self._parents[holder]  # type: ignore[assignment]
        if isinstance(holder, ast.keyword):
            holder = self._parents[holder]
        if isinstance(holder, ast.Dict):
            values = [v for k, v in zip(holder.keys, holder.values, strict=True) if k is node]
            texts = [text for value in values for text in self._texts(value)]
            if texts:
                yield Said("", texts[0], texts[1] if len(texts) > 1 else "")
            return
        if isinstance(holder, ast.Call):
            after = [one for one in holder.args if one is not node]
            named = {one.arg: one.value for one in holder.keywords if one.arg}
            given = _called(holder)
        elif isinstance(holder, ast.Tuple):
            after, named, given = [one for one in holder.elts if one is not node], {}, ""
        else:
            return
        texts_of = [found for one in after if (found := list(self._texts(one)))]
        hints = (
            list(self._texts(named[key]))
            if (key := next((k for k in ("hint", "repair") if k in named), ""))
            else []
        )
        messages = (
            texts_of[0] if texts_of else list(self._texts(named["message"])) if "message" in named else []
        )
        if not hints and len(texts_of) > 1:
            hints = texts_of[1]
        for message in messages:
            yield Said(_severity(holder, given), message, hints[0] if hints else "")

    def _texts(self, node: ast.AST) -> Iterator[str]:
        """The texts that an expression can be, as far as they stand in this module."""
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and " " in node.value.strip():
                yield " ".join(node.value.split())
        elif isinstance(node, ast.JoinedStr):
            text = _template(node)
            if re.search(r"[a-z]{2,} ?", text):
                yield text
        elif isinstance(node, ast.IfExp):
            yield from self._texts(node.body)
            yield from self._texts(node.orelse)
        elif isinstance(node, ast.BinOp):
            lefts, rights = list(self._texts(node.left)), list(self._texts(node.right))
            yield from [
                f"{one} {other}".strip() for one in lefts or [""] for other in rights or [""] if one or other
            ]
        elif isinstance(node, ast.Name):
            for value in self._values(node):
                yield from self._texts(value)

    def _values(self, name: ast.Name) -> Iterable[ast.AST]:
        """What is assigned to a name in the function around it, the nearest before it; else in the module."""
        owner: ast.AST | None = self._parents.get(name)
        while owner is not None and not isinstance(owner, ast.FunctionDef):
            owner = self._parents.get(owner)
        if isinstance(owner, ast.FunctionDef):
            own = [
                value
                for one, value in _assignments(ast.walk(owner))
                if one == name.id and (value.end_lineno or 0) < name.lineno
            ]
            if own:
                return own[-1:]
        found = self._constants.get(name.id)
        return [found] if found is not None else []


def _assignments(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    for node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name):
                yield target.id, node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for one, value in zip(target.elts, node.value.elts, strict=False):
                    if isinstance(one, ast.Name):
                        yield one.id, value


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _severity(holder: ast.AST, called: str) -> str:
    named = [node.attr for node in ast.walk(holder) if isinstance(node, ast.Attribute) and _is_severity(node)]
    if named:
        return named[0].lower()
    word = called.strip("_")
    if word in ("error", "warning", "info", "ok"):
        return word
    return {"report_info": "info", "Notice": "notice", "notice": "notice"}.get(
        word, "error" if word.endswith("Error") else ""
    )


def _is_severity(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "Severity"


def _template(node: ast.JoinedStr) -> str:
    parts = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value))
        elif isinstance(part, ast.FormattedValue):
            parts.append(_placeholder(part.value))
    return " ".join("".join(parts).split())


def _placeholder(node: ast.expr) -> str:
    """``KEY`` for ``{key}``, ``N images`` for ``{amount(n, "image")}``, … for what has no name."""
    if isinstance(node, ast.Call) and _called(node) == "amount" and len(node.args) > 1:
        units = [one.value for one in node.args[1:] if isinstance(one, ast.Constant)]
        return f"N {amount(2, *units).partition(' ')[2]}" if units else "N"
    if isinstance(node, ast.Call) and node.args:
        return _placeholder(node.args[0])
    if isinstance(node, ast.Call):
        return _placeholder(node.func)
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.strip("_").upper() or "…"
