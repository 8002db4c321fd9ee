"""Every text of the program that names one of its commands names one that exists, with options that it has."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from taorunner.cli.fast.words import DEFAULTS, GROUPS, TABLE

_CALL = re.compile(r"\btaorunner ((?:-p \S+ )?[a-z][^`\"\n;,|()]*)")
_OPTION = re.compile(r"--?[a-z][a-z-]*\Z")
_SENTENCES = frozenset({
    "checks", "does", "fills", "from", "has", "ignores", "itself", "keeps", "knows", "looks", "names", "needs", "passes",
    "read", "reads", "sets", "starts", "tinydet", "uses", "was", "writes", "wrote",
})  # fmt: skip
"""What follows the program's name where a text says what it does; tinydet is a name in an ONNX file."""


def user_texts() -> ModuleType:
    place = Path(__file__).resolve().parents[3] / "tools" / "user_texts.py"
    spec = importlib.util.spec_from_file_location("user_texts", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def commands() -> Iterator[tuple[str, list[str]]]:
    """The place of each command in a text, and its words."""
    for text in user_texts().messages():
        if text.file.name == "root_page.py":  # the page itself, whose commands are those of the table
            continue
        for call in _CALL.finditer(text.text.replace("{}", "X").replace("taorunner taorunner", "taorunner")):
            words = re.split(r"\s+|[:.](?=\s|\Z)", call[1].strip())
            yield f"{text.file.name}:{text.line}", [word for word in words if word]


def wrong(words: list[str]) -> str | None:
    """What is no command or no option of it; None where the words can be typed."""
    if words[0] == "-p":
        words = words[2:]
    if words[0].rstrip("X") in _SENTENCES or words[0] == "is":
        return None
    name, rest = words[0], words[1:]
    if name in GROUPS and f"{name} {rest[0] if rest else ''}" in TABLE:
        name, rest = f"{name} {rest[0]}", rest[1:]
    name = DEFAULTS.get(name, name)
    if name in GROUPS and name not in TABLE:
        return None if not rest or rest[0] in ("COMMAND", "--help", "X") else f"{name} {rest[0]}"
    if name not in TABLE:
        return name
    if "--" in rest:
        rest = rest[: rest.index("--")]
    known = {*TABLE[name].options, "--help", "-h", "-v", "-p", "--workspace", "--project"}
    return next((word for word in rest if _OPTION.match(word) and word not in known), None)


def test_every_command_in_a_text_can_be_typed() -> None:
    found = list(commands())
    assert len(found) > 250
    assert [(place, words, what) for place, words in found if (what := wrong(words)) is not None] == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("runs show X", None), ("-p X train X --then evaluate", None), ("run foo X --gpus 2", None),
        ("trian X", "trian"), ("runs shew X", "runs shew"), ("train X --epohcs 3", "--epohcs"),
        ("dataset check X --fix", None), ("shell --jupyter", None), ("shell -- python --nothing", None),
    ],
)  # fmt: skip
def test_what_cannot_be_typed_is_noticed(line: str, what: str | None) -> None:
    assert wrong(line.split()) == what
