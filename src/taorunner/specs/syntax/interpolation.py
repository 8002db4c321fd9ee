"""Can OmegaConf read the ``${…}`` of a text? What they stand for is not looked at.

``${a.b}``, ``${.b}``, ``${a[0]}`` and ``${oc.env:NAME,default}`` are read, also one in another.

Source: omegaconf 2.3 ``grammar/OmegaConfGrammarLexer.g4``.
"""

from __future__ import annotations

import re

_BLANKS = re.compile(r"[ \t]*")
_KEY = re.compile(r"[^\\{}()\[\]:. \t'\"]+")
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_REFERENCE = re.compile(r"\$\{[ \t]*(\.*)([^{}:.\s][^{}:]*?)[ \t]*\}")
_RESOLVER = re.compile(r"\$\{[ \t]*([A-Za-z_][\w.-]*)[ \t]*:")
_KNOWN_RESOLVERS = ("oc.", "hydra", "now", "eval")
"""Source: omegaconf 2.3 ``OmegaConf.register_default_resolvers``, hydra 1.3 ``core.utils.setup_globals``, tao-pytorch
``core/hydra/hydra_runner.py``."""
_MAX_DEPTH = 20


def unreadable_interpolation(text: str) -> str | None:
    """The beginning of the first interpolation that cannot be read; None where all can."""
    position = 0
    while (start := text.find("${", position)) >= 0:
        before = text[:start]
        if (len(before) - len(before.rstrip("\\"))) % 2:
            position = start + 2  # escaped
            continue
        end = _interpolation(text, start, 0)
        if end is None:
            return text[start : start + 40]
        position = end
    return None


def references(text: str, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The keys that the ``${…}`` of the value at ``path`` stand for: ``${..a}`` is next to the section it is in."""
    found = []
    for match in _REFERENCE.finditer(text):
        dots, names = match[1], re.split(r"[.\[\]]+", match[2].strip("[]"))
        found.append((*path[: len(path) - len(dots)], *names) if dots else tuple(names))
    return found


def has_unknown_resolver(text: str) -> bool:
    return any(not match[1].startswith(_KNOWN_RESOLVERS) for match in _RESOLVER.finditer(text))


def _interpolation(text: str, start: int, depth: int) -> int | None:
    """The offset behind the interpolation that starts here."""
    if depth > _MAX_DEPTH:
        return None
    inside = _blanks(text, start + 2)
    end = _node(text, inside, depth)
    return end if end is not None else _resolver(text, inside, depth)


def _node(text: str, at: int, depth: int) -> int | None:
    while text.startswith(".", at):
        at += 1
    is_first = True
    while True:
        if text.startswith("[", at):
            found = _part(_KEY, text, at + 1, depth)
            if found is None or not text.startswith("]", found):
                return None
            at = found + 1
        elif is_first or text.startswith(".", at):
            found = _part(_KEY, text, at if is_first else at + 1, depth)
            if found is None:
                return None
            at = found
        else:
            at = _blanks(text, at)
            return at + 1 if text.startswith("}", at) else None
        is_first = False


def _resolver(text: str, at: int, depth: int) -> int | None:
    while True:
        found = _part(_NAME, text, at, depth)
        if found is None:
            return None
        if not text.startswith(".", found):
            break
        at = found + 1
    at = _blanks(text, found)
    return _arguments(text, at + 1, depth) if text.startswith(":", at) else None


def _arguments(text: str, at: int, depth: int) -> int | None:
    """Behind the brace that closes the arguments of a resolver."""
    opened: list[str] = []
    while at < len(text):
        char = text[at]
        if text.startswith("${", at):
            end = _interpolation(text, at, depth + 1)
            if end is None:
                return None
            at = end
            continue
        if char in "'\"":
            quoted = _QUOTED.match(text, at)
            if quoted is None:
                return None
            at = quoted.end()
            continue
        if char == "\\":
            at += 2
            continue
        if char == "}" and not opened:
            return at + 1
        if char in "{[":
            opened.append("}" if char == "{" else "]")
        elif char in "}]" and (not opened or opened.pop() != char):
            return None
        at += 1
    return None


def _part(pattern: re.Pattern[str], text: str, at: int, depth: int) -> int | None:
    if text.startswith("${", at):
        return _interpolation(text, at, depth + 1)
    match = pattern.match(text, at)
    return match.end() if match is not None else None


def _blanks(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match is not None else at
