"""Keeps the options of the command line in a hint that says to type the same command again: without them the command of
the hint does something else (``--overwrite`` with another checkpoint than the one that was asked for)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from taorunner.cli.fast.words import TABLE
from taorunner.errors import TaorunnerError
from taorunner.text import is_secret_name
from taorunner.values.value import replace

_PLACE = ("-p", "--project", "--workspace")
"""The hint says these itself, where they are needed (``typed_commands``)."""
_SOURCES = ("--from-launcher", "--from-skill-bank", "--from-tao-runner")
_NOT_AGAIN = frozenset({*_PLACE, "--dry-run", "--check", "--help", "--all", *_SOURCES})
"""What the hint is about is to be done, and for one experiment. Where nothing can be imported from a source, the hint
begins without it."""
_OF_HOST = frozenset({"--on-host", "--truth", "--split", "--engine"})
_PAIRS = ("--env", "--set")
_CALL = (
    r"\btaorunner(?: (?:-p|--project|--workspace) \S+)* (?P<command>{commands})"
    r"(?: (?:-p|--project) \S+)? (?P<name>(?!-)[^\s;,()]+)(?=[\s;,)\"]|\Z)"
)


def with_typed_options(error: TaorunnerError, words: Sequence[str], extra: Sequence[str]) -> TaorunnerError:
    """``error`` with the typed options in each hint that repeats the command. ``words`` are the command line without
    the program, ``extra`` what follows ``--`` in it."""
    typed = _Typed.of(words, extra)
    if typed is None:
        return error
    error.findings = tuple(
        replace(one, hint=typed.kept_in(one.hint, one.message)) if one.hint else one for one in error.findings
    )
    if error.hint:
        error.hint = typed.kept_in(error.hint, error.message)
    return error


class _Typed:
    """A command line: ``commands`` that a hint may repeat, its plain words, and its options as they are typed."""

    def __init__(
        self, commands: Sequence[str], plain: Sequence[str], options: Sequence[tuple[str, str]], extra: str
    ) -> None:
        self._commands, self._plain, self._options, self._extra = commands, plain, options, extra

    @classmethod
    def of(cls, words: Sequence[str], extra: Sequence[str]) -> _Typed | None:
        """None for a line without a known command, or without anything to keep."""
        rest = list(words)
        while rest and rest[0].startswith("-"):
            rest = rest[2:] if rest[0] in _PLACE else rest[1:]
        command = next(
            (" ".join(rest[:length]) for length in (2, 1) if " ".join(rest[:length]) in TABLE), None
        )
        if command is None:
            return None
        plain, options = _parted(rest[len(command.split()) :], TABLE[command].options)
        commands = [command]
        if command == "run":
            commands = [f"run {word}" for word in plain[:2]]  # the action may stand behind the experiment
        if any(flag == "--on-host" for flag, _ in options):
            commands.append("inference")
        kept = [(flag, text) for flag, text in options if flag not in _NOT_AGAIN]
        said = f" -- {shlex.join(extra)}" if extra else ""
        return cls(commands, plain, kept, said) if kept or said else None

    def kept_in(self, hint: str, message: str) -> str:
        """``hint`` with what was typed, but for what it says itself and what ``message`` is about."""
        found, at = "", 0
        calls = _CALL.replace("{commands}", "|".join(map(re.escape, self._commands)))
        for call in re.finditer(calls, hint):
            end = call.end("name")
            while (more := re.match(r" ([^\s;,()]+)", hint[end:])) is not None and more[1] in self._plain:
                end += more.end()
            own = re.match(r"(?: --?[a-z][a-z-]*)*", hint[end:])
            own_end = end + (own.end() if own is not None else 0)
            said = {*re.findall(r"(?<!\S)--?[a-z][a-z-]*", f"{message} {hint[end:]}")}
            dropped = _OF_HOST if call["command"] == "inference" else frozenset()
            kept = "".join(
                f" {text}" for flag, text in self._options if flag not in said and flag not in dropped
            )
            found += f"{hint[at:end]}{kept}{hint[end:own_end]}{self._extra}"
            at = own_end
        return found + hint[at:]


def _parted(words: Sequence[str], known: Mapping[str, str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The plain words, and each option with its value as a shell takes them. ``known``: the kind of each value."""
    plain: list[str] = []
    options: list[tuple[str, str]] = []
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if not word.startswith("-"):
            plain.append(word)
        elif known.get(flag):
            value = value if equals else next(rest, "")
            options.append((flag, f"{flag} {shlex.quote(_shown(flag, value))}"))
        elif flag in known:
            options.append((flag, flag))
    return plain, options


def _shown(flag: str, value: str) -> str:
    """A pair without a secret that is written out."""
    name, equals, text = value.partition("=")
    is_secret = flag in _PAIRS and equals and is_secret_name(name.rpartition(".")[2])
    return f"{name}=VALUE" if is_secret and not text.startswith(("env:", "file:")) else value
