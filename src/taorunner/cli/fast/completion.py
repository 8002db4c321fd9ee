"""Answers tab completion requests in a few milliseconds.

It bypasses Typer, which would import a validator at each key press. Command words come from ``words``, generated from
the app; names come from folder names and from the keys under ``experiments:``. An error gives no words. The scripts
that shells load are Typer's (``taorunner --install-completion``).
The ``_TYPER_COMPLETE`` variables of those scripts are read here and nowhere else;
``tests/cli/fast/test_private_names.py`` fails when they change.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from taorunner.cli.fast.words import DEFAULTS, GROUPS, ROOT_OPTIONS, TABLE, Command

TYPE_CHECKING = False  # importing typing would take a tenth of the time of an answer
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def answer(shell: str, environ: Mapping[str, str]) -> int:
    """Prints the completions that a shell asked for; returns the exit code it expects. Never raises."""
    try:
        args, incomplete = _request(shell, environ)
        found = complete(args, incomplete, environ)
    except Exception:  # a key press must never show an error
        found = []
    if shell == "fish" and environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return 0 if found else 1
    text = _FORMATS.get(shell, _plain)(found)
    if text:
        print(text)
    return 0


def complete(args: list[str], incomplete: str, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """``(word, help)`` of the words that complete ``incomplete`` after ``args`` (without the program)."""
    if "--" in args:
        return []
    name, command, words, pending = _read(args)
    context = _Context(args, environ)
    if pending is not None:
        return _starting(context.values(pending), incomplete)
    if "=" in incomplete and incomplete.startswith("--"):
        flag, _, value = incomplete.partition("=")
        kind = _options(name, command).get(flag, "any")
        return [(f"{flag}={word}", text) for word, text in _starting(context.values(kind), value)]
    if incomplete.startswith("-"):
        options = _options(name, command)
        return _starting(((flag, "") for flag in sorted(options)), incomplete)
    if command is None:
        found = _starting(_subcommands(name), incomplete)
        default = TABLE[DEFAULTS[name]] if name in DEFAULTS else None
        return [*found, *_starting(context.values(default.words[0]), incomplete)] if default else found
    if not command.words:
        return []
    kind = command.words[min(len(words), len(command.words) - 1)]
    taken = set(words) if kind in ("experiment", "project", "run") else set()
    return [item for item in _starting(context.values(kind), incomplete) if item[0] not in taken]


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


class _Context:
    """The words of the line before the incomplete one, and the variables of the shell."""

    def __init__(self, args: list[str], environ: Mapping[str, str]) -> None:
        self.args = args
        self.environ = environ

    def values(self, kind: str) -> Iterable[tuple[str, str]]:
        if kind == "backend":
            from taorunner.target_names import target_names

            return [(name, "") for name in target_names()]
        names = _NAMES.get(kind)
        return [(name, "") for name in names(self)] if names is not None else []

    def option(self, *flags: str) -> str | None:
        for at, arg in enumerate(self.args):
            if arg in flags and at + 1 < len(self.args):
                return self.args[at + 1]
            for flag in flags:
                if arg.startswith(flag + "="):
                    return arg[len(flag) + 1 :]
        return None

    def root(self) -> Path | None:
        given = self.option("--workspace") or self.environ.get("TAORUNNER_WORKSPACE")
        if given:
            return Path(given).expanduser()
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / "projects").is_dir() or (folder / ".taorunner").is_dir():
                return folder
        return None

    def project(self, root: Path) -> Path | None:
        projects = root / "projects"
        given = self.option("-p", "--project")
        if given is None:
            try:
                given = Path.cwd().relative_to(projects).parts[0]
            except (ValueError, IndexError):
                given = self.environ.get("TAORUNNER_PROJECT")
        if given:
            return projects / given if "/" not in given else None
        names = _folders(projects)
        return projects / names[0] if len(names) == 1 else None


def _projects(context: _Context) -> list[str]:
    root = context.root()
    return _folders(root / "projects") if root else []


def _experiments(context: _Context) -> list[str]:
    root = context.root()
    project = context.project(root) if root else None
    if project is None:
        return []
    with (project / "experiments.yml").open(encoding="utf-8", errors="replace") as file:
        return _experiment_keys(file.read(4 * 1024 * 1024))


def _experiment_keys(text: str) -> list[str]:
    """The keys directly below ``experiments:``, found by their indentation."""
    match = re.search(r"^experiments:[ \t]*(?:#.*)?$", text, re.MULTILINE)
    if match is None:
        return []
    names: list[str] = []
    indent: str | None = None
    for line in text[match.end() :].splitlines():
        key = re.match(r"([ \t]*)([\"']?)([A-Za-z0-9][A-Za-z0-9._-]*)\2[ \t]*:(?:[ \t]|$)", line)
        if line.strip() and not line.lstrip().startswith("#") and not line[0].isspace():
            break
        if key is None:
            continue
        indent = key[1] if indent is None else indent
        if key[1] == indent:
            names.append(key[3])
    return names


def _heads(context: _Context) -> list[str]:
    from taorunner.catalog.names import network_names, own_network_names

    root = context.root()
    own = own_network_names(str(root / "networks")) if root else ()
    return sorted({*network_names(), *own})


def _backbones(context: _Context) -> list[str]:
    """Of the network of ``--head``."""
    from taorunner.catalog.load import Catalog

    layout = Catalog().layout(context.option("--head") or "")
    return sorted(layout.backbones.names) if layout is not None and layout.backbones is not None else []


def _actions(_context: _Context) -> list[str]:
    return action_names()


def action_names() -> list[str]:
    """Every action of any network."""
    found: set[str] = set()
    folder = Path(__file__).parents[2] / "catalog" / "data"
    for file in folder.rglob("*.yml"):
        text = file.read_text(encoding="utf-8")
        for block in re.finditer(
            r"^( *)actions:[ \t]*\n((?:\1 +.*\n|[ \t]*\n|[ \t]*#.*\n)+)", text, re.MULTILINE
        ):
            lines = block[2].splitlines()
            depths = [
                len(line) - len(line.lstrip()) for line in lines if line.strip() and line.lstrip()[0] != "#"
            ]
            if depths:
                pattern = re.compile(rf" {{{min(depths)}}}([a-z][a-z_]*):")
                found.update(match[1] for line in lines if (match := pattern.match(line)))
    return sorted(found)


def _runs(context: _Context) -> list[str]:
    root = context.root()
    return sorted(_folders(root / ".taorunner" / "runs"), reverse=True)[:200] if root else []


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
            )
    except OSError:
        return []


_NAMES: dict[str, Callable[[_Context], list[str]]] = {
    "project": _projects, "experiment": _experiments, "head": _heads, "backbone": _backbones,
    "action": _actions, "run": _runs,
}  # fmt: skip


def _starting(items: Iterable[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    return [item for item in items if item[0].startswith(incomplete)]


def _request(shell: str, environ: Mapping[str, str]) -> tuple[list[str], str]:
    """The complete words before the cursor, without the program, and the incomplete one."""
    if shell == "bash":
        words = _split(environ.get("COMP_WORDS", ""))
        at = int(environ.get("COMP_CWORD", "0"))
        return words[1:at], words[at] if at < len(words) else ""
    line = environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)[1:]
    if shell in ("powershell", "pwsh"):
        incomplete = environ.get("_TYPER_COMPLETE_WORD_TO_COMPLETE", "")
        return (words[:-1] if incomplete and words else words), incomplete
    if words and not line.endswith(" "):
        return words[:-1], words[-1]
    return words, ""


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
