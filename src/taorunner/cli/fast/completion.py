"""Answers tab completion requests in a few milliseconds.

It bypasses Typer, which would import a validator at each key press. Command words come from ``words``, generated from
the app; names of experiments, runs, files and networks from ``names``. An error gives no words. The scripts that shells
load are Typer's (``scripts``).
The ``_TYPER_COMPLETE`` variables of those scripts are read here and nowhere else;
``tests/cli/fast/test_private_names.py`` fails when they change.
"""

from __future__ import annotations

import shlex

from taorunner.cli.fast.names import Line, values
from taorunner.cli.fast.words import DEFAULTS, GROUPS, ROOT_OPTIONS, TABLE, Command

TYPE_CHECKING = False  # importing typing would take a tenth of the time of an answer
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def answer(shell: str, environ: Mapping[str, str], *command: str) -> int:
    """Prints the completions that a shell asked for; returns the exit code it expects. Never raises.

    ``command`` is what the program stands for, as ``tao_pt`` for ``shell``.
    """
    try:
        args, incomplete = _request(shell, environ)
        found = complete([*command, *args], incomplete, environ)
    except Exception:  # a key press must never show an error
        found, incomplete = [], ""
    if shell == "fish" and environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return 0 if found else 1
    if shell == "bash":
        found = _after_break(found, incomplete)
    text = _FORMATS.get(shell, _plain)(found)
    if text:
        print(text)
    return 0


def complete(args: list[str], incomplete: str, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """``(word, help)`` of the words that complete ``incomplete`` after ``args`` (without the program)."""
    if "--" in args:
        return []
    name, command, words, pending = _read(args)
    line = Line(args, environ, name, words)
    if pending is not None:
        return _starting(values(line, pending, incomplete), incomplete)
    if "=" in incomplete and incomplete.startswith("--"):
        flag, _, value = incomplete.partition("=")
        kind = _options(name, command).get(flag, "any")
        return [(f"{flag}={word}", text) for word, text in _starting(values(line, kind, value), value)]
    if incomplete.startswith("-"):
        options = _options(name, command)
        return _starting(((flag, "") for flag in sorted(options)), incomplete)
    if command is None:
        found = _starting(_subcommands(name), incomplete)
        default = TABLE[DEFAULTS[name]] if name in DEFAULTS else None
        return (
            [*found, *_starting(values(line, default.words[0], incomplete), incomplete)] if default else found
        )
    if not command.words:
        return []
    kind = command.words[min(len(words), len(command.words) - 1)]
    taken = set(words) if kind in ("experiment", "project", "run", "live") else set()
    return [item for item in _starting(values(line, kind, incomplete), incomplete) if item[0] not in taken]


def _options(name: str, command: Command | None) -> Mapping[str, str]:
    if command is None and name in DEFAULTS:
        command = TABLE[DEFAULTS[name]]
    return command.options if command else ROOT_OPTIONS


def _subcommands(name: str) -> list[tuple[str, str]]:
    if name:
        return [
            (key.split()[1], command.help) for key, command in TABLE.items() if key.startswith(name + " ")
        ]
    plain = [(key, command.help) for key, command in TABLE.items() if " " not in key]
    return plain + list(GROUPS.items())


def _read(args: list[str]) -> tuple[str, Command | None, list[str], str | None]:
    """The command's name, the command, its positional words, and the kind of value that the last flag waits for."""
    name, command = "", None
    words: list[str] = []
    pending: str | None = None
    for arg in args:
        if pending is not None:
            pending = None
        elif arg.startswith("-") and arg != "-":
            options = _options(name, command)
            pending = None if "=" in arg else (options.get(arg) or None)
        elif command is None:
            group, name = name, f"{name} {arg}".strip()
            command = TABLE.get(name)
            if command is None and group in DEFAULTS:
                name, command = DEFAULTS[group], TABLE[DEFAULTS[group]]
                words.append(arg)
            elif command is None and name not in GROUPS:
                return name, Command("", {}), [], None
        else:
            words.append(arg)
    return name, command, words, pending


def _starting(items: Iterable[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    return [item for item in items if item[0].startswith(incomplete)]


def _request(shell: str, environ: Mapping[str, str]) -> tuple[list[str], str]:
    """The complete words before the cursor, without the program, and the incomplete one."""
    if shell == "bash":
        words = _split(environ.get("COMP_WORDS", ""))
        at = int(environ.get("COMP_CWORD", "0"))
        *args, incomplete = _whole_words([*words[1:at], words[at] if at < len(words) else ""])
        return args, incomplete
    line = environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)[1:]
    if shell in ("powershell", "pwsh"):
        incomplete = environ.get("_TYPER_COMPLETE_WORD_TO_COMPLETE", "")
        return (words[:-1] if incomplete and words else words), incomplete
    if words and not line.endswith(" "):
        return words[:-1], words[-1]
    return words, ""


def _whole_words(parts: list[str]) -> list[str]:
    """bash breaks words at ``=`` and ``:``, which are words of their own then."""
    words: list[str] = []
    is_open = False
    for part in parts:
        if words and (part in ("=", ":") or is_open):
            words[-1] += part
        else:
            words.append(part)
        is_open = part in ("=", ":")
    return words


def _after_break(found: list[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    """bash replaces only what follows the last ``=`` or ``:``."""
    start = max(incomplete.rfind("="), incomplete.rfind(":")) + 1
    return [(word[start:], text) for word, text in found]


def _split(line: str) -> list[str]:
    """Shell words; an unfinished quote ends at the end of the line."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        words.append(lexer.token)
    return words


def _plain(found: list[tuple[str, str]]) -> str:
    return "\n".join(word for word, _ in found)


def _zsh(found: list[tuple[str, str]]) -> str:
    if not found:
        return "_files"
    lines = [
        f'"{_zsh_word(word)}":"{_zsh_word(text)}"' if text else f'"{_zsh_word(word)}"' for word, text in found
    ]
    return "_arguments '*: :((" + "\n".join(lines) + "))'"


def _zsh_word(text: str) -> str:
    for old, new in (('"', '""'), ("'", "''"), ("$", "\\$"), ("`", "\\`"), (":", "\\\\:")):
        text = text.replace(old, new)
    return text


def _fish(found: list[tuple[str, str]]) -> str:
    return "\n".join(f"{word}\t{text}" if text else word for word, text in found)


def _powershell(found: list[tuple[str, str]]) -> str:
    return "\n".join(f"{word}:::{text or ' '}" for word, text in found)


_FORMATS: dict[str, Callable[[list[tuple[str, str]]], str]] = {
    "bash": _plain, "zsh": _zsh, "fish": _fish, "powershell": _powershell, "pwsh": _powershell,
}  # fmt: skip
