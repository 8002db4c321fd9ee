"""The page of commands: each with its usage, examples, arguments and options, from the app."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from taorunner.cli import help_pages
from taorunner.cli.app import make_app
from taorunner.console.shapes.shapes import COMMANDS

_HEAD = """\
# Commands

`taorunner COMMAND --help` prints the same. `-p PROJECT`, `--workspace DIR`, `-q` and `-v` go before or after any command.
Words after `--` go to TAO as they are. What the exit codes mean: [exit codes](exit-codes.md); what `--json` prints:
[JSON](json.md).
"""


def page() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(make_app())
    rows = list(commands(root))
    lines = [_HEAD, "| command | does |", "|---|---|"]
    lines += [f"| [`{name}`](#{anchor(name)}) | {cell(_summary(command))} |" for name, command in rows]
    lines += ["", "## Options of every command", "", *_option_table(root)]
    seen: dict[str, str] = {}
    for name, command in rows:
        lines += ["", *_section(name, command, seen)]
    return "\n".join(lines).rstrip() + "\n"


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Groups and commands by their names, in the order of the help."""
    for name, inner in group.commands.items():
        if getattr(inner, "hidden", False):
            continue
        yield f"{path}{name}", inner
        if hasattr(inner, "commands"):
            yield from commands(inner, f"{path}{name} ")


def anchor(name: str) -> str:
    """The place of a command on the page."""
    return name.replace(" ", "-")


def cell(text: str) -> str:
    """As a cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _summary(command: Any) -> str:
    return help_pages._summary(command)


def _section(name: str, command: Any, seen: dict[str, str]) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    summary, _, more = (command.help or "").partition("\n")
    yield f"{cell(summary)}."
    if hasattr(command, "commands"):
        yield ""
        default = getattr(command, "default_command", None)
        inner = ", ".join(
            f"[`{name} {one}`](#{anchor(f'{name} {one}')})"
            for one, each in command.commands.items()
            if not each.hidden
        )
        yield f"Commands: {inner}." + (f" `taorunner {name}` alone is `{name} {default}`." if default else "")
        return
    words = [help_pages._argument_word(one) for one in help_pages._arguments(command)]
    yield ""
    yield "```text"
    yield " ".join(["taorunner", name, "[OPTIONS]", *words]) + command.usage_tail
    yield "```"
    if more.strip():
        yield ""
        yield "```text"
        yield from more.strip("\n").splitlines()
        yield "```"
    examples = (command.epilog or "").splitlines()
    if examples:
        yield ""
        yield "```sh"
        yield from (line.strip() for line in examples)
        yield "```"
    explained = [
        (help_pages._argument_word(one).strip("[]"), one.help)
        for one in help_pages._arguments(command)
        if one.help
    ]
    if explained:
        yield from ("", "| word | meaning |", "|---|---|")
        yield from (f"| `{word}` | {cell(text)} |" for word, text in explained)
    shapes = COMMANDS.get(name)
    if shapes:
        named = ", ".join(f"[`{shape}`](json.md#{shape})" for shape in shapes)
        yield from ("", f"`--json` prints {named}.")
    table = list(_option_table(command))
    key = "\n".join(table)
    yield ""
    if key in seen:
        yield f"Options: those of [`{seen[key]}`](#options-of-{anchor(seen[key])})."
    else:
        seen[key] = name
        yield f"### Options of {name}"
        yield ""
        yield from table


def _option_table(command: Any) -> Iterator[str]:
    yield "| option | meaning |"
    yield "|---|---|"
    for one in command.params:
        if help_pages._is_option(one):
            yield f"| `{_escaped(help_pages._flags(one))}` | {cell(help_pages._text(one))} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
